//! A verification that goes on where another was interrupted: only what is proved to be unchanged counts.

use super::*;
use crate::lab::Loop;
use icecore::disk::faulty::{Act, Faulty};
use icecore::disk::{Disk, RealDisk};
use icecore::fault::{Fault, Kind};
use icecore::ops::import;
use icecore::ops::verify::{Extent, State};
use icecore::snapshot::Tags;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// Blocks with data, all early, so that a sequence of runs takes little.
const BLOCKS: [(u32, u64); 10] =
    [(0, 1), (1, 1), (2, 1), (3, 1), (5, 1), (6, 1), (7, 1), (9, 1), (10, 1), (2047, 1)];

/// A disk on which a run is stopped before it reads this file for the nth time, or something is done to the file then.
fn at_read(path: &Path, nth: u64, then: impl Fn() + Send + Sync + 'static) -> Arc<dyn Disk> {
    let (path, reads) = (path.to_owned(), AtomicU64::new(0));
    let rule = move |act, of: &Path| {
        if act == Act::Read && of == path && reads.fetch_add(1, Ordering::Relaxed) == nth {
            then();
        }
        Ok(())
    };
    Arc::new(Faulty::new(Arc::new(RealDisk::default()), rule))
}

/// One at a time, so that a run that is stopped has read some blocks and not all.
fn engine(world: &World, stop: Stop, trusts_resumed: bool) -> Engine {
    let settings = Settings { concurrency: Some(1), trusts_resumed, ..Settings::open(world.path("state")) };
    Engine::new(settings, Arc::new(Recorder::default()), stop)
}

async fn run(world: &World, options: &Options, engine: &Engine) -> Result<Report, Fault> {
    verify::run(options, Some(&world.services), engine).await
}

/// Runs until the nth read of the target; returns whether there is something to go on with.
async fn interrupted(world: &World, options: &Options, target: &Path, nth: u64) -> bool {
    let stop = Stop::new();
    let stopping = {
        let stop = stop.clone();
        at_read(target, nth, move || stop.request())
    };
    let report = run(world, options, &engine(world, stop, false).on_disk(stopping)).await;
    report.is_ok_and(|report| report.coverage.read < report.coverage.planned)
        && !left(world, "ckpt").is_empty()
}

/// Runs until there is something to go on with: the first bytes are looked at for file systems.
async fn interrupted_within(world: &World, options: &Options, target: &Path) -> bool {
    for nth in 0..80 {
        if interrupted(world, options, target, nth).await {
            return true;
        }
    }
    false
}

/// Files of this kind beside the checkpoints.
fn left(world: &World, extension: &str) -> Vec<PathBuf> {
    let dir = std::fs::read_dir(world.path("state/checkpoints"));
    let paths = dir.into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == extension)).collect()
}

fn writable(path: &Path) -> File {
    File::options().write(true).open(path).unwrap()
}

fn put(path: &Path, index: u32, version: u64) {
    let file = writable(path);
    file.write_all_at(&content(index, version), u64::from(index) * BLOCK as u64).unwrap();
    file.sync_all().unwrap();
}

/// Writes other bytes over a block that was read and puts the time of last modification back, as `touch -r` does.
fn put_with_time_back(path: &Path, index: u32, version: u64) {
    let modified = std::fs::metadata(path).unwrap().modified().unwrap();
    put(path, index, version);
    writable(path).set_modified(modified).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_target_goes_on_where_it_stopped_and_digests_go_after_the_pass() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let image = world.image("image", &BLOCKS);
    let options = restored(&id, &image);
    let whole = run(&world, &options, &engine(&world, Stop::new(), false)).await.unwrap();
    assert!(left(&world, "digests").is_empty() && left(&world, "ckpt").is_empty());
    assert!(interrupted_within(&world, &options, &image).await);
    assert!(!left(&world, "digests").is_empty());
    let report = run(&world, &options, &engine(&world, Stop::new(), false)).await.unwrap();
    assert!(report.coverage.resumed > 0);
    assert_eq!((report.state(), report.mode.name()), (State::Pass, "full".to_owned()), "it is proved");
    assert_eq!((report.extent(), report.content_root), (Extent::All, whole.content_root));
    assert!(left(&world, "digests").is_empty() && left(&world, "ckpt").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_block_with_its_time_put_back_is_read_again() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let image = world.image("image", &BLOCKS);
    let options = restored(&id, &image);
    assert!(interrupted_within(&world, &options, &image).await);
    put_with_time_back(&image, 0, 9);
    let report = run(&world, &options, &engine(&world, Stop::new(), false)).await.unwrap();
    assert_eq!((report.state(), report.coverage.resumed), (State::Fail, 0));
    assert_eq!(indexes(&report.mismatches), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trusting_what_was_read_keeps_the_old_way_and_shows_as_resumed() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let image = world.image("image", &BLOCKS);
    let options = restored(&id, &image);
    assert!(interrupted_within(&world, &options, &image).await);
    put_with_time_back(&image, 0, 9);
    let report = run(&world, &options, &engine(&world, Stop::new(), true)).await.unwrap();
    assert_eq!((report.state(), report.mode.name()), (State::Pass, "full+resumed".to_owned()));
    assert!(report.coverage.resumed > 0);
    assert_eq!((report.extent(), report.reads_everything()), (Extent::Resumed, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_another_user_could_write_decides_nothing() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let image = world.image("image", &BLOCKS);
    let options = restored(&id, &image);
    assert!(interrupted_within(&world, &options, &image).await);
    for path in left(&world, "ckpt") {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o622)).unwrap();
    }
    let report = run(&world, &options, &engine(&world, Stop::new(), true)).await.unwrap();
    assert_eq!((report.state(), report.coverage.resumed), (State::Pass, 0));
}

/// A change of a file, and its name.
type Change = (&'static str, fn(&Path));

#[tokio::test(flavor = "multi_thread")]
async fn digests_that_were_deleted_or_altered_never_make_a_wrong_content_root() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let image = world.image("image", &BLOCKS);
    let options = restored(&id, &image);
    let whole = run(&world, &options, &engine(&world, Stop::new(), false)).await.unwrap();
    let meddle: [Change; 4] = [
        ("deleted", |path| std::fs::remove_file(path).unwrap()),
        ("emptied", |path| writable(path).set_len(0).unwrap()),
        ("altered", |path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes.iter_mut().for_each(|byte| *byte ^= 1);
            std::fs::write(path, bytes).unwrap();
        }),
        ("zeros", |path| {
            let len = std::fs::metadata(path).unwrap().len();
            std::fs::write(path, vec![0; usize::try_from(len).unwrap()]).unwrap();
        }),
    ];
    for (name, meddle) in meddle {
        assert!(interrupted_within(&world, &options, &image).await, "{name}");
        let digests = left(&world, "digests");
        assert_eq!(digests.len(), 1, "{name}");
        meddle(&digests[0]);
        let report = run(&world, &options, &engine(&world, Stop::new(), false)).await.unwrap();
        assert_eq!((report.state(), report.content_root), (State::Pass, whole.content_root), "{name}");
        assert_eq!(report.map_root, whole.map_root, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_device_that_was_overwritten_or_points_elsewhere_is_read_again() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let image = world.image("image", &BLOCKS);
    let Some(device) = Loop::over(&image) else {
        eprintln!("no loop device here: resuming on a device is not tested");
        return;
    };
    let options = restored(&id, &device.0);
    // Unchanged, it goes on.
    assert!(interrupted_within(&world, &options, &device.0).await);
    let report = run(&world, &options, &engine(&world, Stop::new(), false)).await.unwrap();
    assert_eq!(report.state(), State::Pass);
    assert!(report.coverage.resumed > 0, "its counters prove it");
    // Overwritten through the device, and in the file behind it with its time put back.
    let overwritten: [&dyn Fn(u64); 2] =
        [&|version| put(&device.0, 0, version), &|version| put_with_time_back(&image, 0, version)];
    for overwrite in overwritten {
        assert!(interrupted_within(&world, &options, &device.0).await);
        overwrite(9);
        let _ = Command::new("blockdev").arg("--flushbufs").arg(&device.0).status();
        let report = run(&world, &options, &engine(&world, Stop::new(), false)).await.unwrap();
        assert_eq!((report.state(), report.coverage.resumed), (State::Fail, 0));
        overwrite(1);
        let _ = Command::new("blockdev").arg("--flushbufs").arg(&device.0).status();
    }
    // Pointed elsewhere: the same name, another file. Another process may have taken the name meanwhile.
    assert!(interrupted_within(&world, &options, &device.0).await);
    let other = world.image("other", &[(0, 9)]);
    let detached = Command::new("losetup").arg("--detach").arg(&device.0).status().unwrap();
    let attached = Command::new("losetup").arg(&device.0).arg(&other).status().unwrap();
    if !(detached.success() && attached.success()) {
        eprintln!("the loop device was taken: pointing it elsewhere is not tested");
        std::mem::forget(device);
        return;
    }
    let report = run(&world, &options, &engine(&world, Stop::new(), false)).await.unwrap();
    assert_eq!((report.state(), report.coverage.resumed), (State::Fail, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_upon_a_parent_that_goes_on_after_a_change_makes_no_mixture() {
    let world = World::new();
    let parent = world.snapshot(None, &BLOCKS);
    let image = world.image("image", &[&BLOCKS[..], &[(20, 2), (21, 2), (22, 2), (23, 2)]].concat());
    let options = import::Options {
        image: image.clone(),
        parent: Some(parent),
        tags: Tags::new(),
        description: None,
        omit_zero_blocks: true,
        is_raw: false,
        encrypted: false,
        kms_key_id: None,
        volume_size: None,
        timeout_minutes: None,
        wait: true,
    };
    let stop = Stop::new();
    let stopping = {
        let stop = stop.clone();
        at_read(&image, 8, move || stop.request())
    };
    let first = engine(&world, stop, false).on_disk(stopping);
    let fault = import::run(&options, &world.services, &first).await.map(drop).unwrap_err();
    assert_eq!(fault.kind, Kind::Suspended, "{fault}");
    // A block that was found to be the parent's is another now.
    put_with_time_back(&image, 0, 9);
    let again = engine(&world, Stop::new(), false);
    let report = import::run(&options, &world.services, &again).await.unwrap();
    assert!(!report.is_resumed);
    let verified = run(&world, &restored(&report.snapshot_id, &image), &again).await.unwrap();
    assert_eq!(verified.state(), State::Pass, "the snapshot is the image as it is now");
}

/// What happens between two runs, or during one.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Overwrite(u32, u64),
    OverwriteWithTimeBack(u32, u64),
    Exchange(u64),
    Truncate(u64),
    TimeBack,
    /// A checkpoint that says that all blocks are right, which another user could have written.
    ForgeCheckpoint,
    BendCheckpoint(u64),
    BendDigests(u64),
    DeleteDigests,
}

impl Deed {
    fn drawn(numbers: &mut Numbers) -> Self {
        let index = BLOCKS[usize::try_from(numbers.below(BLOCKS.len() as u64)).unwrap()].0;
        // Half of the time what is written is what belongs there.
        let version = 1 + numbers.below(2) * 8;
        match numbers.below(11) {
            0 | 1 => Self::Overwrite(index, version),
            2 | 3 => Self::OverwriteWithTimeBack(index, version),
            4 => Self::Exchange(version),
            5 => Self::Truncate(numbers.below(4) * BLOCK as u64),
            6 => Self::TimeBack,
            7 => Self::ForgeCheckpoint,
            8 => Self::BendCheckpoint(numbers.below(1 << 20)),
            9 => Self::BendDigests(numbers.below(1 << 20)),
            _ => Self::DeleteDigests,
        }
    }
}

/// A file, or a loop device over it, and what is done to it.
struct Scene {
    file: PathBuf,
    target: PathBuf,
    state: PathBuf,
    modified: std::time::SystemTime,
}

impl Scene {
    fn is_device(&self) -> bool {
        self.file != self.target
    }

    fn left(&self, extension: &str) -> Option<PathBuf> {
        let entries = std::fs::read_dir(self.state.join("checkpoints")).ok()?;
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.find(|path| path.extension().is_some_and(|end| end == extension))
    }

    fn bend(&self, extension: &str, at: u64) {
        let Some(path) = self.left(extension) else { return };
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(place) = usize::try_from(at).unwrap().checked_rem(bytes.len()) {
            bytes[place] ^= 1 << (at % 8);
            std::fs::write(&path, bytes).unwrap();
        }
    }

    fn act(&self, deed: Deed) {
        match deed {
            Deed::Overwrite(index, version) => put(&self.target, index, version),
            Deed::OverwriteWithTimeBack(index, version) => {
                put(&self.file, index, version);
                writable(&self.file).set_modified(self.modified).unwrap();
            }
            // Of a device the file behind it cannot be exchanged this way, nor be made shorter with sense.
            Deed::Exchange(_) | Deed::Truncate(_) if self.is_device() => {}
            Deed::Exchange(version) => {
                let other = self.file.with_extension("other");
                image_at(&other, version);
                File::options().write(true).open(&other).unwrap().set_modified(self.modified).unwrap();
                std::fs::rename(&other, &self.file).unwrap();
            }
            Deed::Truncate(len) => {
                let file = writable(&self.file);
                file.set_len(len).unwrap();
                file.set_len(1 << 30).unwrap();
                file.set_modified(self.modified).unwrap();
            }
            Deed::TimeBack => writable(&self.file).set_modified(self.modified).unwrap(),
            Deed::ForgeCheckpoint => {
                let Some(path) = self.left("ckpt") else { return };
                let mut bytes = std::fs::read(&path).unwrap();
                let len = u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
                bytes.truncate(12 + len + 4);
                let seed = bytes[12 + len..].to_vec();
                for index in 0..2048_u32 {
                    let record = [&[1], &index.to_le_bytes()[..]].concat();
                    let sum = crc32fast::hash(&[&seed[..], &record].concat());
                    bytes.extend(record);
                    bytes.extend(sum.to_le_bytes());
                }
                std::fs::write(&path, bytes).unwrap();
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o602)).unwrap();
            }
            Deed::BendCheckpoint(at) => self.bend("ckpt", at),
            Deed::BendDigests(at) => self.bend("digests", at),
            Deed::DeleteDigests => drop(self.left("digests").map(std::fs::remove_file)),
        }
    }

    /// Whether the target holds the snapshot: asked of the file system, past everything that is tested.
    fn is_right(&self) -> bool {
        use std::io::Read as _;
        if self.is_device() {
            let _ = Command::new("blockdev").arg("--flushbufs").arg(&self.target).status();
        }
        let file = File::open(&self.file).unwrap();
        let mut bytes = vec![0; 11 * BLOCK];
        (&file).read_exact(&mut bytes).unwrap();
        let version = |index: u32| BLOCKS.iter().find(|(block, _)| *block == index).map_or(0, |(_, v)| *v);
        let mut last = vec![0; BLOCK];
        file.read_exact_at(&mut last, 2047 * BLOCK as u64).unwrap();
        file.metadata().unwrap().len() == 1 << 30
            && last == content(2047, 1)
            && (0..11).all(|index| bytes[index as usize * BLOCK..][..BLOCK] == content(index, version(index)))
    }
}

fn image_at(path: &Path, version: u64) {
    let file = File::create(path).unwrap();
    file.set_len(1 << 30).unwrap();
    for (index, _) in BLOCKS {
        file.write_all_at(&content(index, version), u64::from(index) * BLOCK as u64).unwrap();
    }
}

/// Of 10,000 sequences in a full run, 200 else: runs, interruptions, and changes before, between and within them. No
/// run passes a target that is not the snapshot at the run's last check, and none gives another content root.
#[tokio::test(flavor = "multi_thread")]
async fn no_sequence_of_interruptions_and_changes_ends_in_a_false_pass() {
    let (mut passes, mut resumed, mut others, mut devices) = (0, 0, 0, 0);
    for seed in 0..count(200) {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let world = World::new();
        let id = world.snapshot(None, &BLOCKS);
        let file = world.image("image", &BLOCKS);
        let device = (seed % 10 == 0).then(|| Loop::over(&file)).flatten();
        devices += u32::from(device.is_some());
        let target = device.as_ref().map_or_else(|| file.clone(), |device| device.0.clone());
        let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
        let scene = Arc::new(Scene { file, target, state: world.path("state"), modified });
        let options = restored(&id, &scene.target);
        let mut root = None;
        for step in 0..5 {
            let nth = numbers.below(14);
            let deed = Deed::drawn(&mut numbers);
            let what = numbers.below(5);
            match what {
                0 | 1 => drop(interrupted(&world, &options, &scene.target, nth).await),
                2 => scene.act(deed),
                // The run goes on, or runs again; or something happens in its midst.
                _ => {
                    let disk: Arc<dyn Disk> = match what {
                        3 => Arc::new(RealDisk::default()),
                        _ => {
                            let scene = scene.clone();
                            at_read(&scene.target.clone(), nth, move || scene.act(deed))
                        }
                    };
                    let run = run(&world, &options, &engine(&world, Stop::new(), false).on_disk(disk)).await;
                    let Ok(report) = run else {
                        others += 1;
                        continue;
                    };
                    if report.state() != State::Pass {
                        others += 1;
                        continue;
                    }
                    passes += 1;
                    resumed += u32::from(report.coverage.resumed > 0);
                    assert!(scene.is_right(), "seed {seed}, step {step}: {deed:?}");
                    let found = report.content_root.unwrap();
                    assert_eq!(*root.get_or_insert(found), found, "seed {seed}, step {step}");
                }
            }
        }
    }
    eprintln!("{passes} passes, {resumed} of them resumed, {others} others, {devices} on loop devices");
    assert!(passes > 0 && resumed > 0 && others > 0, "the sequences reach all of these");
}

//! A target that changes while it is read: incomplete, whoever reads it and however it changes.

use super::*;
use icecore::device::{Image, InPlace};
use icecore::disk::faulty::{Act, Faulty};
use icecore::disk::{Disk, Machine, RealDisk};
use icecore::fault::{Fault, Kind};
use icecore::ops::verify::State;
use icecore::ops::{import, warm};
use icecore::snapshot::Tags;
use std::sync::atomic::{AtomicU64, Ordering};

/// Blocks with data: the image is read for a while.
const BLOCKS: [(u32, u64); 8] = [(0, 1), (1, 1), (5, 1), (9, 1), (700, 1), (701, 1), (1500, 1), (2047, 1)];

/// A change of a file, and its name.
type Change = (&'static str, fn(&Path));

/// What happens to a file between two reads of it.
const CHANGES: [Change; 7] = [
    ("a block rewritten that was read", |path| {
        writable(path).write_all_at(&content(0, 9), 0).unwrap();
    }),
    ("the same bytes written once more", |path| {
        writable(path).write_all_at(&content(0, 1), 0).unwrap();
    }),
    ("a block rewritten and the times put back", |path| {
        let modified = std::fs::metadata(path).unwrap().modified().unwrap();
        let file = writable(path);
        file.write_all_at(&content(0, 9), 0).unwrap();
        file.set_modified(modified).unwrap();
    }),
    ("emptied", |path| writable(path).set_len(0).unwrap()),
    ("grown", |path| writable(path).set_len(2 << 30).unwrap()),
    ("another renamed over it", |path| {
        let other = path.with_extension("other");
        File::create(&other).unwrap().set_len(1 << 30).unwrap();
        std::fs::rename(&other, path).unwrap();
    }),
    ("removed", |path| std::fs::remove_file(path).unwrap()),
];

fn writable(path: &Path) -> File {
    File::options().write(true).open(path).unwrap()
}

/// The machine's disk; before the read of this file with this number, something happens to it once.
fn meddled(path: &Path, nth: u64, change: fn(&Path)) -> Arc<dyn Disk> {
    counted(path, nth, change).0
}

/// The same, and how often the file was read.
fn counted(path: &Path, nth: u64, change: fn(&Path)) -> (Arc<dyn Disk>, Arc<AtomicU64>) {
    let (path, reads) = (path.to_owned(), Arc::new(AtomicU64::new(0)));
    let count = reads.clone();
    let rule = move |act, of: &Path| {
        if act == Act::Read && of == path && count.fetch_add(1, Ordering::Relaxed) == nth {
            change(&path);
        }
        Ok(())
    };
    (Arc::new(Faulty::new(Arc::new(RealDisk::default()), rule)), reads)
}

/// Whether a run on an image that changes while it is read ends as it has to. Every change, early and late.
async fn is_noticed(world: &World, what: &str, run: impl AsyncFn(&Path, Engine) -> Result<Report, Fault>) {
    for (name, change) in CHANGES {
        for nth in [2, 12] {
            let image = world.image("image", &BLOCKS);
            let (disk, reads) = counted(&image, nth, change);
            match run(&image, world.engine().on_disk(disk)).await {
                // A sample may be read in fewer reads: nothing has changed then.
                Ok(_) if nth > 2 && reads.load(Ordering::Relaxed) <= nth => continue,
                Ok(report) => {
                    assert_eq!(report.state(), State::Incomplete, "{what}, {name}: {:?}", report.exceptions);
                    let kinds: Vec<_> = report.exceptions.iter().map(|exception| exception.kind).collect();
                    assert!(kinds.contains(&Kind::Changed), "{what}, {name}: {:?}", report.exceptions);
                }
                Err(fault) => assert_eq!(fault.kind, Kind::Changed, "{what}, {name}: {fault}"),
            }
            // The next run finds nothing to go on with.
            let image = world.image("image", &BLOCKS);
            let report = run(&image, world.engine()).await.unwrap();
            assert_eq!((report.state(), report.coverage.resumed), (State::Pass, 0), "{what}, {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshots_target_that_changes_while_it_is_read_is_incomplete() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    is_noticed(&world, "snapshot", async |image, engine| {
        verify::run(&restored(&id, image), Some(&world.services), &engine).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifests_target_that_changes_while_it_is_read_is_incomplete() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let (manifest, _) = world.manifest_of(&id, None, "m").await;
    is_noticed(&world, "manifest", async |image, engine| {
        let options = Options { what: What::Manifest(manifest.clone()), ..restored(&id, image) };
        verify::run(&options, None, &engine).await
    })
    .await;
    is_noticed(&world, "sample", async |image, engine| {
        let sample = Some("99%/1%".parse().unwrap());
        let options = Options { what: What::Manifest(manifest.clone()), sample, ..restored(&id, image) };
        verify::run(&options, None, &engine).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_blocks_of_a_target_that_changed_are_shown_and_are_no_verdict() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let image = world.image("image", &[(0, 7), (1, 1)]);
    let engine = world.engine().on_disk(meddled(&image, 12, CHANGES[0].1));
    let report = verify::run(&restored(&id, &image), Some(&world.services), &engine).await.unwrap();
    assert_eq!(report.state(), State::Incomplete);
    assert!(!report.mismatches.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_changes_while_its_manifest_is_made_leaves_none() {
    let world = World::new();
    for (name, change) in CHANGES {
        let image = world.image("image", &BLOCKS);
        let engine = world.engine().on_disk(meddled(&image, 3, change));
        let options = manifest::Options { base: None, output: world.path("out"), force: false };
        let fault = manifest::of_image(&image, &options, &engine).await.map(drop).unwrap_err();
        assert_eq!(fault.kind, Kind::Changed, "{name}: {fault}");
        assert!(!world.path("out").exists() && !world.path("out.icecore-digests").exists(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_changes_while_it_is_imported_becomes_no_snapshot() {
    let world = World::new();
    for (name, change) in CHANGES {
        let image = world.image("image", &BLOCKS);
        let engine = world.engine().on_disk(meddled(&image, 3, change));
        let options = importing(&image);
        let fault = import::run(&options, &world.services, &engine).await.map(drop).unwrap_err();
        assert_eq!(fault.kind, Kind::Changed, "{name}: {fault}");
        assert!(fault.advice().unwrap().contains("stays pending until it times out"), "{:?}", fault.advice());
    }
}

fn importing(image: &Path) -> import::Options {
    import::Options {
        image: image.to_owned(),
        parent: None,
        tags: Tags::new(),
        description: None,
        omit_zero_blocks: true,
        is_raw: false,
        encrypted: false,
        kms_key_id: None,
        volume_size: None,
        timeout_minutes: None,
        wait: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_warmed_and_verified_and_changes_meanwhile_is_incomplete() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    for (name, change) in CHANGES {
        let image = world.image("image", &BLOCKS);
        let engine = world.engine().on_disk(meddled(&image, 2, change));
        let of = warm::Options::of(warm::Where::Path(image.clone()), warm::What::Snapshot(id.clone()));
        let options = warm::Options { verify: true, ..of };
        let report = warm::run(&options, &Default::default(), Some(&world.services), &engine).await.unwrap();
        let state = report.verified.as_ref().map(Report::state);
        assert!(matches!(state, None | Some(State::Incomplete)), "{name}: {state:?}");
        let of_it = report.verified.iter().flat_map(|report| &report.exceptions);
        let mut kinds = report.exceptions.iter().chain(of_it).map(|exception| exception.kind);
        assert!(kinds.any(|kind| kind == Kind::Changed), "{name}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_writes_is_not_read_and_what_is_read_is_not_written_in_place() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let image = world.image("image", &BLOCKS);
    let machine = Machine::real(world.path("state"));
    let writer = InPlace::open(&image, &machine).unwrap();
    let refusals = [
        verify::run(&restored(&id, &image), Some(&world.services), &world.engine()).await.map(drop),
        import::run(&importing(&image), &world.services, &world.engine()).await.map(drop),
    ];
    for refused in refusals {
        let fault = refused.unwrap_err();
        assert_eq!(fault.kind, Kind::Unsuitable, "{fault}");
        assert!(fault.to_string().contains("it is in use by "), "{fault}");
    }
    drop(writer);
    let (one, other) = (Image::open(&image, &machine).unwrap(), Image::open(&image, &machine).unwrap());
    let fault = InPlace::open(&image, &machine).map(drop).unwrap_err();
    assert!(fault.kind == Kind::Unsuitable && fault.to_string().contains("it is in use by "), "{fault}");
    assert!(one.unchanged().is_ok() && other.unchanged().is_ok());
}

#[test]
fn a_file_system_without_locks_is_read_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    std::fs::write(&path, [1; 4096]).unwrap();
    let (of, opened) = (path.clone(), AtomicU64::new(0));
    // It is opened, looked at, locked: the third time its name is used.
    let rule = move |act, path: &Path| match act == Act::Name && path == of {
        true if opened.fetch_add(1, Ordering::Relaxed) == 2 => Err(std::io::Error::from_raw_os_error(37)),
        _ => Ok(()),
    };
    let disk = Arc::new(Faulty::new(Arc::new(RealDisk::default()), rule));
    let machine = Machine { disk, ..Machine::real(dir.path().join("state")) };
    let image = Image::open(&path, &machine).unwrap();
    assert!(image.unchanged().is_ok());
    assert!(RealDisk::default().open(&path, icecore::disk::Opening::Change).unwrap().try_lock().unwrap());
}

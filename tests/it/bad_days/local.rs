//! What this machine does to a run: full disks, disks that fail, disks that are read-only, devices that go, stores
//! that are damaged.
//!
//! Everything is tried on a disk that fails when told to, on every machine. Beside that stand the real things: small
//! file systems in memory, read-only mounts and loop devices, which take root; where they cannot be had, the test says
//! so and what is left is the first half. Not tried for real, for want of a device mapper: reads that fail, and a
//! device that goes while it is open (a loop device stays until it is closed).

use super::world::{World, disk, disk_with_image, engine, imported, importing, serve, shelved, target};
use crate::cli::{Here, one_object};
use crate::lab::{Lab, Loop};
use icecore::aws::Deadlines;
use icecore::disk::Disk;
use icecore::disk::faulty::{Act, Faulty};
use icecore::endpoint::Config;
use icecore::fault::{Fault, Kind};
use icecore::monitor::Event;
use icecore::ops::Engine;
use icecore::ops::export::{self, Options};
use icecore::ops::import;
use icecore::pipeline::{Patience, Settings, Stop};
use icecore::store::check;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const EIO: i32 = 5;
const ENODEV: i32 = 19;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// What fails, how, and what a run may end with because of it.
const FAILURES: [(Act, i32, &[Kind]); 7] = [
    (Act::Read, EIO, &[Kind::Local]),
    (Act::Write, EIO, &[Kind::Local]),
    (Act::Sync, EIO, &[Kind::Local]),
    (Act::Write, ENOSPC, &[Kind::Local]),
    (Act::Name, EROFS, &[Kind::Local]),
    // What is read or changed where it is has gone; a new file can only not be written.
    (Act::Read, ENODEV, &[Kind::Vanished, Kind::Local]),
    (Act::Write, ENODEV, &[Kind::Vanished, Kind::Local]),
];

/// An engine whose disk fails from the n-th act of this kind on.
fn failing(engine: &Engine, inner: Arc<dyn Disk>, act: Act, errno: i32, nth: u64) -> Engine {
    let left = AtomicU64::new(nth);
    let rule = move |asked, _: &Path| {
        let is_due = asked == act
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err();
        if is_due { Err(io::Error::from_raw_os_error(errno)) } else { Ok(()) }
    };
    engine.clone().on_disk(Arc::new(Faulty::new(inner, rule)))
}

/// Runs a command on disks that fail ever later, until one does not fail in time; `again` looks at what is left and
/// runs it on a sound disk. Gives how often it failed.
async fn until_it_succeeds(
    what: &str,
    run: impl AsyncFn(Act, i32, u64) -> Result<(), Fault>,
    again: impl AsyncFn(bool) -> Result<(), String>,
) -> u64 {
    let mut failures = 0;
    for (act, errno, kinds) in FAILURES {
        let mut nth = 0;
        loop {
            let ended = run(act, errno, nth).await;
            if let Err(fault) = &ended {
                let said = format!("{what}, {act:?} {nth} fails with {errno}: {:?} {fault}", fault.kind);
                assert!(kinds.contains(&fault.kind), "{said}");
                failures += 1;
            }
            let looked = again(ended.is_ok()).await;
            assert_eq!(looked, Ok(()), "{what}, {act:?} {nth} fails with {errno}");
            if ended.is_ok() {
                break;
            }
            // Densely at first; an image is looked at two thousand times.
            nth += 1 + nth / 4;
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_to_a_disk_that_fails_is_made_whole_by_the_same_command() {
    let world = World::random(3).await;
    let disks = std::sync::Mutex::new(disk());
    let now = || disks.lock().unwrap().clone();
    let run = async |act, errno, nth| {
        *disks.lock().unwrap() = disk();
        let failing = failing(&engine(&now()), Arc::new(now()), act, errno, nth);
        export::run(&world.export(0), &world.lab.services, &failing).await.map(|_| ())
    };
    let again = async |is_done: bool| {
        if now().files().contains(&target()) {
            // Whole, though what should stand beside it may be missing.
            return world.holds(&now(), 0);
        }
        if is_done {
            return Err("there is nothing".to_owned());
        }
        let again = export::run(&world.export(0), &world.lab.services, &engine(&now())).await;
        again.map_err(|fault| fault.to_string()).and_then(|_| world.holds(&now(), 0))
    };
    assert!(until_it_succeeds("export", run, again).await > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_place_on_a_disk_that_fails_is_finished_by_the_same_command() {
    let world = World::random(4).await;
    let disks = std::sync::Mutex::new(disk());
    let now = || disks.lock().unwrap().clone();
    let run = async |act, errno, nth| {
        let fresh = disk();
        let _ = export::run(&world.export(0), &world.lab.services, &engine(&fresh)).await?;
        *disks.lock().unwrap() = fresh;
        let failing = failing(&engine(&now()), Arc::new(now()), act, errno, nth);
        export::since(&world.since(0, 4), &world.lab.services, &failing).await.map(|_| ())
    };
    let again = async |_| {
        let again = export::since(&world.since(0, 4), &world.lab.services, &engine(&now())).await;
        again.map_err(|fault| fault.to_string()).and_then(|_| world.holds(&now(), 4))
    };
    assert!(until_it_succeeds("export --since", run, again).await > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_from_a_disk_that_fails_is_finished_by_the_same_command() {
    let disks = std::sync::Mutex::new(disk_with_image());
    let now = || disks.lock().unwrap().clone();
    let run = async |act, errno, nth| {
        *disks.lock().unwrap() = disk_with_image();
        let failing = failing(&engine(&now()), Arc::new(now()), act, errno, nth);
        let served = serve(&now()).await?;
        import::run(&importing(), &served.services, &failing).await.map(|_| ())
    };
    let again = async |is_done: bool| {
        // The next process: the endpoint of the first may not have let go of its store yet.
        let next = now().killed();
        let served = serve(&next).await.map_err(|fault| fault.to_string())?;
        if is_done {
            return Ok(());
        }
        let report = import::run(&importing(), &served.services, &engine(&next)).await;
        let report = report.map_err(|fault| fault.to_string())?;
        shelved(&served.store, &report.snapshot_id, &imported())
    };
    assert!(until_it_succeeds("import", run, again).await > 10);
}

#[expect(clippy::print_stderr, reason = "a test that could not try the real thing says so")]
fn skipped(why: &str) {
    eprintln!("{why}: only the disk that fails when told to is tried");
}

/// Something mounted by this test, gone with it.
struct Mount(PathBuf);

impl Mount {
    /// None where the machine does not let this user mount.
    fn new(at: &Path, words: &[&str]) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(words).arg(at).output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        if !is_mounted {
            skipped(&format!("mount {} does not work here", words.join(" ")));
        }
        is_mounted.then(|| Self(at.to_owned()))
    }

    fn again(&self, options: &str) {
        assert!(Command::new("mount").args(["-o", options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A store with one snapshot of forty blocks, 20 MiB, made by the program.
fn forty() -> (Here, String) {
    let here = Here::new();
    fs::write(
        here.path("a.img"),
        (1..=40).flat_map(|byte| std::iter::repeat_n(byte, 524_288)).collect::<Vec<u8>>(),
    )
    .unwrap();
    let id = here
        .run(&["import", "a.img", "--omit-zero-blocks", "--local", "store", "--format", "json"])
        .json()["snapshot_id"]
        .as_str()
        .unwrap()
        .to_owned();
    (here, id)
}

fn is_the_image(here: &Here, file: &Path) -> bool {
    let (image, file) = (fs::read(here.path("a.img")).unwrap(), fs::read(file).unwrap());
    file.starts_with(&image) && file[image.len()..].iter().all(|byte| *byte == 0)
}

#[test]
fn a_file_system_that_fills_up_ends_an_export_with_7_and_room_lets_it_go_on() {
    let (here, id) = forty();
    let Some(small) = Mount::new(&here.path("small"), &["-t", "tmpfs", "-o", "size=8m", "tmpfs"]) else {
        return;
    };
    let export = ["export", &id, "small/out.img", "--local", "store", "--format", "json"];
    here.run(&export).refused(7, &["out.img", "no space left on device", "make room"]);
    assert!(!here.path("small/out.img").exists());
    small.again("remount,size=64m");
    let report = here.run(&export).json();
    assert_eq!(report["blocks_written"], 40);
    assert!(is_the_image(&here, &here.path("small/out.img")));
}

#[test]
fn a_store_that_fills_up_keeps_what_it_has_and_takes_the_rest_later() {
    let (here, _) = forty();
    let Some(small) = Mount::new(&here.path("small"), &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]) else {
        return;
    };
    // Blocks that do not compress.
    let noise: Vec<u8> = {
        let mut chance = fastrand::Rng::with_seed(7);
        (0..4 << 20).map(|_| chance.u8(..)).collect()
    };
    fs::write(here.path("b.img"), noise).unwrap();
    let import = ["import", "b.img", "--omit-zero-blocks", "--local", "small/store", "--format", "json"];
    let full = here.run(&import);
    assert!([5, 7].contains(&full.code) && full.stdout.is_empty(), "{full:?}");
    small.again("remount,size=64m");
    let report = here.run(&import).json();
    assert_eq!((&report["blocks_written"], &report["completed"]), (&8.into(), &true.into()));
    assert_eq!(here.run(&["store", "check", "small/store"]).code, 0);
}

#[test]
fn a_file_system_that_fills_up_with_evidence_has_no_half_of_it_and_takes_it_once_there_is_room() {
    let (here, _) = forty();
    let Some(small) = Mount::new(&here.path("small"), &["-t", "tmpfs", "-o", "size=4k", "tmpfs"]) else {
        return;
    };
    assert_eq!(here.run(&["manifest", "a.img", "-o", "m"]).code, 0);
    let keep =
        |target: &str| here.run(&["verify", "m", target, "--evidence", "small/ev", "--format", "json"]);
    let names = || fs::read_dir(here.path("small/ev")).unwrap().count();
    // There is room for the report, and none for what is said of it.
    let full = keep("a.img");
    assert_eq!((full.code, names()), (7, 0), "{full:?}");
    assert!(full.stderr.contains("no space left on device") && full.stderr.contains("make room"), "{full:?}");
    let report = one_object(&full.stdout);
    let shown = (&report["state"], &report["exceptions"][0]["kind"]);
    assert_eq!(
        shown,
        (&"incomplete".into(), &"local".into()),
        "what was to be evidence and is none is no pass"
    );
    small.again("remount,size=64m");
    assert_eq!((keep("a.img").code, names()), (0, 1));
    // A page for each of its files; of a report on forty wrong blocks only a part fits into two more.
    small.again("remount,size=16k");
    fs::write(here.path("wrong.img"), vec![0; 20 << 20]).unwrap();
    let full = keep("wrong.img");
    assert_eq!((full.code, names()), (1, 1), "{full:?}");
    assert!(full.stderr.contains("no space left on device"), "{full:?}");
    assert_eq!(one_object(&full.stdout)["mismatch_count"], 40);
    small.again("remount,size=64m");
    assert_eq!((keep("wrong.img").code, names()), (1, 2));
    assert_eq!(here.run(&["evidence", "verify", "small/ev"]).code, 0);
}

#[test]
fn a_read_only_file_system_ends_an_export_with_7_before_anything_is_read() {
    let (here, id) = forty();
    fs::create_dir(here.path("under")).unwrap();
    let under = here.path("under");
    let Some(fixed) = Mount::new(&here.path("fixed"), &["--bind", under.to_str().unwrap()]) else { return };
    fixed.again("remount,ro,bind");
    let outcome = here.run(&["export", &id, "fixed/out.img", "--local", "store"]);
    outcome.refused(7, &["out.img", "read-only file system", "choose a place that can be written"]);
    fixed.again("remount,rw,bind");
    assert_eq!(here.run(&["export", &id, "fixed/out.img", "--local", "store", "-q"]).code, 0);
    fixed.again("remount,ro,bind");
    // One that is to be changed in place is opened for writing before anything is asked.
    let outcome = here.run(&["export", &id, "fixed/out.img", "--local", "store", "--since", "snap-00"]);
    outcome.refused(7, &["out.img", "read-only file system", "choose a place that can be written"]);
}

#[test]
fn a_device_that_fails_underneath_ends_an_export_with_7_and_the_mended_one_is_made_whole() {
    let (here, id) = forty();
    let Some(small) = Mount::new(&here.path("small"), &["-t", "tmpfs", "-o", "size=4m", "tmpfs"]) else {
        return;
    };
    // A device of a GiB on 4 MiB: what does not fit is an input/output error.
    let backing = here.path("small/backing");
    fs::File::create(&backing).unwrap().set_len(1 << 30).unwrap();
    let Some(device) = Loop::over(&backing) else { return skipped("there is no loop device here") };
    let dest = device.0.to_str().unwrap();
    let export = ["export", &id, dest, "--local", "store", "--format", "json"];
    here.run(&export).refused(7, &[dest, "and give the same command"]);
    small.again("remount,size=2g");
    let report = here.run(&export).json();
    assert_eq!(report["blocks_written"], 40);
    assert!(is_the_image(&here, &device.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_damaged_under_a_running_server_delivers_nothing_wrong_and_serves_the_rest() {
    for how in ["bent", "cut off", "gone"] {
        let lab = Lab::new().await;
        let whole = lab.snapshot(None, 1, &[(0, 1), (1, 2)].into()).await;
        let hurt = lab.snapshot(None, 1, &[(0, 1), (5, 3)].into()).await;
        let (_running, services) = lab.beside(Config::default(), Deadlines::default()).await;
        let digest = icecore::block::Digest::of(&[3; 524_288]).to_string();
        let file = lab.path("store/blocks").join(&digest[..2]).join(&digest);
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        match how {
            "bent" => {
                bytes[middle] ^= 1;
                fs::write(&file, bytes).unwrap();
            }
            "cut off" => fs::write(&file, &bytes[..middle]).unwrap(),
            _ => fs::remove_file(&file).unwrap(),
        }

        let patience =
            Patience { failures: 3, first_backoff: Duration::from_millis(1), ..Patience::default() };
        let settings = Settings { patience, ..Settings::open(lab.path("state")) };
        let engine = Engine::new(settings, lab.recorder.clone(), Stop::new());
        let exporting = |id: &icecore::snapshot::SnapshotId| Options {
            snapshot_id: id.clone(),
            dest: Some(lab.path(&format!("{id}.img"))),
            force: false,
            sync: false,
        };
        let fault = export::run(&exporting(&hurt), &services, &engine).await.unwrap_err();
        assert_eq!(fault.kind, Kind::Damaged, "{how}: {fault}");
        let is_retry = |event: &Event| matches!(event, Event::Retry { .. });
        assert!(!lab.recorder.events().iter().any(is_retry), "{how}: it stays damaged");
        assert!(fault.to_string().starts_with(&format!("block 5 of {hurt}")), "{how}: {fault}");
        assert!(!lab.path(&format!("{hurt}.img")).exists());
        // The server lives, and what is whole is served.
        let report = export::run(&exporting(&whole), &services, &engine).await.unwrap();
        assert_eq!(report.blocks_written, 2);
        let found = check(lab.path("store"), &icecore::monitor::Silent).unwrap();
        assert_eq!(found.damages.len(), 1, "{how}");
    }
}

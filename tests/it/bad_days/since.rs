//! A delta in place: only upon what it belongs upon, and right whatever was written, freed or grown.

use crate::lab::{Lab, compare, options};
use icecore::account::Settings as Account;
use icecore::endpoint::Config;
use icecore::fault::{Fault, Kind};
use icecore::ops::export::{self, Known, Options, Since};
use icecore::ops::{Engine, import};
use icecore::pipeline::{Patience, Settings, Stop};
use icecore::snapshot::SnapshotId;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An older and a newer snapshot: block 3 rewritten, 9 new, 7 the same. And a target that holds the older.
struct Two {
    lab: Lab,
    ids: [SnapshotId; 2],
    target: PathBuf,
}

const BEFORE: [(u32, u8); 4] = [(0, 1), (3, 2), (7, 3), (2047, 4)];
const AFTER: [(u32, u8); 2] = [(3, 5), (9, 6)];

impl Two {
    async fn new() -> Self {
        let account = Account { complete_takes: Duration::ZERO, ..Account::default() };
        let lab = Lab::with(Config { account, ..Config::default() }).await;
        let before = lab.snapshot(None, 1, &BTreeMap::from(BEFORE)).await;
        let after = lab.snapshot(Some(&before), 1, &BTreeMap::from(AFTER)).await;
        let two = Self { target: lab.path("target.img"), lab, ids: [before, after] };
        let _ = two.export(0, &two.target, false).await.unwrap();
        two
    }

    async fn export(&self, which: usize, dest: &Path, force: bool) -> Result<export::Report, Fault> {
        let (snapshot_id, dest) = (self.ids[which].clone(), Some(dest.to_owned()));
        let options = Options { snapshot_id, dest, force, sync: true };
        export::run(&options, &self.lab.services, &self.lab.engine()).await
    }

    fn options(&self, from: usize, to: usize) -> Since {
        let [base, snapshot_id] = [from, to].map(|which| self.ids[which].clone());
        Since { snapshot_id, base, dest: self.target.clone(), assume_base: false }
    }

    async fn since(&self, options: &Since) -> Result<export::Report, Fault> {
        export::since(options, &self.lab.services, &self.lab.engine()).await
    }

    async fn is_refused(&self, options: &Since, said: &str) {
        let modified = || std::fs::metadata(&self.target).unwrap().modified().unwrap();
        let before = modified();
        let fault = self.since(options).await.unwrap_err();
        assert_eq!(fault.kind, Kind::Unsuitable, "{fault}");
        assert!(fault.to_string().contains(said), "{fault}");
        assert_eq!(modified(), before, "nothing was touched");
    }

    /// Whether the target is what an export of this snapshot gives.
    async fn holds(&self, which: usize) -> bool {
        let whole = self.lab.path("whole.img");
        let _ = self.export(which, &whole, true).await.unwrap();
        compare(&whole, &self.target).0.is_empty()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_changed_is_written_forth_and_what_was_not_there_is_freed_back() {
    let two = Two::new().await;
    let there = two.since(&two.options(0, 1)).await.unwrap();
    assert!(two.holds(1).await);
    assert_eq!((there.blocks_written, there.holes), (2, 0));
    let base = there.base.unwrap();
    assert_eq!(base.known, Known::Proved);
    assert!(base.blocks_compared > 0);
    let back = two.since(&two.options(1, 0)).await.unwrap();
    assert!(two.holds(0).await);
    assert_eq!((back.blocks_written, back.holes), (1, 1), "block 9 was not there before");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_again_finds_that_it_is_done() {
    let two = Two::new().await;
    let _ = two.since(&two.options(0, 1)).await.unwrap();
    let again = two.since(&two.options(0, 1)).await.unwrap();
    assert_eq!((again.blocks_written, again.holes, again.base.unwrap().known), (0, 0, Known::Done));
    assert!(two.holds(1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_proved_to_hold_the_base_is_not_touched() {
    let two = Two::new().await;
    // Somebody writes to it.
    let file = File::options().write(true).open(&two.target).unwrap();
    file.write_all_at(&[9], 100).unwrap();
    two.is_refused(&two.options(0, 1), "has been written to since").await;
    std::fs::remove_file(two.lab.path("target.img.icecore")).unwrap();
    two.is_refused(&two.options(0, 1), "nothing tells that it holds").await;
    std::fs::write(two.lab.path("target.img.icecore"), "rubbish").unwrap();
    let fault = two.since(&two.options(0, 1)).await.unwrap_err();
    assert!(fault.to_string().contains("damaged"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_catches_what_the_note_does_not_know() {
    let two = Two::new().await;
    let modified = std::fs::metadata(&two.target).unwrap().modified().unwrap();
    let file = File::options().write(true).open(&two.target).unwrap();
    // Every block that was not written between the two, and the time of the last change put back.
    for index in (0..2048_u64).filter(|index| *index != 3 && *index != 9) {
        file.write_all_at(&[0xee], index * 524_288 + 77).unwrap();
    }
    file.set_modified(modified).unwrap();
    two.is_refused(&two.options(0, 1), "it does not hold").await;
}

/// A copy with its times and its note, as `cp -a` makes one, in the place of the target.
fn copied(target: &Path) {
    let meta = std::fs::metadata(target).unwrap();
    let copy = target.with_extension("copy");
    std::fs::copy(target, &copy).unwrap();
    File::options().write(true).open(&copy).unwrap().set_modified(meta.modified().unwrap()).unwrap();
    std::fs::rename(&copy, target).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_its_times_and_its_note_is_compared_in_full() {
    let two = Two::new().await;
    copied(&two.target);
    let base = two.since(&two.options(0, 1)).await.unwrap().base.unwrap();
    assert_eq!((base.known, base.blocks_compared), (Known::Compared, 2046), "all but what is written over");
    assert!(two.holds(1).await);
    // From here on it is the target itself, until it is copied again.
    let again = two.since(&two.options(1, 0)).await.unwrap().base.unwrap();
    assert_eq!(again.known, Known::Proved);
    copied(&two.target);
    let done = two.since(&two.options(1, 0)).await.unwrap().base.unwrap();
    assert_eq!((done.known, done.blocks_compared), (Known::Done, 2048));
    let assumed = Since { assume_base: true, ..two.options(0, 1) };
    assert_eq!(two.since(&assumed).await.unwrap().base.unwrap().known, Known::Assumed);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_byte_of_a_copy_or_of_a_file_with_its_times_put_back_is_found() {
    for index in [7, 1234] {
        for is_copy in [true, false] {
            let two = Two::new().await;
            let modified = std::fs::metadata(&two.target).unwrap().modified().unwrap();
            let file = File::options().write(true).open(&two.target).unwrap();
            file.write_all_at(&[0xee], index * 524_288 + 77).unwrap();
            file.set_modified(modified).unwrap();
            drop(file);
            if is_copy {
                copied(&two.target);
            }
            two.is_refused(&two.options(0, 1), &format!("block {index} differs")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_of_an_earlier_version_is_read_and_its_target_compared_in_full() {
    let two = Two::new().await;
    let note = icecore::device::Sidecar::of(&two.target, two.lab.engine().machine()).unwrap().unwrap();
    let icecore::device::Holding::Snapshot { id, stamp } = note.holding else { panic!("held") };
    let stamp = stamp.split("; ").next().unwrap().to_owned();
    let holding = icecore::device::Holding::Snapshot { id, stamp };
    let note = icecore::device::Sidecar { holding, ..note };
    note.write(&two.target, two.lab.engine().machine()).unwrap();
    assert_eq!(two.since(&two.options(0, 1)).await.unwrap().base.unwrap().known, Known::Compared);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebodys_word_is_taken_for_a_target_without_a_note() {
    let two = Two::new().await;
    std::fs::remove_file(two.lab.path("target.img.icecore")).unwrap();
    let report = two.since(&Since { assume_base: true, ..two.options(0, 1) }).await.unwrap();
    assert!(two.holds(1).await);
    assert_eq!(report.base.map(|base| (base.known, base.blocks_compared)), Some((Known::Assumed, 0)));
    // From here on it is known.
    let _ = two.since(&two.options(1, 0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_half_way_is_refused_by_all_but_the_command_that_finishes_it() {
    let two = Two::new().await;
    // It stops once the mark is set: there is no block to be had.
    let config = Config { faults: "GetSnapshotBlock block=9 denied".parse().unwrap(), ..Config::default() };
    let (_running, services) = two.lab.beside(config, Default::default()).await;
    let fault = export::since(&two.options(0, 1), &services, &two.lab.engine()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Denied, "{fault}");

    let resumes = format!("icecore export {} {} --since {}", two.ids[1], two.target.display(), two.ids[0]);
    let importing = options(&two.target, None);
    let refusals = [
        import::run(&importing, &two.lab.services, &two.lab.engine()).await.map(|_| ()).unwrap_err(),
        two.export(0, &two.target, false).await.map(|_| ()).unwrap_err(),
        two.since(&two.options(1, 0)).await.map(|_| ()).unwrap_err(),
        two.since(&Since { assume_base: true, ..two.options(1, 0) }).await.map(|_| ()).unwrap_err(),
    ];
    for fault in refusals {
        assert_eq!(fault.kind, Kind::Unsuitable, "{fault}");
        assert!(fault.to_string().contains("it is half-way from"), "{fault}");
        assert!(fault.advice().unwrap().contains(&resumes), "{:?}", fault.advice());
    }
    let report = two.since(&two.options(0, 1)).await.unwrap();
    assert_eq!(report.base.unwrap().known, Known::Resumed);
    assert!(two.holds(1).await);
    assert!(import::run(&importing, &two.lab.services, &two.lab.engine()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_export_by_force_ends_what_was_half_way() {
    let two = Two::new().await;
    let config = Config { faults: "GetSnapshotBlock block=9 denied".parse().unwrap(), ..Config::default() };
    let (_running, services) = two.lab.beside(config, Default::default()).await;
    assert!(export::since(&two.options(0, 1), &services, &two.lab.engine()).await.is_err());
    let _ = two.export(0, &two.target, true).await.unwrap();
    assert_eq!(two.since(&two.options(0, 1)).await.unwrap().base.unwrap().known, Known::Proved);
    assert!(two.holds(1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_interrupted_run_wrote_is_not_believed_to_be_there_for_ever() {
    let two = Two::new().await;
    let file = File::options().read(true).write(true).open(&two.target).unwrap();
    let block_3 = || {
        let mut bytes = vec![0; 524_288];
        file.read_exact_at(&mut bytes, 3 * 524_288).unwrap();
        bytes
    };
    let before = block_3();
    // Long enough for block 3 to be there before block 9 is given up.
    let patience = Patience { failures: 6, first_backoff: Duration::from_millis(50), ..Patience::default() };
    let state = two.lab.path("state");
    let settings = Settings { checkpoint_every: Duration::ZERO, patience, ..Settings::open(state) };
    let engine = Engine::new(settings, two.lab.recorder.clone(), Stop::new());
    let config =
        Config { faults: "GetSnapshotBlock block=9 error=500".parse().unwrap(), ..Config::default() };
    let (_running, services) = two.lab.beside(config, Default::default()).await;
    assert!(export::since(&two.options(0, 1), &services, &engine).await.is_err());
    // Block 3 is written by then. Somebody puts a copy of the old state back into the same file.
    assert!(block_3() != before);
    file.write_all_at(&before, 3 * 524_288).unwrap();
    let report = two.since(&two.options(0, 1)).await.unwrap();
    assert_eq!((report.blocks_written, report.blocks_resumed), (2, 0));
    assert!(two.holds(1).await);
}

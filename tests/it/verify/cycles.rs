//! Cycles: named by what is read, through in as many runs as there are parts with blocks, and of one content or not.

use super::*;
use icecore::aws::Identity;
use icecore::disk::RealDisk;
use icecore::ledger::{Contents, CycleEntry, Kind};
use icecore::monitor::Event;
use icecore::ops::verify::{Extent, State};
use std::fs;

/// Blocks of which the second, fourth and fifth of five parts have some.
const BLOCKS: [(u32, u64); 4] = [(16, 1), (50, 1), (70, 1), (96, 1)];

fn cycle(options: Options) -> Options {
    Options { cycle_days: Some(5), ..options }
}

/// Names a file otherwise than by its path.
fn link(of: &Path, name: &str) -> PathBuf {
    let link = of.with_file_name(name);
    std::os::unix::fs::symlink(of, &link).unwrap();
    link
}

impl World {
    /// One run of a cycle; gives what it noted as well.
    async fn noted(&self, options: &Options, services: &Services) -> (Report, Vec<String>) {
        let recorder = Arc::new(Recorder::default());
        let engine = Engine::new(Settings::open(self.path("state")), recorder.clone(), Stop::new());
        let report = verify::run(options, Some(services), &engine).await.unwrap();
        let notes = recorder.events().into_iter().filter_map(|event| match event {
            Event::Note(note) => Some(note),
            _ => None,
        });
        (report, notes.collect())
    }

    fn remember(&self, entry: &CycleEntry) {
        let disk = Arc::new(RealDisk::default()) as Arc<dyn icecore::disk::Disk>;
        Contents::below(&disk, &self.path("state"), Kind::Cycles).put(entry).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_cycle_passes_over_parts_without_blocks_and_the_last_one_completes_it() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let report = world.verify(&cycle(snapshot(&id))).await;
        assert_eq!(report.state(), State::Pass);
        let done = report.cycle.unwrap().parts_done;
        seen.push((report.coverage.read, done, report.extent(), report.reads_everything()));
    }
    assert_eq!(
        seen,
        [
            (2, 2, Extent::Cycle, false),
            (1, 4, Extent::Cycle, false),
            (1, 5, Extent::CompletedCycle, true),
            (2, 2, Extent::Cycle, false),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nights_of_a_small_volume_never_read_nothing() {
    let world = World::new();
    let id = world.snapshot(None, &[(3, 1)]);
    let nightly = Options { cycle_days: Some(30), ..snapshot(&id) };
    for _ in 0..5 {
        let report = world.verify(&nightly).await;
        assert_eq!((report.state(), report.coverage.read, report.extent()), (State::Pass, 1, Extent::All));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_targets_never_share_a_cycle_and_one_has_the_same_by_every_path() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let (one, other) = (world.image("one", &BLOCKS), world.image("other", &BLOCKS));
    let done = async |path: &Path| {
        let report = world.verify(&cycle(restored(&id, path))).await;
        assert_eq!(report.state(), State::Pass);
        report.cycle.unwrap().parts_done
    };
    // All 2,048 blocks are spoken of, so that every part has some.
    assert_eq!((done(&one).await, done(&one).await), (1, 2));
    assert_eq!(done(&other).await, 1, "another file is another cycle");
    assert_eq!(done(&link(&one, "link")).await, 3, "a link leads to the same");
    // The path as typed is now the other file's.
    fs::rename(&one, world.path("kept")).unwrap();
    fs::rename(&other, &one).unwrap();
    assert_eq!(done(&one).await, 2);
    assert_eq!(done(&world.path("kept")).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_over_a_target_that_was_written_to_meanwhile_is_not_of_one_content() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let image = world.image("image", &BLOCKS);
    let mut last = None;
    for run in 1..=5 {
        if run == 3 {
            let file = File::options().write(true).open(&image).unwrap();
            file.write_all_at(&content(16, 1), 16 * BLOCK as u64).unwrap();
        }
        last = Some(world.verify(&cycle(restored(&id, &image))).await);
    }
    let report = last.unwrap();
    let cycle = report.cycle.unwrap();
    assert!(cycle.is_complete() && !cycle.is_of_one_content, "{cycle:?}");
    assert_eq!((report.extent(), report.reads_everything()), (Extent::Cycle, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_of_an_earlier_version_goes_on_where_its_name_is_certain_and_else_begins_anew() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let entry = |of: String| {
        let started_ms = icecore::monitor::Clock::now(&icecore::monitor::SystemClock).0 - 5_000;
        CycleEntry { of, days: 5, started_ms, read_ms: started_ms, parts: vec![1, 2], content: None }
    };
    world.remember(&entry(format!("{id} against None and None")));
    let aws = Services { identity: Identity::named("aws"), ..world.services.clone() };
    let (report, notes) = world.noted(&cycle(snapshot(&id)), &aws).await;
    assert_eq!(report.mode.parts.first().map(|part| part.part()), Some(3), "AWS gives no id twice");
    assert!(notes.iter().all(|note| !note.contains("begins")), "{notes:?}");
    assert!(!report.cycle.unwrap().is_of_one_content, "and nothing says what the first parts were of");
    // Two stores may have snapshots of the same name.
    let (report, notes) = world.noted(&cycle(snapshot(&id)), &world.services).await;
    assert_eq!(report.mode.parts.first().map(|part| part.part()), Some(1));
    assert!(notes.iter().any(|note| note.contains("begins anew")), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_that_claims_to_begin_later_than_now_counts_for_nothing() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let first = world.verify(&cycle(snapshot(&id))).await;
    let of = format!("{id} of memory");
    let started_ms = first.cycle.unwrap().started_ms + 86_400_000;
    let parts = vec![1, 2, 3, 4, 5];
    world.remember(&CycleEntry { of, days: 5, started_ms, read_ms: started_ms, parts, content: None });
    let second = world.verify(&cycle(snapshot(&id))).await;
    assert_eq!(second.cycle.unwrap().started_ms, first.cycle.unwrap().started_ms);
    assert_eq!(second.mode.parts.first().map(|part| part.part()), Some(3));
}

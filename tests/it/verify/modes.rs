//! Reading less than everything: what was chosen, what was remembered, what it proves.

use super::*;
use icecore::cost::Usd;
use icecore::ops::verify::{Budget, Extent, State};
use icecore::sample::Partition;
use std::time::Duration;

fn blocks() -> Vec<(u32, u64)> {
    (0..1000).map(|n| (n * 2, 1)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_has_its_size_its_bound_and_replays_by_its_seed() {
    let world = World::new();
    let id = world.snapshot(None, &blocks());
    let sampled = Options { sample: Some("99%/1%".parse().unwrap()), ..snapshot(&id) };
    let report = world.verify(&sampled).await;
    let n = icecore::sample::needed_of(0.99, 0.01, 1000);
    assert_eq!((report.state(), report.coverage.read, report.coverage.total), (State::Pass, n, 1000));
    let bound = report.upper_bound_95.unwrap();
    assert!(bound > 0.0 && bound < 0.01, "{bound}");
    let seed = report.mode.seed.unwrap();
    assert!(seed < 1 << 53, "programs that read JSON's numbers as floating point keep it: {seed}");
    let (manifest, _) = world.manifest_of(&id, None, "m").await;
    let image = world.image("image", &[]);
    // An image of zeros is wrong wherever it is read: the mismatches show what was read.
    let drawn = async |seed| {
        let options = Options { seed: Some(seed), what: What::Manifest(manifest.clone()), ..sampled.clone() };
        let against = Against::Image(image.clone());
        indexes(&world.verify(&Options { against, ..options }).await.mismatches)
    };
    assert_eq!(drawn(seed).await.len() as u64, n);
    assert_eq!(drawn(seed).await, drawn(seed).await);
    assert_ne!(drawn(seed).await, drawn(seed ^ 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_together_are_everything_and_no_bound_is_claimed_for_one() {
    let world = World::new();
    let id = world.snapshot(None, &blocks());
    let mut read = 0;
    for part in 1..=7 {
        let report = world.verify(&Options { part: Partition::new(part, 7), ..snapshot(&id) }).await;
        assert_eq!((report.state(), report.upper_bound_95), (State::Pass, None));
        assert_eq!((report.map_root, report.content_root), (None, None));
        read += report.coverage.read;
    }
    assert_eq!(read, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_reads_every_block_once_and_remembers_only_what_was_read() {
    let world = World::new();
    let id = world.snapshot(None, &blocks());
    let cycle = Options { cycle_days: Some(5), ..snapshot(&id) };
    let mut read = 0;
    let mut parts = Vec::new();
    for run in 0..5 {
        if run == 2 {
            // This one is stopped at once: it owes its part to the next.
            let stopped = Options { deadline: Some(Duration::ZERO), ..cycle.clone() };
            assert_eq!(world.verify(&stopped).await.state(), State::Incomplete);
        }
        let report = world.verify(&cycle).await;
        read += report.coverage.read;
        parts.extend(report.mode.parts.iter().map(|part| part.part()));
    }
    assert_eq!((read, parts), (1000, vec![1, 2, 3, 4, 5]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_run_reads_the_changes_and_audits_the_rest() {
    let world = World::new();
    let first = world.snapshot(None, &blocks());
    let (manifest, _) = world.manifest_of(&first, None, "m").await;
    let second = world.snapshot(Some(&first), &[(2, 2), (1001, 2)]);
    let delta = Options { delta_from: Some(manifest), audit: 25, ..snapshot(&second) };
    let report = world.verify(&delta).await;
    assert_eq!((report.state(), report.coverage.read, report.coverage.audited), (State::Pass, 27, 25));
    assert_eq!((report.coverage.total, report.requests.get), (1001, 27));
    let says = |what: &str| report.disclaimers().iter().any(|sentence| sentence.contains(what));
    assert!(says("25 of the blocks") && says("an earlier read of an older snapshot"));

    let stranger = world.snapshot(None, &blocks());
    let report = world.verify(&Options { what: What::Snapshot(stranger), ..delta }).await;
    assert_eq!(
        (report.state(), report.coverage.read),
        (State::Pass, 1000),
        "not of one lineage: all is read"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_finds_what_the_list_of_changes_hides() {
    let world = World::new();
    let first = world.snapshot(None, &blocks());
    // What the manifest says of the older snapshot is not what the newer one has, and nobody tells of a change.
    let lied = world.snapshot(None, &[&[(0, 9), (2, 9), (4, 9), (6, 9)], &blocks()[4..]].concat());
    let (manifest, _) = world.manifest_of(&lied, None, "m").await;
    let renamed = renamed(&world, &manifest, &lied, &first);
    let second = world.snapshot(Some(&first), &[(1001, 2)]);
    let delta = Options { delta_from: Some(renamed), audit: 1000, ..snapshot(&second) };
    let report = world.verify(&delta).await;
    assert_eq!((report.state(), indexes(&report.mismatches)), (State::Fail, vec![0, 2, 4, 6]));
}

/// The same manifest, said to be of another snapshot.
fn renamed(world: &World, path: &Path, _: &SnapshotId, to: &SnapshotId) -> PathBuf {
    let manifest = icecore::manifest::Manifest::open(path).unwrap();
    let about = icecore::manifest::About { snapshot_id: Some(to.clone()), ..manifest.about().clone() };
    let output = world.path("renamed");
    icecore::manifest::write(
        &icecore::disk::RealDisk::default(),
        &output,
        &about,
        manifest.present(),
        |index| Ok(manifest.digest(index)?.unwrap()),
    )
    .unwrap();
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_ends_the_run_and_the_next_one_goes_on() {
    let world = World::new();
    let id = world.snapshot(None, &blocks());
    // One page of the listing costs 600 billionths, a block 3,000.
    let options = Options { max_usd: Some(Usd::from_nanos(3_000 * 400)), ..snapshot(&id) };
    let mut read = Vec::new();
    for _ in 0..2 {
        let report = world.verify(&options).await;
        assert_eq!((report.state(), report.stopped_by), (State::Incomplete, Some(Budget::Usd)));
        assert!(report.usd.unwrap() <= options.max_usd.unwrap(), "{:?}", report.usd);
        assert_eq!(report.coverage.planned, 1000);
        read.push(report.coverage.read);
    }
    let last = world.verify(&options).await;
    assert!(read[0] > 380 && read[1] > 2 * 380, "{read:?}");
    assert_eq!((last.state(), last.coverage.read, last.coverage.resumed), (State::Pass, 1000, read[1]));
    assert!(last.content_root.is_some(), "digests of all runs together make the root");
    let fresh = world.verify(&snapshot(&id)).await;
    assert_eq!((fresh.coverage.resumed, fresh.content_root), (0, last.content_root));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_the_run_without_a_claim() {
    let world = World::new();
    let id = world.snapshot(None, &blocks());
    let report = world.verify(&Options { deadline: Some(Duration::ZERO), ..snapshot(&id) }).await;
    assert_eq!((report.state(), report.stopped_by), (State::Incomplete, Some(Budget::Deadline)));
    assert_eq!((report.upper_bound_95, report.content_root), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_wrong_before_an_interruption_is_found_again_after_it() {
    let world = World::new();
    let id = world.snapshot(None, &blocks());
    let image = world.image("image", &blocks()[3..]);
    let halved = Options { max_usd: Some(Usd::from_nanos(3_000 * 500)), ..restored(&id, &image) };
    let report = world.verify(&halved).await;
    assert_eq!((report.state(), indexes(&report.mismatches)), (State::Fail, vec![0, 2, 4]));
    assert!(!report.is_whole());
    let report = world.verify(&restored(&id, &image)).await;
    assert_eq!((report.state(), indexes(&report.mismatches)), (State::Fail, vec![0, 2, 4]));
    assert!(report.is_whole() && report.coverage.resumed > 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_of_the_same_at_once_are_refused() {
    let world = World::new();
    let id = world.snapshot(None, &blocks());
    let image = world.image("image", &blocks());
    let options = restored(&id, &image);
    let engine = world.engine();
    let (one, two) = tokio::join!(
        verify::run(&options, Some(&world.services), &engine),
        verify::run(&options, Some(&world.services), &engine)
    );
    let refused = [one, two].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(
        refused.len() <= 1 && refused.iter().all(|fault| fault.to_string().contains("another run")),
        "{refused:?}"
    );
}

/// Only a run that read every block reads everything; of any other the bound says how much may still be damaged.
#[tokio::test(flavor = "multi_thread")]
async fn the_extent_of_a_run_says_which_blocks_it_read_and_its_bound_what_may_be_damaged() {
    let world = World::new();
    let first = world.snapshot(None, &blocks());
    let second = world.snapshot(Some(&first), &[(0, 2), (2, 2)]);
    let (base, _) = world.manifest_of(&first, None, "first").await;
    let all = snapshot(&second);
    let of = async |options: Options| {
        let report = world.verify(&options).await;
        assert_eq!(report.state(), State::Pass);
        (report.extent(), report.reads_everything(), report.damage_bound())
    };
    assert_eq!(of(all.clone()).await, (Extent::All, true, Some(0.0)));
    let part = |part, of| Options { part: Partition::new(part, of), ..all.clone() };
    assert_eq!(of(part(1, 1)).await, (Extent::All, true, Some(0.0)), "one part of one is everything");
    let (extent, reads_everything, bound) = of(part(1, 4)).await;
    assert_eq!((extent, reads_everything), (Extent::Part, false));
    let in_part = Partition::new(1, 4).unwrap().within(&set(blocks().into_iter().map(|(index, _)| index)));
    assert_eq!(bound, Some((1000 - in_part.len()) as f64 / 1000.0), "nothing is known of the other parts");
    let sampled = Options { sample: Some("99%/1%".parse().unwrap()), ..all.clone() };
    let (extent, reads_everything, bound) = of(sampled).await;
    assert_eq!((extent, reads_everything), (Extent::Sample, false));
    assert!(bound.is_some_and(|bound| bound > 0.0 && bound < 0.01), "{bound:?}");
    let delta = |audit| Options { delta_from: Some(base.clone()), audit, ..all.clone() };
    assert_eq!(of(delta(0)).await, (Extent::Delta, false, Some(998.0 / 1000.0)), "2 of 1,000 were read");
    let (extent, _, bound) = of(delta(300)).await;
    assert!(extent == Extent::Delta && bound.is_some_and(|bound| bound < 0.01), "{extent:?} {bound:?}");
    assert_eq!(of(delta(998)).await, (Extent::All, true, Some(0.0)), "an audit of all is everything");
    let late = world.verify(&Options { deadline: Some(Duration::ZERO), ..all.clone() }).await;
    assert!(!late.reads_everything() && late.state() == State::Incomplete);
}

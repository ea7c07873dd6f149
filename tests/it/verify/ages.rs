//! Jobs by tag: newest snapshots that failed, that are too old, or empty; and the age of a snapshot by itself.

use super::*;
use icecore::control::memory::MemorySnapshots;
use icecore::monitor::{Clock, SystemClock};
use icecore::ops::verify::{Job, Rule, State, Tagged, run_all, tagged};
use icecore::snapshot::{SnapshotInfo, SnapshotState, StorageTier, Tag, UnixMillis};
use std::time::Duration;

const HOUR: i64 = 3_600_000;

/// What is told of one snapshot: its volume, its age in hours, and how far it is.
struct Told<'a> {
    id: &'a SnapshotId,
    volume: &'a str,
    hours: i64,
    state: SnapshotState,
    tier: StorageTier,
}

fn done<'a>(id: &'a SnapshotId, volume: &'a str, hours: i64) -> Told<'a> {
    Told { id, volume, hours, state: SnapshotState::Completed, tier: StorageTier::Standard }
}

impl World {
    /// The account, with a control plane that tells this.
    fn telling(&self, told: &[Told<'_>]) -> Services {
        let now = SystemClock.now();
        let infos = told.iter().map(|told| SnapshotInfo {
            id: told.id.clone(),
            volume_id: Some(told.volume.parse().unwrap()),
            owner_id: "123456789012".into(),
            state: told.state,
            state_message: None,
            start_time: UnixMillis(now.0 - told.hours * HOUR),
            volume_size: GiB::try_from(1).unwrap(),
            encrypted: false,
            kms_key_id: None,
            description: String::new(),
            tags: [("backup".to_owned(), "nightly".to_owned())].into(),
            tier: told.tier,
            full_size: None,
            parent: None,
            lineage: None,
        });
        Services { snapshots: Some(Arc::new(MemorySnapshots::new(infos))), ..self.services.clone() }
    }

    async fn job(
        &self,
        services: &Services,
        latest_per_volume: bool,
        rpo: Option<u64>,
        model: Options,
    ) -> Job {
        let tags: Vec<Tag> = vec!["backup=nightly".parse().unwrap()];
        let rpo = rpo.map(|hours| Duration::from_secs(3_600 * hours));
        let which = Tagged { tags: &tags, latest_per_volume, rpo };
        let (planned, newer) = tagged(&which, &model, services, &self.engine()).await.unwrap();
        Job { newer, ..run_all(planned, None, None).await }
    }
}

fn model() -> Options {
    Options::of(What::Manifest(PathBuf::new()))
}

fn rules(job: &Job) -> Vec<(Rule, String)> {
    job.findings().map(|finding| (finding.rule, finding.resource.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newest_snapshot_in_error_is_a_finding_beside_the_newest_that_can_be_read() {
    let world = World::new();
    let ids: Vec<_> = (0..4).map(|n| world.snapshot(None, &[(n, 1)])).collect();
    let services = world.telling(&[
        done(&ids[0], "vol-0a", 48),
        done(&ids[1], "vol-0a", 24),
        Told { state: SnapshotState::Error, ..done(&ids[2], "vol-0a", 1) },
        done(&ids[3], "vol-0b", 1),
    ]);
    let job = world.job(&services, true, None, model()).await;
    assert_eq!(job.state(), State::Fail);
    let states: Vec<_> = job.items.iter().map(|item| (item.name.clone(), item.state())).collect();
    let (read, failed, other) = (ids[1].to_string(), ids[2].to_string(), ids[3].to_string());
    assert!(states.contains(&(read, State::Pass)) && states.contains(&(other, State::Pass)), "{states:?}");
    assert!(states.len() == 3 && states.contains(&(failed.clone(), State::Fail)), "{states:?}");
    assert_eq!(rules(&job), [(Rule::NewestInError, failed)]);
    // Without the failed one the same job passes.
    let services = world.telling(&[done(&ids[1], "vol-0a", 24), done(&ids[3], "vol-0b", 1)]);
    assert_eq!(world.job(&services, true, None, model()).await.state(), State::Pass);
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_ones_that_are_pending_or_archived_are_named_and_judged_by_rpo_alone() {
    let world = World::new();
    let ids: Vec<_> = (0..3).map(|n| world.snapshot(None, &[(n, 1)])).collect();
    let services = world.telling(&[
        done(&ids[0], "vol-0a", 24),
        Told { tier: StorageTier::Archive, ..done(&ids[1], "vol-0a", 12) },
        Told { state: SnapshotState::Pending, ..done(&ids[2], "vol-0a", 1) },
    ]);
    let job = world.job(&services, true, None, model()).await;
    assert_eq!((job.state(), job.items.len()), (State::Pass, 1));
    let named: Vec<_> =
        job.newer.iter().map(|one| (one.info.id.clone(), one.age.as_secs() / 3_600)).collect();
    assert_eq!(named, [(ids[2].clone(), 1), (ids[1].clone(), 12)]);
    assert_eq!(world.job(&services, true, Some(25), model()).await.state(), State::Pass);
    let late = world.job(&services, true, Some(23), model()).await;
    assert_eq!((late.state(), rules(&late)), (State::Fail, vec![(Rule::RpoExceeded, ids[0].to_string())]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_newest_readable_snapshot_of_a_volume_is_held_against_rpo() {
    let world = World::new();
    let ids: Vec<_> = (0..4).map(|n| world.snapshot(None, &[(n, 1)])).collect();
    let services = world.telling(&[
        done(&ids[0], "vol-0a", 900),
        done(&ids[1], "vol-0a", 2),
        done(&ids[2], "vol-0b", 30),
        Told { state: SnapshotState::Pending, ..done(&ids[3], "vol-0c", 1) },
    ]);
    let job = world.job(&services, false, Some(24), model()).await;
    let expected = [(Rule::RpoExceeded, ids[2].to_string()), (Rule::RpoExceeded, "vol-0c".to_owned())];
    assert_eq!(rules(&job), expected, "an old one is no finding, and a volume without a readable one is");
    let aged = job.items.iter().all(|item| item.taken.is_some());
    assert!(aged && job.items.len() == 4, "every item says how old it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_snapshot_of_a_job_is_a_finding_unless_that_is_accepted() {
    let world = World::new();
    let (empty, held) = (world.snapshot(None, &[]), world.snapshot(None, &[(0, 1)]));
    let services = world.telling(&[done(&empty, "vol-0a", 1), done(&held, "vol-0b", 1)]);
    let job = world.job(&services, true, None, model()).await;
    assert_eq!((job.state(), rules(&job)), (State::Fail, vec![(Rule::EmptySnapshot, empty.to_string())]));
    let accepting = Options { allow_empty: true, ..model() };
    let job = world.job(&services, true, None, accepting).await;
    assert_eq!((job.state(), rules(&job)), (State::Pass, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_by_itself_is_held_against_rpo_by_its_own_age_and_its_blocks_still_pass() {
    let world = World::new();
    let id = world.snapshot(None, &[(0, 1)]);
    let services = world.telling(&[done(&id, "vol-0a", 30)]);
    let within = |hours: u64| Options { rpo: Some(Duration::from_secs(3_600 * hours)), ..snapshot(&id) };
    let run = async |hours| verify::run(&within(hours), Some(&services), &world.engine()).await.unwrap();
    let fresh = run(31).await;
    assert_eq!((fresh.verdict(), fresh.findings.len()), (State::Pass, 0));
    let old = run(29).await;
    assert_eq!(
        (old.verdict(), old.state(), old.findings[0].rule),
        (State::Fail, State::Pass, Rule::RpoExceeded)
    );
    // Nothing says how old it is: that is refused, not taken for new.
    let unknown = verify::run(&within(31), Some(&world.services), &world.engine()).await.unwrap_err();
    assert!(unknown.to_string().contains("--rpo cannot be judged"), "{unknown}");
}

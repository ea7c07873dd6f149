//! Drills that go as they should, and what they say.

use super::faults::{End, ended};
use super::world::{BLOCKS, Trouble, World, counted, here};
use icecore::block::BlockIndex;
use icecore::cost::Usd;
use icecore::fault::Kind;
use icecore::monitor::{Clock, SystemClock};
use icecore::ops::verify::State;
use icecore::ops::warm::Amount;
use icecore::orchestrate::drill::{self, Choice, Drill, Hook, Made, Missed, Options, What};
use icecore::orchestrate::{Outcome, resume};
use icecore::snapshot::{SnapshotId, SnapshotState, Tag, UnixMillis};
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn drilled(world: &Arc<World>, options: Options) -> drill::Report {
    let (services, engine) = (world.services(), world.engine());
    drill::prepare(options, &services, &engine).await.unwrap().run().await.unwrap()
}

#[tokio::test]
async fn a_drill_passes_and_leaves_the_account_as_it_was() {
    let world = World::new(3);
    let report = drilled(&world, Options { at_once: 2, ..world.options() }).await;
    assert_eq!(report.state(), State::Pass, "{report:?}");
    for drill in &report.drills {
        let names: Vec<_> = drill.steps.iter().map(|step| step.name).collect();
        assert_eq!(names, ["create", "attach", "device", "protect", "verify"]);
        assert!(drill.steps.iter().all(|step| step.outcome == Outcome::Done));
        assert_eq!((drill.left().count(), drill.missed.len()), (0, 0));
        assert!(drill.restore.is_some());
        let verified = drill.verified.as_ref().unwrap();
        assert_eq!((verified.coverage.read, verified.coverage.total), (2048, 2048));
    }
    assert!(world.leftovers().is_empty());
    world.is_as_it_was();
    let counts = counted(&world.calls());
    for once in ["CreateVolume", "AttachVolume", "DetachVolume", "DeleteVolume"] {
        assert_eq!(counts[once], 3, "{once}");
    }
    assert_eq!(report.deleted(), 3);
}

#[tokio::test]
async fn one_failing_drill_stops_no_other() {
    let world = World::new(3);
    // The first volume is made; then attaching one is denied, once.
    world.trouble(8, false, Trouble::Fails(Kind::Denied));
    let report = drilled(&world, world.options()).await;
    let states: Vec<_> = report.drills.iter().map(Drill::state).collect();
    assert_eq!(states, [State::Incomplete, State::Pass, State::Pass], "{:?}", world.calls());
    assert_eq!(report.drills[0].exceptions[0].kind, Kind::Denied);
    assert_eq!(report.state(), State::Incomplete);
    assert!(world.leftovers().is_empty());
}

#[tokio::test]
async fn goals_that_are_missed_fail_a_drill_whose_data_is_right() {
    let world = World::new(1);
    let (rto, rpo) = (Some(Duration::ZERO), Some(Duration::from_secs(60)));
    let report = drilled(&world, Options { rto, rpo, ..world.options() }).await;
    let drill = &report.drills[0];
    assert_eq!((drill.state(), drill.verdict), (State::Fail, Some(State::Pass)));
    assert!(matches!(drill.missed[..], [Missed::Rto { .. }, Missed::Rpo { .. }]), "{:?}", drill.missed);
    assert_eq!(drill.validation().status, "FAILED");
    let (rto, rpo) = (Some(Duration::from_secs(60)), Some(Duration::from_secs(1 << 40)));
    let report = drilled(&world, Options { rto, rpo, ..world.options() }).await;
    assert_eq!(report.state(), State::Pass);
}

/// A hook that says so when it runs.
pub(super) fn hook(command: &str) -> Option<Hook> {
    Some(Hook { command: command.to_owned(), timeout: Duration::from_secs(60), gets_credentials: false })
}

#[tokio::test]
async fn a_hook_runs_after_a_pass_only_and_its_code_counts() {
    let world = World::new(1);
    let says = "test -n \"$ICECORE_DEVICE\" && echo $ICECORE_SNAPSHOT; exit 3";
    let report = drilled(&world, Options { hook: hook(says), ..world.options() }).await;
    let [Missed::Hook(hooked)] = &report.drills[0].missed[..] else { panic!("{report:?}") };
    assert_eq!((hooked.code, hooked.said.as_str()), (Some(3), world.snapshots[0].as_str()));
    assert_eq!(report.state(), State::Fail);
    let report = drilled(&world, Options { hook: hook("true"), ..world.options() }).await;
    assert_eq!(report.state(), State::Pass);

    *world.damage.lock().unwrap() = Some(BlockIndex::new(BLOCKS[2].0));
    let report = drilled(&world, Options { hook: hook("exit 3"), ..world.options() }).await;
    let drill = &report.drills[0];
    assert_eq!((drill.state(), drill.missed.len()), (State::Fail, 0), "it was not run");
    let wrong: Vec<_> = drill.verified.as_ref().unwrap().wrong().iter().map(BlockIndex::get).collect();
    assert_eq!(wrong, [BLOCKS[2].0]);
    assert!(world.leftovers().is_empty());
}

/// Of three drills at once the first was denied, and the process died when the others were at work: whoever goes on does
/// nothing twice, and every drill has its own end.
#[tokio::test]
async fn a_run_of_several_drills_that_dies_goes_on_where_each_of_them_was() {
    let all = {
        let world = World::new(3);
        let _ = drilled(&world, Options { at_once: 3, ..world.options() }).await;
        world.calls().len()
    };
    for nth in 6..all {
        let world = World::new(3);
        world.denied.lock().unwrap().push(world.snapshots[0].clone());
        world.trouble(nth, false, Trouble::DoneAndKills);
        let options = Options { at_once: 3, ..world.options() };
        let (services, engine) = (world.services(), world.engine());
        let work = async { drill::prepare(options, &services, &engine).await.unwrap().run().await };
        tokio::select! {
            biased;
            // Nothing is done by a process that is dead.
            () = world.died() => {}
            _ = work => {}
        }
        world.heal();
        for run in super::faults::runs(&world) {
            let (services, engine) = (world.services(), world.engine());
            let report = resume::run(&run, &services, &engine, super::world::waits()).await.unwrap();
            assert_eq!(report.drills.len(), 3);
            let states: Vec<_> = report.drills.iter().map(Drill::state).collect();
            assert_eq!(states[0], State::Incomplete, "{nth}: {states:?}");
            // Both were verified, then or now; one whose taking away had begun was not verified again.
            assert_eq!(
                report.drills[1].verdict.or(report.drills[2].verdict),
                Some(State::Pass),
                "{nth}: {states:?}"
            );
        }
        ended(&world, End::Cleanup).await;
        assert_eq!(world.made.lock().unwrap().len(), 2, "{nth}: one was denied, none was made twice");
    }
}

/// Row 21 of the table of procedures: "tagging strategy". Everything that a run makes carries its tags from the first
/// moment on, with those of the user's own; tags of others are never written over.
#[tokio::test]
async fn row_21_every_volume_that_a_run_makes_carries_its_tags_and_nobody_elses_are_touched() {
    let world = World::new(2);
    let cost = ("cost-centre".to_owned(), "4711".to_owned());
    let made = Made { tags: [cost.clone(), ("icecore:run".into(), "mine".into())].into(), ..Made::default() };
    // The process dies when both volumes are there.
    world.trouble(13, false, Trouble::DoneAndKills);
    let options = Options { made, at_once: 2, ..world.options() };
    tokio::select! {
        biased;
        () = world.died() => {}
        _ = drilled(&world, options) => panic!("it should have died: {:?}", world.calls()),
    }
    let left = world.leftovers();
    assert_eq!(left.len(), 2, "{:?}", world.calls());
    for volume in left {
        for key in ["icecore:owner", "icecore:expires", "icecore:temporary", "icecore:snapshot", "Name"] {
            assert!(volume.tags.contains_key(key), "{key}");
        }
        assert_eq!(volume.tags.get(&cost.0), Some(&cost.1));
        assert!(volume.tags["icecore:run"].starts_with("run-"), "a run is not to be disguised");
    }
    world.heal();
    ended(&world, End::Elsewhere).await;
}

/// Row 30 of the table of procedures: "failover". What would be done is planned up to the attachment, what cannot be
/// restored is named with its reason, and no instance is ever launched.
#[tokio::test]
async fn row_30_a_failover_is_planned_up_to_the_attachment_and_what_cannot_be_restored_is_named() {
    let world = World::new(3);
    let options = |what| Options { what: What::Snapshots(what), ..world.options() };
    let missing = "snap-0dead".parse().unwrap();
    let choice = Choice::Named(vec![world.snapshots[0].clone(), missing]);
    let (services, engine) = (world.services(), world.engine());
    let ready = drill::prepare(options(choice), &services, &engine).await.unwrap();
    let plan = ready.plan();
    assert!(plan.parts[0].unfit.is_none());
    assert!(plan.parts[1].unfit.as_deref().is_some_and(|why| why.contains("does not exist")), "{plan:?}");
    let calls: Vec<_> = plan.in_order(0).flat_map(|(.., line)| line.calls).copied().collect();
    let expected = ["ec2:CreateVolume", "ec2:AttachVolume", "ec2:DetachVolume", "ec2:DeleteVolume"];
    assert_eq!(calls, expected);
    assert!(plan.permissions().iter().all(|right| !right.contains("Run") && !right.contains("Start")));
    assert!(counted(&world.calls()).keys().all(|call| call.starts_with("Describe")), "nothing was changed");
    // An instance that takes no volumes is told before anything is made.
    world.account.edit(|held| held.instances[0].state = icecore::estate::InstanceState::Terminated);
    let fault = drill::prepare(world.options(), &services, &engine).await.unwrap_err();
    assert!(fault.to_string().contains(&format!("{} is terminated", here())), "{fault}");
}

#[tokio::test]
async fn snapshots_are_chosen_as_asked() {
    let world = World::new(4);
    let day = |n: i64| UnixMillis(1_700_000_000_000 + 86_400_000 * n);
    for (n, (id, volume)) in (0..).zip(world.snapshots.iter().zip(["vol-0a", "vol-0a", "vol-0b", "vol-0b"])) {
        world.account.snapshots.edit(id, |info| {
            info.volume_id = Some(volume.parse().unwrap());
            info.start_time = day(n);
            info.tags = [("backup".to_owned(), "nightly".to_owned())].into();
        });
    }
    let (services, engine) = (world.services(), world.engine());
    let chosen = async |choice: Choice| -> Vec<usize> {
        let options = Options { what: What::Snapshots(choice), ..world.options() };
        let plan = drill::prepare(options, &services, &engine).await.unwrap().plan();
        let at = |name: &str| world.snapshots.iter().position(|id| id.as_str() == name).unwrap();
        plan.parts.iter().map(|part| at(&part.name)).collect()
    };
    let nightly: Vec<Tag> = vec!["backup=nightly".parse().unwrap()];
    assert_eq!(chosen(Choice::Latest("vol-0a".parse().unwrap())).await, [1]);
    let tagged = |latest_per_volume| Choice::Tagged { tags: nightly.clone(), latest_per_volume };
    assert_eq!(chosen(tagged(true)).await, [1, 3]);
    assert_eq!(chosen(tagged(false)).await, [0, 1, 2, 3]);
    let drawn = async |seed| chosen(Choice::Random { seed, tags: nightly.clone() }).await;
    assert_eq!(drawn(7).await, drawn(7).await);
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        seen.extend(drawn(seed).await);
    }
    assert_eq!(seen.len(), 4, "every one is drawn some day");
}

#[tokio::test]
async fn a_newest_snapshot_in_error_is_a_drill_of_its_own_that_fails_and_newer_ones_are_named() {
    let world = World::new(3);
    let now = SystemClock.now();
    for (hours, id) in (1..).zip(world.snapshots.iter().rev()) {
        world.account.snapshots.edit(id, |info| {
            info.volume_id = Some("vol-0a".parse().unwrap());
            info.start_time = now.plus_millis(-3_600_000 * hours);
        });
    }
    let change = |id: &SnapshotId, state| world.account.snapshots.edit(id, |info| info.state = state);
    let [readable, failed, pending] = &world.snapshots[..] else { panic!("three") };
    change(failed, SnapshotState::Error);
    change(pending, SnapshotState::Pending);
    let options =
        Options { what: What::Snapshots(Choice::Latest("vol-0a".parse().unwrap())), ..world.options() };
    let report = drilled(&world, options).await;
    let drills: Vec<_> = report.drills.iter().map(|drill| (&drill.snapshot_id, drill.state())).collect();
    assert_eq!(drills, [(readable, State::Pass), (failed, State::Fail)]);
    assert_eq!((report.state(), &report.drills[1].missed[..]), (State::Fail, &[Missed::NewestInError][..]));
    let notes = report.drills[0].notes.join(" ");
    assert!(notes.contains(pending.as_str()) && notes.contains("pending, taken 1h00m before"), "{notes}");
    world.is_as_it_was();
}

/// What `--dry-run` prints of two drills that cost something, and one that cannot be made.
#[tokio::test]
async fn the_plan_of_a_drill_is_what_it_would_do() {
    let world = World::new(2);
    let missing: SnapshotId = "snap-0dead".parse().unwrap();
    let named = [&world.snapshots[..], &[missing]].concat();
    let options = Options {
        warm: Some(Amount::Hottest(100)),
        mount: true,
        hook: Some(Hook {
            command: "./smoke-test".into(),
            timeout: Duration::from_secs(60),
            gets_credentials: false,
        }),
        made: Made { initialization_rate: Some(200), ..Made::default() },
        at_once: 2,
        what: drill::What::Snapshots(drill::Choice::Named(named)),
        ..world.options()
    };
    let mut services = world.services();
    services.max_usd = Some(Usd::from_nanos(10_000_000_000));
    let ready = drill::prepare(options, &services, &world.engine()).await.unwrap();
    crate::golden::check("plan", &ready.plan());
}

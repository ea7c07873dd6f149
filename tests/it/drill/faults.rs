//! Faults and deaths at every call: nothing is left that is not found, and nothing of others is touched.

use super::world::{Trouble, World, waits};
use crate::cli::golden;
use icecore::disk::memory::MemoryDisk;
use icecore::fault::{Kind, Scope};
use icecore::ops::verify::State;
use icecore::orchestrate::cleanup::{self, Done};
use icecore::orchestrate::drill::{self, Options, Report};
use icecore::orchestrate::{Outcome, RunId, Undoing, resume};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// Runs a drill until it ends, or the process dies.
async fn drilled(world: &Arc<World>) -> Option<Result<Report, Kind>> {
    drilled_as(world, world.options()).await
}

async fn drilled_as(world: &Arc<World>, options: Options) -> Option<Result<Report, Kind>> {
    let (services, engine) = (world.services(), world.engine());
    let work = async {
        match drill::prepare(options, &services, &engine).await {
            Ok(ready) => ready.run().await,
            Err(fault) => Err(fault),
        }
    };
    tokio::select! {
        biased;
        // Nothing is done by a process that is dead.
        () = world.died() => None,
        report = work => Some(report.map_err(|fault| fault.kind)),
    }
}

fn steps(report: &Report) -> String {
    report.drills.iter().map(steps_of).collect::<Vec<_>>().join(" | ")
}

fn steps_of(drill: &drill::Drill) -> String {
    let step = |step: &icecore::orchestrate::Taken| {
        let outcome = match step.outcome {
            Outcome::NotReached => return format!("{} -", step.name),
            Outcome::Done => "done",
            Outcome::Failed(_) => "failed",
        };
        match step.undoing {
            Undoing::Nothing => format!("{} {outcome}", step.name),
            Undoing::Undone => format!("{} {outcome} undone", step.name),
            Undoing::Left(_) => format!("{} {outcome} LEFT", step.name),
        }
    };
    drill.steps.iter().map(step).collect::<Vec<_>>().join(", ")
}

/// What a drill says of its steps when a call is denied: this one, or this and all after it.
#[tokio::test]
async fn an_error_at_each_call_says_what_is_done_undone_and_left() {
    let calls = {
        let world = World::new(1);
        let _ = drilled(&world).await.unwrap().unwrap();
        world.calls()
    };
    let mut text = String::new();
    for stays in [false, true] {
        let title = if stays { "denied from this call on" } else { "denied once" };
        writeln!(text, "{title}\n").unwrap();
        for (n, name) in calls.iter().enumerate() {
            let world = World::new(1);
            world.trouble(n, stays, Trouble::Fails(Kind::Denied));
            let said = match drilled(&world).await.unwrap() {
                Ok(report) => {
                    let is_left = report.drills[0].left().next().is_some();
                    // What nobody could look for may be gone; what is there is said.
                    assert!(is_left || world.leftovers().is_empty(), "{n} {name}: {}", steps(&report));
                    if report.state() == State::Pass {
                        // A verification asks for facts that are welcome, not needed.
                        assert!(!is_left);
                    }
                    format!("{}: {}", report.state(), steps(&report))
                }
                Err(kind) => {
                    assert!(world.leftovers().is_empty());
                    format!("{kind:?} before anything was done")
                }
            };
            writeln!(text, "{n:2} {name}: {said}").unwrap();
            world.heal();
            ended(&world, End::Cleanup).await;
        }
        text.push('\n');
    }
    golden("drill-errors.text", &text);
}

/// How what a run left is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// `icecore resume`.
    Resume,
    /// `icecore cleanup` where the journal is.
    Cleanup,
    /// `icecore cleanup` on a machine that knows nothing of the run.
    Elsewhere,
}

/// Ends what is there, and looks whether anything is left.
pub(super) async fn ended(world: &Arc<World>, end: End) {
    if end == End::Elsewhere {
        // A new runner: neither its state nor its devices are there.
        *world.disk.lock().unwrap() = MemoryDisk::with_dir(Path::new("/d"));
        world.mounts.restart();
        // And it comes when the run is long over.
        world.settle().await;
    }
    let (services, engine) = (world.services(), world.engine());
    if end == End::Resume {
        for run in runs(world) {
            let report = resume::run(&run, &services, &engine, waits()).await;
            let report = report.unwrap_or_else(|fault| panic!("{fault}"));
            assert!(report.drills.iter().all(|drill| drill.left().next().is_none()), "{report:?}");
        }
    }
    let options = cleanup::Options { older_than: None, dry_run: false, waits: waits() };
    let report = cleanup::run(&options, &services, &engine).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    if end == End::Resume {
        assert!(report.items.is_empty() && report.ended.is_empty(), "resuming ended all: {report:?}");
    }
    assert!(report.items.iter().all(|item| item.done == Done::Deleted), "{report:?}");
    assert!(world.mounts.is_empty() && runs(world).is_empty());
    // Whatever comes after the journal is gone, nobody waits for.
    world.settle().await;
    assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
    world.is_as_it_was();
}

pub(super) fn runs(world: &World) -> Vec<RunId> {
    let disk = world.disk.lock().unwrap();
    let files = disk.files();
    let names = files.iter().filter_map(|path| path.file_name()?.to_str()?.strip_suffix(".journal"));
    names.map(|name| name.parse().unwrap()).collect()
}

pub(super) fn seeds(full: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how long tests take is the tester's choice")]
    let given = std::env::var("ICECORE_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    given.unwrap_or(full / 50)
}

/// One run with a fault or a death at a random call, ended in one of three ways.
async fn seeded(seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let world = World::new(chance.usize(1..3));
    // What was refused was not done; of the others nobody can tell.
    let refused = [Kind::Denied, Kind::Refused, Kind::NotFound, Kind::Quota, Kind::Throttled(Scope::Account)];
    let unclear = *chance.choice(&[Kind::Service, Kind::Timeout, Kind::Unreachable]).unwrap();
    let troubles = [
        Trouble::Fails(*chance.choice(&refused).unwrap()),
        Trouble::Fails(unclear),
        Trouble::DoneAndFails(unclear),
        Trouble::Kills,
        Trouble::DoneAndKills,
        Trouble::KillsAndIsDoneLater(chance.u8(0..3)),
    ];
    let trouble = *chance.choice(&troubles).unwrap();
    // A view may lag, but not for ever.
    let stays = chance.u8(..4) == 0 && trouble != Trouble::Fails(Kind::NotFound);
    world.trouble(chance.usize(..34), stays, trouble);
    // Half of them mount; of these some cannot, and some have what they mounted kept from them until somebody else ends
    // the run.
    let mount = chance.bool();
    world.mounts.fail_after((chance.u8(..4) == 0).then(|| chance.usize(..2)));
    world.mounts.be_busy(chance.u8(..4) == 0);
    let outcome = drilled_as(&world, Options { mount, ..world.options() }).await;
    world.heal();
    world.mounts.fail_after(None);
    world.mounts.be_busy(false);
    let untagged = world.leftovers().into_iter().find(|volume| !volume.tags.contains_key("icecore:run"));
    assert!(untagged.is_none(), "seed {seed}: {untagged:?}");
    if let Some(Ok(report)) = &outcome {
        let says = report.drills.iter().any(|drill| drill.left().next().is_some());
        assert!(says || world.leftovers().is_empty(), "seed {seed}: left and not said: {}", steps(report));
    }
    let end = *chance.choice(&[End::Resume, End::Cleanup, End::Elsewhere]).unwrap();
    ended(&world, end).await;
}

/// An order that was sent just before the process died is carried out after its death, when cleanup has looked already.
#[tokio::test]
async fn a_volume_that_comes_after_the_death_of_its_run_is_waited_for() {
    let create = {
        let whole = World::new(1);
        let _ = drilled(&whole).await.unwrap().unwrap();
        whole.calls().iter().position(|name| *name == "CreateVolume").unwrap()
    };
    for end in [End::Resume, End::Cleanup] {
        for looks in 0..4 {
            let world = World::new(1);
            world.trouble(create, false, Trouble::KillsAndIsDoneLater(looks));
            assert!(drilled(&world).await.is_none(), "it died");
            assert!(world.leftovers().is_empty(), "nothing has come yet");
            world.heal();
            ended(&world, end).await;
        }
    }
}

#[tokio::test]
async fn whatever_happens_to_a_drill_nothing_of_it_is_left() {
    for seed in 0..seeds(1000) {
        seeded(seed).await;
    }
}

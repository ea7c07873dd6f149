//! Questions that AWS's text leaves open, put to a real account: opt-in, for less than 0.10 USD, cleaned up whatever
//! happens. See README.md.
//!
//! The very same code runs against our own endpoint in every test run, so that it is known to work before somebody
//! with an account runs it.

mod budget;
mod checks;
mod transcript;
mod world;

use crate::lab::Lab;
use budget::Spends;
use checks::{BASE, BLOCKS, CHECKS, Check, LEFT_OUT};
use futures_util::future::{FutureExt, LocalBoxFuture};
use icecore::aws::{Deadlines, Options, Session};
use icecore::endpoint::{Config, Quotas};
use icecore::monitor::{Clock, ManualClock, SystemClock};
use icecore::snapshot::UnixMillis;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use world::{Host, Time, World};

/// What a run found.
struct Outcome {
    transcript: String,
    /// Checks that did not come to an end.
    failed: Vec<&'static str>,
    /// What is still there, although it should not be.
    left: Vec<String>,
}

fn plan(checks: &[Check]) -> Spends {
    checks.iter().fold(BASE, |all, check| all.and(check.spends))
}

/// Makes the snapshot that most checks look at, runs them, and cleans up, also after a panic.
async fn run(world: &World, checks: &'static [Check], before: u64) -> Outcome {
    let cost = world.budget.plan.usd();
    world.say(format!("icecore live checks in {}; at most {} USD", world.region, cost.exact()));
    let left = world.clean_up(before).await;
    assert!(left.is_empty(), "what an earlier run left cannot be deleted: {left:?}");
    let mut failed = Vec::new();
    match unless_it_panics(base(world)).await {
        Err(why) => {
            world.say(format!("the snapshot could not be made: {why}"));
            failed.push("base");
        }
        Ok(base) => {
            for check in checks {
                failed.extend(one(world, check, &base).await);
            }
        }
    }
    for (what, why) in LEFT_OUT {
        world.say(format!("\nnot asked: {what}: {why}"));
    }
    let left = world.clean_up(before).await;
    Outcome { transcript: world.told(), failed, left }
}

async fn base(world: &World) -> String {
    let id = world.start(1, None, false, 60).await;
    for index in 0..BLOCKS {
        world.put(&id, index, 1).await;
    }
    world.complete(&id, BLOCKS).await;
    let listed = async || {
        world.budget.list();
        world.ebs.list_snapshot_blocks().snapshot_id(&id).max_results(100).send().await.ok().map(|_| ())
    };
    let ((), seconds) = world.until("ListSnapshotBlocks", listed).await;
    world.say(format!("{id} could be listed {seconds} s after EC2 showed it as completed"));
    id
}

/// Runs one check, if it can be run here; gives its name if it broke down.
async fn one(world: &World, check: &'static Check, base: &str) -> Option<&'static str> {
    world.say(format!("\n{}: {}", check.name, check.asks));
    if check.needs_host && world.host.is_none() {
        world.say("skipped: it needs an instance, named by ICECORE_LIVE_INSTANCE, and to run there as root");
        return None;
    }
    if !world.has_time_for(check.waits) {
        let minutes = check.waits.as_secs() / 60;
        world.say(format!("skipped: it takes {minutes} minutes; ICECORE_LIVE_MINUTES lets it"));
        return None;
    }
    // Quotas recover before each check.
    world.wait(Duration::from_secs(2)).await;
    let why = unless_it_panics((check.run)(world, base)).await.err()?;
    world.say(format!("broke down: {why}"));
    Some(check.name)
}

/// What it gives, or what it said when it panicked.
async fn unless_it_panics<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| match panic.downcast::<String>() {
        Ok(why) => *why,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| String::new(), |why| why.to_string()),
    })
}

#[expect(clippy::disallowed_methods, reason = "opt-in, and told by whoever runs it")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_account_is_asked_only_when_told_to() {
    if told("ICECORE_LIVE").as_deref() != Some("1") {
        eprintln!("skipped: no account is asked without ICECORE_LIVE=1 (tests/live/README.md)");
        return;
    }
    let session = Session::load(Options::default()).await.unwrap();
    let minutes = told("ICECORE_LIVE_MINUTES").map_or(5, |text| text.parse().expect("minutes"));
    let host =
        told("ICECORE_LIVE_INSTANCE").map(|instance| Host { instance, by_id: icecore::device::BY_ID.into() });
    let now = u64::try_from(SystemClock.now().0 / 1000).unwrap();
    let time = Time::Real { patience: Duration::from_secs(60 * minutes) };
    let world = World::new(&session, &format!("live-{now}"), time, host, plan(CHECKS));
    // An earlier run that began two hours ago is over, one way or the other.
    let outcome = run(&world, CHECKS, now - 7200).await;
    let path = told("ICECORE_LIVE_TRANSCRIPT").unwrap_or_else(|| format!("live-{now}.txt"));
    std::fs::write(&path, &outcome.transcript).unwrap();
    eprintln!("{}\nwritten to {path}", outcome.transcript);
    assert!(outcome.left.is_empty(), "delete these by hand: {:?}", outcome.left);
    assert!(outcome.failed.is_empty(), "broken down: {:?}", outcome.failed);
}

/// An endpoint with AWS's quotas, on whose clock hours are over at once, and its first instance as host.
async fn simulated(checks: &'static [Check]) -> (Lab, World) {
    let clock = Arc::new(ManualClock::at(UnixMillis(1_790_000_000_000)));
    let config = Config {
        clock: clock.clone(),
        quotas: Quotas::Aws,
        ready_after: Duration::from_secs(30),
        ..Config::default()
    };
    let lab = Lab::with(config).await;
    let session = crate::lab::session(&lab.endpoint.url(), Deadlines::default());
    let instance = "i-00000000000000001".to_owned();
    let host = Host { by_id: lab.path("store/devices").join(&instance), instance };
    let world = World::new(&session, "live-1790000000", Time::Moved(clock), Some(host), plan(checks));
    (lab, world)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_ends_against_our_own_endpoint_and_leaves_nothing() {
    let (_lab, world) = simulated(CHECKS).await;
    let outcome = run(&world, CHECKS, 0).await;
    crate::cli::golden("live-transcript.text", &outcome.transcript);
    assert_eq!((outcome.failed, outcome.left), (vec![], vec![]));
    assert_eq!(world.leftovers(|_| true).await, (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_check_made_before_it_broke_down_is_deleted() {
    const BROKEN: &[Check] = &[Check {
        name: "broken",
        asks: "whether it is cleaned up after a panic",
        spends: Spends { snapshot_gib: 1, volume_gib: 1, ..BASE },
        waits: Duration::ZERO,
        needs_host: true,
        run: |world, base| breaks(world, base).boxed_local(),
    }];
    let (_lab, world) = simulated(BROKEN).await;
    let outcome = run(&world, BROKEN, 0).await;
    assert!(outcome.transcript.contains("broke down: on purpose"), "{}", outcome.transcript);
    assert_eq!((outcome.failed, outcome.left), (vec!["broken"], vec![]));
    assert_eq!(world.leftovers(|_| true).await, (vec![], vec![]));
}

fn breaks<'a>(world: &'a World, base: &'a str) -> LocalBoxFuture<'a, ()> {
    async move {
        let pending = world.start(1, None, false, 60).await;
        world.restored(base, world.host.as_ref().unwrap()).await;
        world.say(format!("{pending} is pending, and a volume is attached"));
        panic!("{} purpose", "on");
    }
    .boxed_local()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_run_left_is_deleted_by_the_next_and_a_run_beside_it_is_not_touched() {
    let (lab, world) = simulated(&[]).await;
    let beside = |run: &str| {
        let session = crate::lab::session(&lab.endpoint.url(), Deadlines::default());
        let clock = Arc::new(ManualClock::at(UnixMillis(1_790_000_000_000)));
        World::new(&session, run, Time::Moved(clock), None, Spends::default())
    };
    beside("live-1789000000").start(1, None, false, 60).await;
    let young = beside("live-1789999999").start(1, None, false, 60).await;
    let outcome = run(&world, &[], 1_789_992_800).await;
    assert_eq!((outcome.failed, outcome.left), (vec![], vec![]));
    assert_eq!(world.leftovers(|_| true).await, (vec![young], vec![]));
}

#[test]
fn a_run_costs_less_than_a_dime() {
    assert!(plan(CHECKS).usd().times(2) <= budget::MOST, "{} USD", plan(CHECKS).usd().exact());
}

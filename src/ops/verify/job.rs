//! Several verifications as one: one bad snapshot never stops the rest.

use crate::control::SnapshotQuery;
use crate::cost::Usd;
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, SystemClock};
use crate::ops::verify::{Budget, Exception, Options, Report, State, What, run};
use crate::ops::{Engine, Services, list};
use crate::snapshot::{SnapshotInfo, SnapshotState, StorageTier, Tag, UnixMillis};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// One verification that is to be done.
#[derive(Debug)]
pub struct Planned {
    /// What it is called in the report: a line of a plan, a snapshot's id.
    pub name: String,
    /// What to do; what cannot even be begun says why.
    pub ready: Result<Ready, Fault>,
}

/// Everything that one verification takes.
#[derive(Debug)]
pub struct Ready {
    /// What to do.
    pub options: Options,
    /// Where snapshots are; `None` where only a manifest is held against an image.
    pub services: Option<Services>,
    /// How they are asked for.
    pub engine: Engine,
}

/// What became of one.
#[derive(Debug)]
pub struct Item {
    /// What it is called.
    pub name: String,
    /// Its report, or why there is none.
    pub outcome: Outcome,
}

/// A report, or why there is none.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful of them, and nearly all are reports")]
pub enum Outcome {
    /// It was done, to whatever end.
    Done(Report),
    /// It could not be begun.
    Failed(Exception),
    /// A budget was used up before its turn, or before its first block.
    Skipped(Budget),
}

impl Outcome {
    fn failed(exception: Exception) -> Self {
        match exception.kind {
            Kind::OutOfTime => Self::Skipped(Budget::Deadline),
            _ => Self::Failed(exception),
        }
    }
}

impl Item {
    /// How it ended: what has no report was not verified.
    pub fn state(&self) -> State {
        match &self.outcome {
            Outcome::Done(report) => report.state(),
            Outcome::Failed(_) | Outcome::Skipped(_) => State::Incomplete,
        }
    }
}

/// What `icecore verify` found of several snapshots.
#[derive(Debug)]
#[must_use]
pub struct Job {
    /// In the order in which they were planned.
    pub items: Vec<Item>,
    /// When it began.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: UnixMillis,
    /// How long it took.
    pub elapsed: Duration,
}

impl Job {
    /// Of a run that could not begin.
    pub fn not_begun(name: String, exception: Exception) -> Self {
        let now = SystemClock.now();
        let items = vec![Item { name, outcome: Outcome::failed(exception) }];
        Self { items, started: now, ended: now, elapsed: Duration::ZERO }
    }

    /// The worst of its items; a job without any has verified nothing.
    pub fn state(&self) -> State {
        let has = |state| self.items.iter().any(|item| item.state() == state);
        let worst = [State::Fail, State::ChangedSinceRestore, State::Incomplete]
            .into_iter()
            .find(|state| has(*state));
        match worst {
            Some(state) => state,
            None if self.items.is_empty() => State::Incomplete,
            None => State::Pass,
        }
    }
}

/// Verifies one after the other. The deadline and the budget are those of all together.
pub async fn run_all(planned: Vec<Planned>, deadline: Option<Duration>, max_usd: Option<Usd>) -> Job {
    let (start, started) = (Instant::now(), SystemClock.now());
    let mut spent = Usd::ZERO;
    let mut items = Vec::new();
    for Planned { name, ready } in planned {
        let time_left = deadline.map(|deadline| deadline.saturating_sub(start.elapsed()));
        let usd_left = max_usd.map(|max| Usd::from_nanos(max.nanos().saturating_sub(spent.nanos())));
        let outcome = match ready {
            _ if time_left == Some(Duration::ZERO) => Outcome::Skipped(Budget::Deadline),
            _ if usd_left == Some(Usd::ZERO) && max_usd != Some(Usd::ZERO) => Outcome::Skipped(Budget::Usd),
            Err(fault) => Outcome::failed(Exception::from(&fault)),
            Ok(Ready { options, services, engine }) => {
                let own = [options.deadline, time_left].into_iter().flatten().min();
                let options = Options { deadline: own, max_usd: usd_left.or(options.max_usd), ..options };
                match run(&options, services.as_ref(), &engine).await {
                    Ok(report) => Outcome::Done(report),
                    Err(fault) => Outcome::failed(Exception::from(&fault)),
                }
            }
        };
        if let Outcome::Done(report) = &outcome {
            spent = spent + report.usd.unwrap_or(Usd::ZERO);
        }
        items.push(Item { name, outcome });
    }
    Job { items, started, ended: SystemClock.now(), elapsed: start.elapsed() }
}

/// The snapshots with all of these tags, each to be verified like the model; with `latest_per_volume` the newest
/// readable one of each volume. Snapshots of one volume share a cycle.
pub async fn tagged(
    tags: &[Tag],
    latest_per_volume: bool,
    model: &Options,
    services: &Services,
    engine: &Engine,
) -> Result<Vec<Planned>, Fault> {
    let query = SnapshotQuery { tags: tags.to_vec(), ..SnapshotQuery::default() };
    let found = list::run(&query, services, engine).await?;
    let mut chosen: Vec<SnapshotInfo> = found.snapshots.into_iter().map(|row| row.info).collect();
    if latest_per_volume {
        chosen = newest(chosen);
    }
    let planned = chosen.into_iter().map(|info| Planned {
        name: info.id.to_string(),
        ready: readable(&info).map(|()| Ready {
            options: Options {
                what: What::Snapshot(info.id.clone()),
                cycle_of: info.volume_id.as_ref().filter(|id| id.is_real()).map(ToString::to_string),
                ..model.clone()
            },
            services: Some(services.clone()),
            engine: engine.clone(),
        }),
    });
    Ok(planned.collect())
}

/// What cannot be read is named, never passed over: it is not verified.
pub(crate) fn readable(info: &SnapshotInfo) -> Result<(), Fault> {
    let what = match (info.state, info.tier) {
        (SnapshotState::Completed, StorageTier::Standard) => return Ok(()),
        (SnapshotState::Completed, StorageTier::Archive) => "the snapshot is archived".to_owned(),
        (state, _) => format!("the snapshot is in state {state}"),
    };
    Err(Fault::new(Kind::NotReadable, Place::Snapshot(info.id.clone()), what))
}

/// The newest of each volume that can be read; where none can, the newest. Without a volume each is its own.
pub(crate) fn newest(found: Vec<SnapshotInfo>) -> Vec<SnapshotInfo> {
    let mut newest: BTreeMap<String, SnapshotInfo> = BTreeMap::new();
    for info in found {
        let volume = info.volume_id.as_ref().filter(|id| id.is_real()).map(ToString::to_string);
        let rank = |info: &SnapshotInfo| (readable(info).is_ok(), info.start_time);
        let key = volume.unwrap_or_else(|| info.id.to_string());
        match newest.get(&key) {
            Some(held) if rank(held) >= rank(&info) => {}
            _ => {
                newest.insert(key, info);
            }
        }
    }
    newest.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::conformance::sample;

    #[test]
    fn the_newest_readable_snapshot_of_each_volume_is_chosen() {
        let mut found: Vec<_> = (1..=6).map(sample).collect();
        for (info, volume) in
            found.iter_mut().zip(["vol-0a", "vol-0a", "vol-0a", "vol-0b", "vol-ffffffff", "vol-ffffffff"])
        {
            info.volume_id = Some(volume.parse().unwrap());
            info.state = SnapshotState::Completed;
            info.tier = StorageTier::Standard;
        }
        found[2].state = SnapshotState::Pending;
        found[3].state = SnapshotState::Error;
        let chosen: Vec<_> = newest(found.clone()).into_iter().map(|info| info.id).collect();
        let mut expected: Vec<_> = [1, 3, 4, 5].into_iter().map(|n: usize| found[n].id.clone()).collect();
        expected.sort_by_key(|id| chosen.iter().position(|other| other == id));
        assert_eq!(chosen, expected);
        assert!(readable(&found[3]).is_err(), "the only one of its volume is named, not passed over");
    }
}

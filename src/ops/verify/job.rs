//! Several verifications as one: one bad snapshot never stops the rest.

use crate::control::SnapshotQuery;
use crate::cost::Usd;
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, SystemClock};
use crate::ops::verify::finding::age;
use crate::ops::verify::{Budget, Exception, Finding, Options, Report, State, What, run};
use crate::ops::{Engine, Services, list};
use crate::snapshot::{SnapshotId, SnapshotInfo, SnapshotState, StorageTier, Tag, UnixMillis};
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
    /// When the snapshot was taken, where that is known beforehand.
    pub taken: Option<UnixMillis>,
    /// What is wrong with it whatever its blocks hold.
    pub findings: Vec<Finding>,
}

impl Planned {
    /// One of which nothing is known beforehand.
    pub fn of(name: String, ready: Result<Ready, Fault>) -> Self {
        Self { name, ready, taken: None, findings: Vec::new() }
    }
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
    /// When the snapshot was taken; `None` where that is not known.
    pub taken: Option<UnixMillis>,
    /// What is wrong with the backup beside its blocks: each makes the item fail.
    pub findings: Vec<Finding>,
}

/// A snapshot that is newer than the one verified of its volume, and cannot be read yet or any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newer {
    /// The snapshot.
    pub info: SnapshotInfo,
    /// How old it was when the job began.
    pub age: Duration,
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
    /// One of which nothing is known but its outcome.
    pub fn of(name: String, outcome: Outcome) -> Self {
        Self { name, outcome, taken: None, findings: Vec::new() }
    }

    /// How it ended: what has no report was not verified, and what has a finding fails.
    pub fn state(&self) -> State {
        match &self.outcome {
            _ if !self.findings.is_empty() => State::Fail,
            Outcome::Done(report) => report.verdict(),
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
    /// Snapshots that are newer than those verified and cannot be read: pending, archived.
    pub newer: Vec<Newer>,
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
        let items = vec![Item::of(name, Outcome::failed(exception))];
        Self { items, newer: Vec::new(), started: now, ended: now, elapsed: Duration::ZERO }
    }

    /// What is wrong with backups beside their blocks, of all items.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.items.iter().flat_map(|item| &item.findings)
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
    for Planned { name, ready, taken, mut findings } in planned {
        let time_left = deadline.map(|deadline| deadline.saturating_sub(start.elapsed()));
        let usd_left = max_usd.map(|max| Usd::from_nanos(max.nanos().saturating_sub(spent.nanos())));
        let mut allows_empty = false;
        let outcome = match ready {
            _ if time_left == Some(Duration::ZERO) => Outcome::Skipped(Budget::Deadline),
            _ if usd_left == Some(Usd::ZERO) && max_usd != Some(Usd::ZERO) => Outcome::Skipped(Budget::Usd),
            Err(fault) => Outcome::failed(Exception::from(&fault)),
            Ok(Ready { options, services, engine }) => {
                allows_empty = options.allow_empty;
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
            findings.extend(report.findings.iter().cloned());
            // Among many, an empty backup would be overlooked.
            if report.subject.is_empty() && !allows_empty {
                findings.push(Finding::empty(&report.subject.name));
            }
        }
        let told = match &outcome {
            Outcome::Done(report) => report.subject.info.as_ref().map(|info| info.start_time),
            Outcome::Failed(_) | Outcome::Skipped(_) => None,
        };
        items.push(Item { name, outcome, taken: taken.or(told), findings });
    }
    Job { items, newer: Vec::new(), started, ended: SystemClock.now(), elapsed: start.elapsed() }
}

/// Which snapshots a job by tag is of, and how old they may be.
#[derive(Clone, Debug)]
pub struct Tagged<'a> {
    /// The tags, all of them.
    pub tags: &'a [Tag],
    /// Of each volume only the newest that can be read.
    pub latest_per_volume: bool,
    /// How old the newest readable snapshot of each volume may be.
    pub rpo: Option<Duration>,
}

/// The snapshots with all of these tags, each to be verified like the model. A newest one that failed is an item of its
/// own beside the newest that can be read; newer ones that are pending or archived are returned beside the items.
/// Snapshots of one volume share a cycle.
pub async fn tagged(
    which: &Tagged<'_>,
    model: &Options,
    services: &Services,
    engine: &Engine,
) -> Result<(Vec<Planned>, Vec<Newer>), Fault> {
    let now = SystemClock.now();
    let query = SnapshotQuery { tags: which.tags.to_vec(), ..SnapshotQuery::default() };
    let found = list::run(&query, services, engine).await?;
    let all: Vec<SnapshotInfo> = found.snapshots.into_iter().map(|row| row.info).collect();
    let newest = newest(all.clone());
    let mut too_old: BTreeMap<SnapshotId, Finding> = BTreeMap::new();
    for (info, allowed) in
        newest.chosen.iter().chain(&newest.in_error).filter_map(|info| Some((info, which.rpo?)))
    {
        let has_readable = || newest.chosen.iter().any(|one| same_volume(one, info) && readable(one).is_ok());
        let finding = match readable(info) {
            Ok(()) => Finding::rpo(info, allowed, now),
            Err(_) => (!has_readable()).then(|| Finding::none_readable(info)),
        };
        too_old.extend(finding.map(|finding| (info.id.clone(), finding)));
    }
    let chosen = match which.latest_per_volume {
        true => newest.chosen.into_iter().chain(newest.in_error.iter().cloned()).collect(),
        false => all,
    };
    let planned = chosen.into_iter().map(|info| {
        let is_failed = newest.in_error.iter().any(|failed| failed.id == info.id);
        let failed = is_failed.then(|| Finding::newest_in_error(&info, now));
        let ready = readable(&info).map(|()| Ready {
            options: Options {
                what: What::Snapshot(info.id.clone()),
                cycle_of: info.volume_id.as_ref().filter(|id| id.is_real()).map(ToString::to_string),
                ..model.clone()
            },
            services: Some(services.clone()),
            engine: engine.clone(),
        });
        let findings = failed.into_iter().chain(too_old.remove(&info.id)).collect();
        Planned { name: info.id.to_string(), ready, taken: Some(info.start_time), findings }
    });
    let planned = planned.collect();
    let newer = newest.newer.into_iter().filter(|_| which.latest_per_volume);
    let newer = newer.map(|info| Newer { age: age(info.start_time, now), info }).collect();
    Ok((planned, newer))
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

/// The newest snapshots of each volume.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    /// Of each volume the newest that can be read; where none can, the newest that did not fail.
    pub(crate) chosen: Vec<SnapshotInfo>,
    /// Newest ones that failed: newer than the chosen one of their volume, and than every one that was completed.
    pub(crate) in_error: Vec<SnapshotInfo>,
    /// Others that are newer than the chosen one of their volume.
    pub(crate) newer: Vec<SnapshotInfo>,
}

/// Finds the newest of each volume. Without a volume each is its own.
pub(crate) fn newest(found: Vec<SnapshotInfo>) -> Newest {
    let mut of_volume: BTreeMap<String, Vec<SnapshotInfo>> = BTreeMap::new();
    for info in found {
        let volume = info.volume_id.as_ref().filter(|id| id.is_real()).map(ToString::to_string);
        of_volume.entry(volume.unwrap_or_else(|| info.id.to_string())).or_default().push(info);
    }
    let mut newest = Newest::default();
    for mut snapshots in of_volume.into_values() {
        snapshots.sort_by(|one, other| (other.start_time, &other.id).cmp(&(one.start_time, &one.id)));
        let is_failed = |info: &SnapshotInfo| info.state == SnapshotState::Error;
        let chosen = snapshots.iter().position(|info| readable(info).is_ok());
        let before = chosen.unwrap_or(snapshots.len());
        let completed = snapshots.iter().position(|info| info.state == SnapshotState::Completed);
        let failed = snapshots.iter().position(is_failed);
        let failed = failed.filter(|at| *at < before && completed.is_none_or(|completed| *at < completed));
        let instead = || snapshots.iter().position(|info| !is_failed(info));
        let chosen = chosen.or_else(instead);
        for (at, info) in snapshots.into_iter().enumerate() {
            if chosen == Some(at) {
                newest.chosen.push(info);
            } else if failed == Some(at) {
                newest.in_error.push(info);
            } else if at < before {
                newest.newer.push(info);
            }
        }
    }
    newest
}

/// Whether both are of one volume that is known.
fn same_volume(one: &SnapshotInfo, other: &SnapshotInfo) -> bool {
    let real = |info: &SnapshotInfo| info.volume_id.clone().filter(|id| id.is_real());
    one.id == other.id || (real(one).is_some() && real(one) == real(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::conformance::sample;
    use std::collections::BTreeSet;

    const DONE: (SnapshotState, StorageTier) = (SnapshotState::Completed, StorageTier::Standard);
    const ARCHIVED: (SnapshotState, StorageTier) = (SnapshotState::Completed, StorageTier::Archive);
    const PENDING: (SnapshotState, StorageTier) = (SnapshotState::Pending, StorageTier::Standard);
    const ERROR: (SnapshotState, StorageTier) = (SnapshotState::Error, StorageTier::Standard);

    /// Which of these snapshots of one volume, the oldest first, are chosen, failed, and named.
    fn of(states: &[(SnapshotState, StorageTier)]) -> [Vec<usize>; 3] {
        let found: Vec<SnapshotInfo> = (1..)
            .zip(states)
            .map(|(number, (state, tier))| {
                let volume_id = Some("vol-0a".parse().unwrap());
                SnapshotInfo { volume_id, state: *state, tier: *tier, ..sample(number) }
            })
            .collect();
        let Newest { chosen, in_error, newer } = newest(found.clone());
        let at = |infos: Vec<SnapshotInfo>| {
            let at = |info: &SnapshotInfo| found.iter().position(|one| one.id == info.id).unwrap();
            infos.iter().map(at).collect()
        };
        [at(chosen), at(in_error), at(newer)]
    }

    #[test]
    fn a_newest_snapshot_in_error_is_found_beside_the_newest_that_can_be_read() {
        assert_eq!(of(&[DONE, DONE, ERROR]), [vec![1], vec![2], vec![]]);
        assert_eq!(of(&[DONE, ERROR, ERROR]), [vec![0], vec![2], vec![1]], "the newest of them");
        assert_eq!(
            of(&[DONE, ERROR, PENDING]),
            [vec![0], vec![1], vec![2]],
            "what is pending mends nothing yet"
        );
        assert_eq!(of(&[DONE, ERROR, DONE]), [vec![2], vec![], vec![]], "a later one succeeded");
        assert_eq!(
            of(&[DONE, ERROR, ARCHIVED]),
            [vec![0], vec![], vec![2, 1]],
            "and so did one that is archived"
        );
    }

    #[test]
    fn pending_and_archived_ones_that_are_newer_are_named_and_are_no_failure() {
        assert_eq!(of(&[DONE, PENDING]), [vec![0], vec![], vec![1]]);
        assert_eq!(of(&[DONE, ARCHIVED, PENDING]), [vec![0], vec![], vec![2, 1]]);
        assert_eq!(of(&[ARCHIVED, DONE]), [vec![1], vec![], vec![]], "what is older is not named");
    }

    #[test]
    fn a_volume_of_which_nothing_can_be_read_is_never_passed_over() {
        assert_eq!(of(&[PENDING]), [vec![0], vec![], vec![]]);
        assert_eq!(of(&[ERROR]), [vec![], vec![0], vec![]]);
        assert_eq!(of(&[ARCHIVED, ERROR]), [vec![0], vec![1], vec![]]);
        assert!(readable(&SnapshotInfo { state: SnapshotState::Error, ..sample(1) }).is_err());
    }

    #[test]
    fn the_newest_readable_snapshot_of_each_volume_is_chosen() {
        let mut found: Vec<_> = (1..=6).map(sample).collect();
        for (info, volume) in
            found.iter_mut().zip(["vol-0a", "vol-0a", "vol-0b", "vol-0b", "vol-ffffffff", "vol-ffffffff"])
        {
            info.volume_id = Some(volume.parse().unwrap());
        }
        let chosen: BTreeSet<_> = newest(found.clone()).chosen.into_iter().map(|info| info.id).collect();
        let expected: BTreeSet<_> = [1, 3, 4, 5].map(|n: usize| found[n].id.clone()).into();
        assert_eq!(chosen, expected, "without a volume each is its own");
    }
}

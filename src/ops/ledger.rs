//! Where snapshots stand: what of them was proved, and whether that still counts.

use crate::control::SnapshotQuery;
use crate::fault::Fault;
use crate::ledger::{Contents, Damaged, Entry, Kind};
use crate::ops::verify::State;
use crate::ops::{Engine, Services, list};
use crate::snapshot::{SnapshotId, Tag, UnixMillis, VolumeId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Which snapshots, and how long a proof counts.
#[derive(Clone, Debug)]
pub struct Options {
    /// These, whether or not anything is known of them; with none, all that the ledger knows.
    pub snapshots: Vec<SnapshotId>,
    /// Those of the account with all of these tags as well; empty, all of them. `None` leaves the account alone.
    pub account: Option<Vec<Tag>>,
    /// A proof older than this is outdated.
    pub outdated_after: Duration,
}

/// Where a snapshot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Something was wrong, and no check as deep has passed since.
    Failed,
    /// Nothing was ever proved.
    Never,
    /// What was proved is too long ago.
    Outdated,
    /// It was proved, and that counts.
    Verified,
}

impl Standing {
    /// Every one, worst first.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Never, Self::Outdated, Self::Verified];

    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Never => "never",
            Self::Outdated => "outdated",
            Self::Verified => "verified",
        }
    }
}

/// A snapshot, and where it stands.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub snapshot_id: String,
    /// Its volume, where that is known.
    pub volume_id: Option<String>,
    /// Where it stands.
    pub standing: Standing,
    /// The strongest proof that counts, or the newest of those that do not: the deepest, then the one that read most,
    /// then the newest.
    pub proof: Option<Entry>,
    /// What failed, where that is why it stands so.
    pub failure: Option<Entry>,
    /// What was done last, to whatever end.
    pub last: Option<Entry>,
    /// Runs that the ledger has of it.
    pub runs: u64,
}

/// What `icecore ledger` tells.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// Snapshots, worst first.
    pub rows: Vec<Row>,
    /// Entries that cannot be relied upon.
    pub damaged: Vec<Damaged>,
    /// Whether the account was asked which snapshots there are; otherwise those never verified are not known.
    pub asked_account: bool,
    /// How long a proof counts.
    pub outdated_after: Duration,
    /// When this was.
    pub now: UnixMillis,
}

impl Report {
    /// How many stand there.
    pub fn count(&self, standing: Standing) -> u64 {
        self.rows.iter().filter(|row| row.standing == standing).count() as u64
    }

    /// Whether every snapshot is verified, and nothing of the ledger damaged. Of no snapshot nothing is proved.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty()
            && !self.rows.is_empty()
            && self.rows.iter().all(|row| row.standing == Standing::Verified)
    }
}

/// Reads the ledger of the engine's machine, and asks the account where that is wanted.
pub async fn run(
    options: &Options,
    services: Option<&Services>,
    engine: &Engine,
    now: UnixMillis,
) -> Result<Report, Fault> {
    let machine = engine.machine();
    let found = Contents::below(&machine.disk, &machine.state_dir, Kind::Entries).read::<Entry>()?;
    let mut runs: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in found.entries {
        runs.entry(entry.snapshot_id.clone()).or_default().push(entry);
    }
    let mut wanted: BTreeMap<String, Option<VolumeId>> = BTreeMap::new();
    wanted.extend(options.snapshots.iter().map(|id| (id.to_string(), None)));
    if let (Some(tags), Some(services)) = (&options.account, services) {
        let query = SnapshotQuery { tags: tags.clone(), ..SnapshotQuery::default() };
        let listed = list::run(&query, services, engine).await?.snapshots;
        let real = |id: Option<VolumeId>| id.filter(|id| id.is_real());
        wanted.extend(listed.into_iter().map(|row| (row.info.id.to_string(), real(row.info.volume_id))));
    } else if options.snapshots.is_empty() {
        wanted.extend(runs.keys().map(|id| (id.clone(), None)));
    }
    let mut rows: Vec<_> = wanted
        .into_iter()
        .map(|(id, volume)| {
            let mut row = row(id.clone(), runs.remove(&id).unwrap_or_default(), now, options.outdated_after);
            row.volume_id = volume.map(|id| id.to_string()).or(row.volume_id);
            row
        })
        .collect();
    rows.sort_by(|one, other| (one.standing, &one.snapshot_id).cmp(&(other.standing, &other.snapshot_id)));
    Ok(Report {
        rows,
        damaged: found.damaged,
        asked_account: options.account.is_some(),
        outdated_after: options.outdated_after,
        now,
    })
}

fn row(snapshot_id: String, mut runs: Vec<Entry>, now: UnixMillis, outdated_after: Duration) -> Row {
    runs.sort_by(|one, other| (one.ended_ms, &one.run_id).cmp(&(other.ended_ms, &other.run_id)));
    let is = |entry: &Entry, state: State| entry.state == state.as_str();
    let since = now.0 - i64::try_from(outdated_after.as_millis()).unwrap_or(i64::MAX);
    let passes = || runs.iter().filter(|entry| is(entry, State::Pass));
    let current = passes().filter(|entry| entry.ended_ms >= since);
    let strongest = current.max_by_key(|entry| (entry.level, share(entry), entry.ended_ms));
    // A later pass clears a failure only where it looked as deep.
    let failure = runs.iter().rev().filter(|entry| is(entry, State::Fail)).find(|failed| {
        !passes().any(|passed| passed.ended_ms > failed.ended_ms && passed.level >= failed.level)
    });
    let proof = strongest.or_else(|| passes().next_back());
    let standing = match (failure, strongest, proof) {
        (Some(_), ..) => Standing::Failed,
        (None, Some(_), _) => Standing::Verified,
        (None, None, Some(_)) => Standing::Outdated,
        (None, None, None) => Standing::Never,
    };
    Row {
        snapshot_id,
        volume_id: runs.iter().rev().find_map(|entry| entry.volume_id.clone()),
        standing,
        proof: proof.cloned(),
        failure: failure.cloned(),
        last: runs.last().cloned(),
        runs: runs.len() as u64,
    }
}

/// How much of what the level speaks of was read, in millionths.
fn share(entry: &Entry) -> u64 {
    match entry.blocks_total {
        0 => 1_000_000,
        total => {
            u64::try_from(u128::from(entry.blocks_read) * 1_000_000 / u128::from(total)).unwrap_or(u64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn entry(day: i64, level: u8, state: &str, read: u64) -> Entry {
        Entry {
            run_id: format!("{day}"),
            snapshot_id: "snap-0a".to_owned(),
            volume_id: None,
            target: None,
            level,
            mode: "full".to_owned(),
            state: state.to_owned(),
            blocks_total: 100,
            blocks_read: read,
            mismatches: 0,
            started_ms: day * DAY,
            ended_ms: day * DAY,
        }
    }

    #[track_caller]
    fn check(runs: &[(i64, u8, &str, u64)], standing: Standing, proof: Option<i64>) {
        let runs: Vec<_> =
            runs.iter().map(|(day, level, state, read)| entry(*day, *level, state, *read)).collect();
        let row = row("snap-0a".to_owned(), runs, UnixMillis(100 * DAY), Duration::from_secs(30 * 86_400));
        assert_eq!((row.standing, row.proof.map(|entry| entry.ended_ms / DAY)), (standing, proof));
    }

    #[test]
    fn where_a_snapshot_stands_follows_from_all_its_runs() {
        check(&[], Standing::Never, None);
        check(&[(99, 4, "incomplete", 50)], Standing::Never, None);
        check(&[(99, 4, "changed_since_restore", 100)], Standing::Never, None);
        check(&[(99, 2, "pass", 100)], Standing::Verified, Some(99));
        check(&[(70, 2, "pass", 100)], Standing::Verified, Some(70));
        check(&[(69, 2, "pass", 100)], Standing::Outdated, Some(69));
        check(&[(60, 4, "pass", 100), (69, 2, "pass", 100)], Standing::Outdated, Some(69));
        check(&[(80, 2, "pass", 100), (90, 2, "fail", 100)], Standing::Failed, Some(80));
        check(&[(80, 2, "fail", 100), (90, 2, "pass", 100)], Standing::Verified, Some(90));
        check(&[(20, 4, "fail", 100)], Standing::Failed, None);
    }

    #[test]
    fn a_shallow_pass_does_not_clear_a_deep_failure() {
        check(&[(80, 4, "fail", 100), (90, 2, "pass", 100)], Standing::Failed, Some(90));
        check(&[(80, 3, "fail", 100), (90, 4, "pass", 100)], Standing::Verified, Some(90));
        check(&[(80, 2, "pass", 100), (90, 2, "incomplete", 3)], Standing::Verified, Some(80));
    }

    #[test]
    fn the_strongest_proof_that_counts_is_shown() {
        check(&[(80, 4, "pass", 100), (99, 2, "pass", 100)], Standing::Verified, Some(80));
        check(&[(80, 2, "pass", 100), (99, 2, "pass", 10)], Standing::Verified, Some(80));
        check(&[(80, 2, "pass", 100), (99, 2, "pass", 100)], Standing::Verified, Some(99));
        check(&[(50, 4, "pass", 100), (99, 2, "pass", 10)], Standing::Verified, Some(99));
    }
}

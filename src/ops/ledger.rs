//! Where snapshots stand: what of them was proved, and whether that still counts.
//!
//! [`crate::ledger::judge`] says what runs prove; here the entries are read, their signatures checked, and the account
//! is asked which snapshots there are.

use crate::control::SnapshotQuery;
use crate::evidence::PublicKey;
use crate::fault::Fault;
use crate::ledger::{
    Contents, Damaged, Entry, Judging, Kind, Proof, Record, Records, SignedBytes, Standing, judge,
};
use crate::ops::{Engine, Services, list};
use crate::snapshot::{SnapshotId, Tag, UnixMillis, VolumeId};
use std::collections::BTreeMap;
use std::path::PathBuf;
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
    /// Whether a snapshot of which only a part was read is as good as one that is verified.
    pub accepts_sampled: bool,
    /// Keys of which one has to have signed what proves or clears something; with none, nothing has to be signed.
    pub public_keys: Vec<PublicKey>,
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
    pub proof: Option<Proof>,
    /// What failed, where that is why it stands so.
    pub failure: Option<Entry>,
    /// What was done last, to whatever end.
    pub last: Option<Entry>,
    /// Runs that the ledger has of it.
    pub runs: u64,
    /// Of these, runs dated ahead of the clock.
    pub dated_ahead: u64,
}

/// An entry dated more than five minutes ahead of this machine's clock. A pass proves and clears nothing then; a failure
/// counts.
#[derive(Clone, Debug)]
pub struct DatedAhead {
    /// Its file.
    pub path: PathBuf,
    /// The entry.
    pub entry: Entry,
}

/// What `icecore ledger` tells.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// Snapshots, worst first.
    pub rows: Vec<Row>,
    /// Files that cannot be read as entries.
    pub damaged: Vec<Damaged>,
    /// Entries that count for nothing: no run can have written them, or they contradict what was read of the snapshot.
    pub refused: Vec<Damaged>,
    /// Entries dated ahead of the clock.
    pub dated_ahead: Vec<DatedAhead>,
    /// Whether snapshots of which only a part was read are accepted.
    pub accepts_sampled: bool,
    /// Whether only signed entries prove something.
    pub requires_signature: bool,
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

    /// Whether every file of the ledger could be read and believed.
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty() && self.refused.is_empty()
    }

    /// Whether every snapshot is verified, or sampled where that is accepted, and every file of the ledger could be read
    /// and believed. Of no snapshot nothing is proved.
    pub fn is_clean(&self) -> bool {
        let least = if self.accepts_sampled { Standing::Sampled } else { Standing::Verified };
        self.is_whole() && !self.rows.is_empty() && self.rows.iter().all(|row| row.standing >= least)
    }
}

/// Reads the ledger of the engine's machine, and asks the account where that is wanted.
pub async fn run(
    options: &Options,
    services: Option<&Services>,
    engine: &Engine,
    now: UnixMillis,
) -> Result<Report, Fault> {
    let Records { records, damaged, refused } = entries(engine)?;
    let mut runs = by_snapshot(records);
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
    let public_keys: Vec<String> = options.public_keys.iter().map(ToString::to_string).collect();
    let by = Judging { now, outdated_after: options.outdated_after, public_keys: &public_keys };
    let mut report = Report {
        rows: Vec::with_capacity(wanted.len()),
        damaged,
        refused,
        dated_ahead: Vec::new(),
        accepts_sampled: options.accepts_sampled,
        requires_signature: !public_keys.is_empty(),
        asked_account: options.account.is_some(),
        outdated_after: options.outdated_after,
        now,
    };
    for (id, volume) in wanted {
        let runs = runs.remove(&id).unwrap_or_default();
        report.add(id, volume.map(|id| id.to_string()), &runs, &by);
    }
    let rank = |row: &Row| (row.standing, row.snapshot_id.clone());
    report.rows.sort_by_cached_key(rank);
    Ok(report)
}

impl Report {
    /// Adds a snapshot by its runs.
    fn add(&mut self, snapshot_id: String, volume_id: Option<String>, runs: &[Record], by: &Judging<'_>) {
        let verdict = judge(runs, by);
        self.dated_ahead.extend(verdict.dated_ahead.iter().map(|at| {
            let Record { path, entry, .. } = &runs[*at];
            DatedAhead { path: path.clone(), entry: entry.clone() }
        }));
        self.refused.extend(verdict.contradicted.iter().map(|at| {
            let what = "its manifest has another content root than the snapshot had when it was read";
            Damaged { path: runs[*at].path.clone(), what: what.to_owned() }
        }));
        let newest = || runs.iter().max_by_key(|run| (run.entry.volume_id.is_some(), run.entry.ended_ms));
        self.rows.push(Row {
            volume_id: volume_id.or_else(|| newest()?.entry.volume_id.clone()),
            snapshot_id,
            standing: verdict.standing,
            proof: verdict.proof,
            failure: verdict.failure,
            last: verdict.last,
            runs: runs.len() as u64,
            dated_ahead: verdict.dated_ahead.len() as u64,
        });
    }
}

/// All entries of the engine's machine, those with a signature that is not theirs refused.
pub(crate) fn entries(engine: &Engine) -> Result<Records, Fault> {
    let machine = engine.machine();
    Contents::below(&machine.disk, &machine.state_dir, Kind::Entries).records(None, &holds)
}

/// Entries by the snapshot that they are of.
pub(crate) fn by_snapshot(records: Vec<Record>) -> BTreeMap<String, Vec<Record>> {
    let mut runs: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for record in records {
        runs.entry(record.entry.snapshot_id.clone()).or_default().push(record);
    }
    runs
}

/// Whether a signature is that of this public key.
pub(crate) fn holds(public_key: &str, signed: &SignedBytes) -> bool {
    public_key.parse::<PublicKey>().is_ok_and(|key| key.has_signed(&signed.bytes, &signed.signature))
}

//! Entering a run into the ledger.

use crate::block::{BlockSet, Digest};
use crate::evidence::Key;
use crate::fault::Fault;
use crate::ledger::{
    self, Contents, Counterpart, CounterpartKind, Details, Entry, FORMAT, MAX_KNOWN, Record, Reference,
    ReferenceKind, ReferenceOrigin, encode, ranges,
};
use crate::ops::Engine;
use crate::ops::ledger::holds;
use crate::ops::verify::{
    Baseline, Level, Options, Origin, Report, Subject, SubjectKind, Taken, Target, TargetKind,
};
use crate::snapshot::UnixMillis;
use std::collections::BTreeSet;

/// What the ledger knew of the snapshot before the first block was read.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The newest entries, by SHA-256.
    newest: Vec<String>,
    /// When the first block was read, in milliseconds since 1970; 0 where that is not known. Then the run stands after
    /// no other.
    began_ms: i64,
}

/// Facts of a checkpoint: an interrupted run read its blocks after these, and so did what goes on with it.
const KNOWN: &str = "ledger_known";
const BEGAN: &str = "began_ms";

impl Known {
    /// Looks up the newest entries of the snapshot, before anything is read. Of blocks that were read already only those
    /// entries count that had ended by then.
    pub(super) fn of(subject: &Subject, started: UnixMillis, taken: Option<&Taken>, engine: &Engine) -> Self {
        let began = taken.map_or(Some(started), |taken| taken.began);
        let (Some(id), Some(began)) = (&subject.snapshot_id, began) else { return Self::nothing() };
        let began_ms = began.0.min(started.0);
        let records = match contents(engine).records(Some(&id.to_string()), &holds) {
            Ok(found) => found.records,
            Err(fault) => {
                // The entry is ordered by the clock then, and where that does not do, a failure wins.
                engine.note(format!("the ledger cannot be read: {fault}"));
                Vec::new()
            }
        };
        let is_before = |record: &Record| taken.is_none() || record.entry.ended_ms <= began_ms;
        let records: Vec<Record> = records.into_iter().filter(is_before).collect();
        Self { newest: newest(&records).iter().map(ToString::to_string).collect(), began_ms }
    }

    fn nothing() -> Self {
        Self { newest: Vec::new(), began_ms: 0 }
    }

    /// The facts by which a run that goes on with this one knows it.
    pub(super) fn facts(&self) -> [(String, String); 2] {
        [(KNOWN.to_owned(), self.newest.join(" ")), (BEGAN.to_owned(), self.began_ms.to_string())]
    }

    /// What the interrupted run knew, by the facts of its checkpoint. Those of earlier versions do not say.
    pub(super) fn of_facts<'a>(fact: impl Fn(&str) -> Option<&'a str>) -> Self {
        let began_ms = fact(BEGAN).and_then(|began| began.parse().ok());
        match (fact(KNOWN), began_ms) {
            (Some(known), Some(began_ms)) => {
                Self { newest: known.split_whitespace().map(str::to_owned).collect(), began_ms }
            }
            _ => Self::nothing(),
        }
    }

    /// Enters the run, under the snapshot that it is about.
    pub(super) fn enter(
        self,
        report: &Report,
        read: &BlockSet,
        options: &Options,
        engine: &Engine,
    ) -> Result<(), Fault> {
        let Some(snapshot_id) = &report.subject.snapshot_id else { return Ok(()) };
        let entry = self.entry(report, read, snapshot_id.to_string(), options);
        put(&entry, options.sign_key.as_ref(), engine)
    }

    fn entry(self, report: &Report, read: &BlockSet, snapshot_id: String, options: &Options) -> Entry {
        let volume_id = report.subject.info.as_ref().and_then(|info| info.volume_id.as_ref());
        let (coverage, mode) = (&report.coverage, &report.mode);
        let is_whole = report.is_whole();
        let is_all = is_whole && coverage.read == coverage.total;
        let details = Details {
            extent: report.extent().as_str().to_owned(),
            reads_snapshot: report.subject.kind == SubjectKind::Snapshot,
            reference: reference(report),
            counterpart: report.target.as_ref().map(counterpart),
            blocks_planned: coverage.planned,
            blocks_resumed: coverage.resumed,
            resumed_on_trust: mode.is_resumed,
            coverage: coverage.ratio(),
            upper_bound_95: report.damage_bound(),
            // What ended early has read no part whole.
            parts: if is_whole { parts(mode) } else { Vec::new() },
            parts_of: mode.parts.first().filter(|_| is_whole).map(|part| part.of()),
            cycle_began_ms: report.cycle.map(|cycle| cycle.started_ms),
            read: if is_all { None } else { ranges(read) },
            failed: if report.wrong().is_empty() { None } else { ranges(report.wrong()) },
            began_ms: self.began_ms.clamp(0, report.started.0),
            known: self.newest,
            bundle: None,
            public_key: options.sign_key.as_ref().map(|key| key.public().to_string()),
        };
        Entry {
            format: FORMAT,
            run_id: report.run_id.clone(),
            snapshot_id,
            volume_id: volume_id.filter(|id| id.is_real()).map(ToString::to_string),
            target: report.target.as_ref().map(|target| target.name.clone()),
            level: report.level.number(),
            mode: mode.name(),
            state: report.state().to_string(),
            blocks_total: coverage.total,
            blocks_read: coverage.read,
            mismatches: report.mismatches.len(),
            started_ms: report.started.0,
            // A clock that is put back makes no run end before it began.
            ended_ms: report.ended.0.max(report.started.0),
            details: Some(details),
            signature: None,
        }
    }
}

/// Names in the entry of a run the bundle of evidence that was kept of it, by an entry of the same run beside the first.
///
/// # Errors
/// `Local` where the ledger cannot be read or written.
pub fn name_bundle(
    report: &Report,
    bundle: &ledger::Bundle,
    sign_key: Option<&Key>,
    engine: &Engine,
) -> Result<(), Fault> {
    let Some(snapshot_id) = report.subject.snapshot_id.as_ref().map(ToString::to_string) else {
        return Ok(());
    };
    let found = contents(engine).records(Some(&snapshot_id), &holds)?.records;
    let public_key = sign_key.map(|key| key.public().to_string());
    let own = found.into_iter().map(|record| record.entry).find(|entry| {
        let details = entry.details.as_ref();
        entry.run_id == report.run_id && details.is_some_and(|details| details.public_key == public_key)
    });
    // A level that reads no block enters nothing.
    let Some(mut entry) = own else { return Ok(()) };
    if let Some(details) = &mut entry.details {
        details.bundle = Some(bundle.clone());
    }
    put(&entry, sign_key, engine)
}

/// Puts an entry into the ledger, signed where there is a key.
fn put(entry: &Entry, sign_key: Option<&Key>, engine: &Engine) -> Result<(), Fault> {
    let sign = sign_key.map(|key| |bytes: &[u8]| key.sign(bytes));
    let bytes = encode(entry, sign.as_ref().map(|sign| sign as &dyn Fn(&[u8]) -> [u8; 64]));
    contents(engine).put_bytes(Some(&entry.snapshot_id), &bytes)
}

fn contents(engine: &Engine) -> Contents {
    let machine = engine.machine();
    Contents::below(&machine.disk, &machine.state_dir, ledger::Kind::Entries)
}

/// Entries that no other names as known, the newest where they are too many.
fn newest(records: &[Record]) -> Vec<Digest> {
    let details = records.iter().filter_map(|record| record.entry.details.as_ref());
    let named: BTreeSet<Digest> =
        details.flat_map(|details| &details.known).filter_map(|digest| digest.parse().ok()).collect();
    let mut newest: Vec<&Record> =
        records.iter().filter(|record| !record.digests.iter().any(|digest| named.contains(digest))).collect();
    newest.sort_by_key(|record| std::cmp::Reverse(record.entry.ended_ms));
    newest.into_iter().take(MAX_KNOWN).filter_map(|record| record.digests.first().copied()).collect()
}

/// The parts of the mode, ascending.
fn parts(mode: &crate::ops::verify::Mode) -> Vec<u32> {
    let parts: BTreeSet<u32> = mode.parts.iter().map(|part| part.part()).collect();
    parts.into_iter().collect()
}

/// What the run expected blocks to be.
fn reference(report: &Report) -> Reference {
    let by_manifest = report.subject.kind == SubjectKind::Manifest
        || (report.level == Level::Content && report.target.is_none());
    let text = |digest: &Option<Digest>| digest.map(|digest| digest.to_string());
    let snapshot = || Reference {
        kind: ReferenceKind::Snapshot,
        origin: None,
        name: None,
        map_root: text(&report.map_root),
        content_root: text(&report.content_root),
    };
    let manifest = |baseline: &Baseline| Reference {
        kind: ReferenceKind::Manifest,
        origin: Some(match baseline.origin {
            Origin::Source => ReferenceOrigin::Source,
            Origin::EarlierRead => ReferenceOrigin::EarlierRead,
            Origin::Copy => ReferenceOrigin::Copy,
        }),
        name: Some(baseline.name.clone()),
        map_root: text(&baseline.map_root),
        content_root: text(&baseline.content_root),
    };
    match report.baseline.as_ref().filter(|_| by_manifest) {
        Some(baseline) => manifest(baseline),
        None => snapshot(),
    }
}

fn counterpart(target: &Target) -> Counterpart {
    let (kind, id) = match target.kind {
        TargetKind::Device => (CounterpartKind::Device, target.volume_id.as_ref().map(ToString::to_string)),
        TargetKind::File => (CounterpartKind::File, None),
        TargetKind::Snapshot => (CounterpartKind::Snapshot, Some(target.name.clone())),
    };
    Counterpart { kind, id }
}

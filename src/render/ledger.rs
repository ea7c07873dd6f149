//! `icecore ledger`: where snapshots stand.

use crate::ledger::{Damaged, Details, Entry, FORMAT, Proof, Reference, ReferenceKind, Standing};
use crate::ops::ledger::{DatedAhead, Report, Row};
use crate::render::escape::escaped;
use crate::render::json::{self, Frame};
use crate::render::numbers::{count, rfc3339, to_the_second};
use crate::render::openmetrics::Page;
use crate::render::sheet::{self, maybe};
use crate::render::{Format, Printer, Render, table};
use crate::snapshot::UnixMillis;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};

/// Snapshots shown to people, the worst first; programs get all of them.
const SHOWN: usize = 40;

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(text),
            Format::Json => Some(as_json),
            Format::Csv => Some(csv),
            Format::Metrics => Some(metrics),
            Format::Jsonl | Format::Cbt | Format::Junit => None,
        }
    }
}

#[derive(Serialize)]
struct View<'a> {
    totals: Totals,
    outdated_after_days: u64,
    /// Whether snapshots that were never verified are listed as well.
    asked_account: bool,
    snapshots: Vec<RowView<'a>>,
    damaged: Vec<DamagedView<'a>>,
    /// Entries that no run can have written, or that contradict what was read of the snapshot.
    refused: Vec<DamagedView<'a>>,
    /// Entries dated ahead of the clock: passes that count for nothing, failures that do.
    dated_ahead: Vec<AheadView<'a>>,
    /// Whether sampled snapshots are accepted.
    accepts_sampled: bool,
    /// Whether only signed entries prove something.
    requires_signature: bool,
}

#[derive(Serialize)]
struct Totals {
    verified: u64,
    sampled: u64,
    failed: u64,
    outdated: u64,
    never: u64,
}

#[derive(Serialize)]
struct RowView<'a> {
    snapshot_id: &'a str,
    volume_id: Option<&'a str>,
    state: &'static str,
    /// Of the proof; null where there is none.
    level: Option<u8>,
    mode: Option<&'a str>,
    coverage: Option<f64>,
    target: Option<&'a str>,
    verified_at: Option<String>,
    age_seconds: Option<i64>,
    /// What failed; null unless that is why it stands so.
    failed_at: Option<String>,
    failed_level: Option<u8>,
    mismatches: Option<u64>,
    /// How the last run ended, whether or not it proved anything.
    last_state: Option<&'a str>,
    last_at: Option<String>,
    runs: u64,
    /// The largest share of the blocks that may be damaged although the proof holds.
    upper_bound_95: Option<f64>,
    /// Runs that the proof takes together.
    proof_runs: Option<usize>,
    /// Version of the entry's format; an entry of version 1 does not say what follows here.
    format: Option<u32>,
    run_id: Option<&'a str>,
    failed_run_id: Option<&'a str>,
    /// Which blocks the newest run of the proof read.
    extent: Option<&'a str>,
    target_kind: Option<&'static str>,
    /// What blocks were expected to be.
    reference: Option<ReferenceView<'a>>,
    resumed_on_trust: Option<bool>,
    bundle: Option<BundleView<'a>>,
    /// The key that signed it.
    signed_by: Option<&'a str>,
    dated_ahead: u64,
}

#[derive(Serialize)]
struct ReferenceView<'a> {
    kind: &'static str,
    origin: Option<&'static str>,
    name: Option<&'a str>,
    map_root: Option<&'a str>,
    content_root: Option<&'a str>,
}

#[derive(Serialize)]
struct BundleView<'a> {
    number: u64,
    sha256: &'a str,
}

#[derive(Serialize)]
struct AheadView<'a> {
    file: String,
    snapshot_id: &'a str,
    run_id: &'a str,
    state: &'a str,
    ended_at: Option<String>,
}

#[derive(Serialize)]
struct DamagedView<'a> {
    file: String,
    what: &'a str,
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let view = View {
        totals: Totals {
            verified: report.count(Standing::Verified),
            sampled: report.count(Standing::Sampled),
            failed: report.count(Standing::Failed),
            outdated: report.count(Standing::Outdated),
            never: report.count(Standing::Never),
        },
        outdated_after_days: report.outdated_after.as_secs() / 86_400,
        asked_account: report.asked_account,
        snapshots: report.rows.iter().map(|row| row_view(row, report.now)).collect(),
        damaged: report.damaged.iter().map(damaged).collect(),
        refused: report.refused.iter().map(damaged).collect(),
        dated_ahead: report.dated_ahead.iter().map(ahead).collect(),
        accepts_sampled: report.accepts_sampled,
        requires_signature: report.requires_signature,
    };
    let frame = Frame { complete: report.is_whole(), requests: None, elapsed: None };
    json::object(out, "ledger", frame, &view)
}

fn damaged(damaged: &Damaged) -> DamagedView<'_> {
    DamagedView { file: damaged.path.display().to_string(), what: &damaged.what }
}

fn ahead(ahead: &DatedAhead) -> AheadView<'_> {
    AheadView {
        file: ahead.path.display().to_string(),
        snapshot_id: &ahead.entry.snapshot_id,
        run_id: &ahead.entry.run_id,
        state: &ahead.entry.state,
        ended_at: rfc3339(UnixMillis(ahead.entry.ended_ms)),
    }
}

fn row_view(row: &Row, now: UnixMillis) -> RowView<'_> {
    let (proof, failure, last) = (row.proof.as_ref(), row.failure.as_ref(), row.last.as_ref());
    let entry = proof.map(|proof| &proof.entry);
    let details = entry.and_then(|entry| entry.details.as_ref());
    let at = |entry: &Entry| rfc3339(UnixMillis(entry.ended_ms));
    RowView {
        snapshot_id: &row.snapshot_id,
        volume_id: row.volume_id.as_deref(),
        state: row.standing.as_str(),
        level: proof.map(|proof| proof.level),
        mode: entry.map(|entry| entry.mode.as_str()),
        coverage: proof.map(Proof::coverage),
        target: entry.and_then(|entry| entry.target.as_deref()),
        verified_at: proof.and_then(|proof| rfc3339(UnixMillis(proof.since_ms))),
        age_seconds: proof.map(|proof| (now.0 - proof.since_ms) / 1000),
        failed_at: failure.and_then(at),
        failed_level: failure.map(|entry| entry.level),
        mismatches: failure.map(|entry| entry.mismatches),
        last_state: last.map(|entry| entry.state.as_str()),
        last_at: last.and_then(at),
        runs: row.runs,
        upper_bound_95: proof.map(|proof| proof.upper_bound_95),
        proof_runs: proof.map(|proof| proof.runs),
        format: entry.map(|entry| entry.format),
        run_id: entry.map(|entry| entry.run_id.as_str()),
        failed_run_id: failure.map(|entry| entry.run_id.as_str()),
        extent: details.map(|details| details.extent.as_str()),
        target_kind: entry.and_then(Entry::counterpart).map(|kind| kind.as_str()),
        reference: details.map(|details| reference_view(&details.reference)),
        resumed_on_trust: details.map(|details| details.resumed_on_trust),
        bundle: details
            .and_then(|details| details.bundle.as_ref())
            .map(|bundle| BundleView { number: bundle.number, sha256: &bundle.sha256 }),
        signed_by: details.and_then(|details| details.public_key.as_deref()),
        dated_ahead: row.dated_ahead,
    }
}

fn reference_view(reference: &Reference) -> ReferenceView<'_> {
    ReferenceView {
        kind: reference.kind.as_str(),
        origin: reference.origin.map(|origin| origin.as_str()),
        name: reference.name.as_deref(),
        map_root: reference.map_root.as_deref(),
        content_root: reference.content_root.as_deref(),
    }
}

fn csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "snapshot_id,volume_id,state,level,mode,coverage,verified_at,failed_at,last_state,last_at,runs,\
         upper_bound_95,target_kind,signed_by"
    )?;
    for row in &report.rows {
        let view = row_view(row, report.now);
        let cells: [&dyn Display; 14] = [
            &view.snapshot_id,
            &maybe(view.volume_id),
            &view.state,
            &maybe(view.level),
            &maybe(view.mode),
            &maybe(view.coverage),
            &maybe(view.verified_at),
            &maybe(view.failed_at),
            &maybe(view.last_state),
            &maybe(view.last_at),
            &view.runs,
            &maybe(view.upper_bound_95),
            &maybe(view.target_kind),
            &maybe(view.signed_by),
        ];
        sheet::row(out, &cells)?;
    }
    Ok(())
}

fn metrics(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new("icecore_ledger");
    let of = |row: &Row| vec![("snapshot_id".to_owned(), row.snapshot_id.clone())];
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let proofs = || report.rows.iter().filter_map(|row| Some((of(row), row.proof.as_ref()?)));
    let totals = Standing::ALL.map(|standing| {
        (vec![("state".to_owned(), standing.as_str().to_owned())], report.count(standing) as f64)
    });
    page.gauge("snapshots", "Snapshots that stand there", totals);
    page.gauge("last_run_timestamp_seconds", "When this was told", [(Vec::new(), seconds(report.now.0))]);
    let since = |is_complete: bool| {
        let of_kind = proofs().filter(move |(_, proof)| proof.is_complete == is_complete);
        of_kind.map(|(of, proof)| (of, seconds(proof.since_ms))).collect::<Vec<_>>()
    };
    page.gauge(
        "last_success_timestamp_seconds",
        "When the snapshot was verified, every block of it",
        since(true),
    );
    page.gauge("last_sampled_timestamp_seconds", "When some blocks of it were verified", since(false));
    page.gauge("level", "How deep", proofs().map(|(of, proof)| (of, f64::from(proof.level))));
    page.gauge("coverage_ratio", "How much of it", proofs().map(|(of, proof)| (of, proof.coverage())));
    page.gauge(
        "upper_bound_95_ratio",
        "How much of it may be damaged all the same",
        proofs().map(|(of, proof)| (of, proof.upper_bound_95)),
    );
    let files = [
        ("damaged_entries", "Entries that cannot be read", report.damaged.len()),
        ("refused_entries", "Entries that count for nothing", report.refused.len()),
        ("dated_ahead_entries", "Entries dated ahead of the clock", report.dated_ahead.len()),
    ];
    for (name, what, n) in files {
        page.gauge(name, what, [(Vec::new(), n as f64)]);
    }
    page.write(out)
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let order =
        [Standing::Verified, Standing::Failed, Standing::Sampled, Standing::Outdated, Standing::Never];
    let counts: Vec<_> = order
        .into_iter()
        .map(|standing| format!("{} {}", count(report.count(standing)), standing.as_str()))
        .collect();
    let days = report.outdated_after.as_secs() / 86_400;
    let days = if days == 1 { "a day".to_owned() } else { format!("{} days", count(days)) };
    writeln!(out, "{}; a verification counts for {days}", counts.join(", "))?;
    if report.rows.is_empty() {
        let nothing = match report.asked_account {
            true => "The account has no such snapshot.",
            false => "Nothing was verified yet, or the ledger is elsewhere: --state-dir, state pull.",
        };
        writeln!(out, "\n{nothing}")?;
    } else {
        writeln!(out)?;
        let rows = report.rows.iter().take(SHOWN).map(row);
        let header = ["  STATE", "SNAPSHOT", "VOLUME", "LEVEL", "READ", "HOW", "WHEN", ""];
        table::rows(out, &header, &[4], rows)?;
    }
    match report.rows.len().saturating_sub(SHOWN) {
        0 => {}
        more => writeln!(out, "  .. and {} more; --format json lists all", count(more as u64))?,
    }
    for (word, files) in [("damaged", &report.damaged), ("refused", &report.refused)] {
        for file in files {
            writeln!(out, "{word}: {}: {}", escaped(&file.path.display().to_string()), escaped(&file.what))?;
        }
    }
    for DatedAhead { path, entry } in &report.dated_ahead {
        let at = to_the_second(UnixMillis(entry.ended_ms));
        let counts = match entry.state.as_str() {
            "fail" => "a failure, which counts all the same",
            _ => "which proves and clears nothing",
        };
        let path = escaped(&path.display().to_string());
        writeln!(out, "dated ahead of this clock: {path}: {} at {at}, {counts}", escaped(&entry.state))?;
    }
    if report.requires_signature {
        writeln!(
            out,
            "\nOnly entries that are signed with a key given count as proof; failures count unsigned."
        )?;
    }
    if report.count(Standing::Sampled) > 0 && !report.accepts_sampled {
        writeln!(out, "\nSampled is not verified: some blocks were not read. --accept sampled accepts it.")?;
    }
    if !report.asked_account {
        writeln!(out, "\nSnapshots that were never verified show with --account.")?;
    }
    Ok(())
}

/// The proof of a row; the last column says what else there is to say of it.
fn row(row: &Row) -> Vec<String> {
    let none = || "-".to_owned();
    let proof = row.proof.as_ref();
    let mut notes = Vec::new();
    match (&row.failure, &row.last) {
        (Some(failure), _) => {
            let at = to_the_second(UnixMillis(failure.ended_ms));
            notes.push(format!("L{} failed {at}, {} wrong", failure.level, count(failure.mismatches)));
        }
        (None, Some(last)) if last.state != "pass" => {
            notes.push(format!("{} {}", escaped(&last.state), to_the_second(UnixMillis(last.ended_ms))));
        }
        _ => {}
    }
    notes.extend(proof.map(of_proof).unwrap_or_default());
    if row.dated_ahead > 0 {
        notes.push(format!("{} dated ahead of this clock", count(row.dated_ahead)));
    }
    vec![
        format!("  {}", row.standing.as_str()),
        escaped(&row.snapshot_id),
        row.volume_id.as_deref().map_or_else(none, escaped),
        proof.map_or_else(none, |proof| format!("L{}", proof.level)),
        proof.map_or_else(none, |proof| format!("{:.1} %", 100.0 * proof.coverage())),
        proof.map_or_else(none, |proof| escaped(&proof.entry.mode)),
        proof.map_or_else(none, |proof| to_the_second(UnixMillis(proof.since_ms))),
        notes.join("; "),
    ]
}

/// What is to be said of a proof beside its numbers.
fn of_proof(proof: &Proof) -> Vec<String> {
    let mut notes = Vec::new();
    if !proof.is_complete {
        notes.push(format!("at most {:.3} % damaged", 100.0 * proof.upper_bound_95));
    }
    if proof.runs > 1 {
        notes.push(format!("by {} runs", count(proof.runs as u64)));
    }
    let Some(Details { reference, resumed_on_trust, bundle, public_key, .. }) = &proof.entry.details else {
        notes.push(format!("entry of format {}, not {FORMAT}", proof.entry.format));
        return notes;
    };
    if reference.kind == ReferenceKind::Manifest {
        let origin = reference.origin.map_or("", |origin| origin.as_str()).replace('_', " ");
        let root = reference.content_root.as_deref().unwrap_or("?").chars().take(12).collect::<String>();
        notes.push(format!("by manifest {} ({origin})", escaped(&root)));
    }
    if *resumed_on_trust {
        notes.push("resumed on trust".to_owned());
    }
    notes.extend(bundle.as_ref().map(|bundle| format!("evidence {}", bundle.number)));
    notes.extend(
        public_key.as_ref().map(|key| format!("signed {}", key.chars().take(12).collect::<String>())),
    );
    notes
}

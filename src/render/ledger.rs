//! `icecore ledger`: where snapshots stand.

use crate::ledger::{Damaged, Entry};
use crate::ops::ledger::{Report, Row, Standing};
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
}

#[derive(Serialize)]
struct Totals {
    verified: u64,
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
            failed: report.count(Standing::Failed),
            outdated: report.count(Standing::Outdated),
            never: report.count(Standing::Never),
        },
        outdated_after_days: report.outdated_after.as_secs() / 86_400,
        asked_account: report.asked_account,
        snapshots: report.rows.iter().map(|row| row_view(row, report.now)).collect(),
        damaged: report.damaged.iter().map(damaged).collect(),
    };
    let frame = Frame { complete: report.damaged.is_empty(), requests: None, elapsed: None };
    json::object(out, "ledger", frame, &view)
}

fn damaged(damaged: &Damaged) -> DamagedView<'_> {
    DamagedView { file: damaged.path.display().to_string(), what: &damaged.what }
}

fn row_view(row: &Row, now: UnixMillis) -> RowView<'_> {
    let (proof, failure, last) = (row.proof.as_ref(), row.failure.as_ref(), row.last.as_ref());
    let at = |entry: &Entry| rfc3339(UnixMillis(entry.ended_ms));
    RowView {
        snapshot_id: &row.snapshot_id,
        volume_id: row.volume_id.as_deref(),
        state: row.standing.as_str(),
        level: proof.map(|entry| entry.level),
        mode: proof.map(|entry| entry.mode.as_str()),
        coverage: proof.map(coverage),
        target: proof.and_then(|entry| entry.target.as_deref()),
        verified_at: proof.and_then(at),
        age_seconds: proof.map(|entry| (now.0 - entry.ended_ms) / 1000),
        failed_at: failure.and_then(at),
        failed_level: failure.map(|entry| entry.level),
        mismatches: failure.map(|entry| entry.mismatches),
        last_state: last.map(|entry| entry.state.as_str()),
        last_at: last.and_then(at),
        runs: row.runs,
    }
}

fn coverage(entry: &Entry) -> f64 {
    if entry.blocks_total == 0 { 1.0 } else { entry.blocks_read as f64 / entry.blocks_total as f64 }
}

fn csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "snapshot_id,volume_id,state,level,mode,coverage,verified_at,failed_at,last_state,last_at,runs"
    )?;
    for row in &report.rows {
        let view = row_view(row, report.now);
        let cells: [&dyn Display; 11] = [
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
    page.gauge(
        "last_success_timestamp_seconds",
        "When the snapshot was verified",
        proofs().map(|(of, proof)| (of, seconds(proof.ended_ms))),
    );
    page.gauge("level", "How deep", proofs().map(|(of, proof)| (of, f64::from(proof.level))));
    page.gauge("coverage_ratio", "How much of it", proofs().map(|(of, proof)| (of, coverage(proof))));
    page.gauge("damaged_entries", "Entries that cannot be read", [(Vec::new(), report.damaged.len() as f64)]);
    page.write(out)
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let counts: Vec<_> = [Standing::Verified, Standing::Failed, Standing::Outdated, Standing::Never]
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
    for damaged in &report.damaged {
        writeln!(out, "damaged: {}: {}", damaged.path.display(), escaped(&damaged.what))?;
    }
    if !report.asked_account {
        writeln!(out, "\nSnapshots that were never verified show with --account.")?;
    }
    Ok(())
}

/// What stands in a row is the proof; the last column says why that is not all.
fn row(row: &Row) -> Vec<String> {
    let none = || "-".to_owned();
    let note = match (&row.failure, &row.last) {
        (Some(failure), _) => {
            let at = to_the_second(UnixMillis(failure.ended_ms));
            format!("L{} failed {at}, {} wrong", failure.level, count(failure.mismatches))
        }
        (None, Some(last)) if last.state != "pass" => {
            format!("{} {}", escaped(&last.state), to_the_second(UnixMillis(last.ended_ms)))
        }
        _ => String::new(),
    };
    let proof = row.proof.as_ref();
    vec![
        format!("  {}", row.standing.as_str()),
        escaped(&row.snapshot_id),
        row.volume_id.as_deref().map_or_else(none, escaped),
        proof.map_or_else(none, |entry| format!("L{}", entry.level)),
        proof.map_or_else(none, |entry| format!("{:.1} %", 100.0 * coverage(entry))),
        proof.map_or_else(none, |entry| escaped(&entry.mode)),
        proof.map_or_else(none, |entry| to_the_second(UnixMillis(entry.ended_ms))),
        note,
    ]
}

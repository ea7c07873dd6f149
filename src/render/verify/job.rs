//! Several verifications as one report.

use crate::ops::verify::{Item, Job, Newer, Outcome, State, age, in_words};
use crate::render::escape::escaped;
use crate::render::json::{self, Frame};
use crate::render::numbers::{count, rfc3339, span};
use crate::render::sheet::{self, maybe};
use crate::render::verify::text::shown;
use crate::render::verify::view::{FindingView, View};
use crate::render::verify::{junit, metrics};
use crate::render::{Format, Printer, Render, table};
use crate::snapshot::{SnapshotState, StorageTier};
use serde::Serialize;
use std::io::{self, Write};

impl Render for Job {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(text),
            Format::Json => Some(as_json),
            Format::Csv => Some(csv),
            Format::Junit => Some(junit::of_job),
            Format::Metrics => Some(metrics::of_job),
            Format::Jsonl | Format::Cbt => None,
        }
    }
}

#[derive(Serialize)]
struct JobView<'a> {
    items: Vec<ItemView<'a>>,
    /// Of all items.
    findings: Vec<FindingView<'a>>,
    /// Snapshots that are newer than those verified and cannot be read.
    newer: Vec<NewerView<'a>>,
}

#[derive(Serialize)]
struct NewerView<'a> {
    snapshot_id: &'a str,
    volume_id: Option<&'a str>,
    state: &'static str,
    tier: &'static str,
    taken_at: Option<String>,
    age_seconds: u64,
}

#[derive(Serialize)]
struct ItemView<'a> {
    name: &'a str,
    state: &'static str,
    /// Why there is no report; null where there is one.
    error: Option<String>,
    /// When the snapshot was taken; null where that is not known.
    taken_at: Option<String>,
    /// How old it was when the job began.
    age_seconds: Option<u64>,
    findings: Vec<FindingView<'a>>,
    /// The fields of a verification by itself; null where it could not be begun.
    report: Option<View<'a>>,
}

fn as_json(job: &Job, out: &mut dyn Write) -> io::Result<()> {
    let view = JobView {
        items: job.items.iter().map(|item| item_view(item, job)).collect(),
        findings: job.findings().map(FindingView::of).collect(),
        newer: job.newer.iter().map(newer_view).collect(),
    };
    let frame = Frame { complete: true, requests: None, elapsed: Some(job.elapsed) };
    json::stated(out, "verify-job", job.state().as_str(), frame, &view)
}

fn newer_view(newer: &Newer) -> NewerView<'_> {
    let info = &newer.info;
    NewerView {
        snapshot_id: info.id.as_str(),
        volume_id: info.volume_id.as_ref().map(|id| id.as_str()),
        state: info.state.as_str(),
        tier: info.tier.as_str(),
        taken_at: rfc3339(info.start_time),
        age_seconds: newer.age.as_secs(),
    }
}

fn item_view<'a>(item: &'a Item, job: &Job) -> ItemView<'a> {
    let (error, report) = match &item.outcome {
        Outcome::Done(report) => (None, Some(View::of(report))),
        other => (why(other), None),
    };
    ItemView {
        name: &item.name,
        state: item.state().as_str(),
        error,
        taken_at: item.taken.and_then(rfc3339),
        age_seconds: item.taken.map(|taken| age(taken, job.started).as_secs()),
        findings: item.findings.iter().map(FindingView::of).collect(),
        report,
    }
}

pub(super) fn why(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Done(_) => None,
        Outcome::Failed(exception) => Some(exception.what.clone()),
        Outcome::Skipped(budget) => {
            Some(format!("the budget ({}) was used up before it began", budget.as_str()))
        }
    }
}

fn csv(job: &Job, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "name,state,level,blocks_total,blocks_read,mismatches,error,age_seconds,findings")?;
    for item in &job.items {
        let (name, state) = (&item.name, item.state());
        let old = maybe(item.taken.map(|taken| age(taken, job.started).as_secs()));
        let rules: Vec<_> = item.findings.iter().map(|finding| finding.rule.as_str()).collect();
        let rules = rules.join(" ");
        match &item.outcome {
            Outcome::Done(report) => {
                let coverage = &report.coverage;
                let (level, wrong) = (report.level.number(), report.mismatches.len());
                sheet::row(
                    out,
                    &[name, &state, &level, &coverage.total, &coverage.read, &wrong, &"", &old, &rules],
                )?;
            }
            other => {
                let why = why(other).unwrap_or_default();
                sheet::row(out, &[name, &state, &"", &"", &"", &"", &why, &old, &rules])?;
            }
        }
    }
    Ok(())
}

fn text(job: &Job, out: &mut dyn Write) -> io::Result<()> {
    let passed = job.items.iter().filter(|item| item.state() == State::Pass).count() as u64;
    let (all, state) = (job.items.len() as u64, job.state().as_str().to_uppercase().replace('_', " "));
    writeln!(out, "{state}  {} of {} verified in {}\n", count(passed), count(all), span(job.elapsed))?;
    let rows = job.items.iter().map(|item| {
        let (level, checked, note) = match &item.outcome {
            Outcome::Done(report) => {
                let wrong = report.mismatches.len();
                let first = report.exceptions.first().map(|exception| exception.what.clone());
                let first = first.or_else(|| report.void()).unwrap_or_default();
                let note = if wrong > 0 { format!("{} wrong", count(wrong)) } else { first };
                let coverage = &report.coverage;
                (
                    report.level.to_string(),
                    format!("{} of {}", count(coverage.read), count(coverage.total)),
                    note,
                )
            }
            other => ("-".to_owned(), "-".to_owned(), why(other).unwrap_or_default()),
        };
        let old = item.taken.map_or("-".to_owned(), |taken| in_words(age(taken, job.started)));
        vec![format!("  {}", item.state()), escaped(&item.name), level, checked, old, escaped(&note)]
    });
    table::rows(out, &["  STATE", "WHAT", "LEVEL", "BLOCKS", "AGE", ""], &[], rows)?;
    let findings = job.findings().map(|finding| ("finding", escaped(&shown(finding))));
    let newer = job.newer.iter().map(|Newer { info, age }| {
        let state = match (info.state, info.tier) {
            (SnapshotState::Completed, StorageTier::Archive) => "archived",
            (state, _) => state.as_str(),
        };
        let volume = info.volume_id.as_ref().map(|id| format!(" of {id}")).unwrap_or_default();
        ("newer", format!("{}{volume} is {state}, taken {} before the run", info.id, in_words(*age)))
    });
    let facts: Vec<_> = findings.chain(newer).collect();
    if facts.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    table::facts(out, &facts)
}

//! Several verifications as one report.

use crate::ops::verify::{Item, Job, Outcome, State};
use crate::render::escape::escaped;
use crate::render::json::{self, Frame};
use crate::render::numbers::{count, span};
use crate::render::sheet;
use crate::render::verify::view::View;
use crate::render::verify::{junit, metrics};
use crate::render::{Format, Printer, Render, table};
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
}

#[derive(Serialize)]
struct ItemView<'a> {
    name: &'a str,
    state: &'static str,
    /// Why there is no report; null where there is one.
    error: Option<String>,
    /// The fields of a verification by itself; null where it could not be begun.
    report: Option<View<'a>>,
}

fn as_json(job: &Job, out: &mut dyn Write) -> io::Result<()> {
    let view = JobView { items: job.items.iter().map(item_view).collect() };
    let frame = Frame { complete: true, requests: None, elapsed: Some(job.elapsed) };
    json::stated(out, "verify-job", job.state().as_str(), frame, &view)
}

fn item_view(item: &Item) -> ItemView<'_> {
    let (error, report) = match &item.outcome {
        Outcome::Done(report) => (None, Some(View::of(report))),
        other => (why(other), None),
    };
    ItemView { name: &item.name, state: item.state().as_str(), error, report }
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
    writeln!(out, "name,state,level,blocks_total,blocks_read,mismatches,error")?;
    for item in &job.items {
        let (name, state) = (&item.name, item.state());
        match &item.outcome {
            Outcome::Done(report) => {
                let coverage = &report.coverage;
                let (level, wrong) = (report.level.number(), report.mismatches.len());
                sheet::row(out, &[name, &state, &level, &coverage.total, &coverage.read, &wrong, &""])?;
            }
            other => {
                let why = why(other).unwrap_or_default();
                sheet::row(out, &[name, &state, &"", &"", &"", &"", &why])?;
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
        vec![format!("  {}", item.state()), escaped(&item.name), level, checked, escaped(&note)]
    });
    table::rows(out, &["  STATE", "WHAT", "LEVEL", "BLOCKS", ""], &[], rows)
}

//! Several volumes as one report.

use crate::ops::warm::{Item, Job, Outcome};
use crate::render::escape::escaped;
use crate::render::json::{self, Frame};
use crate::render::numbers::{count, millis, span};
use crate::render::warm::view::View;
use crate::render::{Format, Printer, Render, table, text_or_json};
use serde::Serialize;
use std::io::{self, Write};

impl Render for Job {
    fn printer(format: Format) -> Option<Printer<Self>> {
        text_or_json(format, text, as_json)
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
    error: Option<&'a str>,
    /// The fields of one volume by itself; null where it could not be begun.
    report: Option<View<'a>>,
}

fn as_json(job: &Job, out: &mut dyn Write) -> io::Result<()> {
    let view = JobView { items: job.items.iter().map(item_view).collect() };
    let frame = Frame { complete: true, requests: None, elapsed: Some(job.elapsed) };
    json::stated(out, "warm-job", job.state().as_str(), frame, &view)
}

fn item_view(item: &Item) -> ItemView<'_> {
    let (error, report) = match &item.outcome {
        Outcome::Done(report) => (None, Some(View::of(report))),
        Outcome::Failed(exception) => (Some(exception.what.as_str()), None),
    };
    ItemView { name: &item.name, state: item.state().as_str(), error, report }
}

fn text(job: &Job, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{}  {} volumes in {}",
        job.state().as_str().to_uppercase(),
        job.items.len(),
        span(job.elapsed)
    )?;
    writeln!(out)?;
    let rows = job.items.iter().map(|item| {
        let name = format!("  {}", escaped(&item.name));
        let state = item.state().as_str().to_uppercase();
        match &item.outcome {
            Outcome::Done(report) => {
                let proof = report.proof.as_ref().and_then(|proof| proof.latencies.quantile(0.99));
                let cold = report.cold.len();
                vec![
                    name,
                    state,
                    count(report.read),
                    report.bytes_read.to_string(),
                    count(cold),
                    proof.map_or("-".to_owned(), millis),
                ]
            }
            Outcome::Failed(_) => vec![name, state, "-".into(), "-".into(), "-".into(), "-".into()],
        }
    });
    let header = ["  DEVICE", "STATE", "BLOCKS", "READ", "COLD", "SAMPLE P99"];
    table::rows(out, &header, &[2, 3, 4, 5], rows)?;
    for item in &job.items {
        let troubles: Vec<&str> = match &item.outcome {
            Outcome::Done(report) => report.exceptions.iter().map(|one| one.what.as_str()).collect(),
            Outcome::Failed(exception) => vec![&exception.what],
        };
        for trouble in troubles {
            writeln!(out, "\n  {}", escaped(trouble))?;
        }
    }
    Ok(())
}

//! The report of a run that has no result yet, or ended without one.
//!
//! A command that gives a verdict puts it into its report file before the work, so that whatever ends the run, the file
//! never says what an earlier run found. Programs see `state` `incomplete` and the error code `run-not-finished`. The
//! schema is one of its own: a verdict's fields that are not known yet are absent, and not zero.

use crate::ops::verify::Exception;
use crate::render::escape::escaped;
use crate::render::json;
use crate::render::numbers::{rfc3339, to_the_second};
use crate::render::{Format, Printer, Render, sheet};
use crate::snapshot::UnixMillis;
use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;
use std::io::{self, Write};

mod kept;

/// The code of the first error of such a report.
const CODE: &str = "run-not-finished";

/// A run without a result.
#[derive(Clone, Debug)]
#[must_use]
pub struct Unfinished {
    /// The command, as it is typed after `icecore`.
    pub command: &'static str,
    /// The run's id; the report of the finished run bears the same, where it bears one.
    pub run_id: String,
    /// When the run began.
    pub started: UnixMillis,
    /// What ended it without a result; `None` while it is at work, or when it was killed.
    pub ended_by: Option<Exception>,
    /// The page of metrics that stood in the file before, as bytes; empty where there was none.
    pub earlier_metrics: Vec<u8>,
}

impl Render for Unfinished {
    fn printer(format: Format) -> Option<Printer<Self>> {
        Some(match format {
            Format::Text => text,
            Format::Json | Format::Jsonl | Format::Cbt => as_json,
            Format::Csv => csv,
            Format::Junit => junit,
            Format::Metrics => metrics,
        })
    }
}

#[derive(Serialize)]
struct View<'a> {
    command: &'a str,
    run_id: &'a str,
    tool: &'a str,
    version: &'a str,
    started: Option<String>,
    errors: Vec<ErrorView>,
}

#[derive(Serialize)]
struct ErrorView {
    code: &'static str,
    what: String,
}

impl Unfinished {
    fn errors(&self) -> Vec<ErrorView> {
        let what = match self.ended_by {
            None => "the run is still at work, or was ended before it had a result",
            Some(_) => "the run ended without a result",
        };
        let first = ErrorView { code: CODE, what: what.to_owned() };
        let reason = self
            .ended_by
            .iter()
            .map(|exception| ErrorView { code: exception.kind.as_str(), what: exception.what.clone() });
        std::iter::once(first).chain(reason).collect()
    }

    /// All of it in one sentence, for people.
    fn sentence(&self) -> String {
        let (command, run) = (self.command, &self.run_id);
        let began = to_the_second(self.started);
        match &self.ended_by {
            None => format!(
                "icecore {command}, run {run} of {began}, is still at work, or was ended before it had a result"
            ),
            Some(exception) => {
                let what = escaped(&exception.what);
                format!("icecore {command}, run {run} of {began}, ended without a result: {what}")
            }
        }
    }
}

fn as_json(run: &Unfinished, out: &mut dyn Write) -> io::Result<()> {
    let view = View {
        command: run.command,
        run_id: &run.run_id,
        tool: "icecore",
        version: env!("CARGO_PKG_VERSION"),
        started: rfc3339(run.started),
        errors: run.errors(),
    };
    let frame = json::Frame { complete: false, requests: None, elapsed: None };
    json::object(out, "unfinished", frame, &view)
}

fn text(run: &Unfinished, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "INCOMPLETE  {}", run.sentence())
}

/// A table of its own columns: one that has those of a verdict and no rows would say that nothing is wrong.
fn csv(run: &Unfinished, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "state,code,command,run_id,started,what")?;
    let started = sheet::maybe(rfc3339(run.started));
    for error in run.errors() {
        let cells: [&dyn std::fmt::Display; 6] =
            [&"incomplete", &error.code, &run.command, &run.run_id, &started, &escaped(&error.what)];
        sheet::row(out, &cells)?;
    }
    Ok(())
}

fn junit(run: &Unfinished, out: &mut dyn Write) -> io::Result<()> {
    let suite_name = format!("icecore {}", run.command);
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(CODE).set_message(run.sentence());
    let mut case = TestCase::new(suite_name.clone(), status);
    case.set_classname(format!("icecore.{}", run.command.replace(' ', "-")));
    let mut suite = TestSuite::new(suite_name.clone());
    suite.add_test_case(case);
    let mut document = Document::new(suite_name);
    document.add_test_suite(suite);
    document.serialize(&mut *out).map_err(io::Error::other)?;
    out.write_all(b"\n")
}

/// The last times of success stay, so that an alert on their age neither fires nor falls silent meanwhile.
fn metrics(run: &Unfinished, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# HELP icecore_run_unfinished Whether the run has no result, or none yet.")?;
    writeln!(out, "# TYPE icecore_run_unfinished gauge")?;
    writeln!(out, "icecore_run_unfinished 1")?;
    writeln!(out, "# HELP icecore_run_started_timestamp_seconds When that run began.")?;
    writeln!(out, "# TYPE icecore_run_started_timestamp_seconds gauge")?;
    let (command, run_id, started) = (run.command, &run.run_id, run.started.0 as f64 / 1000.0);
    writeln!(
        out,
        "icecore_run_started_timestamp_seconds{{command=\"{command}\",run_id=\"{run_id}\"}} {started}"
    )?;
    out.write_all(kept::successes(&run.earlier_metrics).as_bytes())?;
    writeln!(out, "# EOF")
}

#[cfg(test)]
mod tests;

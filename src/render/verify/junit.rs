//! JUnit XML: a suite is a run of the program, a test case one verification at its level.
//!
//! What is wrong is a `failure`, what could not be checked an `error`, what a budget left out `skipped`.

use crate::block::ByteSize;
use crate::ops::verify::{Job, Level, Report, State};
use crate::render::numbers::blocks;
use crate::render::verify::run::Run;
use crate::render::verify::text::shown;
use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};
use std::io::{self, Write};
use std::time::Duration;

/// Ranges of wrong blocks in the text of a failure; JSON has all of them.
const SHOWN: usize = 100;

pub(super) fn of_report(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    document(&[Run::of(report)], report.elapsed, out)
}

pub(super) fn of_job(job: &Job, out: &mut dyn Write) -> io::Result<()> {
    document(&job.items.iter().map(Run::of_item).collect::<Vec<_>>(), job.elapsed, out)
}

fn document(runs: &[Run<'_>], elapsed: Duration, out: &mut dyn Write) -> io::Result<()> {
    let mut suite = TestSuite::new("icecore verify");
    suite.set_time(elapsed);
    suite.add_test_cases(runs.iter().map(case));
    let mut document = Document::new("icecore verify");
    document.set_time(elapsed);
    document.add_test_suite(suite);
    document.serialize(&mut *out).map_err(io::Error::other)?;
    out.write_all(b"\n")
}

fn case(run: &Run<'_>) -> TestCase {
    let mut case = TestCase::new(name(run), status(run));
    case.set_classname("icecore.verify");
    if let Some(report) = run.report {
        case.set_time(report.elapsed);
        case.set_system_out(crate::render::verify::text::as_text(report));
    }
    case
}

/// `snap-0a disk.img: L4 restored`.
fn name(run: &Run<'_>) -> String {
    match run.report.map(|report| report.level) {
        Some(level) => format!("{}: {level} {}", run.name, level.as_str()),
        None => run.name.clone(),
    }
}

/// What is wrong where no block is.
fn of_all(report: &Report) -> &'static str {
    match report.level {
        Level::BlockMap => "the block list is not as long as the control plane says",
        Level::FileSystem
            if report.target.as_ref().is_none_or(|target| target.short_by == ByteSize::ZERO) =>
        {
            "a file system is not clean"
        }
        _ => "the target ends before the volume does",
    }
}

fn status(run: &Run<'_>) -> TestCaseStatus {
    let not = |kind: NonSuccessKind, what: &str, message: &str| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(what).set_message(message);
        status
    };
    match (run.state, run.report) {
        (State::Pass, _) => TestCaseStatus::success(),
        // Wrong blocks say more than the age of a backup.
        (State::Fail, report)
            if !run.findings.is_empty() && report.is_none_or(|report| report.state() != State::Fail) =>
        {
            let all: Vec<_> = run.findings.iter().map(shown).collect();
            not(NonSuccessKind::Failure, run.findings[0].rule.as_str(), &all.join("; "))
        }
        (State::Fail | State::ChangedSinceRestore, Some(report)) => {
            let wrong = report.wrong();
            let message = match wrong.len() {
                0 => of_all(report).to_owned(),
                n => format!("{} wrong", blocks(n)),
            };
            let mut status = not(NonSuccessKind::Failure, run.state.as_str(), &message);
            let ranges: Vec<_> = wrong.ranges().take(SHOWN).map(|range| range.to_string()).collect();
            if !ranges.is_empty() {
                status.set_description(format!("blocks {}", ranges.join(", ")));
            }
            status
        }
        _ if run.stopped_by.is_some() && run.report.is_none_or(|report| report.exceptions.is_empty()) => {
            let mut status = TestCaseStatus::skipped();
            let budget = run.stopped_by.map_or("", |budget| budget.as_str());
            status.set_type(run.state.as_str()).set_message(format!("stopped by its budget: {budget}"));
            status
        }
        _ => not(NonSuccessKind::Error, run.state.as_str(), &run.trouble),
    }
}

//! OpenMetrics text, for a textfile collector: what a run found, and that it ran.
//!
//! A subject is labelled as it is named in every run of the same command. The time of the last success is there only
//! after a pass; `icecore ledger --format metrics` has it always.

use crate::ops::verify::{Job, Report, State, age};
use crate::render::openmetrics::{Labels, Page};
use crate::render::verify::run::Run;
use crate::snapshot::UnixMillis;
use std::io::{self, Write};
use std::time::Duration;

const STATES: [State; 4] = [State::Pass, State::Fail, State::Incomplete, State::ChangedSinceRestore];

pub(super) fn of_report(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    page(&[Run::of(report)], report.verdict(), report.ended, report.elapsed, out)
}

pub(super) fn of_job(job: &Job, out: &mut dyn Write) -> io::Result<()> {
    let runs: Vec<_> = job.items.iter().map(Run::of_item).collect();
    page(&runs, job.state(), job.ended, job.elapsed, out)
}

fn page(
    runs: &[Run<'_>],
    state: State,
    ended: UnixMillis,
    elapsed: Duration,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut page = Page::new("icecore_verify");
    let none = Labels::new;
    let of = |run: &Run<'_>| vec![("subject".to_owned(), run.name.clone())];
    let reports = || runs.iter().filter_map(|run| Some((of(run), run.report?)));
    let seconds = |time: UnixMillis| time.0 as f64 / 1000.0;
    let is = |one: State, other: State| f64::from(u8::from(one == other));

    let in_states = STATES.map(|one| (vec![("state".to_owned(), one.to_string())], is(one, state)));
    page.gauge("run", "Whether the run as a whole ended in this state", in_states);
    page.gauge("last_run_timestamp_seconds", "When the run ended", [(none(), seconds(ended))]);
    page.gauge("duration_seconds", "How long it took", [(none(), elapsed.as_secs_f64())]);
    page.gauge(
        "result",
        "Whether the subject ended in this state",
        runs.iter().flat_map(|run| {
            STATES.map(|one| {
                let state = ("state".to_owned(), one.to_string());
                (of(run).into_iter().chain([state]).collect(), is(one, run.state))
            })
        }),
    );
    page.gauge(
        "last_success_timestamp_seconds",
        "When the subject was verified",
        reports()
            .filter(|(_, report)| report.verdict() == State::Pass)
            .map(|(of, report)| (of, seconds(report.ended))),
    );
    let mut each = |name: &str, help: &str, value: fn(&Report) -> f64| {
        page.gauge(name, help, reports().map(|(of, report)| (of, value(report))));
    };
    each("level", "How deep the check was", |report| f64::from(report.level.number()));
    each("coverage_ratio", "Blocks read, of all that the level speaks of", |report| report.coverage.ratio());
    each("resumed", "Whether blocks of an interrupted run were counted on trust", |report| {
        f64::from(u8::from(report.mode.is_resumed))
    });
    each("mismatch_blocks", "Blocks that are wrong", |report| report.mismatches.len() as f64);
    each("unreadable_blocks", "Blocks that could not be read", |report| report.unreadable.len() as f64);
    each("requests", "Requests sent", |report| report.requests.sent() as f64);
    each("throttled", "Requests that were throttled", |report| report.requests.throttled as f64);
    let paid = reports().filter_map(|(of, report)| Some((of, report.usd?.nanos() as f64 / 1e9)));
    page.gauge("api_cost_usd", "What the requests cost at list prices", paid);
    let ages = runs.iter().filter_map(|run| {
        let age = age(run.taken?, ended);
        Some((of(run), age.as_secs_f64()))
    });
    page.gauge("snapshot_age_seconds", "How old the snapshot was when the run ended", ages);
    let findings = runs.iter().flat_map(|run| {
        run.findings.iter().map(|finding| {
            let rule = ("rule".to_owned(), finding.rule.to_string());
            (of(run).into_iter().chain([rule]).collect(), 1.0)
        })
    });
    page.gauge("finding", "What is wrong with the backup beside its blocks", findings);
    page.write(out)
}

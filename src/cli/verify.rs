//! `icecore verify`.

mod options;

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::open::{self, Access, Opened};
use crate::cli::output::Output;
use crate::cli::spelled::words;
use crate::fault::{Fault, Kind, Place};
use crate::ops::verify::{self, Exception, Item, Job, Outcome, Planned, Ready, Report, State};
use crate::snapshot::Tag;
use clap::Parser;
use options::{Selection, Typed};
use std::path::{Path, PathBuf};

/// Prove that a snapshot, a copy or a restored volume holds the data that was backed up
///
/// A SNAPSHOT alone is read against the checksums of the service; with --manifest against what an earlier read, its
/// source or a copy held. With a TARGET the restored volume, image or second snapshot is read as well and held against
/// it block by block. Nothing is ever written but checkpoints: an interrupted run goes on where it stopped.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    typed: Typed,

    /// Verify all snapshots with this tag, as one job
    #[arg(long, value_name = "KEY=VALUE", conflicts_with_all = ["subject", "plan"], help_heading = "Jobs")]
    tag: Vec<Tag>,

    /// Of each volume, only the newest of them
    #[arg(long, requires = "tag", help_heading = "Jobs")]
    latest_per_volume: bool,

    /// Verify what the lines of FILE say, as one job: each what would follow icecore verify
    #[arg(long, value_name = "FILE", conflicts_with = "subject", help_heading = "Jobs")]
    plan: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    match &args.plan {
        Some(plan) => {
            let output = cx.output()?;
            let planned = planned(cx, plan, &args.typed.selection).await?;
            // The places stay open for as long as anything is read from them.
            let (planned, _places): (Vec<_>, Vec<_>) = planned.into_iter().unzip();
            jobs(cx, output, planned, &args.typed.selection).await
        }
        None if !args.tag.is_empty() => {
            let output = cx.output()?;
            let place = open::open(cx, Access::Read).await?;
            let model = args.typed.model(cx)?;
            let (tags, latest) = (&args.tag, args.latest_per_volume);
            let planned = verify::tagged(tags, latest, &model, &place.services, &place.engine).await?;
            jobs(cx, output, planned, &args.typed.selection).await
        }
        None => one(args.typed, cx).await,
    }
}

async fn one(typed: Typed, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let resolved = typed.resolve(cx).await?;
    let services = resolved.place.as_ref().map(|place| &place.services);
    let report = verify::run(&resolved.options, services, &resolved.engine).await?;
    let exit = exit_of(&report, cx);
    output.show(&report)?;
    Ok(exit)
}

async fn jobs(
    cx: &Context,
    output: Output<Job>,
    planned: Vec<Planned>,
    selection: &Selection,
) -> Result<Exit, Complaint> {
    let deadline = selection.deadline.map(|span| span.0);
    let job = verify::run_all(planned, deadline, cx.global().max_usd).await;
    let exits = job.items.iter().map(|item| exit_of_item(item, cx));
    // A job that found nothing to verify has verified nothing.
    let exit = exits.reduce(Exit::worst).unwrap_or(Exit::Usage);
    output.show(&job)?;
    Ok(exit)
}

/// Every line of a plan; one that cannot be read fails alone.
async fn planned(
    cx: &Context,
    path: &Path,
    selection: &Selection,
) -> Result<Vec<(Planned, Vec<Opened>)>, Complaint> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), "there is no such file")
                .hint("check the path")
        }
        _ => Fault::local(path, "read", error),
    })?;
    let mut planned = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        // A # within a word names a profile.
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut places = Vec::new();
        let item = match parsed(line) {
            Ok(typed) => match typed.within(selection).resolve(cx).await {
                Ok(resolved) => {
                    let services = resolved.place.as_ref().map(|place| place.services.clone());
                    places.extend(resolved.place.into_iter().chain(resolved.other));
                    let ready = Ready { options: resolved.options, services, engine: resolved.engine };
                    Planned { name: line.to_owned(), ready: Ok(ready) }
                }
                Err(complaint) => unplanned(path, line, number, &complaint.to_string()),
            },
            Err(why) => unplanned(path, line, number, &why),
        };
        planned.push((item, places));
    }
    if planned.is_empty() {
        return Err(Complaint::Usage(format!("{}: the plan has no line to verify", path.display())));
    }
    Ok(planned)
}

fn unplanned(path: &Path, line: &str, number: usize, why: &str) -> Planned {
    let what = format!("line {number}: {why}");
    let fault = Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
    Planned { name: line.to_owned(), ready: Err(fault) }
}

fn parsed(line: &str) -> Result<Typed, String> {
    #[derive(Parser)]
    #[command(no_binary_name = true, disable_help_flag = true)]
    struct Line {
        #[command(flatten)]
        typed: Typed,
    }
    let line = Line::try_parse_from(words(line)).map_err(|answer| {
        let text = answer.to_string();
        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })?;
    Ok(line.typed)
}

/// How a report ends the program; the first signal that came, where one did, is what interrupted it.
fn exit_of(report: &Report, cx: &Context) -> Exit {
    let state = match report.state() {
        State::Pass => Exit::Clean,
        State::Fail | State::ChangedSinceRestore => Exit::Findings,
        State::Incomplete => Exit::Stopped,
    };
    let exits = report.exceptions.iter().map(|exception| exit_of_exception(exception, cx));
    let budget = report.stopped_by.map(|_| Exit::Stopped);
    exits.chain(budget).fold(state, Exit::worst)
}

fn exit_of_item(item: &Item, cx: &Context) -> Exit {
    match &item.outcome {
        Outcome::Done(report) => exit_of(report, cx),
        Outcome::Failed(exception) => exit_of_exception(exception, cx),
        Outcome::Skipped(_) => Exit::Stopped,
    }
}

fn exit_of_exception(exception: &Exception, cx: &Context) -> Exit {
    Exit::of(exception.kind, cx.signal())
}

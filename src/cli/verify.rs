//! `icecore verify`.

mod options;

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::evidence::{KeepArgs, Keeper, keep};
use crate::cli::exit::Exit;
use crate::cli::open::{self, Access, Opened};
use crate::cli::output::Output;
use crate::cli::spelled::words;
use crate::disk::Limit;
use crate::evidence::{Kept, Key};
use crate::fault::{Fault, Kind, Place};
use crate::ledger::Bundle;
use crate::ops::verify::{
    self, Exception, Item, Job, Options, Outcome, Planned, Ready, Report, State, Tagged,
};
use crate::render::Render;
use crate::snapshot::Tag;
use clap::Parser;
pub(crate) use options::Selection;
use options::Typed;
use std::path::{Path, PathBuf};

/// Tens of thousands of lines, each a verification as it is typed after `icecore verify`.
const PLAN_LIMIT: Limit = Limit { of: "a plan with a line for each verification", bytes: 4 << 20 };

/// What says of one verification what it is, and is therefore a matter of a plan's lines.
const OF_ONE: [&str; 9] = [
    "subject",
    "manifest",
    "older",
    "unencrypted",
    "pad",
    "level",
    "volume_id",
    "restored_at",
    "allow_unchecked",
];

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
    #[arg(long, value_name = "FILE", conflicts_with_all = OF_ONE, help_heading = "Jobs")]
    plan: Option<PathBuf>,

    #[command(flatten)]
    evidence: KeepArgs,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let is_one = args.plan.is_none() && args.tag.is_empty();
    let opened = args.evidence.open("verify").and_then(|keeper| Ok((keeper, args.evidence.key()?)));
    let (keeper, key) = match opened {
        Ok(opened) => opened,
        Err(complaint) => {
            let name = if is_one { args.typed.name() } else { args.name() };
            return Err(not_begun(name, complaint, None, cx.output::<Job>()?, cx).await);
        }
    };
    let keeper = keeper.as_ref();
    if is_one {
        return one(args.typed, keeper, key, cx).await;
    }
    let output = cx.output::<Job>()?;
    let mut job = match jobs(&args, key.clone(), cx).await {
        Ok(job) => job,
        Err(complaint) => return Err(not_begun(args.name(), complaint, keeper, output, cx).await),
    };
    match keep(keeper, &job, &[], cx).await {
        Ok(kept) => job.items.iter().for_each(|item| {
            if let Outcome::Done(report) = &item.outcome {
                name_bundle(report, kept.as_ref(), key.as_ref(), cx);
            }
        }),
        Err(complaint) => {
            complaint.say();
            let outcome = Outcome::Failed(complaint.to_exception());
            job.items.push(Item::of("evidence".to_owned(), outcome));
        }
    }
    let exits = job.items.iter().map(|item| exit_of_item(item, cx));
    // A job of nothing has verified nothing.
    let exit = exits.reduce(Exit::worst).unwrap_or(Exit::Usage);
    output.show(&job)?;
    Ok(exit)
}

impl Args {
    /// What a job is called.
    fn name(&self) -> String {
        match &self.plan {
            Some(plan) => plan.display().to_string(),
            None => {
                self.tag.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect::<Vec<_>>().join(",")
            }
        }
    }
}

async fn one(
    typed: Typed,
    keeper: Option<&Keeper>,
    key: Option<Key>,
    cx: &Context,
) -> Result<Exit, Complaint> {
    let output = cx.output::<Report>()?;
    let name = typed.name();
    let mut report = match verified(typed, key.clone(), cx).await {
        Ok(report) => report,
        Err(complaint) => return Err(not_begun(name, complaint, keeper, output, cx).await),
    };
    match keep(keeper, &report, &[], cx).await {
        Ok(kept) => name_bundle(&report, kept.as_ref(), key.as_ref(), cx),
        Err(complaint) => {
            // What was to be evidence and is none was not verified.
            complaint.say();
            report.exceptions.push(complaint.to_exception());
        }
    }
    let exit = exit_of(&report, cx);
    output.show(&report)?;
    Ok(exit)
}

/// Names the bundle of a run in the ledger. What was verified stands there already, so that this fails is only said.
fn name_bundle(report: &Report, kept: Option<&Kept>, key: Option<&Key>, cx: &Context) {
    let Some(kept) = kept else { return };
    let bundle = Bundle { number: kept.number, sha256: kept.hash.to_string() };
    let named =
        open::resumable_engine(cx).and_then(|engine| Ok(verify::name_bundle(report, &bundle, key, &engine)?));
    if let Err(complaint) = named {
        complaint.say();
    }
}

async fn verified(typed: Typed, key: Option<Key>, cx: &Context) -> Result<Report, Complaint> {
    let resolved = typed.resolve(cx).await?;
    let services = resolved.place.as_ref().map(|place| &place.services);
    let run_id = cx.run_id().map(str::to_owned);
    let options = Options { sign_key: key, run_id, ..resolved.options };
    Ok(verify::run(&options, services, &resolved.engine).await?)
}

/// A run that could not begin has no report of its own; that it failed is evidence all the same, and news for CI and
/// monitoring.
async fn not_begun<R: Render>(
    name: String,
    complaint: Complaint,
    keeper: Option<&Keeper>,
    output: Output<R>,
    cx: &Context,
) -> Complaint {
    let job = Job::not_begun(name, complaint.to_exception());
    let kept = keep(keeper, &job, &[], cx).await.map(drop);
    let shown = output.instead().map_or(Ok(()), |output| output.show_failure(&job));
    for other in [kept, shown].into_iter().filter_map(Result::err) {
        other.say();
    }
    complaint
}

/// A plan's or a tag's verifications, all of them.
async fn jobs(args: &Args, key: Option<Key>, cx: &Context) -> Result<Job, Complaint> {
    let selection = &args.typed.selection;
    // The places stay open for as long as anything is read from them.
    let mut newer = Vec::new();
    let (mut planned, _places): (Vec<_>, Vec<_>) = match &args.plan {
        Some(plan) => planned(cx, plan, &args.typed).await?.into_iter().unzip(),
        None => {
            let place = open::open(cx, Access::Read).await?;
            let model = args.typed.model(cx)?;
            let which =
                Tagged { tags: &args.tag, latest_per_volume: args.latest_per_volume, rpo: args.typed.rpo() };
            let planned;
            (planned, newer) = verify::tagged(&which, &model, &place.services, &place.engine).await?;
            if planned.is_empty() {
                // Nothing to verify is nothing verified.
                return Err(Complaint::Usage(format!(
                    "no snapshot has the tag {}; icecore list shows which tags there are",
                    args.name()
                )));
            }
            (planned, vec![vec![place]])
        }
    };
    for ready in planned.iter_mut().filter_map(|planned| planned.ready.as_mut().ok()) {
        ready.options.sign_key = key.clone();
    }
    let deadline = selection.deadline.map(|span| span.0);
    let job = verify::run_all(planned, deadline, cx.global().max_usd).await;
    Ok(Job { newer, ..job })
}

/// Every line of a plan; one that cannot be read fails alone.
async fn planned(cx: &Context, path: &Path, job: &Typed) -> Result<Vec<(Planned, Vec<Opened>)>, Complaint> {
    let text = cx.read_text(path, PLAN_LIMIT)?;
    let mut planned = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        // A # within a word names a profile.
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut places = Vec::new();
        let item = match parsed(line) {
            Ok(typed) => match typed.within(job).resolve(cx).await {
                Ok(resolved) => {
                    let services = resolved.place.as_ref().map(|place| place.services.clone());
                    places.extend(resolved.place.into_iter().chain(resolved.other));
                    let ready = Ready { options: resolved.options, services, engine: resolved.engine };
                    Planned::of(line.to_owned(), Ok(ready))
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
    Planned::of(line.to_owned(), Err(fault))
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
    let state = exit_of_state(report.verdict());
    let exits = report.exceptions.iter().map(|exception| exit_of_exception(exception, cx));
    let budget = report.stopped_by.map(|_| Exit::Stopped);
    exits.chain(budget).fold(state, Exit::worst)
}

fn exit_of_item(item: &Item, cx: &Context) -> Exit {
    let findings = if item.findings.is_empty() { Exit::Clean } else { Exit::Findings };
    let outcome = match &item.outcome {
        Outcome::Done(report) => exit_of(report, cx),
        Outcome::Failed(exception) => exit_of_exception(exception, cx),
        Outcome::Skipped(_) => Exit::Stopped,
    };
    findings.worst(outcome)
}

/// How a verdict by itself ends the program.
pub(crate) fn exit_of_state(state: State) -> Exit {
    match state {
        State::Pass => Exit::Clean,
        State::Fail | State::ChangedSinceRestore => Exit::Findings,
        State::Incomplete => Exit::Stopped,
    }
}

pub(crate) fn exit_of_exception(exception: &Exception, cx: &Context) -> Exit {
    Exit::of(exception.kind, cx.signal())
}

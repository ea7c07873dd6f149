//! `icecore warm`.

mod options;

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::evidence::{KeepArgs, Keeper, keep};
use crate::cli::exit::Exit;
use crate::evidence::Key;
use crate::ops::verify::{Exception, State as Verified};
use crate::ops::warm::{self, Item, Job, Outcome, Report, State};
use crate::render::Render;
use options::Typed;

/// Make a restored volume fast before it is needed: read what is allocated, the hottest first
///
/// A volume made from a snapshot fetches each block on its first touch, and answers late then. Only allocated blocks are
/// read, past the page cache and through a descriptor that cannot write; afterwards a random sample is read and timed,
/// and only that makes the verdict. An interrupted run goes on where it stopped when the same command is given again.
///
/// DEVICE is a path or the id of an attached volume. A host without credentials is told its blocks by --manifest or
/// --map; AWS is not asked for the volume's state then.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    typed: Typed,

    #[command(flatten)]
    evidence: KeepArgs,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let keeper = args.evidence.open("warm")?;
    let key = args.evidence.key()?;
    let keeper = keeper.as_ref();
    match args.typed.pairs() {
        [] => one(args.typed, keeper, key, cx).await,
        _ => several(args.typed, keeper, key, cx).await,
    }
}

async fn one(
    typed: Typed,
    keeper: Option<&Keeper>,
    key: Option<Key>,
    cx: &Context,
) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let name = typed.name();
    let report = match warmed(typed, key, cx).await {
        Ok(report) => report,
        Err(complaint) => return Err(not_begun(name, complaint, keeper, cx).await),
    };
    let exit = exit_of(&report, cx).worst(kept(keeper, &report, cx).await);
    output.show(&report)?;
    Ok(exit)
}

async fn several(
    typed: Typed,
    keeper: Option<&Keeper>,
    key: Option<Key>,
    cx: &Context,
) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let name = typed.name();
    let job = match all_warmed(typed, key, cx).await {
        Ok(job) => job,
        Err(complaint) => return Err(not_begun(name, complaint, keeper, cx).await),
    };
    let exits = job.items.iter().map(|item| exit_of_item(item, cx));
    let exit = exits.fold(kept(keeper, &job, cx).await, Exit::worst);
    output.show(&job)?;
    Ok(exit)
}

async fn warmed(typed: Typed, key: Option<Key>, cx: &Context) -> Result<Report, Complaint> {
    let mut resolved = typed.resolve(cx).await?;
    resolved.options.iter_mut().for_each(|options| options.sign_key = key.clone());
    let services = resolved.place.as_ref().map(|place| &place.services);
    let [options] = &resolved.options[..] else { unreachable!("without pairs there is one") };
    Ok(warm::run(options, &resolved.bounds, services, &resolved.engine).await?)
}

async fn all_warmed(typed: Typed, key: Option<Key>, cx: &Context) -> Result<Job, Complaint> {
    let mut resolved = typed.resolve(cx).await?;
    resolved.options.iter_mut().for_each(|options| options.sign_key = key.clone());
    let services = resolved.place.as_ref().map(|place| &place.services);
    Ok(warm::run_all(&resolved.options, &resolved.bounds, services, &resolved.engine).await?)
}

/// A run that could not begin has no report of its own; that it failed is evidence all the same.
async fn not_begun(name: String, complaint: Complaint, keeper: Option<&Keeper>, cx: &Context) -> Complaint {
    kept(keeper, &Job::not_begun(name, complaint.to_exception()), cx).await;
    complaint
}

/// Keeps the report where that is asked for. The volume is as warm as it is without evidence, which is said and shows in
/// how the program ends.
async fn kept<R: Render>(keeper: Option<&Keeper>, report: &R, cx: &Context) -> Exit {
    match keep(keeper, report, &[], cx).await {
        Ok(_) => Exit::Clean,
        Err(complaint) => {
            complaint.say();
            complaint.exit(cx.signal())
        }
    }
}

/// How a report ends the program; the first signal that came, where one did, is what interrupted it.
fn exit_of(report: &Report, cx: &Context) -> Exit {
    let state = match report.state() {
        // Nothing was there to be read.
        State::Incomplete if report.exceptions.is_empty() => Exit::Stopped,
        // The exceptions say so by themselves.
        State::Warm | State::Incomplete => Exit::Clean,
        State::Partial if report.stopped_by.is_some() => Exit::Stopped,
        // What could not be read says so by itself.
        State::Partial if !report.exceptions.is_empty() => Exit::Clean,
        State::Partial => Exit::Findings,
    };
    let verified = report.verified.as_ref().map(|verified| match verified.state() {
        Verified::Pass => Exit::Clean,
        Verified::Fail | Verified::ChangedSinceRestore => Exit::Findings,
        Verified::Incomplete => Exit::Stopped,
    });
    let exits = report.exceptions.iter().map(|exception| exit_of_exception(exception, cx));
    exits.chain(verified).fold(state, Exit::worst)
}

fn exit_of_item(item: &Item, cx: &Context) -> Exit {
    match &item.outcome {
        Outcome::Done(report) => exit_of(report, cx),
        Outcome::Failed(exception) => exit_of_exception(exception, cx),
    }
}

fn exit_of_exception(exception: &Exception, cx: &Context) -> Exit {
    Exit::of(exception.kind, cx.signal())
}

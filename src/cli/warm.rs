//! `icecore warm`.

mod options;

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::ops::verify::{Exception, State as Verified};
use crate::ops::warm::{self, Item, Outcome, Report, State};
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
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let typed = args.typed;
    if typed.pairs().is_empty() {
        let output = cx.output()?;
        let resolved = typed.resolve(cx).await?;
        let services = resolved.place.as_ref().map(|place| &place.services);
        let [options] = &resolved.options[..] else { unreachable!("without pairs there is one") };
        let report = warm::run(options, &resolved.bounds, services, &resolved.engine).await?;
        let exit = exit_of(&report, cx);
        output.show(&report)?;
        return Ok(exit);
    }
    let output = cx.output()?;
    let resolved = typed.resolve(cx).await?;
    let services = resolved.place.as_ref().map(|place| &place.services);
    let job = warm::run_all(&resolved.options, &resolved.bounds, services, &resolved.engine).await?;
    let exit = job.items.iter().map(|item| exit_of_item(item, cx)).fold(Exit::Clean, Exit::worst);
    output.show(&job)?;
    Ok(exit)
}

/// How a report ends the program; the first signal that came, where one did, is what interrupted it.
fn exit_of(report: &Report, cx: &Context) -> Exit {
    let state = match report.state() {
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

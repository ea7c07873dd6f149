//! `icecore cleanup`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::open::{self, Access};
use crate::cli::spelled::Age;
use crate::cli::verify::exit_of_exception;
use crate::orchestrate::Waits;
use crate::orchestrate::cleanup::{self, Done, Options};

/// Take away what dead runs left
///
/// Found by the journals of this machine, and by tags alone: runs of other machines count as dead when their tags say
/// that they are over, or with --older-than when what they made is older. Volumes that a run made are deleted, those
/// that it only attached are detached; nothing else is touched, and no snapshot ever.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also what was made longer ago, as in 2h, and nothing younger; 0s means whatever its age
    #[arg(long, value_name = "SPAN")]
    older_than: Option<Age>,

    /// Only look
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let place = open::open(cx, access).await?;
    let older_than = args.older_than.map(|age| age.0);
    let options = Options { older_than, dry_run: args.dry_run, waits: Waits::default() };
    let report = cleanup::run(&options, &place.services, &place.engine).await?;
    let left = report.items.iter().filter_map(|item| match &item.done {
        Done::Left(exception) => Some(exception),
        _ => None,
    });
    let exits = report.exceptions.iter().chain(left).map(|exception| exit_of_exception(exception, cx));
    let exit = exits.fold(Exit::Clean, Exit::worst);
    output.show(&report)?;
    Ok(exit)
}

//! `icecore store`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::ops;
use std::path::PathBuf;

/// Look after a store
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read everything in a store again and name what is damaged
    Check {
        /// The store's directory
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let Command::Check { dir } = args.command;
    let output = cx.output()?;
    let report = ops::store_check::run(&dir, &open::local_engine(cx)).await?;
    let exit = match &report.found {
        found if !found.is_clean() => Exit::Findings,
        // Another directory than was meant, or a store that lost everything: nothing shows that it is whole.
        found if found.is_empty() => Exit::Stopped,
        _ => Exit::Clean,
    };
    output.show(&report)?;
    Ok(exit)
}

//! `icecore state`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::ops::state::{self, Direction};
use std::path::PathBuf;

/// Carry what the state directory keeps to another machine, or from it
///
/// Manifests, the ledger and the memory of cycles; not checkpoints, which are of one machine. Both directions only ever
/// add, so several machines may share a directory.
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Copy to DIR what it does not have
    Push {
        /// A directory that outlives this machine
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Copy from DIR what this machine does not have
    Pull {
        /// The directory that was pushed to
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let (direction, dir) = match args.command {
        Command::Push { dir } => (Direction::Push, dir),
        Command::Pull { dir } => (Direction::Pull, dir),
    };
    let report = state::run(direction, &dir, &open::resumable_engine(cx)?)?;
    let exit = if report.carried.damaged.is_empty() { Exit::Clean } else { Exit::Findings };
    output.show(&report)?;
    Ok(exit)
}

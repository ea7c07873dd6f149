//! `icecore export`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::open::{self, Access};
use crate::ops;
use crate::snapshot::SnapshotId;
use std::path::PathBuf;

/// Write a snapshot to a sparse file of exactly its volume's size, or over a block device
///
/// A file gets its name only when it is complete and durable. A device is overwritten, with zeros where the snapshot
/// has no block, and refused while it is mounted or in use. An interrupted export goes on where it stopped when the
/// same command is given again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: SnapshotId,

    /// The file to make, or the block device to overwrite
    #[arg(value_name = "DEST", required_unless_present = "to_null")]
    dest: Option<PathBuf>,

    /// Replace a file that is already there
    #[arg(long)]
    force: bool,

    /// Do not wait until the file is safe on disk
    #[arg(long)]
    no_sync: bool,

    /// Read and check every block, keep nothing
    #[arg(long, conflicts_with_all = ["dest", "force", "no_sync"])]
    to_null: bool,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let place = open::open(cx, Access::Read).await?;
    let options = ops::export::Options {
        snapshot_id: args.snapshot,
        dest: args.dest,
        force: args.force,
        sync: !args.no_sync,
    };
    let report = ops::export::run(&options, &place.services, &place.engine).await?;
    output.show(&report)?;
    Ok(Exit::Clean)
}

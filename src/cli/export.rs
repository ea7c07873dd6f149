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
///
/// With --since, DEST is changed in place from the snapshot it holds: only the blocks written or deallocated between
/// the two are. That it holds that snapshot is proved first: by the note that export left with it (DEST.icecore, or
/// for a device in the state directory), by nobody having written to it since, and by a sample of its blocks. Until
/// it is finished DEST is marked, and every command but this one refuses it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: SnapshotId,

    /// The file to make, or the block device to overwrite
    #[arg(value_name = "DEST", required_unless_present = "to_null")]
    dest: Option<PathBuf>,

    /// Replace a file that is already there, or a target that an unfinished --since left half-way
    #[arg(long)]
    force: bool,

    /// Put only what changed since this snapshot into DEST, which holds it
    #[arg(long, value_name = "SNAPSHOT", requires = "dest", conflicts_with_all = ["force", "no_sync"])]
    since: Option<SnapshotId>,

    /// Believe that DEST holds the snapshot given with --since; if it does not, it will be a mixture of the two, and
    /// no later --since notices
    #[arg(long, requires = "since")]
    assume_base: bool,

    /// Do not wait until the file is safe on disk
    #[arg(long)]
    no_sync: bool,

    /// Read and check every block, keep nothing
    #[arg(long, conflicts_with_all = ["dest", "force", "no_sync", "since"])]
    to_null: bool,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    if args.since.as_ref() == Some(&args.snapshot) {
        let what = "--since names the snapshot itself; give an older one, which DEST holds";
        return Err(Complaint::Usage(what.to_owned()));
    }
    let output = cx.output()?;
    let place = open::open(cx, Access::Read).await?;
    let report = match (args.since, args.dest) {
        (Some(base), Some(dest)) => {
            let Args { snapshot: snapshot_id, assume_base, .. } = args;
            let options = ops::export::Since { snapshot_id, base, dest, assume_base };
            ops::export::since(&options, &place.services, &place.engine).await?
        }
        (_, dest) => {
            let sync = !args.no_sync;
            let options = ops::export::Options { snapshot_id: args.snapshot, dest, force: args.force, sync };
            ops::export::run(&options, &place.services, &place.engine).await?
        }
    };
    output.show(&report)?;
    Ok(Exit::Clean)
}

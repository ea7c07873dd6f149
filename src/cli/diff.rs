//! `icecore diff`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::ops;
use crate::render::Format;
use crate::snapshot::SnapshotId;

/// Show which blocks were written between two snapshots, or along a chain of them
///
/// A block counts as changed when it was written in between, even with the same bytes; --content tells those apart.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Two snapshots, the older one first; more make a chain that is compared step by step
    #[arg(value_name = "SNAPSHOT", num_args = 2.., required = true)]
    snapshots: Vec<SnapshotId>,

    /// Read the blocks written in both and compare their checksums
    #[arg(long)]
    content: bool,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    if cx.global().format == Format::Cbt && args.snapshots.len() > 2 {
        let what = "--format cbt describes one delta; give it two snapshots, not a chain";
        return Err(Complaint::Usage(what.to_owned()));
    }
    let output = cx.output()?;
    let place = open::open_stateless(cx).await?;
    let options = ops::diff::Options { snapshots: args.snapshots, content: args.content };
    let report = ops::diff::run(&options, &place.services, &place.engine).await?;
    output.show(&report)?;
    Ok(Exit::Clean)
}

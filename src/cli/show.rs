//! `icecore show`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::ops;
use crate::snapshot::SnapshotId;

/// Show a snapshot's facts and a picture of its block map
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: SnapshotId,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let place = open::open_stateless(cx).await?;
    let report = ops::show::run(&args.snapshot, &place.services, &place.engine).await?;
    output.show(&report)?;
    Ok(Exit::Clean)
}

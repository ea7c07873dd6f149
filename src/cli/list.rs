//! `icecore list`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::control::SnapshotQuery;
use crate::ops;
use crate::snapshot::{SnapshotState, Tag, VolumeId};

/// List own snapshots and which of them belong together
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of this volume; repeat for several
    #[arg(long = "volume", value_name = "VOLUME")]
    volumes: Vec<VolumeId>,

    /// Only those with this tag; repeat to ask for several at once
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<Tag>,

    /// Only those in this state: pending, completed, error, recoverable or recovering
    #[arg(long, value_name = "STATE")]
    state: Option<SnapshotState>,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let place = open::open_stateless(cx).await?;
    let query = SnapshotQuery { ids: Vec::new(), volumes: args.volumes, tags: args.tags, state: args.state };
    let report = ops::list::run(&query, &place.services, &place.engine).await?;
    output.show(&report)?;
    Ok(Exit::Clean)
}

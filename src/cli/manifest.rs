//! `icecore manifest`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::open::{self, Access};
use crate::ops::manifest::{self, Options};
use crate::snapshot::{IdError, SnapshotId};
use std::path::{Path, PathBuf};

/// Write down which blocks a snapshot, image or device has, and the SHA-256 of each
///
/// A later verify holds a snapshot or a restored volume against it. With --base only blocks changed since are read. An
/// interrupted run of a snapshot goes on where it stopped when the same command is given again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A snapshot, an image file or a block device
    #[arg(value_name = "SNAPSHOT|FILE|DEVICE")]
    of: String,

    /// The manifest of an older snapshot of the same lineage
    #[arg(long, value_name = "MANIFEST")]
    base: Option<PathBuf>,

    /// The file to make, readable by its owner only
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Replace a file that is already there
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let options = Options { base: args.base, output: args.output, force: args.force };
    let report = if args.of.starts_with("snap-") && !Path::new(&args.of).exists() {
        let id: SnapshotId = args.of.parse().map_err(|error: IdError| Complaint::Usage(error.to_string()))?;
        let place = open::open(cx, Access::Read).await?;
        manifest::of_snapshot(&id, &options, &place.services, &place.engine).await?
    } else {
        manifest::of_image(Path::new(&args.of), &options, &open::local_engine(cx)).await?
    };
    output.show(&report)?;
    Ok(Exit::Clean)
}

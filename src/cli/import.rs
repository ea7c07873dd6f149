//! `icecore import`.

use crate::block::GiB;
use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::log::NOTE;
use crate::cli::open::{self, Access};
use crate::ops;
use crate::snapshot::{SnapshotId, Tag};
use std::path::PathBuf;

/// Make a snapshot of an image: a file or a block device
///
/// The new snapshot's id is on standard error at once; the result comes when the snapshot is completed and can be
/// listed. An interrupted import goes on where it stopped when the same command is given again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: PathBuf,

    /// Build upon this snapshot: only blocks that differ from it are sent
    #[arg(long, value_name = "SNAPSHOT")]
    parent: Option<SnapshotId>,

    /// Tag the snapshot; repeat for several
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<Tag>,

    /// Describe the snapshot
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Do not send blocks of zeros: on a volume restored encrypted they read as random bytes, not as zeros
    #[arg(long)]
    omit_zero_blocks: bool,

    /// Take the bytes as they are where IMAGE is a qcow2, VMDK, VHD, gzip or other file that holds a disk in another form
    #[arg(long)]
    raw: bool,

    /// Encrypt the snapshot
    #[arg(long)]
    encrypted: bool,

    /// Encrypt it with this key
    #[arg(long, value_name = "KEY", requires = "encrypted")]
    kms_key_id: Option<String>,

    /// Size of the volume; by default the smallest that holds the image
    #[arg(long, value_name = "GIB", value_parser = volume_size)]
    volume_size: Option<GiB>,

    /// Minutes without a write after which the service gives the snapshot up, 10 to 4320
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(10..=4320))]
    timeout: Option<u32>,

    /// Return once the last block is sent, without waiting for the snapshot to be completed
    #[arg(long)]
    no_wait: bool,
}

fn volume_size(text: &str) -> Result<GiB, String> {
    let gib: i64 = text.parse().map_err(|_| "expected a number of GiB".to_owned())?;
    GiB::try_from(gib).map_err(|error| error.to_string())
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let place = open::open(cx, Access::Write).await?;
    if args.omit_zero_blocks {
        let note = "blocks of zeros are left out: on a volume restored encrypted they read as random bytes";
        tracing::info!(target: NOTE, "{note}");
    }
    let options = ops::import::Options {
        image: args.image,
        parent: args.parent,
        tags: args.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        description: args.description,
        omit_zero_blocks: args.omit_zero_blocks,
        is_raw: args.raw,
        encrypted: args.encrypted,
        kms_key_id: args.kms_key_id,
        volume_size: args.volume_size,
        timeout_minutes: args.timeout,
        wait: !args.no_wait,
    };
    let report = ops::import::run(&options, &place.services, &place.engine).await?;
    output.show(&report)?;
    Ok(Exit::Clean)
}

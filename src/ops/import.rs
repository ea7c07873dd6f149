//! An image file as a snapshot.

mod begin;
mod compare;
mod feed;
mod finish;
mod send;

use crate::block::{ByteSize, Geometry, GiB};
use crate::device::Image;
use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::preflight::{open, suspended};
use crate::ops::{Engine, Services};
use crate::pipeline::{Checkpoint, Requests};
use crate::snapshot::{SnapshotId, Tags};
use begin::{Before, SENT, Started, checkpoint, estimate, started, volume_size};
use finish::{complete, is_readable, until_readable};
use send::{Sent, Work};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What to import, and as what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The image: a file or a device.
    pub image: PathBuf,
    /// The snapshot to build upon; only blocks that differ from it are sent.
    pub parent: Option<SnapshotId>,
    /// Its tags.
    pub tags: Tags,
    /// Free text.
    pub description: Option<String>,
    /// Leave blocks of zeros out. A volume restored encrypted then holds random bytes there.
    pub omit_zero_blocks: bool,
    /// Encrypt it.
    pub encrypted: bool,
    /// With this key.
    pub kms_key_id: Option<String>,
    /// Size of the volume; by default the smallest that holds the image (and is not below the parent's).
    pub volume_size: Option<GiB>,
    /// Minutes without a write after which the service gives the snapshot up, 10 to 4,320.
    pub timeout_minutes: Option<u32>,
    /// Take the image's bytes as they are, also where they are those of another format than a disk's.
    pub is_raw: bool,
    /// Return when the snapshot is completed and can be listed, rather than when the last block was sent.
    pub wait: bool,
}

/// What `icecore import` made.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The image.
    pub image: PathBuf,
    /// Size of the volume.
    pub volume_size: GiB,
    /// Blocks sent.
    pub blocks_written: u64,
    /// Of these, blocks of zeros sent as such.
    pub zero_blocks_written: u64,
    /// Blocks of the volume.
    pub blocks_total: u64,
    /// Blocks not sent because the parent has the same bytes.
    pub blocks_inherited: u64,
    /// Blocks of zeros left out.
    pub blocks_omitted: u64,
    /// Blocks that an earlier, interrupted run had sent; part of `blocks_written`.
    pub blocks_resumed: u64,
    /// Whether work of an interrupted run was counted without proof that the image is unchanged since.
    pub is_resumed: bool,
    /// What the blocks sent hold.
    pub bytes_written: ByteSize,
    /// Whether it was seen to be completed and listable.
    pub completed: bool,
    /// What was asked.
    pub requests: Requests,
    /// How long it took.
    pub elapsed: Duration,
}

/// Starts a snapshot, sends the image's blocks and completes it. With a parent, only blocks that differ from it.
/// A run that was interrupted goes on into the same snapshot.
pub async fn run(options: &Options, services: &Services, engine: &Engine) -> Result<Report, Fault> {
    let start = Instant::now();
    check_tags(options)?;
    let image = Arc::new(match options.is_raw {
        true => Image::open_raw(&options.image, engine.machine())?,
        false => Image::open(&options.image, engine.machine())?,
    });
    let parent = match &options.parent {
        Some(id) => Some(open(services, engine, id).await?),
        None => None,
    };
    let geometry = Geometry::ebs(volume_size(options, &image, parent.as_deref())?);
    estimate(options, services, engine, &image, parent.as_deref(), geometry).await?;

    let stamp = image.stamp()?;
    let (checkpoint, earlier) = checkpoint(options, services, engine, &image, &stamp)?;
    let is_trusted = earlier.is_trusted;
    let Started { id, checkpoint, is_new } = started(options, services, engine, geometry, checkpoint).await?;
    engine.monitor.on(Event::SnapshotStarted(id.clone()));
    let (sent, checkpoint) = match sent_before(services, engine, &id, &checkpoint, &earlier).await? {
        Some(sent) => (sent, checkpoint),
        None => {
            let work = Work { services, engine, image: image.clone(), geometry, id: &id, is_new };
            let result = work.send(options, parent, checkpoint, earlier).await;
            let (sent, checkpoint) = result.map_err(|fault| changed(fault, &id)).map_err(suspended)?;
            let checkpoint = checkpoint.set_fact(SENT, &sent.to_fact())?;
            (sent, checkpoint)
        }
    };
    complete(services, engine, &id, sent.written).await.map_err(suspended)?;
    checkpoint.remove()?;
    if options.wait {
        until_readable(services, engine, &id, sent.counts.resumed > 0).await?;
    }
    Ok(Report {
        snapshot_id: id,
        image: options.image.clone(),
        volume_size: geometry.volume_size,
        blocks_written: u64::from(sent.written.blocks),
        zero_blocks_written: sent.counts.zero,
        blocks_total: u64::from(geometry.n_blocks()),
        blocks_inherited: sent.counts.inherited,
        blocks_omitted: sent.counts.omitted,
        blocks_resumed: sent.counts.resumed,
        is_resumed: is_trusted,
        bytes_written: geometry.block_size.of(u64::from(sent.written.blocks)),
        completed: options.wait,
        requests: engine.requests(),
        elapsed: start.elapsed(),
    })
}

/// Adds to the fault of an image that changed what becomes of the snapshot.
fn changed(fault: Fault, id: &SnapshotId) -> Fault {
    match fault.kind {
        Kind::Changed => fault.hint(format!(
            "import it again while nothing writes to it; {id} stays pending until it times out"
        )),
        _ => fault,
    }
}

/// Tags that a snapshot takes at most (EBS direct APIs reference, StartSnapshot, `Tags`).
const MAX_TAGS: usize = 50;

/// Refuses more tags than a snapshot takes, the one that tells the parent included.
fn check_tags(options: &Options) -> Result<(), Fault> {
    let adds_parent = options.parent.is_some() && !options.tags.contains_key(begin::PARENT_TAG);
    let given = options.tags.len();
    if given + usize::from(adds_parent) <= MAX_TAGS {
        return Ok(());
    }
    let (what, most) = match adds_parent {
        true => (format!("{given} tags, and the tag {} for --parent", begin::PARENT_TAG), MAX_TAGS - 1),
        false => (format!("{given} tags"), MAX_TAGS),
    };
    Err(Fault::new(Kind::Unsuitable, Place::Program, format!("{what}: a snapshot takes {MAX_TAGS} at most"))
        .hint(format!("give {most} tags at most")))
}

/// What an earlier run sent, if that was all, so that it is only to be completed. A completed snapshot takes no block
/// any more, so where the service may have forgotten blocks of a pending one, it is asked which of the two it is.
async fn sent_before(
    services: &Services,
    engine: &Engine,
    id: &SnapshotId,
    checkpoint: &Checkpoint,
    earlier: &Before,
) -> Result<Option<Sent>, Fault> {
    let Some(sent) = checkpoint.fact(SENT).and_then(Sent::from_fact) else { return Ok(None) };
    let is_whole = earlier.is_kept || is_readable(services, engine, id).await.map_err(suspended)?;
    Ok(is_whole.then_some(sent))
}

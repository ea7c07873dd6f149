//! A snapshot as an image file, or on a block device; or what changed in it, put into one in place.

mod device;
mod file;
mod proof;
mod since;
mod target;

pub use since::{Since, since};

use crate::block::{BlockSet, BlockSize, ByteSize, GiB};
use crate::cost::Estimate;
use crate::device::{BlockDevice, Holding, Sidecar};
use crate::fault::Fault;
use crate::monitor::Event;
use crate::ops::preflight::{announce, facts, is_billed, open};
use crate::ops::{Engine, Services};
use crate::pipeline::{Requests, Which, block_map, read};
use crate::snapshot::SnapshotId;
use device::to_device;
use file::{check_dest, to_file};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use target::Target;
use tokio::time::Instant;

/// What to export, and where to.
#[derive(Clone, Debug)]
pub struct Options {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The file to make, or the device to overwrite; `None` reads and checks every block and keeps nothing.
    pub dest: Option<PathBuf>,
    /// Whether a file already there may be replaced.
    pub force: bool,
    /// Whether the file is made durable before it gets its name.
    pub sync: bool,
}

/// What `icecore export` made.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The file made, or the device overwritten.
    pub dest: Option<PathBuf>,
    /// Size of the volume, and of the file.
    pub volume_size: GiB,
    /// Blocks of the snapshot whose bytes were written.
    pub blocks_written: u64,
    /// What they hold.
    pub bytes_written: ByteSize,
    /// Blocks of the volume left as holes, or overwritten with zeros on a device: absent from the snapshot, or zeros.
    /// In place, of the changed blocks only.
    pub holes: u64,
    /// Blocks that an earlier, interrupted run had written.
    pub blocks_resumed: u64,
    /// Whether the file was made durable.
    pub synced: bool,
    /// Where a delta was put in place: upon what.
    pub base: Option<Base>,
    /// What was asked.
    pub requests: Requests,
    /// How long it took.
    pub elapsed: Duration,
}

/// What a delta was put upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The snapshot that the target held.
    pub snapshot_id: SnapshotId,
    /// How that is known.
    pub known: Known,
    /// Blocks of the target that were compared with it.
    pub blocks_compared: u64,
}

/// How it is known what a target held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The note beside it says so, nobody has written to it since, and a sample of its blocks agrees.
    Proved,
    /// The note says so, but not that the target is the same since (a copy, or times put back): every block was
    /// compared.
    Compared,
    /// Somebody said so.
    Assumed,
    /// An interrupted run had begun with it.
    Resumed,
    /// It held the new snapshot already: nothing was left to do.
    Done,
}

/// Reads every allocated block, checks it and writes it to the file, which gets its name when it is whole. A run
/// that was interrupted goes on where it stopped.
pub async fn run(options: &Options, services: &Services, engine: &Engine) -> Result<Report, Fault> {
    let start = Instant::now();
    if let Some(dest) = &options.dest {
        check_dest(dest, options.force, engine.machine())?;
    }
    let source = open(services, engine, &options.snapshot_id).await?;
    if is_billed(services) {
        let blocks = block_map(engine, source.as_ref()).await?.len();
        let pages = blocks.div_ceil(Estimate::PAGE).max(1);
        let estimate = Estimate { lists: 2 * pages, gets: blocks, puts: 0 };
        announce(services, engine, &source.place(), &estimate)?;
    }
    // Where the control plane tells, the progress knows its end from the beginning.
    let full_size = facts(services, engine, &options.snapshot_id).await.and_then(|info| info.full_size);
    let total = full_size.map(|size| size.bytes().div_ceil(u64::from(BlockSize::EBS.bytes())));
    engine.monitor.on(Event::Stage { verb: "exporting", total });
    let geometry = source.geometry();
    let (written, resumed) = match &options.dest {
        Some(dest) if BlockDevice::is_at(dest, engine.machine()) => {
            to_device(options, dest, services, engine, source).await?
        }
        Some(dest) => to_file(options, dest, services, engine, source).await?,
        None => {
            let target = Arc::new(Target::nothing());
            read(engine, source, Which::AllBut(BlockSet::new()), target.clone()).await?;
            (target.n_data(), 0)
        }
    };
    if written == 0 {
        engine.note(format!("{} has no block with data: all of it reads as zeros", options.snapshot_id));
    }
    Ok(Report {
        snapshot_id: options.snapshot_id.clone(),
        dest: options.dest.clone(),
        volume_size: geometry.volume_size,
        blocks_written: written,
        bytes_written: geometry.block_size.of(written),
        holes: u64::from(geometry.n_blocks()) - written,
        blocks_resumed: resumed,
        synced: options.sync && options.dest.is_some(),
        base: None,
        requests: engine.requests(),
        elapsed: start.elapsed(),
    })
}

/// What an export leaves with its target, so that a delta can be put upon it later.
fn note(services: &Services, id: &SnapshotId, stamp: String) -> Sidecar {
    Sidecar { place: services.label.clone(), holding: Holding::Snapshot { id: id.clone(), stamp } }
}

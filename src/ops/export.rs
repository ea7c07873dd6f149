//! A snapshot as an image file.

use crate::block::{BlockSet, BlockSize, ByteSize, GiB};
use crate::cost::Estimate;
use crate::device::{ImageFile, boot_id};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::preflight::{announce, facts, is_billed, open, suspended};
use crate::ops::{Engine, Services};
use crate::pipeline::{Checkpoint, Earlier, Journaled, Requests, Slot, Which, block_map, read};
use crate::snapshot::SnapshotId;
use crate::source::{Block, BlockSink, BlockSource};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What to export, and where to.
#[derive(Clone, Debug)]
pub struct Options {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The file to make; `None` reads and checks every block and keeps nothing.
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
    /// The file made.
    pub dest: Option<PathBuf>,
    /// Size of the volume, and of the file.
    pub volume_size: GiB,
    /// Blocks of the snapshot whose bytes were written.
    pub blocks_written: u64,
    /// What they hold.
    pub bytes_written: ByteSize,
    /// Blocks of the volume left as holes: absent from the snapshot, or zeros.
    pub holes: u64,
    /// Blocks that an earlier, interrupted run had written.
    pub blocks_resumed: u64,
    /// Whether the file was made durable.
    pub synced: bool,
    /// What was asked.
    pub requests: Requests,
    /// How long it took.
    pub elapsed: Duration,
}

/// Reads every allocated block, checks it and writes it to the file, which gets its name when it is whole. A run
/// that was interrupted goes on where it stopped.
pub async fn run(options: &Options, services: &Services, engine: &Engine) -> Result<Report, Fault> {
    let start = Instant::now();
    if let Some(dest) = &options.dest {
        check_dest(dest, options.force)?;
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
        Some(dest) => to_file(options, dest, services, engine, source).await?,
        None => {
            let target = Arc::new(Target::default());
            read(engine, source, Which::AllBut(BlockSet::new()), target.clone()).await?;
            (target.n_data(), 0)
        }
    };
    Ok(Report {
        snapshot_id: options.snapshot_id.clone(),
        dest: options.dest.clone(),
        volume_size: geometry.volume_size,
        blocks_written: written,
        bytes_written: geometry.block_size.of(written),
        holes: u64::from(geometry.n_blocks()) - written,
        blocks_resumed: resumed,
        synced: options.sync && options.dest.is_some(),
        requests: engine.requests(),
        elapsed: start.elapsed(),
    })
}

/// Refuses what must not be written before anything is asked.
fn check_dest(dest: &Path, force: bool) -> Result<(), Fault> {
    let refused = |what| Fault::new(Kind::Unsuitable, Place::File(dest.to_owned()), what);
    let Ok(meta) = std::fs::metadata(dest) else { return Ok(()) };
    if meta.is_dir() {
        return Err(refused("it is a directory").hint("give the name of a file to make"));
    }
    if !meta.is_file() {
        return Err(refused("it is no regular file").hint("export to a file, and copy that to the device"));
    }
    if !force {
        return Err(refused("the file exists already").hint("give another name, or --force to replace it"));
    }
    Ok(())
}

/// Blocks with data in the file at the end, and how many of the snapshot's an earlier run had done.
async fn to_file(
    options: &Options,
    dest: &Path,
    services: &Services,
    engine: &Engine,
    source: Arc<dyn BlockSource>,
) -> Result<(u64, u64), Fault> {
    let dest = canonical(dest)?;
    let path = Checkpoint::path(&engine.settings.state_dir, "export", &dest.to_string_lossy());
    let slot = Slot::take(&path)?;
    let file = ImageFile::open(&dest, source.geometry().size(), options.sync)?;
    let begun = begin(options, services, engine, slot, file)?;
    let resumed = begun.data.len() + begun.zero.len();
    engine.monitor.on(Event::Done { blocks: resumed, size: source.geometry().block_size.of(resumed) });

    let done = &begun.data | &begun.zero;
    let target = Arc::new(Target { file: Some(begun.file), n_data: AtomicU64::new(begun.data.len()) });
    let journal = Arc::new(Journaled::new(target.clone(), begun.checkpoint));
    let result = read(engine, source, Which::AllBut(done), journal.clone()).await;
    let finishing = Finishing { journal, target, resumed, replaces: options.force, dest: dest.clone() };
    let finished = tokio::task::spawn_blocking(move || finishing.run(result.err()));
    finished.await.map_err(|error| Fault::local(&dest, "finish", error.into()))?
}

/// The target with its directory's links resolved, so that one file has one checkpoint.
fn canonical(dest: &Path) -> Result<PathBuf, Fault> {
    let dest = std::path::absolute(dest).map_err(|error| Fault::local(dest, "find", error))?;
    match (dest.parent().map(std::fs::canonicalize), dest.file_name()) {
        (Some(Ok(parent)), Some(name)) => Ok(parent.join(name)),
        // Whoever opens it says what is wrong.
        _ => Ok(dest),
    }
}

/// A file to write to, and what of it an earlier run has done.
struct Begun {
    file: ImageFile,
    checkpoint: Checkpoint,
    data: BlockSet,
    zero: BlockSet,
}

fn begin(
    options: &Options,
    services: &Services,
    engine: &Engine,
    slot: Slot,
    file: ImageFile,
) -> Result<Begun, Fault> {
    // What was not made durable is there only until the machine is started again.
    let until = if options.sync { Some("durable".to_owned()) } else { boot_id() };
    let identity = |file: &ImageFile| match (file.stamp(), &until) {
        (Some(stamp), Some(until)) => {
            Some(format!("export {} of {} to {stamp}, {until}", options.snapshot_id, services.label))
        }
        // Where one file cannot be told from another, nothing is resumed.
        _ => None,
    };
    if let Some(identity) = identity(&file).filter(|_| !file.is_new())
        && let Earlier::Same(found) = slot.earlier(&identity)?
    {
        let (data, zero) = (found.done.clone(), found.same.clone());
        let done = data.len() + zero.len();
        engine.note(format!("going on with an interrupted export: {done} blocks are done"));
        return Ok(Begun { file, checkpoint: slot.resume(found)?, data, zero });
    }
    let file = if file.is_new() {
        file
    } else {
        engine.note("what an earlier run left is of another export: starting anew");
        file.renewed()?
    };
    match slot.begin(&identity(&file).unwrap_or_default(), BTreeMap::new()) {
        Ok(checkpoint) => Ok(Begun { file, checkpoint, data: BlockSet::new(), zero: BlockSet::new() }),
        Err(fault) => {
            file.discard();
            Err(fault)
        }
    }
}

/// The owned job that ends an export, whichever way it went.
struct Finishing {
    journal: Arc<Journaled>,
    target: Arc<Target>,
    resumed: u64,
    replaces: bool,
    dest: PathBuf,
}

impl Finishing {
    fn run(self, fault: Option<Fault>) -> Result<(u64, u64), Fault> {
        if fault.is_some() {
            // What was written may serve the next run; that it cannot be kept is the smaller trouble.
            let _ = self.journal.sync();
        }
        let progress = self.resumed + self.journal.n_recorded();
        let n_data = self.target.n_data();
        let checkpoint = Arc::into_inner(self.journal).map(Journaled::into_checkpoint);
        let file = Arc::into_inner(self.target).and_then(|target| target.file);
        let (Some(checkpoint), Some(file)) = (checkpoint, file) else {
            unreachable!("{}: reading has ended, and nobody else holds these", self.dest.display())
        };
        match fault {
            None => {
                file.finish(self.replaces)?;
                checkpoint.remove()?;
                Ok((n_data, self.resumed))
            }
            Some(fault) if progress == 0 || fault.kind == Kind::Vanished => {
                file.discard();
                checkpoint.remove()?;
                Err(fault)
            }
            Some(fault) => Err(suspended(fault)),
        }
    }
}

/// Where the blocks go: to a file, or nowhere once they are checked.
#[derive(Debug, Default)]
struct Target {
    file: Option<ImageFile>,
    n_data: AtomicU64,
}

impl Target {
    fn n_data(&self) -> u64 {
        self.n_data.load(Ordering::Relaxed)
    }
}

impl BlockSink for Target {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        self.n_data.fetch_add(u64::from(!block.is_zero()), Ordering::Relaxed);
        self.file.as_ref().map_or(Ok(()), |file| file.write(block))
    }

    fn sync(&self) -> Result<(), Fault> {
        self.file.as_ref().map_or(Ok(()), BlockSink::sync)
    }
}

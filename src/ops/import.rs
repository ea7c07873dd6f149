//! An image file as a snapshot.

use crate::block::{BlockSet, ByteSize, Digest, Geometry, GiB};
use crate::cost::Estimate;
use crate::device::{Image, Part};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Event, Monitor};
use crate::ops::preflight::{announce, facts, is_billed, open, suspended};
use crate::ops::{Engine, Services};
use crate::pipeline::{
    Action, Ask, Checkpoint, Earlier, Mark, Outgoing, Requests, Tries, Which, block_map, read, write,
};
use crate::snapshot::{NewSnapshot, SnapshotId, SnapshotState, Tags, Written};
use crate::source::{Block, BlockSink, BlockSource};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
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
    let image = Arc::new(Image::open(&options.image)?);
    let parent = match &options.parent {
        Some(id) => Some(open(services, engine, id).await?),
        None => None,
    };
    let geometry = Geometry::ebs(volume_size(options, &image, parent.as_deref())?);
    estimate(options, services, engine, &image, parent.as_deref(), geometry).await?;

    let stamp = image.stamp()?;
    let (checkpoint, earlier) = checkpoint(options, services, engine, &image, &stamp)?;
    let (id, checkpoint) = started(options, services, engine, geometry, checkpoint).await?;
    engine.monitor.on(Event::SnapshotStarted(id.clone()));
    let work = Work { services, engine, image: image.clone(), geometry, id: &id };
    let result = work.send(options, parent, checkpoint, earlier, &stamp).await;
    let (sent, checkpoint) = result.map_err(suspended)?;
    complete(services, engine, &id, sent.written).await.map_err(suspended)?;
    checkpoint.remove()?;
    if options.wait {
        until_readable(services, engine, &id).await?;
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
        bytes_written: geometry.block_size.of(u64::from(sent.written.blocks)),
        completed: options.wait,
        requests: engine.requests(),
        elapsed: start.elapsed(),
    })
}

/// As asked, or the smallest that holds the image and the parent's volume.
fn volume_size(options: &Options, image: &Image, parent: Option<&dyn BlockSource>) -> Result<GiB, Fault> {
    let refused = |what: String| Fault::new(Kind::Unsuitable, Place::File(options.image.clone()), what);
    let holding =
        GiB::holding(image.len()).map_err(|error| refused(format!("the image is too large: {error}")))?;
    let least = parent.map_or(holding, |parent| holding.max(parent.geometry().volume_size));
    match options.volume_size {
        Some(size) if size < least => Err(refused(format!("a volume of {size} does not hold it"))
            .hint(format!("give a volume size of at least {}", least.get()))),
        Some(size) => Ok(size),
        None => Ok(least),
    }
}

/// Says what it will cost, at most.
async fn estimate(
    options: &Options,
    services: &Services,
    engine: &Engine,
    image: &Image,
    parent: Option<&dyn BlockSource>,
    geometry: Geometry,
) -> Result<(), Fault> {
    if !is_billed(services) {
        return Ok(());
    }
    let inherited = match parent {
        Some(parent) => block_map(engine, parent).await?.len(),
        None => 0,
    };
    let puts = if options.omit_zero_blocks {
        image.len().div_ceil(u64::from(geometry.block_size.bytes())).max(inherited)
    } else {
        u64::from(geometry.n_blocks())
    };
    let lists = 2 * inherited.div_ceil(Estimate::PAGE) + 2;
    let at = Place::File(options.image.clone());
    announce(services, engine, &at, &Estimate { lists, gets: inherited, puts })
}

/// What an earlier run of the same import left: blocks sent, blocks found the same as the parent's.
#[derive(Debug, Default)]
struct Before {
    sent: BlockSet,
    same: BlockSet,
}

/// Facts in the checkpoint: under which token the snapshot was started, and which it became.
const CLIENT_TOKEN: &str = "client_token";
const SNAPSHOT: &str = "snapshot";

fn checkpoint(
    options: &Options,
    services: &Services,
    engine: &Engine,
    image: &Image,
    stamp: &str,
) -> Result<(Checkpoint, Before), Fault> {
    let path =
        std::path::absolute(image.path()).map_err(|error| Fault::local(image.path(), "find", error))?;
    // Everything that makes it another snapshot; the path itself is in the checkpoint's name.
    let identity = format!(
        "import {stamp} to {} parent {:?} omit {} size {:?} encrypted {} {:?} tags {:?} {:?} timeout {:?}",
        services.label,
        options.parent,
        options.omit_zero_blocks,
        options.volume_size,
        options.encrypted,
        options.kms_key_id,
        options.tags,
        options.description,
        options.timeout_minutes,
    );
    let target = format!("{} {:?} {}", services.label, options.parent, path.display());
    let file = Checkpoint::path(&engine.settings.state_dir, "import", &target);
    match Checkpoint::open(&file, &identity)? {
        Earlier::Same(earlier) => {
            let before = Before { sent: earlier.done, same: earlier.same };
            return Ok((earlier.checkpoint, before));
        }
        Earlier::Other(facts) => {
            let left = facts.get(SNAPSHOT).map(|id| format!(" ({id} stays pending until it times out)"));
            let left = left.unwrap_or_default();
            engine.note(format!(
                "the image or the options have changed since an interrupted import: starting anew{left}"
            ));
        }
        Earlier::None => {}
    }
    let token = Digest::of(&random()?).to_string()[..32].to_owned();
    let facts = BTreeMap::from([(CLIENT_TOKEN.to_owned(), token)]);
    Ok((Checkpoint::create(&file, &identity, facts)?, Before::default()))
}

fn random() -> Result<[u8; 32], Fault> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Fault::local("/dev/urandom", "read", std::io::Error::other(error.to_string())))?;
    Ok(bytes)
}

/// The snapshot to write to: the one the checkpoint names, else a new one. The client token is on disk before the
/// request goes out, so a start whose answer was lost is the same start when repeated.
async fn started(
    options: &Options,
    services: &Services,
    engine: &Engine,
    geometry: Geometry,
    mut checkpoint: Checkpoint,
) -> Result<(SnapshotId, Checkpoint), Fault> {
    if let Some(id) = checkpoint.fact(SNAPSHOT).and_then(|id| id.parse().ok()) {
        engine.note(format!("going on with the interrupted import of {id}"));
        return Ok((id, checkpoint));
    }
    let mut tags = options.tags.clone();
    if let Some(parent) = &options.parent {
        // AWS shows no parent; the tag does.
        tags.insert("icecore:parent".to_owned(), parent.to_string());
    }
    let new = NewSnapshot {
        volume_size: geometry.volume_size,
        parent: options.parent.clone(),
        description: options.description.clone(),
        tags,
        client_token: checkpoint.fact(CLIENT_TOKEN).map(str::to_owned),
        encrypted: options.encrypted.then_some(true),
        kms_key_id: options.kms_key_id.clone(),
        timeout_minutes: options.timeout_minutes,
    };
    let ask = Ask::new(Action::Control, Place::Service);
    let started = engine.ask(&mut Tries::none(), ask, || services.writer.start(&new)).await;
    match started {
        Ok(info) => {
            checkpoint.set_fact(SNAPSHOT, info.id.as_str())?;
            Ok((info.id, checkpoint))
        }
        Err(fault) => {
            checkpoint.remove()?;
            Err(fault)
        }
    }
}

/// What was sent, and what was not.
struct Sent {
    written: Written,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    zero: u64,
    inherited: u64,
    omitted: u64,
    resumed: u64,
}

struct Work<'a> {
    services: &'a Services,
    engine: &'a Engine,
    image: Arc<Image>,
    geometry: Geometry,
    id: &'a SnapshotId,
}

impl Work<'_> {
    /// First the parent is read and compared with the image; then what differs is sent, ascending.
    async fn send(
        &self,
        options: &Options,
        parent: Option<Arc<dyn BlockSource>>,
        checkpoint: Checkpoint,
        before: Before,
        stamp: &str,
    ) -> Result<(Sent, Checkpoint), Fault> {
        let (same, in_parent, mut checkpoint) = match parent {
            Some(parent) => self.compare(parent, checkpoint, &before).await?,
            None => (before.same, BlockSet::new(), checkpoint),
        };
        let total = u64::from(self.geometry.n_blocks()) - same.len();
        self.engine.monitor.on(Event::Stage { verb: "importing", total: Some(total) });
        let resumed = before.sent.len();
        self.engine.monitor.on(Event::Done { blocks: resumed, size: self.geometry.block_size.of(resumed) });

        let (sender, blocks) = mpsc::channel(BLOCKS_AHEAD);
        let feed = Feed {
            image: self.image.clone(),
            geometry: self.geometry,
            same,
            sent: before.sent,
            in_parent,
            omit_zeros: options.omit_zero_blocks,
            monitor: self.engine.monitor.clone(),
            to: sender,
        };
        let feeding = tokio::task::spawn_blocking(move || feed.run());
        let writer = self.services.writer.clone();
        let written = write(self.engine, writer, self.id, blocks, &mut checkpoint).await;
        let counts = feeding
            .await
            .map_err(|error| Fault::local(self.image.path(), "read", std::io::Error::other(error)))?;
        let written = written.map_err(|fault| self.gone(fault))?;
        if self.image.stamp()? != stamp {
            let what = "the image changed while it was read";
            return Err(Fault::new(Kind::Unsuitable, Place::File(self.image.path().to_owned()), what)
                .hint("import it again while nothing writes to it; the snapshot started stays pending"));
        }
        Ok((Sent { written, counts }, checkpoint))
    }

    /// Which blocks the parent has, and which of them the image has just the same.
    async fn compare(
        &self,
        parent: Arc<dyn BlockSource>,
        checkpoint: Checkpoint,
        before: &Before,
    ) -> Result<(BlockSet, BlockSet, Checkpoint), Fault> {
        self.engine.monitor.on(Event::Stage { verb: "comparing with the parent", total: None });
        let compared = Arc::new(Compared {
            image: self.image.clone(),
            found: Mutex::new(Found { same: before.same.clone(), checkpoint }),
        });
        let known = &before.same | &before.sent;
        let result = read(self.engine, parent, Which::AllBut(known), compared.clone()).await;
        let Some(compared) = Arc::into_inner(compared) else { unreachable!("reading has ended") };
        let found = compared.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        result.map(|read| (found.same, read.listed, found.checkpoint))
    }

    /// A pending snapshot that the service gave up takes no more blocks, and never will.
    fn gone(&self, fault: Fault) -> Fault {
        match fault.kind {
            Kind::NotFound => fault
                .as_kind(Kind::Vanished)
                .hint("it was deleted, or given up for taking too long: remove --state-dir's checkpoint to start anew"),
            _ => fault,
        }
    }
}

/// Blocks read and hashed ahead of the puts.
const BLOCKS_AHEAD: usize = 16;

/// Compares the parent's blocks with the image's; what is the same goes to the checkpoint, since it was paid for.
#[derive(Debug)]
struct Compared {
    image: Arc<Image>,
    found: Mutex<Found>,
}

#[derive(Debug)]
struct Found {
    same: BlockSet,
    checkpoint: Checkpoint,
}

impl BlockSink for Compared {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        let same = match self.image.part(block.index())? {
            Part::Zero => block.is_zero(),
            Part::Data(bytes) => bytes == block.bytes(),
        };
        if same {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.same.insert(block.index());
            found.checkpoint.append(&[(Mark::Same, block.index())])?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// The owned job that reads and hashes the image, ascending.
struct Feed {
    image: Arc<Image>,
    geometry: Geometry,
    same: BlockSet,
    sent: BlockSet,
    in_parent: BlockSet,
    omit_zeros: bool,
    monitor: Arc<dyn Monitor>,
    to: mpsc::Sender<Result<Outgoing, Fault>>,
}

impl Feed {
    fn run(self) -> Counts {
        let mut counts = Counts::default();
        let zeros = Bytes::from(vec![0; self.geometry.block_size.buffer_len()]);
        for index in self.geometry.range().iter() {
            if self.same.contains(index) {
                counts.inherited += 1;
                continue;
            }
            let block = match self.image.part(index) {
                // A block that is zero in the image but allocated in the parent must be overwritten there.
                Ok(Part::Zero) if self.omit_zeros && !self.in_parent.contains(index) => {
                    counts.omitted += 1;
                    self.monitor.on(Event::Done { blocks: 1, size: ByteSize::ZERO });
                    continue;
                }
                Ok(Part::Zero) => Ok(Block::vouched(index, Digest::ZERO_BLOCK, zeros.clone())),
                Ok(Part::Data(bytes)) => Ok(Block::hashed(index, bytes)),
                Err(fault) => Err(fault),
            };
            let outgoing = block.map(|block| {
                counts.zero += u64::from(block.is_zero());
                if self.sent.contains(index) {
                    counts.resumed += 1;
                    Outgoing::Sent(index, block.digest())
                } else {
                    Outgoing::Send(block)
                }
            });
            let failed = outgoing.is_err();
            if self.to.blocking_send(outgoing).is_err() || failed {
                break;
            }
        }
        counts
    }
}

async fn complete(
    services: &Services,
    engine: &Engine,
    id: &SnapshotId,
    written: Written,
) -> Result<(), Fault> {
    let ask = Ask::new(Action::Control, Place::Snapshot(id.clone())).of_new(id);
    engine.ask(&mut Tries::none(), ask, || services.writer.complete(id, written)).await?;
    Ok(())
}

/// How long a completed snapshot may take to become readable. Recorded live: 63 s at worst.
const READABLE_WITHIN: Duration = Duration::from_secs(30 * 60);

/// Waits until the block service lists it: EC2 says completed up to a minute earlier.
async fn until_readable(services: &Services, engine: &Engine, id: &SnapshotId) -> Result<(), Fault> {
    engine.monitor.on(Event::Stage { verb: "waiting for completion", total: None });
    let start = Instant::now();
    let mut wait = Duration::from_millis(20);
    loop {
        let ask = Ask::new(Action::List, Place::Snapshot(id.clone()));
        match engine.ask(&mut Tries::none(), ask, || services.blocks.open(id)).await {
            Ok(_) => return Ok(()),
            Err(fault) if fault.kind != Kind::NotFound => return Err(fault),
            Err(_) => {}
        }
        if let Some(info) =
            facts(services, engine, id).await.filter(|info| info.state == SnapshotState::Error)
        {
            let why = info.state_message.unwrap_or_else(|| "no reason given".to_owned());
            let what = format!("the service refused the completed snapshot: {why}");
            return Err(Fault::new(Kind::Service, Place::Snapshot(id.clone()), what)
                .hint("delete it and import again"));
        }
        if start.elapsed() > READABLE_WITHIN {
            let what = "all blocks were sent, but it is not readable after 30 minutes";
            return Err(Fault::new(Kind::Timeout, Place::Snapshot(id.clone()), what)
                .hint("watch its state with icecore list"));
        }
        engine.pause(wait).await?;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
}

//! Putting what changed since another snapshot into a target that holds that one.
//!
//! The target is proved to hold the older snapshot, or somebody vouches for it; then it is marked as being between
//! the two, changed block by block, and only when all of that is durable, marked as holding the newer one. Whatever
//! ends a run on the way, the mark stands, and the same command goes on.

use crate::block::{BlockIndex, BlockRange, BlockSet, ByteSize, Geometry};
use crate::cost::Estimate;
use crate::delta::Delta;
use crate::device::{Holding, InPlace, Sidecar, Since as Changes};
use crate::disk::Machine;
use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::diff::delta;
use crate::ops::export::file::canonical;
use crate::ops::export::target::Target;
use crate::ops::export::{Base, Known, Report, proof};
use crate::ops::preflight::{announce, is_billed, open, suspended};
use crate::ops::{Engine, Services};
use crate::pipeline::{Checkpoint, Earlier, Journaled, Slot, Walk, Which, block_map, interrupted, read};
use crate::snapshot::SnapshotId;
use crate::source::{BlockSink, BlockSource, Listed};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::time::Instant;

/// What to put where.
#[derive(Clone, Debug)]
pub struct Since {
    /// The snapshot that the target will hold.
    pub snapshot_id: SnapshotId,
    /// The snapshot that it holds.
    pub base: SnapshotId,
    /// An image file or a block device.
    pub dest: PathBuf,
    /// Believe that it holds the base.
    pub assume_base: bool,
}

/// Zeros made without looking whether to stop: 512 MiB.
const ZEROS_AT_ONCE: u32 = 1024;

/// Changes a target from one snapshot to another, in place: what was written, and what was deallocated, which reads
/// as zeros then, whatever the encryption. A run that was interrupted goes on where it stopped.
pub async fn since(options: &Since, services: &Services, engine: &Engine) -> Result<Report, Fault> {
    let start = Instant::now();
    let path = canonical(&options.dest)?;
    let (first, second) = (&options.base, &options.snapshot_id);
    let checkpoint = Checkpoint::path(&engine.settings.state_dir, "export", &path.to_string_lossy());
    let slot = Slot::take(&engine.machine().disk, &checkpoint)?;
    // Before anything is sent.
    let target = Arc::new(InPlace::open(&path, engine.machine())?);
    let (known, is_proven) = known(options, &path, &target, services, engine)?;
    if known == Known::Assumed {
        target.refuse_container()?;
    }
    let (base, source) = (open(services, engine, first).await?, open(services, engine, second).await?);
    let geometry = source.geometry();
    target.check_size(geometry.size())?;

    let (delta, _) = delta(services, engine, first, second).await?;
    let changed = delta.changed();
    let plan = Plan::of(&delta, base.geometry(), geometry);
    let at = Place::Pair(first.clone(), second.clone());
    let lists = 2 * changed.len().div_ceil(Estimate::PAGE) + 10;
    let (held, but) = match known {
        Known::Done => (source.clone(), BlockSet::new()),
        _ => (base, changed),
    };
    let compares = match is_proven {
        false if known != Known::Assumed && is_billed(services) => {
            (&block_map(engine, held.as_ref()).await? - &but).len()
        }
        _ => 32,
    };
    announce(services, engine, &at, &Estimate { lists, gets: plan.read.len() + compares, puts: 0 })?;
    let blocks_compared = match known {
        Known::Assumed => 0,
        _ if is_proven => proof::holds(engine, &target, held, &but, &path).await?,
        _ => proof::holds_wholly(engine, &target, held, &but, &path).await?,
    };
    let mut work = Work { options, services, engine, target, path, plan, geometry };
    let (data, resumed) = match known {
        Known::Done => {
            work.plan = Plan::default();
            (0, 0)
        }
        _ => work.run(slot, known, source).await?,
    };
    let n_blocks = work.plan.n_changed;
    Ok(Report {
        snapshot_id: second.clone(),
        dest: Some(options.dest.clone()),
        volume_size: geometry.volume_size,
        blocks_written: data,
        bytes_written: geometry.block_size.of(data),
        holes: n_blocks - data,
        blocks_resumed: resumed,
        synced: true,
        base: Some(Base { snapshot_id: first.clone(), known, blocks_compared }),
        requests: engine.requests(),
        elapsed: start.elapsed(),
    })
}

/// What is known of the target, and whether its stamp proves it; or why it is not touched.
fn known(
    options: &Since,
    path: &Path,
    target: &InPlace,
    services: &Services,
    engine: &Engine,
) -> Result<(Known, bool), Fault> {
    let (from, to) = (&options.base, &options.snapshot_id);
    let refused = |what: String| {
        let risk = "export it as a whole with --force, or see --assume-base";
        Err(Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what).hint(risk))
    };
    let note = Sidecar::of(path, engine.machine())?.filter(|note| note.place == services.label);
    let holding = match note {
        Some(note) => note.holding,
        None => {
            // Half-way, but for another account's snapshots.
            Sidecar::refuse_unfinished(path, engine.machine())?;
            if options.assume_base {
                return Ok((Known::Assumed, false));
            }
            return refused(format!("nothing tells that it holds {from}"));
        }
    };
    match holding {
        Holding::Between { from: a, to: b } if a == *from && b == *to => Ok((Known::Resumed, true)),
        Holding::Between { .. } => {
            Sidecar::refuse_unfinished(path, engine.machine()).map(|()| (Known::Resumed, true))
        }
        Holding::Snapshot { id, stamp } => {
            let changes = target.since(&stamp)?;
            let is_proven = changes == Changes::Unchanged;
            match () {
                () if changes == Changes::Written && options.assume_base => Ok((Known::Assumed, false)),
                () if changes == Changes::Written => {
                    refused(format!("it held {id}, and has been written to since"))
                }
                () if id == *to && (is_proven || !options.assume_base) => Ok((Known::Done, is_proven)),
                () if id == *from && is_proven => Ok((Known::Proved, true)),
                () if options.assume_base => Ok((Known::Assumed, false)),
                () if id == *from => {
                    engine.note(format!(
                        "nothing proves that {} is unchanged since it was exported (a copy?): every block is \
                         compared, see --assume-base",
                        path.display()
                    ));
                    Ok((Known::Compared, false))
                }
                () => refused(format!("it holds {id}, not {from}")),
            }
        }
    }
}

/// What has to be done to the target.
#[derive(Debug, Default)]
struct Plan {
    /// Blocks to be read and written.
    read: BlockSet,
    /// Blocks to read as zeros: deallocated, or new in a volume that has grown.
    zero: BlockSet,
    /// Changed blocks within the new volume.
    n_changed: u64,
}

impl Plan {
    fn of(delta: &Delta, before: Geometry, after: Geometry) -> Self {
        let within = BlockSet::from(after.range());
        let read = &(&delta.only_in_second | &delta.in_both) & &within;
        let gone = &delta.only_in_first & &within;
        // Of what lies behind the old volume on a device, or in a file that somebody vouches for, nothing is known.
        let grown = &within - &BlockSet::from(before.range());
        let zero = &(&gone | &grown) - &read;
        Self { n_changed: read.len() + gone.len(), read, zero }
    }
}

struct Work<'a> {
    options: &'a Since,
    services: &'a Services,
    engine: &'a Engine,
    target: Arc<InPlace>,
    path: PathBuf,
    plan: Plan,
    geometry: Geometry,
}

impl Work<'_> {
    /// Blocks with data written in all, and how many an earlier run had done.
    async fn run(&self, slot: Slot, known: Known, source: Arc<dyn BlockSource>) -> Result<(u64, u64), Fault> {
        let (mut checkpoint, mut data, zero) = self.begin(slot, known)?;
        let mut done = &data | &zero;
        if !proof::still_holds(self.engine, &self.target, source.clone(), &done).await? {
            self.engine
                .note("somebody has written to it since it was interrupted: all changed blocks are written");
            (checkpoint, data, done) = (checkpoint.cleared()?, BlockSet::new(), BlockSet::new());
        }
        let between =
            Holding::Between { from: self.options.base.clone(), to: self.options.snapshot_id.clone() };
        let mark = Sidecar { place: self.services.label.clone(), holding: between };
        mark.write(&self.path, self.engine.machine())?;
        self.target.drop_set_id()?;

        let total = self.plan.read.len() + self.plan.zero.len();
        self.engine.monitor.on(Event::Stage { verb: "changing in place", total: Some(total) });
        self.engine
            .monitor
            .on(Event::Resumed { blocks: done.len(), size: self.geometry.block_size.of(done.len()) });
        let sink = Arc::new(Target::new(self.target.clone(), data.len()));
        let journal =
            Arc::new(Journaled::new(sink.clone(), checkpoint, self.engine.settings.checkpoint_every));
        let changed = self.change(&done, source, journal.clone()).await;
        let Some(journal) = Arc::into_inner(journal) else { unreachable!("reading has ended") };
        let n_data = sink.n_data();
        let ending = Ending {
            journal,
            target: self.target.clone(),
            volume: self.geometry.size(),
            place: self.services.label.clone(),
            id: self.options.snapshot_id.clone(),
            path: self.path.clone(),
            machine: self.engine.machine().clone(),
        };
        let ended = tokio::task::spawn_blocking(move || ending.run(changed)).await;
        ended.map_err(|error| Fault::local(&self.path, "finish", error.into()))??;
        Ok((n_data, done.len()))
    }

    /// The checkpoint, and the blocks of data and of zeros that an earlier run has written.
    fn begin(&self, slot: Slot, known: Known) -> Result<(Checkpoint, BlockSet, BlockSet), Fault> {
        let Since { snapshot_id, base, .. } = self.options;
        let identity = self.target.identity().map(|target| {
            format!("export {snapshot_id} of {} since {base} to {target}", self.services.label)
        });
        if let (Known::Resumed, Some(identity)) = (known, &identity)
            && let Earlier::Same(found) = slot.earlier(identity)?
        {
            let (data, zero) = (found.done.clone(), found.same.clone());
            let n_done = data.len() + zero.len();
            self.engine
                .note(format!("going on with an interrupted export: {n_done} changed blocks are done"));
            return Ok((slot.resume(found)?, data, zero));
        }
        let checkpoint = slot.begin(&identity.unwrap_or_default(), BTreeMap::new())?;
        Ok((checkpoint, BlockSet::new(), BlockSet::new()))
    }

    /// Page by page, so that memory follows the page.
    async fn change(
        &self,
        done: &BlockSet,
        source: Arc<dyn BlockSource>,
        sink: Arc<Journaled>,
    ) -> Result<(), Fault> {
        self.blocking({
            let (target, size) = (self.target.clone(), self.geometry.size());
            move || target.grow(size)
        })
        .await?;
        let Since { snapshot_id, base, .. } = self.options;
        let feed = self.services.blocks.compare(base, snapshot_id);
        let mut walk = Walk::seen(self.engine, feed.place(), BlockIndex::ZERO);
        while let Some(page) = walk.page(|cursor| feed.changes(cursor)).await? {
            let listed = page.into_iter().filter_map(|change| {
                let is_wanted = self.plan.read.contains(change.index) && !done.contains(change.index);
                Some(Listed { index: change.index, token: change.second.filter(|_| is_wanted)? })
            });
            read(self.engine, source.clone(), Which::These(listed.collect()), sink.clone()).await?;
        }
        for range in self.plan.zero.ranges() {
            for start in (range.start().get()..range.end()).step_by(ZEROS_AT_ONCE as usize) {
                if self.engine.stop.is_requested() {
                    return Err(interrupted());
                }
                let part = BlockRange::new(BlockIndex::new(start), ZEROS_AT_ONCE.min(range.end() - start));
                let target = self.target.clone();
                self.blocking(move || target.zero(part)).await?;
                let size = part.size(self.geometry.block_size);
                self.engine.monitor.on(Event::Done { blocks: u64::from(part.len()), size });
            }
        }
        Ok(())
    }

    async fn blocking(&self, work: impl FnOnce() -> Result<(), Fault> + Send + 'static) -> Result<(), Fault> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Fault::local(&self.path, "change", error.into()))?
    }
}

/// The owned job that ends a run, whichever way it went.
struct Ending {
    journal: Journaled,
    target: Arc<InPlace>,
    volume: ByteSize,
    place: String,
    id: SnapshotId,
    path: PathBuf,
    machine: Machine,
}

impl Ending {
    fn run(self, changed: Result<(), Fault>) -> Result<(), Fault> {
        // What was written may serve the next run; that it cannot be kept is the smaller trouble.
        let saved = self.journal.sync();
        let checkpoint = self.journal.into_checkpoint();
        changed.and(saved).map_err(suspended)?;
        let target = &self.target;
        target.resize(self.volume).and_then(|()| target.sync()).map_err(suspended)?;
        target.is_at_its_path()?;
        let holding = Holding::Snapshot { id: self.id, stamp: target.stamp()? };
        let note = Sidecar { place: self.place, holding };
        note.write(&self.path, &self.machine).map_err(suspended)?;
        checkpoint.remove()
    }
}

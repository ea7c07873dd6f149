//! The manifest of a snapshot.

use crate::block::{BlockSet, Geometry};
use crate::cost::Estimate;
use crate::delta::Delta;
use crate::fault::{Fault, Kind, Place};
use crate::manifest::{self, About, Draft, Manifest, Roots};
use crate::monitor::Event;
use crate::ops::diff::delta;
use crate::ops::manifest::{Options, Report, check_output};
use crate::ops::preflight::{announce, facts, is_billed, open, suspended};
use crate::ops::{Engine, Services};
use crate::pipeline::{Checkpoint, Earlier, Journaled, Slot, Which, block_map, read};
use crate::snapshot::SnapshotId;
use crate::source::{BlockSink, BlockSource};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::time::Instant;

/// Reads every allocated block of a snapshot, with a base only those changed since, and writes the manifest. A run
/// that was interrupted goes on where it stopped.
pub async fn of_snapshot(
    id: &SnapshotId,
    options: &Options,
    services: &Services,
    engine: &Engine,
) -> Result<Report, Fault> {
    let start = Instant::now();
    check_output(engine.machine().disk.as_ref(), &options.output, options.force)?;
    let base = match &options.base {
        Some(path) => Some(opened_base(path).await?),
        None => None,
    };
    let source = open(services, engine, id).await?;
    let geometry = source.geometry();
    let base = match base {
        Some(base) => since(base, id, services, engine).await?,
        None => None,
    };
    estimate(id, source.as_ref(), base.as_ref(), services, engine).await?;
    let is_encrypted = facts(services, engine, id).await.map(|info| info.encrypted);
    if is_encrypted.is_none() {
        engine.note(format!(
            "whether {id} is encrypted is not known: a verification by this manifest alone cannot judge blocks that it \
             does not list"
        ));
    }
    let work = Work { id, options, services, engine, geometry, is_encrypted };
    let done = work.read(source, base.as_ref()).await?;
    if done.present == 0 {
        engine.note(format!("{id} has no blocks: the snapshot is empty, and so is its manifest"));
    }
    let base_used = base.is_some().then(|| options.base.clone()).flatten();
    Ok(Report {
        name: id.to_string(),
        snapshot_id: Some(id.clone()),
        is_encrypted,
        geometry,
        size: geometry.size(),
        output: options.output.clone(),
        blocks: done.present,
        blocks_read: done.read,
        blocks_resumed: done.resumed,
        blocks_from_base: done.present - done.read - done.resumed,
        base: base_used,
        roots: done.roots,
        requests: Some(engine.requests()),
        elapsed: start.elapsed(),
    })
}

/// A base, and what was written since its snapshot.
struct Base {
    manifest: Manifest,
    delta: Delta,
}

impl Base {
    /// The blocks that have to be read.
    fn changed(&self) -> BlockSet {
        &self.delta.only_in_second | &self.delta.in_both
    }

    /// Whether these are the blocks that base and change feed together tell of.
    fn leads_to(&self, listed: &BlockSet) -> bool {
        let kept = self.manifest.present() - &self.delta.only_in_first;
        &kept | &self.delta.only_in_second == *listed
    }
}

async fn opened_base(path: &Path) -> Result<Manifest, Fault> {
    let (path, at) = (path.to_owned(), path.to_owned());
    let opened = tokio::task::spawn_blocking(move || Manifest::open(&path)).await;
    let manifest = opened.map_err(|error| Fault::local(&at, "read", error.into()))??;
    if manifest.about().snapshot_id.is_none() {
        let what = "the base is the manifest of an image: nobody tells what has changed since";
        return Err(Fault::new(Kind::Unsuitable, Place::File(at), what)
            .hint("give the manifest of a snapshot as base"));
    }
    Ok(manifest)
}

/// What was written since the base; `None` where the service does not compare the two, so that all has to be read.
async fn since(
    manifest: Manifest,
    id: &SnapshotId,
    services: &Services,
    engine: &Engine,
) -> Result<Option<Base>, Fault> {
    let Some(before) = manifest.about().snapshot_id.clone() else { return Ok(None) };
    if before == *id {
        return Ok(Some(Base { manifest, delta: Delta::default() }));
    }
    match delta(services, engine, &before, id).await {
        Ok((delta, _)) => Ok(Some(Base { manifest, delta })),
        Err(fault) if fault.kind == Kind::Unrelated => {
            engine.note(format!(
                "{before} and {id} are not of one lineage: the base is of no use, all is read"
            ));
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

async fn estimate(
    id: &SnapshotId,
    source: &dyn BlockSource,
    base: Option<&Base>,
    services: &Services,
    engine: &Engine,
) -> Result<(), Fault> {
    if !is_billed(services) {
        return Ok(());
    }
    let present = block_map(engine, source).await?.len();
    let gets = base.map_or(present, |base| base.changed().len());
    let lists = 2 * present.div_ceil(Estimate::PAGE) + 2;
    announce(services, engine, &Place::Snapshot(id.clone()), &Estimate { lists, gets, puts: 0 })
}

struct Work<'a> {
    id: &'a SnapshotId,
    options: &'a Options,
    services: &'a Services,
    engine: &'a Engine,
    geometry: Geometry,
    /// What the control plane says; `None` where it was not asked or did not answer.
    is_encrypted: Option<bool>,
}

/// What came of reading and writing.
struct Done {
    present: u64,
    read: u64,
    resumed: u64,
    roots: Roots,
}

impl Work<'_> {
    async fn read(&self, source: Arc<dyn BlockSource>, base: Option<&Base>) -> Result<Done, Fault> {
        let output = std::path::absolute(&self.options.output)
            .map_err(|error| Fault::local(&self.options.output, "find", error))?;
        let path = Checkpoint::path(&self.engine.settings.state_dir, "manifest", &output.to_string_lossy());
        let slot = Slot::take(&self.engine.machine().disk, &path)?;
        let path = slot.path().to_owned();
        let (checkpoint, before) = self.begin(slot, base)?;
        let draft = Arc::new(Draft::open(
            &self.engine.machine().disk,
            &path.with_extension("digests"),
            self.geometry,
            checkpoint.seed(),
        )?);
        // A digest that was lost is read again.
        let lost = &before - &draft.known(&before)?;
        let before = &before - &lost;
        let changed = base.map(Base::changed);
        let total = changed.as_ref().map(BlockSet::len);
        self.engine.monitor.on(Event::Stage { verb: "hashing", total });
        self.engine
            .monitor
            .on(Event::Resumed { blocks: before.len(), size: self.geometry.block_size.of(before.len()) });
        let journal =
            Arc::new(Journaled::new(draft.clone(), checkpoint, self.engine.settings.checkpoint_every));
        let skipped = match &changed {
            Some(changed) => &before | &(&BlockSet::from(self.geometry.range()) - changed),
            None => before.clone(),
        };
        let read = read(self.engine, source, Which::AllBut(skipped), journal.clone()).await;
        let synced = journal.sync();
        let progress = before.len() + journal.n_recorded();
        let Some(journal) = Arc::into_inner(journal) else { unreachable!("reading has ended") };
        let checkpoint = journal.into_checkpoint();
        let read = match read.and_then(|read| synced.map(|()| read)) {
            Ok(read) => read,
            Err(fault) if progress == 0 => {
                checkpoint.remove()?;
                return Err(fault);
            }
            Err(fault) => return Err(suspended(fault)),
        };
        let resumed = (&before & &read.listed).len();
        let roots = self.write(&output, &read.listed, &draft, base).map_err(suspended)?;
        checkpoint.remove()?;
        draft.remove()?;
        Ok(Done { present: read.listed.len(), read: read.delivered, resumed, roots })
    }

    /// The checkpoint, and the blocks whose digests an earlier run has kept.
    fn begin(&self, slot: Slot, base: Option<&Base>) -> Result<(Checkpoint, BlockSet), Fault> {
        let upon = base.map(|base| base.manifest.roots().map.to_string());
        let identity = format!("manifest of {} of {} upon {upon:?}", self.id, self.services.label);
        match slot.earlier(&identity)? {
            Earlier::Same(found) => {
                let done = &found.done | &found.same;
                self.engine.note(format!("going on with an interrupted run: {} blocks are done", done.len()));
                Ok((slot.resume(found)?, done))
            }
            Earlier::None | Earlier::Other(_) | Earlier::Unproven(_) => {
                Ok((slot.begin(&identity, BTreeMap::new())?, BlockSet::new()))
            }
        }
    }

    fn write(
        &self,
        output: &Path,
        listed: &BlockSet,
        draft: &Draft,
        base: Option<&Base>,
    ) -> Result<Roots, Fault> {
        let about = About {
            snapshot_id: Some(self.id.clone()),
            geometry: self.geometry,
            size: self.geometry.size(),
            is_encrypted: self.is_encrypted,
        };
        let disk = self.engine.machine().disk.as_ref();
        let mut drafted = draft.digests();
        let Some(base) = base else {
            return manifest::write(disk, output, &about, listed, drafted);
        };
        let disagree = || {
            let what = "the block list is not what the base and the list of changes lead to";
            Fault::new(Kind::Service, Place::Snapshot(self.id.clone()), what)
                .hint("leave --base out, and do not rely on the list of changes")
        };
        if !base.leads_to(listed) {
            return Err(disagree());
        }
        let changed = base.changed();
        manifest::write(disk, output, &about, listed, |index| match changed.contains(index) {
            true => drafted(index),
            false => base.manifest.digest(index)?.ok_or_else(disagree),
        })
    }
}

//! Exporting to a block device.

use crate::block::{BlockSet, Geometry};
use crate::device::{BlockDevice, Holding, Sidecar};
use crate::disk::Machine;
use crate::fault::Fault;
use crate::monitor::Event;
use crate::ops::export::target::Target;
use crate::ops::export::{Options, note};
use crate::ops::preflight::suspended;
use crate::ops::{Engine, Services};
use crate::pipeline::{Checkpoint, Earlier, Journaled, Slot, Which, interrupted, read};
use crate::source::{BlockSink, BlockSource};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Blocks with data written in all, and how many of the snapshot's an earlier run had done.
///
/// A device may hold anything, so blocks that the snapshot does not have are overwritten with zeros, encrypted or
/// not: the same command gives the same device.
pub(super) async fn to_device(
    options: &Options,
    path: &Path,
    services: &Services,
    engine: &Engine,
    source: Arc<dyn BlockSource>,
) -> Result<(u64, u64), Fault> {
    let path = std::fs::canonicalize(path).map_err(|error| Fault::local(path, "find", error))?;
    let checkpoint = Checkpoint::path(&engine.settings.state_dir, "export", &path.to_string_lossy());
    let machine = engine.machine().clone();
    let slot = Slot::take(&machine.disk, &checkpoint)?;
    let geometry = source.geometry();
    let device = BlockDevice::open(&path, geometry.size(), &machine)?;
    unknown_from_now_on(&path, &machine)?;
    let (checkpoint, data, zero) = begin(options, services, engine, slot, &device)?;
    let resumed = data.len() + zero.len();
    engine.monitor.on(Event::Resumed { blocks: resumed, size: geometry.block_size.of(resumed) });

    let target = Arc::new(Target::new(device, data.len()));
    let journal = Arc::new(Journaled::new(target.clone(), checkpoint, engine.settings.checkpoint_every));
    let result = read(engine, source, Which::AllBut(&data | &zero), journal.clone()).await;
    let engine = engine.clone();
    let (services, id, dest) = (services.clone(), options.snapshot_id.clone(), path.clone());
    let ending = tokio::task::spawn_blocking(move || {
        let ended = result.and_then(|read| zero_the_rest(&engine, target.inner(), geometry, &read.listed));
        // What was written may serve the next run; that it cannot be kept is the smaller trouble.
        let synced = journal.sync();
        let progress = resumed + journal.n_recorded();
        let Some(journal) = Arc::into_inner(journal) else { unreachable!("reading has ended") };
        let checkpoint = journal.into_checkpoint();
        match ended.and(synced) {
            Ok(()) => {
                note(&services, &id, target.inner().lasting_stamp()?).write(&dest, &machine)?;
                checkpoint.remove().map(|()| (target.n_data(), resumed))
            }
            Err(fault) if progress == 0 => checkpoint.remove().and(Err(fault)),
            Err(fault) => Err(suspended(fault)),
        }
    });
    ending.await.map_err(|error| Fault::local(&path, "finish", error.into()))?
}

/// Ends what is known of a device before its first byte is overwritten. That it is half-way stays: it is until the end.
fn unknown_from_now_on(path: &Path, machine: &Machine) -> Result<(), Fault> {
    match Sidecar::of(path, machine) {
        Ok(None) | Ok(Some(Sidecar { holding: Holding::Between { .. }, .. })) => Ok(()),
        Ok(Some(_)) | Err(_) => Sidecar::forget(path, machine),
    }
}

/// The checkpoint, and the blocks with data and of zeros that an earlier run has written.
fn begin(
    options: &Options,
    services: &Services,
    engine: &Engine,
    slot: Slot,
    device: &BlockDevice,
) -> Result<(Checkpoint, BlockSet, BlockSet), Fault> {
    let identity = device.stamp().zip(engine.machine().disk.boot()).map(|(stamp, until)| {
        format!("export {} of {} to {stamp}, {until}", options.snapshot_id, services.label)
    });
    if let Some(identity) = &identity
        && let Earlier::Same(found) = slot.earlier(identity)?
    {
        let (data, zero) = (found.done.clone(), found.same.clone());
        engine.note(format!(
            "going on with an interrupted export: {} blocks are done",
            data.len() + zero.len()
        ));
        return Ok((slot.resume(found)?, data, zero));
    }
    let checkpoint = slot.begin(&identity.unwrap_or_default(), BTreeMap::new())?;
    Ok((checkpoint, BlockSet::new(), BlockSet::new()))
}

fn zero_the_rest(
    engine: &Engine,
    device: &BlockDevice,
    geometry: Geometry,
    listed: &BlockSet,
) -> Result<(), Fault> {
    let absent = &BlockSet::from(geometry.range()) - listed;
    engine.monitor.on(Event::Stage { verb: "zeroing absent blocks", total: Some(absent.len()) });
    for index in absent.iter() {
        if engine.stop.is_requested() {
            return Err(interrupted());
        }
        device.zero(index)?;
        engine.monitor.on(Event::Done { blocks: 1, size: geometry.block_size.of(1) });
    }
    Ok(())
}

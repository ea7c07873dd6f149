//! Exporting to a file.

use crate::block::BlockSet;
use crate::device::{BlockDevice, ImageFile, Sidecar, check_new_file};
use crate::disk::{Machine, Node, directory};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::export::target::Target;
use crate::ops::export::{Options, note};
use crate::ops::preflight::suspended;
use crate::ops::{Engine, Services};
use crate::pipeline::{Checkpoint, Earlier, Journaled, Slot, Which, read};
use crate::snapshot::SnapshotId;
use crate::source::{BlockSink, BlockSource};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Refuses what must not be written, or cannot be, before anything is asked.
pub(super) fn check_dest(dest: &Path, force: bool, machine: &Machine) -> Result<(), Fault> {
    let refused = |what| Fault::new(Kind::Unsuitable, Place::File(dest.to_owned()), what);
    let disk = machine.disk.as_ref();
    match disk.node(dest) {
        Ok(Some(Node::Dir)) => Err(refused("it is a directory").hint("give the name of a file to make")),
        Ok(Some(Node::Other)) => Err(refused("it is neither a regular file nor a block device")
            .hint("give the name of a file to make")),
        Ok(Some(Node::Device)) => {
            if !force {
                Sidecar::refuse_unfinished(dest, machine)?;
            }
            // In use, or read-only; whether it is large enough shows when the volume's size is known.
            BlockDevice::open_any(dest, machine).map(drop)
        }
        Ok(Some(Node::File)) if !force => {
            Sidecar::refuse_unfinished(dest, machine)?;
            Err(refused("the file exists already").hint("give another name, or --force to replace it"))
        }
        Ok(Some(Node::File) | None) | Err(_) => check_new_file(disk, dest),
    }
}

/// Blocks with data in the file at the end, and how many of the snapshot's an earlier run had done.
pub(super) async fn to_file(
    options: &Options,
    dest: &Path,
    services: &Services,
    engine: &Engine,
    source: Arc<dyn BlockSource>,
) -> Result<(u64, u64), Fault> {
    let dest = canonical(dest)?;
    let path = Checkpoint::path(&engine.settings.state_dir, "export", &dest.to_string_lossy());
    let disk = &engine.machine().disk;
    let slot = Slot::take(disk, &path)?;
    let file = ImageFile::open(disk, &dest, source.geometry().size(), options.sync)?;
    let begun = begin(options, services, engine, slot, file)?;
    let resumed = begun.data.len() + begun.zero.len();
    engine.monitor.on(Event::Resumed { blocks: resumed, size: source.geometry().block_size.of(resumed) });

    let done = &begun.data | &begun.zero;
    let target = Arc::new(Target::new(begun.file, begun.data.len()));
    let journal =
        Arc::new(Journaled::new(target.clone(), begun.checkpoint, engine.settings.checkpoint_every));
    let result = read(engine, source, Which::AllBut(done), journal.clone()).await;
    let finishing = Finishing {
        journal,
        target,
        resumed,
        replaces: options.force,
        dest: dest.clone(),
        machine: engine.machine().clone(),
        known: options.sync.then(|| (services.clone(), options.snapshot_id.clone())),
    };
    let finished = tokio::task::spawn_blocking(move || finishing.run(result.err()));
    finished.await.map_err(|error| Fault::local(&dest, "finish", error.into()))?
}

/// The target with its directory's links resolved, so that one file has one checkpoint.
pub(super) fn canonical(dest: &Path) -> Result<PathBuf, Fault> {
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
    let until = if options.sync { Some("durable".to_owned()) } else { engine.machine().disk.boot() };
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
    target: Arc<Target<ImageFile>>,
    resumed: u64,
    replaces: bool,
    dest: PathBuf,
    machine: Machine,
    /// What the file will hold; `None` where nobody waits until it is durable, for then nothing is certain.
    known: Option<(Services, SnapshotId)>,
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
        let file = Arc::into_inner(self.target).map(Target::into_inner);
        let (Some(checkpoint), Some(file)) = (checkpoint, file) else {
            unreachable!("{}: reading has ended, and nobody else holds these", self.dest.display())
        };
        match fault {
            None => {
                let stamp = file.finish(self.replaces)?;
                let noted = match &self.known {
                    Some((services, id)) => note(services, id, stamp).write(&self.dest, &self.machine),
                    None => forget(&self.dest, &self.machine),
                };
                checkpoint.remove()?;
                match noted {
                    // Something foreign has the note's name. Without a note the file cannot be the base of --since.
                    Err(fault) if fault.kind == Kind::Unsuitable => tracing::warn!("{fault}"),
                    noted => noted.map_err(|fault| fault.hint("the file itself is whole"))?,
                }
                Ok((n_data, self.resumed))
            }
            Some(fault) if progress == 0 || fault.kind == Kind::Vanished || !file.is_found_again() => {
                file.discard();
                checkpoint.remove()?;
                Err(fault)
            }
            Some(fault) => Err(suspended(fault)),
        }
    }
}

/// Ends what was known of the file before. That may be that it was half-way, so it goes after what it speaks of.
fn forget(dest: &Path, machine: &Machine) -> Result<(), Fault> {
    if let Ok(None) = Sidecar::of(dest, machine) {
        return Ok(());
    }
    let synced = machine.disk.sync(directory(dest));
    synced.map_err(|error| Fault::local(dest, "make durable", error))?;
    Sidecar::forget(dest, machine)
}

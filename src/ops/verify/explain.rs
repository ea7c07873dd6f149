//! Whether a target differs because it was mounted after its restore.
//!
//! Mounting a file system for writing changes it: the journal is replayed, times and counts are written. Such a target
//! is not what was backed up any more, and nobody can tell from blocks alone what else was written since.

use crate::block::{BlockIndex, BlockSet, BlockSize};
use crate::device::FileSystem;
use crate::fault::Fault;
use crate::ops::Engine;
use crate::ops::verify::Options;
use crate::ops::verify::sides::{Sides, Truth};
use crate::pipeline::{Which, read};
use crate::source::{Block, BlockSink, BlockSource};
use bytes::Bytes;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The target's file systems that were mounted or written to after the restore, as far as that can be known.
pub(super) async fn used_since(
    options: &Options,
    sides: &Sides,
    path: &Path,
    engine: &Engine,
) -> Vec<FileSystem> {
    let Some(target) = &sides.target else { return Vec::new() };
    let is_mounted = options.system.is_mounted_for_writing(path);
    // A volume is made of a snapshot after the snapshot was taken.
    let created = sides.volume.as_ref().and_then(|volume| volume.created);
    let since =
        options.restored_at.or(created).or_else(|| sides.subject.info.as_ref().map(|info| info.start_time));
    let mut used = Vec::new();
    for found in target.layout.file_systems() {
        let is_used = is_mounted
            || match (since.filter(|_| found.tells_when()), &sides.truth) {
                // One that was used later than in the snapshot, but not after the restore, came from elsewhere.
                (Some(since), _) => found.is_used_after(since),
                (None, Truth::Snapshot(source)) => {
                    before(source, found, engine).await.is_some_and(|before| found.is_later_than(&before))
                }
                (None, Truth::Manifest(_)) => false,
            };
        used.extend(is_used.then(|| found.clone()));
    }
    used
}

/// The same file system as the snapshot has it.
async fn before(source: &Arc<dyn BlockSource>, found: &FileSystem, engine: &Engine) -> Option<FileSystem> {
    let block = u64::from(BlockSize::EBS.bytes());
    let index = BlockIndex::try_from(i64::try_from(found.offset / block).ok()?).ok()?;
    let mut wanted = BlockSet::new();
    wanted.insert(index);
    let kept = Arc::new(Kept::default());
    // Without it there is no explanation, and the difference counts.
    read(engine, source.clone(), Which::Only(wanted), kept.clone()).await.ok()?;
    let bytes = kept.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let head = bytes.get(usize::try_from(found.offset % block).ok()?..)?;
    FileSystem::at(found.offset, head)
}

/// Keeps the one block that comes.
#[derive(Debug, Default)]
struct Kept(Mutex<Option<Bytes>>);

impl BlockSink for Kept {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(block.bytes().clone());
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }
}

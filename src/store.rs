//! Snapshots in plain files, in one directory.
//!
//! [`Store`] reads one, [`StoreWriter`] also adds to it; there is one writer at a time and any number of readers,
//! in any process, meanwhile. `src/store/format.md` describes every byte. In short: blocks lie under their SHA-256;
//! a snapshot is a record that names a stack of layers; a layer is what one Complete wrote, and its number is the
//! version of those blocks. Nothing under a final name ever changes, but for records, which are replaced whole.
//!
//! A writer stopped at any instant, by a power cut too, leaves the old state or the new one. The order that makes
//! it so: what is named becomes durable before what names it, and goes after it. What no record names is garbage,
//! never damage.

mod blocks;
mod check;
mod collect;
mod create;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod holdings;
mod layer;
mod pending;
mod record;
mod stack;
mod vault;
mod writer;

pub use check::{CheckReport, Damage, Hurt, Part, check};
pub use writer::StoreWriter;

use crate::block::BlockIndex;
use crate::disk::{Disk, RealDisk};
use crate::fault::{Fault, Kind, Place};
use crate::shelf::{Content, Entry, Shelf, Shelved};
use crate::snapshot::{SnapshotId, SnapshotState};
use crate::store::blocks::{Bad, Blocks};
use crate::store::files::Files;
use crate::store::layer::Layer;
use crate::store::record::Record;
use crate::store::stack::Stack;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The format that this build writes, and the only one it reads.
pub const FORMAT: u32 = 1;

const ASK_CHECK: &str = "icecore store check DIR names everything that is damaged";

/// A store to read from.
///
/// It sees what a writer completes while it reads: records are read at every call, what is kept in memory never
/// changes on disk.
pub struct Store {
    files: Files,
    secret: [u8; 32],
    blocks: Blocks,
    layers: Mutex<HashMap<u64, Weak<Layer>>>,
    /// Of completed snapshots. Ids are never used again, so an entry is right as long as its record is there.
    stacks: Mutex<HashMap<SnapshotId, Arc<Stack>>>,
}

impl Store {
    /// Opens the store in a directory, for reading.
    ///
    /// # Errors
    /// `NotFound` where there is no directory, `Unsuitable` where it is no store or one of another format.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Fault> {
        let dir = dir.as_ref();
        let disk = RealDisk::at(dir).map_err(|error| create::unopened(dir, error))?;
        Self::on(Files::new(Arc::new(disk), dir))
    }

    /// Opens the store in a directory of this disk, for reading.
    pub fn on_disk(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Fault> {
        Self::on(Files::new(disk, dir))
    }

    fn on(files: Files) -> Result<Self, Fault> {
        let secret = create::opened(&files)?;
        let blocks = Blocks::new(files.clone());
        Ok(Self { files, secret, blocks, layers: Mutex::default(), stacks: Mutex::default() })
    }

    /// A snapshot's record; `None` where there is none.
    fn record(&self, id: &SnapshotId) -> Result<Option<Record>, Fault> {
        let path = self.files.record(id);
        let Some(bytes) = self.files.read(&path)? else { return Ok(None) };
        let record = Record::decode(&bytes).and_then(|record| {
            if record.shelved.info.id == *id { Ok(record) } else { Err("it is another snapshot's".into()) }
        });
        record.map(Some).map_err(|what| {
            let what = format!("the record is damaged: {what}");
            Fault::new(Kind::Corrupt, Place::File(path), what).hint(ASK_CHECK)
        })
    }

    /// The ids that have a record. Other names in the directory are nobody's.
    fn ids(&self) -> Result<Vec<SnapshotId>, Fault> {
        let names = self.files.names(&self.files.records())?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The blocks of a snapshot, inherited ones included.
    fn stack(&self, id: &SnapshotId) -> Result<Arc<Stack>, Fault> {
        let kept = self.stacks.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(stack) = kept {
            if self.files.is_there(&self.files.record(id))? {
                return Ok(stack);
            }
            self.forget(id);
            return Err(missing(id));
        }
        let record = self.record(id)?.ok_or_else(|| missing(id))?;
        let layers = record.layers.iter().map(|version| self.layer(*version)).collect::<Result<_, _>>();
        let stack = match layers {
            Ok(layers) => Arc::new(Stack::new(layers)),
            // It may have been deleted while we looked.
            Err(fault) if self.files.is_there(&self.files.record(id))? => return Err(fault),
            Err(_) => return Err(missing(id)),
        };
        if record.shelved.info.state == SnapshotState::Completed {
            let mut stacks = self.stacks.lock().unwrap_or_else(PoisonError::into_inner);
            stacks.insert(id.clone(), Arc::clone(&stack));
        }
        Ok(stack)
    }

    /// Lets go of what is kept of a snapshot that has gone.
    fn forget(&self, id: &SnapshotId) {
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// A layer, shared with every stack that has it.
    fn layer(&self, version: u64) -> Result<Arc<Layer>, Fault> {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = layers.get(&version).and_then(Weak::upgrade) {
            return Ok(layer);
        }
        let path = self.files.layer(version);
        let layer = match self.files.read(&path)? {
            Some(bytes) => {
                Layer::decode(version, &bytes).map_err(|what| format!("the layer is damaged: {what}"))
            }
            None => Err("the layer is missing".to_owned()),
        };
        let layer = layer
            .map(Arc::new)
            .map_err(|what| Fault::new(Kind::Corrupt, Place::File(path), what).hint(ASK_CHECK))?;
        layers.retain(|_, layer| layer.strong_count() > 0);
        layers.insert(version, Arc::downgrade(&layer));
        Ok(layer)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.files.root()).finish_non_exhaustive()
    }
}

impl Shelf for Store {
    fn secret(&self) -> [u8; 32] {
        self.secret
    }

    /// Fails when a record is damaged: a listing without it would pass for complete.
    fn list(&self) -> Result<Vec<Shelved>, Fault> {
        let mut all = Vec::new();
        for id in self.ids()? {
            // One that is deleted while we list is not there.
            all.extend(self.record(&id)?.map(|record| record.shelved));
        }
        all.sort_by_key(|shelved| shelved.info.start_time);
        Ok(all)
    }

    fn find(&self, id: &SnapshotId) -> Result<Option<Shelved>, Fault> {
        Ok(self.record(id)?.map(|record| record.shelved))
    }

    fn window(&self, id: &SnapshotId, from: BlockIndex, limit: usize) -> Result<Vec<Entry>, Fault> {
        Ok(self.stack(id)?.walk(from).take(limit).map(|(entry, _)| entry).collect())
    }

    fn read(&self, id: &SnapshotId, index: BlockIndex) -> Result<Option<Content>, Fault> {
        let Some(digest) = self.stack(id)?.find(index) else { return Ok(None) };
        let what = match self.blocks.read(&digest) {
            Ok(bytes) => return Ok(Some(Content { bytes, digest })),
            Err(Bad::Failed(fault)) => return Err(fault),
            Err(Bad::Missing) => "is missing".to_owned(),
            Err(Bad::Damaged(how)) => format!("is damaged: {how}"),
        };
        if !self.files.is_there(&self.files.record(id))? {
            // Deleted while we read.
            return Err(missing(id));
        }
        let what = format!("its file {} {what}", self.files.block(&digest).display());
        Err(Fault::new(Kind::Corrupt, Place::Block(id.clone(), index), what).hint(ASK_CHECK))
    }
}

fn missing(id: &SnapshotId) -> Fault {
    Fault::new(Kind::NotFound, Place::Snapshot(id.clone()), "there is no such snapshot")
}

#[cfg(test)]
mod tests;

//! A shelf in memory: the reference, and quick enough for tests that need thousands. Beside it a vault in memory.

mod vault;

pub use vault::MemoryVault;

use crate::block::{BlockIndex, BlockSize, LinearDigest};
use crate::fault::{Fault, Kind, Place};
use crate::shelf::{Content, Entry, Grant, Shelf, ShelfWriter, Shelved, Version};
use crate::snapshot::{Lineage, SnapshotId, SnapshotState, Tags, UnixMillis, Written};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Clone)]
struct Held {
    shelved: Shelved,
    inherited: BTreeMap<BlockIndex, (Version, Content)>,
    version: Version,
    own: BTreeMap<BlockIndex, Content>,
}

impl Held {
    /// The composed view: what it wrote over what it inherited.
    fn view(&self) -> BTreeMap<BlockIndex, (Version, Content)> {
        let mut view = self.inherited.clone();
        view.extend(self.own.iter().map(|(index, content)| (*index, (self.version, content.clone()))));
        view
    }
}

#[derive(Default)]
struct Snapshots {
    by_id: BTreeMap<SnapshotId, Held>,
    started: u64,
    last_start: Option<UnixMillis>,
}

/// Snapshots in memory.
#[derive(Default)]
pub struct MemoryShelf(Mutex<Snapshots>);

impl MemoryShelf {
    /// An empty shelf.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Snapshots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_pending<T>(&self, id: &SnapshotId, act: impl FnOnce(&mut Held) -> T) -> Result<T, Fault> {
        let mut snapshots = self.lock();
        let held = snapshots.by_id.get_mut(id).ok_or_else(|| missing(id))?;
        if held.shelved.info.state != SnapshotState::Pending {
            let what = format!("the snapshot is {}, not pending", held.shelved.info.state);
            return Err(Fault::new(Kind::Refused, Place::Snapshot(id.clone()), what));
        }
        Ok(act(held))
    }
}

impl fmt::Debug for MemoryShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryShelf").field("snapshots", &self.lock().by_id.len()).finish()
    }
}

impl Shelf for MemoryShelf {
    fn secret(&self) -> [u8; 32] {
        [0x5a; 32]
    }

    fn list(&self) -> Result<Vec<Shelved>, Fault> {
        let mut all: Vec<_> = self.lock().by_id.values().map(|held| held.shelved.clone()).collect();
        all.sort_by_key(|shelved| shelved.info.start_time);
        Ok(all)
    }

    fn find(&self, id: &SnapshotId) -> Result<Option<Shelved>, Fault> {
        Ok(self.lock().by_id.get(id).map(|held| held.shelved.clone()))
    }

    fn window(&self, id: &SnapshotId, from: BlockIndex, limit: usize) -> Result<Vec<Entry>, Fault> {
        let view = self.lock().by_id.get(id).ok_or_else(|| missing(id))?.view();
        let entries = view.range(from..).take(limit);
        Ok(entries.map(|(index, (version, _))| Entry { index: *index, version: *version }).collect())
    }

    fn read(&self, id: &SnapshotId, index: BlockIndex) -> Result<Option<Content>, Fault> {
        let snapshots = self.lock();
        let held = snapshots.by_id.get(id).ok_or_else(|| missing(id))?;
        let own = held.own.get(&index);
        Ok(own.or_else(|| held.inherited.get(&index).map(|(_, content)| content)).cloned())
    }
}

impl ShelfWriter for MemoryShelf {
    fn start(&self, grant: &Grant) -> Result<Shelved, Fault> {
        let mut snapshots = self.lock();
        let parent = grant.asked.parent.as_ref().map(|id| {
            let held = snapshots.by_id.get(id).ok_or_else(|| missing(id))?;
            match held.shelved.info.state {
                SnapshotState::Completed => Ok((held.shelved.info.lineage, held.view())),
                _ => {
                    Err(Fault::new(Kind::Refused, Place::Snapshot(id.clone()), "the parent is not completed"))
                }
            }
        });
        let parent = parent.transpose()?;
        snapshots.started += 1;
        let number = snapshots.started;
        let start_time = snapshots.last_start.map_or(grant.now, |last| grant.now.max(last.plus_millis(1)));
        snapshots.last_start = Some(start_time);
        let id = format!("snap-{number:017x}").parse().unwrap_or_else(|_| unreachable!("hex digits"));
        let (lineage, inherited) = parent.unwrap_or((None, BTreeMap::new()));
        let shelved = grant.shelved(id, start_time, lineage.unwrap_or(Lineage::new(number)));
        let held =
            Held { shelved: shelved.clone(), inherited, version: Version(number), own: BTreeMap::new() };
        snapshots.by_id.insert(shelved.info.id.clone(), held);
        Ok(shelved)
    }

    fn put(&self, id: &SnapshotId, index: BlockIndex, content: &Content) -> Result<(), Fault> {
        self.with_pending(id, |held| {
            held.own.insert(index, content.clone());
        })
    }

    fn written(&self, id: &SnapshotId) -> Result<Written, Fault> {
        self.with_pending(id, |held| {
            let mut linear = LinearDigest::new();
            held.own.values().for_each(|content| linear.push(&content.digest));
            let blocks = u32::try_from(held.own.len()).unwrap_or(u32::MAX);
            Written { blocks, checksum: linear.finish() }
        })
    }

    fn complete(&self, id: &SnapshotId) -> Result<Shelved, Fault> {
        self.with_pending(id, |held| {
            held.shelved.info.state = SnapshotState::Completed;
            held.shelved.info.full_size = Some(BlockSize::EBS.of(held.view().len() as u64));
            held.shelved.clone()
        })
    }

    fn fail(&self, id: &SnapshotId, why: &str) -> Result<(), Fault> {
        self.with_pending(id, |held| {
            held.shelved.info.state = SnapshotState::Error;
            held.shelved.info.state_message = Some(why.to_owned());
        })
    }

    fn delete(&self, id: &SnapshotId) -> Result<(), Fault> {
        self.lock().by_id.remove(id).map(|_| ()).ok_or_else(|| missing(id))
    }

    fn retag(&self, id: &SnapshotId, change: &dyn Fn(&mut Tags)) -> Result<(), Fault> {
        let mut snapshots = self.lock();
        let held = snapshots.by_id.get_mut(id).ok_or_else(|| missing(id))?;
        change(&mut held.shelved.info.tags);
        Ok(())
    }
}

fn missing(id: &SnapshotId) -> Fault {
    Fault::new(Kind::NotFound, Place::Snapshot(id.clone()), "there is no such snapshot")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shelf::conformance;

    #[test]
    fn the_memory_shelf_conforms() {
        conformance::shelf(&MemoryShelf::new());
    }
}

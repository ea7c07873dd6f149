//! Snapshots in memory: the reference for every other implementation of these traits.
//!
//! Pages are cut by windows of allocated blocks, as AWS cuts them, so a change listing yields empty pages too.

use crate::block::{BlockIndex, BlockSet, Geometry, GiB};
use crate::delta::side_by_side;
use crate::fault::{Fault, Kind, Place, TokenKind};
use crate::snapshot::{
    BlockToken, NewSnapshot, PageToken, SnapshotId, SnapshotInfo, SnapshotState, StorageTier, UnixMillis,
    Written,
};
use crate::source::{
    Block, BlockService, BlockSink, BlockSource, Change, ChangeFeed, Cursor, Fetched, Listed, Page,
    SnapshotWriter,
};
use futures_util::future::{BoxFuture, FutureExt, ready};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Versioned = (u64, Block);

#[derive(Clone)]
struct Held {
    info: SnapshotInfo,
    lineage: u64,
    /// The version that this snapshot's own writes carry.
    version: u64,
    written: BlockSet,
    blocks: BTreeMap<BlockIndex, Versioned>,
}

/// An account full of snapshots, in memory.
#[derive(Clone)]
pub struct MemoryService {
    page: usize,
    held: Arc<Mutex<BTreeMap<SnapshotId, Held>>>,
}

impl fmt::Debug for MemoryService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryService").field("snapshots", &self.lock().len()).finish_non_exhaustive()
    }
}

impl MemoryService {
    /// An empty account whose listings come in windows of `page` blocks.
    pub fn new(page: usize) -> Self {
        Self { page: page.max(1), held: Arc::default() }
    }

    /// Starts, writes and completes a snapshot in one go.
    ///
    /// # Panics
    /// When the parent is not there: this is for tests, which know.
    #[expect(clippy::unwrap_used, reason = "a fixture for tests: a missing parent is a mistake in the test")]
    pub fn add(
        &self,
        size: GiB,
        parent: Option<&SnapshotId>,
        blocks: impl IntoIterator<Item = Block>,
    ) -> SnapshotId {
        let new = NewSnapshot {
            volume_size: size,
            parent: parent.cloned(),
            description: None,
            tags: BTreeMap::new(),
            client_token: None,
            encrypted: None,
            kms_key_id: None,
            timeout_minutes: None,
        };
        let id = self.start_now(&new).unwrap().id;
        for block in blocks {
            self.put_now(&id, &block).unwrap();
        }
        self.lock().get_mut(&id).unwrap().info.state = SnapshotState::Completed;
        id
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SnapshotId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readable(&self, id: &SnapshotId) -> Result<Held, Fault> {
        let found = self.lock().get(id).filter(|held| held.info.state == SnapshotState::Completed).cloned();
        found.ok_or_else(|| missing(id))
    }

    fn start_now(&self, new: &NewSnapshot) -> Result<SnapshotInfo, Fault> {
        let parent = new.parent.as_ref().map(|id| self.readable(id)).transpose()?;
        let mut held = self.lock();
        let number = held.len() as u64 + 1;
        let id: SnapshotId =
            format!("snap-{number:017x}").parse().unwrap_or_else(|_| unreachable!("hex digits"));
        let info = SnapshotInfo {
            id: id.clone(),
            volume_id: None,
            owner_id: "000000000000".into(),
            state: SnapshotState::Pending,
            state_message: None,
            start_time: UnixMillis(i64::try_from(number).unwrap_or(i64::MAX)),
            volume_size: new.volume_size,
            encrypted: new.encrypted.unwrap_or(false),
            kms_key_id: new.kms_key_id.clone(),
            description: new.description.clone().unwrap_or_default(),
            tags: new.tags.clone(),
            tier: StorageTier::Standard,
            full_size: None,
            parent: new.parent.clone(),
            lineage: None,
        };
        let (lineage, blocks) = parent.map_or((number, BTreeMap::new()), |held| (held.lineage, held.blocks));
        let new = Held { info: info.clone(), lineage, version: number, written: BlockSet::new(), blocks };
        held.insert(id, new);
        Ok(info)
    }

    fn put_now(&self, id: &SnapshotId, block: &Block) -> Result<(), Fault> {
        let mut all = self.lock();
        let held = all.get_mut(id).ok_or_else(|| missing(id))?;
        if held.info.state != SnapshotState::Pending {
            return Err(refused(id, "it is already completed"));
        }
        if !Geometry::ebs(held.info.volume_size).contains(block.index()) {
            return Err(refused(id, "the block is beyond the volume"));
        }
        held.written.insert(block.index());
        held.blocks.insert(block.index(), (held.version, block.clone()));
        Ok(())
    }

    fn complete_now(&self, id: &SnapshotId, written: Written) -> Result<SnapshotState, Fault> {
        let mut all = self.lock();
        let held = all.get_mut(id).ok_or_else(|| missing(id))?;
        let mut linear = crate::block::LinearDigest::new();
        held.written.iter().for_each(|index| linear.push(&held.blocks[&index].1.digest()));
        let whole = held.written.len() == u64::from(written.blocks) && linear.finish() == written.checksum;
        held.info.state = if whole { SnapshotState::Completed } else { SnapshotState::Error };
        Ok(SnapshotState::Pending)
    }
}

impl BlockService for MemoryService {
    fn open<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<Arc<dyn BlockSource>, Fault>> {
        let opened = self.readable(id).map(|held| Arc::new(MemorySource { held, page: self.page }) as _);
        ready(opened).boxed()
    }

    fn compare(&self, first: &SnapshotId, second: &SnapshotId) -> Arc<dyn ChangeFeed> {
        Arc::new(MemoryChanges { service: self.clone(), first: first.clone(), second: second.clone() })
    }
}

impl SnapshotWriter for MemoryService {
    fn start<'a>(&'a self, new: &'a NewSnapshot) -> BoxFuture<'a, Result<SnapshotInfo, Fault>> {
        ready(self.start_now(new)).boxed()
    }

    fn put<'a>(&'a self, id: &'a SnapshotId, block: &'a Block) -> BoxFuture<'a, Result<(), Fault>> {
        ready(self.put_now(id, block)).boxed()
    }

    fn complete<'a>(
        &'a self,
        id: &'a SnapshotId,
        written: Written,
    ) -> BoxFuture<'a, Result<SnapshotState, Fault>> {
        ready(self.complete_now(id, written)).boxed()
    }
}

struct MemorySource {
    held: Held,
    page: usize,
}

impl fmt::Debug for MemorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemorySource").field(&self.held.info.id).finish()
    }
}

impl BlockSource for MemorySource {
    fn place(&self) -> Place {
        Place::Snapshot(self.held.info.id.clone())
    }

    fn geometry(&self) -> Geometry {
        Geometry::ebs(self.held.info.volume_size)
    }

    fn list(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Listed>, Fault>> {
        let walk = position(&cursor).map(|from| {
            let rest = self.held.blocks.range(from..).map(|(index, _)| *index);
            cut(rest, self.page, |index| Some(Listed { index, token: token(&self.held.info.id, index) }))
        });
        ready(walk).boxed()
    }

    fn fetch<'a>(&'a self, block: &'a Listed) -> BoxFuture<'a, Result<Fetched, Fault>> {
        let found = self.held.blocks.get(&block.index);
        let known = block.token == token(&self.held.info.id, block.index);
        let fetched = found.filter(|_| known).ok_or_else(|| {
            let at = Place::Block(self.held.info.id.clone(), block.index);
            Fault::new(Kind::InvalidToken(TokenKind::Block), at, "the block token is invalid")
        });
        ready(fetched.map(|(_, block)| Fetched { bytes: block.bytes().clone(), claimed: block.digest() }))
            .boxed()
    }
}

#[derive(Debug)]
struct MemoryChanges {
    service: MemoryService,
    first: SnapshotId,
    second: SnapshotId,
}

impl MemoryChanges {
    fn page(&self, cursor: &Cursor) -> Result<Page<Change>, Fault> {
        let (first, second) = (self.service.readable(&self.first)?, self.service.readable(&self.second)?);
        if first.lineage != second.lineage {
            return Err(Fault::new(Kind::Unrelated, self.place(), "the snapshots share no lineage"));
        }
        let from = position(cursor)?;
        let versions = |held: &Held| {
            held.blocks.range(from..).map(|(index, (version, _))| (*index, *version)).collect::<Vec<_>>()
        };
        let pairs: BTreeMap<_, _> =
            side_by_side(versions(&first), versions(&second)).map(|(index, a, b)| (index, (a, b))).collect();
        Ok(cut(pairs.keys().copied(), self.service.page, |index| {
            let (a, b) = pairs[&index];
            (a != b).then(|| Change {
                index,
                first: a.map(|_| token(&self.first, index)),
                second: b.map(|_| token(&self.second, index)),
            })
        }))
    }
}

impl ChangeFeed for MemoryChanges {
    fn place(&self) -> Place {
        Place::Pair(self.first.clone(), self.second.clone())
    }

    fn changes(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Change>, Fault>> {
        ready(self.page(&cursor)).boxed()
    }
}

/// Keeps what is written to it.
#[derive(Debug, Default)]
pub struct MemorySink(Mutex<BTreeMap<BlockIndex, Block>>);

impl MemorySink {
    /// What was written so far.
    pub fn blocks(&self) -> BTreeMap<BlockIndex, Block> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl BlockSink for MemorySink {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(block.index(), block.clone());
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// One window of `page` indexes as a page: what `entry` makes of each, and a next cursor if more follow.
fn cut<T>(
    mut indexes: impl Iterator<Item = BlockIndex>,
    page: usize,
    entry: impl Fn(BlockIndex) -> Option<T>,
) -> Page<T> {
    let entries = indexes.by_ref().take(page).filter_map(entry).collect();
    let next = indexes.next().map(|from| Cursor { from, token: Some(PageToken::new(from.to_string())) });
    Page { entries, next, volume_size: None, max_entries: None }
}

fn position(cursor: &Cursor) -> Result<BlockIndex, Fault> {
    let Some(token) = &cursor.token else { return Ok(cursor.from) };
    token.reveal().parse().map_err(|_| {
        Fault::new(Kind::InvalidToken(TokenKind::Page), Place::Service, "the pagination token is invalid")
    })
}

fn token(id: &SnapshotId, index: BlockIndex) -> BlockToken {
    BlockToken::new(format!("{id}-{index}"))
}

fn missing(id: &SnapshotId) -> Fault {
    Fault::new(Kind::NotFound, Place::Snapshot(id.clone()), "the snapshot does not exist")
}

fn refused(id: &SnapshotId, what: &str) -> Fault {
    Fault::new(Kind::Refused, Place::Snapshot(id.clone()), what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::conformance;

    #[tokio::test]
    async fn memory_conforms_whatever_the_page_size() {
        for page in [1, 2, 7, 1000] {
            let service = MemoryService::new(page);
            conformance::writing_and_reading(&service, &service).await;
            conformance::change_feeds(&service, &service).await;
        }
    }

    #[test]
    fn the_memory_sink_conforms() {
        let sink = MemorySink::default();
        conformance::sink(&sink, |index| sink.blocks().get(&index).map(|block| block.bytes().clone()));
    }
}

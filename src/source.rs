//! Where blocks come from and where they go.
//!
//! Small traits that every backend implements and every operation is written against:
//!
//! - [`BlockSource`]: one snapshot (or image) to read: list by cursor, fetch by token.
//! - [`ChangeFeed`]: what was written between two snapshots.
//! - [`BlockService`]: opens the two by snapshot id.
//! - [`SnapshotWriter`]: makes a snapshot: start, put, complete.
//! - [`BlockSink`]: takes checked blocks: a file, a device, memory.
//!
//! [`conformance`] holds the checks that every implementation passes. [`memory`] is the reference; [`faulty`] and
//! [`recorded`] wrap any other.

pub mod conformance;
pub mod faulty;
pub mod memory;
pub mod recorded;

mod block;
mod page;

pub use block::{Block, Fetched};
pub use page::{Change, Cursor, Listed, Page};

use crate::block::{BlockIndex, Geometry};
use crate::fault::{Fault, Place};
use crate::snapshot::{NewSnapshot, SnapshotId, SnapshotInfo, SnapshotState, Written};
use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// One snapshot, or something like it, to read block by block.
///
/// # Contract
/// - A listing yields each allocated index once, ascending, whatever the pages; resuming at index `n` yields
///   exactly those at or after `n`. **An empty page with a next cursor is not the end.**
/// - A listed block can be fetched, in any order, from any task, more than once, until its token
///   expires.
/// - No call retries, waits for quota, or checks bytes: that is the pipeline's, once.
pub trait BlockSource: fmt::Debug + Send + Sync {
    /// How this source is called in messages.
    fn place(&self) -> Place;

    /// Fixed for the life of the value, hence neither async nor fallible.
    fn geometry(&self) -> Geometry;

    /// One page of allocated blocks.
    fn list(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Listed>, Fault>>;

    /// One whole block as it arrived: not yet checked against the digest it claims.
    fn fetch<'a>(&'a self, block: &'a Listed) -> BoxFuture<'a, Result<Fetched, Fault>>;
}

/// What was written between two snapshots, which may be given in either order.
///
/// # Contract
/// Every index whose block version differs, once, ascending; with a token for each snapshot that has the block,
/// at least one of the two. Pages as in [`BlockSource`].
pub trait ChangeFeed: fmt::Debug + Send + Sync {
    /// How this pair is called in messages.
    fn place(&self) -> Place;

    /// One page of changes.
    fn changes(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Change>, Fault>>;
}

/// Opens snapshots for reading.
pub trait BlockService: fmt::Debug + Send + Sync {
    /// A completed snapshot. Fails with `NotFound` where it is not readable (yet).
    fn open<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<Arc<dyn BlockSource>, Fault>>;

    /// What was written between two snapshots. Asks nothing yet.
    fn compare(&self, first: &SnapshotId, second: &SnapshotId) -> Arc<dyn ChangeFeed>;
}

/// Makes a snapshot: start, put any number of blocks in any order, complete.
///
/// # Contract
/// `put` may be repeated for the same index: the last one counts. After `complete` the snapshot becomes readable
/// in its own time, or goes to [`SnapshotState::Error`] when `written` is not what arrived.
pub trait SnapshotWriter: fmt::Debug + Send + Sync {
    /// Starts a pending snapshot. The same client token and parameters give the same snapshot.
    fn start<'a>(&'a self, new: &'a NewSnapshot) -> BoxFuture<'a, Result<SnapshotInfo, Fault>>;

    /// Writes one block.
    fn put<'a>(&'a self, id: &'a SnapshotId, block: &'a Block) -> BoxFuture<'a, Result<(), Fault>>;

    /// Ends the writing.
    fn complete<'a>(
        &'a self,
        id: &'a SnapshotId,
        written: Written,
    ) -> BoxFuture<'a, Result<SnapshotState, Fault>>;
}

/// Takes checked blocks. Calls block, so only the pipeline's own threads make them.
///
/// # Contract
/// Blocks come in any order, from several threads, the same one possibly twice. What was written is durable once
/// `sync` has returned, not before.
pub trait BlockSink: fmt::Debug + Send + Sync {
    /// Takes one block.
    fn write(&self, block: &Block) -> Result<(), Fault>;

    /// Makes all that was written durable.
    fn sync(&self) -> Result<(), Fault>;

    /// A block could not be had, after all tries. Whoever can go on without it keeps the fault and returns `Ok`; by
    /// default the fault ends the reading.
    fn lost(&self, _: BlockIndex, fault: Fault) -> Result<(), Fault> {
        Err(fault)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: BlockSink + ?Sized> BlockSink for Arc<S> {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        S::write(self, block)
    }

    fn sync(&self) -> Result<(), Fault> {
        S::sync(self)
    }

    fn lost(&self, index: BlockIndex, fault: Fault) -> Result<(), Fault> {
        S::lost(self, index, fault)
    }
}

//! What an endpoint serves: snapshots on a shelf, to look through and, where it allows, to add to.
//!
//! A shelf knows versions and bytes; it knows nothing of tokens, HTTP, quotas or time. [`Shelf`] is for reading;
//! what only some shelves can do, being written, is its own trait, [`ShelfWriter`]. Calls block on local I/O.
//! What an account holds beside its snapshots lies in a [`Vault`].
//!
//! [`conformance`] holds the checks that every shelf passes; [`memory`] is the reference.

pub mod conformance;
pub mod memory;
mod vault;

pub use vault::{Fate, Holdings, Life, Regions, Vault, VaultWriter};

use crate::block::{BlockIndex, Digest};
use crate::fault::Fault;
use crate::snapshot::{
    Lineage, NewSnapshot, SnapshotId, SnapshotInfo, SnapshotState, StorageTier, Tags, UnixMillis, Written,
};
use bytes::Bytes;
use std::fmt;

/// Names one write of one block: the layer that wrote it. Two snapshots share a block exactly when they have the
/// same version of it; an identical rewrite is another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// An allocated block of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where in the volume.
    pub index: BlockIndex,
    /// Which write of it.
    pub version: Version,
}

/// A block's bytes, with the digest they are stored under.
#[derive(Clone)]
pub struct Content {
    /// One whole block.
    pub bytes: Bytes,
    /// Their SHA-256, as it was when they were written.
    pub digest: Digest,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// A snapshot on the shelf: its facts, and what its start asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved {
    /// Its facts, lineage included.
    pub info: SnapshotInfo,
    /// The start request, word for word, to recognise its repetition.
    pub asked: NewSnapshot,
}

/// A start that was examined and granted: what was asked, and what the account made of it.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The request, word for word.
    pub asked: NewSnapshot,
    /// Account number of the owner.
    pub owner_id: String,
    /// Whether it is encrypted after parent and defaults were considered.
    pub encrypted: bool,
    /// The key, if encrypted.
    pub kms_key_id: Option<String>,
    /// The time now; the shelf moves it on by milliseconds where it would repeat.
    pub now: UnixMillis,
}

impl Grant {
    /// The pending snapshot that this grant makes, under the name, time and lineage that the shelf gives it.
    pub fn shelved(&self, id: SnapshotId, start_time: UnixMillis, lineage: Lineage) -> Shelved {
        let info = SnapshotInfo {
            id,
            volume_id: None,
            owner_id: self.owner_id.clone(),
            state: SnapshotState::Pending,
            state_message: None,
            start_time,
            volume_size: self.asked.volume_size,
            encrypted: self.encrypted,
            kms_key_id: self.kms_key_id.clone(),
            description: self.asked.description.clone().unwrap_or_default(),
            tags: self.asked.tags.clone(),
            tier: StorageTier::Standard,
            full_size: None,
            parent: self.asked.parent.clone(),
            lineage: Some(lineage),
        };
        Shelved { info, asked: self.asked.clone() }
    }
}

/// A collection of snapshots.
///
/// # Contract
/// - A completed snapshot never changes, but for its tags, until it is deleted.
/// - Deleting a snapshot leaves every other one whole and comparable.
/// - `window` and `read` show the composed view: inherited blocks included. Of a snapshot that is not completed
///   they show nothing to rely on; the caller looks at the state first.
pub trait Shelf: fmt::Debug + Send + Sync {
    /// A secret that is the shelf's own and never changes: what tokens are sealed with.
    fn secret(&self) -> [u8; 32];

    /// Every snapshot, in order of their start times.
    fn list(&self) -> Result<Vec<Shelved>, Fault>;

    /// One snapshot; `None` where there is none of this name.
    fn find(&self, id: &SnapshotId) -> Result<Option<Shelved>, Fault>;

    /// At most `limit` allocated blocks at or after `from`, ascending. Fewer only at the end.
    fn window(&self, id: &SnapshotId, from: BlockIndex, limit: usize) -> Result<Vec<Entry>, Fault>;

    /// One block; `None` where it is absent. Fails with `Corrupt` when what is stored is damaged.
    fn read(&self, id: &SnapshotId, index: BlockIndex) -> Result<Option<Content>, Fault>;
}

/// A shelf that can be added to.
///
/// # Contract
/// Writers may call at the same time. What `complete` returned for is durable; a crash before leaves the snapshot
/// pending, never half completed. Errors: `NotFound` for an unknown id, `Refused` for a wrong state.
pub trait ShelfWriter: Shelf {
    /// Puts a new, pending snapshot on the shelf. A parent must be completed.
    fn start(&self, grant: &Grant) -> Result<Shelved, Fault>;

    /// Writes a block of a pending snapshot; the last write of an index counts.
    fn put(&self, id: &SnapshotId, index: BlockIndex, content: &Content) -> Result<(), Fault>;

    /// What was written to a pending snapshot so far: count and LINEAR aggregate.
    fn written(&self, id: &SnapshotId) -> Result<Written, Fault>;

    /// Makes a pending snapshot a completed one.
    fn complete(&self, id: &SnapshotId) -> Result<Shelved, Fault>;

    /// Gives a pending snapshot up: its state becomes `error`, with this message.
    fn fail(&self, id: &SnapshotId, why: &str) -> Result<(), Fault>;

    /// Takes a snapshot off the shelf, whatever its state.
    fn delete(&self, id: &SnapshotId) -> Result<(), Fault>;

    /// Changes its tags; nobody else changes them meanwhile.
    fn retag(&self, id: &SnapshotId, change: &dyn Fn(&mut Tags)) -> Result<(), Fault>;
}

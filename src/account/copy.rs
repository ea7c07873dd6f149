//! Copies of snapshots: within a Region, to another one, under another key.
//!
//! A copy within its Region, under the key of its source or none as it, shares the source's blocks and lineage. Any
//! other one is full, and a lineage of its own. A copy is accepted whatever is wrong with its source or its key, and
//! ends in `error` then (recorded live).

use crate::account::{Account, Claimed};
use crate::block::{BlockIndex, GiB};
use crate::fault::Fault;
use crate::shelf::{Grant, Shelf, ShelfWriter};
use crate::snapshot::{NewSnapshot, SnapshotId, SnapshotInfo, SnapshotState, Tags, UnixMillis};

/// A copy that is asked for.
#[derive(Clone, Debug)]
pub struct NewCopy {
    /// The Region of the source.
    pub from: String,
    /// The source.
    pub source: SnapshotId,
    /// Free text.
    pub description: Option<String>,
    /// Whether to encrypt.
    pub encrypted: bool,
    /// With this key; else with the Region's default.
    pub key: Option<String>,
    /// Tags of the copy. None come from the source.
    pub tags: Tags,
}

/// Entries of the source that are looked up at once.
const WINDOW: usize = 1000;

impl Account {
    /// Copies a snapshot into this Region.
    pub fn copy(&self, region: &str, new: &NewCopy, now: UnixMillis) -> Result<SnapshotId, Fault> {
        let source = self.find(&new.from, &new.source, now)?.map(|shelved| shelved.info);
        let defaults = self.defaults(region)?;
        let was = source.as_ref().filter(|source| source.encrypted);
        // Without a key, what was encrypted comes under the default key, not under the source's (recorded live).
        let wanted = new.encrypted || defaults.encrypts || was.is_some();
        let key = wanted.then(|| match &new.key {
            Some(name) => self.key_arn(region, name),
            None => defaults.key,
        });
        let same = source.as_ref().filter(|source| new.from == region && source.kms_key_id == key);
        let shares = same.filter(|source| source.state == SnapshotState::Completed);
        let grant = Grant {
            asked: NewSnapshot {
                volume_size: source.as_ref().map_or_else(least, |source| source.volume_size),
                parent: shares.map(|source| source.id.clone()),
                description: new.description.clone(),
                tags: new.tags.clone(),
                client_token: None,
                encrypted: None,
                kms_key_id: None,
                timeout_minutes: None,
            },
            owner_id: self.settings().owner_id.clone(),
            encrypted: key.is_some(),
            kms_key_id: key.clone(),
            now,
        };
        let usable = key.is_none_or(|key| self.can_use(region, &key))
            && was
                .and_then(|source| source.kms_key_id.as_ref())
                .is_none_or(|key| self.can_use(&new.from, key));
        let writer = self.writer()?;
        let id = self.start_once(region, None, |writer| writer.start(&grant))?.info.id;
        let failed = match &source {
            None => Some("Source snapshot is not found"),
            Some(source) if source.state != SnapshotState::Completed => {
                Some("Source snapshot is not complete")
            }
            Some(_) if !usable => Some("Given key ID is not accessible"),
            Some(_) => None,
        };
        if let Some(why) = failed {
            writer.fail(&id, why)?;
            return Ok(id);
        }
        let blocks = match (&source, grant.asked.parent) {
            (Some(source), None) => fill(writer, source, &id)?,
            _ => 0,
        };
        self.complete(&id, &Claimed { blocks, checksum: None }, now)?;
        Ok(id)
    }
}

/// The size of what nobody knows the size of.
fn least() -> GiB {
    GiB::try_from(1).unwrap_or_else(|_| unreachable!("1 GiB is a volume size"))
}

/// Writes every block of the source to the copy; returns how many.
fn fill(writer: &dyn ShelfWriter, source: &SnapshotInfo, copy: &SnapshotId) -> Result<u32, Fault> {
    let shelf: &dyn Shelf = writer;
    let (mut from, mut blocks) = (Some(BlockIndex::ZERO), 0);
    while let Some(first) = from {
        let window = shelf.window(&source.id, first, WINDOW)?;
        from = window.last().and_then(|last| last.index.next());
        for entry in window {
            if let Some(content) = shelf.read(&source.id, entry.index)? {
                writer.put(copy, entry.index, &content)?;
                blocks += 1;
            }
        }
    }
    Ok(blocks)
}

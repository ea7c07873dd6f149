//! The place of a pending snapshot: what was put to it, until Complete moves it among the blocks.
//!
//! A put writes the block's file, then a line in the journal that names it; neither is made durable. Whoever opens
//! the place again keeps what can be proved: journal lines that are whole, up to the first that is not, whose
//! blocks' files are whole as well.

use crate::block::{BlockIndex, Digest, Geometry, LinearDigest};
use crate::disk::Access;
use crate::fault::{Fault, Kind, Place};
use crate::shelf::Content;
use crate::snapshot::{SnapshotId, Written};
use crate::store::blocks::{Bad, Blocks, compressed};
use crate::store::files::{Files, JOURNAL};
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Index, digest, CRC32.
const LINE: usize = 4 + Digest::LEN + 4;

/// A pending snapshot's place.
#[derive(Debug)]
pub(crate) struct Pending {
    id: SnapshotId,
    geometry: Geometry,
    files: Files,
    blocks: Blocks,
    drafts: AtomicU64,
    journal: Mutex<Journal>,
}

#[derive(Debug, Default)]
struct Journal {
    /// Lines in the file. The next is written behind them, over what a failed write may have left there.
    lines: u64,
    written: BTreeMap<BlockIndex, Digest>,
    /// Digests with a whole file in this place.
    own: HashSet<Digest>,
    /// Whether `written` is proved: its blocks are all there.
    is_proved: bool,
}

impl Pending {
    /// Opens the place, made if it is not there. Reads the journal, not yet the blocks.
    pub(crate) fn open(
        id: &SnapshotId,
        geometry: Geometry,
        files: &Files,
        blocks: &Blocks,
    ) -> Result<Self, Fault> {
        files.make_dir(&files.places())?;
        files.make_dir(&files.place(id))?;
        let bytes = files.read(&files.place(id).join(JOURNAL))?.unwrap_or_default();
        let mut journal = Journal::default();
        for line in bytes.as_chunks::<LINE>().0 {
            let Some((index, digest)) = parsed(journal.lines, line) else { break };
            journal.lines += 1;
            journal.written.insert(index, digest);
        }
        Ok(Self {
            id: id.clone(),
            geometry,
            files: files.clone(),
            blocks: blocks.clone(),
            drafts: AtomicU64::new(0),
            journal: Mutex::new(journal),
        })
    }

    /// Writes a block. Needs no lock against other puts.
    pub(crate) fn put(&self, index: BlockIndex, content: &Content) -> Result<(), Fault> {
        let at = || Place::Block(self.id.clone(), index);
        if !self.geometry.contains(index) {
            return Err(Fault::new(Kind::Refused, at(), "the block is beyond the volume"));
        }
        if content.bytes.len() != self.geometry.block_size.buffer_len() {
            let what = format!("{} bytes are not a block", content.bytes.len());
            return Err(Fault::new(Kind::Refused, at(), what));
        }
        debug_assert_eq!(Digest::of(&content.bytes), content.digest, "the caller has checked this");
        let is_own = self.proved()?.own.contains(&content.digest);
        let is_stored = is_own || content.digest == Digest::ZERO_BLOCK || self.blocks.has(&content.digest)?;
        if !is_stored {
            self.store(content)?;
        }
        let mut journal = self.proved()?;
        if !is_stored {
            journal.own.insert(content.digest);
        }
        let path = self.path(JOURNAL);
        let line = line(journal.lines, index, content.digest);
        let written = self.files.disk.write_at(&path, journal.lines * LINE as u64, &line);
        written.map_err(|error| Fault::local(&path, "write", error))?;
        journal.lines += 1;
        journal.written.insert(index, content.digest);
        Ok(())
    }

    /// Count and LINEAR aggregate of what was written.
    pub(crate) fn tally(&self) -> Result<Written, Fault> {
        let journal = self.proved()?;
        let mut linear = LinearDigest::new();
        journal.written.values().for_each(|digest| linear.push(digest));
        let blocks = u32::try_from(journal.written.len()).unwrap_or(u32::MAX);
        Ok(Written { blocks, checksum: linear.finish() })
    }

    /// What was written, and which of its blocks have their file here.
    pub(crate) fn contents(&self) -> Result<(BTreeMap<BlockIndex, Digest>, Vec<Digest>), Fault> {
        let journal = self.proved()?;
        let used: HashSet<_> = journal.written.values().copied().collect();
        Ok((journal.written.clone(), journal.own.intersection(&used).copied().collect()))
    }

    /// Every digest that the journal names, proved or not.
    pub(crate) fn named(&self) -> HashSet<Digest> {
        self.lock().written.values().copied().collect()
    }

    /// The file of a block that has its file here.
    pub(crate) fn block(&self, digest: &Digest) -> PathBuf {
        self.path(&digest.to_string())
    }

    /// A block's file has left for its final name.
    pub(crate) fn moved(&self, digest: &Digest) {
        self.lock().own.remove(digest);
        self.blocks.forget(digest);
    }

    /// Writes the file of a block, under its name only when it is whole.
    fn store(&self, content: &Content) -> Result<(), Fault> {
        let draft = self.path(&format!("draft-{}", self.drafts.fetch_add(1, Ordering::Relaxed)));
        let packed = compressed(&content.bytes);
        let bytes = packed.as_deref().unwrap_or(&content.bytes);
        let written = self.files.write(&draft, bytes, Access::Group);
        let stored = written.and_then(|()| self.files.rename(&draft, &self.block(&content.digest)));
        if stored.is_err() {
            // Gives a full disk its space back; the failure that counts is the first.
            let _ = self.files.remove(&draft);
        }
        stored
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.place(&self.id).join(name)
    }

    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal, after its blocks were looked at once. That hashes all that an earlier process put, so it waits
    /// until somebody goes on with this snapshot.
    fn proved(&self) -> Result<MutexGuard<'_, Journal>, Fault> {
        let mut journal = self.lock();
        if journal.is_proved {
            return Ok(journal);
        }
        let named: HashSet<_> = journal.written.values().copied().collect();
        let mut lost = HashSet::new();
        for digest in named {
            match self.blocks.verify(&self.block(&digest), &digest) {
                Ok(_) => {
                    journal.own.insert(digest);
                }
                Err(Bad::Failed(fault)) => return Err(fault),
                Err(Bad::Missing | Bad::Damaged(_)) if digest == Digest::ZERO_BLOCK => {}
                // Complete may have moved it before it was stopped.
                Err(Bad::Missing | Bad::Damaged(_)) if self.blocks.has(&digest)? => {}
                Err(Bad::Missing | Bad::Damaged(_)) => {
                    lost.insert(digest);
                }
            }
        }
        journal.written.retain(|_, digest| !lost.contains(digest));
        let whole: HashSet<_> = journal.own.iter().map(ToString::to_string).collect();
        self.files.retain_blocks(&self.id, &whole)?;
        journal.is_proved = true;
        Ok(journal)
    }
}

/// A journal line. Its checksum covers its number, so that no line passes for another.
fn line(number: u64, index: BlockIndex, digest: Digest) -> [u8; LINE] {
    let mut line = [0; LINE];
    line[..4].copy_from_slice(&index.get().to_le_bytes());
    line[4..4 + Digest::LEN].copy_from_slice(digest.as_bytes());
    let sum = checksum(number, &line[..4 + Digest::LEN]);
    line[4 + Digest::LEN..].copy_from_slice(&sum.to_le_bytes());
    line
}

fn parsed(number: u64, line: &[u8; LINE]) -> Option<(BlockIndex, Digest)> {
    let (body, sum) = line.split_last_chunk::<4>()?;
    let (index, digest) = body.split_first_chunk::<4>()?;
    let is_whole = checksum(number, body) == u32::from_le_bytes(*sum);
    let index = BlockIndex::try_from(i64::from(u32::from_le_bytes(*index))).ok()?;
    is_whole.then_some((index, Digest::from_bytes(digest.try_into().ok()?)))
}

fn checksum(number: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

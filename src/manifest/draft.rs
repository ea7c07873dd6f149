//! Digests on their way into a manifest.

use crate::block::{BlockIndex, BlockSet, Digest, Geometry};
use crate::disk::{Access, Disk, Handle, directory};
use crate::fault::{Fault, Kind, Place};
use crate::source::{Block, BlockSink};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Digests read at once, where they are asked for in order.
const WINDOW: u32 = 2048;

/// Bytes of a record: a digest, and the CRC-32 of the seed, the index and the digest.
const RECORD: usize = Digest::LEN + 4;

/// Digests by index in a sparse file, written in any order from any thread: 36 bytes for each block of the volume.
///
/// Which of them count is said by a checkpoint beside it. Each bears a checksum that the checkpoint's own is part of, so
/// a digest that was lost, altered, or left by another run is none: [`Draft::known`] tells which are there.
#[derive(Debug)]
pub struct Draft {
    file: Box<dyn Handle>,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    n_blocks: u32,
    seed: u32,
    /// Whether a later run looks for it: not where something foreign has the usual name.
    is_found_again: bool,
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_found_again {
            // Best effort: no run takes it for its own.
            let _ = self.disk.remove(&self.path);
        }
    }
}

impl Draft {
    /// Opens the draft that is there, or makes one, for this run alone. Its name is durable then: a checkpoint may rely
    /// on it. What another user could have written there is forgotten. The seed tells the digests of one run from those
    /// of others: that of its checkpoint, or 0 where nothing is resumed.
    ///
    /// # Errors
    /// `Unsuitable` when another run has it; `Local` when it cannot be made.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, geometry: Geometry, seed: u32) -> Result<Self, Fault> {
        let name = || disk.own_name(path);
        let usual = path;
        let path = &name().map_err(|error| Fault::local(usual, "look for", error))?;
        let is_found_again = path == usual;
        let open = || {
            disk.make_dirs(directory(path), Access::Owner)?;
            let is_suspect = disk.entry(path)?.is_some_and(|found| !found.is_ours_to_write());
            let Some(file) = disk.claim(path, Access::Owner)? else { return Ok(None) };
            if is_suspect {
                file.set_len(0)?;
            }
            file.set_len(at(BlockIndex::new(geometry.n_blocks())))?;
            disk.sync(directory(path))?;
            Ok(Some(file))
        };
        let opened = open().map_err(|error| Fault::local(path, "make", error))?;
        let file = opened.ok_or_else(|| Fault::taken(path))?;
        Ok(Self {
            file,
            disk: disk.clone(),
            path: path.to_owned(),
            n_blocks: geometry.n_blocks(),
            seed,
            is_found_again,
        })
    }

    /// Keeps a digest.
    pub fn put(&self, index: BlockIndex, digest: &Digest) -> Result<(), Fault> {
        self.file
            .write_at(&record(self.seed, index, digest), at(index))
            .map_err(|error| Fault::local(&self.path, "write", error))
    }

    /// Returns the digest that was kept for a block.
    ///
    /// # Errors
    /// `Local` where none was, or it is damaged.
    pub fn get(&self, index: BlockIndex) -> Result<Digest, Fault> {
        let mut bytes = [0; RECORD];
        self.file.read_at(&mut bytes, at(index)).map_err(|error| Fault::local(&self.path, "read", error))?;
        parse(self.seed, index, &bytes).ok_or_else(|| lost(&self.path, index))
    }

    /// Returns those of these blocks whose digests are there, undamaged.
    pub fn known(&self, among: &BlockSet) -> Result<BlockSet, Fault> {
        let mut windows = self.windows();
        let mut known = BlockSet::new();
        for index in among.iter() {
            if windows(index)?.is_some() {
                known.insert(index);
            }
        }
        Ok(known)
    }

    /// Returns the digests that were kept, quickly when they are asked for in ascending order; one that was not is an
    /// error, as for [`Draft::get`]. What is kept meanwhile need not show.
    pub fn digests(&self) -> impl FnMut(BlockIndex) -> Result<Digest, Fault> {
        let mut windows = self.windows();
        move |index| windows(index)?.ok_or_else(|| lost(&self.path, index))
    }

    fn windows(&self) -> impl FnMut(BlockIndex) -> Result<Option<Digest>, Fault> {
        let (mut window, mut first) = (Vec::new(), BlockIndex::ZERO);
        move |index| {
            let place = (index.get() % WINDOW) as usize;
            let wanted = BlockIndex::new(index.get() / WINDOW * WINDOW);
            if window.is_empty() || wanted != first {
                let n_digests = self.n_blocks.saturating_sub(wanted.get()).min(WINDOW) as usize;
                window.resize(n_digests, [0; RECORD]);
                let read = self.file.read_at(window.as_flattened_mut(), at(wanted));
                if let Err(error) = read {
                    window.clear();
                    return Err(Fault::local(&self.path, "read", error));
                }
                first = wanted;
            }
            Ok(window.get(place).and_then(|bytes| parse(self.seed, index, bytes)))
        }
    }

    /// Removes the file; no run goes on with it. It is well if it has gone.
    pub fn remove(&self) -> Result<(), Fault> {
        match self.disk.remove(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Fault::local(&self.path, "remove", error))
            }
            _ => Ok(()),
        }
    }
}

fn record(seed: u32, index: BlockIndex, digest: &Digest) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    bytes[..Digest::LEN].copy_from_slice(digest.as_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&seed.to_le_bytes());
    crc.update(&index.get().to_le_bytes());
    crc.update(digest.as_bytes());
    bytes[Digest::LEN..].copy_from_slice(&crc.finalize().to_le_bytes());
    bytes
}

fn parse(seed: u32, index: BlockIndex, bytes: &[u8; RECORD]) -> Option<Digest> {
    let digest = Digest::from_bytes(*bytes.first_chunk()?);
    (record(seed, index, &digest) == *bytes).then_some(digest)
}

fn lost(path: &Path, index: BlockIndex) -> Fault {
    let what = format!("the digest of block {index} is missing or damaged");
    Fault::new(Kind::Local, Place::File(path.to_owned()), what).hint("give the same command again")
}

fn at(index: BlockIndex) -> u64 {
    u64::from(index.get()) * RECORD as u64
}

impl BlockSink for Draft {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        self.put(block.index(), &block.digest())
    }

    fn sync(&self) -> Result<(), Fault> {
        self.file.sync().map_err(|error| Fault::local(&self.path, "make durable", error))
    }
}

//! Digests on their way into a manifest.

use crate::block::{BlockIndex, Digest, Geometry};
use crate::disk::{Access, Disk, Handle, directory};
use crate::fault::Fault;
use crate::source::{Block, BlockSink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Digests read at once, where they are asked for in order.
const WINDOW: u32 = 2048;

/// Digests by index in a sparse file, written in any order from any thread: 32 bytes for each block of the volume.
/// Which of them count is not its business; a checkpoint beside it says.
#[derive(Debug)]
pub struct Draft {
    file: Box<dyn Handle>,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    n_blocks: u32,
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
    /// on it.
    ///
    /// # Errors
    /// `Unsuitable` when another run has it; `Local` when it cannot be made.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, geometry: Geometry) -> Result<Self, Fault> {
        let name = || disk.own_name(path);
        let usual = path;
        let path = &name().map_err(|error| Fault::local(usual, "look for", error))?;
        let is_found_again = path == usual;
        let open = || {
            disk.make_dirs(directory(path), Access::Owner)?;
            let Some(file) = disk.claim(path, Access::Owner)? else { return Ok(None) };
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
            is_found_again,
        })
    }

    /// Keeps a digest.
    pub fn put(&self, index: BlockIndex, digest: &Digest) -> Result<(), Fault> {
        self.file
            .write_at(digest.as_bytes(), at(index))
            .map_err(|error| Fault::local(&self.path, "write", error))
    }

    /// The digest that was kept for a block; zeros where none was.
    pub fn get(&self, index: BlockIndex) -> Result<Digest, Fault> {
        let mut digest = [0; Digest::LEN];
        self.file.read_at(&mut digest, at(index)).map_err(|error| Fault::local(&self.path, "read", error))?;
        Ok(Digest::from_bytes(digest))
    }

    /// Gives the digests that were kept, zeros where none was: quickly when they are asked for in ascending order. What is
    /// kept meanwhile need not show.
    pub fn digests(&self) -> impl FnMut(BlockIndex) -> Result<Digest, Fault> {
        let (mut window, mut first) = (Vec::new(), BlockIndex::ZERO);
        move |index| {
            let place = (index.get() % WINDOW) as usize;
            let wanted = BlockIndex::new(index.get() / WINDOW * WINDOW);
            if window.is_empty() || wanted != first {
                let n_digests = self.n_blocks.saturating_sub(wanted.get()).min(WINDOW) as usize;
                window.resize(n_digests, [0; Digest::LEN]);
                let read = self.file.read_at(window.as_flattened_mut(), at(wanted));
                if let Err(error) = read {
                    window.clear();
                    return Err(Fault::local(&self.path, "read", error));
                }
                first = wanted;
            }
            Ok(Digest::from_bytes(window[place]))
        }
    }

    /// It has served.
    pub fn remove(self) -> Result<(), Fault> {
        self.disk.remove(&self.path).map_err(|error| Fault::local(&self.path, "remove", error))
    }
}

fn at(index: BlockIndex) -> u64 {
    u64::from(index.get()) * Digest::LEN as u64
}

impl BlockSink for Draft {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        self.put(block.index(), &block.digest())
    }

    fn sync(&self) -> Result<(), Fault> {
        self.file.sync().map_err(|error| Fault::local(&self.path, "make durable", error))
    }
}

//! Digests on their way into a manifest.

use crate::block::{BlockIndex, Digest, Geometry};
use crate::fault::Fault;
use crate::source::{Block, BlockSink};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Digests by index in a sparse file, written in any order from any thread: 32 bytes for each block of the volume.
/// Which of them count is not its business; a checkpoint beside it says.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
}

impl Draft {
    /// Opens the draft that is there, or makes one.
    pub fn open(path: &Path, geometry: Geometry) -> Result<Self, Fault> {
        let open = || {
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::create_dir_all(dir)?;
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
            file.set_len(at(BlockIndex::new(geometry.n_blocks())))?;
            Ok(file)
        };
        let file = open().map_err(|error| Fault::local(path, "make", error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Keeps a digest.
    pub fn put(&self, index: BlockIndex, digest: &Digest) -> Result<(), Fault> {
        self.file
            .write_all_at(digest.as_bytes(), at(index))
            .map_err(|error| Fault::local(&self.path, "write", error))
    }

    /// The digest that was kept for a block; zeros where none was.
    pub fn get(&self, index: BlockIndex) -> Result<Digest, Fault> {
        let mut digest = [0; Digest::LEN];
        self.file
            .read_exact_at(&mut digest, at(index))
            .map_err(|error| Fault::local(&self.path, "read", error))?;
        Ok(Digest::from_bytes(digest))
    }

    /// It has served.
    pub fn remove(self) -> Result<(), Fault> {
        std::fs::remove_file(&self.path).map_err(|error| Fault::local(&self.path, "remove", error))
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
        self.file.sync_data().map_err(|error| Fault::local(&self.path, "make durable", error))
    }
}

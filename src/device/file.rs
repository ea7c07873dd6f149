//! Writing an image file.

use crate::block::{BlockSize, ByteSize};
use crate::fault::{Fault, Kind, Place};
use crate::source::{Block, BlockSink};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A sparse image on its way to its final name.
///
/// It is written beside its target, under the target's name and `.icecore-part`, and renamed at the end; a run
/// that dies leaves only that. Blocks of zeros are not written: a new file reads zeros where nothing is.
#[derive(Debug)]
pub struct ImageFile {
    file: File,
    part: PathBuf,
    target: PathBuf,
    /// Whether `sync` reaches the disk.
    durable: bool,
}

impl ImageFile {
    /// Opens the part of this target that an earlier run left, or a new one. Says whether it is new.
    ///
    /// # Errors
    /// `Unsuitable` when another run is writing it or the target cannot be a file; `Local` when it cannot be made.
    pub fn open(target: &Path, size: ByteSize, durable: bool) -> Result<(Self, bool), Fault> {
        let unsuitable = |what: &str| Fault::new(Kind::Unsuitable, Place::File(target.to_owned()), what);
        let name = target.file_name().ok_or_else(|| unsuitable("not the name of a file"))?;
        let mut part_name = name.to_owned();
        part_name.push(".icecore-part");
        let part = target.with_file_name(part_name);
        let fault = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                unsuitable("the directory it should be in does not exist").hint("make the directory first")
            }
            _ => Fault::local(target, "write", error),
        };
        let is_new = !part.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&part)
            .map_err(fault)?;
        file.try_lock().map_err(|_| {
            unsuitable("another run is writing it").hint("wait for that run to end, or stop it")
        })?;
        file.set_len(size.bytes()).map_err(fault)?;
        Ok((Self { file, part, target: target.to_owned(), durable }, is_new))
    }

    /// Tells this file from another that may lie there later.
    pub fn stamp(&self) -> Result<String, Fault> {
        let meta = self.file.metadata().map_err(|error| Fault::local(&self.part, "read its facts", error))?;
        Ok(format!("{}:{}", meta.dev(), meta.ino()))
    }

    /// Drops whatever an earlier run wrote.
    pub fn clear(&self) -> Result<(), Fault> {
        let emptied = self.file.metadata().and_then(|meta| {
            self.file.set_len(0)?;
            self.file.set_len(meta.len())
        });
        emptied.map_err(|error| Fault::local(&self.part, "empty", error))
    }

    /// Makes it durable and gives it its name; what stood under that name is replaced.
    pub fn finish(self) -> Result<(), Fault> {
        let fault = |error| Fault::local(&self.target, "write", error);
        self.sync()?;
        std::fs::rename(&self.part, &self.target).map_err(fault)?;
        if self.durable {
            let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))
                .and_then(|parent| parent.sync_all())
                .map_err(fault)?;
        }
        Ok(())
    }

    /// Takes it away: nothing of it is worth keeping.
    pub fn discard(self) {
        // Best effort: what cannot be removed stands under no final name.
        let _ = std::fs::remove_file(&self.part);
    }
}

impl BlockSink for ImageFile {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        if block.is_zero() {
            return Ok(());
        }
        let offset = block.index().byte_offset(BlockSize::EBS);
        self.file.write_all_at(block.bytes(), offset).map_err(|error| {
            Fault::local(&self.target, "write", error)
                .hint("mend that and give the same command: it goes on where it stopped")
        })
    }

    fn sync(&self) -> Result<(), Fault> {
        if !self.durable {
            return Ok(());
        }
        self.file.sync_data().map_err(|error| Fault::local(&self.target, "make durable", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::conformance::{self, filled};
    use bytes::Bytes;

    const GIB: ByteSize = ByteSize::from_mib(1024);

    #[test]
    fn an_image_file_conforms_and_gets_its_name_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.img");
        let (file, is_new) = ImageFile::open(&target, GIB, true).unwrap();
        assert!(is_new);
        conformance::sink(&file, |index| {
            let mut bytes = vec![0; 524_288];
            file.file.read_exact_at(&mut bytes, index.byte_offset(BlockSize::EBS)).unwrap();
            Some(Bytes::from(bytes))
        });
        assert!(!target.exists(), "nothing half-done under the final name");
        file.finish().unwrap();
        let meta = std::fs::metadata(&target).unwrap();
        assert_eq!(meta.len(), 1 << 30);
        assert!(meta.blocks() * 512 < 4 * 524_288, "three blocks of data, the rest holes");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_runs_never_write_one_target() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.img");
        let (first, _) = ImageFile::open(&target, GIB, true).unwrap();
        let refused = ImageFile::open(&target, GIB, true).unwrap_err();
        assert_eq!(refused.to_string(), format!("{}: another run is writing it", target.display()));
        drop(first);
        let (again, is_new) = ImageFile::open(&target, GIB, true).unwrap();
        assert!(!is_new);
        again.discard();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn clearing_leaves_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = ImageFile::open(&dir.path().join("out.img"), GIB, false).unwrap();
        file.write(&filled(5, 7)).unwrap();
        file.clear().unwrap();
        let mut bytes = vec![1; 524_288];
        file.file.read_exact_at(&mut bytes, 5 * 524_288).unwrap();
        assert!(crate::block::is_zero(&bytes));
        assert_eq!(file.file.metadata().unwrap().len(), 1 << 30);
    }
}

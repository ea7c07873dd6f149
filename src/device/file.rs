//! Writing an image file.

use crate::block::{BlockSize, ByteSize};
use crate::device::stamp::Stamp;
use crate::disk::{Access, Disk, Handle, directory};
use crate::fault::{Fault, Kind, Place};
use crate::source::{Block, BlockSink};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A sparse image on its way to its final name.
///
/// It is written beside its target, under the target's name and `.icecore-part`, and renamed at the end; a run
/// that dies leaves only that. Blocks of zeros are not written: a new file reads zeros where nothing is.
#[derive(Debug)]
pub struct ImageFile {
    disk: Arc<dyn Disk>,
    file: Box<dyn Handle>,
    part: PathBuf,
    target: PathBuf,
    size: ByteSize,
    is_new: bool,
    /// Whether a later run looks for it: not where something foreign has the usual name.
    is_found_again: bool,
    /// Whether `sync` reaches the disk.
    is_durable: bool,
}

impl ImageFile {
    /// Opens the part of this target that an earlier run left, or a new one.
    ///
    /// # Errors
    /// `Unsuitable` when another run is writing it or the target cannot be a file; `Local` when it cannot be made.
    pub fn open(
        disk: &Arc<dyn Disk>,
        target: &Path,
        size: ByteSize,
        is_durable: bool,
    ) -> Result<Self, Fault> {
        let unwritable = |error| unwritable(target, error);
        let usual = part_of(target)?;
        let part = disk.own_name(&usual).map_err(unwritable)?;
        let is_found_again = part == usual;
        let is_new = disk.node(&part).map_err(unwritable)?.is_none();
        let claimed = disk.claim(&part, Access::Owner).map_err(unwritable)?;
        let file = claimed.ok_or_else(|| Fault::taken(target))?;
        let (disk, target) = (Arc::clone(disk), target.to_owned());
        let opened = Self { disk, file, part, target, size, is_new, is_found_again, is_durable };
        if let Err(error) = opened.file.set_len(size.bytes()) {
            opened.give_up();
            return Err(unwritable(error));
        }
        Ok(opened)
    }

    /// Whether no earlier run left anything here.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Tells this file from every other that was or will be in its place: an inode's number is used again, but
    /// not with the same time of birth. `None` where the file system keeps no such time.
    pub fn stamp(&self) -> Option<String> {
        let facts = self.file.facts().ok()?;
        Some(format!("{}:{} born {}", facts.id.0, facts.id.1, facts.born?.as_nanos()))
    }

    /// Puts a new, empty file in the place of what an earlier run left.
    pub fn renewed(self) -> Result<Self, Fault> {
        let (disk, target) = (self.disk.clone(), self.target.clone());
        let (size, is_durable) = (self.size, self.is_durable);
        self.discard();
        Self::open(&disk, &target, size, is_durable)
    }

    /// Makes it durable and gives it its name. What stands under that name is replaced only if that is meant. Gives
    /// the stamp by which the file can be known later.
    pub fn finish(self, replaces: bool) -> Result<String, Fault> {
        self.sync()?;
        let (part, target) = (&self.part, &self.target);
        // It is whole: from here on whoever could use what it replaces can use it.
        self.file.succeed(target, true).map_err(|error| unwritable(target, error))?;
        let renamed = match replaces {
            true => self.disk.rename(part, target),
            false => self.disk.rename_new(part, target),
        };
        renamed.map_err(|error| unwritable(target, error))?;
        if self.is_durable {
            let synced = self.disk.sync(directory(target));
            synced.map_err(|error| Fault::local(target, "make durable", error))?;
        }
        // The new name is a change as well.
        let stamp = Stamp::take(self.file.as_ref(), self.disk.as_ref(), None);
        Ok(stamp.map_err(|error| unwritable(target, error))?.for_note())
    }

    /// Takes it away: nothing of it is worth keeping.
    pub fn discard(self) {
        self.give_up();
    }

    /// Whether a later run can go on with it.
    pub fn is_found_again(&self) -> bool {
        self.is_found_again
    }

    /// Best effort: what cannot be removed stands under no final name.
    fn give_up(&self) {
        let _ = self.disk.remove(&self.part);
    }
}

impl Drop for ImageFile {
    fn drop(&mut self) {
        if !self.is_found_again {
            self.give_up();
        }
    }
}

fn part_of(target: &Path) -> Result<PathBuf, Fault> {
    let Some(name) = target.file_name() else {
        return Err(Fault::new(Kind::Unsuitable, Place::File(target.to_owned()), "not the name of a file"));
    };
    let mut part = name.to_owned();
    part.push(".icecore-part");
    Ok(target.with_file_name(part))
}

fn unwritable(target: &Path, error: io::Error) -> Fault {
    let unsuitable = |what| Fault::new(Kind::Unsuitable, Place::File(target.to_owned()), what);
    match error.kind() {
        io::ErrorKind::NotFound => {
            unsuitable("the directory it should be in does not exist").hint("make the directory first")
        }
        io::ErrorKind::AlreadyExists => unsuitable("a file of that name has appeared meanwhile")
            .hint("move it away and give the same command"),
        _ => Fault::local(target, "write", error),
    }
}

impl BlockSink for ImageFile {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        if block.is_zero() {
            return Ok(());
        }
        let offset = block.index().byte_offset(BlockSize::EBS);
        self.file.write_at(block.bytes(), offset).map_err(|error| {
            Fault::local(&self.target, "write", error)
                .or_hint("mend that and give the same command: it goes on where it stopped")
        })
    }

    fn sync(&self) -> Result<(), Fault> {
        if !self.is_durable {
            return Ok(());
        }
        self.file.sync().map_err(|error| Fault::local(&self.target, "make durable", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use crate::source::conformance::{self, filled};
    use bytes::Bytes;
    use std::os::unix::fs::MetadataExt;

    const GIB: ByteSize = ByteSize::from_mib(1024);

    fn disk() -> Arc<dyn Disk> {
        Arc::new(RealDisk::default())
    }

    fn opened(target: &Path) -> ImageFile {
        ImageFile::open(&disk(), target, GIB, true).unwrap()
    }

    #[test]
    fn an_image_file_conforms_and_gets_its_name_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.img");
        let file = opened(&target);
        assert!(file.is_new());
        conformance::sink(&file, |index| {
            let mut bytes = vec![0; 524_288];
            file.file.read_at(&mut bytes, index.byte_offset(BlockSize::EBS)).unwrap();
            Some(Bytes::from(bytes))
        });
        assert!(!target.exists(), "nothing half-done under the final name");
        file.finish(false).unwrap();
        let meta = std::fs::metadata(&target).unwrap();
        assert_eq!(meta.len(), 1 << 30);
        assert!(meta.blocks() * 512 < 4 * 524_288, "three blocks of data, the rest holes");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_appeared_meanwhile_is_replaced_only_if_that_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.img");
        let file = opened(&target);
        std::fs::write(&target, "mine").unwrap();
        assert_eq!(file.finish(false).unwrap_err().kind, Kind::Unsuitable);
        assert_eq!(std::fs::read(&target).unwrap(), b"mine");
        opened(&target).finish(true).unwrap();
        assert_eq!(std::fs::metadata(&target).unwrap().len(), 1 << 30);
    }

    #[test]
    fn two_runs_never_write_one_target() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.img");
        let first = opened(&target);
        let refused = ImageFile::open(&disk(), &target, GIB, true).unwrap_err();
        assert_eq!(refused.to_string(), format!("{}: another run is writing it", target.display()));
        drop(first);
        let again = opened(&target);
        assert!(!again.is_new());
        again.discard();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_renewed_file_is_another_file_and_empty() {
        let dir = tempfile::tempdir().unwrap();
        let file = opened(&dir.path().join("out.img"));
        let before = file.stamp();
        file.write(&filled(5, 7)).unwrap();
        let file = file.renewed().unwrap();
        assert!(file.is_new());
        if before.is_some() {
            assert_ne!(before, file.stamp(), "even if the inode's number is the same");
        }
        let mut bytes = vec![1; 524_288];
        file.file.read_at(&mut bytes, 5 * 524_288).unwrap();
        assert!(crate::block::is_zero(&bytes));
        assert_eq!(file.file.facts().unwrap().len, 1 << 30);
    }
}

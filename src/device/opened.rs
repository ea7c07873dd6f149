//! A file or device that is open, and what its failures mean.

use crate::block::{BlockIndex, BlockSize, Buffer, is_zero};
use crate::device::{Held, Part};
use crate::disk::{Disk, Facts, Handle};
use crate::fault::{Fault, Kind};
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One that is worked on. A device that is there no more has vanished, and so has the part of a file that was cut off.
#[derive(Debug)]
pub(super) struct Opened {
    disk: Arc<dyn Disk>,
    file: Box<dyn Handle>,
    path: PathBuf,
}

impl Opened {
    pub(super) fn new(disk: &Arc<dyn Disk>, file: Box<dyn Handle>, path: &Path) -> Self {
        Self { disk: disk.clone(), file, path: path.to_owned() }
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &dyn Handle {
        self.file.as_ref()
    }

    pub(super) fn facts(&self) -> Result<Facts, Fault> {
        self.tried("look at", |file| file.facts())
    }

    /// Does this with it; says what failed, and whether it has vanished.
    pub(super) fn tried<T>(
        &self,
        doing: &str,
        call: impl FnOnce(&dyn Handle) -> io::Result<T>,
    ) -> Result<T, Fault> {
        call(self.file()).map_err(|error| {
            let is_gone = self.is_gone(&error);
            let fault = Fault::local(&self.path, doing, error);
            match is_gone {
                true => fault.as_kind(Kind::Vanished).hint("attach it again and give the same command"),
                false => fault.or_hint("mend that and give the same command: it goes on where it stopped"),
            }
        })
    }

    /// What it has at a block, of a length that it had when somebody looked. Holes are asked for where there can be.
    pub(super) fn part(&self, len: u64, has_holes: bool, index: BlockIndex) -> Result<Part, Fault> {
        let mut buffer = Buffer::for_blocks(1);
        Ok(match self.fill(len, has_holes, index, buffer.as_mut_slice())? {
            Held::Bytes if !is_zero(buffer.as_slice()) => Part::Data(buffer.share()),
            Held::Zeros | Held::Bytes => Part::Zero,
        })
    }

    /// Reads a block into a buffer of its length.
    pub(super) fn fill(
        &self,
        len: u64,
        has_holes: bool,
        index: BlockIndex,
        buffer: &mut [u8],
    ) -> Result<Held, Fault> {
        let start = index.byte_offset(BlockSize::EBS);
        if len <= start {
            return Ok(Held::Zeros);
        }
        if has_holes && self.is_hole(start, buffer.len() as u64)? {
            return Ok(Held::Zeros);
        }
        let held = usize::try_from(len - start).unwrap_or(usize::MAX).min(buffer.len());
        let (bytes, beyond) = buffer.split_at_mut(held);
        beyond.fill(0);
        self.tried(&format!("read at byte {start}"), |file| file.read_at(bytes, start))?;
        Ok(Held::Bytes)
    }

    /// Whether there is nothing but a hole in these bytes.
    pub(super) fn is_hole(&self, start: u64, len: u64) -> Result<bool, Fault> {
        let data = self.tried("look for holes", |file| file.next_data(start))?;
        Ok(data.is_none_or(|data| data >= start + len))
    }

    fn is_gone(&self, error: &io::Error) -> bool {
        let gone = [Errno::NODEV, Errno::NXIO, Errno::NOMEDIUM].map(|gone| Some(gone.raw_os_error()));
        let is_there = |path: &Path| matches!(self.disk.node(path), Ok(Some(_)));
        gone.contains(&error.raw_os_error())
            || error.kind() == io::ErrorKind::UnexpectedEof
            // Its name has gone from a directory that is there.
            || (!is_there(&self.path) && self.path.parent().is_some_and(is_there))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::MemoryDisk;
    use crate::disk::{Access, Opening};

    /// How a failure of a file in memory, once something was done to its disk, is called.
    fn called(error: Errno, change: impl FnOnce(&dyn Disk)) -> Kind {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::with_dir(Path::new("/d")));
        let path = Path::new("/d/a");
        disk.write(path, &[1], Access::Usual).unwrap();
        let opened = Opened::new(&disk, disk.open(path, Opening::Read).unwrap(), path);
        change(disk.as_ref());
        opened.tried("read", |_| Err::<(), _>(error.into())).unwrap_err().kind
    }

    #[test]
    fn what_its_own_disk_has_no_more_has_vanished() {
        assert_eq!(called(Errno::IO, |_| {}), Kind::Local);
        assert_eq!(called(Errno::NODEV, |_| {}), Kind::Vanished);
        assert_eq!(called(Errno::IO, |disk| disk.remove(Path::new("/d/a")).unwrap()), Kind::Vanished);
    }
}

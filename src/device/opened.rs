//! A file or device that is open, and what its failures mean.

use crate::block::{BlockIndex, BlockSize, Buffer, Digest, is_zero};
use crate::device::stamp::Stamp;
use crate::device::{Held, Part};
use crate::disk::{Disk, Facts, Handle, Node, Opening};
use crate::fault::{Fault, Kind, Place};
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Looks of a device manager at a device that was just attached or written to, which are over in a moment: it shares
/// the lock meanwhile.
const MAX_LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(100);

/// Whether other readers may use a target at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Readers may, writers may not.
    Readers,
    /// No other.
    Alone,
}

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

    /// Takes the lock on it, which goes with it. Never waits for another process to end; a file system without locks is
    /// worked on without one.
    ///
    /// # Errors
    /// `Unsuitable` when another process has it.
    #[expect(
        clippy::disallowed_methods,
        reason = "udev holds a device for a moment, and locks are taken on blocking threads"
    )]
    pub(super) fn lock(&self, sharing: Sharing) -> Result<(), Fault> {
        let lock = || match sharing {
            Sharing::Readers => self.file.try_share(),
            Sharing::Alone => self.file.try_lock(),
        };
        let is_device = sharing == Sharing::Alone && self.facts()?.node == Node::Device;
        let mut looks = if is_device { MAX_LOOKS } else { 0 };
        loop {
            return match lock() {
                Ok(true) => Ok(()),
                Ok(false) if looks > 0 => {
                    looks -= 1;
                    thread::sleep(LOOK);
                    continue;
                }
                Ok(false) => Err(Fault::in_use(&self.path, self.file.holder().as_deref())),
                Err(error) if has_no_locks(&error) => {
                    let path = self.path.display();
                    tracing::info!(%path, %error, "the file system offers no lock: others may write meanwhile");
                    Ok(())
                }
                Err(error) => Err(Fault::local(&self.path, "lock", error)),
            };
        }
    }

    /// Takes its stamp, as it is open, with the digest of its note.
    pub(super) fn stamp(&self, note: Option<Digest>) -> Result<Stamp, Fault> {
        let disk = self.disk.as_ref();
        self.tried("look at", |file| Stamp::take(file, disk, note))
    }

    /// Refuses to go on where its path leads to another file or device by now.
    ///
    /// # Errors
    /// `Changed` where it does; `Vanished` where a device has gone.
    pub(super) fn is_at_its_path(&self) -> Result<(), Fault> {
        let facts = self.facts()?;
        let there = self.disk.open(&self.path, Opening::Read).and_then(|there| there.facts());
        let changed = |what: &str| Err(self.changed(what));
        match there {
            Ok(there) if facts.node == Node::Device && there.device == facts.device => Ok(()),
            Ok(there) if facts.node != Node::Device && there.id == facts.id => Ok(()),
            Ok(_) => changed("another file took its place"),
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.tried("open", |_| Err(error)),
            Err(_) if facts.node == Node::Device => {
                let at = Place::File(self.path.clone());
                Err(Fault::new(Kind::Vanished, at, "the device has gone")
                    .hint("attach it again and give the same command"))
            }
            Err(_) => changed("it was removed"),
        }
    }

    /// Returns the fault of a target that changed: `its size changed`.
    pub(super) fn changed(&self, what: &str) -> Fault {
        let what = format!("{what} while it was worked on");
        Fault::new(Kind::Changed, Place::File(self.path.clone()), what)
            .hint("let nothing write to it, and give the same command again")
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

/// Returns whether a file system has no locks at all, as some network file systems are mounted.
fn has_no_locks(error: &io::Error) -> bool {
    let refused = [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL, Errno::BADF];
    error.kind() == io::ErrorKind::Unsupported
        || refused.iter().any(|refused| error.raw_os_error() == Some(refused.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Access;
    use crate::disk::memory::MemoryDisk;

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

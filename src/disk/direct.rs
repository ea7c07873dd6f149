//! Reading and writing past the page cache.
//!
//! What is exported will hardly be read again at once, and the cache has better uses: a block whose bytes lie at a
//! whole page of memory goes to the disk from there. The disk is busy from the first block on, so that making it
//! all durable at the end has little left to do. Of a device that is only read, what it has counts, and not what the
//! cache has of it; files are read through the cache, which reads ahead, unless the opener asks for them uncached. Where the file system or the disk will not
//! have it, and for everything small, there is the cache.

use crate::block::ALIGNMENT;
use crate::disk::Opening;
use crate::disk::drain::Drain;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, Ordering};

/// A file that is open already, a second time.
#[derive(Debug)]
pub(super) struct Direct {
    file: File,
    /// Whether it is for reading, or else for writing.
    is_read: bool,
    refused: AtomicBool,
}

impl Direct {
    /// What goes past the cache when a file is opened for this; `None` where nothing does, or can.
    pub(super) fn beside(cached: &File, opening: Opening) -> Option<Self> {
        let is_read = opening.is_read_only();
        match opening {
            Opening::FoundToRead | Opening::Listed => return None,
            Opening::Read if !cached.metadata().ok()?.file_type().is_block_device() => return None,
            _ => {}
        }
        let flags = OFlags::DIRECT | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(is_read).write(!is_read).custom_flags(flags.bits().cast_signed());
        // The same file, whatever has become of its name.
        let file = options.open(format!("/proc/self/fd/{}", cached.as_raw_fd())).ok()?;
        Some(Self { file, is_read, refused: AtomicBool::new(false) })
    }

    /// Fills the buffer from this offset, in bytes; `None` when it has to come through the cache.
    pub(super) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Option<io::Result<()>> {
        let is_ours = self.is_read && is_aligned(bytes, offset);
        self.attempt(is_ours, || self.file.read_exact_at(bytes, offset))
    }

    /// Reads so many bytes from this offset and keeps none; `None` when that has to be done through the cache.
    pub(super) fn touch(&self, drain: &Drain, offset: u64, len: usize) -> Option<io::Result<()>> {
        let is_ours = self.is_read && is_even(offset, len);
        self.attempt(is_ours, || drain.read(&self.file, offset, len))
    }

    /// Writes all of it at this offset, in bytes; `None` when it has to go through the cache.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> Option<io::Result<()>> {
        let is_ours = !self.is_read && is_aligned(bytes, offset);
        self.attempt(is_ours, || self.file.write_all_at(bytes, offset))
    }

    fn attempt(&self, is_ours: bool, call: impl FnOnce() -> io::Result<()>) -> Option<io::Result<()>> {
        if !is_ours || self.refused.load(Ordering::Relaxed) {
            return None;
        }
        match call() {
            // Some file systems open so and then refuse; a disk may want larger units.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.refused.store(true, Ordering::Relaxed);
                None
            }
            done => Some(done),
        }
    }
}

fn is_aligned(bytes: &[u8], offset: u64) -> bool {
    bytes.as_ptr().align_offset(ALIGNMENT) == 0 && is_even(offset, bytes.len())
}

fn is_even(offset: u64, len: usize) -> bool {
    len.is_multiple_of(ALIGNMENT) && offset.is_multiple_of(ALIGNMENT as u64)
}

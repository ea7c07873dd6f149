//! Writing past the page cache.
//!
//! What is exported will hardly be read again at once, and the cache has better uses: a block whose bytes lie at a
//! whole page of memory goes to the disk from there. The disk is busy from the first block on, so that making it
//! all durable at the end has little left to do. Where the file system or the disk will not have it, and for
//! everything small, there is the cache.

use crate::block::ALIGNMENT;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, Ordering};

/// A file that is open already, a second time.
#[derive(Debug)]
pub(super) struct Direct {
    file: File,
    refused: AtomicBool,
}

impl Direct {
    /// `None` where the file system has no such thing.
    pub(super) fn beside(cached: &File) -> Option<Self> {
        let flags = OFlags::DIRECT.bits().cast_signed();
        // The same file, whatever has become of its name.
        let path = format!("/proc/self/fd/{}", cached.as_raw_fd());
        let file = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
        Some(Self { file, refused: AtomicBool::new(false) })
    }

    /// Writes all of it at this offset, in bytes; `None` when it has to go through the cache.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> Option<io::Result<()>> {
        let is_aligned = bytes.as_ptr().align_offset(ALIGNMENT) == 0
            && bytes.len().is_multiple_of(ALIGNMENT)
            && offset.is_multiple_of(ALIGNMENT as u64);
        if !is_aligned || self.refused.load(Ordering::Relaxed) {
            return None;
        }
        match self.file.write_all_at(bytes, offset) {
            // Some file systems open so and then refuse; a disk may want larger units.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.refused.store(true, Ordering::Relaxed);
                None
            }
            written => Some(written),
        }
    }
}

//! Writing past the page cache.
//!
//! What is exported will hardly be read again at once, and the cache has better uses: a block whose bytes lie at a
//! whole page of memory goes to the disk from there. The disk is busy from the first block on, so that making it
//! all durable at the end has little left to do. Where the file system or the disk will not have it, blocks go
//! through the cache.

use crate::source::ALIGNMENT;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, Ordering};

/// A file or device open for writing, twice where that is possible.
#[derive(Debug)]
pub(super) struct Writer {
    cached: File,
    direct: Option<File>,
    refused: AtomicBool,
}

impl Writer {
    /// Over this file.
    pub(super) fn new(cached: File) -> Self {
        let direct = open_directly(&cached).ok();
        Self { cached, direct, refused: AtomicBool::new(false) }
    }

    /// What everything but blocks goes through.
    pub(super) fn file(&self) -> &File {
        &self.cached
    }

    /// Writes all of it at this offset, in bytes.
    pub(super) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let is_aligned = bytes.as_ptr().align_offset(ALIGNMENT) == 0
            && bytes.len().is_multiple_of(ALIGNMENT)
            && offset.is_multiple_of(ALIGNMENT as u64);
        match &self.direct {
            Some(direct) if is_aligned && !self.refused.load(Ordering::Relaxed) => {
                match direct.write_all_at(bytes, offset) {
                    // Some file systems open so and then refuse; a disk may want larger units.
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                        self.refused.store(true, Ordering::Relaxed);
                        self.cached.write_all_at(bytes, offset)
                    }
                    written => written,
                }
            }
            _ => self.cached.write_all_at(bytes, offset),
        }
    }

    /// Makes all that was written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.cached.sync_data()
    }
}

/// The same file once more, whatever has become of its name.
fn open_directly(file: &File) -> io::Result<File> {
    let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    OpenOptions::new().write(true).custom_flags(flags).open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Buffers;

    #[test]
    fn what_is_written_past_the_cache_and_through_it_is_all_there() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let writer = Writer::new(file.reopen().unwrap());
        let mut aligned = Buffers::default().take();
        assert!(aligned.push(&[7; 524_288]));
        writer.write_all_at(aligned.as_ref(), 0).unwrap();
        writer.write_all_at(&aligned.as_ref()[1..], 524_288).unwrap();
        writer.write_all_at(&aligned.as_ref()[..4096], 2 * 524_288 - 1).unwrap();
        writer.sync().unwrap();
        let mut read = Vec::new();
        io::Read::read_to_end(file.as_file_mut(), &mut read).unwrap();
        assert_eq!(read.len(), 2 * 524_288 + 4095);
        assert!(read.iter().all(|byte| *byte == 7));
    }
}

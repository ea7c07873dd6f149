//! Where bytes go that nobody looks at.
//!
//! Touching a volume reads gigabytes with hundreds of reads in flight, and what they read is of no use. All of it goes to
//! one piece of memory, the reads over one another, so that depth costs no memory, and the processor's cache takes what
//! would have gone to memory and been thrown away.

#![allow(unsafe_code, reason = "many reads at once into memory that is never looked at")]

use crate::block::BlockSize;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Bytes of one read at most: a block.
const LEN: usize = BlockSize::EBS.buffer_len();

/// A piece of memory that reads write to and nothing reads. It starts at a whole page.
#[derive(Debug)]
pub(super) struct Drain(Option<MmapRaw>);

impl Drain {
    /// Where there is no memory for it, reads fail and say so.
    pub(super) fn new() -> Self {
        Self(MmapOptions::new().len(LEN).map_anon().ok().map(MmapRaw::from))
    }

    /// Reads so many bytes of the file from this offset; `UnexpectedEof` where it ends before that.
    pub(super) fn read(&self, file: &File, offset: u64, len: usize) -> io::Result<()> {
        let memory = self.0.as_ref().ok_or(io::ErrorKind::OutOfMemory)?;
        let mut at = 0;
        while at < len {
            let place = i64::try_from(offset + at as u64).map_err(|_| io::ErrorKind::InvalidInput)?;
            let piece = (len - at).min(LEN);
            // SAFETY: the mapping is of LEN bytes, lives as long as `self`, and no reference to them is ever made.
            let read = unsafe { libc::pread64(file.as_raw_fd(), memory.as_mut_ptr().cast(), piece, place) };
            match usize::try_from(read) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => at += read,
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Machine, Opening};
    use std::path::PathBuf;
    use std::thread;

    #[test]
    fn what_is_touched_is_read_to_its_last_byte_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![7; 3 * LEN + 4096]).unwrap();
        for opening in [Opening::Read, Opening::Uncached] {
            let file = Machine::real(PathBuf::new()).disk.open(&path, opening).unwrap();
            file.touch(0, 2 * LEN + 4096).unwrap();
            file.touch(3 * LEN as u64, 4096).unwrap();
            file.touch(4095, 2).unwrap();
            let beyond = file.touch(3 * LEN as u64, LEN).unwrap_err();
            assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof, "{opening:?}");
        }
    }

    #[test]
    fn many_reads_at_once_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![7; 8 * LEN]).unwrap();
        let (file, drain) = (File::open(&path).unwrap(), Drain::new());
        thread::scope(|scope| {
            let reads: Vec<_> = (0..64_u64)
                .map(|n| {
                    scope.spawn({
                        let (file, drain) = (&file, &drain);
                        move || drain.read(file, n % 8 * LEN as u64, LEN)
                    })
                })
                .collect();
            reads.into_iter().for_each(|read| read.join().unwrap().unwrap());
        });
    }
}

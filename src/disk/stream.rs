//! A file as a stream: read or written from a place in it onward, and never in memory as a whole.

use crate::block::Digest;
use crate::disk::Handle;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Write};

/// Reads a file from its start to the end that it has now. Every read is one of the file: small ones want a buffer.
#[derive(Debug)]
pub struct Reading<'a> {
    file: &'a dyn Handle,
    at: u64,
    len: u64,
}

impl<'a> Reading<'a> {
    /// From its start.
    pub fn of(file: &'a dyn Handle) -> io::Result<Self> {
        Ok(Self { file, at: 0, len: file.facts()?.len })
    }
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let n_bytes = buffer.len().min(left);
        self.file.read_at(&mut buffer[..n_bytes], self.at)?;
        self.at += n_bytes as u64;
        Ok(n_bytes)
    }
}

/// Writes a file from a place in it onward, and hashes what it writes. Every write is one of the file: small ones want
/// a buffer.
#[derive(Debug)]
pub struct Hashing<'a> {
    file: &'a dyn Handle,
    at: u64,
    hash: Sha256,
}

impl<'a> Hashing<'a> {
    /// From this byte on.
    pub fn onward(file: &'a dyn Handle, at: u64) -> Self {
        Self { file, at, hash: Sha256::new() }
    }

    /// Where in the file it ended, and SHA-256 of all that was written.
    pub fn finish(self) -> (u64, Digest) {
        (self.at, Digest::from_bytes(self.hash.finalize().into()))
    }
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.at)?;
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::MemoryDisk;
    use crate::disk::{Access, Disk, Opening};
    use std::path::Path;

    #[test]
    fn what_is_written_in_pieces_is_read_and_hashed_as_one() {
        let disk = MemoryDisk::with_dir(Path::new("/"));
        let file = disk.open(Path::new("/file"), Opening::New(Access::Owner)).unwrap();
        file.write_at(b"head", 0).unwrap();
        let mut out = Hashing::onward(&*file, 4);
        for piece in [&b"one, "[..], b"", b"two"] {
            out.write_all(piece).unwrap();
        }
        assert_eq!(out.finish(), (12, Digest::of(b"one, two")));
        let mut bytes = Vec::new();
        Reading::of(&*file).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"headone, two");
    }
}

//! Files of a bundle, read without being led elsewhere.
//!
//! A bundle is a directory of regular files. A link in its place, or in the place of one of its files, could be pointed
//! at other contents after it was looked at; a pipe would never end. Neither is opened.

use crate::block::Digest;
use crate::disk::{Disk, Handle, Node, Opening};
use std::io::{self, ErrorKind};
use std::path::Path;

/// What stands under the name of a file.
#[derive(Debug)]
pub(super) enum Entry<T> {
    /// Nothing.
    Missing,
    /// A link, a directory, a pipe, a device.
    NotAFile,
    /// A regular file, or what was asked of it.
    File(T),
}

impl<T> Entry<T> {
    fn map<U>(self, of: impl FnOnce(T) -> io::Result<U>) -> io::Result<Entry<U>> {
        Ok(match self {
            Self::Missing => Entry::Missing,
            Self::NotAFile => Entry::NotAFile,
            Self::File(file) => Entry::File(of(file)?),
        })
    }
}

/// Opens a regular file for reading.
fn open(disk: &dyn Disk, path: &Path) -> io::Result<Entry<Box<dyn Handle>>> {
    let Some(entry) = disk.entry(path)? else { return Ok(Entry::Missing) };
    if entry.node != Node::File {
        return Ok(Entry::NotAFile);
    }
    let file = match disk.open(path, Opening::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Entry::Missing),
        opened => opened?,
    };
    // A link may have taken its place between the two.
    match file.facts()?.id == entry.id {
        true => Ok(Entry::File(file)),
        false => Ok(Entry::NotAFile),
    }
}

/// Reads a small file; `None` in place of its bytes where it is longer than `limit`.
pub(super) fn read(disk: &dyn Disk, path: &Path, limit: usize) -> io::Result<Entry<Option<Vec<u8>>>> {
    open(disk, path)?.map(|file| {
        let len = usize::try_from(file.facts()?.len).unwrap_or(usize::MAX);
        if len > limit {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        match file.read_at(&mut bytes, 0) {
            // It was cut meanwhile.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            read => read.map(|()| Some(bytes)),
        }
    })
}

/// Returns whether a file has this length and this SHA-256. One of another length is not read.
pub(super) fn has(disk: &dyn Disk, path: &Path, len: u64, sha256: Option<Digest>) -> io::Result<Entry<bool>> {
    open(disk, path)?.map(|file| {
        if file.facts()?.len != len {
            return Ok(false);
        }
        match file.sha256() {
            // It was cut meanwhile.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            hashed => hashed.map(|(found, digest)| (found, Some(digest)) == (len, sha256)),
        }
    })
}

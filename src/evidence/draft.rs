//! A bundle in the making: in a directory that is no bundle's, until it is whole and gets its number.
//!
//! Whoever makes one holds the lock on its report. A run that is killed gives that up, and the next one removes what it
//! left: of a volume that is wholly wrong that may be gigabytes.

use crate::disk::{Access, Disk, Handle, Hashing, Opening, Reading, unique};
use crate::evidence::told::Told;
use crate::evidence::{Content, Listed, REPORT};
use std::io::{self, BufReader, BufWriter, ErrorKind, IntoInnerError};
use std::path::{Path, PathBuf};

const PREFIX: &str = ".draft-";

/// Files are written and read in pieces of so many bytes.
const PIECE: usize = 1 << 20;

/// How often other runs may take a draft that was just begun for one that was left.
const MOST_TRIES: u32 = 1000;

/// A bundle in the making. Dropping it removes what has not become a bundle.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    _lock: Box<dyn Handle>,
}

impl<'a> Draft<'a> {
    /// Whether this is the name of one.
    pub(super) fn is_name(name: &str) -> bool {
        name.starts_with(PREFIX)
    }

    /// Begins one. Those of several runs do not meet.
    pub(super) fn begin(disk: &'a dyn Disk, dir: &Path) -> io::Result<Self> {
        for _ in 0..MOST_TRIES {
            let path = dir.join(format!("{PREFIX}{}", unique()));
            disk.make_dir(&path)?;
            match disk.claim(&path.join(REPORT), Access::Usual) {
                Ok(Some(lock)) => return Ok(Self { disk, path, _lock: lock }),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    clear(disk, &path);
                    return Err(error);
                }
            }
        }
        Err(ErrorKind::WouldBlock.into())
    }

    /// Removes what killed runs left. Best effort: it counts for nothing, and stands in nobody's way.
    pub(super) fn sweep(disk: &dyn Disk, dir: &Path) {
        let names = disk.names(dir).unwrap_or_default();
        for path in names.iter().filter(|name| Self::is_name(name)).map(|name| dir.join(name)) {
            if let Ok(Some(_lock)) = disk.claim(&path.join(REPORT), Access::Usual) {
                clear(disk, &path);
            }
        }
    }

    /// Writes a file of it, durably, and says what is in it.
    pub(super) fn write(&self, name: &str, content: Content<'_>) -> io::Result<Listed> {
        let file = self.disk.open(&self.path.join(name), Opening::Make)?;
        let mut out = BufWriter::with_capacity(PIECE, Hashing::onward(&*file, 0));
        content(&mut out)?;
        let (bytes, digest) = out.into_inner().map_err(IntoInnerError::into_error)?.finish();
        file.sync()?;
        Ok(Listed { name: name.to_owned(), bytes, sha256: Some(digest) })
    }

    /// Writes a small file that depends on the number, durably, and again with another number.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        self.disk.write(&path, bytes, Access::Usual).and_then(|()| self.disk.sync(&path))
    }

    /// What the report tells of itself.
    pub(super) fn told(&self) -> io::Result<Told> {
        let report = self.disk.open(&self.path.join(REPORT), Opening::Read)?;
        Told::by(BufReader::with_capacity(PIECE, Reading::of(&*report)?))
    }

    /// Makes it the bundle at this path, whole; `AlreadyExists` or `DirectoryNotEmpty` where there is one.
    pub(super) fn place(&self, bundle: &Path) -> io::Result<()> {
        self.disk.sync(&self.path)?;
        self.disk.rename_new(&self.path, bundle)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        clear(self.disk, &self.path);
    }
}

/// Best effort, the report last: with it goes what tells whether the rest is anybody's.
fn clear(disk: &dyn Disk, draft: &Path) {
    let names = disk.names(draft).unwrap_or_default();
    for name in names.iter().map(String::as_str).filter(|name| *name != REPORT).chain([REPORT]) {
        let _ = disk.remove(&draft.join(name));
    }
    let _ = disk.remove_dir(draft);
}

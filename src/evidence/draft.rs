//! A bundle in the making: in a directory that is no bundle's, until it is whole and gets its number.
//!
//! Whoever makes one holds the lock on its report. A run that is killed gives that up, and the next one removes what it
//! left: of a volume that is wholly wrong that may be gigabytes.

use crate::disk::{Access, Disk, Handle, Hashing, Opening, Reading, Sweep, unique};
use crate::evidence::told::Told;
use crate::evidence::{Content, Listed, REPORT, SIGNATURE, STATEMENT};
use std::io::{self, BufReader, BufWriter, ErrorKind, IntoInnerError};
use std::path::{Path, PathBuf};

const PREFIX: &str = ".draft-";

/// Names of the files that commands keep beside the report.
const ATTACHMENTS: [&str; 1] = ["steps.json"];

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
    /// Whether this is the name of one: the prefix and a number of 16 hexadecimal digits.
    pub(super) fn is_name(name: &str) -> bool {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        name.strip_prefix(PREFIX).is_some_and(|number| number.len() == 16 && number.bytes().all(is_digit))
    }

    /// Begins one. Those of several runs do not meet.
    pub(super) fn begin(disk: &'a dyn Disk, dir: &Path) -> io::Result<Self> {
        for _ in 0..MOST_TRIES {
            let path = dir.join(format!("{PREFIX}{}", unique()));
            disk.make_dir(&path, Access::Group)?;
            match disk.claim(&path.join(REPORT), Access::Group) {
                Ok(Some(lock)) => return Ok(Self { disk, path, _lock: lock }),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    clear(disk, &path, false);
                    return Err(error);
                }
            }
        }
        Err(ErrorKind::WouldBlock.into())
    }

    /// Removes what killed runs left: directories with the name of a draft that hold files of a bundle and nothing
    /// else. Best effort: a draft counts for nothing.
    pub(super) fn sweep(disk: &dyn Disk, dir: &Path) {
        let names = disk.names(dir).unwrap_or_default();
        for name in names.iter().filter(|name| Self::is_name(name)) {
            clear(disk, &dir.join(name), true);
        }
    }

    /// Writes a file of it, durably, and says what is in it.
    pub(super) fn write(&self, name: &str, content: Content<'_>) -> io::Result<Listed> {
        let file = self.opened(name)?;
        let mut out = BufWriter::with_capacity(PIECE, Hashing::onward(&*file, 0));
        content(&mut out)?;
        let (bytes, digest) = out.into_inner().map_err(IntoInnerError::into_error)?.finish();
        file.sync()?;
        Ok(Listed { name: name.to_owned(), bytes, sha256: Some(digest) })
    }

    fn opened(&self, name: &str) -> io::Result<Box<dyn Handle>> {
        let path = self.path.join(name);
        // The report was made as the lock.
        let opening = if name == REPORT { Opening::Found } else { Opening::New(Access::Group) };
        self.disk.open(&path, opening)
    }

    /// Writes a small file that depends on the number, durably, and again with another number.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        self.disk.write(&path, bytes, Access::Group).and_then(|()| self.disk.sync(&path))
    }

    /// What the report tells of itself.
    pub(super) fn told(&self) -> io::Result<Told> {
        let report = self.disk.open(&self.path.join(REPORT), Opening::FoundToRead)?;
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
        clear(self.disk, &self.path, false);
    }
}

/// Removes a draft, as far as it can. The report goes last: it is the lock of the run that writes the draft.
fn clear(disk: &dyn Disk, draft: &Path, respects_lock: bool) {
    let is_known = |name: &str| [REPORT, STATEMENT, SIGNATURE].contains(&name) || ATTACHMENTS.contains(&name);
    let sweep = Sweep { last: Some(REPORT), respects_lock, ..Sweep::whole(&is_known) };
    if let Err(error) = disk.remove_tree(draft, &sweep) {
        tracing::debug!("{}: cannot remove the draft: {error}", draft.display());
    }
}

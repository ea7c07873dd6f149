//! Files under names of this program's own: part files, checkpoints, notes, locks, drafts.
//!
//! Such a name can be guessed, so anything may stand under it: a link to a file of value, a pipe that nothing reads.
//! [`Opening::New`] makes a file or fails; [`Opening::Found`] and [`Opening::FoundToRead`] open a regular file with one
//! name, of this user or of its directory's owner, and fail with [`Foreign`] for all else. Nothing foreign is followed,
//! cut or removed: [`Disk::own_name`] names it in a warning, and the work starts under another name.

use crate::disk::{Access, Disk, Handle, Lock, Opening, directory, unique};
use crate::fault::{Fault, Kind, Place};
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Once;

/// What a user can do about a directory that others may write to.
const TRUST: &str = "chmod go-w it, or give --trust-state-dir";

/// The reason why a file under a name of this program's own is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It is a symbolic link.
    Link,
    /// It is a directory, a pipe, a device or a socket.
    NotRegular,
    /// It has this many names (hard links).
    Names(u64),
    /// It belongs to the user with this id.
    Owner(u32),
}

impl Foreign {
    /// Returns the reason, where an error is of a file that is left alone.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => f.write_str("it is a symbolic link, which is not followed")?,
            Self::NotRegular => f.write_str("it is not a regular file")?,
            Self::Names(names) => write!(f, "it has {names} names (hard links)")?,
            Self::Owner(owner) => write!(f, "it belongs to another user (uid {owner})")?,
        }
        f.write_str("; it is left alone, move it away")
    }
}

impl Error for Foreign {}

impl From<Foreign> for io::Error {
    fn from(foreign: Foreign) -> Self {
        Self::other(foreign)
    }
}

/// What a directory of this program's own may hold, for [`Disk::sweep`].
#[derive(Clone, Copy)]
pub struct Sweep<'a> {
    /// Returns whether a file of this name can be in it.
    pub is_known: &'a dyn Fn(&str) -> bool,
    /// The file that is removed after all others.
    pub last: Option<&'a str>,
    /// Whether nothing is removed while another run holds the lock on the last file.
    pub respects_lock: bool,
    /// Whether the directory goes too. Nothing is removed then where anything else is in it.
    pub is_whole: bool,
}

impl<'a> Sweep<'a> {
    /// A directory that goes with all the files in it.
    pub const fn whole(is_known: &'a dyn Fn(&str) -> bool) -> Self {
        Self { is_known, last: None, respects_lock: false, is_whole: true }
    }

    /// A directory that stays, and its files go.
    pub const fn files(is_known: &'a dyn Fn(&str) -> bool) -> Self {
        Self { is_known, last: None, respects_lock: false, is_whole: false }
    }
}

impl fmt::Debug for Sweep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep")
            .field("last", &self.last)
            .field("is_whole", &self.is_whole)
            .finish_non_exhaustive()
    }
}

/// The result of [`Disk::sweep`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swept {
    /// Nothing is left of what was to go.
    Gone,
    /// Another run is at work in it; nothing was removed.
    InUse,
    /// These are in it and do not belong there, in order.
    Holds(Vec<String>),
    /// It is no directory; nothing was removed.
    NoDirectory,
}

impl dyn Disk + '_ {
    /// Opens a file for this run alone, made where there is none; `None` where another run has it. What an earlier run
    /// left in it is still there.
    ///
    /// # Errors
    /// [`Foreign`] where the name is that of something else.
    pub fn claim(&self, path: &Path, access: Access) -> io::Result<Option<Box<dyn Handle>>> {
        loop {
            let opened = match self.open(path, Opening::Found) {
                Err(error) if error.kind() == ErrorKind::NotFound => self.open(path, Opening::New(access)),
                opened => opened,
            };
            let file = match opened {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            if !file.try_lock()? {
                return Ok(None);
            }
            // Another run may have renamed or removed it between opening and locking: that was its file then.
            let facts = file.facts()?;
            if self.entry(path)?.is_some_and(|named| named.id == facts.id) {
                // Earlier versions made such files with the mode that the umask left.
                if access == Access::Owner && !facts.is_private() {
                    file.set_mode(facts.mode & 0o700)?;
                }
                return Ok(Some(file));
            }
        }
    }

    /// Returns whether files found in this directory of the program's own count: not where other users may have forged
    /// them. A warning says so once.
    pub fn trusts(&self, dir: &Path) -> bool {
        static WARNED: Once = Once::new();
        let open = self.open_to_others(dir);
        if let Some(open) = &open {
            WARNED.call_once(|| {
                tracing::warn!(
                    "{}: other users may write to it, so nothing that is found there counts; {TRUST}",
                    open.display()
                );
            });
        }
        open.is_none()
    }

    /// Refuses work that follows what is found in a directory of the program's own, where other users may have forged it.
    ///
    /// # Errors
    /// `Unsuitable`.
    pub fn refuse_untrusted(&self, dir: &Path) -> Result<(), Fault> {
        match self.open_to_others(dir) {
            None => Ok(()),
            Some(open) => {
                let what = "other users may write to it: what is found there may be forged";
                Err(Fault::new(Kind::Unsuitable, Place::File(open), what).hint(TRUST))
            }
        }
    }

    /// Returns the path, or one beside it with a random name where something foreign stands under it, which a warning
    /// names. What is made under a random name is not found again by a later run.
    pub fn own_name(&self, path: &Path) -> io::Result<PathBuf> {
        match self.open(path, Opening::FoundToRead) {
            Err(error) if Foreign::of(&error).is_some() => {
                tracing::warn!("{}: {error}; this run works on another file", path.display());
                Ok(beside(path, ""))
            }
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(path.to_owned()),
        }
    }

    /// Returns the bytes of a small file that an earlier run left. One longer than `limit` bytes is `InvalidData`.
    ///
    /// # Errors
    /// [`Foreign`] where the name is that of something else.
    pub fn read_found(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let file = self.open(path, Opening::FoundToRead)?;
        let len = usize::try_from(file.facts()?.len).unwrap_or(usize::MAX);
        if len > limit {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("{len} bytes are too many")));
        }
        let mut bytes = vec![0; len];
        file.read_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Gives a small file its name and bytes at once and for good: after a power cut the old or the new stands. A link
    /// of that name is replaced itself.
    pub fn replace(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
        self.place(path, &Draft { bytes, access, like: None, is_durable: true }, |draft| {
            self.rename(draft, path)
        })
    }

    /// The same, for those who may use the regular file under another path. It gets that one's owner only where that is
    /// the directory's too: else the file would be [`Foreign`] to this user.
    pub fn replace_like(&self, path: &Path, bytes: &[u8], like: &Path) -> io::Result<()> {
        let draft = Draft { bytes, access: Access::Owner, like: Some(like), is_durable: true };
        self.place(path, &draft, |draft| self.rename(draft, path))
    }

    /// The same without waiting for the disk: after a power cut anything may stand there.
    pub fn replace_lazily(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
        self.place(path, &Draft { bytes, access, like: None, is_durable: false }, |draft| {
            self.rename(draft, path)
        })
    }

    /// Makes a new file, whole and for good or not at all; `AlreadyExists` where its name is taken. Several may try the
    /// same name at once.
    pub fn place_new(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
        let draft = Draft { bytes, access, like: None, is_durable: true };
        self.place(path, &draft, |draft| self.rename_new(draft, path))
    }

    /// Writes a file under a random name, then renames it.
    fn place(
        &self,
        path: &Path,
        draft: &Draft<'_>,
        rename: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let name = beside(path, ".new");
        let file = self.open(&name, Opening::New(draft.access))?;
        let written = || {
            file.write_at(draft.bytes, 0)?;
            if let Some(like) = draft.like {
                let owner = |path: &Path| Ok::<_, io::Error>(self.entry(path)?.map(|facts| facts.owner));
                file.succeed(like, owner(like)? == owner(&directory(path).join("."))?)?;
            }
            if draft.is_durable { file.sync() } else { Ok(()) }
        };
        let placed = written().and_then(|()| rename(&name));
        if placed.is_err() {
            // Best effort: a draft counts for nothing.
            let _ = self.remove(&name);
        }
        placed.and_then(|()| if draft.is_durable { self.sync(directory(path)) } else { Ok(()) })
    }

    /// Removes a directory of this program's own with the files in it; it is well if it has gone. Where anything else
    /// is in it, or it is no directory, it is left alone and a warning names that. Returns whether it has gone.
    pub fn remove_tree(&self, dir: &Path, sweep: &Sweep<'_>) -> io::Result<bool> {
        let shown = dir.display();
        match self.sweep(dir, sweep)? {
            Swept::Gone => return Ok(true),
            Swept::InUse => {}
            Swept::NoDirectory => {
                tracing::warn!("{shown}: it is not a directory; it is left alone, move it away")
            }
            Swept::Holds(names) => {
                let first = names.first().map_or("", String::as_str);
                let more = match names.len() {
                    0 | 1 => String::new(),
                    n => format!(" and {} more", n - 1),
                };
                tracing::warn!(
                    "{shown}: it holds '{first}'{more}, which does not belong there; it is left alone"
                );
            }
        }
        Ok(false)
    }
}

/// A small file before it has its name.
struct Draft<'a> {
    bytes: &'a [u8],
    access: Access,
    /// The regular file whose owner, group and mode it gets.
    like: Option<&'a Path>,
    is_durable: bool,
}

/// Returns a path in the same directory that nothing else uses.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}{end}", unique()));
    path.with_file_name(name)
}

/// Returns the first line of a lock file: its holder, as that wrote it.
pub(super) fn holder(bytes: &[u8]) -> Lock {
    let text = String::from_utf8_lossy(bytes);
    Lock::By(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests;

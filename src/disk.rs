//! Files in directories: the machine's own, or ones that a test takes the power from.
//!
//! [`Disk`] works on whole paths, [`Handle`] on one open file. Whatever has to survive a crash goes through them:
//! stores, checkpoints, exported images, what is known of a target. [`RealDisk`] is the machine's; [`memory`] forgets
//! on demand whatever was not synced; [`faulty`] wraps any other and fails when told to; [`cold`] makes a file slow.
//! [`Reading`] and [`Hashing`] are an open file as a stream. [`read_small`] and [`Input`] read what a user named.
//! [`OutputFile`] is where a user wants a result.
//! [`Mounts`] tells what the machine has mounted.
//!
//! Nothing is durable before [`Disk::sync`], [`Disk::sync_all`] or [`Handle::sync`] has returned; a file's bytes and
//! its name are two things, made durable by syncing the file and its directory.

mod block_facts;
pub mod cold;
mod direct;
mod drain;
pub mod faulty;
mod input;
pub mod memory;
mod mounts;
mod near;
mod output;
mod own;
mod ownership;
mod place;
mod real;
mod stream;

pub use block_facts::{Backing, BlockFacts, Writes};
pub use input::{BYTE_ORDER_MARK, Input, IsStopped, Limit, is_utf16, read_small, read_text};
pub use mounts::{InUse, Mounting, Mounts, RealMounts, Use};
pub use near::Near;
pub use output::{OutputFile, Writing};
pub use own::{Foreign, Sweep, Swept};
pub use ownership::preserve;
pub use place::NODES;
pub use real::RealDisk;
pub use stream::{Hashing, Reading};

use crate::block::Digest;
use sha2::{Digest as _, Sha256};
use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The machine that a run works on: its files, and where runs keep what outlives them. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its files and devices.
    pub disk: Arc<dyn Disk>,
    /// What is mounted on it.
    pub mounts: Arc<dyn Mounts>,
    /// Where checkpoints are kept, and what is known of devices; made when needed.
    pub state_dir: PathBuf,
}

impl Machine {
    /// This machine.
    pub fn real(state_dir: PathBuf) -> Self {
        Self { disk: Arc::new(RealDisk::default()), mounts: Arc::new(RealMounts::default()), state_dir }
    }

    /// The same machine, on which a state directory counts even where other users may write to it.
    #[must_use]
    pub fn trusting(self) -> Self {
        Self { disk: Arc::new(RealDisk::trusting()), ..self }
    }
}

/// The users who may use a file or a directory that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Those that the umask lets.
    Usual,
    /// Its owner alone, whatever the umask: 0600, and 0700 of a directory.
    Owner,
    /// Its owner, and the group of the directory that it is in, as far as that group may use that directory. Never
    /// others, whatever the umask.
    Group,
}

/// What asking for a lock gave.
#[derive(Debug)]
pub enum Lock {
    /// It is ours until the value goes.
    Held(Box<dyn Any + Send + Sync>),
    /// Somebody else's: who, as they wrote it.
    By(String),
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A block device.
    Device,
    /// A pipe, a socket, a terminal.
    Other,
}

/// How a file is opened. A path that the user named is followed through links; a name of this program's own never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A path that the user named, for reading. A device is read past the cache, where it can be; a file through it.
    Read,
    /// The same past the cache, a file as well, where it can be.
    Uncached,
    /// A path that the user named, for reading and writing what is there.
    Change,
    /// A device that the user named and nothing else uses, for reading and writing: the kernel refuses one that is
    /// mounted.
    Alone,
    /// A name of this program's own, for reading and writing the file that an earlier run left there. Anything but a
    /// regular file with one name, of this user or of its directory's owner, is [`Foreign`].
    Found,
    /// The same for reading.
    FoundToRead,
    /// A name that a directory lists, for reading, whoever put the file there. A link is not followed (`ELOOP`), and a
    /// pipe is not waited for.
    Listed,
    /// A name of this program's own, for a file that is made now; `AlreadyExists` where anything has the name.
    New(Access),
}

impl Opening {
    /// Whether nothing can be changed through it.
    pub const fn is_read_only(self) -> bool {
        match self {
            Self::Read | Self::Uncached | Self::FoundToRead | Self::Listed => true,
            Self::Change | Self::Alone | Self::Found | Self::New(_) => false,
        }
    }
}

/// Facts of an open file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub node: Node,
    /// Bytes in it, or on it.
    pub len: u64,
    /// Which file of this machine it is: file system and number. Numbers are given again after a file is gone.
    pub id: (u64, u64),
    /// Of a device, its number; machines number devices anew when they start.
    pub device: u64,
    /// Its permission bits, `0o7777` at most.
    pub mode: u32,
    /// User id of its owner.
    pub owner: u32,
    /// Group id of its group.
    pub group: u32,
    /// Number of names (hard links) that it has; 0 for a file that was removed while open.
    pub links: u64,
    /// When it was made, since 1970; `None` where the file system keeps no such time.
    pub born: Option<Duration>,
    /// When its bytes last changed (mtime), since 1970. Of a device it says nothing. Any owner can set it back.
    pub modified: Duration,
    /// When its bytes, names or attributes last changed (ctime), since 1970. Only the kernel sets it.
    pub changed: Duration,
}

impl Facts {
    /// Whether nobody but this user and root may write to it.
    pub fn is_ours_to_write(&self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        self.mode & 0o022 == 0 && (self.owner == own || self.owner == 0)
    }

    /// Whether only its owner may read it or write to it.
    pub const fn is_private(&self) -> bool {
        self.mode & 0o077 == 0
    }
}

/// Files in directories. Calls block on local I/O.
pub trait Disk: fmt::Debug + Send + Sync {
    /// A whole file, in one buffer. One longer than `limit` bytes is `InvalidData`.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// Names in a directory, in no order.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// What stands under a name, links followed; `None` where nothing does.
    fn node(&self, path: &Path) -> io::Result<Option<Node>>;

    /// Returns the facts of what stands under a name, of a link its own (it is [`Node::Other`]); `None` where nothing
    /// does.
    fn entry(&self, path: &Path) -> io::Result<Option<Facts>>;

    /// Returns this directory, or the one above it, where other users may write to that, so that files in this one can be
    /// forged. Always `None` of a disk that was made to trust such directories.
    fn open_to_others(&self, dir: &Path) -> Option<PathBuf>;

    /// Looks whether this user may make files in a directory.
    fn writable(&self, dir: &Path) -> io::Result<()>;

    /// Makes a directory; it is well if it is there.
    fn make_dir(&self, dir: &Path, access: Access) -> io::Result<()>;

    /// Makes a file of this program's own with these bytes, or replaces the bytes of one. The name is not followed.
    fn write(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<()>;

    /// Writes at an offset of a file of this program's own; makes it, for [`Access::Group`], where there is none.
    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Moves a file, atomically replacing what has the name; or a directory with all that is in it, to a new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Moves a file or a directory to a name that nothing has; `AlreadyExists` where something does.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Removes the regular files in a directory of this program's own that belong there, and the directory where that
    /// is asked for. Neither the directory nor anything in it is followed where it is a link.
    fn sweep(&self, dir: &Path, sweep: &Sweep<'_>) -> io::Result<Swept>;

    /// Makes a file's bytes, or a directory's names, durable.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Makes everything done so far durable.
    fn sync_all(&self) -> io::Result<()>;

    /// Takes the lock that one writer at a time holds, and leaves `who` in it for the next one to read. The file is made
    /// where there is none, and never cut: its first line counts.
    ///
    /// # Errors
    /// [`Foreign`] where the name is that of something else.
    fn lock(&self, path: &Path, who: &str, access: Access) -> io::Result<Lock>;

    /// Names the time since the machine was started: what was written and not made durable is there until its end.
    /// `None` where nobody tells.
    fn boot(&self) -> Option<String>;

    /// Returns the facts that the kernel shows of the block device with this number, as [`Facts::device`] has it; `None`
    /// where it shows none.
    fn block_facts(&self, device: u64) -> Option<BlockFacts>;

    /// Opens a file or a device, to work on places in it.
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Box<dyn Handle>>;
}

/// An open file or device. Dropping it closes it and gives up its lock.
pub trait Handle: fmt::Debug + Send + Sync {
    /// What it is, and how large.
    fn facts(&self) -> io::Result<Facts>;

    /// Tells that these bytes are wanted soon. Only a hint.
    fn expect(&self, offset: u64, len: u64);

    /// Makes it possible to bring these bytes near the processor before they are read; `None` where it is not.
    fn near(&self, offset: u64, len: usize) -> Option<Near>;

    /// Fills the buffer from an offset; `UnexpectedEof` where the file ends before that.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Reads so many bytes from an offset and keeps none of them; `UnexpectedEof` where the file ends before that.
    fn touch(&self, offset: u64, len: usize) -> io::Result<()> {
        self.read_at(&mut vec![0; len], offset)
    }

    /// The first byte at or after `from` that is not in a hole; `None` when only a hole follows. Where no holes are
    /// known, everything is data.
    fn next_data(&self, from: u64) -> io::Result<Option<u64>>;

    /// The first byte at or after `from` that is in a hole, the end of the file at the latest; `u64::MAX` where no
    /// holes are known.
    fn next_hole(&self, from: u64) -> io::Result<u64>;

    /// Writes all of it at an offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes a part of a file read as zeros, as a hole where the file system has holes. Never makes it longer.
    fn zero(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Cuts a file off, or makes it longer with a hole.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Gives it these permission bits. A file system that keeps none is left as it is.
    fn set_mode(&self, mode: u32) -> io::Result<()>;

    /// Gives it the group and mode, without set-id bits, and where asked for the owner, of the regular file that stands
    /// under a path; where none does, the mode of a new image: as the umask says, at most 0640. Links are not followed.
    fn succeed(&self, path: &Path, with_owner: bool) -> io::Result<()>;

    /// Makes what was written durable, and the file's length.
    fn sync(&self) -> io::Result<()>;

    /// Takes the lock that one process at a time has on this file; says whether it is ours now.
    fn try_lock(&self) -> io::Result<bool>;

    /// Takes a lock that readers of this file share and that excludes [`Handle::try_lock`] of others; returns whether it
    /// was granted.
    fn try_share(&self) -> io::Result<bool>;

    /// Returns the process that has a lock on this file, for people; `None` where the system shows none.
    fn holder(&self) -> Option<String>;
}

impl dyn Disk + '_ {
    /// Makes a directory and those above it, durably.
    pub fn make_dirs(&self, dir: &Path, access: Access) -> io::Result<()> {
        let missing = |dir: &&Path| !dir.as_os_str().is_empty() && !matches!(self.node(dir), Ok(Some(_)));
        let made: Vec<_> = dir.ancestors().take_while(missing).collect();
        for dir in made.into_iter().rev() {
            self.make_dir(dir, access)?;
            self.sync(directory(dir))?;
        }
        Ok(())
    }

    /// Length and SHA-256 of a file, read in pieces.
    pub fn sha256(&self, path: &Path) -> io::Result<(u64, Digest)> {
        self.open(path, Opening::Read)?.sha256()
    }

    /// Removes a file for good; it is well if it has gone.
    pub fn remove_durably(&self, path: &Path) -> io::Result<()> {
        match self.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| self.sync(directory(path))),
        }
    }
}

impl dyn Handle + '_ {
    /// Length and SHA-256 of the file, read in pieces.
    pub fn sha256(&self) -> io::Result<(u64, Digest)> {
        const PIECE: usize = 1 << 20;
        let len = self.facts()?.len;
        let mut hash = Sha256::new();
        let mut piece = vec![0; usize::try_from(len).unwrap_or(PIECE).min(PIECE)];
        for at in (0..len).step_by(PIECE) {
            let n = usize::try_from(len - at).unwrap_or(PIECE).min(PIECE);
            self.read_at(&mut piece[..n], at)?;
            hash.update(&piece[..n]);
        }
        Ok((len, Digest::from_bytes(hash.finalize().into())))
    }
}

/// A word that nobody else uses, for the names of drafts.
pub fn unique() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// The directory that a name is in.
pub fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

//! The file operations a store is made of, so that a test can put a disk below it that loses its power.
//!
//! Paths are whole. Nothing is durable before [`Disk::sync`] or [`Disk::sync_all`] has returned; a file's bytes
//! and its name are two things, made durable by syncing the file and its directory.

#[cfg(test)]
pub(crate) mod memory;

use rustix::buffer::spare_capacity;
use std::any::Any;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Who may read a file that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whom the umask lets.
    Usual,
    /// Its owner alone.
    Owner,
}

/// What asking for the writer lock gave.
pub(crate) enum Lock {
    /// It is ours until the value goes.
    Held(Box<dyn Any + Send + Sync>),
    /// Somebody else's: who, as they wrote it.
    By(String),
}

/// Files in directories.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// A whole file, in one buffer. One longer than `limit` bytes is `InvalidData`.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// Names in a directory, in no order.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Whether there is a file or directory.
    fn is_there(&self, path: &Path) -> io::Result<bool>;

    /// Makes a directory; it is well if it is there.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes a file with these bytes, or replaces the bytes of one.
    fn write(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<()>;

    /// Writes at an offset; makes the file where there is none.
    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Moves a file, atomically replacing what has the name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes a file's bytes, or a directory's names, durable.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Makes everything done so far durable.
    fn sync_all(&self) -> io::Result<()>;

    /// Takes the lock that one writer at a time holds, and leaves `who` in it for the next one to read.
    fn lock(&self, path: &Path, who: &str) -> io::Result<Lock>;
}

/// The machine's own.
#[derive(Debug)]
pub(crate) struct RealDisk {
    /// The store's directory, open from before the first write: `syncfs` reports those writes' failures that
    /// happened since this descriptor was made (Linux 5.8).
    root: File,
}

impl RealDisk {
    /// The disk below this directory.
    pub(crate) fn at(dir: &Path) -> io::Result<Self> {
        let root = File::open(dir)?;
        if !root.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { root })
    }
}

impl Disk for RealDisk {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if len > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{len} bytes are too many")));
        }
        // Straight into memory that was never zeroed: endpoints serve gigabytes a second from here.
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = bytes.len() as u64;
            if rustix::io::pread(&file, spare_capacity(&mut bytes), at)? == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn is_there(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    fn write(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
        let mode = match access {
            Access::Usual => 0o666,
            Access::Owner => 0o600,
        };
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
        file.write_all(bytes)
    }

    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.write_all_at(bytes, offset)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.root)?)
    }

    fn lock(&self, path: &Path, who: &str) -> io::Result<Lock> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // The lock is the file's, not its text's: a full disk must not keep anyone from deleting.
                let _ = file.set_len(0).and_then(|()| file.write_all(who.as_bytes()));
                Ok(Lock::Held(Box::new(Held(file))))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)?;
                Ok(Lock::By(holder.trim().to_owned()))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The writer lock of a real disk.
struct Held(File);

impl Drop for Held {
    /// Unlocks rather than closes: a child process that is just being started may hold a copy of the descriptor, and
    /// would keep the lock until it has become another program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

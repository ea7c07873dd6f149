//! Where a name leads: a directory that is held open, and a name in it.

use crate::disk::directory;
use crate::fault::{Fault, Kind, Place};
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Links that are followed, one after the other, as in the kernel.
const MAX_LINKS: u32 = 40;

/// What a name leads to.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing has the name.
    Missing(Location),
    /// Something has it, and it is no link.
    There(Location, Stat),
    /// The link of an open descriptor in a process's directory `fd`.
    Descriptor(PathBuf),
}

/// A name in a directory.
#[derive(Debug)]
pub(super) struct Location {
    fd: OwnedFd,
    dir: PathBuf,
    name: OsString,
    /// File system and number of the directory.
    id: (u64, u64),
}

/// Follows a name to its end, through links that this process may follow.
pub(super) fn resolve(path: &Path) -> Result<Found, Fault> {
    let unsuitable = |what: &str| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what.to_owned());
    let failed = |error: io::Error| Fault::local(path, "make the file", error);
    let mut at = path.to_owned();
    for _ in 0..MAX_LINKS {
        let bytes = at.as_os_str().as_bytes();
        let Some(name) = at.file_name().filter(|_| !bytes.ends_with(b"/") && !bytes.ends_with(b"/.")) else {
            return Err(unsuitable("is a directory").hint("give a file"));
        };
        let name = name.to_owned();
        let dir = std::fs::canonicalize(directory(&at)).map_err(failed)?;
        if let Some(link) = descriptor(&dir, &name) {
            return Ok(Found::Descriptor(link));
        }
        let location = Location::open(dir, name).map_err(failed)?;
        let stat = match rustix::fs::statat(&location.fd, &location.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Found::Missing(location)),
            stat => stat.map_err(|error| failed(error.into()))?,
        };
        if location.is_planted(&stat).map_err(failed)? {
            return Err(unsuitable("is another user's, in a directory that every user may write to")
                .hint("give a file in a directory of your own"));
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Ok(Found::There(location, stat));
        }
        let target = rustix::fs::readlinkat(&location.fd, &location.name, Vec::new());
        let target = target.map_err(|error| failed(error.into()))?;
        at = location.dir.join(OsString::from_vec(target.into_bytes()));
    }
    Err(unsuitable("leads from link to link without an end").hint("give a file"))
}

/// The link of a descriptor, where this is one: a number in a directory `fd` of a process.
fn descriptor(dir: &Path, name: &OsStr) -> Option<PathBuf> {
    let is_number = !name.is_empty() && name.as_bytes().iter().all(u8::is_ascii_digit);
    let is_proc = || rustix::fs::statfs(dir).is_ok_and(|fs| fs.f_type == PROC_SUPER_MAGIC);
    (is_number && dir.file_name() == Some(OsStr::new("fd")) && is_proc()).then(|| dir.join(name))
}

impl Location {
    fn open(dir: PathBuf, name: OsString) -> io::Result<Self> {
        let open = |flags| rustix::fs::open(&dir, OFlags::DIRECTORY | OFlags::CLOEXEC | flags, Mode::empty());
        // A directory that may be written to need not be readable.
        let fd = match open(OFlags::RDONLY) {
            Err(Errno::ACCESS) => open(OFlags::PATH),
            opened => opened,
        }?;
        let stat = rustix::fs::fstat(&fd)?;
        Ok(Self { fd, dir, name, id: (stat.st_dev, stat.st_ino) })
    }

    /// Returns the directory's path, without links.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path, without links.
    pub(super) fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// Returns whether both are one name of one directory.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.id == other.id && self.name == other.name
    }

    /// Returns whether another user has put something where every user may: a trap for those who write there.
    fn is_planted(&self, stat: &Stat) -> io::Result<bool> {
        let dir = rustix::fs::fstat(&self.fd)?;
        let is_shared = dir.st_mode & 0o1002 == 0o1002;
        let me = rustix::process::geteuid().as_raw();
        Ok(is_shared && stat.st_uid != me && stat.st_uid != dir.st_uid)
    }

    /// Returns whether the directory is on the file system that is mounted at `/dev`.
    pub(super) fn is_on_dev(&self) -> bool {
        let device = |path: &str| rustix::fs::stat(path).ok().map(|stat| stat.st_dev);
        let dev = device("/dev");
        dev.is_some() && dev != device("/") && dev == Some(self.id.0)
    }

    /// Fails where this user may not write to what has the name.
    pub(super) fn check_writable(&self) -> io::Result<()> {
        Ok(rustix::fs::accessat(&self.fd, &self.name, Access::WRITE_OK, AtFlags::EACCESS)?)
    }

    /// Returns the facts of the regular file that has the name now; `None` where none does.
    pub(super) fn regular(&self) -> io::Result<Option<Metadata>> {
        match self.open_it(OFlags::PATH) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => Ok(Some(File::from(opened?).metadata()?).filter(Metadata::is_file)),
        }
    }

    /// Opens what has the name, and no link.
    pub(super) fn open_it(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
        Ok(rustix::fs::openat(&self.fd, &self.name, flags, Mode::empty())?)
    }

    /// Makes a file of another name in the directory.
    pub(super) fn make(&self, name: &str, mode: Mode) -> io::Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, flags, mode)?)
    }

    /// Gives the name to the file of another name, at once.
    pub(super) fn rename_from(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, name, &self.fd, &self.name)?)
    }

    /// Returns which file has the name, links not followed.
    pub(super) fn id_now(&self) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::statat(&self.fd, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// Removes what has the name.
    pub(super) fn remove_it(&self) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, &self.name, AtFlags::empty())?)
    }

    /// Removes the file of another name.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Makes the directory's names durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.fd) {
            // A directory that cannot be read is not open for that, and some file systems know no such thing.
            Err(Errno::BADF | Errno::INVAL | Errno::NOSYS) => Ok(()),
            synced => Ok(synced?),
        }
    }
}

//! Removing a directory of this program's own by descriptors: what is looked at is what is removed.

use crate::disk::{Sweep, Swept, directory};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Removes what `sweep` describes.
pub(super) fn swept(dir: &Path, sweep: &Sweep<'_>) -> io::Result<Swept> {
    let Some(name) = dir.file_name() else { return Ok(Swept::NoDirectory) };
    let above = rustix::fs::openat(CWD, directory(dir), DIRECTORY, Mode::empty())?;
    let inside = match rustix::fs::openat(&above, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(Swept::Gone),
        Err(Errno::LOOP | Errno::NOTDIR) => return Ok(Swept::NoDirectory),
        opened => opened?,
    };
    let (mut known, mut others) = sorted(&inside, sweep)?;
    if sweep.is_whole && !others.is_empty() {
        return Ok(Swept::Holds(others));
    }
    let _lock = match sweep.last.filter(|_| sweep.respects_lock).map(|name| locked(&inside, name)) {
        None => None,
        Some(Ok(lock)) => lock,
        Some(Err(TryLockError::WouldBlock)) => return Ok(Swept::InUse),
        Some(Err(TryLockError::Error(error))) => return Err(error),
    };
    known.sort_by_key(|name| sweep.last == Some(name.as_str()));
    for name in known {
        match rustix::fs::unlinkat(&inside, name.as_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if sweep.is_whole {
        match rustix::fs::unlinkat(&above, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            // Something has appeared in it, or in its place.
            Err(Errno::NOTEMPTY | Errno::EXIST) => (_, others) = sorted(&inside, sweep)?,
            Err(Errno::NOTDIR) => return Ok(Swept::NoDirectory),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(if others.is_empty() { Swept::Gone } else { Swept::Holds(others) })
}

/// Returns the names in a directory: regular files that can be in it, and all else.
fn sorted(inside: &OwnedFd, sweep: &Sweep<'_>) -> io::Result<(Vec<String>, Vec<String>)> {
    let (mut known, mut others) = (Vec::new(), Vec::new());
    for entry in Dir::read_from(inside)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match is_regular(inside.as_fd(), name)? {
            None => {}
            Some(is_regular) => match name.to_str() {
                Ok(name) if is_regular && (sweep.is_known)(name) => known.push(name.to_owned()),
                _ => others.push(name.to_string_lossy().into_owned()),
            },
        }
    }
    others.sort_unstable();
    Ok((known, others))
}

fn is_regular(inside: impl AsFd, name: &CStr) -> io::Result<Option<bool>> {
    match rustix::fs::statat(inside, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes the lock on a file; `None` where there is no such file.
fn locked(inside: &OwnedFd, name: &str) -> Result<Option<File>, TryLockError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(inside, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(TryLockError::Error(error.into())),
        Ok(file) => {
            let file = File::from(file);
            file.try_lock().map(|()| Some(file))
        }
    }
}

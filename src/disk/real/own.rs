//! Opening and making files under names of this program's own, which are never followed.

use crate::disk::{Access, Foreign, directory};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Opens a file that is there, where it is one of ours.
pub(super) fn found(path: &Path, is_read_only: bool, access: Access) -> io::Result<File> {
    // Opening a device or a pipe may already change something: it is looked at before.
    check(path, &fs::symlink_metadata(path)?, is_read_only, access)?;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new()
        .read(true)
        .write(!is_read_only)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => Foreign::Link.into(),
            _ => error,
        })?;
    check(path, &opened.metadata()?, is_read_only, access)?;
    Ok(opened)
}

/// Makes a file; `AlreadyExists` where anything has its name.
pub(super) fn made(path: &Path, access: Access) -> io::Result<File> {
    let mode = if access == Access::Usual { 0o666 } else { 0o600 };
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)?;
    if let Some(mode) = wanted(path, &file.metadata()?, access, 0o600)? {
        set_mode(&file, mode)?;
    }
    Ok(file)
}

/// Makes a directory; it is well if it is there.
pub(super) fn make_dir(dir: &Path, access: Access) -> io::Result<()> {
    let mode = if access == Access::Usual { 0o777 } else { 0o700 };
    match rustix::fs::mkdir(dir, Mode::from_raw_mode(mode)) {
        Err(Errno::EXIST) => return Ok(()),
        made => made?,
    }
    if let Some(mode) = wanted(dir, &fs::symlink_metadata(dir)?, access, 0o700)? {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        set_mode(&File::from(rustix::fs::open(dir, flags, Mode::empty())?), mode)?;
    }
    Ok(())
}

/// Returns the directory, or that above it, where users other than this one and root may write to it. In one above that
/// has the sticky bit they cannot put another directory in this one's place.
pub(super) fn open_to_others(dir: &Path) -> Option<&Path> {
    let others_write = |dir: &Path, allowed: u32| {
        // What is not there, or cannot be looked at, holds nothing that can be read.
        let Ok(meta) = fs::metadata(dir) else { return false };
        let is_foreign = meta.uid() != 0 && meta.uid() != rustix::process::geteuid().as_raw();
        is_foreign || (meta.mode() & 0o022 != 0 && meta.mode() & allowed == 0)
    };
    let above = directory(dir);
    if others_write(dir, 0) { Some(dir) } else { others_write(above, 0o1000).then_some(above) }
}

/// Gives a file permission bits. A file system that keeps none is left as it is.
pub(super) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    match rustix::fs::fchmod(file, Mode::from_raw_mode(mode)) {
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        set => Ok(set?),
    }
}

/// Returns the permission bits that a new file or directory should have, where it has others.
fn wanted(path: &Path, made: &Metadata, access: Access, own: u32) -> io::Result<Option<u32>> {
    let bits = match access {
        Access::Usual => return Ok(None),
        Access::Owner => own,
        Access::Group => {
            let dir = fs::metadata(directory(path))?;
            // The bits of the directory are its group's, and no other's.
            let group = if dir.gid() == made.gid() { dir.mode() & (own >> 3) } else { 0 };
            own | group
        }
    };
    // A directory passes its group on to what is made in it, where that one does.
    let bits = bits | made.mode() & 0o2000;
    Ok((made.permissions().mode() & 0o7777 != bits).then_some(bits))
}

/// Refuses what no earlier run of this program can have left.
fn check(path: &Path, meta: &Metadata, is_read_only: bool, access: Access) -> io::Result<()> {
    let kind = meta.file_type();
    let refused = |foreign: Foreign| Err(foreign.into());
    if kind.is_symlink() {
        return refused(Foreign::Link);
    }
    if !kind.is_file() {
        return refused(Foreign::NotRegular);
    }
    if meta.nlink() > 1 {
        return refused(Foreign::Names(meta.nlink()));
    }
    let is_ours = meta.uid() == rustix::process::geteuid().as_raw();
    // Only root makes files of root's.
    if is_ours || (is_read_only && meta.uid() == 0) {
        return Ok(());
    }
    let dir = fs::metadata(directory(path))?;
    // Members of a group that shares a directory go on with each other's files.
    let is_shared = access == Access::Group && dir.mode() & 0o022 == 0o020 && dir.gid() == meta.gid();
    match meta.uid() == dir.uid() || is_shared {
        true => Ok(()),
        false => refused(Foreign::Owner(meta.uid())),
    }
}

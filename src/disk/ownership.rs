//! Who may use a file that takes the place of another, and a file that is new.

use rustix::fs::{Gid, Mode, Uid};
use rustix::io::Errno;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;

/// Gives a new file the owner, the group and the mode of the regular file that it is about to replace, without set-id
/// bits. What this user may not give away stays: a group that could not be kept gets no rights of the old one's.
pub fn preserve(old: &Metadata, new: &File) -> io::Result<()> {
    replaced(old, new, true)
}

/// The same; the owner only where that is asked for.
pub(super) fn replaced(old: &Metadata, new: &File, with_owner: bool) -> io::Result<()> {
    let meta = new.metadata()?;
    let is_refused = |changed: Result<(), Errno>| match changed {
        Ok(()) => Ok(false),
        Err(Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(true),
        Err(error) => Err(io::Error::from(error)),
    };
    if with_owner && meta.uid() != old.uid() {
        is_refused(rustix::fs::fchown(new, Some(Uid::from_raw(old.uid())), None))?;
    }
    let mut mode = old.mode() & 0o1777;
    if meta.gid() != old.gid() && is_refused(rustix::fs::fchown(new, None, Some(Gid::from_raw(old.gid()))))? {
        mode &= !0o070;
    }
    is_refused(rustix::fs::fchmod(new, Mode::from_raw_mode(mode)))?;
    Ok(())
}

/// Returns the mode of a new image: as the umask says, but at most 0640. Where the umask is not known, 0600.
pub(super) fn image_mode() -> u32 {
    // umask(2) reads the mask by setting it, for all threads.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    0o640 & !umask.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok()).unwrap_or(0o077)
}

//! Descriptors as outputs: `/dev/stdout`, `/dev/fd/63`, `/proc/PID/fd/3`.

use crate::fault::{Fault, Kind, Place};
use rustix::fs::{FileType, OFlags};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use rustix::stdio as standard;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Takes a copy of the descriptor: it writes where the original would, so that what a shell appends comes behind it.
pub(super) fn take(path: &Path, link: &Path) -> Result<File, Fault> {
    let unsuitable = |what: &str| {
        let fault = Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what.to_owned());
        fault.hint("give a file, or a descriptor that is open for writing")
    };
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => unsuitable("no such descriptor is open"),
        _ => Fault::local(path, "write", error),
    };
    let process = link.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let number: i32 = link.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(-1);
    let is_own = fs::canonicalize("/proc/self").is_ok_and(|own| process.starts_with(own));
    let flags = flags(process, number).map_err(failed)?;
    // All that this program opens is closed when it starts another one; what it was given is not.
    if is_own && flags.contains(OFlags::CLOEXEC) {
        return Err(unsuitable("no such descriptor is open"));
    }
    if flags & OFlags::RWMODE == OFlags::RDONLY {
        return Err(unsuitable("the descriptor is open for reading only"));
    }
    let file = copy(process, number, is_own).or_else(|_| reopened(link)).map_err(failed)?;
    let kind = rustix::fs::fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode));
    match kind.map_err(|error| failed(error.into()))? {
        FileType::BlockDevice => Err(unsuitable("is a block device, and its data would be lost")),
        FileType::Directory => Err(unsuitable("is a directory")),
        _ => Ok(file),
    }
}

/// What the descriptor is open for.
fn flags(process: &Path, number: i32) -> io::Result<OFlags> {
    let text = fs::read_to_string(process.join("fdinfo").join(number.to_string()))?;
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let bits = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    bits.map(OFlags::from_bits_retain).ok_or_else(|| ErrorKind::InvalidData.into())
}

fn copy(process: &Path, number: i32, is_own: bool) -> io::Result<File> {
    let own = match number {
        _ if !is_own => None,
        0 => Some(standard::stdin().try_clone_to_owned()),
        1 => Some(standard::stdout().try_clone_to_owned()),
        2 => Some(standard::stderr().try_clone_to_owned()),
        _ => None,
    };
    Ok(File::from(own.unwrap_or_else(|| foreign(process, number, is_own))?))
}

/// The kernel copies a descriptor by its number, also from a process that this one might debug.
fn foreign(process: &Path, number: i32, is_own: bool) -> io::Result<OwnedFd> {
    let named = || Pid::from_raw(process.file_name()?.to_str()?.parse().ok()?);
    let pid = if is_own { Some(rustix::process::getpid()) } else { named() };
    let pid = pid.ok_or(ErrorKind::NotFound)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(pidfd_getfd(process, number, PidfdGetfdFlags::empty())?)
}

/// Where the kernel does not (before Linux 5.6, in most containers): the same file anew, written to at its end.
fn reopened(link: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().append(true).custom_flags(flags.bits().cast_signed()).open(link)
}

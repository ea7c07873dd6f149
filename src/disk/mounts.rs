//! File systems that are mounted on this machine, and what else has its devices in use.
//!
//! [`RealMounts`] reads both off `/proc` and `/sys`, and mounts with the commands of util-linux: they set up loop devices
//! for files and for parts of devices, and give them back.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What has a device in use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// It is mounted.
    Mounted {
        /// Where.
        at: PathBuf,
        /// What the kernel calls the file system: `ext4`.
        kind: String,
        /// Of ext2 to ext4 both halves of its UUID, one upon the other: what is known of a device that cannot be read.
        fold: Option<u64>,
    },
    /// It is a part of this device: of an array, a logical volume, a crypt.
    Held(PathBuf),
}

impl Use {
    /// Where it is mounted.
    pub fn point(&self) -> Option<&Path> {
        match self {
            Self::Mounted { at, .. } => Some(at),
            Self::Held(_) => None,
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted { at, .. } => write!(f, "mounted at {}", at.display()),
            Self::Held(by) => write!(f, "a part of {}", by.display()),
        }
    }
}

/// A device that is in use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InUse {
    /// The device, or the partition of one.
    pub device: PathBuf,
    /// What for.
    pub by: Use,
}

/// What to mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mounting<'a> {
    /// The device, or a file that stands for one.
    pub device: &'a Path,
    /// Its file system's first byte there.
    pub offset: u64,
    /// The file system's size in bytes.
    pub len: u64,
    /// What the kernel calls it: `ext4`.
    pub kind: &'static str,
    /// Options of the mount: `ro,noload`.
    pub options: &'static str,
}

/// What a run asks of the machine about mounts. Calls block.
pub trait Mounts: fmt::Debug + Send + Sync {
    /// Every block device that is in use, once for each use.
    fn in_use(&self) -> io::Result<Vec<InUse>>;

    /// Mounts a file system on a directory that is there.
    fn mount(&self, what: &Mounting<'_>, at: &Path) -> io::Result<()>;

    /// Takes off what is mounted on a directory.
    fn unmount(&self, at: &Path) -> io::Result<()>;
}

/// This machine's.
#[derive(Clone, Debug)]
pub struct RealMounts {
    proc: PathBuf,
    sys: PathBuf,
    dev: PathBuf,
}

impl Default for RealMounts {
    fn default() -> Self {
        Self::at("/proc", "/sys", "/dev")
    }
}

impl RealMounts {
    /// With other places for what lies in `/proc`, `/sys` and `/dev`.
    pub fn at(proc: impl Into<PathBuf>, sys: impl Into<PathBuf>, dev: impl Into<PathBuf>) -> Self {
        Self { proc: proc.into(), sys: sys.into(), dev: dev.into() }
    }

    /// Devices by their mount points. What has no device, such as `/proc`, is left out. btrfs hides its own behind a number
    /// of none; there the source is the device.
    fn mounted(&self) -> io::Result<Vec<InUse>> {
        let table = fs::read_to_string(self.proc.join("self/mountinfo"))?;
        let uses = table.lines().filter_map(|line| {
            let (mount, source) = line.split_once(" - ")?;
            let mut fields = mount.split(' ').skip(2);
            let (number, at) = (fields.next()?, fields.nth(1)?);
            let is_hidden = number.starts_with("0:");
            if is_hidden && !source.starts_with("btrfs /") {
                return None;
            }
            let node = fs::canonicalize(self.sys.join("dev/block").join(number)).ok();
            let device = match node.as_deref().and_then(Path::file_name) {
                Some(name) => self.dev.join(name),
                None => PathBuf::from(unescaped(source.split(' ').nth(1)?)),
            };
            let (at, kind) = (PathBuf::from(unescaped(at)), source.split(' ').next()?.to_owned());
            // The kernel's uuid_to_fsid, in ext4_statfs: the one name that is told without reading the device.
            let fold = match kind.strip_prefix("ext") {
                Some(_) => rustix::fs::statvfs(&at).ok().map(|told| told.f_fsid),
                None => None,
            };
            Some(InUse { device, by: Use::Mounted { at, kind, fold } })
        });
        Ok(uses.collect())
    }

    /// Devices that others are made of (kernel documentation, "sysfs-block": `holders`).
    fn held(&self) -> io::Result<Vec<InUse>> {
        let names = |dir: PathBuf| -> io::Result<Vec<_>> {
            fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
        };
        let class = self.sys.join("class/block");
        let mut found = Vec::new();
        for device in names(class.clone())? {
            // It may have gone since it was listed.
            for holder in names(class.join(&device).join("holders")).unwrap_or_default() {
                let by = Use::Held(self.dev.join(holder));
                found.push(InUse { device: self.dev.join(&device), by });
            }
        }
        Ok(found)
    }
}

impl Mounts for RealMounts {
    fn in_use(&self) -> io::Result<Vec<InUse>> {
        let mut found = [self.mounted()?, self.held()?].concat();
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn mount(&self, what: &Mounting<'_>, at: &Path) -> io::Result<()> {
        let Mounting { device, offset, len, kind, options } = *what;
        let is_whole_device = offset == 0 && !fs::metadata(device)?.is_file();
        let options = match is_whole_device {
            true => options.to_owned(),
            false => format!("{options},loop,offset={offset},sizelimit={len}"),
        };
        done(Command::new("mount").args(["-t", kind, "-o", &options]).arg(device).arg(at))
    }

    fn unmount(&self, at: &Path) -> io::Result<()> {
        done(Command::new("umount").arg(at))
    }
}

/// Runs it; what it says on standard error is the error.
fn done(command: &mut Command) -> io::Result<()> {
    let output = command.env("LC_ALL", "C").output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().lines().next().map_or_else(|| output.status.to_string(), str::to_owned);
    let kind = match () {
        () if said.contains("busy") => io::ErrorKind::ResourceBusy,
        () if said.contains("superuser") || said.contains("denied") => io::ErrorKind::PermissionDenied,
        () => io::ErrorKind::Other,
    };
    Err(io::Error::new(kind, said))
}

/// A path as the kernel writes it: space, tab, newline and backslash stand as three octal digits.
fn unescaped(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let known = [("040", ' '), ("011", '\t'), ("012", '\n'), ("134", '\\'), ("043", '#')];
        match known.iter().find_map(|(digits, meant)| Some((*meant, part.strip_prefix(digits)?))) {
            Some((meant, rest)) => path.extend([meant].into_iter().chain(rest.chars())),
            None => path.extend(['\\'].into_iter().chain(part.chars())),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_in_use_are_those_mounted_and_those_that_others_are_made_of() {
        let dir = tempfile::tempdir().unwrap();
        let (proc, sys) = (dir.path().join("proc"), dir.path().join("sys"));
        fs::create_dir_all(proc.join("self")).unwrap();
        let table = "22 28 0:21 / /proc rw - proc proc rw\n\
                     28 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
                     29 28 259:2 /var /srv/my\\040data rw master:1 - ext4 /dev/root rw\n\
                     30 28 253:0 / /gone rw - xfs /dev/mapper/vg-gone rw\n\
                     31 28 0:45 /home /home rw - btrfs /dev/nvme2n1 rw,subvol=/home\n";
        fs::write(proc.join("self/mountinfo"), table).unwrap();
        let class = sys.join("class/block");
        for name in ["nvme0n1/holders", "nvme0n1p1/holders", "nvme1n1/holders/md0"] {
            fs::create_dir_all(class.join(name)).unwrap();
        }
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        std::os::unix::fs::symlink(class.join("nvme0n1p1"), sys.join("dev/block/259:2")).unwrap();
        let found = RealMounts::at(&proc, &sys, "/dev").in_use().unwrap();
        let shown: Vec<_> =
            found.iter().map(|one| format!("{} is {}", one.device.display(), one.by)).collect();
        let expected = [
            "/dev/mapper/vg-gone is mounted at /gone",
            "/dev/nvme0n1p1 is mounted at /",
            "/dev/nvme0n1p1 is mounted at /srv/my data",
            "/dev/nvme1n1 is a part of /dev/md0",
            "/dev/nvme2n1 is mounted at /home",
        ];
        assert_eq!(shown, expected);
        assert!(RealMounts::at("/nowhere", &sys, "/dev").in_use().is_err(), "not knowing is not nothing");
        assert!(RealMounts::at(&proc, "/nowhere", "/dev").in_use().is_err());
    }

    #[test]
    fn what_a_command_says_is_the_error() {
        let error = RealMounts::default().unmount(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }

    #[test]
    fn only_what_the_kernel_escapes_is_unescaped() {
        assert_eq!(unescaped(r"/a\040b\134\011c\x"), "/a b\\\tc\\x");
    }
}

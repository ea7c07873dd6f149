//! Keeping a device from being written to.

use crate::disk::{Disk, Node};
use crate::fault::{Fault, Kind, Place};
use rustix::ffi::c_int;
use rustix::ioctl::{Setter, ioctl, opcode};
use std::fs::File;
use std::io;
use std::path::Path;

/// `BLKROSET` of Linux, `_IO(0x12, 93)`: whether the kernel refuses writes to a block device (linux/fs.h).
const BLKROSET: rustix::ioctl::Opcode = opcode::none(0x12, 93);

/// What keeps a device from being written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// The kernel: it refuses every write, also for journals that a mount would replay.
    ReadOnly,
    /// Nothing: a file stands for the device, and whoever may write to it still can.
    FileOnly,
}

/// Sets a block device read-only, for as long as it is attached. A file that stands for one is left as it is, and says
/// so.
///
/// # Errors
/// `Local` where the kernel does not let us: it takes the right to administer the system.
pub fn protect(disk: &dyn Disk, path: &Path) -> Result<Protection, Fault> {
    match disk.node(path).map_err(|error| Fault::local(path, "look at", error))? {
        Some(Node::Device) => {}
        Some(Node::File) => return Ok(Protection::FileOnly),
        _ => {
            return Err(Fault::new(Kind::Vanished, Place::File(path.to_owned()), "there is no such device"));
        }
    }
    let file = File::open(path).map_err(|error| Fault::local(path, "open", error))?;
    set_read_only(&file)
        .map(|()| Protection::ReadOnly)
        .map_err(|error| Fault::local(path, "set read-only", error).or_hint("run as root"))
}

#[expect(unsafe_code, reason = "an ioctl: the kernel reads one int through the pointer")]
fn set_read_only(device: &File) -> io::Result<()> {
    // SAFETY: BLKROSET reads an int at the address given, which `Setter` keeps alive for the call.
    unsafe { ioctl(device, Setter::<BLKROSET, c_int>::new(1)) }.map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn a_file_that_stands_for_a_device_says_that_it_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nvme");
        let disk = RealDisk::default();
        assert_eq!(protect(&disk, &path).unwrap_err().kind, Kind::Vanished);
        std::fs::write(&path, "x").unwrap();
        assert_eq!(protect(&disk, &path).unwrap(), Protection::FileOnly);
    }

    #[test]
    fn what_is_no_block_device_cannot_be_set_read_only() {
        assert!(set_read_only(&tempfile::tempfile().unwrap()).is_err());
    }
}

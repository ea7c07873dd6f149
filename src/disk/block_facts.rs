//! Facts that the kernel shows of a block device, below `/sys/dev/block`.
//!
//! They are those of the whole disk: a partition has its disk's, so that a write through another partition, or through
//! the disk itself, counts as well.

use std::fs;
use std::path::{Path, PathBuf};

/// Drivers whose devices are written to by other machines or processes, without a trace in the counters of this one.
const REMOTE: [&str; 4] = ["nbd", "rbd", "drbd", "ublk"];

/// Facts of a block device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockFacts {
    /// A name that the device keeps across restarts, with the attribute that it comes from: the serial number of an
    /// NVMe, virtio or SCSI disk (of EBS, the volume's id), a volume manager's name, the file behind a loop device. A
    /// partition has its number added. `None` where the device has none of these.
    pub name: Option<String>,
    /// The number (`diskseq`) that the kernel gave to the disk when it appeared, or when a loop device got another
    /// file; never given twice between two starts of the machine. `None` before Linux 5.15.
    pub sequence: Option<u64>,
    /// Writes that the disk has completed. `None` where they are not counted.
    pub writes: Option<Writes>,
    /// Whether the device is made of other devices (device mapper, md), or belongs to a driver whose device others may
    /// write to: its counters do not show every change then.
    pub is_stacked: bool,
    /// The file behind a loop device.
    pub backing: Option<Backing>,
}

/// Counters of completed writes, since the disk appeared. Requests are not among them: a flush of a cache counts as a
/// write of no sector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Sectors of 512 bytes written.
    pub sectors: u64,
    /// Sectors of 512 bytes discarded.
    pub discarded: u64,
}

/// The part of a file that a loop device shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backing {
    /// Path of the file, as the kernel knows it.
    pub file: PathBuf,
    /// Offset and size limit in bytes, as the kernel shows them.
    pub part: String,
}

impl BlockFacts {
    /// Reads the facts of the device with this number, below a `sys` directory.
    pub(super) fn read(sys: &Path, device: u64) -> Option<Self> {
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let dir = fs::canonicalize(sys.join(format!("dev/block/{major}:{minor}"))).ok()?;
        let partition = attribute(&dir, "partition");
        let disk = match partition {
            Some(_) => dir.parent()?.to_owned(),
            None => dir,
        };
        // NVMe disks, virtio, SCSI, device mapper, loop devices.
        const NAMES: [&str; 6] =
            ["device/serial", "serial", "device/wwid", "wwid", "dm/uuid", "loop/backing_file"];
        let name = NAMES.iter().find_map(|name| Some(format!("{name} {}", attribute(&disk, name)?)));
        let name = match partition {
            Some(number) => name.map(|name| format!("{name} partition {number}")),
            None => name,
        };
        let slaves = fs::read_dir(disk.join("slaves")).is_ok_and(|mut below| below.next().is_some());
        let is_remote = |dir: &Path| {
            let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            REMOTE.iter().any(|driver| name.starts_with(driver))
        };
        Some(Self {
            name,
            sequence: attribute(&disk, "diskseq").and_then(|number| number.parse().ok()),
            writes: writes(&disk),
            is_stacked: slaves || disk.join("dm").exists() || disk.join("md").exists() || is_remote(&disk),
            backing: attribute(&disk, "loop/backing_file").map(|file| Backing {
                file: PathBuf::from(file),
                part: ["loop/offset", "loop/sizelimit"]
                    .map(|name| attribute(&disk, name).unwrap_or_default())
                    .join("+"),
            }),
        })
    }
}

/// Returns the counters of `stat` (Documentation/block/stat.rst). A disk that was never read counts nothing: its first
/// sectors are read when it appears. Nor does one whose counting is switched off.
fn writes(disk: &Path) -> Option<Writes> {
    if attribute(disk, "queue/iostats").is_some_and(|counts| counts == "0") {
        return None;
    }
    let text = attribute(disk, "stat")?;
    let counters: Vec<u64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()
        .filter(|all: &Vec<_>| all.len() >= 7)?;
    let counter = |number: usize| counters.get(number).copied().unwrap_or(0);
    let is_counted = counter(0) > 0;
    is_counted.then(|| Writes { sectors: counter(6), discarded: counter(13) })
}

/// Returns an attribute without the space around it; `None` where it is absent or empty.
fn attribute(dir: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(dir.join(name)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A directory with a disk `sdx`, number 8:0, and its first partition, 8:1.
    fn sys() -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        let disk = sys.path().join("block/sdx");
        fs::create_dir_all(disk.join("device")).unwrap();
        fs::create_dir_all(disk.join("slaves")).unwrap();
        fs::create_dir_all(disk.join("sdx1")).unwrap();
        fs::create_dir_all(sys.path().join("dev/block")).unwrap();
        fs::write(disk.join("device/serial"), "vol0abc\n").unwrap();
        fs::write(disk.join("diskseq"), "17\n").unwrap();
        fs::write(disk.join("stat"), "   5 0 40 1   7 0 56 2  0 3 3  2 0 16 0  1 0\n").unwrap();
        fs::write(disk.join("sdx1/partition"), "1\n").unwrap();
        fs::write(disk.join("sdx1/stat"), "   5 0 40 1   0 0 0 0  0 3 3  0 0 0 0  0 0\n").unwrap();
        symlink(&disk, sys.path().join("dev/block/8:0")).unwrap();
        symlink(disk.join("sdx1"), sys.path().join("dev/block/8:1")).unwrap();
        sys
    }

    fn facts(sys: &Path, minor: u32) -> BlockFacts {
        BlockFacts::read(sys, rustix::fs::makedev(8, minor)).unwrap()
    }

    #[test]
    fn a_partition_has_the_counters_of_its_whole_disk() {
        let sys = sys();
        let (disk, partition) = (facts(sys.path(), 0), facts(sys.path(), 1));
        let writes = Writes { sectors: 56, discarded: 16 };
        assert_eq!((disk.writes, disk.sequence), (Some(writes), Some(17)));
        assert_eq!((partition.writes, partition.sequence), (Some(writes), Some(17)));
        assert_eq!(disk.name.as_deref(), Some("device/serial vol0abc"));
        assert_eq!(partition.name.as_deref(), Some("device/serial vol0abc partition 1"));
        assert!(!disk.is_stacked && BlockFacts::read(sys.path(), rustix::fs::makedev(8, 2)).is_none());
    }

    #[test]
    fn what_is_not_counted_is_unknown_and_not_zero() {
        let sys = sys();
        let disk = sys.path().join("block/sdx");
        fs::write(disk.join("stat"), "   0 0 0 0   0 0 0 0  0 0 0  0 0 0 0  0 0\n").unwrap();
        assert_eq!(facts(sys.path(), 0).writes, None, "a multipath head that counts nothing");
        fs::write(disk.join("stat"), "   5 0 40 1   7 0 56 2  0 3 3\n").unwrap();
        assert_eq!(facts(sys.path(), 0).writes.map(|counted| counted.sectors), Some(56), "Linux before 4.18");
        fs::create_dir_all(disk.join("queue")).unwrap();
        fs::write(disk.join("queue/iostats"), "0\n").unwrap();
        assert_eq!(facts(sys.path(), 0).writes, None);
        fs::remove_file(disk.join("diskseq")).unwrap();
        assert_eq!(facts(sys.path(), 0).sequence, None);
    }

    #[test]
    fn a_device_made_of_others_is_stacked() {
        let sys = sys();
        let disk = sys.path().join("block/sdx");
        fs::write(disk.join("slaves/sdy"), "").unwrap();
        assert!(facts(sys.path(), 1).is_stacked);
        fs::remove_file(disk.join("slaves/sdy")).unwrap();
        fs::create_dir(disk.join("md")).unwrap();
        assert!(facts(sys.path(), 0).is_stacked);
    }
}

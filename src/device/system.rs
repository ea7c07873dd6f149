//! What the system says of a device: which EBS volume it is, and whether it is mounted.

use crate::fault::{Fault, Kind, Place};
use crate::snapshot::VolumeId;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The system's own files on devices: what lies in `/proc`, `/sys` and `/dev`.
#[derive(Clone, Debug)]
pub struct System {
    root: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self::at("/")
    }
}

impl System {
    /// The system whose root directory is seen here: a container's host, or one made of plain files, where a file in
    /// `dev` stands for the device of its name.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Refuses a place where no system is seen: it would tell nothing of any device.
    pub fn look(&self) -> Result<(), Fault> {
        if self.sys("block").is_dir() {
            return Ok(());
        }
        let what = "there is no sys/block in it";
        Err(Fault::new(Kind::Unsuitable, Place::File(self.root.clone()), what)
            .hint("give the directory at which the host's root is mounted"))
    }

    /// Whether the system knows this as a block device.
    pub fn has(&self, device: &Path) -> bool {
        self.node(device).is_some()
    }

    /// The EBS volume that a device, or the device that it is a partition of, says it is: on NVMe its serial number
    /// (EC2 user guide, "nvme-ebs-volumes"). What is no device and stands for one says so by its name. `None` where it
    /// says nothing of the kind.
    pub fn volume_id(&self, device: &Path) -> Option<VolumeId> {
        match self.node(device) {
            Some(node) => volume_of(&node),
            None => VolumeId::of_device(device.file_name()?.to_str()?),
        }
    }

    /// Refuses a device that is not the volume meant, or does not tell.
    pub fn is_volume(&self, device: &Path, meant: &VolumeId) -> Result<(), Fault> {
        let what = match self.volume_id(device) {
            Some(found) if found == *meant => return Ok(()),
            Some(found) => format!("the device is {found}, not {meant}"),
            None => {
                format!("the device does not tell which volume it is, so it cannot be shown to be {meant}")
            }
        };
        Err(Fault::new(Kind::Unsuitable, Place::File(device.to_owned()), what)
            .hint("check with lsblk -o NAME,SERIAL which device the volume is"))
    }

    /// The device that says it is this volume; `None` where none does.
    pub fn device_of(&self, volume: &VolumeId) -> Option<PathBuf> {
        let nodes = fs::read_dir(self.sys("block")).into_iter().flatten().flatten();
        let found = nodes.map(|entry| entry.path()).find(|node| volume_of(node).as_ref() == Some(volume))?;
        Some(self.root.join("dev").join(found.file_name()?))
    }

    /// Whether it is a part of a device, and not the whole of it.
    pub fn is_partition(&self, device: &Path) -> bool {
        self.node(device).is_some_and(|node| node.join("partition").exists())
    }

    /// How long the kernel waits for an NVMe device, in seconds, before it gives a read up; `None` where this device
    /// is of another kind, or nobody tells.
    pub fn nvme_timeout(&self, device: &Path) -> Option<u64> {
        let node = self.node(device)?;
        node.file_name()?.to_str()?.strip_prefix("nvme")?;
        read(&self.sys("module/nvme_core/parameters/io_timeout"))?.trim().parse().ok()
    }

    /// Whether a device, a partition of it, or a loop device over the file is mounted for writing.
    pub fn is_mounted_for_writing(&self, path: &Path) -> bool {
        // Of a container's host the first process tells: this one's mounts are the container's.
        let whose = if self.root == Path::new("/") { "proc/self/mountinfo" } else { "proc/1/mountinfo" };
        let mounts = read(&self.root.join(whose)).unwrap_or_default();
        let numbers = self.numbers_of(path);
        mounts.lines().any(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let is_for_writing = |options: &str| options.split(',').any(|option| option == "rw");
            matches!(fields[..], [_, _, number, _, _, options, ..]
                if is_for_writing(options) && numbers.iter().any(|own| own == number))
        })
    }

    /// `8:1`, for the device and everything cut from it.
    fn numbers_of(&self, path: &Path) -> Vec<String> {
        let nodes = match self.node(path) {
            Some(node) => vec![node],
            None => self.loops_over(path),
        };
        let mut numbers = Vec::new();
        for node in nodes {
            numbers.extend(read(&node.join("dev")));
            let inside = fs::read_dir(&node).into_iter().flatten().flatten().map(|entry| entry.path());
            numbers.extend(
                inside
                    .filter(|part| part.join("partition").exists())
                    .filter_map(|part| read(&part.join("dev"))),
            );
        }
        numbers.iter().map(|number| number.trim().to_owned()).collect()
    }

    /// Where the system describes a block device.
    fn node(&self, device: &Path) -> Option<PathBuf> {
        let meta = fs::metadata(device).ok()?;
        let (major, minor) = (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
        let name = match device.strip_prefix(self.root.join("dev")) {
            _ if meta.file_type().is_block_device() => format!("dev/block/{major}:{minor}"),
            Ok(name) if meta.is_file() => format!("class/block/{}", name.to_str()?),
            _ => return None,
        };
        fs::canonicalize(self.sys(&name)).ok()
    }

    fn sys(&self, name: &str) -> PathBuf {
        self.root.join("sys").join(name)
    }

    fn loops_over(&self, file: &Path) -> Vec<PathBuf> {
        let Ok(file) = fs::canonicalize(file) else { return Vec::new() };
        let nodes = fs::read_dir(self.sys("block")).into_iter().flatten().flatten().map(|entry| entry.path());
        let over = |node: &PathBuf| {
            read(&node.join("loop/backing_file")).is_some_and(|over| Path::new(over.trim()) == file)
        };
        nodes.filter(over).collect()
    }
}

fn volume_of(node: &Path) -> Option<VolumeId> {
    // A partition lies in the directory of its device.
    let serial = ["device/serial", "../device/serial"].iter().find_map(|name| read(&node.join(name)))?;
    let digits = serial.trim().strip_prefix("vol")?;
    format!("vol-{}", digits.trim_start_matches('-')).parse().ok()
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_under_a_loop_device_mounted_for_writing_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        fs::write(&image, "x").unwrap();
        let node = dir.path().join("sys/block/loop7");
        fs::create_dir_all(node.join("loop")).unwrap();
        fs::create_dir_all(node.join("loop7p1")).unwrap();
        fs::create_dir_all(dir.path().join("proc/1")).unwrap();
        let backing = fs::canonicalize(&image).unwrap();
        fs::write(node.join("loop/backing_file"), format!("{}\n", backing.display())).unwrap();
        fs::write(node.join("dev"), "7:7\n").unwrap();
        fs::write(node.join("loop7p1/dev"), "259:3\n").unwrap();
        fs::write(node.join("loop7p1/partition"), "1\n").unwrap();
        let system = System::at(dir.path());
        let mounted = |line: &str| {
            fs::write(dir.path().join("proc/1/mountinfo"), line).unwrap();
            system.is_mounted_for_writing(&image)
        };
        assert!(mounted("36 35 7:7 / /mnt rw,noatime shared:1 - ext4 /dev/loop7 rw\n"));
        assert!(mounted("36 35 259:3 / /mnt rw - ext4 /dev/loop7p1 rw\n"));
        assert!(!mounted("36 35 7:7 / /mnt ro,noatime - ext4 /dev/loop7 ro\n"));
        assert!(!mounted("36 35 7:8 / /mnt rw - ext4 /dev/loop8 rw\n"));
        assert!(!mounted(""));
    }

    #[test]
    fn an_nvme_device_and_its_partitions_tell_their_volume() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("nvme1n1");
        fs::create_dir_all(disk.join("device")).unwrap();
        fs::create_dir_all(disk.join("nvme1n1p1")).unwrap();
        for (serial, volume) in [
            ("vol0123456789abcdef0\n", Some("vol-0123456789abcdef0")),
            ("AWS22AAAAAAAAAAAAAAA \n", None),
            ("volume\n", None),
        ] {
            fs::write(disk.join("device/serial"), serial).unwrap();
            for node in [disk.clone(), disk.join("nvme1n1p1")] {
                assert_eq!(volume_of(&node).as_ref().map(VolumeId::as_str), volume, "{serial}");
            }
        }
    }

    #[test]
    fn a_volume_is_found_by_its_serial_number() {
        let dir = tempfile::tempdir().unwrap();
        for (disk, serial) in [("nvme0n1", "vol0aaa\n"), ("nvme1n1", "vol0bbb\n"), ("sda", "WD-1\n")] {
            let node = dir.path().join("sys/block").join(disk).join("device");
            fs::create_dir_all(&node).unwrap();
            fs::write(node.join("serial"), serial).unwrap();
        }
        let system = System::at(dir.path());
        assert_eq!(system.device_of(&"vol-0bbb".parse().unwrap()), Some(dir.path().join("dev/nvme1n1")));
        assert_eq!(system.device_of(&"vol-0ccc".parse().unwrap()), None);
    }

    #[test]
    fn a_file_that_stands_for_a_volume_tells_it_by_its_name() {
        let id: VolumeId = "vol-0abc".parse().unwrap();
        let path = Path::new("/store/devices/i-01").join(id.device_name());
        assert_eq!(System::default().volume_id(&path), Some(id));
    }

    #[test]
    fn what_does_not_tell_its_volume_is_not_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        fs::write(&image, "x").unwrap();
        let fault = System::default().is_volume(&image, &"vol-0abc".parse().unwrap()).unwrap_err();
        assert!(fault.to_string().contains("cannot be shown to be vol-0abc"), "{fault}");
    }
}

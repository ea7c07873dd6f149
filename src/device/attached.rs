//! Finding the device of an attached volume.

use crate::disk::Disk;
use crate::fault::Fault;
use crate::snapshot::VolumeId;
use std::io;
use std::path::{Path, PathBuf};

/// Where Linux names devices by what they are. An instance of a local store has a directory like it:
/// `STORE/devices/INSTANCE`.
pub const BY_ID: &str = "/dev/disk/by-id";

/// The device of a volume, by its name in a directory such as [`BY_ID`]; `None` while it is not there. It appears some
/// time after EC2 says that the volume is attached.
pub fn attached(disk: &dyn Disk, dir: &Path, id: &VolumeId) -> Result<Option<PathBuf>, Fault> {
    let path = dir.join(id.device_name());
    match disk.node(&path) {
        Ok(node) => Ok(node.map(|_| path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::local(path, "look for", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn a_volume_is_found_by_its_id_and_not_before_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::default();
        let id: VolumeId = "vol-0abc".parse().unwrap();
        assert_eq!(attached(&disk, &dir.path().join("missing"), &id).unwrap(), None);
        std::fs::write(dir.path().join("nvme-Amazon_Elastic_Block_Store_vol0abcd"), "another").unwrap();
        assert_eq!(attached(&disk, dir.path(), &id).unwrap(), None);
        let path = dir.path().join("nvme-Amazon_Elastic_Block_Store_vol0abc");
        std::fs::write(&path, "it").unwrap();
        assert_eq!(attached(&disk, dir.path(), &id).unwrap(), Some(path));
    }
}

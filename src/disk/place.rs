//! Where a new file would be.

use crate::disk::{Disk, Opening, directory};
use std::path::{Path, absolute};

/// Where the kernel keeps device nodes. A file made there takes memory, and the name of a device that comes later.
pub const NODES: &str = "/dev";

impl dyn Disk + '_ {
    /// Returns whether a file made under this name would be on the file system that is mounted at `mount_point`, links
    /// to directories followed; `false` where none is mounted there. What is mounted below that is another file system,
    /// as `/dev/shm` is.
    pub fn is_made_on(&self, path: &Path, mount_point: &Path) -> bool {
        let id = |dir: &Path| Some(self.open(dir, Opening::Read).ok()?.facts().ok()?.id);
        let Some((mounted, above)) = id(mount_point).zip(id(&mount_point.join(".."))) else { return false };
        // Nothing is above the root.
        let is_mounted = mounted.0 != above.0 || mounted == above;
        // Directories that are missing would be made in the last one that is there.
        let parent = absolute(directory(path)).ok().and_then(|dir| dir.ancestors().find_map(id));
        is_mounted && parent.is_some_and(|parent| parent.0 == mounted.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    /// Where the file system of this directory is mounted.
    fn mounted_at(dir: &Path) -> std::path::PathBuf {
        use std::os::unix::fs::MetadataExt;
        let device = |dir: &Path| std::fs::metadata(dir).unwrap().dev();
        dir.ancestors().take_while(|above| device(above) == device(dir)).last().unwrap().to_owned()
    }

    #[test]
    fn a_new_file_is_on_the_file_system_of_its_directory_whatever_links_lead_there() {
        let dir = tempfile::tempdir().unwrap();
        let here = std::fs::canonicalize(dir.path()).unwrap();
        let disk: &dyn Disk = &RealDisk::default();
        let mount = mounted_at(&here);
        let file = here.join("new");
        assert!(disk.is_made_on(&file, &mount), "{}", mount.display());
        assert!(disk.is_made_on(&here.join("not/there/yet"), &mount));
        std::os::unix::fs::symlink(&here, here.join("link")).unwrap();
        assert!(disk.is_made_on(&here.join("link/new"), &mount));
        assert!(!disk.is_made_on(&file, &here), "nothing is mounted there");
        assert!(!disk.is_made_on(&file, &here.join("missing")));
        assert!(!disk.is_made_on(&file, Path::new("/proc")), "another file system");
        assert!(disk.is_made_on(Path::new("/proc/no-such-directory/new"), Path::new("/proc")));
    }
}

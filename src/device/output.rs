//! Looking at the name of a file that is to be made, before anything is paid for.

use crate::disk::{Disk, NODES, Node, directory};
use crate::fault::{Fault, Kind, Place};
use std::path::Path;

/// Refuses a name under which no new file can be made, or should be: one that is a link to nothing, whose directory is
/// missing or cannot be written to, or that is among the device nodes. What stands under the name is not judged.
///
/// # Errors
/// `Unsuitable` for the name, `Local` where the directory cannot be written to.
pub fn check_new_file(disk: &dyn Disk, path: &Path) -> Result<(), Fault> {
    let refused = |what: &str, hint: &str| {
        Err(Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what).hint(hint))
    };
    let look = |error| Fault::local(path, "look at", error);
    let dir = directory(path);
    match disk.node(dir).map_err(look)? {
        Some(Node::Dir) => {}
        Some(_) => return refused("what should be its directory is none", "give another name"),
        None => {
            return refused("the directory it should be in does not exist", "make the directory first");
        }
    }
    let is_there = disk.node(path).map_err(look)?.is_some();
    if !is_there && disk.entry(path).map_err(look)?.is_some() {
        return refused(
            "it is a link to something that is not there",
            "give the name of the file itself, or mend the link",
        );
    }
    if disk.is_made_on(path, Path::new(NODES)) {
        let (what, hint) = match is_there {
            true => {
                ("it is a regular file among the device nodes", "remove it, and give the name of the device")
            }
            false => (
                "there is no such device",
                "check the device's name; no new file is made among the device nodes",
            ),
        };
        return refused(what, hint);
    }
    disk.writable(dir).map_err(|error| Fault::local(path, "make a file in its directory", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_name_that_cannot_be_a_new_file_is_refused_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        symlink(at("nothing"), at("dangling")).unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("loop"), at("loop")).unwrap();
        let check = |path: &Path| {
            check_new_file(&RealDisk::default(), path).map_err(|fault| (fault.kind, fault.what().to_owned()))
        };
        let refused = |what: &str| Err((Kind::Unsuitable, what.to_owned()));
        assert_eq!(check(&at("new")), Ok(()));
        assert_eq!(check(Path::new("new")), Ok(()), "in the directory that this runs in");
        assert_eq!(check(&at("link")), Ok(()), "what stands there is for the caller to judge");
        assert_eq!(check(&at("dangling")), refused("it is a link to something that is not there"));
        assert_eq!(check(&at("no/new")), refused("the directory it should be in does not exist"));
        assert_eq!(check(&at("file/new")), refused("what should be its directory is none"));
        assert_eq!(check(&at("loop")).unwrap_err().0, Kind::Local);
    }

    #[test]
    fn no_new_file_is_made_among_the_device_nodes() {
        let disk = RealDisk::default();
        // Where nothing is mounted there, it is a directory as any other.
        let name = Path::new(NODES).join("icecore-test-of-a-device-that-does-not-exist");
        if !(&disk as &dyn Disk).is_made_on(&name, Path::new(NODES)) {
            return;
        }
        let fault = check_new_file(&disk, &name).unwrap_err();
        assert_eq!((fault.kind, fault.what()), (Kind::Unsuitable, "there is no such device"));
        assert!(!name.exists());
    }

    #[test]
    fn a_directory_that_cannot_be_written_to_shows_beforehand() {
        if rustix::process::geteuid().is_root() {
            // To root no permission bit is a bar.
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
        let fault = check_new_file(&RealDisk::default(), &dir.path().join("new")).unwrap_err();
        assert_eq!(fault.kind, Kind::Local, "{fault}");
    }
}

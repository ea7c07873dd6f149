//! What stands under the name of an output, kind by kind.

use super::*;
use rustix::fs::{CWD, mknodat};
use std::fs;
use std::io::{Read as _, Seek as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::net::UnixListener;
use tempfile::TempDir;

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn put(path: &Path, text: &str) -> Result<(), Fault> {
    OutputFile::open(path)?.write(&mut |out| out.write_all(text.as_bytes()))
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[track_caller]
fn refused(path: &Path, said: &str) {
    let fault = OutputFile::open(path).unwrap_err();
    assert_eq!(fault.kind, Kind::Unsuitable, "{fault}");
    assert!(fault.to_string().contains(said), "expected '{said}' in: {fault}");
}

/// Makes a device in the test's own directory; `None` where this user may not.
fn device(path: &Path, kind: FileType, major: u32, minor: u32) -> Option<()> {
    let number = rustix::fs::makedev(major, minor);
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o666), number).ok()
}

#[test]
fn a_new_file_and_a_replaced_one_are_whole_and_nothing_is_left_beside_them() {
    let dir = dir();
    let path = dir.path().join("report");
    for text in ["first", "second"] {
        put(&path, text).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let output = OutputFile::open(&path).unwrap();
    assert!(output.replaces() && output.is_kept());
    let failed = output.write(&mut |out| {
        out.write_all(&[7; 100_000])?;
        Err(ErrorKind::StorageFull.into())
    });
    assert_eq!(failed.unwrap_err().kind, Kind::Local);
    assert_eq!(fs::read_to_string(&path).unwrap(), "second", "what stood there still does");
    assert_eq!(names(dir.path()), ["report"]);
}

#[test]
fn a_replaced_file_keeps_owner_group_and_mode_without_set_id_bits() {
    let dir = dir();
    let path = dir.path().join("report");
    fs::write(&path, "old").unwrap();
    if is_root() {
        chown(&path, Some(1234), Some(4321)).unwrap();
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o6640)).unwrap();
    let before = fs::metadata(&path).unwrap();
    put(&path, "new").unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    assert_eq!(after.mode() & 0o7777, 0o640);
    assert_ne!(after.ino(), before.ino());
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
}

#[test]
fn a_character_device_is_written_into_and_stays_one() {
    let dir = dir();
    let path = dir.path().join("null");
    let Some(()) = device(&path, FileType::CharacterDevice, 1, 3) else { return };
    assert!(!OutputFile::open(&path).unwrap().is_kept());
    // The file system of the test may be one without devices.
    let written = put(&path, "gone");
    assert!(fs::metadata(&path).unwrap().file_type().is_char_device());
    assert_eq!(names(dir.path()), ["null"]);
    assert!(written.is_ok() || written.unwrap_err().to_string().contains("permission"));
}

#[test]
fn a_pipe_is_written_into_and_stays_one() {
    let dir = dir();
    let path = dir.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    // More than a pipe holds at once.
    let text = "0123456789".repeat(20_000);
    std::thread::scope(|scope| {
        // The reader comes when it likes.
        let reader = scope.spawn(|| fs::read_to_string(&path).unwrap());
        put(&path, &text).unwrap();
        assert_eq!(reader.join().unwrap(), text);
    });
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    assert_eq!(names(dir.path()), ["pipe"]);
}

#[test]
fn a_link_stays_and_its_target_is_replaced_beside_itself() {
    let dir = dir();
    let below = dir.path().join("below");
    fs::create_dir(&below).unwrap();
    symlink("below/middle", dir.path().join("link")).unwrap();
    symlink("target", below.join("middle")).unwrap();
    // First it leads to nothing.
    for text in ["first", "second"] {
        put(&dir.path().join("link"), text).unwrap();
        assert_eq!(fs::read_to_string(below.join("target")).unwrap(), text);
    }
    assert!(fs::symlink_metadata(dir.path().join("link")).unwrap().is_symlink());
    assert_eq!(
        (names(dir.path()), names(&below)),
        (vec!["below".to_owned(), "link".to_owned()], vec!["middle".to_owned(), "target".to_owned()])
    );
}

#[test]
fn a_directory_a_socket_a_block_device_and_a_loop_of_links_are_refused() {
    let dir = dir();
    let at = |name: &str| dir.path().join(name);
    refused(dir.path(), "is a directory");
    refused(Path::new("."), "is a directory");
    refused(Path::new(".."), "is a directory");
    refused(&at("none/"), "is a directory");
    let _listener = UnixListener::bind(at("socket")).unwrap();
    refused(&at("socket"), "is a socket");
    symlink("b", at("a")).unwrap();
    symlink("a", at("b")).unwrap();
    refused(&at("a"), "link to link");
    symlink("socket", at("c")).unwrap();
    refused(&at("c"), "is a socket");
    if device(&at("disk"), FileType::BlockDevice, 7, 250).is_some() {
        refused(&at("disk"), "is a block device");
        fs::remove_file(at("disk")).unwrap();
    }
    assert_eq!(names(dir.path()), ["a", "b", "c", "socket"]);
    assert_eq!(OutputFile::open(&at("no/such")).unwrap_err().kind, Kind::Local);
}

#[test]
fn a_link_into_a_process_s_descriptors_is_written_into_at_its_place() {
    let dir = dir();
    let path = dir.path().join("log");
    let mut log = File::options().create_new(true).read(true).write(true).open(&path).unwrap();
    let ino = log.metadata().unwrap().ino();
    let number = log.as_raw_fd();
    // What a program opens itself is none that it was given.
    refused(Path::new(&format!("/dev/fd/{number}")), "no such descriptor");
    rustix::io::fcntl_setfd(&log, rustix::io::FdFlags::empty()).unwrap();
    log.write_all(b"before, ").unwrap();
    for name in [format!("/dev/fd/{number}"), format!("/proc/self/fd/{number}")] {
        let link = dir.path().join("link");
        symlink(&name, &link).unwrap();
        put(&link, "report, ").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        fs::remove_file(&link).unwrap();
    }
    log.write_all(b"behind").unwrap();
    log.rewind().unwrap();
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    assert_eq!(text, "before, report, report, behind");
    assert_eq!((fs::metadata(&path).unwrap().ino(), names(dir.path())), (ino, vec!["log".to_owned()]));

    let reading = File::open(&path).unwrap();
    rustix::io::fcntl_setfd(&reading, rustix::io::FdFlags::empty()).unwrap();
    refused(Path::new(&format!("/proc/self/fd/{}", reading.as_raw_fd())), "for reading only");
    refused(Path::new("/proc/self/fd/99999"), "no such descriptor");
}

#[test]
fn what_another_user_put_where_all_may_write_is_refused() {
    if !is_root() {
        return;
    }
    let dir = dir();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("mine"), "kept").unwrap();
    symlink("mine", at("link")).unwrap();
    fs::write(at("file"), "").unwrap();
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    ["link", "file", "pipe"].iter().for_each(|name| lchown(at(name), Some(1234), Some(1234)).unwrap());
    let names = ["link", "file", "pipe"];
    // In a directory of one's own they are what they are.
    names.iter().for_each(|name| drop(OutputFile::open(&at(name)).unwrap()));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    names.iter().for_each(|name| refused(&at(name), "another user's"));
    assert_eq!(fs::read_to_string(at("mine")).unwrap(), "kept");
    put(&at("mine"), "new").unwrap();
}

#[test]
fn no_file_is_made_on_the_file_system_that_is_mounted_at_dev() {
    let device = |path: &str| fs::metadata(path).map(|meta| meta.dev()).ok();
    if device("/dev") == device("/") {
        return;
    }
    let path = Path::new("/dev/icecore-no-such-device");
    refused(path, "among the devices");
    assert!(!path.exists());
}

#[test]
fn names_of_the_same_file_are_known_whatever_leads_there() {
    let dir = dir();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "").unwrap();
    fs::hard_link(at("file"), at("hard")).unwrap();
    symlink("file", at("link")).unwrap();
    symlink("new", at("dangling")).unwrap();
    fs::write(at("other"), "").unwrap();
    let output = OutputFile::open(&at("link")).unwrap();
    let is = |name: &str| output.is(&at(name));
    assert_eq!(
        ["file", "hard", "link", "other", "new", "none/x"].map(is),
        [true, true, true, false, false, false]
    );
    let output = OutputFile::open(&at("dangling")).unwrap();
    let is = |name: &str| output.is(&at(name));
    assert_eq!(["new", "dangling", "file", "./new"].map(is), [true, true, false, true]);
}

#[test]
fn the_old_file_is_read_and_removed_only_as_long_as_it_is_the_same() {
    let dir = dir();
    let path = dir.path().join("report");
    fs::write(&path, "old").unwrap();
    let output = OutputFile::open(&path).unwrap();
    assert_eq!(output.read_old(3).unwrap(), b"old");
    assert_eq!(output.read_old(2), None, "it is too long");
    fs::rename(&path, dir.path().join("kept")).unwrap();
    fs::write(&path, "another").unwrap();
    assert_eq!(output.read_old(100), None);
    output.remove_old().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "another");
    OutputFile::open(&path).unwrap().remove_old().unwrap();
    assert_eq!(names(dir.path()), ["kept"]);
}

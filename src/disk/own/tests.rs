//! Names that something foreign has, directories that hold what they should not, modes.

use super::*;
use crate::disk::{RealDisk, preserve};
use rustix::fs::{CWD, FileType, Mode};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

const OTHER: u32 = 12_345;

fn real() -> Box<dyn Disk> {
    Box::new(RealDisk::default())
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root makes files of other users");
    }
    is_root
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Opens a path in every way in which a file of our own is opened; gives the reason why each left it alone.
fn reasons(path: &Path) -> Vec<Foreign> {
    let disk = real();
    let opened = |opening| disk.open(path, opening).map(|_| ());
    let errors = [
        opened(Opening::Found),
        disk.write(path, b"over", Access::Owner),
        disk.write_at(path, 3, b"over"),
        disk.lock(path, "holder", Access::Owner).map(|_| ()),
        disk.lock(path, "holder", Access::Group).map(|_| ()),
        disk.claim(path, Access::Owner).map(|_| ()),
        opened(Opening::FoundToRead),
        disk.read_found(path, 100).map(|_| ()),
    ];
    assert_eq!(opened(Opening::New(Access::Owner)).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let usual = disk.own_name(path).unwrap();
    assert!(usual != path && usual.parent() == path.parent(), "the work starts in another file");
    errors.into_iter().map(|error| Foreign::of(&error.unwrap_err()).unwrap().clone()).collect()
}

#[test]
fn a_link_under_an_own_name_is_not_followed_and_its_target_stays_as_it_is() {
    let dir = scratch();
    let (precious, own) = (dir.path().join("precious"), dir.path().join("own"));
    fs::write(&precious, "precious").unwrap();
    symlink("precious", &own).unwrap();
    assert_eq!(reasons(&own), vec![Foreign::Link; 8]);
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert!(fs::symlink_metadata(&own).unwrap().is_symlink(), "it is left alone");
    // One that leads nowhere makes nothing there.
    fs::remove_file(&precious).unwrap();
    assert_eq!(reasons(&own), vec![Foreign::Link; 8]);
    assert!(!precious.exists());
}

#[test]
fn a_pipe_or_a_directory_under_an_own_name_hangs_nothing() {
    let dir = scratch();
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    assert_eq!(reasons(&pipe), vec![Foreign::NotRegular; 8]);
    let inside = dir.path().join("dir");
    fs::create_dir(&inside).unwrap();
    assert_eq!(reasons(&inside), vec![Foreign::NotRegular; 8]);
}

#[test]
fn a_file_with_two_names_is_left_alone() {
    let dir = scratch();
    let (precious, own) = (dir.path().join("precious"), dir.path().join("own"));
    fs::write(&precious, "precious").unwrap();
    fs::hard_link(&precious, &own).unwrap();
    assert_eq!(reasons(&own), vec![Foreign::Names(2); 8]);
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
}

#[test]
fn a_file_of_another_user_is_left_alone_unless_that_owns_the_directory() {
    if !is_root() {
        return;
    }
    let dir = scratch();
    let own = dir.path().join("own");
    fs::write(&own, "theirs").unwrap();
    chown(&own, Some(OTHER), None).unwrap();
    assert_eq!(reasons(&own), vec![Foreign::Owner(OTHER); 8]);
    assert_eq!(fs::read(&own).unwrap(), b"theirs");
    chown(dir.path(), Some(OTHER), None).unwrap();
    assert_eq!(real().read_found(&own, 100).unwrap(), b"theirs");
    // Members of a group that shares a directory go on with each other's files, but only there.
    chown(dir.path(), Some(0), Some(OTHER)).unwrap();
    chown(&own, Some(OTHER), Some(OTHER)).unwrap();
    let locked = |mode| {
        set_mode(dir.path(), mode);
        real().lock(&own, "holder", Access::Group)
    };
    assert!(matches!(locked(0o770).unwrap(), Lock::Held(_)));
    for mode in [0o750, 0o777] {
        assert_eq!(Foreign::of(&locked(mode).unwrap_err()), Some(&Foreign::Owner(OTHER)), "{mode:o}");
    }
}

#[test]
fn a_lock_file_is_never_cut_and_its_first_line_names_the_holder() {
    let dir = scratch();
    let path = dir.path().join("lock");
    fs::write(&path, "a very long line of an earlier holder\nand more\n").unwrap();
    let before = fs::metadata(&path).unwrap().len();
    let held = real().lock(&path, "pid 7", Access::Owner).unwrap();
    assert!(matches!(held, Lock::Held(_)));
    assert_eq!(fs::metadata(&path).unwrap().len(), before);
    match real().lock(&path, "pid 8", Access::Owner).unwrap() {
        Lock::By(holder) => assert_eq!(holder, "pid 7"),
        Lock::Held(_) => panic!("it is held"),
    }
}

#[test]
fn a_part_file_that_others_could_read_is_closed_to_them_when_it_is_found() {
    let dir = scratch();
    let path = dir.path().join("part");
    fs::write(&path, "begun").unwrap();
    set_mode(&path, 0o644);
    assert!(real().claim(&path, Access::Owner).unwrap().is_some());
    assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o600, b"begun".to_vec()));
}

#[test]
fn a_file_that_is_made_has_the_bits_of_its_directorys_group_or_none() {
    let dir = scratch();
    for (number, (above, access, of_file, of_dir)) in [
        (0o777, Access::Owner, 0o600, 0o700),
        (0o777, Access::Group, 0o660, 0o770),
        (0o755, Access::Group, 0o640, 0o750),
        (0o700, Access::Group, 0o600, 0o700),
        (0o2770, Access::Group, 0o660, 0o2770),
    ]
    .into_iter()
    .enumerate()
    {
        let disk = real();
        let inside = dir.path().join(number.to_string());
        fs::create_dir(&inside).unwrap();
        set_mode(&inside, above);
        let (file, made) = (inside.join("file"), inside.join("dir"));
        disk.replace(&file, b"x", access).unwrap();
        disk.make_dir(&made, access).unwrap();
        assert_eq!((mode(&file), mode(&made)), (of_file, of_dir), "in {above:o} for {access:?}");
        for name in ["lock", "write", "write_new"] {
            let path = inside.join(name);
            match name {
                "lock" => drop(disk.lock(&path, "", access).unwrap()),
                "write" => disk.write(&path, b"x", access).unwrap(),
                _ => disk.place_new(&path, b"x", access).unwrap(),
            }
            assert_eq!(mode(&path), of_file, "{name} in {above:o} for {access:?}");
        }
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 5, "no draft is left");
    }
}

#[test]
fn what_replaces_a_file_keeps_its_owner_group_and_mode_without_set_id_bits() {
    let dir = scratch();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    fs::write(&old, "").unwrap();
    if is_root() {
        chown(&old, Some(OTHER), Some(OTHER + 1)).unwrap();
    }
    set_mode(&old, 0o6754);
    let kept = fs::metadata(&old).unwrap();
    let made = File::create(&new).unwrap();
    preserve(&kept, &made).unwrap();
    let meta = fs::metadata(&new).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (kept.uid(), kept.gid(), 0o754));
}

#[test]
fn a_directory_that_others_may_write_to_is_trusted_only_where_that_is_asked_for() {
    let dir = scratch();
    let (state, inside) = (dir.path().join("state"), dir.path().join("state/ledger"));
    assert!(real().trusts(&inside), "what is not there holds nothing");
    fs::create_dir_all(&inside).unwrap();
    for (of_state, of_inside, is_trusted) in [
        (0o700, 0o700, true),
        (0o755, 0o755, true),
        (0o777, 0o700, false),
        (0o775, 0o700, false),
        (0o700, 0o777, false),
        (0o700, 0o1777, false),
        // Nobody else can put another directory in the place of this one.
        (0o1777, 0o700, true),
    ] {
        set_mode(&state, of_state);
        set_mode(&inside, of_inside);
        assert_eq!(real().trusts(&inside), is_trusted, "{of_state:o} {of_inside:o}");
        assert!(RealDisk::trusting().open_to_others(&inside).is_none());
    }
    set_mode(&state, 0o700);
    set_mode(&inside, 0o700);
    if is_root() {
        chown(&state, Some(OTHER), None).unwrap();
        assert!(!real().trusts(&inside), "its owner may write to it");
    }
}

fn is_known(name: &str) -> bool {
    ["a", "b", "lock"].contains(&name)
}

fn swept(dir: &Path, respects_lock: bool) -> Swept {
    let sweep = Sweep { last: Some("lock"), respects_lock, ..Sweep::whole(&is_known) };
    real().sweep(dir, &sweep).unwrap()
}

#[test]
fn a_directory_goes_with_its_files_and_only_with_those_that_it_can_hold() {
    let dir = scratch();
    let tree = dir.path().join("tree");
    assert_eq!(swept(&tree, true), Swept::Gone, "it is well if it has gone");
    fs::create_dir(&tree).unwrap();
    for name in ["a", "b", "lock", "novel.txt"] {
        fs::write(tree.join(name), "x").unwrap();
    }
    assert_eq!(swept(&tree, true), Swept::Holds(vec!["novel.txt".into()]));
    assert_eq!(fs::read_dir(&tree).unwrap().count(), 4, "nothing of it was removed");
    fs::remove_file(tree.join("novel.txt")).unwrap();
    fs::create_dir(tree.join("deep")).unwrap();
    assert_eq!(swept(&tree, true), Swept::Holds(vec!["deep".into()]));
    fs::remove_dir(tree.join("deep")).unwrap();
    let held = real().claim(&tree.join("lock"), Access::Owner).unwrap().unwrap();
    assert_eq!(swept(&tree, true), Swept::InUse);
    assert_eq!(fs::read_dir(&tree).unwrap().count(), 3);
    assert_eq!(swept(&tree, false), Swept::Gone, "its own run removes it");
    assert!(!tree.exists());
    drop(held);
}

#[test]
fn a_link_is_not_followed_whether_it_stands_for_the_directory_or_for_a_file_in_it() {
    let dir = scratch();
    let (precious, tree) = (dir.path().join("precious"), dir.path().join("tree"));
    fs::create_dir(&precious).unwrap();
    for name in ["a", "lock"] {
        fs::write(precious.join(name), "precious").unwrap();
    }
    symlink("precious", &tree).unwrap();
    assert_eq!(swept(&tree, true), Swept::NoDirectory);
    assert_eq!(real().sweep(&tree, &Sweep::files(&is_known)).unwrap(), Swept::NoDirectory);
    assert_eq!(fs::read_dir(&precious).unwrap().count(), 2);
    fs::remove_file(&tree).unwrap();
    fs::create_dir(&tree).unwrap();
    symlink("../precious", tree.join("a")).unwrap();
    assert_eq!(swept(&tree, true), Swept::Holds(vec!["a".into()]));
    fs::write(tree.join("b"), "x").unwrap();
    assert_eq!(real().sweep(&tree, &Sweep::files(&is_known)).unwrap(), Swept::Holds(vec!["a".into()]));
    assert!(!tree.join("b").exists() && tree.join("a").is_symlink() && precious.join("a").exists());
}

//! Directories that move.

use super::*;

fn disk() -> MemoryDisk {
    let disk = MemoryDisk::with_dir(Path::new("/"));
    disk.make_dir(Path::new("/a"), Access::Usual).unwrap();
    disk.write(Path::new("/a/file"), b"x", Access::Usual).unwrap();
    disk.sync(Path::new("/a/file")).unwrap();
    disk
}

#[test]
fn a_directory_takes_along_what_is_in_it() {
    let disk = disk();
    disk.rename_new(Path::new("/a"), Path::new("/b")).unwrap();
    assert_eq!(disk.files(), [Path::new("/b/file")]);
    assert!(disk.names(Path::new("/a")).is_err());
    disk.make_dir(Path::new("/a"), Access::Usual).unwrap();
    assert!(disk.rename_new(Path::new("/b"), Path::new("/a")).is_err());
}

#[test]
fn after_a_power_cut_it_is_here_or_there_and_what_was_synced_in_it_with_it() {
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let disk = disk();
        disk.sync(Path::new("/")).unwrap();
        disk.sync(Path::new("/a")).unwrap();
        disk.rename_new(Path::new("/a"), Path::new("/b")).unwrap();
        seen.insert(disk.cut(seed).files());
        disk.sync(Path::new("/")).unwrap();
        assert_eq!(disk.cut(seed).files(), [Path::new("/b/file")]);
    }
    assert_eq!(seen, BTreeSet::from([vec!["/a/file".into()], vec!["/b/file".into()]]));
}

#[test]
fn a_name_in_it_that_was_not_synced_may_get_lost_on_the_way() {
    let lost = (0..100).any(|seed| {
        let disk = disk();
        disk.rename_new(Path::new("/a"), Path::new("/b")).unwrap();
        disk.sync(Path::new("/")).unwrap();
        disk.cut(seed).files().is_empty()
    });
    assert!(lost);
}

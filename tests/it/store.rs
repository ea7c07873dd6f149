//! The store among processes: one writer, many readers, and writers that are killed.

use icecore::block::BlockIndex;
use icecore::fault::Kind;
use icecore::monitor::Silent;
use icecore::shelf::conformance::{completed, filled, grant};
use icecore::shelf::{Shelf, ShelfWriter};
use icecore::snapshot::SnapshotState;
use icecore::store::{self, Store, StoreWriter};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Names the store to the process that writes.
const DIR: &str = "ICECORE_TEST_STORE";

/// The fill of a block, so that a reader can tell what it should hold without being told.
fn fill(number: usize, index: u32) -> u8 {
    u8::try_from((number * 7 + index as usize) % 6).unwrap()
}

/// Not a test in itself: the process that the next test starts and kills.
#[test]
#[expect(clippy::disallowed_methods, reason = "the parent names the store through the environment")]
fn a_writer_writes_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let writer = StoreWriter::open(dir, "the child").unwrap();
    let mut parent = None;
    for number in 0.. {
        let mut grant = grant(parent.as_ref());
        grant.asked.description = Some(number.to_string());
        let id = writer.start(&grant).unwrap().info.id;
        for index in 0..6 {
            writer.put(&id, BlockIndex::new(index), &filled(fill(number, index))).unwrap();
        }
        writer.complete(&id).unwrap();
        if number % 3 == 2
            && let Some(parent) = &parent
        {
            writer.delete(parent).unwrap();
        }
        parent = Some(id);
    }
}

/// A process that does not outlive the test, however that ends.
struct Writing(Child);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn writing_child(dir: &Path) -> Writing {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::a_writer_writes_until_it_is_killed"])
        .env(DIR, dir)
        .stdout(Stdio::null())
        .spawn();
    Writing(child.unwrap())
}

/// Reads every completed snapshot through; gives how many there were.
fn read_all(store: &Store) -> usize {
    let mut n_read = 0;
    for shelved in store.list().unwrap() {
        if shelved.info.state != SnapshotState::Completed {
            continue;
        }
        let number = shelved.info.description.parse().unwrap();
        for index in 0..6 {
            match store.read(&shelved.info.id, BlockIndex::new(index)) {
                Ok(content) => assert_eq!(content.unwrap().bytes, filled(fill(number, index)).bytes),
                Err(fault) if fault.kind == Kind::NotFound => break, // deleted while we read
                Err(fault) => panic!("{fault}"),
            }
        }
        n_read += 1;
    }
    n_read
}

#[test]
fn readers_go_on_while_a_writer_writes_and_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    drop(StoreWriter::open_or_create(dir.path(), "a test").unwrap());
    let reader = Store::open(dir.path()).unwrap();
    for round in 1..=4 {
        let mut child = writing_child(dir.path());
        let mut n_read = 0;
        while n_read < round * 5 {
            assert!(child.0.try_wait().unwrap().is_none(), "the writer goes on");
            n_read += read_all(&Store::open(dir.path()).unwrap());
            read_all(&reader);
            let report = store::check(dir.path(), &Silent).unwrap();
            assert!(report.is_clean(), "beside a live writer nothing is damaged: {:?}", report.damages);
        }
        drop(child);
        read_all(&reader);
        let report = store::check(dir.path(), &Silent).unwrap();
        assert!(report.is_clean(), "after round {round}: {:?}", report.damages);
    }
    drop(StoreWriter::open(dir.path(), "the last").unwrap());
    assert_eq!(store::check(dir.path(), &Silent).unwrap().unnamed, Some(vec![]), "garbage is collected");
}

#[test]
fn the_second_writer_is_told_who_is_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let first = StoreWriter::open_or_create(dir.path(), "icecore serve, pid 4711").unwrap();
    for fault in [
        StoreWriter::open(dir.path(), "another").unwrap_err(),
        StoreWriter::open_or_create(dir.path(), "another").unwrap_err(),
    ] {
        assert_eq!(fault.kind, Kind::Unsuitable);
        assert!(fault.to_string().ends_with("locked by icecore serve, pid 4711"), "{fault}");
        assert!(fault.advice().is_some());
    }
    let id = completed(&first, None, &[(0, 1)]).info.id;
    let reader = Store::open(dir.path()).unwrap();
    assert!(reader.find(&id).unwrap().is_some(), "readers need no lock");
    drop(first);
    StoreWriter::open(dir.path(), "another").unwrap();
}

#[test]
fn only_an_empty_or_missing_directory_becomes_a_store() {
    let dir = tempfile::tempdir().unwrap();
    for missing in [dir.path().join("a"), dir.path().join("b/c")] {
        assert_eq!(Store::open(&missing).unwrap_err().kind, Kind::NotFound);
        assert_eq!(StoreWriter::open(&missing, "a test").unwrap_err().kind, Kind::NotFound);
        assert!(!missing.exists(), "opening makes nothing");
        drop(StoreWriter::open_or_create(&missing, "a test").unwrap());
        Store::open(&missing).unwrap();
    }
    let full = dir.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("precious"), "x").unwrap();
    let fault = StoreWriter::open_or_create(&full, "a test").unwrap_err();
    assert_eq!(fault.kind, Kind::Unsuitable);
    assert!(fault.to_string().contains("precious"), "{fault}");
    let names: Vec<_> = fs::read_dir(&full).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["precious"], "nothing was written there");
    let fault = Store::open(&full).unwrap_err();
    assert_eq!((fault.kind, fault.advice().is_some()), (Kind::Unsuitable, true));
    assert_eq!(Store::open(full.join("precious")).unwrap_err().kind, Kind::Unsuitable, "a file");
}

#[test]
fn the_secret_is_its_owners_alone_and_stays() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    // Of a directory that its group may use, the group has the files of a store.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let secret = StoreWriter::open_or_create(dir.path(), "a test").unwrap().secret();
    let mode = fs::metadata(dir.path().join("secret")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(Store::open(dir.path()).unwrap().secret(), secret);
    let shown = format!("{:?}", Store::open(dir.path()).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn a_damaged_block_is_named_and_the_next_put_of_it_heals_it() {
    let dir = tempfile::tempdir().unwrap();
    let writer = StoreWriter::open_or_create(dir.path(), "a test").unwrap();
    let id = completed(&writer, None, &[(3, 1)]).info.id;
    let file = block_file(dir.path());
    fs::write(&file, b"torn").unwrap();
    let fault = Store::open(dir.path()).unwrap().read(&id, BlockIndex::new(3)).unwrap_err();
    assert_eq!(fault.kind, Kind::Corrupt);
    let line = fault.to_string();
    assert!(line.starts_with(&format!("block 3 of {id}: its file {} is damaged", file.display())), "{line}");
    let other = completed(&writer, None, &[(0, 1)]).info.id;
    let reader = Store::open(dir.path()).unwrap();
    for (id, index) in [(&other, 0), (&id, 3)] {
        assert_eq!(reader.read(id, BlockIndex::new(index)).unwrap().unwrap().bytes, filled(1).bytes);
    }
}

#[test]
fn what_is_deleted_is_gone_for_a_reader_that_knew_it() {
    let dir = tempfile::tempdir().unwrap();
    let writer = StoreWriter::open_or_create(dir.path(), "a test").unwrap();
    let id = completed(&writer, None, &[(0, 1)]).info.id;
    let reader = Store::open(dir.path()).unwrap();
    assert!(reader.read(&id, BlockIndex::ZERO).unwrap().is_some());
    writer.delete(&id).unwrap();
    assert_eq!(reader.read(&id, BlockIndex::ZERO).unwrap_err().kind, Kind::NotFound);
    assert_eq!(reader.window(&id, BlockIndex::ZERO, 1).unwrap_err().kind, Kind::NotFound);
    assert_eq!(reader.find(&id).unwrap(), None);
}

#[test]
fn a_put_never_builds_on_a_block_that_is_being_removed() {
    let dir = tempfile::tempdir().unwrap();
    let writer = StoreWriter::open_or_create(dir.path(), "a test").unwrap();
    // All write the same blocks, so each finds them stored already while another's deletion removes them.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..8 {
                    let id = completed(&writer, None, &[(0, 1), (1, 2), (2, 3)]).info.id;
                    for (index, fill) in [(0, 1), (1, 2), (2, 3)] {
                        let content = writer.read(&id, BlockIndex::new(index)).unwrap().unwrap();
                        assert_eq!(content.digest, filled(fill).digest);
                    }
                    writer.delete(&id).unwrap();
                }
            });
        }
    });
    let report = store::check(dir.path(), &Silent).unwrap();
    assert_eq!((report.snapshots, report.damages.len(), report.unnamed), (0, 0, Some(vec![])));
}

/// The one block file of a store.
fn block_file(dir: &Path) -> PathBuf {
    let only = |dir: &Path| fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    only(&only(&dir.join("blocks")))
}

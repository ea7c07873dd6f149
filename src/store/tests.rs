use super::*;
use crate::disk::memory::MemoryDisk;
use crate::shelf::ShelfWriter as _;
use crate::shelf::conformance::{self, completed, filled, grant};

mod power;
mod vault;

/// Where a store lies on a disk in memory.
fn files_on(disk: &MemoryDisk) -> Files {
    Files::new(Arc::new(disk.clone()), Path::new("/store"))
}

fn memory_disk() -> MemoryDisk {
    MemoryDisk::with_dir(Path::new("/store"))
}

#[test]
fn the_store_conforms_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let writer = StoreWriter::open_or_create(dir.path(), "a test").unwrap();
    conformance::shelf(&writer);
    drop(writer);
    let layers = std::fs::read_dir(dir.path().join("layers")).unwrap().count();
    assert_eq!(layers, 0, "nothing is left of deleted snapshots");
}

#[test]
fn the_store_conforms_on_a_disk_in_memory() {
    let disk = memory_disk();
    conformance::shelf(&StoreWriter::on(files_on(&disk), "a test").unwrap());
    let left: Vec<_> = disk.files().iter().map(|path| path.display().to_string()).collect();
    assert_eq!(
        left,
        ["/store/clock", "/store/format", "/store/secret"],
        "nothing is left of deleted snapshots"
    );
}

#[test]
fn a_full_disk_leaves_the_old_state_and_lets_snapshots_be_deleted() {
    let disk = memory_disk();
    let writer = StoreWriter::on(files_on(&disk), "a test").unwrap();
    let done = completed(&writer, None, &[(0, 1)]).info.id;
    let pending = writer.start(&grant(Some(&done))).unwrap().info.id;
    writer.put(&pending, BlockIndex::ZERO, &filled(2)).unwrap();
    let before = (writer.list().unwrap(), writer.written(&pending).unwrap());
    disk.fill();
    let faults = [
        writer.start(&grant(None)).unwrap_err(),
        writer.put(&pending, BlockIndex::ZERO, &filled(3)).unwrap_err(),
        writer.put(&pending, BlockIndex::ZERO, &filled(1)).unwrap_err(),
        writer.complete(&pending).unwrap_err(),
        writer.fail(&pending, "given up").unwrap_err(),
        writer.retag(&done, &|tags| drop(tags.insert("k".into(), "v".into()))).unwrap_err(),
    ];
    for fault in faults {
        assert!(fault.kind == Kind::Local && !fault.to_string().contains('\n'), "{fault}");
    }
    assert_eq!((writer.list().unwrap(), writer.written(&pending).unwrap()), before);
    writer.delete(&done).expect_err("the time of the latest start cannot be kept yet");
    assert_eq!(writer.find(&done).unwrap(), None, "it is deleted all the same");
}

#[test]
fn a_start_time_is_not_given_again_after_its_snapshot_was_deleted() {
    let disk = memory_disk();
    let writer = StoreWriter::on(files_on(&disk), "a test").unwrap();
    let first = writer.start(&grant(None)).unwrap().info;
    writer.delete(&first.id).unwrap();
    drop(writer);
    let writer = StoreWriter::on(files_on(&disk), "the next").unwrap();
    let second = writer.start(&grant(None)).unwrap().info;
    assert!(first.start_time < second.start_time);
}

#[test]
fn a_put_beyond_the_volume_or_of_another_length_is_refused() {
    let disk = memory_disk();
    let writer = StoreWriter::on(files_on(&disk), "a test").unwrap();
    let id = writer.start(&grant(None)).unwrap().info.id;
    assert_eq!(writer.put(&id, BlockIndex::new(2048), &filled(1)).unwrap_err().kind, Kind::Refused);
    let short = Content { bytes: filled(1).bytes.slice(1..), ..filled(1) };
    assert_eq!(writer.put(&id, BlockIndex::ZERO, &short).unwrap_err().kind, Kind::Refused);
    assert_eq!(writer.written(&id).unwrap().blocks, 0);
}

#[test]
fn beside_a_damaged_record_nothing_is_swept() {
    let disk = memory_disk();
    let writer = StoreWriter::on(files_on(&disk), "a test").unwrap();
    let a = completed(&writer, None, &[(0, 1)]).info.id;
    let b = completed(&writer, None, &[(0, 2)]).info.id;
    disk.damage(&files_on(&disk).record(&b), 9);
    assert_eq!(
        writer.list().unwrap_err().kind,
        Kind::Corrupt,
        "a listing without it would pass for complete"
    );
    writer.delete(&a).unwrap();
    drop(writer);
    let blocks =
        |disk: &MemoryDisk| disk.files().iter().filter(|file| file.starts_with("/store/blocks")).count();
    drop(StoreWriter::on(files_on(&disk), "the next").unwrap());
    assert_eq!(blocks(&disk), 2, "the damaged record may name either");
    let writer = StoreWriter::on(files_on(&disk), "the third").unwrap();
    writer.delete(&b).unwrap();
    drop(writer);
    drop(StoreWriter::on(files_on(&disk), "the last").unwrap());
    assert_eq!(blocks(&disk), 0, "what the damaged record named is garbage once it has gone");
}

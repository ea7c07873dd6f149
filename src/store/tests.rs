use super::*;
use crate::shelf::conformance;
use crate::store::disk::memory::MemoryDisk;

mod power;

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

//! The store's readers, for fuzzers: any file of a store replaced by any bytes.

use crate::block::BlockIndex;
use crate::disk::memory::MemoryDisk;
use crate::disk::{Access, Disk};
use crate::shelf::conformance::{filled, grant};
use crate::shelf::{Shelf, ShelfWriter};
use crate::store::check::check_files;
use crate::store::files::Files;
use crate::store::{Store, StoreWriter};
use std::path::Path;
use std::sync::{Arc, LazyLock};

const ROOT: &str = "/store";

fn files_on(disk: &MemoryDisk) -> Files {
    Files::new(Arc::new(disk.clone()), Path::new(ROOT))
}

/// A store with a completed snapshot, one upon it, and a pending one.
fn whole() -> Option<MemoryDisk> {
    let disk = MemoryDisk::with_dir(Path::new(ROOT));
    let writer = StoreWriter::on(files_on(&disk), "a fuzzer").ok()?;
    let mut parent = None;
    for fill in 1..4 {
        let id = writer.start(&grant(parent.as_ref())).ok()?.info.id;
        writer.put(&id, BlockIndex::new(u32::from(fill)), &filled(fill)).ok()?;
        if fill < 3 {
            writer.complete(&id).ok()?;
        }
        parent = Some(id);
    }
    Some(disk)
}

/// Kinds of files, by where they lie.
const KINDS: [&str; 6] = ["snapshots", "layers", "blocks", "pending", "format", "clock"];

/// The first byte names a file, the second says whether its checksum is made right again, the rest is its bytes.
pub(crate) fn reader(bytes: &[u8]) {
    static WHOLE: LazyLock<Option<MemoryDisk>> = LazyLock::new(whole);
    let ([which, seal, bytes @ ..], Some(whole)) = (bytes, &*WHOLE) else { return };
    let disk = whole.killed();
    let (kind, nth) = (KINDS[usize::from(*which) % KINDS.len()], usize::from(*which) / KINDS.len());
    let dir = Path::new(ROOT).join(kind);
    let mut files = disk.files();
    files.retain(|file| file.starts_with(&dir));
    let Some(path) = files.get(nth % files.len().max(1)) else { return };
    let mut bytes = bytes.to_vec();
    if kind == "snapshots" {
        // Under its own name, or nothing but the name would be looked at.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        bytes = String::from_utf8_lossy(&bytes).replace("SNAP", &name).into_bytes();
    }
    match seal % 3 {
        1 => bytes.extend(crc32fast::hash(&bytes).to_le_bytes()),
        2 => bytes.extend(format!("crc32 {:08x}\n", crc32fast::hash(&bytes)).into_bytes()),
        _ => {}
    }
    if disk.write(path, &bytes, Access::Usual).is_err() {
        return;
    }
    if let Ok(store) = Store::on(files_on(&disk)) {
        read_all(&store);
    }
    let _ = check_files(files_on(&disk), &crate::monitor::Silent);
    if let Ok(writer) = StoreWriter::on(files_on(&disk), "a fuzzer") {
        for shelved in writer.list().unwrap_or_default() {
            let _ = writer.written(&shelved.info.id);
            let _ = writer.delete(&shelved.info.id);
        }
    }
}

fn read_all(store: &Store) {
    for shelved in store.list().unwrap_or_default() {
        let id = &shelved.info.id;
        for entry in store.window(id, BlockIndex::ZERO, 100).unwrap_or_default() {
            if let Ok(Some(content)) = store.read(id, entry.index) {
                assert_eq!(
                    crate::block::Digest::of(&content.bytes),
                    content.digest,
                    "wrong bytes are delivered"
                );
            }
        }
    }
}

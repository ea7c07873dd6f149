use super::*;
use crate::disk::Disk as _;
use crate::disk::memory::MemoryDisk;
use crate::monitor::{Recorder, Silent};
use crate::shelf::ShelfWriter as _;
use crate::shelf::conformance::{completed, filled, grant};
use crate::store::StoreWriter;

const ROOT: &str = "/store";

fn files_on(disk: &MemoryDisk) -> Files {
    Files::new(Arc::new(disk.clone()), Path::new(ROOT))
}

fn checked(disk: &MemoryDisk) -> CheckReport {
    check_files(files_on(disk), &Silent).unwrap()
}

/// Two snapshots, the second upon the first; block 1 of the first is covered in the second.
fn two() -> (MemoryDisk, SnapshotId, SnapshotId) {
    let disk = MemoryDisk::with_dir(Path::new(ROOT));
    let writer = StoreWriter::on(files_on(&disk), "a test").unwrap();
    let a = completed(&writer, None, &[(0, 1), (1, 2), (2, 0)]).info.id;
    let b = completed(&writer, Some(&a), &[(1, 3), (5, 1)]).info.id;
    (disk, a, b)
}

fn blocks(indexes: &[u32]) -> Option<BlockSet> {
    Some(indexes.iter().map(|index| BlockIndex::new(*index)).collect())
}

#[test]
fn a_whole_store_is_clean_and_every_block_was_read() {
    let (disk, ..) = two();
    let recorder = Recorder::default();
    let report = check_files(files_on(&disk), &recorder).unwrap();
    let counts = (report.snapshots, report.pending, report.layers, report.blocks);
    assert_eq!(counts, (2, 0, 2, 4));
    assert!(report.is_clean());
    assert_eq!(report.unnamed, Some(vec![]));
    assert_eq!(recorder.events().len(), 1 + 4);
}

#[test]
fn a_damaged_block_is_named_with_everyone_it_hurts() {
    let (disk, a, b) = two();
    let digest = filled(1).digest;
    let file = files_on(&disk).block(&digest);
    disk.damage(&file, 60);
    let report = checked(&disk);
    let hurts = vec![
        Hurt { snapshot: a.clone(), blocks: blocks(&[0]) },
        Hurt { snapshot: b.clone(), blocks: blocks(&[0, 5]) },
    ];
    let mut found = report.damages[0].hurts.clone();
    found.sort_by_key(|hurt| hurt.snapshot != a);
    assert_eq!((report.damages.len(), &report.damages[0].file, found), (1, &file, hurts));
    assert_eq!(report.damages[0].part, Part::Block(digest));
}

#[test]
fn a_missing_block_hurts_only_where_it_is_not_covered() {
    let (disk, a, _) = two();
    disk.remove(&files_on(&disk).block(&filled(2).digest)).unwrap();
    let report = checked(&disk);
    assert_eq!(report.damages.len(), 1);
    assert_eq!(report.damages[0].what, "it is missing");
    assert_eq!(report.damages[0].hurts, [Hurt { snapshot: a, blocks: blocks(&[1]) }]);
}

#[test]
fn every_damaged_file_is_found() {
    let (whole, ..) = two();
    for file in whole.files() {
        if file.file_name().is_some_and(|name| name == "secret") {
            continue; // Any 32 bytes are a secret.
        }
        for bit in [0, 77, 1_000_003] {
            let disk = whole.killed();
            disk.damage(&file, bit);
            match check_files(files_on(&disk), &Silent) {
                Ok(report) => {
                    assert_eq!(report.damages.len(), 1, "bit {bit} of {}", file.display());
                    assert_eq!(report.damages[0].file, file);
                }
                Err(fault) => assert!(file.ends_with("format"), "{fault}"),
            }
        }
    }
}

#[test]
fn garbage_and_what_is_pending_are_no_damage() {
    let (disk, ..) = two();
    let writer = StoreWriter::on(files_on(&disk), "a test").unwrap();
    let pending = writer.start(&grant(None)).unwrap().info.id;
    writer.put(&pending, BlockIndex::ZERO, &filled(9)).unwrap();
    let report = checked(&disk);
    assert!(report.is_clean() && report.pending == 1);
    assert_eq!(report.unnamed, Some(vec![]), "a pending snapshot's place is named by its record");
    disk.remove(&files_on(&disk).record(&pending)).unwrap();
    let report = checked(&disk);
    assert!(report.is_clean());
    assert_eq!(report.unnamed, Some(vec![files_on(&disk).place(&pending)]));
}

#[test]
fn a_damaged_record_leaves_open_what_is_garbage() {
    let (disk, _, b) = two();
    disk.damage(&files_on(&disk).record(&b), 5);
    let report = checked(&disk);
    assert_eq!(report.damages[0].hurts, [Hurt { snapshot: b, blocks: None }]);
    assert_eq!(report.unnamed, None);
}

#[test]
fn an_account_file_with_impossible_ids_is_damage_and_says_what_is_lost() {
    let (disk, ..) = two();
    let files = files_on(&disk);
    let whole = crate::store::holdings::encode(&crate::store::holdings::tests::full());
    files.replace(&files.account(), &whole, crate::disk::Access::Usual).unwrap();
    assert!(checked(&disk).is_clean());
    let text = crate::store::record::checked(&whole).unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let bent = text.replacen("\"vol-", "\"vol-zz", 1);
    assert_ne!(text, bent);
    let bent: serde_json::Value = serde_json::from_str(&bent).unwrap();
    files
        .replace(&files.account(), &crate::store::record::summed(&bent), crate::disk::Access::Usual)
        .unwrap();
    let report = checked(&disk);
    assert_eq!(report.damages.len(), 1);
    assert_eq!((report.damages[0].part, &report.damages[0].file), (Part::Account, &files.account()));
    assert!(report.damages[0].what.contains("is not a volume id"), "{}", report.damages[0].what);
    assert_eq!(report.unnamed, Some(vec![]), "it hides nothing that the store's files are named by");
}

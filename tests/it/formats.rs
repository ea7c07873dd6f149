//! Every format a store ever had: the frozen ones under `fixtures/stores` are read as they were meant.

use bytes::Bytes;
use icecore::block::{BlockIndex, Digest, LinearDigest};
use icecore::fault::Kind;
use icecore::monitor::Silent;
use icecore::shelf::{Shelf, ShelfWriter};
use icecore::snapshot::{SnapshotId, SnapshotState};
use icecore::store::{self, Store, StoreWriter};
use std::fs;
use std::path::{Path, PathBuf};

const FIRST: &str = "snap-0b25d9091a9b4f9ae";
const SECOND: &str = "snap-0c051c0760362cf22";
const PENDING: &str = "snap-05a40b4ac8a243260";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores")
}

fn text(name: &str) -> Bytes {
    let line = format!("icecore fixture block {name}\n");
    line.bytes().cycle().take(524_288).collect()
}

fn id(text: &str) -> SnapshotId {
    text.parse().unwrap()
}

#[track_caller]
fn holds(shelf: &dyn Shelf, snapshot: &str, blocks: &[(u32, u64, Bytes)]) {
    let window = shelf.window(&id(snapshot), BlockIndex::ZERO, 100).unwrap();
    let found: Vec<_> = window.iter().map(|entry| (entry.index.get(), entry.version.0)).collect();
    let expected: Vec<_> = blocks.iter().map(|(index, version, _)| (*index, *version)).collect();
    assert_eq!(found, expected);
    for (index, _, bytes) in blocks {
        let content = shelf.read(&id(snapshot), BlockIndex::new(*index)).unwrap().unwrap();
        assert!(content.bytes == *bytes && content.digest == Digest::of(bytes), "block {index}");
    }
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copied(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn every_frozen_store_is_listed_here() {
    let mut names: Vec<_> = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["v1"]);
}

#[test]
fn format_1_reads_as_it_was_written() {
    let store = Store::open(fixtures().join("v1")).unwrap();
    let (first, deleted, second) = (1_700_000_000_000, 1_700_000_000_001, 1_700_000_060_000);
    let zeros = Bytes::from(vec![0; 524_288]);
    holds(
        &store,
        FIRST,
        &[(0, first, text("a")), (1, first, text("b")), (2, first, zeros.clone()), (2047, first, text("a"))],
    );
    holds(
        &store,
        SECOND,
        &[
            (0, second, text("d")),
            (1, deleted, text("b")),
            (2, first, zeros.clone()),
            (7, deleted, text("c")),
            (9, second, zeros),
            (2047, first, text("a")),
        ],
    );
    let listed = store.list().unwrap();
    let names: Vec<_> = listed.iter().map(|shelved| (shelved.info.id.as_str(), shelved.info.state)).collect();
    let completed = SnapshotState::Completed;
    assert_eq!(names, [(FIRST, completed), (SECOND, completed), (PENDING, SnapshotState::Pending)]);
    for shelved in &listed {
        assert_eq!(shelved.info.lineage.unwrap().to_string(), "32ab1d0f52e1c20d");
        assert_eq!(shelved.info.tags, shelved.asked.tags);
    }
    let second = &listed[1];
    assert_eq!(second.info.tags["name"], "second");
    assert_eq!(second.asked.client_token.as_deref(), Some("token-second"));
    assert_eq!(second.info.full_size.unwrap().bytes(), 6 * 524_288);
    assert_eq!(Digest::of(&store.secret()).to_string(), SECRET, "tokens sealed with it stay valid");
    let report = store::check(fixtures().join("v1"), &Silent).unwrap();
    assert!(report.is_clean(), "{report:?}");
}

/// SHA-256 of the secret in `v1`.
const SECRET: &str = "6cc001e0860f8efb3bebf3173799ecc1fe3a3e3157db8d849aa4392084236d49";

#[test]
fn a_pending_snapshot_of_format_1_is_resumed() {
    let dir = tempfile::tempdir().unwrap();
    copied(&fixtures().join("v1"), dir.path());
    let writer = StoreWriter::open(dir.path(), "a test").unwrap();
    let mut linear = LinearDigest::new();
    [text("a"), text("e")].iter().for_each(|bytes| linear.push(&Digest::of(bytes)));
    let written = writer.written(&id(PENDING)).unwrap();
    assert_eq!((written.blocks, written.checksum), (2, linear.finish()));
    let shelved = writer.complete(&id(PENDING)).unwrap();
    assert_eq!(shelved.info.full_size.unwrap().bytes(), 7 * 524_288);
    assert_eq!(writer.read(&id(PENDING), BlockIndex::ZERO).unwrap().unwrap().bytes, text("a"));
}

#[test]
fn another_format_is_refused_with_the_one_that_is_read() {
    let dir = tempfile::tempdir().unwrap();
    copied(&fixtures().join("v1"), dir.path());
    fs::write(dir.path().join("format"), "icecore store, format 7\n").unwrap();
    let before = fs::read_dir(dir.path()).unwrap().count();
    let faults = [
        Store::open(dir.path()).unwrap_err(),
        StoreWriter::open(dir.path(), "a test").unwrap_err(),
        StoreWriter::open_or_create(dir.path(), "a test").unwrap_err(),
        store::check(dir.path(), &Silent).unwrap_err(),
    ];
    for fault in faults {
        assert_eq!(fault.kind, Kind::Unsuitable);
        assert!(fault.to_string().ends_with("the store has format 7; this build reads format 1"), "{fault}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), before, "nothing was written there");
}

//! What every writable shelf must do, as checks that panic when it does not.

use crate::block::{BlockIndex, ByteSize, Digest, GiB, LinearDigest};
use crate::fault::Kind;
use crate::shelf::{Content, Entry, Grant, Shelf, ShelfWriter, Shelved};
use crate::snapshot::{NewSnapshot, SnapshotId, SnapshotState, Tags, UnixMillis};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A block filled with one byte.
pub fn filled(fill: u8) -> Content {
    let bytes = Bytes::from(vec![fill; 524_288]);
    Content { digest: Digest::of(&bytes), bytes }
}

/// A granted start of 1 GiB on this parent, at a time that does not move.
pub fn grant(parent: Option<&SnapshotId>) -> Grant {
    let asked = NewSnapshot {
        volume_size: GiB::try_from(1).unwrap_or_else(|_| unreachable!("1 GiB is a volume size")),
        parent: parent.cloned(),
        description: Some("conformance".into()),
        tags: Tags::from([("a".into(), "1".into())]),
        client_token: Some("token-1".into()),
        encrypted: None,
        kms_key_id: None,
        timeout_minutes: Some(60),
    };
    Grant {
        asked,
        owner_id: "123456789012".into(),
        encrypted: false,
        kms_key_id: None,
        now: UnixMillis(1_700_000_000_000),
    }
}

/// Starts, writes and completes a snapshot of (index, fill).
pub fn completed(shelf: &dyn ShelfWriter, parent: Option<&SnapshotId>, blocks: &[(u32, u8)]) -> Shelved {
    let id = shelf.start(&grant(parent)).expect("start").info.id;
    for (index, fill) in blocks {
        shelf.put(&id, BlockIndex::new(*index), &filled(*fill)).expect("put");
    }
    shelf.complete(&id).expect("complete")
}

/// Everything, on an empty shelf.
pub fn shelf(shelf: &dyn ShelfWriter) {
    a_start_is_pending_and_remembers_what_was_asked(shelf);
    start_times_never_repeat(shelf);
    what_was_put_is_read(shelf);
    versions_tell_writes_apart_also_after_deletion(shelf);
    wrong_states_are_refused(shelf);
    tags_come_and_go(shelf);
}

fn a_start_is_pending_and_remembers_what_was_asked(shelf: &dyn ShelfWriter) {
    let started = shelf.start(&grant(None)).expect("start");
    assert_eq!(started.info.state, SnapshotState::Pending);
    assert_eq!(started.info.full_size, None, "a pending snapshot has no size yet");
    assert_eq!(started.asked, grant(None).asked);
    assert_eq!(shelf.find(&started.info.id).expect("find"), Some(started.clone()));
    shelf.fail(&started.info.id, "given up").expect("fail");
    let failed = shelf.find(&started.info.id).expect("find").expect("it is still there").info;
    assert_eq!((failed.state, failed.state_message.as_deref()), (SnapshotState::Error, Some("given up")));
    shelf.delete(&started.info.id).expect("delete");
    assert_eq!(shelf.find(&started.info.id).expect("find"), None);
}

fn start_times_never_repeat(shelf: &dyn ShelfWriter) {
    let ids: Vec<_> = (0..3).map(|_| shelf.start(&grant(None)).expect("start").info.id).collect();
    let listed = shelf.list().expect("list");
    assert!(listed.is_sorted_by(|a, b| a.info.start_time < b.info.start_time), "by start time, none twice");
    for id in ids {
        assert!(listed.iter().any(|shelved| shelved.info.id == id));
        shelf.delete(&id).expect("delete");
    }
}

fn what_was_put_is_read(shelf: &dyn ShelfWriter) {
    let id = shelf.start(&grant(None)).expect("start").info.id;
    for (index, fill) in [(7, 1), (0, 2), (2047, 0), (7, 9)] {
        shelf.put(&id, BlockIndex::new(index), &filled(fill)).expect("put");
    }
    let mut linear = LinearDigest::new();
    [2, 9, 0].iter().for_each(|fill| linear.push(&filled(*fill).digest));
    let written = shelf.written(&id).expect("written");
    assert_eq!(
        (written.blocks, written.checksum),
        (3, linear.finish()),
        "an index written twice counts once"
    );
    let shelved = shelf.complete(&id).expect("complete");
    assert_eq!(shelved.info.state, SnapshotState::Completed);
    assert_eq!(shelved.info.full_size, Some(ByteSize::from_bytes(3 * 524_288)));
    holds(shelf, &id, &[(0, 2), (7, 9), (2047, 0)]);
    shelf.delete(&id).expect("delete");
}

fn versions_tell_writes_apart_also_after_deletion(shelf: &dyn ShelfWriter) {
    let a = completed(shelf, None, &[(0, 1), (1, 1), (5, 1)]).info;
    let b = completed(shelf, Some(&a.id), &[(1, 1), (9, 2)]).info;
    let c = completed(shelf, Some(&b.id), &[(5, 3)]).info;
    let sibling = completed(shelf, Some(&a.id), &[(0, 4)]).info;
    assert!(a.lineage.is_some() && a.lineage == b.lineage && b.lineage == sibling.lineage);
    assert_eq!(differing(shelf, &a.id, &b.id), [1, 9], "an identical rewrite is a change");
    assert_eq!(differing(shelf, &a.id, &c.id), [1, 5, 9]);
    assert_eq!(differing(shelf, &c.id, &sibling.id), [0, 1, 5, 9]);
    assert_eq!(differing(shelf, &a.id, &a.id), [0_u32; 0]);

    shelf.delete(&b.id).expect("delete the one in between");
    assert_eq!(differing(shelf, &a.id, &c.id), [1, 5, 9], "as before");
    holds(shelf, &c.id, &[(0, 1), (1, 1), (5, 3), (9, 2)]);
    shelf.delete(&a.id).expect("delete the root");
    assert_eq!(differing(shelf, &c.id, &sibling.id), [0, 1, 5, 9]);
    holds(shelf, &c.id, &[(0, 1), (1, 1), (5, 3), (9, 2)]);
    holds(shelf, &sibling.id, &[(0, 4), (1, 1), (5, 1)]);
    let stranger = completed(shelf, None, &[(0, 1)]).info;
    assert_ne!(stranger.lineage, c.lineage, "same bytes make no relation");
    for id in [&c.id, &sibling.id, &stranger.id] {
        shelf.delete(id).expect("delete");
    }
}

fn wrong_states_are_refused(shelf: &dyn ShelfWriter) {
    let done = completed(shelf, None, &[]).info.id;
    let pending = shelf.start(&grant(None)).expect("start").info.id;
    let unknown: SnapshotId = "snap-0ffffffffffffffff".parse().expect("an id");
    let at = BlockIndex::ZERO;
    assert_eq!(shelf.put(&done, at, &filled(1)).expect_err("completed").kind, Kind::Refused);
    assert_eq!(shelf.complete(&done).expect_err("completed").kind, Kind::Refused);
    assert_eq!(shelf.start(&grant(Some(&pending))).expect_err("pending parent").kind, Kind::Refused);
    assert_eq!(shelf.start(&grant(Some(&unknown))).expect_err("unknown parent").kind, Kind::NotFound);
    assert_eq!(shelf.put(&unknown, at, &filled(1)).expect_err("unknown").kind, Kind::NotFound);
    assert_eq!(shelf.delete(&unknown).expect_err("unknown").kind, Kind::NotFound);
    assert_eq!(shelf.window(&unknown, at, 1).expect_err("unknown").kind, Kind::NotFound);
    assert_eq!(shelf.read(&unknown, at).expect_err("unknown").kind, Kind::NotFound);
    for id in [&done, &pending] {
        shelf.delete(id).expect("delete");
    }
}

fn tags_come_and_go(shelf: &dyn ShelfWriter) {
    let id = completed(shelf, None, &[]).info.id;
    let tags = || shelf.find(&id).expect("find").expect("there").info.tags;
    let added = Tags::from([("a".into(), "2".into()), ("b".into(), "3".into())]);
    shelf.retag(&id, &|tags| tags.extend(added.clone())).expect("add");
    assert_eq!(tags(), added);
    shelf.retag(&id, &|tags| drop(tags.remove("a"))).expect("remove");
    assert_eq!(tags(), Tags::from([("b".into(), "3".into())]));
    shelf.delete(&id).expect("delete");
}

/// The snapshot holds exactly these blocks, in windows of any size.
#[track_caller]
fn holds(shelf: &dyn Shelf, id: &SnapshotId, blocks: &[(u32, u8)]) {
    for limit in [1, 2, 100] {
        let mut found = Vec::new();
        let mut from = BlockIndex::ZERO;
        loop {
            let window = shelf.window(id, from, limit).expect("window");
            let Some(last) = window.last() else { break };
            from = last.index.next().expect("not the last index of all");
            found.extend(window.iter().map(|entry| entry.index.get()));
        }
        assert!(found.iter().eq(blocks.iter().map(|(index, _)| index)), "windows of {limit}: {found:?}");
    }
    for (index, fill) in blocks {
        let content = shelf.read(id, BlockIndex::new(*index)).expect("read").expect("allocated");
        assert_eq!((content.digest, &content.bytes), (filled(*fill).digest, &filled(*fill).bytes));
    }
    assert!(shelf.read(id, BlockIndex::new(1999)).expect("read").is_none(), "absent");
}

fn differing(shelf: &dyn Shelf, first: &SnapshotId, second: &SnapshotId) -> Vec<u32> {
    let versions = |id| -> BTreeMap<_, _> {
        let window = shelf.window(id, BlockIndex::ZERO, 100).expect("window");
        window.into_iter().map(|Entry { index, version }| (index.get(), version)).collect()
    };
    let (a, b) = (versions(first), versions(second));
    let all: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).copied().collect();
    all.into_iter().filter(|index| a.get(index) != b.get(index)).collect()
}

//! What every implementation of this floor's traits must do, as checks that panic when it does not.
//!
//! Run by memory, by the AWS client against the local endpoint, and by whatever comes next. Completion may take
//! its time, so the suites poll for it, without limit: the caller's test harness has one.

use crate::block::{BlockIndex, Digest, GiB, LinearDigest};
use crate::fault::Kind;
use crate::snapshot::{BlockToken, NewSnapshot, PageToken, SnapshotId, SnapshotState, Written};
use crate::source::{
    Block, BlockService, BlockSink, BlockSource, Change, ChangeFeed, Cursor, Listed, SnapshotWriter,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A block filled with one byte: cheap to make, easy to tell apart.
pub fn filled(index: u32, fill: u8) -> Block {
    Block::hashed(BlockIndex::new(index), Bytes::from(vec![fill; 524_288]))
}

/// A plain 1 GiB snapshot on this parent.
pub fn request(parent: Option<&SnapshotId>) -> NewSnapshot {
    NewSnapshot {
        volume_size: GiB::try_from(1).unwrap_or_else(|_| unreachable!("1 GiB is a volume size")),
        parent: parent.cloned(),
        description: Some("conformance".into()),
        tags: BTreeMap::from([("suite".into(), "conformance".into())]),
        client_token: None,
        encrypted: None,
        kms_key_id: None,
        timeout_minutes: None,
    }
}

/// Starts a snapshot, writes the blocks, completes it and waits until it can be opened.
pub async fn written(
    service: &dyn BlockService,
    writer: &dyn SnapshotWriter,
    parent: Option<&SnapshotId>,
    blocks: &[Block],
) -> SnapshotId {
    let started = writer.start(&request(parent)).await.expect("start is accepted");
    assert_eq!(started.state, SnapshotState::Pending, "a started snapshot is pending");
    let by_index: BTreeMap<_, _> = blocks.iter().map(|block| (block.index(), block)).collect();
    for block in blocks {
        writer.put(&started.id, block).await.expect("put is accepted");
    }
    let mut linear = LinearDigest::new();
    by_index.values().for_each(|block| linear.push(&block.digest()));
    let whole = Written {
        blocks: u32::try_from(by_index.len()).expect("a handful of blocks"),
        checksum: linear.finish(),
    };
    writer.complete(&started.id, whole).await.expect("complete is accepted");
    opened(service, &started.id).await;
    started.id
}

/// Waits until the snapshot can be opened, as a client of AWS has to.
async fn opened(service: &dyn BlockService, id: &SnapshotId) -> Arc<dyn BlockSource> {
    loop {
        match service.open(id).await {
            Ok(source) => return source,
            Err(fault) if fault.kind == Kind::NotFound => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(fault) => panic!("{id} cannot be opened: {fault}"),
        }
    }
}

/// What is written is what is read: indexes, bytes, digests, inheritance, and the refusals around them.
pub async fn writing_and_reading(service: &dyn BlockService, writer: &dyn SnapshotWriter) {
    let blocks = [filled(9, 9), filled(0, 1), filled(2047, 3), filled(700, 0), filled(9, 4)];
    let id = written(service, writer, None, &blocks).await;
    let source = opened(service, &id).await;
    let held = BTreeMap::from([(0, 1), (9, 4), (700, 0), (2047, 3)]);
    reads(source.as_ref(), &held).await;
    listing_resumes_anywhere(source.as_ref()).await;
    foreign_tokens_are_refused(source.as_ref()).await;

    let child = written(service, writer, Some(&id), &[filled(9, 7), filled(10, 8)]).await;
    let inherited = BTreeMap::from([(0, 1), (9, 7), (10, 8), (700, 0), (2047, 3)]);
    reads(opened(service, &child).await.as_ref(), &inherited).await;
    reads(source.as_ref(), &held).await;

    let empty = written(service, writer, None, &[]).await;
    reads(opened(service, &empty).await.as_ref(), &BTreeMap::new()).await;

    let refused = writer.put(&id, &filled(1, 1)).await.expect_err("a completed snapshot takes no block");
    assert_eq!(refused.kind, Kind::Refused);
    a_wrong_count_never_completes(service, writer).await;
    let unknown: SnapshotId = "snap-0ffffffffffffffff".parse().expect("an id");
    let missing = service.open(&unknown).await.expect_err("there is no such snapshot");
    assert_eq!(missing.kind, Kind::NotFound);
}

/// The source holds exactly these blocks (index, fill).
async fn reads(source: &dyn BlockSource, held: &BTreeMap<u32, u8>) {
    let listed = listing(source, Cursor::start()).await;
    assert!(
        listed.iter().map(|block| block.index.get()).eq(held.keys().copied()),
        "the allocated blocks, ascending"
    );
    for block in &listed {
        let fetched = source.fetch(block).await.expect("a listed block can be fetched");
        assert_eq!(fetched.claimed, Digest::of(&fetched.bytes), "block {}", block.index);
        assert_eq!(fetched.bytes, vec![held[&block.index.get()]; 524_288], "block {}", block.index);
    }
}

/// Pages never overlap, never go backwards, and end; wherever the listing starts.
pub async fn listing_resumes_anywhere(source: &dyn BlockSource) {
    let whole: Vec<_> = listing(source, Cursor::start()).await.iter().map(|block| block.index).collect();
    assert!(whole.is_sorted_by(|a, b| a < b), "each index once, ascending");
    let beyond = BlockIndex::new(source.geometry().n_blocks());
    let around = whole.iter().flat_map(|index| [Some(*index), index.next()]).flatten();
    for from in around.chain([BlockIndex::ZERO, beyond]) {
        let rest: Vec<_> = listing(source, Cursor::at(from)).await.iter().map(|block| block.index).collect();
        let expected: Vec<_> = whole.iter().copied().filter(|index| *index >= from).collect();
        assert_eq!(rest, expected, "from {from}");
    }
}

async fn listing(source: &dyn BlockSource, mut cursor: Cursor) -> Vec<Listed> {
    let mut listed = Vec::new();
    loop {
        let page = source.list(cursor).await.expect("a page");
        listed.extend(page.entries);
        match page.next {
            Some(next) => cursor = next,
            None => return listed,
        }
    }
}

async fn foreign_tokens_are_refused(source: &dyn BlockSource) {
    let listed = listing(source, Cursor::start()).await;
    let crossed = Listed { index: listed[0].index, token: listed[1].token.clone() };
    for block in [crossed, Listed { index: listed[0].index, token: BlockToken::new("bm8") }] {
        let refused = source.fetch(&block).await.expect_err("a token opens its own block only");
        assert!(matches!(refused.kind, Kind::InvalidToken(_)), "{refused}");
    }
    let cursor = Cursor { from: BlockIndex::ZERO, token: Some(PageToken::new("bm9uZQ")) };
    let refused = source.list(cursor).await.expect_err("a made-up page token");
    assert!(matches!(refused.kind, Kind::InvalidToken(_)), "{refused}");
}

async fn a_wrong_count_never_completes(service: &dyn BlockService, writer: &dyn SnapshotWriter) {
    let id = writer.start(&request(None)).await.expect("start").id;
    writer.put(&id, &filled(0, 1)).await.expect("put");
    let wrong = Written { blocks: 2, checksum: Digest::ZERO_BLOCK };
    writer.complete(&id, wrong).await.expect("the answer comes before the verdict");
    for _ in 0..50 {
        assert_eq!(service.open(&id).await.expect_err("it must not become readable").kind, Kind::NotFound);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Changed means written: versions decide, not bytes; in either order, across siblings, with empty pages.
pub async fn change_feeds(service: &dyn BlockService, writer: &dyn SnapshotWriter) {
    let base: Vec<_> = (0..6).map(|index| filled(index * 100, 1)).collect();
    let a = written(service, writer, None, &base).await;
    let b = written(service, writer, Some(&a), &[filled(100, 1), filled(300, 2), filled(301, 3)]).await;
    let c = written(service, writer, Some(&b), &[filled(301, 4)]).await;
    let sibling = written(service, writer, Some(&a), &[filled(500, 5)]).await;
    let stranger = written(service, writer, None, &[filled(0, 1)]).await;

    changes(service, &a, &b, &[(100, true, true), (300, true, true), (301, false, true)]).await;
    changes(service, &b, &a, &[(100, true, true), (300, true, true), (301, true, false)]).await;
    changes(service, &b, &c, &[(301, true, true)]).await;
    changes(service, &a, &c, &[(100, true, true), (300, true, true), (301, false, true)]).await;
    let apart = [(100, true, true), (300, true, true), (301, true, false), (500, true, true)];
    changes(service, &c, &sibling, &apart).await;
    changes(service, &a, &a, &[]).await;
    let feed = service.compare(&a, &stranger);
    let unrelated = feed.changes(Cursor::start()).await.expect_err("no lineage in common");
    assert_eq!(unrelated.kind, Kind::Unrelated);
}

async fn changes(
    service: &dyn BlockService,
    first: &SnapshotId,
    second: &SnapshotId,
    expected: &[(u32, bool, bool)],
) {
    let feed = service.compare(first, second);
    let found = walk(feed.as_ref(), Cursor::start()).await;
    let shape: Vec<_> =
        found.iter().map(|c| (c.index.get(), c.first.is_some(), c.second.is_some())).collect();
    assert_eq!(shape, expected, "{first} to {second}");
    for change in &found {
        let rest = walk(feed.as_ref(), Cursor::at(change.index)).await;
        assert_eq!(
            rest.first().map(|change| change.index),
            Some(change.index),
            "resumed at {}",
            change.index
        );
        // A token of the comparison opens the block in the snapshot it belongs to.
        for (id, token) in [(first, &change.first), (second, &change.second)] {
            let Some(token) = token else { continue };
            let source = opened(service, id).await;
            let listed = Listed { index: change.index, token: token.clone() };
            let fetched = source.fetch(&listed).await.expect("a changed block can be fetched");
            assert_eq!(fetched.claimed, Digest::of(&fetched.bytes));
        }
    }
}

async fn walk(feed: &dyn ChangeFeed, mut cursor: Cursor) -> Vec<Change> {
    let mut found = Vec::new();
    loop {
        let page = feed.changes(cursor).await.expect("a page");
        found.extend(page.entries);
        match page.next {
            Some(next) => cursor = next,
            None => return found,
        }
    }
}

/// A sink holds what was last written to it, in any order; `read` gives a block back.
pub fn sink(sink: &dyn BlockSink, read: impl Fn(BlockIndex) -> Option<Bytes>) {
    for block in [filled(5, 1), filled(2, 2), filled(5, 1), filled(2047, 3), filled(0, 0), filled(2, 9)] {
        sink.write(&block).expect("a block is taken");
    }
    sink.sync().expect("sync");
    for (index, fill) in [(0, 0), (2, 9), (5, 1), (2047, 3)] {
        let held = read(BlockIndex::new(index)).expect("a written block is there");
        assert_eq!(held, vec![fill; 524_288], "block {index}");
    }
}

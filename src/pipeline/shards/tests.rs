//! Walks in pieces against the walk from front to back.

use super::*;
use crate::block::Digest;
use crate::fault::{Kind, TokenKind};
use crate::pipeline::Engine;
use crate::snapshot::{PageToken, SnapshotId};
use crate::source::memory::MemoryService;
use crate::source::{Block, BlockService, Change, Listed};
use bytes::Bytes;
use futures_util::future::{FutureExt, ready};
use proptest::collection::btree_set;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn gib() -> GiB {
    GiB::try_from(1).unwrap()
}

/// What is in the blocks is of no interest here, so they share their bytes and nothing is hashed.
fn blocks(indexes: &BTreeSet<u32>) -> impl Iterator<Item = Block> {
    let bytes = Bytes::from(vec![0; 524_288]);
    let block = move |index: &u32| Block::vouched(BlockIndex::new(*index), Digest::ZERO_BLOCK, bytes.clone());
    indexes.iter().map(block).collect::<Vec<_>>().into_iter()
}

/// A listing with bad days: every so many of its pages are empty, every so many of its tokens have expired.
struct Moody<L> {
    list: L,
    empty: usize,
    expired: usize,
    calls: AtomicUsize,
}

impl<'s, T: Send + 'static, L> Moody<L>
where
    L: Fn(Cursor) -> BoxFuture<'s, Result<Page<T>, Fault>>,
{
    fn page(&self, cursor: Cursor) -> BoxFuture<'s, Result<Page<T>, Fault>> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if cursor.token.is_some() && call.is_multiple_of(self.expired) {
            let at = crate::fault::Place::Service;
            return ready(Err(Fault::new(Kind::InvalidToken(TokenKind::Page), at, "expired"))).boxed();
        }
        if call.is_multiple_of(self.empty) {
            // The memory's tokens are positions.
            let token = cursor.token.unwrap_or_else(|| PageToken::new(cursor.from.to_string()));
            let next = Some(Cursor { from: cursor.from, token: Some(token) });
            return ready(Ok(Page { entries: Vec::new(), next, volume_size: None, max_entries: None }))
                .boxed();
        }
        (self.list)(cursor)
    }
}

/// What the walk yields, by piece and page, as numbers; the pages asked for.
fn walked<T: Entry + Send + 'static>(
    source: impl Fn(Cursor) -> BoxFuture<'static, Result<Page<T>, Fault>> + Send + Sync,
    (empty, expired): (usize, usize),
    n_blocks: Option<u32>,
    cutting: Cutting,
) -> (Vec<T>, u64) {
    let moody = Moody { list: source, empty, expired, calls: AtomicUsize::new(0) };
    let engine = Engine::for_tests();
    let walk = Walk::new(&engine, crate::fault::Place::Service, BlockIndex::ZERO);
    let mut found = Vec::new();
    let walking = walk_in_shards(
        walk,
        n_blocks,
        cutting,
        |cursor| moody.page(cursor),
        |page: Vec<T>| {
            assert!(page.is_sorted_by(|a, b| a.index() < b.index()), "a page is ascending");
            found.extend(page);
        },
    );
    to_its_end(walking).unwrap();
    (found, engine.requests().list)
}

/// Runs it in time of its own.
fn to_its_end<T>(walking: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(walking)
}

fn in_one_piece() -> Cutting {
    Cutting { most: 1, ..Cutting::USUAL }
}

fn cutting() -> impl Strategy<Value = Cutting> {
    (1..12_usize, 0..5_usize, 1..20_u64).prop_map(|(most, full, pages_a_cut)| Cutting {
        most,
        full,
        pages_a_cut,
    })
}

fn lister(
    service: &MemoryService,
    id: &SnapshotId,
) -> impl Fn(Cursor) -> BoxFuture<'static, Result<Page<Listed>, Fault>> {
    let source = service.open(id).now_or_never().unwrap().unwrap();
    move |cursor| {
        let source = source.clone();
        async move { source.list(cursor).await }.boxed()
    }
}

fn changes(
    service: &MemoryService,
    first: &SnapshotId,
    second: &SnapshotId,
) -> impl Fn(Cursor) -> BoxFuture<'static, Result<Page<Change>, Fault>> {
    let feed = service.compare(first, second);
    move |cursor| {
        let feed = feed.clone();
        async move { feed.changes(cursor).await }.boxed()
    }
}

#[expect(clippy::disallowed_methods, reason = "how many cases to try is the tester's")]
fn cases() -> u32 {
    std::env::var("ICECORE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_pieces_the_listing_is_the_same(
        indexes in btree_set(0..2048_u32, 0..400),
        page in 1..40_usize,
        moods in (2..9_usize, 2..9_usize),
        n_blocks in 1..4096_u32,
        cutting in cutting(),
    ) {
        let service = MemoryService::new(page);
        let id = service.add(gib(), None, blocks(&indexes));
        let list = lister(&service, &id);
        let (mut found, _) = walked(&list, moods, Some(n_blocks), cutting);
        let (front_to_back, _) = walked(&list, (usize::MAX, usize::MAX), None, in_one_piece());
        // Pieces come in between each other; sorting takes nothing away, so each index came once.
        found.sort_by_key(|listed| listed.index);
        prop_assert_eq!(found, front_to_back);
    }

    #[test]
    fn whatever_the_pieces_the_changes_are_the_same(
        base in btree_set(0..2048_u32, 0..400),
        edits in btree_set(0..2048_u32, 0..200),
        page in 1..40_usize,
        moods in (2..9_usize, 2..9_usize),
        n_blocks in 1..4096_u32,
        cutting in cutting(),
    ) {
        let service = MemoryService::new(page);
        let first = service.add(gib(), None, blocks(&base));
        let second = service.add(gib(), Some(&first), blocks(&edits));
        let list = changes(&service, &first, &second);
        let (mut found, _) = walked(&list, moods, Some(n_blocks), cutting);
        let (front_to_back, _) = walked(&list, (usize::MAX, usize::MAX), None, in_one_piece());
        found.sort_by_key(|change| change.index);
        let indexes: Vec<_> = found.iter().map(|change| change.index.get()).collect();
        prop_assert_eq!(indexes, edits.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(found, front_to_back);
    }

    #[test]
    fn a_listing_that_is_stopped_again_and_again_loses_nothing_and_repeats_nothing(
        indexes in btree_set(0..2048_u32, 0..400),
        page in 1..40_usize,
        allowed in 1..12_usize,
        cutting in cutting(),
    ) {
        let service = MemoryService::new(page);
        let id = service.add(gib(), None, blocks(&indexes));
        let list = lister(&service, &id);
        let (mut left, mut found, mut stops) = (Left::all(), Vec::new(), 0);
        while !left.is_none() {
            let calls = AtomicUsize::new(0);
            let rationed = |cursor| match calls.fetch_add(1, Ordering::Relaxed) < allowed {
                true => list(cursor),
                false => ready(Err(Fault::new(Kind::Suspended, crate::fault::Place::Service, "stop"))).boxed(),
            };
            let engine = Engine::for_tests();
            let walk = Walk::new(&engine, crate::fault::Place::Service, left.start());
            let take = |page: Vec<Listed>| found.extend(page.iter().map(|listed| listed.index.get()));
            let walking = walk_what_is_left(walk, &mut left, Some(2048), cutting, rationed, take);
            let ended = to_its_end(walking);
            prop_assert_eq!(ended.is_ok(), left.is_none());
            stops += 1;
        }
        let fewest = indexes.len().div_ceil(page);
        // Pieces that end before their end cost a page each, now as without stops.
        prop_assert!(stops <= (2 * fewest).div_ceil(allowed) + 2, "{} stops of {} pages", stops, fewest);
        found.sort_unstable();
        prop_assert_eq!(found, indexes.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn pieces_cost_two_percent_more_at_most(
        indexes in btree_set(0..2048_u32, 200..1800),
        page in 1..8_usize,
    ) {
        let service = MemoryService::new(page);
        let id = service.add(gib(), None, blocks(&indexes));
        let list = lister(&service, &id);
        let cutting = Cutting { full: 1, ..Cutting::USUAL };
        let (_, asked) = walked(&list, (usize::MAX, usize::MAX), Some(2048), cutting);
        let fewest = indexes.len().div_ceil(page) as u64;
        // Estimates err where blocks lie unevenly: one cut in hand for that.
        prop_assert!(asked <= fewest + fewest / 50 + 2, "{} pages instead of {}", asked, fewest);
    }
}

/// A volume that is full: pages of `page` entries, each after 100 ms.
fn slow(n_blocks: u32, page: u32) -> impl Fn(Cursor) -> BoxFuture<'static, Result<Page<Listed>, Fault>> {
    move |cursor| {
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let end = n_blocks.min(cursor.from.get() + page);
            let listed = |index| Listed {
                index: BlockIndex::new(index),
                token: crate::snapshot::BlockToken::new("t"),
            };
            let next = (end < n_blocks)
                .then(|| Cursor { from: BlockIndex::new(end), token: Some(PageToken::new("next")) });
            let entries = (cursor.from.get()..end).map(listed).collect();
            Ok(Page { entries, next, volume_size: None, max_entries: None })
        }
        .boxed()
    }
}

async fn pages_and_seconds(n_blocks: u32, per_second: Option<u32>) -> (u64, f64) {
    let open = crate::pipeline::Settings::open(std::path::PathBuf::new());
    let settings = crate::pipeline::Settings { lists_per_second: per_second, ..open };
    let engine =
        Engine::new(settings, std::sync::Arc::new(crate::monitor::Silent), crate::pipeline::Stop::new());
    let walk = Walk::new(&engine, crate::fault::Place::Service, BlockIndex::ZERO);
    let (start, mut blocks) = (tokio::time::Instant::now(), 0);
    let list = slow(n_blocks, 10_000);
    let cutting = Cutting::USUAL;
    let take = |page: Vec<Listed>| blocks += page.len();
    walk_in_shards(walk, Some(n_blocks), cutting, list, take).await.unwrap();
    assert_eq!(blocks, n_blocks as usize);
    (engine.requests().list, start.elapsed().as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn a_walk_that_is_dropped_has_said_what_is_left() {
    let (n_blocks, page, engine) = (400, 4, Engine::for_tests());
    let cutting = Cutting { most: 5, full: 1, pages_a_cut: 10 };
    let (mut left, mut found) = (Left::all(), Vec::new());
    while !left.is_none() {
        let walk = Walk::new(&engine, crate::fault::Place::Service, left.start());
        let take = |page: Vec<Listed>| found.extend(page.iter().map(|listed| listed.index.get()));
        let list = slow(n_blocks, page);
        let walking = walk_what_is_left(walk, &mut left, Some(n_blocks), cutting, list, take);
        // Two pages for the first piece, one more is lost on its way.
        let _ = tokio::time::timeout(Duration::from_millis(250), walking).await;
    }
    found.sort_unstable();
    assert_eq!(found, (0..n_blocks).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn two_tebibytes_are_listed_as_fast_as_the_quota_lets() {
    let n_blocks = 4 << 20;
    let (pages, seconds) = pages_and_seconds(n_blocks, Some(50)).await;
    assert_eq!(pages, 420, "a full volume is cut between pages");
    assert!(seconds < 10.0, "{seconds} s; 42 s from front to back");
}

#[tokio::test(start_paused = true)]
async fn a_small_listing_is_left_in_one_piece() {
    let (pages, seconds) = pages_and_seconds(45 * 10_000, None).await;
    assert_eq!((pages, seconds.round()), (45, 5.0));
}

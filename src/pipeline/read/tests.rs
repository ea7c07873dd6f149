//! The reader over sources with bad days.

use super::*;
use crate::block::GiB;
use crate::fault::Scope;
use crate::monitor::Recorder;
use crate::pipeline::{Settings, Stop};
use crate::source::BlockService;
use crate::source::conformance::filled;
use crate::source::faulty::{Faulty, Trouble};
use crate::source::memory::{MemoryService, MemorySink};
use crate::source::recorded::{Call, Recorded};
use std::path::PathBuf;

const BLOCKS: u32 = 40;

async fn source() -> Arc<dyn BlockSource> {
    let service = MemoryService::new(7);
    let blocks = (0..BLOCKS).map(|index| filled(index * 2, u8::try_from(index).unwrap()));
    let id = service.add(GiB::try_from(1).unwrap(), None, blocks);
    service.open(&id).await.unwrap()
}

fn all() -> Which {
    Which::AllBut(BlockSet::new())
}

#[track_caller]
fn assert_whole(sink: &MemorySink) {
    let blocks = sink.blocks();
    assert_eq!(blocks.len(), BLOCKS as usize);
    for (index, block) in blocks {
        assert_eq!(u32::from(block.bytes()[0]) * 2, index.get());
    }
}

#[tokio::test(start_paused = true)]
async fn every_listed_block_arrives_once_with_the_fewest_requests() {
    let recorded = Arc::new(Recorded::new(source().await));
    let sink = Arc::new(MemorySink::default());
    let engine = Engine::for_tests();
    let read = read(&engine, recorded.clone(), all(), sink.clone()).await.unwrap();
    assert_whole(&sink);
    assert_eq!((read.delivered, read.listed.len()), (u64::from(BLOCKS), u64::from(BLOCKS)));
    let fetches = recorded.calls().iter().filter(|call| matches!(call, Call::Fetch(_))).count();
    assert_eq!((fetches, recorded.calls().len()), (BLOCKS as usize, BLOCKS as usize + 6));
    assert_eq!((engine.requests().get, engine.requests().list), (u64::from(BLOCKS), 6));
}

#[tokio::test(start_paused = true)]
async fn trouble_on_the_way_changes_nothing_in_what_arrives() {
    let faulty = Faulty::new(source().await)
        .fetching(BlockIndex::new(0), [Trouble::FlipsABit, Trouble::EndsEarly, Trouble::Fails(Kind::Service)])
        .fetching(BlockIndex::new(8), [Trouble::Fails(Kind::Throttled(Scope::Snapshot)); 5])
        .fetching(BlockIndex::new(78), [Trouble::Fails(Kind::Timeout), Trouble::FlipsABit])
        .fetching(BlockIndex::new(4), [Trouble::Fails(Kind::InvalidToken(TokenKind::Block))])
        .listing([Kind::Unreachable, Kind::Throttled(Scope::Account)]);
    let sink = Arc::new(MemorySink::default());
    let engine = Engine::for_tests();
    read(&engine, Arc::new(faulty), all(), sink.clone()).await.unwrap();
    assert_whole(&sink);
    assert_eq!(engine.requests().throttled, 6);
}

#[tokio::test(start_paused = true)]
async fn a_block_that_stays_wrong_is_never_delivered() {
    let faulty = Faulty::new(source().await).fetching(BlockIndex::new(8), [Trouble::FlipsABit; 100]);
    let sink = Arc::new(MemorySink::default());
    let fault = read(&Engine::for_tests(), Arc::new(faulty), all(), sink.clone()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Corrupt);
    assert!(fault.to_string().starts_with("block 8 of snap-"), "{fault}");
    assert!(!sink.blocks().contains_key(&BlockIndex::new(8)));
}

#[tokio::test(start_paused = true)]
async fn denied_ends_the_run_at_once() {
    let denied = Trouble::Fails(Kind::Denied);
    let faulty = Faulty::new(source().await).fetching(BlockIndex::new(8), [denied; 100]);
    let engine = Engine::for_tests();
    let fault = read(&engine, Arc::new(faulty), all(), Arc::new(MemorySink::default())).await.unwrap_err();
    assert_eq!((fault.kind, engine.requests().retried), (Kind::Denied, 0));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_deleted_on_the_way_has_vanished() {
    let gone = Trouble::Fails(Kind::NotFound);
    let faulty = Faulty::new(source().await).fetching(BlockIndex::new(8), [gone]);
    let fault = read(&Engine::for_tests(), Arc::new(faulty), all(), Arc::new(MemorySink::default()))
        .await
        .unwrap_err();
    assert_eq!(fault.kind, Kind::Vanished);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_listed_but_not_fetched() {
    let recorded = Arc::new(Recorded::new(source().await));
    let done: BlockSet = (0..20).map(|index| BlockIndex::new(index * 2)).collect();
    let sink = Arc::new(MemorySink::default());
    let which = Which::AllBut(done.clone());
    let read = read(&Engine::for_tests(), recorded.clone(), which, sink.clone()).await.unwrap();
    assert_eq!((read.delivered, read.listed.len()), (20, 40));
    assert!(recorded.calls().iter().all(|call| match call {
        Call::Fetch(index) => !done.contains(*index),
        Call::List { .. } => true,
    }));
}

#[tokio::test(start_paused = true)]
async fn a_few_of_many_are_read_without_the_pages_between() {
    let recorded = Arc::new(Recorded::new(source().await));
    let wanted: BlockSet = [2, 4, 40, 78, 79].into_iter().map(BlockIndex::new).collect();
    let sink = Arc::new(MemorySink::default());
    let which = Which::Only(wanted);
    let read = read(&Engine::for_tests(), recorded.clone(), which, sink.clone()).await.unwrap();
    let there: Vec<_> = sink.blocks().keys().map(|index| index.get()).collect();
    assert_eq!((there, read.delivered), (vec![2, 4, 40, 78], 4));
    let lists = recorded.calls().iter().filter(|call| matches!(call, Call::List { .. })).count();
    assert_eq!(lists, 3, "of six pages");
    let none = Which::Only(BlockSet::new());
    let read = super::read(&Engine::for_tests(), recorded, none, sink).await.unwrap();
    assert_eq!(read.delivered, 0);
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_one_block_and_one_in_flight_still_reads_all() {
    let settings =
        Settings { concurrency: Some(1), memory: BlockSize::EBS.of(1), ..Settings::open(PathBuf::new()) };
    let recorder = Arc::new(Recorder::default());
    let engine = Engine::new(settings, recorder.clone(), Stop::new());
    let sink = Arc::new(MemorySink::default());
    read(&engine, source().await, all(), sink.clone()).await.unwrap();
    assert_whole(&sink);
    let done = recorder.events().into_iter().filter_map(|event| match event {
        Event::Done { blocks, .. } => Some(blocks),
        _ => None,
    });
    assert_eq!(done.sum::<u64>(), u64::from(BLOCKS));
}

/// Holds every block it is given until it is told to go on, and knows the most it ever held.
#[derive(Debug, Default)]
struct Hoarding {
    held: std::sync::Mutex<(usize, usize)>,
}

impl Hoarding {
    fn change(&self, by: isize) {
        let mut held = self.held.lock().unwrap();
        held.0 = held.0.checked_add_signed(by).unwrap();
        held.1 = held.1.max(held.0);
    }
}

#[derive(Debug)]
struct Counting {
    inner: Arc<dyn BlockSource>,
    bodies: Arc<Hoarding>,
}

impl BlockSource for Counting {
    fn place(&self) -> Place {
        self.inner.place()
    }

    fn geometry(&self) -> crate::block::Geometry {
        self.inner.geometry()
    }

    fn list(
        &self,
        cursor: Cursor,
    ) -> futures_util::future::BoxFuture<'_, Result<crate::source::Page<Listed>, Fault>> {
        self.inner.list(cursor)
    }

    fn fetch<'a>(&'a self, block: &'a Listed) -> futures_util::future::BoxFuture<'a, Result<Fetched, Fault>> {
        self.bodies.change(1);
        self.inner.fetch(block)
    }
}

impl BlockSink for Counting {
    fn write(&self, _: &crate::source::Block) -> Result<(), Fault> {
        self.bodies.change(-1);
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn blocks_fetched_and_not_delivered_stay_within_the_budget() {
    let settings =
        Settings { concurrency: Some(32), memory: BlockSize::EBS.of(5), ..Settings::open(PathBuf::new()) };
    let engine = Engine::new(settings, Arc::new(Recorder::default()), Stop::new());
    let bodies = Arc::new(Hoarding::default());
    let counting = Arc::new(Counting { inner: source().await, bodies: bodies.clone() });
    read(&engine, counting.clone(), all(), counting).await.unwrap();
    let (left, most) = *bodies.held.lock().unwrap();
    assert_eq!((left, most), (0, 5), "all delivered, and never more than the budget between");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_reading() {
    let engine = Engine::for_tests();
    engine.stop.request();
    let fault = read(&engine, source().await, all(), Arc::new(MemorySink::default())).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Interrupted);
}

//! Tokens that expire on the way: the endpoint's clock is moved while a client walks.

use crate::lab::session;
use futures_util::future::BoxFuture;
use icecore::aws::Deadlines;
use icecore::block::{BlockIndex, BlockSet, Geometry};
use icecore::ebs::Ebs;
use icecore::endpoint::{Config, Running, Shelves, start};
use icecore::fault::{Fault, Place};
use icecore::monitor::{ManualClock, Silent};
use icecore::pipeline::{Engine, Settings, Stop, Which, block_map, read};
use icecore::snapshot::{SnapshotId, UnixMillis};
use icecore::source::memory::MemorySink;
use icecore::source::{BlockService, BlockSource, Change, ChangeFeed, Cursor, Fetched, Listed, Page};
use icecore::synthetic::{Recipe, SyntheticShelf};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A volume of 2048 blocks in 512 windows, with two generations, behind an endpoint whose clock is moved by hand.
struct Served {
    running: Running,
    clock: Arc<ManualClock>,
    ebs: Ebs,
    ids: [SnapshotId; 2],
}

impl Served {
    async fn new(every: u32) -> Self {
        let numbers = |n| NonZeroU32::new(n).unwrap();
        let recipe =
            Recipe { seed: 1, size: 1.try_into().unwrap(), first: numbers(every), edits: numbers(2 * every) };
        let shelf = Arc::new(SyntheticShelf::new(vec![(recipe, 2)]));
        let clock = Arc::new(ManualClock::at(UnixMillis(1_790_068_104_246)));
        let config = Config { clock: clock.clone(), ..Config::default() };
        let running = start(config, Shelves::read_only(shelf)).await.unwrap();
        let ebs = Ebs::new(&session(&running.url(), Deadlines::default())).with_pages_of(100);
        Self { running, clock, ebs, ids: [SyntheticShelf::id(0, 0), SyntheticShelf::id(0, 1)] }
    }

    async fn aging(&self, by: Duration, pages: u32) -> Arc<Aging> {
        let inner = self.ebs.open(&self.ids[1]).await.unwrap();
        let (clock, left) = (self.clock.clone(), AtomicU32::new(pages));
        Arc::new(Aging { inner, clock, by, left, fetched: Mutex::default() })
    }
}

/// A source that grows older with every page, for so many of them.
#[derive(Debug)]
struct Aging {
    inner: Arc<dyn BlockSource>,
    clock: Arc<ManualClock>,
    by: Duration,
    left: AtomicU32,
    fetched: Mutex<Vec<BlockIndex>>,
}

impl Aging {
    fn age(&self) {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            self.clock.advance(self.by);
        }
    }
}

impl BlockSource for Aging {
    fn place(&self) -> Place {
        self.inner.place()
    }

    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }

    fn list(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Listed>, Fault>> {
        Box::pin(async {
            let page = self.inner.list(cursor).await?;
            self.age();
            Ok(page)
        })
    }

    fn fetch<'a>(&'a self, block: &'a Listed) -> BoxFuture<'a, Result<Fetched, Fault>> {
        Box::pin(async {
            let fetched = self.inner.fetch(block).await?;
            self.fetched.lock().unwrap().push(block.index);
            Ok(fetched)
        })
    }
}

/// A feed that grows older with every page.
#[derive(Debug)]
struct AgingFeed {
    inner: Arc<dyn ChangeFeed>,
    clock: Arc<ManualClock>,
    by: Duration,
}

impl ChangeFeed for AgingFeed {
    fn place(&self) -> Place {
        self.inner.place()
    }

    fn changes(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Change>, Fault>> {
        Box::pin(async {
            let page = self.inner.changes(cursor).await?;
            self.clock.advance(self.by);
            Ok(page)
        })
    }
}

/// Opens one snapshot as it ages.
#[derive(Debug)]
struct AgingService {
    source: Arc<Aging>,
    feed: Arc<AgingFeed>,
}

impl BlockService for AgingService {
    fn open<'a>(&'a self, _: &'a SnapshotId) -> BoxFuture<'a, Result<Arc<dyn BlockSource>, Fault>> {
        Box::pin(async { Ok(self.source.clone() as Arc<dyn BlockSource>) })
    }

    fn compare(&self, _: &SnapshotId, _: &SnapshotId) -> Arc<dyn ChangeFeed> {
        self.feed.clone()
    }
}

fn engine() -> Engine {
    Engine::new(Settings::open(PathBuf::new()), Arc::new(Silent), Stop::new())
}

#[tokio::test]
async fn a_page_token_is_good_for_59_minutes_and_replaced_after_61() {
    let served = Served::new(3).await;
    let right = block_map(&engine(), served.ebs.open(&served.ids[1]).await.unwrap().as_ref()).await.unwrap();
    let pages = right.len().div_ceil(100);
    assert!(pages > 6, "{pages}");
    for (by, requests) in [(59 * MINUTE, pages), (61 * MINUTE, 2 * pages - 1)] {
        let aging = served.aging(by, u32::MAX).await;
        let before = served.running.counts().of("ListSnapshotBlocks");
        let seen = block_map(&engine(), aging.as_ref()).await.unwrap();
        assert_eq!(seen, right, "nothing lost, after {by:?} a page");
        // The first page was asked for when the snapshot was opened.
        assert_eq!(served.running.counts().of("ListSnapshotBlocks") - before, requests - 1);
    }
}

#[tokio::test]
async fn changes_are_walked_on_when_their_page_token_has_expired() {
    use icecore::ops::{Services, diff};
    let served = Served::new(3).await;
    let options = diff::Options { snapshots: served.ids.to_vec(), content: false };
    let services = |blocks| Services {
        label: "test".into(),
        identity: icecore::aws::Identity::named("test"),
        blocks,
        writer: Arc::new(served.ebs.clone()),
        snapshots: None,
        control: None,
        max_usd: None,
    };
    let plain = services(Arc::new(served.ebs.clone()) as Arc<dyn BlockService>);
    let right = diff::run(&options, &plain, &engine()).await.unwrap().steps.remove(0).delta;
    assert!(right.len() > 300, "{}", right.len());
    let pages = served.running.counts().of("ListChangedBlocks");
    for (by, requests) in [(59 * MINUTE, pages), (61 * MINUTE, 2 * pages - 1)] {
        let feed = AgingFeed {
            inner: served.ebs.compare(&served.ids[0], &served.ids[1]),
            clock: served.clock.clone(),
            by,
        };
        let source = served.aging(Duration::ZERO, 0).await;
        let aging = services(Arc::new(AgingService { source, feed: Arc::new(feed) }));
        let before = served.running.counts().of("ListChangedBlocks");
        let delta = diff::run(&options, &aging, &engine()).await.unwrap().steps.remove(0).delta;
        assert_eq!(delta, right);
        assert_eq!(served.running.counts().of("ListChangedBlocks") - before, requests);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn block_tokens_that_expired_are_listed_again_and_every_block_read_once() {
    let served = Served::new(32).await;
    let open = served.ebs.open(&served.ids[1]).await.unwrap();
    let right = Arc::new(MemorySink::default());
    read(&engine(), open, Which::AllBut(BlockSet::new()), right.clone()).await.unwrap();
    let right = right.blocks();
    assert!(right.len() > 64, "{}", right.len());

    // The first page's tokens, and no others, are eight days old when they are used.
    let aging = served.aging(8 * DAY, 1).await;
    let before = served.running.counts().of("GetSnapshotBlock");
    let sink = Arc::new(MemorySink::default());
    read(&engine(), aging.clone(), Which::AllBut(BlockSet::new()), sink.clone()).await.unwrap();
    let read = sink.blocks();
    assert!(right.iter().zip(&read).all(|(a, b)| a.0 == b.0 && a.1.digest() == b.1.digest()));
    assert_eq!(read.len(), right.len());
    let mut fetched = aging.fetched.lock().unwrap().clone();
    fetched.sort();
    assert_eq!(fetched, right.keys().copied().collect::<Vec<_>>(), "each once, and none lost");
    let asked = usize::try_from(served.running.counts().of("GetSnapshotBlock") - before).unwrap();
    assert!(asked > fetched.len(), "some tokens had expired");
}

//! The engine over a source in memory, in virtual time.

use futures_util::future::BoxFuture;
use icecore::block::{BlockIndex, BlockSet, Digest, Geometry, GiB};
use icecore::fault::{Fault, Kind, Place, Scope};
use icecore::monitor::Silent;
use icecore::pipeline::{Engine, Settings, Stop, Which, read};
use icecore::snapshot::BlockToken;
use icecore::source::{Block, BlockSink, BlockSource, Cursor, Fetched, Listed, Page};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// What a fetch meets. Called with the block and how often it was asked for, from 1.
type Weather = Box<dyn Fn(u32, u32) -> Result<Damage, Fault> + Send + Sync>;

#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    FlippedBit(usize),
    CutAt(usize),
    OneMore,
    OtherClaim,
}

/// Blocks that take no room: each is one of sixteen, and says which in every byte.
struct Weathered {
    n_blocks: u32,
    fills: Vec<(bytes::Bytes, Digest)>,
    weather: Weather,
    latency: Duration,
    asked: Mutex<BTreeMap<u32, u32>>,
}

impl std::fmt::Debug for Weathered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weathered").field("n_blocks", &self.n_blocks).finish_non_exhaustive()
    }
}

const LATENCY: Duration = Duration::from_millis(20);

impl Weathered {
    fn new(
        n_blocks: u32,
        weather: impl Fn(u32, u32) -> Result<Damage, Fault> + Send + Sync + 'static,
    ) -> Self {
        let fill = |byte: u8| {
            let bytes = bytes::Bytes::from(vec![byte; 524_288]);
            (bytes.clone(), Digest::of(&bytes))
        };
        let fills = (1..=16).map(fill).collect();
        Self { n_blocks, fills, weather: Box::new(weather), latency: LATENCY, asked: Mutex::default() }
    }

    fn fill(&self, index: u32) -> &(bytes::Bytes, Digest) {
        &self.fills[index as usize % self.fills.len()]
    }

    fn asked(&self, index: u32) -> u32 {
        self.asked.lock().unwrap().get(&index).copied().unwrap_or(0)
    }

    fn fetched(&self, index: u32) -> Result<Fetched, Fault> {
        let nth = {
            let mut asked = self.asked.lock().unwrap();
            let nth = asked.entry(index).or_default();
            *nth += 1;
            *nth
        };
        let damage = (self.weather)(index, nth)?;
        let (bytes, claimed) = self.fill(index).clone();
        Ok(match damage {
            Damage::None => Fetched { bytes, claimed },
            Damage::FlippedBit(bit) => {
                let mut bytes = bytes.to_vec();
                bytes[bit / 8 % 524_288] ^= 1 << (bit % 8);
                Fetched { bytes: bytes.into(), claimed }
            }
            Damage::CutAt(length) => Fetched { bytes: bytes.slice(..length % 524_288), claimed },
            Damage::OneMore => Fetched { bytes: [bytes.as_ref(), &[0]].concat().into(), claimed },
            Damage::OtherClaim => Fetched { bytes, claimed: self.fill(index + 1).1 },
        })
    }
}

impl BlockSource for Weathered {
    fn place(&self) -> Place {
        Place::Snapshot("snap-0abc".parse().unwrap())
    }

    fn geometry(&self) -> Geometry {
        Geometry::ebs(GiB::try_from(1).unwrap())
    }

    fn list(&self, _: Cursor) -> BoxFuture<'_, Result<Page<Listed>, Fault>> {
        let listed = |index| Listed { index: BlockIndex::new(index), token: BlockToken::new("token") };
        let entries = (0..self.n_blocks).map(listed).collect();
        Box::pin(async { Ok(Page { entries, next: None, volume_size: None, max_entries: None }) })
    }

    fn fetch<'a>(&'a self, block: &'a Listed) -> BoxFuture<'a, Result<Fetched, Fault>> {
        Box::pin(async {
            tokio::time::sleep(self.latency).await;
            self.fetched(block.index.get())
        })
    }
}

/// Holds what it is given against what is right, and keeps nothing.
#[derive(Debug, Default)]
struct Judge {
    delivered: AtomicU64,
    seen: Mutex<BlockSet>,
}

impl BlockSink for Judge {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        let right = u8::try_from(block.index().get() % 16 + 1).unwrap();
        assert!(block.bytes().len() == 524_288 && block.bytes().iter().all(|byte| *byte == right));
        self.delivered.fetch_add(1, Ordering::Relaxed);
        assert!(self.seen.lock().unwrap().insert(block.index()), "{} twice", block.index());
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }
}

fn engine() -> Engine {
    Engine::new(Settings::open(PathBuf::new()), Arc::new(Silent), Stop::new())
}

async fn read_all(source: &Arc<Weathered>, engine: &Engine) -> (Result<(), Fault>, Arc<Judge>) {
    let judge = Arc::new(Judge::default());
    let all = Which::AllBut(BlockSet::new());
    let read = read(engine, source.clone(), all, judge.clone()).await;
    (read.map(|_| ()), judge)
}

/// A number that looks random and is not.
fn mixed(seed: u64) -> u64 {
    let word = (seed ^ (seed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}

/// Seeds to try, each a hundred corruptions: few by default, `ICECORE_SEEDS` for a full run of 1000.
#[expect(clippy::disallowed_methods, reason = "how much to test is the caller's")]
fn seeds() -> u64 {
    std::env::var("ICECORE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(20)
}

#[tokio::test(start_paused = true)]
async fn of_all_the_bodies_that_were_corrupted_none_is_delivered() {
    let wanted = 100 * seeds();
    let injected = Arc::new(AtomicU64::new(0));
    let mut round = 0;
    while injected.load(Ordering::Relaxed) < wanted {
        let count = injected.clone();
        let source = Arc::new(Weathered::new(40, move |index, nth| {
            let drawn = mixed(round << 32 | u64::from(index) << 8 | u64::from(nth));
            // Every block is wrong up to five times, in every way there is.
            if nth > 5 {
                return Ok(Damage::None);
            }
            count.fetch_add(1, Ordering::Relaxed);
            let place = usize::try_from(drawn >> 2).unwrap();
            Ok(match drawn % 4 {
                0 => Damage::FlippedBit(place),
                1 => Damage::CutAt(place),
                2 => Damage::OneMore,
                _ => Damage::OtherClaim,
            })
        }));
        let (read, judge) = read_all(&source, &engine()).await;
        read.unwrap();
        assert_eq!(judge.delivered.load(Ordering::Relaxed), 40);
        round += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn one_bad_block_touches_only_itself() {
    let once = Arc::new(Weathered::new(64, |index, nth| match (index, nth) {
        (17, 1) => Ok(Damage::FlippedBit(5)),
        _ => Ok(Damage::None),
    }));
    let (read, judge) = read_all(&once, &engine()).await;
    read.unwrap();
    assert_eq!(judge.delivered.load(Ordering::Relaxed), 64);
    assert!((0..64).all(|index| once.asked(index) == 1 + u32::from(index == 17)));

    let always = Arc::new(Weathered::new(64, |index, _| match index {
        17 => Ok(Damage::FlippedBit(5)),
        _ => Ok(Damage::None),
    }));
    let (read, judge) = read_all(&always, &engine()).await;
    let fault = read.unwrap_err();
    assert_eq!(fault.kind, Kind::Corrupt);
    assert!(fault.to_string().starts_with("block 17 of snap-0abc: "), "{fault}");
    assert_eq!(judge.delivered.load(Ordering::Relaxed), 63, "all others are there");
    assert!((0..64).filter(|index| *index != 17).all(|index| always.asked(index) == 1));
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_throttles_is_sat_out_with_few_requests() {
    for (seed, scope) in
        [(1, Scope::Account), (2, Scope::Snapshot), (3, Scope::Account), (4, Scope::Snapshot)]
    {
        let began = Instant::now();
        let refused = Arc::new(AtomicU64::new(0));
        let count = refused.clone();
        let source = Arc::new(Weathered::new(2048, move |index, nth| {
            let drawn = mixed(seed << 48 | u64::from(index) << 16 | u64::from(nth)) % 10;
            if began.elapsed() < Duration::from_secs(300) && drawn < 9 {
                count.fetch_add(1, Ordering::Relaxed);
                return Err(Fault::new(Kind::Throttled(scope), Place::Service, "too fast"));
            }
            Ok(Damage::None)
        }));
        let engine = engine();
        let (read, judge) = read_all(&source, &engine).await;
        read.unwrap();
        assert_eq!(judge.delivered.load(Ordering::Relaxed), 2048);
        let (sent, took) = (engine.requests().get, began.elapsed());
        assert!(sent * 100 <= 2048 * 125, "{sent} requests for 2048 blocks");
        assert!(refused.load(Ordering::Relaxed) > 50, "there was a storm");
        assert!(took < Duration::from_secs(420), "{took:?}: it noticed the end of the storm");
    }
}

/// A service that lets so many requests a second through, and saves up those of one second.
#[derive(Debug)]
struct Quota {
    per_second: f64,
    left: Mutex<(f64, Instant)>,
}

impl Quota {
    fn of(per_second: f64) -> Self {
        Self { per_second, left: Mutex::new((per_second, Instant::now())) }
    }

    fn allows_one(&self) -> bool {
        let mut left = self.left.lock().unwrap();
        let now = Instant::now();
        let saved = left.0 + self.per_second * (now - left.1).as_secs_f64();
        let has_one = saved.min(self.per_second) >= 1.0;
        *left = (saved.min(self.per_second) - f64::from(has_one), now);
        has_one
    }
}

/// Time in which so many blocks were read, and requests refused, against 1,000 a second at 60 ms.
async fn against_quota(n_blocks: u32, settings: Settings) -> (Duration, u64) {
    let quota = Quota::of(1_000.0);
    let source = Weathered::new(n_blocks, move |_, _| match quota.allows_one() {
        true => Ok(Damage::None),
        false => Err(Fault::new(Kind::Throttled(Scope::Snapshot), Place::Service, "too fast")),
    });
    let source = Arc::new(Weathered { latency: Duration::from_millis(60), ..source });
    let engine = Engine::new(settings, Arc::new(Silent), Stop::new());
    let began = Instant::now();
    let (read, judge) = read_all(&source, &engine).await;
    read.unwrap();
    assert_eq!(judge.delivered.load(Ordering::Relaxed), u64::from(n_blocks));
    (began.elapsed(), engine.requests().throttled)
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_known_is_used_up_and_not_exceeded() {
    // Enough in flight to hide 60 ms at a thousand a second.
    let settings = Settings {
        concurrency: Some(80),
        blocks_per_second_per_snapshot: Some(1_000),
        ..Settings::open(PathBuf::new())
    };
    let (took, throttled) = against_quota(3_000, settings).await;
    assert!(took <= Duration::from_millis(3_150), "1.05 times the ideal, not {took:?}");
    assert!(throttled <= 60, "2 %, not {throttled}");
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_not_known_is_found_out() {
    let settings = Settings { concurrency: Some(80), ..Settings::open(PathBuf::new()) };
    let (took, throttled) = against_quota(4_000, settings).await;
    assert!(took <= Duration::from_secs(8), "twice the ideal, not {took:?}");
    assert!(throttled <= 400, "one in ten, not {throttled}");
}

#[tokio::test(start_paused = true)]
async fn on_a_good_day_nothing_is_asked_twice() {
    let source = Arc::new(Weathered::new(2048, |_, _| Ok(Damage::None)));
    let engine = engine();
    read_all(&source, &engine).await.0.unwrap();
    let requests = engine.requests();
    assert_eq!((requests.list, requests.get, requests.retried), (1, 2048, 0));
}

//! Facts and listings, many snapshots at once through one gate.

use crate::block::BlockSet;
use crate::cost::{Compared, Descent, Doubt, Survey};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::cost::{Facts, Measured, Options, Spent};
use crate::ops::preflight::{open, suspended};
use crate::ops::{Engine, Services};
use crate::pipeline::{Kept, Listing, block_map, changes};
use crate::snapshot::{SnapshotId, SnapshotInfo};
use crate::source::{BlockSource, Change, ChangeFeed, Cursor, Fetched, Listed, Page};
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// Snapshots looked at side by side. At 100 ms a page, 32 listings pass 300 pages a second: six times what AWS lets
/// an account list.
const SIDE_BY_SIDE: usize = 32;

/// Asks for an account's snapshots and what they share.
pub async fn measure(options: &Options, services: &Services, engine: &Engine) -> Result<Measured, Fault> {
    let facts = Facts::ask(services, engine).await?;
    measure_these(facts, options, services, engine).await
}

/// The same with facts that are known.
pub async fn measure_these(
    facts: Facts,
    options: &Options,
    services: &Services,
    engine: &Engine,
) -> Result<Measured, Fault> {
    let start = Instant::now();
    let wanted = wanted(&facts, options)?;
    let lister = Lister::new(&facts, options, services, engine);
    engine.monitor.on(Event::Stage { verb: "listing", total: None });
    let mut survey = Survey::new(facts.kin(), wanted, options.compare);
    let mut worst = None;
    loop {
        let round = survey.round();
        if round.is_empty() {
            break;
        }
        let lister = &lister;
        let descents =
            round.into_iter().map(|(at, descent)| async move { (at, lister.descend(at, descent).await) });
        let mut done = stream::iter(descents).buffer_unordered(SIDE_BY_SIDE);
        while let Some((at, descended)) = done.next().await {
            let (descent, map, fault) = descended?;
            worst = worse(worst, fault);
            survey.settle(at, descent, map);
        }
        survey.end_round();
    }
    let holdings = tokio::task::spawn_blocking(move || survey.finish()).await.map_err(|error| {
        Fault::new(Kind::Local, Place::Service, "a worker of this program failed").because(error)
    })?;
    let mut requests = engine.requests();
    requests.list -= lister.refused.load(Ordering::Relaxed);
    let spent = Spent {
        requests,
        listings: lister.listings.load(Ordering::Relaxed),
        kept: lister.found.load(Ordering::Relaxed),
        elapsed: start.elapsed(),
        prices: options.prices.requests,
        is_billed: services.max_usd.is_some(),
    };
    Ok(Measured::new(facts, holdings, options, spent, worst))
}

/// Pages that this run may ask for: so many as it was told, and no more than may be paid for.
fn most_pages(options: &Options, services: &Services) -> u64 {
    let price = options.prices.requests.list.nanos().max(1);
    let affordable = services.max_usd.map_or(u64::MAX, |max| max.nanos() / price);
    options.max_requests.map_or(affordable, |most| most.min(affordable))
}

/// The snapshots that are to be shown.
fn wanted(facts: &Facts, options: &Options) -> Result<Vec<bool>, Fault> {
    if let Some(id) = options.shown.ids.iter().find(|id| facts.snapshots.iter().all(|info| info.id != **id)) {
        let what = "the snapshot is not one of ours";
        return Err(Fault::new(Kind::NotFound, Place::Snapshot(id.clone()), what)
            .hint("check the id with icecore list, and the Region"));
    }
    let wanted: Vec<bool> = facts.snapshots.iter().map(|info| options.shown.admits(info)).collect();
    if !options.shown.is_all() && !wanted.contains(&true) {
        let what = "no snapshot of ours is of these volumes and tags";
        return Err(Fault::new(Kind::NotFound, Place::Service, what).hint("icecore list shows what there is"));
    }
    Ok(wanted)
}

fn worse(one: Option<Fault>, other: Option<Fault>) -> Option<Fault> {
    let rank = |fault: &Fault| match fault.kind {
        Kind::Denied => 4,
        Kind::Vanished | Kind::NotFound => 3,
        Kind::Throttled(_) => 1,
        Kind::Suspended => 0,
        _ => 2,
    };
    match (one, other) {
        (Some(one), Some(other)) => Some(if rank(&other) > rank(&one) { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// Lists, or finds what was listed before.
struct Lister<'a> {
    snapshots: &'a [SnapshotInfo],
    services: &'a Services,
    engine: &'a Engine,
    kept: Option<Kept>,
    place: String,
    pages_left: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    deadline: Option<Instant>,
    listings: AtomicU64,
    found: AtomicU64,
}

impl<'a> Lister<'a> {
    fn new(facts: &'a Facts, options: &Options, services: &'a Services, engine: &'a Engine) -> Self {
        Self {
            snapshots: &facts.snapshots,
            services,
            engine,
            kept: options.keeps_listings.then(|| Kept::below(&engine.settings.state_dir)),
            place: format!("{}\n{}", services.label, options.prices.region),
            pages_left: Arc::new(AtomicU64::new(most_pages(options, services))),
            refused: Arc::default(),
            deadline: options.deadline.map(|after| Instant::now() + after),
            listings: AtomicU64::new(0),
            found: AtomicU64::new(0),
        }
    }

    /// One descent to its end: the descent, the map it needed, and what went wrong.
    async fn descend(
        &self,
        at: usize,
        mut descent: Descent,
    ) -> Result<(Descent, Option<BlockSet>, Option<Fault>), Fault> {
        let own = &self.snapshots[at];
        let mut failed = None;
        while let Some(with) = descent.next() {
            let with = &self.snapshots[with];
            let answer = match self.listing(Some(with), own).await {
                Ok(Listing::Unrelated) => Compared::Unrelated,
                Ok(Listing::Blocks { has, lacks }) => Compared::Related { written: has, freed: lacks },
                Err(fault) => match doubt(&fault) {
                    Some(doubt) => {
                        failed = worse(failed, Some(fault));
                        Compared::Failed(doubt)
                    }
                    None => return Err(self.ended(fault)),
                },
            };
            descent.told(answer);
        }
        if !descent.needs_map() {
            return Ok((descent, None, failed));
        }
        match self.listing(None, own).await {
            Ok(Listing::Blocks { has, .. }) => Ok((descent, Some(has), failed)),
            Ok(Listing::Unrelated) => Ok((descent, None, failed)),
            Err(fault) => match doubt(&fault) {
                Some(doubt) => {
                    descent.failed(doubt);
                    Ok((descent, None, worse(failed, Some(fault))))
                }
                None => Err(self.ended(fault)),
            },
        }
    }

    /// The run ends here; what was kept is there for the next.
    fn ended(&self, fault: Fault) -> Fault {
        if self.kept.is_some() { suspended(fault) } else { fault }
    }

    async fn listing(&self, first: Option<&SnapshotInfo>, second: &SnapshotInfo) -> Result<Listing, Fault> {
        let identity = identity(&self.place, first, second);
        if let Some(kept) = &self.kept
            && let Some(listing) = kept.get(&identity)
        {
            self.found.fetch_add(1, Ordering::Relaxed);
            return Ok(listing);
        }
        self.listings.fetch_add(1, Ordering::Relaxed);
        let listed = self.list(first.map(|first| &first.id), &second.id);
        let listed = match self.deadline {
            None => listed.await,
            Some(deadline) => {
                tokio::time::timeout_at(deadline, listed).await.unwrap_or_else(|_| Err(stopped()))
            }
        };
        let listing = match listed {
            Err(fault) if fault.kind == Kind::Unrelated => Listing::Unrelated,
            listing => listing?,
        };
        if let Some(kept) = &self.kept {
            kept.put(&identity, &listing)?;
        }
        Ok(listing)
    }

    async fn list(&self, first: Option<&SnapshotId>, second: &SnapshotId) -> Result<Listing, Fault> {
        if self.pages_left.load(Ordering::Relaxed) == 0 {
            return Err(stopped());
        }
        let ration = || Ration { left: self.pages_left.clone(), refused: self.refused.clone() };
        match first {
            Some(first) => {
                let feed = Rationed { of: self.services.blocks.compare(first, second), ration: ration() };
                let (delta, _) = changes(self.engine, &feed).await?;
                Ok(Listing::Blocks {
                    has: &delta.only_in_second | &delta.in_both,
                    lacks: delta.only_in_first,
                })
            }
            None => {
                if !ration().take() {
                    return Err(stopped());
                }
                let source = open(self.services, self.engine, second).await?;
                let source = Rationed { of: source, ration: ration() };
                Ok(Listing::Blocks { has: block_map(self.engine, &source).await?, lacks: BlockSet::new() })
            }
        }
    }
}

/// Under what a listing is kept.
pub(super) fn identity(place: &str, first: Option<&SnapshotInfo>, second: &SnapshotInfo) -> String {
    let named = |info: &SnapshotInfo| format!("{} {}", info.id, info.start_time.0);
    let first = first.map_or_else(|| "all".to_owned(), named);
    format!("{place}\n{}\n{first}\n{}", second.owner_id, named(second))
}

fn stopped() -> Fault {
    Fault::new(Kind::Suspended, Place::Service, "stopped by --max-requests, --max-usd or --deadline")
        .hint("what was listed is kept: the same command goes on from there")
}

/// What is not known of a snapshot because of a fault; `None` where the run must end.
fn doubt(fault: &Fault) -> Option<Doubt> {
    match fault.kind {
        Kind::Denied => Some(Doubt::Denied),
        Kind::Throttled(_) => Some(Doubt::Throttled),
        Kind::Vanished | Kind::NotFound => Some(Doubt::Vanished),
        Kind::Suspended => Some(Doubt::NotListed),
        Kind::NoCredentials
        | Kind::ExpiredCredentials
        | Kind::Local
        | Kind::Unsuitable
        | Kind::Interrupted => None,
        _ => Some(Doubt::Failed),
    }
}

/// Pages that may still be asked for.
#[derive(Clone, Debug)]
struct Ration {
    left: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Ration {
    fn take(&self) -> bool {
        let taken =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if !taken {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}

/// A source or feed that gives no more pages than its ration.
struct Rationed<T: ?Sized> {
    ration: Ration,
    of: Arc<T>,
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Rationed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rationed").field("of", &self.of).finish_non_exhaustive()
    }
}

impl ChangeFeed for Rationed<dyn ChangeFeed> {
    fn place(&self) -> Place {
        self.of.place()
    }

    fn changes(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Change>, Fault>> {
        if self.ration.take() { self.of.changes(cursor) } else { ready(Err(stopped())).boxed() }
    }
}

impl BlockSource for Rationed<dyn BlockSource> {
    fn place(&self) -> Place {
        self.of.place()
    }

    fn geometry(&self) -> crate::block::Geometry {
        self.of.geometry()
    }

    fn list(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Listed>, Fault>> {
        if self.ration.take() { self.of.list(cursor) } else { ready(Err(stopped())).boxed() }
    }

    fn fetch<'a>(&'a self, block: &'a Listed) -> BoxFuture<'a, Result<Fetched, Fault>> {
        self.of.fetch(block)
    }
}

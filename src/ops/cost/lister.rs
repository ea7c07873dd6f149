//! Listing what a descent asks for, or finding what was listed before.

use crate::block::BlockSet;
use crate::cost::{Compared, Descent, Doubt};
use crate::fault::{Fault, Kind};
use crate::ops::cost::ration::{Ration, stopped, stopped_amid};
use crate::ops::cost::{Facts, Options};
use crate::ops::preflight::{open, suspended};
use crate::ops::{Engine, Services};
use crate::pipeline::{Kept, Left, Listing, Part, Requests, blocks_left, changes_left};
use crate::snapshot::{SnapshotId, SnapshotInfo};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// Lists, or finds what was listed before.
pub(super) struct Lister<'a> {
    snapshots: &'a [SnapshotInfo],
    services: &'a Services,
    engine: &'a Engine,
    kept: Option<Kept>,
    place: String,
    ration: Ration,
    deadline: Option<Instant>,
    listings: AtomicU64,
    found: AtomicU64,
    /// The most pages with nothing on them that a listing was stopped amid, having told nothing in this run.
    amid: AtomicU64,
    /// What this run has listed, by identity; with what it told where that is kept nowhere else. Rounds ask again.
    told: Mutex<HashMap<String, Option<Listing>>>,
}

impl<'a> Lister<'a> {
    pub(super) fn new(
        facts: &'a Facts,
        options: &Options,
        services: &'a Services,
        engine: &'a Engine,
    ) -> Self {
        Self {
            snapshots: &facts.snapshots,
            services,
            engine,
            kept: options.keeps_listings.then(|| Kept::below(engine.machine())),
            place: place(options, services),
            ration: Ration::of(most_pages(options, services)),
            deadline: options.deadline.map(|after| Instant::now() + after),
            listings: AtomicU64::new(0),
            found: AtomicU64::new(0),
            amid: AtomicU64::new(0),
            told: Mutex::default(),
        }
    }

    /// What was sent for it.
    pub(super) fn requests(&self) -> Requests {
        let mut requests = self.engine.requests();
        requests.list -= self.ration.not_sent();
        requests
    }

    /// Listings begun, or gone on with.
    pub(super) fn begun(&self) -> u64 {
        self.listings.load(Ordering::Relaxed)
    }

    /// Listings that were kept whole from an earlier run.
    pub(super) fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// What went wrong in all: whoever would run the same command for ever is told.
    pub(super) fn worst(&self, worst: Option<Fault>) -> Option<Fault> {
        match (worst, self.amid.load(Ordering::Relaxed)) {
            (Some(fault), 1..) if fault.kind == Kind::Suspended => {
                Some(stopped_amid(self.amid.load(Ordering::Relaxed)))
            }
            (worst, _) => worst,
        }
    }

    /// One descent to its end: the descent, the map it needed, and what went wrong.
    pub(super) async fn descend(
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
        let told = self.told().get(&identity).cloned();
        if let Some(Some(listing)) = told {
            return Ok(listing);
        }
        if let Some(kept) = &self.kept
            && let Some(listing) = kept.get(&identity)
        {
            self.found.fetch_add(u64::from(told.is_none()), Ordering::Relaxed);
            return Ok(listing);
        }
        self.listings.fetch_add(1, Ordering::Relaxed);
        let mut under_way = UnderWay::of(self.kept.as_ref(), &identity);
        let empty = AtomicU64::new(0);
        let listed = self.list(first.map(|first| &first.id), &second.id, &mut under_way.part, &empty);
        let listed = match self.deadline {
            None => listed.await,
            Some(deadline) => {
                tokio::time::timeout_at(deadline, listed).await.unwrap_or_else(|_| Err(stopped()))
            }
        };
        let listing = match listed {
            Err(fault) if fault.kind == Kind::Unrelated => Listing::Unrelated,
            Err(fault) => {
                if fault.kind == Kind::Suspended && under_way.part.left == under_way.began {
                    self.amid.fetch_max(empty.load(Ordering::Relaxed), Ordering::Relaxed);
                }
                return Err(fault);
            }
            Ok(()) => under_way.whole(),
        };
        if let Some(kept) = &self.kept {
            kept.put(&identity, &listing)?;
        }
        let elsewhere = self.kept.is_some();
        self.told().insert(identity.clone(), (!elsewhere).then(|| listing.clone()));
        Ok(listing)
    }

    fn told(&self) -> MutexGuard<'_, HashMap<String, Option<Listing>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists what is left.
    async fn list(
        &self,
        first: Option<&SnapshotId>,
        second: &SnapshotId,
        part: &mut Part,
        empty: &AtomicU64,
    ) -> Result<(), Fault> {
        match first {
            Some(first) => {
                let feed = self.ration.feed(self.services.blocks.compare(first, second), empty);
                changes_left(self.engine, &feed, part).await
            }
            None => {
                // Opening takes a page. It is the first, and is kept for whoever begins there; who goes on needs
                // another.
                let is_fresh = part.left == Left::all();
                if !self.ration.take(if is_fresh { 1 } else { 2 }) {
                    return Err(stopped());
                }
                let source = open(self.services, self.engine, second).await?;
                let source = self.ration.opened(source, is_fresh, empty);
                blocks_left(self.engine, &source, part).await
            }
        }
    }
}

/// A listing under way. What it told is kept when it ends before its end, however that comes: the next run goes on
/// from there.
struct UnderWay<'a> {
    kept: Option<(&'a Kept, &'a str)>,
    part: Part,
    began: Left,
}

impl<'a> UnderWay<'a> {
    fn of(kept: Option<&'a Kept>, identity: &'a str) -> Self {
        let part = kept.and_then(|kept| kept.part(identity)).unwrap_or_else(Part::nothing);
        Self { kept: kept.map(|kept| (kept, identity)), began: part.left.clone(), part }
    }

    fn whole(&mut self) -> Listing {
        self.kept = None;
        let Part { has, lacks, .. } = std::mem::replace(&mut self.part, Part::nothing());
        Listing::Blocks { has, lacks }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some((kept, identity)) = self.kept
            && self.part.left != self.began
        {
            // What cannot be kept is listed again.
            let _ = kept.put_part(identity, &self.part);
        }
    }
}

/// Whose listings they are, as far as snapshots do not tell themselves.
pub(super) fn place(options: &Options, services: &Services) -> String {
    format!("{}\n{}", services.identity.name(), options.prices.region)
}

/// Under what a listing is kept: place, account, and the snapshots with their start times.
pub(super) fn identity(place: &str, first: Option<&SnapshotInfo>, second: &SnapshotInfo) -> String {
    let named = |info: &SnapshotInfo| format!("{} {}", info.id, info.start_time.0);
    let first = first.map_or_else(|| "all".to_owned(), named);
    format!("{place}\n{}\n{first}\n{}", second.owner_id, named(second))
}

/// Pages that this run may ask for: so many as it was told, and no more than may be paid for.
fn most_pages(options: &Options, services: &Services) -> u64 {
    let price = options.prices.requests.list.nanos().max(1);
    let affordable = services.max_usd.map_or(u64::MAX, |max| max.nanos() / price);
    options.max_requests.map_or(affordable, |most| most.min(affordable))
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

/// Of two faults the one that says more of what is missing.
pub(super) fn worse(one: Option<Fault>, other: Option<Fault>) -> Option<Fault> {
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

//! How many pages a run may ask for.

use crate::block::Geometry;
use crate::fault::{Fault, Kind, Place};
use crate::source::{BlockSource, Change, ChangeFeed, Cursor, Fetched, Listed, Page};
use futures_util::future::{BoxFuture, FutureExt, ready};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Pages that may still be asked for. Its clones are the same ration.
#[derive(Clone, Debug)]
pub(super) struct Ration {
    left: Arc<AtomicU64>,
    not_sent: Arc<AtomicU64>,
}

impl Ration {
    pub(super) fn of(pages: u64) -> Self {
        Self { left: Arc::new(AtomicU64::new(pages)), not_sent: Arc::default() }
    }

    /// Requests that the engine counted and that were not sent: refused here, or answered by what opening brought.
    pub(super) fn not_sent(&self) -> u64 {
        self.not_sent.load(Ordering::Relaxed)
    }

    /// A comparison on this ration; pages with nothing on them are counted.
    pub(super) fn feed<'a>(
        &self,
        of: Arc<dyn ChangeFeed>,
        empty: &'a AtomicU64,
    ) -> Rationed<'a, dyn ChangeFeed> {
        Rationed { ration: self.clone(), paid: AtomicBool::new(false), empty, of }
    }

    /// A snapshot on this ration, its next page taken already. Where that is the first page, opening has brought it.
    pub(super) fn opened<'a>(
        &self,
        of: Arc<dyn BlockSource>,
        is_first: bool,
        empty: &'a AtomicU64,
    ) -> Rationed<'a, dyn BlockSource> {
        self.not_sent.fetch_add(u64::from(is_first), Ordering::Relaxed);
        Rationed { ration: self.clone(), paid: AtomicBool::new(true), empty, of }
    }

    /// Takes so many pages, or none.
    pub(super) fn take(&self, pages: u64) -> bool {
        let taken =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(pages));
        taken.is_ok()
    }
}

/// A source or feed that gives no more pages than its ration.
pub(super) struct Rationed<'a, T: ?Sized> {
    ration: Ration,
    /// Whether the next page has been taken from the ration already.
    paid: AtomicBool,
    /// Pages that had nothing on them and were not the last.
    empty: &'a AtomicU64,
    of: Arc<T>,
}

impl<T: ?Sized> Rationed<'_, T> {
    fn may_ask(&self) -> bool {
        let may = self.paid.swap(false, Ordering::Relaxed) || self.ration.take(1);
        if !may {
            self.ration.not_sent.fetch_add(1, Ordering::Relaxed);
        }
        may
    }

    fn noted<E>(&self, page: Result<Page<E>, Fault>) -> Result<Page<E>, Fault> {
        let is_empty = page.as_ref().is_ok_and(|page| page.entries.is_empty() && page.next.is_some());
        self.empty.fetch_add(u64::from(is_empty), Ordering::Relaxed);
        page
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Rationed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rationed").field("of", &self.of).finish_non_exhaustive()
    }
}

impl ChangeFeed for Rationed<'_, dyn ChangeFeed> {
    fn place(&self) -> Place {
        self.of.place()
    }

    fn changes(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Change>, Fault>> {
        if !self.may_ask() {
            return ready(Err(stopped())).boxed();
        }
        async move { self.noted(self.of.changes(cursor).await) }.boxed()
    }
}

impl BlockSource for Rationed<'_, dyn BlockSource> {
    fn place(&self) -> Place {
        self.of.place()
    }

    fn geometry(&self) -> Geometry {
        self.of.geometry()
    }

    fn list(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Listed>, Fault>> {
        if !self.may_ask() {
            return ready(Err(stopped())).boxed();
        }
        async move { self.noted(self.of.list(cursor).await) }.boxed()
    }

    fn fetch<'a>(&'a self, block: &'a Listed) -> BoxFuture<'a, Result<Fetched, Fault>> {
        self.of.fetch(block)
    }
}

/// The same where going on would not help: a page with nothing on it tells no place to go on from, only a token, and
/// tokens are not kept.
pub(super) fn stopped_amid(empty: u64) -> Fault {
    let noun = if empty == 1 { "page" } else { "pages" };
    stopped().hint(format!(
        "what was listed is kept, but {empty} {noun} in a row had nothing on them and will be asked for anew: allow more"
    ))
}

/// Why nothing more is asked for.
pub(super) fn stopped() -> Fault {
    Fault::new(Kind::Suspended, Place::Program, "stopped by --max-requests, --max-usd or --deadline")
        .hint("what was listed is kept: the same command goes on from there")
}

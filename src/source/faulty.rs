//! A source with bad days: the faults a test asks for, then the truth.

use crate::block::{BlockIndex, Geometry};
use crate::fault::{Fault, Kind, Place};
use crate::source::{BlockSource, Cursor, Fetched, Listed, Page};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What happens to a fetch instead of the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It fails.
    Fails(Kind),
    /// One bit of the body is flipped on the way.
    FlipsABit,
    /// The body ends early.
    EndsEarly,
}

/// Wraps a source; the n-th fetch of a block meets the n-th trouble planned for it, counted per block so that
/// concurrency cannot reorder them.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn BlockSource>,
    fetches: Mutex<BTreeMap<BlockIndex, Vec<Trouble>>>,
    lists: Mutex<Vec<Kind>>,
}

impl Faulty {
    /// No trouble planned yet.
    pub fn new(inner: Arc<dyn BlockSource>) -> Self {
        Self { inner, fetches: Mutex::default(), lists: Mutex::default() }
    }

    /// The next fetches of this block meet these troubles, in order.
    #[must_use]
    pub fn fetching(self, index: BlockIndex, troubles: impl IntoIterator<Item = Trouble>) -> Self {
        let mut planned: Vec<_> = troubles.into_iter().collect();
        planned.reverse();
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).insert(index, planned);
        self
    }

    /// The next listings fail like this, in order.
    #[must_use]
    pub fn listing(self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        let mut planned: Vec<_> = kinds.into_iter().collect();
        planned.reverse();
        *self.lists.lock().unwrap_or_else(PoisonError::into_inner) = planned;
        self
    }

    fn next(&self, index: BlockIndex) -> Option<Trouble> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&index)?.pop()
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlockSource for Faulty {
    fn place(&self) -> Place {
        self.inner.place()
    }

    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }

    fn list(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Listed>, Fault>> {
        let planned = self.lists.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match planned {
            Some(kind) => ready(Err(Fault::new(kind, self.place(), "planned trouble"))).boxed(),
            None => self.inner.list(cursor),
        }
    }

    fn fetch<'a>(&'a self, block: &'a Listed) -> BoxFuture<'a, Result<Fetched, Fault>> {
        match self.next(block.index) {
            None => self.inner.fetch(block),
            Some(Trouble::Fails(kind)) => {
                ready(Err(Fault::new(kind, self.place(), "planned trouble"))).boxed()
            }
            Some(trouble) => self
                .inner
                .fetch(block)
                .map(move |fetched| fetched.map(|fetched| spoiled(fetched, trouble)))
                .boxed(),
        }
    }
}

fn spoiled(fetched: Fetched, trouble: Trouble) -> Fetched {
    let mut bytes = fetched.bytes.to_vec();
    if trouble == Trouble::EndsEarly {
        bytes.truncate(bytes.len() / 2);
    } else if let Some(byte) = bytes.get_mut(4711) {
        *byte ^= 0x10;
    }
    Fetched { bytes: Bytes::from(bytes), claimed: fetched.claimed }
}

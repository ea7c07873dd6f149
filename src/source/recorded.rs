//! A source that remembers what was asked of it, so that a test can say how much was read.

use crate::block::{BlockIndex, Geometry};
use crate::fault::{Fault, Place};
use crate::source::{BlockSource, Cursor, Fetched, Listed, Page};
use futures_util::future::BoxFuture;
use std::sync::{Arc, Mutex, PoisonError};

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A page from this index on, with the service's token or without.
    List {
        /// Where it starts.
        from: BlockIndex,
        /// Whether it carried a token.
        token: bool,
    },
    /// One block.
    Fetch(BlockIndex),
}

/// Wraps a source and keeps every call.
#[derive(Debug)]
pub struct Recorded {
    inner: Arc<dyn BlockSource>,
    calls: Mutex<Vec<Call>>,
}

impl Recorded {
    /// Nothing asked yet.
    pub fn new(inner: Arc<dyn BlockSource>) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// What was asked so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, call: Call) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlockSource for Recorded {
    fn place(&self) -> Place {
        self.inner.place()
    }

    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }

    fn list(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Listed>, Fault>> {
        self.note(Call::List { from: cursor.from, token: cursor.token.is_some() });
        self.inner.list(cursor)
    }

    fn fetch<'a>(&'a self, block: &'a Listed) -> BoxFuture<'a, Result<Fetched, Fault>> {
        self.note(Call::Fetch(block.index));
        self.inner.fetch(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::SnapshotId;
    use crate::source::faulty::Faulty;
    use crate::source::memory::MemoryService;
    use crate::source::{BlockService, ChangeFeed, conformance};

    /// Every source it opens is wrapped twice.
    #[derive(Debug)]
    struct Wrapping(MemoryService);

    impl BlockService for Wrapping {
        fn open<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<Arc<dyn BlockSource>, Fault>> {
            Box::pin(async move {
                let inner = self.0.open(id).await?;
                Ok(Arc::new(Recorded::new(Arc::new(Faulty::new(inner)))) as _)
            })
        }

        fn compare(&self, first: &SnapshotId, second: &SnapshotId) -> Arc<dyn ChangeFeed> {
            self.0.compare(first, second)
        }
    }

    #[tokio::test]
    async fn wrapped_sources_conform() {
        let memory = MemoryService::new(3);
        conformance::writing_and_reading(&Wrapping(memory.clone()), &memory).await;
    }
}

//! A process that ends at one of its requests, or at an operation of its disk.

use super::world::engine;
use futures_util::future::BoxFuture;
use icecore::block::Geometry;
use icecore::disk::memory::MemoryDisk;
use icecore::fault::{Fault, Place};
use icecore::ops::{Engine, Services};
use icecore::snapshot::{NewSnapshot, SnapshotId, SnapshotInfo, SnapshotState, Written};
use icecore::source::{
    Block, BlockService, BlockSource, ChangeFeed, Cursor, Fetched, Listed, Page, SnapshotWriter,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::Notify;

/// What is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Whatever was not synced, or some of it.
    Power,
    /// Nothing but the process.
    Process,
}

/// Where it stops.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// At this operation of the disk that changes something.
    Operation(u64),
    /// At this request, before it is answered.
    Request(i64),
}

/// Runs it until it ends or the process does, and gives the disk as the next process finds it.
pub(super) async fn stopped<T>(
    disk: &MemoryDisk,
    services: &Services,
    at: At,
    loss: Loss,
    seed: u64,
    run: impl AsyncFnOnce(Services, Engine) -> Result<T, Fault>,
) -> MemoryDisk {
    let ends = Arc::new(Ends { left: AtomicI64::new(i64::MAX), disk: disk.clone(), reached: Notify::new() });
    match at {
        At::Operation(operations) => disk.fail_after(operations),
        At::Request(requests) => ends.left.store(requests, Ordering::Relaxed),
    }
    let services = Services {
        blocks: Arc::new(Counted { inner: services.blocks.clone(), ends: ends.clone() }),
        writer: Arc::new(CountedWriter { inner: services.writer.clone(), ends: ends.clone() }),
        ..services.clone()
    };
    tokio::select! {
        _ = run(services, engine(disk)) => {}
        () = ends.reached.notified() => {}
    }
    // What was under way when the process ended does not go on.
    disk.fail();
    match loss {
        Loss::Power => disk.cut(seed),
        Loss::Process => disk.killed(),
    }
}

/// The end of a process at one of its requests.
#[derive(Debug)]
struct Ends {
    left: AtomicI64,
    disk: MemoryDisk,
    reached: Notify,
}

impl Ends {
    async fn count(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) <= 0 {
            self.disk.fail();
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Debug)]
struct Counted {
    inner: Arc<dyn BlockService>,
    ends: Arc<Ends>,
}

impl BlockService for Counted {
    fn open<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<Arc<dyn BlockSource>, Fault>> {
        Box::pin(async {
            self.ends.count().await;
            let inner = self.inner.open(id).await?;
            Ok(Arc::new(CountedSource { inner, ends: self.ends.clone() }) as _)
        })
    }

    fn compare(&self, first: &SnapshotId, second: &SnapshotId) -> Arc<dyn ChangeFeed> {
        self.inner.compare(first, second)
    }
}

#[derive(Debug)]
struct CountedSource {
    inner: Arc<dyn BlockSource>,
    ends: Arc<Ends>,
}

impl BlockSource for CountedSource {
    fn place(&self) -> Place {
        self.inner.place()
    }

    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }

    fn list(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Listed>, Fault>> {
        Box::pin(async {
            self.ends.count().await;
            self.inner.list(cursor).await
        })
    }

    fn fetch<'a>(&'a self, block: &'a Listed) -> BoxFuture<'a, Result<Fetched, Fault>> {
        Box::pin(async {
            self.ends.count().await;
            self.inner.fetch(block).await
        })
    }
}

#[derive(Debug)]
struct CountedWriter {
    inner: Arc<dyn SnapshotWriter>,
    ends: Arc<Ends>,
}

impl SnapshotWriter for CountedWriter {
    fn start<'a>(&'a self, new: &'a NewSnapshot) -> BoxFuture<'a, Result<SnapshotInfo, Fault>> {
        Box::pin(async {
            self.ends.count().await;
            self.inner.start(new).await
        })
    }

    fn put<'a>(&'a self, id: &'a SnapshotId, block: &'a Block) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async {
            self.ends.count().await;
            self.inner.put(id, block).await
        })
    }

    fn complete<'a>(
        &'a self,
        id: &'a SnapshotId,
        written: Written,
    ) -> BoxFuture<'a, Result<SnapshotState, Fault>> {
        Box::pin(async move {
            self.ends.count().await;
            self.inner.complete(id, written).await
        })
    }
}

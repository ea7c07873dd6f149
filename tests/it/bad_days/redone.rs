//! How much of an interrupted run is done again: what came after the last checkpoint, and no more.
//!
//! In virtual time, against a service that takes a second for each block: what a run has done by a given request is
//! known to the block.

use super::process::{At, Loss, stopped};
use super::world::{HOME, disk, disk_with_image, imported, importing, target};
use futures_util::future::BoxFuture;
use icecore::aws::Identity;
use icecore::block::Geometry;
use icecore::disk::memory::MemoryDisk;
use icecore::fault::{Fault, Place};
use icecore::monitor::Silent;
use icecore::ops::{Engine, Services, export, import};
use icecore::pipeline::{Settings, Stop};
use icecore::snapshot::{NewSnapshot, SnapshotId, SnapshotInfo, SnapshotState, Written};
use icecore::source::conformance::{filled, request};
use icecore::source::memory::MemoryService;
use icecore::source::{
    Block, BlockService, BlockSource, ChangeFeed, Cursor, Fetched, Listed, Page, SnapshotWriter,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a block takes on its way, either way.
const ONE: Duration = Duration::from_secs(1);
/// Time between two checkpoints.
const EVERY: u32 = 3;
/// Blocks on their way at once: as many come in each second.
const IN_FLIGHT: u32 = 4;
const BLOCKS: u32 = 48;

/// A service in memory, far away.
#[derive(Debug)]
struct Far(Arc<MemoryService>);

#[derive(Debug)]
struct FarSource(Arc<dyn BlockSource>);

impl BlockService for Far {
    fn open<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<Arc<dyn BlockSource>, Fault>> {
        Box::pin(async move { Ok(Arc::new(FarSource(self.0.open(id).await?)) as _) })
    }

    fn compare(&self, first: &SnapshotId, second: &SnapshotId) -> Arc<dyn ChangeFeed> {
        self.0.compare(first, second)
    }
}

impl BlockSource for FarSource {
    fn place(&self) -> Place {
        self.0.place()
    }

    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn list(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Listed>, Fault>> {
        self.0.list(cursor)
    }

    fn fetch<'a>(&'a self, block: &'a Listed) -> BoxFuture<'a, Result<Fetched, Fault>> {
        Box::pin(async move {
            tokio::time::sleep(ONE).await;
            self.0.fetch(block).await
        })
    }
}

impl SnapshotWriter for Far {
    fn start<'a>(&'a self, new: &'a NewSnapshot) -> BoxFuture<'a, Result<SnapshotInfo, Fault>> {
        self.0.start(new)
    }

    fn put<'a>(&'a self, id: &'a SnapshotId, block: &'a Block) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            tokio::time::sleep(ONE).await;
            self.0.put(id, block).await
        })
    }

    fn complete<'a>(
        &'a self,
        id: &'a SnapshotId,
        written: Written,
    ) -> BoxFuture<'a, Result<SnapshotState, Fault>> {
        self.0.complete(id, written)
    }
}

fn far(service: &Arc<MemoryService>) -> Services {
    let far = Arc::new(Far(service.clone()));
    Services {
        label: "far".into(),
        identity: Identity::named("far"),
        blocks: far.clone(),
        writer: far,
        snapshots: None,
        control: None,
        max_usd: None,
    }
}

fn engine(disk: &MemoryDisk) -> Engine {
    let settings = Settings {
        checkpoint_every: EVERY * ONE,
        concurrency: Some(IN_FLIGHT.try_into().unwrap()),
        ..Settings::open(Path::new(HOME).join("state"))
    };
    Engine::new(settings, Arc::new(Silent), Stop::new()).on_disk(Arc::new(disk.clone()))
}

#[tokio::test(start_paused = true)]
async fn a_killed_export_reads_at_most_one_checkpoint_again() {
    let service = Arc::new(MemoryService::new(100));
    let id = service.start(&request(None)).await.unwrap().id;
    let mut linear = icecore::block::LinearDigest::new();
    for index in 0..BLOCKS {
        let block = filled(index, u8::try_from(index + 1).unwrap());
        linear.push(&block.digest());
        service.put(&id, &block).await.unwrap();
    }
    service.complete(&id, Written { blocks: BLOCKS, checksum: linear.finish() }).await.unwrap();
    let options = export::Options { snapshot_id: id, dest: Some(target()), force: false, sync: true };
    let mut most = 0;
    for begun in 0..=BLOCKS {
        let disk = disk();
        let run = async |services: Services, _| export::run(&options, &services, &engine(&disk)).await;
        // Opening and one page come before the first block.
        let at = At::Request(2 + i64::from(begun));
        let disk = stopped(&disk, &far(&service), at, Loss::Process, begun.into(), run).await;
        if disk.files().contains(&target()) {
            continue;
        }
        let report = export::run(&options, &far(&service), &engine(&disk)).await.unwrap();
        assert_eq!(report.blocks_resumed + report.requests.get, u64::from(BLOCKS));
        let came_in = u64::from(begun.saturating_sub(IN_FLIGHT));
        most = most.max(came_in.saturating_sub(report.blocks_resumed));
    }
    // What comes in between two checkpoints, and what was written while the last one was synced.
    assert!(most <= u64::from((EVERY + 1) * IN_FLIGHT), "{most} blocks were read again");
    assert!(most > 0, "nothing was ever lost: this test looks at no kill");
}

#[tokio::test(start_paused = true)]
async fn a_killed_import_sends_at_most_what_was_on_its_way_again() {
    let all = u32::try_from(imported().len()).unwrap();
    for begun in 0..all {
        let service = Arc::new(MemoryService::new(100));
        let disk = disk_with_image();
        let options = import::Options { wait: false, ..importing() };
        let run = async |services: Services, _| import::run(&options, &services, &engine(&disk)).await;
        // Starting the snapshot comes before the first block.
        let at = At::Request(1 + i64::from(begun));
        let disk = stopped(&disk, &far(&service), at, Loss::Process, begun.into(), run).await;
        let report = import::run(&options, &far(&service), &engine(&disk)).await.unwrap();
        let sent = report.blocks_written - report.blocks_resumed;
        let answered = begun.saturating_sub(IN_FLIGHT);
        assert!(sent <= u64::from(all - answered), "after {begun} requests {sent} blocks were sent again");
        assert_eq!(report.blocks_written, u64::from(all));
    }
}

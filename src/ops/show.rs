//! A snapshot at a glance: its facts and where its blocks lie.

use crate::block::{BlockSet, ByteSize, Geometry};
use crate::fault::Fault;
use crate::monitor::Event;
use crate::ops::preflight::{facts, open};
use crate::ops::{Engine, Services};
use crate::pipeline::{Requests, block_map};
use crate::snapshot::{SnapshotId, SnapshotInfo};

/// What `icecore show` found.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// Its volume.
    pub geometry: Geometry,
    /// Its allocated blocks.
    pub allocated: BlockSet,
    /// What the control plane says of it; `None` where there is no control plane to ask, or it may not be asked.
    pub info: Option<SnapshotInfo>,
    /// What was asked.
    pub requests: Requests,
}

impl Report {
    /// What the allocated blocks hold.
    pub fn allocated_size(&self) -> ByteSize {
        self.geometry.block_size.of(self.allocated.len())
    }
}

/// Lists the blocks of a snapshot and asks for its facts; reads no block.
pub async fn run(id: &SnapshotId, services: &Services, engine: &Engine) -> Result<Report, Fault> {
    engine.monitor.on(Event::Stage { verb: "listing", total: None });
    let source = open(services, engine, id).await?;
    let allocated = block_map(engine, source.as_ref()).await?;
    let info = facts(services, engine, id).await;
    let (snapshot_id, geometry) = (id.clone(), source.geometry());
    Ok(Report { snapshot_id, geometry, allocated, info, requests: engine.requests() })
}

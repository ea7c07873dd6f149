//! The blocks of a snapshot.

use crate::block::{BlockSet, Geometry};
use crate::fault::Fault;
use crate::monitor::Event;
use crate::ops::preflight::open;
use crate::ops::{Engine, Services};
use crate::pipeline::{Requests, block_map};
use crate::snapshot::SnapshotId;

/// What `icecore blocks` found.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// Its volume.
    pub geometry: Geometry,
    /// Its allocated blocks.
    pub blocks: BlockSet,
    /// What was asked.
    pub requests: Requests,
}

/// Lists the blocks of a snapshot; reads none of them.
pub async fn run(id: &SnapshotId, services: &Services, engine: &Engine) -> Result<Report, Fault> {
    engine.monitor.on(Event::Stage { verb: "listing", total: None });
    let source = open(services, engine, id).await?;
    let blocks = block_map(engine, source.as_ref()).await?;
    if blocks.is_empty() {
        engine.note(format!("{id} has no blocks: the snapshot is empty"));
    }
    Ok(Report { snapshot_id: id.clone(), geometry: source.geometry(), blocks, requests: engine.requests() })
}

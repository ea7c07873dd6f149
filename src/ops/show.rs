//! A snapshot at a glance: its facts and where its blocks lie.

use crate::block::{BlockSet, ByteSize, Geometry};
use crate::pipeline::Requests;
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

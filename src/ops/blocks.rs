//! The blocks of a snapshot.

use crate::block::{BlockSet, Geometry};
use crate::pipeline::Requests;
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

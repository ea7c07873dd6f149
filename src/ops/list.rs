//! Our snapshots, and which of them belong together.

use crate::pipeline::Requests;
use crate::snapshot::{SnapshotId, SnapshotInfo};

/// One snapshot of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its facts.
    pub info: SnapshotInfo,
    /// The snapshot it was made upon, where our own tag tells: AWS does not.
    pub parent: Option<SnapshotId>,
    /// Numbers the related groups of this list from 1, in order of their first snapshot.
    pub lineage: u32,
}

/// What `icecore list` found, in order of start time.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// The snapshots.
    pub snapshots: Vec<Row>,
    /// What was asked.
    pub requests: Requests,
}

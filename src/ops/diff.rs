//! What was written between snapshots, step by step along a chain.

use crate::block::{BlockSize, ByteSize};
use crate::delta::{Churn, Delta};
use crate::pipeline::Requests;
use crate::snapshot::SnapshotId;

/// One step of the chain.
#[derive(Clone, Debug)]
pub struct Step {
    /// The snapshot before.
    pub first: SnapshotId,
    /// The snapshot after.
    pub second: SnapshotId,
    /// The blocks that differ.
    pub delta: Delta,
    /// Of the blocks in both, how many hold the same bytes; `None` unless contents were compared.
    pub identical: Option<u64>,
}

impl Step {
    /// What the changed blocks hold.
    pub fn changed_size(&self) -> ByteSize {
        BlockSize::EBS.of(self.delta.len())
    }
}

/// What `icecore diff` found.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// One for each pair of neighbours; never empty.
    pub steps: Vec<Step>,
    /// The runs changed most often, when there is more than one step.
    pub churn: Vec<Churn>,
    /// What was asked.
    pub requests: Requests,
}

//! What a verification leaves in the ledger.

use serde::{Deserialize, Serialize};

/// One verification of one snapshot. Fields are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Names the run.
    pub run_id: String,
    /// The snapshot that was verified, or that the manifest is of.
    pub snapshot_id: String,
    /// The volume that it is of, where that is known.
    pub volume_id: Option<String>,
    /// What it was held against, where that is more than checksums and manifests.
    pub target: Option<String>,
    /// How deep, 0 to 6.
    pub level: u8,
    /// Which blocks: `full`, `cycle`, `delta+sample`.
    pub mode: String,
    /// How it ended: `pass`.
    pub state: String,
    /// Blocks that the level speaks of.
    pub blocks_total: u64,
    /// Of these, blocks read to a verdict.
    pub blocks_read: u64,
    /// Blocks that are wrong.
    pub mismatches: u64,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
}

/// Parts of a cycle that one run has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleEntry {
    /// Which cycle: of a volume, or of a subject and its target.
    pub of: String,
    /// Its length.
    pub days: u32,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// When these parts had been read.
    pub read_ms: i64,
    /// The parts, from 1.
    pub parts: Vec<u32>,
}

//! An image file as a snapshot.

use crate::block::{ByteSize, GiB};
use crate::pipeline::Requests;
use crate::snapshot::{SnapshotId, Tags};
use std::path::PathBuf;
use std::time::Duration;

/// What to import, and as what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The image: a file or a device.
    pub image: PathBuf,
    /// The snapshot to build upon; only blocks that differ from it are sent.
    pub parent: Option<SnapshotId>,
    /// Its tags.
    pub tags: Tags,
    /// Free text.
    pub description: Option<String>,
    /// Leave blocks of zeros out. A volume restored encrypted then holds random bytes there.
    pub omit_zero_blocks: bool,
    /// Encrypt it.
    pub encrypted: bool,
    /// With this key.
    pub kms_key_id: Option<String>,
    /// Size of the volume; by default the smallest that holds the image (and is not below the parent's).
    pub volume_size: Option<GiB>,
    /// Minutes without a write after which the service gives the snapshot up, 10 to 4,320.
    pub timeout_minutes: Option<u32>,
    /// Return when the snapshot is completed and can be listed, rather than when the last block was sent.
    pub wait: bool,
}

/// What `icecore import` made.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The image.
    pub image: PathBuf,
    /// Size of the volume.
    pub volume_size: GiB,
    /// Blocks sent.
    pub blocks_written: u64,
    /// Of these, blocks of zeros sent as such.
    pub zero_blocks_written: u64,
    /// Blocks of the volume.
    pub blocks_total: u64,
    /// Blocks not sent because the parent has the same bytes.
    pub blocks_inherited: u64,
    /// Blocks of zeros left out.
    pub blocks_omitted: u64,
    /// Blocks that an earlier, interrupted run had sent; part of `blocks_written`.
    pub blocks_resumed: u64,
    /// What the blocks sent hold.
    pub bytes_written: ByteSize,
    /// Whether it was seen to be completed and listable.
    pub completed: bool,
    /// What was asked.
    pub requests: Requests,
    /// How long it took.
    pub elapsed: Duration,
}

//! A snapshot as an image file.

use crate::block::{ByteSize, GiB};
use crate::pipeline::Requests;
use crate::snapshot::SnapshotId;
use std::path::PathBuf;
use std::time::Duration;

/// What to export, and where to.
#[derive(Clone, Debug)]
pub struct Options {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The file to make; `None` reads and checks every block and keeps nothing.
    pub dest: Option<PathBuf>,
    /// Whether a file already there may be replaced.
    pub force: bool,
    /// Whether the file is made durable before it gets its name.
    pub sync: bool,
}

/// What `icecore export` made.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The file made.
    pub dest: Option<PathBuf>,
    /// Size of the volume, and of the file.
    pub volume_size: GiB,
    /// Blocks of the snapshot whose bytes were written.
    pub blocks_written: u64,
    /// What they hold.
    pub bytes_written: ByteSize,
    /// Blocks of the volume left as holes: absent from the snapshot, or zeros.
    pub holes: u64,
    /// Blocks that an earlier, interrupted run had written.
    pub blocks_resumed: u64,
    /// Whether the file was made durable.
    pub synced: bool,
    /// What was asked.
    pub requests: Requests,
    /// How long it took.
    pub elapsed: Duration,
}

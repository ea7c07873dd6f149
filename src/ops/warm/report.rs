//! What warming a volume came to.

use crate::block::{BlockSet, BlockSize, ByteSize, Geometry};
use crate::estate::Initialization;
use crate::fault::Kind;
use crate::ops::verify::{self, Exception};
use crate::ops::warm::{Latencies, Proof};
use crate::pipeline::Requests;
use crate::snapshot::{SnapshotId, UnixMillis, VolumeId};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// All that was planned is here, and a sample of all allocated blocks was fast.
    Warm,
    /// Some blocks are not, or the sample was slow.
    Partial,
    /// It ended before its time, for a reason that was not meant, or there was no block to read.
    Incomplete,
}

impl State {
    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Partial => "partial",
            Self::Incomplete => "incomplete",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What was warmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its path.
    pub path: PathBuf,
    /// Whether it is a block device, and not a file that stands for one.
    pub is_device: bool,
    /// Its size.
    pub size: ByteSize,
    /// The EBS volume that it is.
    pub volume_id: Option<VolumeId>,
}

/// In which order blocks were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// By index.
    Index,
    /// What changed last first: by the changes since each of these, the newest first.
    Recency(Vec<SnapshotId>),
    /// What the file says first.
    Ranges(PathBuf),
}

impl Ordered {
    /// As it stands in reports.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Recency(_) => "recency",
            Self::Ranges(_) => "ranges",
        }
    }
}

/// Why nothing had to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// The volume came whole from a fast restore.
    FastRestored,
    /// AWS says that all of it is there.
    Initialized,
}

impl Skip {
    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FastRestored => "fast_restored",
            Self::Initialized => "initialized",
        }
    }
}

/// What ended the reading early, as was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// The time was up.
    Deadline,
    /// No more blocks were asked for.
    Limit,
}

impl Bound {
    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Limit => "limit",
        }
    }
}

/// What `icecore warm` did to one volume.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// Where the snapshot is; `None` where nothing was asked.
    pub place: Option<String>,
    /// When it began.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: UnixMillis,
    /// How long it took, by a clock that is never set.
    pub elapsed: Duration,
    /// How long reading took, without listing and proof.
    pub reading: Duration,
    /// What was warmed.
    pub device: Device,
    /// What told which blocks are allocated: a snapshot, a manifest, a map.
    pub source: String,
    /// The snapshot behind it, where it is known.
    pub snapshot_id: Option<SnapshotId>,
    /// The volume's size, where it is known.
    pub geometry: Option<Geometry>,
    /// In which order.
    pub order: Ordered,
    /// Allocated blocks.
    pub allocated: u64,
    /// Whether the map states how many blocks it lists, and lists as many; `None` where no map told the blocks.
    pub is_counted: Option<bool>,
    /// Whether a snapshot without blocks was accepted beforehand.
    pub allows_empty: bool,
    /// Of these, blocks that were to be read, those of an interrupted earlier run included.
    pub planned: u64,
    /// Of the planned, blocks that were read, likewise.
    pub read: u64,
    /// Of these, read by an interrupted earlier run.
    pub resumed: u64,
    /// Whether these were counted without proof that the device is unchanged since.
    pub is_resumed: bool,
    /// Bytes read by this run, the proof's included.
    pub bytes_read: ByteSize,
    /// Of these, the proof's.
    pub bytes_of_proof: ByteSize,
    /// Allocated blocks that were not read.
    pub cold: BlockSet,
    /// Planned blocks that could not be read.
    pub unreadable: BlockSet,
    /// How long the reads of whole blocks took.
    pub latencies: Latencies,
    /// Whether the volume is warm, as a sample shows; `None` where none was drawn.
    pub proof: Option<Proof>,
    /// Whether only the proof was asked for.
    pub is_probe: bool,
    /// The part of the planned blocks that was expected to be warm by the deadline, when that could be told.
    pub predicted: Option<f64>,
    /// What ended the reading early.
    pub stopped_by: Option<Bound>,
    /// Why nothing was read.
    pub skipped: Option<Skip>,
    /// What AWS said of the volume's initialization at first and at last.
    pub initialization: Vec<Initialization>,
    /// How often the gauge of other people's latency was too high; `None` where nobody looked.
    pub exceeded: Option<u64>,
    /// What a person should know of this machine.
    pub warnings: Vec<String>,
    /// What else went wrong.
    pub exceptions: Vec<Exception>,
    /// What holding the blocks against their digests found.
    pub verified: Option<verify::Report>,
    /// What was asked.
    pub requests: Requests,
}

impl Report {
    /// How it ended.
    pub fn state(&self) -> State {
        let is_proved = self.proof.as_ref().is_some_and(Proof::is_warm);
        let is_changed = self.exceptions.iter().any(|exception| exception.kind == Kind::Changed);
        let is_empty = self.allocated == 0;
        if is_changed
            || (!self.exceptions.is_empty() && self.unreadable.is_empty())
            || (is_empty && !self.allows_empty)
        {
            State::Incomplete
        } else if is_empty || self.skipped.is_some() || (is_proved && (self.cold.is_empty() || self.is_probe))
        {
            State::Warm
        } else {
            State::Partial
        }
    }

    /// What the planned blocks hold.
    pub fn size_planned(&self) -> ByteSize {
        BlockSize::EBS.of(self.planned)
    }
}

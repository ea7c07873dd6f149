//! Making a restored volume fast before it is needed: reading what is allocated, the hottest first.
//!
//! A volume made of a snapshot fetches each block when it is first touched, and answers late then (EBS user guide,
//! "initialize volume").
//!
//! ```text
//! options -> target (opened, checked, mapped, ordered) -> schedule -> readers -> proof -> report
//! ```
//!
//! Only allocated blocks are read, past the page cache, through a descriptor that cannot write. Every way in which
//! reading ends early leaves a checkpoint not older than a second. Whether a volume is warm is never believed: a sample
//! is read and timed.

mod depth;
mod forecast;
mod guard;
mod latency;
mod order;
mod pace;
mod proof;
mod read;
mod report;
mod run;
mod schedule;
mod target;

pub use guard::{Gauge, Slo};
pub use latency::Latencies;
pub use pace::Rate;
pub use proof::Proof;
pub use report::{Bound, Device, Ordered, Report, Skip, State};
pub use run::{Item, Job, Outcome, run_all};
pub use schedule::Sharing;

use crate::device::System;
use crate::evidence::Key;
use crate::fault::Fault;
use crate::monitor::Event;
use crate::ops::{Engine, Services};
use crate::snapshot::{SnapshotId, VolumeId};
use forecast::Forecast;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// What is warmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// A device, or a file that stands for one.
    Path(PathBuf),
    /// The device of this volume.
    Volume(VolumeId),
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Volume(id) => id.fmt(f),
        }
    }
}

/// What tells which blocks are allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The snapshot that the volume was made of.
    Snapshot(SnapshotId),
    /// A manifest of it.
    Manifest(PathBuf),
    /// What `icecore blocks` printed of it.
    Map(PathBuf),
}

/// Which blocks come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Those that changed last, where older snapshots of the lineage are known; by index where not.
    #[default]
    Auto,
    /// In order of their index.
    Index,
    /// Those that changed last; refused where no older snapshot is known.
    Recency,
    /// Those of the file's ranges, in its order; then the rest.
    Ranges(PathBuf),
}

/// How much is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Amount {
    /// All allocated blocks.
    #[default]
    All,
    /// So many of them, the first of their order.
    Hottest(u64),
    /// Only the sample of the proof.
    Probe,
}

/// What one volume is warmed with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The volume.
    pub device: Where,
    /// Its blocks.
    pub what: What,
    /// Their order.
    pub order: Order,
    /// Older snapshots of the lineage, oldest first, to tell what changed last; empty asks the account.
    pub older: Vec<SnapshotId>,
    /// How much of it.
    pub amount: Amount,
    /// What the proof's slowest hundredth has to stay under; `None` follows what first touch took.
    pub threshold: Option<Duration>,
    /// Hold what is read against the manifest or snapshot.
    pub verify: bool,
    /// Read a volume that needs none of it, as AWS says.
    pub force: bool,
    /// Accept a snapshot without blocks: then there is nothing to warm, and the volume counts as warm.
    pub allow_empty: bool,
    /// The EBS volume that the device has to be.
    pub volume_id: Option<VolumeId>,
    /// Draw what an earlier proof drew.
    pub seed: Option<u64>,
    /// The system that tells of devices.
    pub system: System,
    /// The key that signs what is entered into the ledger.
    pub sign_key: Option<Key>,
}

impl Options {
    /// All allocated blocks, in the best order that can be known.
    pub fn of(device: Where, what: What) -> Self {
        Self {
            device,
            what,
            order: Order::Auto,
            older: Vec::new(),
            amount: Amount::All,
            threshold: None,
            verify: false,
            force: false,
            allow_empty: false,
            volume_id: None,
            seed: None,
            system: System::default(),
            sign_key: None,
        }
    }
}

/// What all volumes of a run keep to together.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// The most that is read in a second.
    pub rate: Rate,
    /// What others on the volume are promised.
    pub slo: Option<Slo>,
    /// How long the run may take, the proof included.
    pub deadline: Option<Duration>,
    /// Reads of each volume in flight at once; `None` finds out on the way.
    pub depth: Option<usize>,
    /// How volumes share what there is.
    pub sharing: Sharing,
}

/// Warms one volume. Without services the blocks are those of a manifest or a map, and nothing is known of AWS's own
/// initialization.
///
/// # Errors
/// What keeps the first block from being read. From then on faults are in the report.
pub async fn run(
    options: &Options,
    bounds: &Bounds,
    services: Option<&Services>,
    engine: &Engine,
) -> Result<Report, Fault> {
    let start = Instant::now();
    engine.monitor.on(Event::Stage { verb: "listing", total: None });
    let target = target::open(options, services, engine).await?;
    let mut reports = run::warmed(vec![target], bounds, services, engine, start).await?;
    Ok(reports.pop().unwrap_or_else(|| unreachable!("one target, one report")))
}

#[cfg(test)]
mod tests;

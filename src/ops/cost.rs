//! What every snapshot costs, and what deleting, archiving or keeping would change.
//!
//! [`measure`] asks the account and models what its snapshots share; the reports are pure functions of what it found.
//! Only listings are read, no blocks.

mod candidates;
pub mod compare;
mod estimate;
mod facts;
mod gather;
mod lister;
mod measured;
mod ration;
pub mod reconcile;
mod unattached;
mod verified;
mod what_if;

pub use candidates::{Advice, AdviceReport, Orphan, OrphansReport};
pub use estimate::{EstimateReport, estimate};
pub use facts::{Binned, Facts};
pub use gather::{measure, measure_these};
pub use measured::{Group, GroupBy, Groups, LineageRow, Measured, Report, Row, Spent, Totals};
pub use verified::{Proved, verified};
pub use what_if::{Change, Effect, Freed, What, WhatIf};

use crate::cost::Prices;
use crate::snapshot::{SnapshotId, SnapshotInfo, Tag, VolumeId};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What to look at, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to show. Whole lineages are modelled, whatever is shown of them.
    pub shown: Selection,
    /// The Region, by which listings are kept and priced.
    pub prices: Prices,
    /// Most comparisons for one snapshot whose predecessor is not known.
    pub compare: usize,
    /// Whether listings are kept, and those that were kept are used.
    pub keeps_listings: bool,
    /// Pages after which to stop.
    pub max_requests: Option<u64>,
    /// Time after which to stop.
    pub deadline: Option<Duration>,
    /// Days for which a Recycle Bin rule keeps what is deleted; 0 where none does. `None` where nobody told: the rules
    /// are another service's.
    pub bin_days: Option<u32>,
    /// Snapshots that a restore was verified from; `None` where nobody told.
    pub verified: Option<BTreeMap<SnapshotId, Proved>>,
}

/// Which snapshots are meant: those named, of one of the volumes, and with all of the tags. Empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// By name.
    pub ids: Vec<SnapshotId>,
    /// Of one of these volumes.
    pub volumes: Vec<VolumeId>,
    /// With all of these tags.
    pub tags: Vec<Tag>,
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.ids.iter().map(ToString::to_string);
        let volumes = self.volumes.iter().map(|volume| format!("--volume {volume}"));
        let tags = self.tags.iter().map(|tag| format!("--tag {}={}", tag.key, tag.value));
        let all: Vec<String> = ids.chain(volumes).chain(tags).collect();
        f.write_str(if all.is_empty() { "all snapshots".to_owned() } else { all.join(" ") }.as_str())
    }
}

impl Selection {
    /// These, in whatever order they were named.
    pub fn of(mut ids: Vec<SnapshotId>, mut volumes: Vec<VolumeId>, mut tags: Vec<Tag>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        volumes.sort_unstable();
        volumes.dedup();
        tags.sort_by(|a, b| (&a.key, &a.value).cmp(&(&b.key, &b.value)));
        tags.dedup();
        Self { ids, volumes, tags }
    }

    fn is_all(&self) -> bool {
        *self == Self::default()
    }

    fn admits(&self, info: &SnapshotInfo) -> bool {
        let named = self.ids.is_empty() || self.ids.contains(&info.id);
        let volume = self.volumes.is_empty() || info.volume_id.iter().any(|id| self.volumes.contains(id));
        let tags = self.tags.iter().all(|tag| info.tags.get(&tag.key) == Some(&tag.value));
        named && volume && tags
    }
}

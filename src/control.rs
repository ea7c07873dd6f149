//! What is asked of the account around the blocks: small traits, so that a plan takes only what it uses.
//!
//! All of them answer for what is our own in one Region, and never for what others share or publish. An answer with
//! nothing in it means that there is nothing; who may not ask gets a [`Fault`], which [`known`] turns into a
//! [`Known::Unknown`] where work goes on without the answer. Views are eventually consistent.
//!
//! [`conformance`] holds the checks that every implementation passes; [`memory`] is the reference.

pub mod conformance;
mod holds;
mod images;
mod instances;
mod known;
pub mod memory;
mod tagging;
mod volumes;

pub use holds::{Bin, FastRestores, Holds, Locks, Sharing, Templates, Tiers};
pub use images::{ImageQuery, Images};
pub use instances::{InstanceQuery, Instances};
pub use known::{Known, known};
pub use tagging::Tagging;
pub use volumes::{VolumeQuery, Volumes};

use crate::fault::Fault;
use crate::snapshot::{SnapshotId, SnapshotInfo, SnapshotState, Tag, Tags, VolumeId};
use futures_util::future::BoxFuture;
use std::fmt;

/// Which snapshots are meant: all conditions hold. Empty means all of our own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotQuery {
    /// These only; naming one that does not exist is `NotFound`.
    pub ids: Vec<SnapshotId>,
    /// Of one of these volumes.
    pub volumes: Vec<VolumeId>,
    /// With all of these tags.
    pub tags: Vec<Tag>,
    /// In this state.
    pub state: Option<SnapshotState>,
}

impl SnapshotQuery {
    /// One snapshot by name.
    pub fn one(id: &SnapshotId) -> Self {
        Self { ids: vec![id.clone()], ..Self::default() }
    }

    /// Whether the conditions other than `ids` hold for this snapshot.
    pub fn admits(&self, info: &SnapshotInfo) -> bool {
        let volume = self.volumes.is_empty() || info.volume_id.iter().any(|id| self.volumes.contains(id));
        let tags = self.tags.iter().all(|tag| info.tags.get(&tag.key) == Some(&tag.value));
        volume && tags && self.state.is_none_or(|state| state == info.state)
    }
}

/// Snapshots as the account's control plane sees them.
///
/// # Contract
/// `describe` walks all pages and answers for our own snapshots only, public ones never; in order of start time.
/// `delete` returns when the service has taken the order. Views are eventually consistent.
pub trait Snapshots: fmt::Debug + Send + Sync {
    /// The facts of all snapshots meant.
    fn describe<'a>(&'a self, query: &'a SnapshotQuery) -> BoxFuture<'a, Result<Vec<SnapshotInfo>, Fault>>;

    /// Deletes one.
    fn delete<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<(), Fault>>;

    /// Adds tags, replacing those of the same key.
    fn tag<'a>(&'a self, id: &'a SnapshotId, tags: &'a Tags) -> BoxFuture<'a, Result<(), Fault>>;
}

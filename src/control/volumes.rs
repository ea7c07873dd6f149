//! Volumes: made from a snapshot, attached, looked at, detached, deleted.

use crate::estate::{Attachment, Initialization, NewVolume, Volume, VolumeState};
use crate::fault::Fault;
use crate::snapshot::{InstanceId, SnapshotId, Tag, VolumeId};
use futures_util::future::BoxFuture;
use std::fmt;

/// Which volumes are meant: all conditions hold. Empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeQuery {
    /// These only; naming one that does not exist is `NotFound`.
    pub ids: Vec<VolumeId>,
    /// Made from one of these.
    pub snapshots: Vec<SnapshotId>,
    /// With all of these tags.
    pub tags: Vec<Tag>,
    /// In this state.
    pub state: Option<VolumeState>,
}

impl VolumeQuery {
    /// One volume by name.
    pub fn one(id: &VolumeId) -> Self {
        Self { ids: vec![id.clone()], ..Self::default() }
    }

    /// Whether the conditions other than `ids` hold for this volume.
    pub fn admits(&self, volume: &Volume) -> bool {
        let snapshot =
            self.snapshots.is_empty() || volume.snapshot.iter().any(|id| self.snapshots.contains(id));
        let tags = self.tags.iter().all(|tag| volume.tags.get(&tag.key) == Some(&tag.value));
        snapshot && tags && self.state.as_ref().is_none_or(|state| *state == volume.state)
    }
}

/// Volumes as the account's control plane sees them.
///
/// # Contract
/// - `volumes` walks all pages; in order of the volumes' ids. A volume that was just made may be missing for a
///   while, one that was just deleted may be shown.
/// - The others return when the service has taken the order; what comes of it shows in `volumes`.
/// - `create_volume` with the client token of an earlier call gives the volume that call made; with other parameters it is
///   `Refused`. Nothing else has a token: look before it is sent again.
pub trait Volumes: fmt::Debug + Send + Sync {
    /// All volumes meant.
    fn volumes<'a>(&'a self, query: &'a VolumeQuery) -> BoxFuture<'a, Result<Vec<Volume>, Fault>>;

    /// How far the data of these volumes has come; in order of their ids.
    fn initializations<'a>(
        &'a self,
        ids: &'a [VolumeId],
    ) -> BoxFuture<'a, Result<Vec<Initialization>, Fault>>;

    /// Makes a volume from a snapshot.
    fn create_volume<'a>(&'a self, new: &'a NewVolume) -> BoxFuture<'a, Result<Volume, Fault>>;

    /// Attaches a volume under a device name, as `/dev/sdf`.
    fn attach_volume<'a>(
        &'a self,
        id: &'a VolumeId,
        to: &'a InstanceId,
        device: &'a str,
    ) -> BoxFuture<'a, Result<Attachment, Fault>>;

    /// Detaches a volume from this instance; where another one has it, nothing happens. The instance should have let
    /// go of it: unmounted, written back.
    fn detach_volume<'a>(
        &'a self,
        id: &'a VolumeId,
        from: &'a InstanceId,
    ) -> BoxFuture<'a, Result<Attachment, Fault>>;

    /// Deletes a volume that is attached nowhere.
    fn delete_volume<'a>(&'a self, id: &'a VolumeId) -> BoxFuture<'a, Result<(), Fault>>;
}

//! Where a simulated account keeps what it holds beside its snapshots, and the bytes of its volumes.

use crate::block::{BlockIndex, ByteSize};
use crate::estate::{Held, NewVolume, Volume};
use crate::fault::Fault;
use crate::snapshot::{InstanceId, SnapshotId, UnixMillis, VolumeId};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is held, by the name of the Region.
pub type Regions = BTreeMap<String, Holdings>;

/// What is held in one Region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// What there is. Volumes stand here as they are once nothing is on its way.
    pub held: Held,
    /// What is on its way, of volumes that were made or moved here.
    pub lives: BTreeMap<VolumeId, Life>,
    /// Snapshots that were started here, and so are in no other Region.
    pub snapshots: BTreeSet<SnapshotId>,
    /// Volumes in the Recycle Bin, as they were: their devices are kept.
    pub kept: Vec<Volume>,
}

impl Holdings {
    /// Whether a volume's end was asked for, and nothing keeps it: its device is gone, or may go.
    pub fn is_deleted(&self, id: &VolumeId) -> bool {
        !self.is_kept(id) && self.lives.get(id).is_some_and(|life| life.deleted.is_some())
    }

    /// Whether a volume lies in the Recycle Bin.
    pub fn is_kept(&self, id: &VolumeId) -> bool {
        self.kept.iter().any(|volume| volume.id == *id)
    }

    /// The instance that finds a volume's device.
    pub fn plugged(&self, id: &VolumeId) -> Option<&InstanceId> {
        let life = self.lives.get(id)?;
        let is_there =
            life.attached.is_some() && (life.detached.is_none() || life.fate == Some(Fate::Sticks));
        let is_stuck_before = life.detached.is_none() && life.fate == Some(Fate::Sticks);
        let volume = self.held.volumes.iter().find(|volume| volume.id == *id)?;
        volume.attachments.first().filter(|_| is_there && !is_stuck_before)?.instance.as_ref()
    }
}

/// The life of a volume: when its changes were asked for. What is seen of it follows from the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// The request it was made by, word for word; `None` where it was not made here.
    pub asked: Option<NewVolume>,
    /// When it was made.
    pub made: Option<UnixMillis>,
    /// When its attachment was asked for.
    pub attached: Option<UnixMillis>,
    /// When its detachment was asked for.
    pub detached: Option<UnixMillis>,
    /// When its end was asked for.
    pub deleted: Option<UnixMillis>,
    /// Blocks that come from the snapshot.
    pub blocks: u64,
    /// What goes wrong with it.
    pub fate: Option<Fate>,
}

/// What goes wrong with a volume after the request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is gone instead of available, as when its key cannot be used.
    Vanishes,
    /// It ends in the state `error`.
    Fails,
    /// What it was last asked for never ends: it stays on its way.
    Sticks,
}

/// What an account holds, to look at.
pub trait Vault: fmt::Debug + Send + Sync {
    /// Everything, as it was last saved; nothing before the first time.
    fn load(&self) -> Result<Regions, Fault>;
}

/// What an account holds, to change.
///
/// # Contract
/// What has returned is durable. A crash before leaves what was saved before, and no device under a final name; what
/// the account does not name is cleared away when it is opened again. One writer at a time; `save` and the others
/// are never called at the same time for the same volume.
pub trait VaultWriter: Vault {
    /// Replaces everything.
    fn save(&self, regions: &Regions) -> Result<(), Fault>;

    /// Makes the device of a new volume: these blocks, and holes.
    fn make_device(
        &self,
        id: &VolumeId,
        size: ByteSize,
        blocks: &mut dyn Iterator<Item = Result<(BlockIndex, Bytes), Fault>>,
    ) -> Result<(), Fault>;

    /// Removes a device; it is well if there is none.
    fn remove_device(&self, id: &VolumeId) -> Result<(), Fault>;

    /// Lets an instance find the device.
    fn plug(&self, id: &VolumeId, to: &InstanceId) -> Result<(), Fault>;

    /// Lets it find the device no more; it is well if it did not.
    fn unplug(&self, id: &VolumeId, from: &InstanceId) -> Result<(), Fault>;
}

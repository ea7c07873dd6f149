//! A vault in memory.

use crate::block::{BlockIndex, ByteSize};
use crate::fault::{Fault, Kind, Place};
use crate::shelf::{Regions, Vault, VaultWriter};
use crate::snapshot::{InstanceId, VolumeId};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The blocks of a device; the others are holes.
type Device = BTreeMap<BlockIndex, Bytes>;

#[derive(Default)]
struct Kept {
    regions: Regions,
    devices: BTreeMap<VolumeId, Device>,
    plugged: BTreeSet<(InstanceId, VolumeId)>,
}

/// Holdings and devices in memory.
#[derive(Default)]
pub struct MemoryVault(Mutex<Kept>);

impl MemoryVault {
    /// The blocks of a device, if there is one.
    pub fn device(&self, id: &VolumeId) -> Option<BTreeMap<BlockIndex, Bytes>> {
        self.lock().devices.get(id).cloned()
    }

    /// The volumes that an instance finds.
    pub fn plugged(&self, to: &InstanceId) -> Vec<VolumeId> {
        let kept = self.lock();
        kept.plugged.iter().filter(|(instance, _)| instance == to).map(|(_, id)| id.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryVault").field("devices", &self.lock().devices.len()).finish_non_exhaustive()
    }
}

impl Vault for MemoryVault {
    fn load(&self) -> Result<Regions, Fault> {
        Ok(self.lock().regions.clone())
    }
}

impl VaultWriter for MemoryVault {
    fn save(&self, regions: &Regions) -> Result<(), Fault> {
        self.lock().regions.clone_from(regions);
        Ok(())
    }

    fn make_device(
        &self,
        id: &VolumeId,
        _: ByteSize,
        blocks: &mut dyn Iterator<Item = Result<(BlockIndex, Bytes), Fault>>,
    ) -> Result<(), Fault> {
        let device = blocks.collect::<Result<Device, _>>()?;
        self.lock().devices.insert(id.clone(), device);
        Ok(())
    }

    fn remove_device(&self, id: &VolumeId) -> Result<(), Fault> {
        self.lock().devices.remove(id);
        Ok(())
    }

    fn plug(&self, id: &VolumeId, to: &InstanceId) -> Result<(), Fault> {
        let mut kept = self.lock();
        if !kept.devices.contains_key(id) {
            return Err(Fault::new(Kind::NotFound, Place::Volume(id.clone()), "it has no device"));
        }
        kept.plugged.insert((to.clone(), id.clone()));
        Ok(())
    }

    fn unplug(&self, id: &VolumeId, from: &InstanceId) -> Result<(), Fault> {
        self.lock().plugged.remove(&(from.clone(), id.clone()));
        Ok(())
    }
}

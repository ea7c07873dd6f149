//! What an account holds beside its snapshots, in the store's directory.
//!
//! A volume's device lies in `volumes` while it is attached nowhere, and in the directory of its instance while it is,
//! under the name that udev gives an EBS volume on a machine: it moves, and so is in one place at any time.

use crate::block::{BlockIndex, BlockSize, ByteSize, is_zero};
use crate::disk::{Access, Opening};
use crate::fault::{Fault, Kind, Place};
use crate::shelf::{Holdings, Regions, Vault, VaultWriter};
use crate::snapshot::{InstanceId, VolumeId};
use crate::store::{Store, StoreWriter, holdings};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;

/// Where a device belongs: at an instance, or at none.
type Spots = BTreeMap<VolumeId, Option<InstanceId>>;

impl Vault for Store {
    fn load(&self) -> Result<Regions, Fault> {
        let path = self.files.account();
        let Some(bytes) = self.files.read(&path)? else { return Ok(Regions::new()) };
        holdings::decode(&bytes).map_err(|what| {
            let what = format!("what the account holds is damaged: {what}");
            Fault::new(Kind::Corrupt, Place::File(path), what)
                .hint("put it back from a copy of the store, or remove it: volumes are lost then, snapshots are not")
        })
    }
}

impl Vault for StoreWriter {
    fn load(&self) -> Result<Regions, Fault> {
        self.store().load()
    }
}

impl VaultWriter for StoreWriter {
    fn save(&self, regions: &Regions) -> Result<(), Fault> {
        let files = &self.store().files;
        files.replace(&files.account(), &holdings::encode(regions), Access::Group)
    }

    fn make_device(
        &self,
        id: &VolumeId,
        size: ByteSize,
        blocks: &mut dyn Iterator<Item = Result<(BlockIndex, Bytes), Fault>>,
    ) -> Result<(), Fault> {
        let files = &self.store().files;
        let draft = files.tmp().join(id.as_str());
        let written = self.write_device(&draft, size, blocks);
        if written.is_err() {
            // It may be large. What cannot be removed now, the next writer removes.
            let _ = files.remove(&draft);
        }
        written?;
        self.store().directory(&files.volumes())?;
        files.rename(&draft, &files.volume(id))?;
        files.sync(&files.volumes())
    }

    fn remove_device(&self, id: &VolumeId) -> Result<(), Fault> {
        let files = &self.store().files;
        if !files.is_there(&files.volume(id))? {
            return Ok(());
        }
        files.remove(&files.volume(id))?;
        files.sync(&files.volumes())
    }

    fn plug(&self, id: &VolumeId, to: &InstanceId) -> Result<(), Fault> {
        let files = &self.store().files;
        let (from, place) = (files.volume(id), files.device(id, to));
        if files.is_there(&place)? {
            return Ok(());
        }
        if !files.is_there(&from)? {
            return Err(Fault::new(Kind::NotFound, Place::Volume(id.clone()), "it has no device"));
        }
        self.store().directory(&files.instances())?;
        self.store().directory(&files.devices(to))?;
        files.rename(&from, &place)?;
        files.sync(&files.devices(to))?;
        files.sync(&files.volumes())
    }

    fn unplug(&self, id: &VolumeId, from: &InstanceId) -> Result<(), Fault> {
        let files = &self.store().files;
        let place = files.device(id, from);
        if !files.is_there(&place)? {
            return Ok(());
        }
        self.store().directory(&files.volumes())?;
        files.rename(&place, &files.volume(id))?;
        files.sync(&files.volumes())?;
        files.sync(&files.devices(from))
    }
}

impl Store {
    /// Makes a directory of the store's, durably.
    fn directory(&self, dir: &Path) -> Result<(), Fault> {
        if self.files.is_there(dir)? {
            return Ok(());
        }
        self.files.make_dir(dir)?;
        dir.parent().map_or(Ok(()), |above| self.files.sync(above))
    }
}

impl StoreWriter {
    fn write_device(
        &self,
        path: &Path,
        size: ByteSize,
        blocks: &mut dyn Iterator<Item = Result<(BlockIndex, Bytes), Fault>>,
    ) -> Result<(), Fault> {
        let local = |error| Fault::local(path, "write", error);
        let handle = self.store().files.disk.open(path, Opening::New(Access::Group)).map_err(local)?;
        handle.set_len(size.bytes()).map_err(local)?;
        for block in blocks {
            let (index, bytes) = block?;
            // A hole reads the same.
            if is_zero(&bytes) {
                continue;
            }
            handle.write_at(&bytes, index.byte_offset(BlockSize::EBS)).map_err(local)?;
        }
        handle.sync().map_err(local)
    }

    /// Puts every device where the account says that it is, and removes those it does not name.
    pub(crate) fn tidy_devices(&self) -> Result<(), Fault> {
        let files = &self.store().files;
        let regions = match self.load() {
            Ok(regions) => regions,
            // What a damaged file names cannot be told from garbage.
            Err(fault) if fault.kind == Kind::Corrupt => return Ok(()),
            Err(fault) => return Err(fault),
        };
        let spots = spots(&regions);
        for instance in files.names(&files.instances())? {
            let Ok(instance) = instance.parse::<InstanceId>() else { continue };
            for name in files.names(&files.devices(&instance))? {
                let Some(id) = VolumeId::of_device(&name) else { continue };
                if spots.get(&id) != Some(&Some(instance.clone())) {
                    self.unplug(&id, &instance)?;
                }
            }
        }
        for name in files.names(&files.volumes())? {
            let Ok(id) = name.parse::<VolumeId>() else { continue };
            match spots.get(&id) {
                None => self.remove_device(&id)?,
                Some(Some(instance)) => self.plug(&id, instance)?,
                Some(None) => {}
            }
        }
        Ok(())
    }
}

/// Where every device belongs that the account has.
fn spots(regions: &Regions) -> Spots {
    let volumes = regions.values().flat_map(|holdings: &Holdings| {
        let there = holdings.held.volumes.iter().filter(|volume| !holdings.is_deleted(&volume.id));
        there.chain(&holdings.kept).map(|volume| (volume.id.clone(), holdings.plugged(&volume.id).cloned()))
    });
    volumes.collect()
}

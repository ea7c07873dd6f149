//! Volumes of the account: made from a snapshot's blocks, attached, detached, deleted.
//!
//! Every change is saved before it is answered. A device is made before the volume is named, and removed after it is
//! named no more: what a crash leaves behind is garbage that the vault clears away.

use crate::account::device::contents;
use crate::account::life::{self, Coming};
use crate::account::{Account, Encryption, EncryptionError, Pace};
use crate::block::{Geometry, GiB};
use crate::estate::{Attachment, AttachmentState, Instance, NewVolume, Volume, VolumeKind, VolumeState};
use crate::fault::Fault;
use crate::shelf::{Fate, Holdings, Life};
use crate::snapshot::{InstanceId, SnapshotInfo, SnapshotState, UnixMillis, VolumeId};
use std::time::Duration;

/// Volumes that an instance takes: 28 attachments of a Nitro instance, without its network interface (EC2 user guide,
/// "volume_limits").
const MOST_ATTACHMENTS: usize = 27;

/// GiB that a Region takes in volumes of one kind, of an account that never asked for more (EBS user guide,
/// "ebs-resource-quotas").
fn most_storage(kind: &VolumeKind) -> u64 {
    if *kind == VolumeKind::Io2 { 20 * 1024 } else { 50 * 1024 }
}

/// Why a volume is not as was asked.
#[derive(Debug)]
pub enum VolumeError {
    /// There is no such snapshot.
    NoSnapshot,
    /// The snapshot is not completed.
    Snapshot(SnapshotState),
    /// Neither a snapshot nor a size was given.
    NoSize,
    /// The encryption asked for cannot be.
    Encryption(EncryptionError),
    /// The client token made another volume.
    Token,
    /// There is no such volume.
    NoVolume,
    /// The volume is in a state in which this cannot be done.
    State(VolumeState),
    /// The volume is attached, or still is.
    InUse,
    /// There is no such instance.
    NoInstance,
    /// The instance neither runs nor is stopped.
    Instance,
    /// The instance is in another Availability Zone.
    Zone,
    /// The instance has something under this device name.
    Device,
    /// The instance takes no more volumes.
    Limit,
    /// The Region takes no more storage of this kind.
    Storage,
    /// The volume is attached, but not there.
    NotThere,
    /// It could not be done.
    Fault(Fault),
}

impl From<Fault> for VolumeError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Where a volume is, when asked to be attached or detached.
#[derive(Clone, Debug, Default)]
pub struct Spot {
    /// The instance; without one wherever it is.
    pub instance: Option<InstanceId>,
    /// The device name; without one whichever it is.
    pub device: Option<String>,
}

impl Account {
    /// Makes a volume, unless this client token made one: then it is that one.
    pub fn create_volume(
        &self,
        region: &str,
        asked: &NewVolume,
        fate: Option<Fate>,
        now: UnixMillis,
    ) -> Result<Volume, VolumeError> {
        let vault = self.vault()?;
        let source = self.source(region, asked, now)?;
        self.edit(region, |holdings| {
            self.empty_bin(holdings, now)?;
            self.purge(holdings, now)?;
            let same = |(_, life): &(&VolumeId, &Life)| {
                life.asked.as_ref().is_some_and(|first| first.client_token == asked.client_token)
            };
            let first = holdings.lives.iter().find(same).filter(|_| !asked.client_token.is_empty());
            if let Some((id, life)) = first {
                if life.asked.as_ref() != Some(asked) {
                    return Err(VolumeError::Token);
                }
                let first = holdings.held.volumes.iter().find(|volume| volume.id == *id);
                return first.map(as_made).ok_or(VolumeError::NoVolume);
            }
            let (volume, usable) = self.granted(region, holdings, asked, source.as_ref(), now)?;
            let alike = holdings.held.volumes.iter().filter(|one| one.kind == volume.kind);
            let stored: u64 = alike.chain([&volume]).map(|one| u64::from(one.size.get())).sum();
            if self.settings().limits_storage && stored > most_storage(&volume.kind) {
                return Err(VolumeError::Storage);
            }
            let blocks = source.as_ref().and_then(|info| info.full_size).map_or(0, |size| size.bytes() >> 19);
            let mut contents = contents(self.shelf(), &volume, source.as_ref());
            vault.make_device(&volume.id, Geometry::ebs(volume.size).size(), &mut *contents)?;
            let life = Life {
                asked: Some(asked.clone()),
                made: Some(now),
                blocks,
                fate: if usable { fate } else { Some(Fate::Vanishes) },
                ..Life::default()
            };
            holdings.lives.insert(volume.id.clone(), life);
            holdings.held.volumes.push(volume.clone());
            Ok(as_made(&volume))
        })
    }

    /// Attaches a volume to an instance under a device name.
    pub fn attach_volume(
        &self,
        region: &str,
        id: &VolumeId,
        (instance, device): (&InstanceId, &str),
        fate: Option<Fate>,
        now: UnixMillis,
    ) -> Result<Attachment, VolumeError> {
        let vault = self.vault()?;
        self.edit(region, |holdings| {
            let instances = self.held(region, now)?.instances;
            let seen = self.looked(holdings, id, now)?;
            match &seen.state {
                VolumeState::Available => {}
                VolumeState::InUse => return Err(VolumeError::InUse),
                other => return Err(VolumeError::State(other.clone())),
            }
            let host = instances.iter().find(|one| one.id == *instance).ok_or(VolumeError::NoInstance)?;
            fits(&seen, host, device)?;
            let attachment = Attachment {
                instance: Some(instance.clone()),
                device: device.to_owned(),
                state: AttachmentState::Attached,
            };
            if fate.is_none() {
                vault.plug(id, instance)?;
            }
            let life = holdings.lives.entry(id.clone()).or_default();
            (life.attached, life.detached, life.fate) = (Some(now), None, fate);
            rest(holdings, id, VolumeState::InUse, vec![attachment.clone()]);
            Ok(Attachment { state: AttachmentState::Attaching, ..attachment })
        })
    }

    /// Detaches a volume from where it is.
    pub fn detach_volume(
        &self,
        region: &str,
        id: &VolumeId,
        from: &Spot,
        fate: Option<Fate>,
        now: UnixMillis,
    ) -> Result<Attachment, VolumeError> {
        let vault = self.vault()?;
        self.edit(region, |holdings| {
            let seen = self.looked(holdings, id, now)?;
            let attachment = seen.attachments.first().ok_or(VolumeError::State(seen.state))?;
            let is_there = from.instance.as_ref().is_none_or(|one| Some(one) == attachment.instance.as_ref())
                && from.device.as_ref().is_none_or(|device| *device == attachment.device);
            if !is_there {
                return Err(VolumeError::NotThere);
            }
            if attachment.state == AttachmentState::Detaching {
                return Err(VolumeError::State(VolumeState::InUse));
            }
            if fate.is_none()
                && let Some(instance) = &attachment.instance
            {
                vault.unplug(id, instance)?;
            }
            let life = holdings.lives.entry(id.clone()).or_default();
            (life.detached, life.fate) = (Some(now), fate);
            Ok(Attachment { state: AttachmentState::Detaching, ..attachment.clone() })
        })
    }

    /// Deletes a volume that is attached nowhere; where a rule keeps it, into the Recycle Bin.
    pub fn delete_volume(
        &self,
        region: &str,
        id: &VolumeId,
        fate: Option<Fate>,
        now: UnixMillis,
    ) -> Result<(), VolumeError> {
        let vault = self.vault()?;
        let is_kept = self.edit(region, |holdings| {
            self.empty_bin(holdings, now)?;
            let seen = self.looked(holdings, id, now)?;
            match &seen.state {
                VolumeState::Available | VolumeState::Error => {}
                VolumeState::InUse => return Err(VolumeError::InUse),
                other => return Err(VolumeError::State(other.clone())),
            }
            let life = holdings.lives.entry(id.clone()).or_default();
            (life.deleted, life.fate) = (Some(now), fate);
            rest(holdings, id, VolumeState::Available, Vec::new());
            Ok(self.keep(holdings, &seen, now))
        })?;
        if is_kept { Ok(()) } else { Ok(vault.remove_device(id)?) }
    }

    /// How far the data of the Region's volumes has come; those to which none comes are left out.
    pub fn coming(&self, region: &str, now: UnixMillis) -> Result<Vec<(VolumeId, Coming)>, Fault> {
        let Holdings { held, lives, .. } = self.holdings(region)?;
        let coming = held.volumes.iter().filter_map(|volume| {
            let coming = life::coming(volume, lives.get(&volume.id)?, &self.settings().pace, now)?;
            Some((volume.id.clone(), coming))
        });
        Ok(coming.collect())
    }

    /// The snapshot that a volume is to be made of.
    fn source(
        &self,
        region: &str,
        asked: &NewVolume,
        now: UnixMillis,
    ) -> Result<Option<SnapshotInfo>, VolumeError> {
        let Some(id) = &asked.snapshot else { return Ok(None) };
        let info = self.find(region, id, now)?.ok_or(VolumeError::NoSnapshot)?.info;
        match info.state {
            SnapshotState::Completed => Ok(Some(info)),
            other => Err(VolumeError::Snapshot(other)),
        }
    }

    /// The volume that the account makes of what was asked, and whether its key can be used.
    fn granted(
        &self,
        region: &str,
        holdings: &Holdings,
        asked: &NewVolume,
        source: Option<&SnapshotInfo>,
        now: UnixMillis,
    ) -> Result<(Volume, bool), VolumeError> {
        let defaults = self.defaults_of(region, &holdings.held.encryption);
        let key = asked.kms_key_id.as_ref().map(|name| self.key_arn(region, name));
        let encryption = Encryption::of_volume(&defaults, source, asked.encrypted, key.as_deref());
        let kms_key_id = encryption.map_err(VolumeError::Encryption)?.key();
        // One that is too small is made as large as the snapshot, as recorded.
        let least = source.map(|info| info.volume_size);
        let size: GiB = asked.size.max(least).ok_or(VolumeError::NoSize)?;
        let usable = [kms_key_id.as_ref(), source.and_then(|info| info.kms_key_id.as_ref())]
            .into_iter()
            .flatten()
            .all(|key| self.can_use(region, key));
        let id = format!("vol-0{:016x}", fastrand::u64(..));
        let (iops, throughput) = rates(asked, size);
        let volume = Volume {
            id: id.parse().unwrap_or_else(|_| unreachable!("hexadecimal digits")),
            state: VolumeState::Available,
            size,
            zone: asked.zone.clone(),
            kind: asked.kind.clone(),
            iops,
            throughput,
            snapshot: asked.snapshot.clone(),
            encrypted: kms_key_id.is_some(),
            kms_key_id,
            created: Some(now),
            attachments: Vec::new(),
            fast_restored: Some(false),
            tags: asked.tags.clone(),
        };
        Ok((volume, usable))
    }

    /// A volume as it is seen now.
    fn looked(&self, holdings: &Holdings, id: &VolumeId, now: UnixMillis) -> Result<Volume, VolumeError> {
        let volume = holdings.held.volumes.iter().find(|one| one.id == *id).ok_or(VolumeError::NoVolume)?;
        let Some(life) = holdings.lives.get(id) else { return Ok(volume.clone()) };
        life::seen(volume, life, &self.settings().pace, now).ok_or(VolumeError::NoVolume)
    }

    /// Forgets volumes that nobody will see again.
    fn purge(&self, holdings: &mut Holdings, now: UnixMillis) -> Result<(), Fault> {
        // One that is not seen yet is not gone; nor is one that was made while whoever asks had to wait.
        let pace = Pace { unseen: Duration::ZERO, ..self.settings().pace.clone() };
        let is_gone = |volume: &&Volume| {
            let life = holdings.lives.get(&volume.id);
            let now = now.max(life.and_then(|life| life.made).unwrap_or(now));
            life.is_some_and(|life| life::seen(volume, life, &pace, now).is_none())
        };
        let gone: Vec<_> =
            holdings.held.volumes.iter().filter(is_gone).map(|volume| volume.id.clone()).collect();
        holdings.held.volumes.retain(|volume| !gone.contains(&volume.id));
        for id in gone {
            holdings.lives.remove(&id);
            if !holdings.is_kept(&id) {
                self.vault()?.remove_device(&id)?;
            }
        }
        Ok(())
    }
}

/// As CreateVolume answers it, also when it is asked again.
fn as_made(volume: &Volume) -> Volume {
    Volume { state: VolumeState::Creating, attachments: Vec::new(), ..volume.clone() }
}

/// Notes how a volume stands once nothing is on its way.
fn rest(holdings: &mut Holdings, id: &VolumeId, state: VolumeState, attachments: Vec<Attachment>) {
    for volume in holdings.held.volumes.iter_mut().filter(|one| one.id == *id) {
        (volume.state, volume.attachments) = (state.clone(), attachments.clone());
    }
}

/// Whether an instance takes a volume under this name.
fn fits(volume: &Volume, host: &Instance, device: &str) -> Result<(), VolumeError> {
    if !host.takes_volumes() {
        return Err(VolumeError::Instance);
    }
    if host.zone != volume.zone {
        return Err(VolumeError::Zone);
    }
    if host.devices.iter().any(|taken| taken == device) {
        return Err(VolumeError::Device);
    }
    if host.devices.len() >= MOST_ATTACHMENTS {
        return Err(VolumeError::Limit);
    }
    Ok(())
}

/// I/O operations and MiB a second of a volume: what was asked for, else what its kind has (EBS user guide,
/// "general-purpose").
fn rates(asked: &NewVolume, size: GiB) -> (Option<u32>, Option<u32>) {
    match asked.kind {
        VolumeKind::Gp3 => (asked.iops.or(Some(3000)), asked.throughput.or(Some(125))),
        VolumeKind::Gp2 => (Some((3 * size.get()).clamp(100, 16_000)), None),
        _ => (asked.iops, None),
    }
}

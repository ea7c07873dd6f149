//! Volumes in memory: made, attached and gone in the same moment.

use crate::block::GiB;
use crate::control::memory::account::{MemoryAccount, chosen, no};
use crate::control::memory::missing;
use crate::control::{VolumeQuery, Volumes};
use crate::estate::{Attachment, AttachmentState, Held, Initialization, NewVolume, Volume, VolumeState};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::{InstanceId, VolumeId};
use futures_util::future::{BoxFuture, FutureExt, ready};

impl Volumes for MemoryAccount {
    fn volumes<'a>(&'a self, query: &'a VolumeQuery) -> BoxFuture<'a, Result<Vec<Volume>, Fault>> {
        let found = self.allowed("DescribeVolumes", |held| {
            chosen("volume", &held.volumes, &query.ids, |one| &one.id, |one| query.admits(one))
        });
        ready(found).boxed()
    }

    fn initializations<'a>(
        &'a self,
        ids: &'a [VolumeId],
    ) -> BoxFuture<'a, Result<Vec<Initialization>, Fault>> {
        let found = self.allowed("DescribeVolumeStatus", |held| {
            let volumes = chosen("volume", &held.volumes, ids, |one| &one.id, |_| true)?;
            Ok(volumes.into_iter().map(initialized).collect())
        });
        ready(found).boxed()
    }

    fn create_volume<'a>(&'a self, new: &'a NewVolume) -> BoxFuture<'a, Result<Volume, Fault>> {
        let size = match &new.snapshot {
            Some(id) => self.snapshots.size(id).ok_or_else(|| missing(id)),
            None => new.size.ok_or_else(|| refused("an empty volume needs a size")),
        };
        let made = size.and_then(|size| {
            self.allowed("CreateVolume", |held| {
                let id = format!("vol-0{:016x}", tokened(&new.client_token));
                let id = id.parse().unwrap_or_else(|_| unreachable!("hexadecimal digits"));
                let volume = made(&id, new, size);
                match held.volumes.iter().find(|one| one.id == id) {
                    None => held.volumes.push(volume.clone()),
                    Some(first) if Volume { attachments: Vec::new(), ..first.clone() } == volume => {}
                    Some(_) => return Err(refused("another volume was made with this client token")),
                }
                Ok(volume)
            })
        });
        ready(made).boxed()
    }

    fn attach_volume<'a>(
        &'a self,
        id: &'a VolumeId,
        to: &'a InstanceId,
        device: &'a str,
    ) -> BoxFuture<'a, Result<Attachment, Fault>> {
        let attached = self.allowed("AttachVolume", |held| {
            let instance = held.instances.iter_mut().find(|one| one.id == *to);
            let instance = instance.ok_or_else(|| no("instance", to))?;
            let volume = held.volumes.iter_mut().find(|one| one.id == *id).ok_or_else(|| no("volume", id))?;
            if volume.zone != instance.zone || !volume.attachments.is_empty() || !instance.takes_volumes() {
                return Err(refused("the volume cannot be attached to this instance"));
            }
            let attachment = Attachment {
                instance: Some(to.clone()),
                device: device.to_owned(),
                state: AttachmentState::Attached,
            };
            volume.attachments.push(attachment.clone());
            volume.state = VolumeState::InUse;
            instance.devices.push(device.to_owned());
            Ok(attachment)
        });
        ready(attached).boxed()
    }

    fn detach_volume<'a>(
        &'a self,
        id: &'a VolumeId,
        from: &'a InstanceId,
    ) -> BoxFuture<'a, Result<Attachment, Fault>> {
        let detached = self.allowed("DetachVolume", |held| {
            let Held { volumes, instances, .. } = held;
            let volume = volumes.iter_mut().find(|one| one.id == *id).ok_or_else(|| no("volume", id))?;
            let attachment = volume.attachments.pop_if(|one| one.instance.as_ref() == Some(from));
            let attachment = attachment.ok_or_else(|| refused("the volume is not attached there"))?;
            volume.state = VolumeState::Available;
            for instance in instances.iter_mut().filter(|one| attachment.instance.as_ref() == Some(&one.id)) {
                instance.devices.retain(|device| *device != attachment.device);
            }
            Ok(Attachment { state: AttachmentState::Detached, ..attachment })
        });
        ready(detached).boxed()
    }

    fn delete_volume<'a>(&'a self, id: &'a VolumeId) -> BoxFuture<'a, Result<(), Fault>> {
        let deleted = self.allowed("DeleteVolume", |held| {
            let found = held.volumes.iter().position(|one| one.id == *id);
            let at = found.ok_or_else(|| no("volume", id))?;
            if !held.volumes[at].attachments.is_empty() {
                return Err(refused("the volume is attached"));
            }
            held.volumes.remove(at);
            Ok(())
        });
        ready(deleted).boxed()
    }
}

fn refused(what: &str) -> Fault {
    Fault::new(Kind::Refused, Place::Service, what)
}

fn made(id: &VolumeId, new: &NewVolume, least: GiB) -> Volume {
    Volume {
        id: id.clone(),
        state: VolumeState::Available,
        size: new.size.unwrap_or(least).max(least),
        zone: new.zone.clone(),
        kind: new.kind.clone(),
        iops: new.iops,
        throughput: new.throughput,
        snapshot: new.snapshot.clone(),
        encrypted: new.encrypted.unwrap_or(false),
        kms_key_id: new.kms_key_id.clone(),
        created: None,
        attachments: Vec::new(),
        fast_restored: Some(false),
        tags: new.tags.clone(),
    }
}

fn initialized(volume: Volume) -> Initialization {
    Initialization {
        is_complete: Some(true),
        progress: Some(100),
        seconds_left: None,
        health: "ok".to_owned(),
        volume: volume.id,
    }
}

/// A number of its own for every token (FNV-1a).
fn tokened(token: &str) -> u64 {
    token.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

//! What an account holds beside its snapshots. Ids are needed; whatever else is not told stays unknown.

use crate::block::GiB;
use crate::ec2::convert::{millis, tags, told};
use crate::estate::{
    Attachment, BinnedImage, BinnedSnapshot, BinnedVolume, FastRestore, Image, Initialization, Instance,
    Lock, Shares, TemplateVersion, Tiering, Volume,
};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::{StorageTier, UnixMillis, VolumeId};
use aws_sdk_ec2::operation::create_volume::CreateVolumeOutput;
use aws_sdk_ec2::primitives::{DateTime, DateTimeFormat};
use aws_sdk_ec2::types::{
    self, CreateVolumePermission, DescribeFastSnapshotRestoreSuccessItem, ImageRecycleBinInfo,
    LaunchTemplateVersion, LockedSnapshotsInfo, PermissionGroup, SnapshotRecycleBinInfo, SnapshotTierStatus,
    VolumeAttachment, VolumeAttachmentState, VolumeRecycleBinInfo, VolumeStatusItem,
};
use std::fmt::Display;
use std::str::FromStr;

/// The facts of one image.
pub(in crate::ec2) fn image(image: types::Image) -> Result<Image, Fault> {
    let mapped = image.block_device_mappings.unwrap_or_default().into_iter();
    let snapshots = mapped.filter_map(|one| told(one.ebs?.snapshot_id)).map(|id| named(Some(id)));
    Ok(Image {
        id: named(image.image_id)?,
        name: image.name.unwrap_or_default(),
        state: image.state.as_ref().map_or("", types::ImageState::as_str).into(),
        created: image.creation_date.as_deref().and_then(read),
        deprecated_from: image.deprecation_time.as_deref().and_then(read),
        is_public: image.public.unwrap_or(false),
        snapshots: snapshots.collect::<Result<_, _>>()?,
        tags: tags(image.tags.unwrap_or_default()),
    })
}

/// The facts of one instance.
pub(in crate::ec2) fn instance(instance: types::Instance) -> Result<Instance, Fault> {
    let state = instance.state.and_then(|state| state.name);
    let devices = instance.block_device_mappings.unwrap_or_default().into_iter();
    Ok(Instance {
        id: named(instance.instance_id)?,
        state: state.as_ref().map_or("", types::InstanceStateName::as_str).into(),
        zone: instance.placement.and_then(|placement| placement.availability_zone).unwrap_or_default(),
        kind: instance.instance_type.map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        devices: devices.filter_map(|device| told(device.device_name)).collect(),
        tags: tags(instance.tags.unwrap_or_default()),
    })
}

/// The facts of one volume.
pub(in crate::ec2) fn volume(volume: types::Volume) -> Result<Volume, Fault> {
    let id: VolumeId = named(volume.volume_id)?;
    let unclear = |what: String| Fault::new(Kind::NotReadable, Place::Volume(id.clone()), what);
    let size = volume.size.ok_or_else(|| unclear("AWS does not tell its size".into()))?;
    let size = GiB::try_from(i64::from(size)).map_err(|error| unclear(error.to_string()))?;
    let attachments = volume.attachments.unwrap_or_default().into_iter();
    let attachments = attachments
        .map(|VolumeAttachment { instance_id, device, state, .. }| attachment(instance_id, device, state));
    let count = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    Ok(Volume {
        state: volume.state.as_ref().map_or("", types::VolumeState::as_str).into(),
        size,
        zone: volume.availability_zone.unwrap_or_default(),
        kind: volume.volume_type.as_ref().map_or("", types::VolumeType::as_str).into(),
        iops: count(volume.iops),
        throughput: count(volume.throughput),
        snapshot: told(volume.snapshot_id).map(|id| named(Some(id))).transpose()?,
        encrypted: volume.encrypted.unwrap_or(false),
        kms_key_id: told(volume.kms_key_id),
        created: volume.create_time.as_ref().map(millis),
        attachments: attachments.collect::<Result<_, _>>()?,
        fast_restored: volume.fast_restored,
        tags: tags(volume.tags.unwrap_or_default()),
        id,
    })
}

/// What CreateVolume answers: the same facts in a type of its own.
pub(in crate::ec2) fn created(made: CreateVolumeOutput) -> Result<Volume, Fault> {
    let as_described = types::Volume::builder()
        .set_volume_id(made.volume_id)
        .set_state(made.state)
        .set_size(made.size)
        .set_availability_zone(made.availability_zone)
        .set_volume_type(made.volume_type)
        .set_iops(made.iops)
        .set_throughput(made.throughput)
        .set_snapshot_id(made.snapshot_id)
        .set_encrypted(made.encrypted)
        .set_kms_key_id(made.kms_key_id)
        .set_create_time(made.create_time)
        .set_attachments(made.attachments)
        .set_fast_restored(made.fast_restored)
        .set_tags(made.tags);
    volume(as_described.build())
}

/// One attachment.
pub(in crate::ec2) fn attachment(
    instance: Option<String>,
    device: Option<String>,
    state: Option<VolumeAttachmentState>,
) -> Result<Attachment, Fault> {
    Ok(Attachment {
        instance: told(instance).map(|id| named(Some(id))).transpose()?,
        device: device.unwrap_or_default(),
        state: state.as_ref().map_or("", VolumeAttachmentState::as_str).into(),
    })
}

/// How far a volume's data has come.
pub(in crate::ec2) fn initialization(status: VolumeStatusItem) -> Result<Initialization, Fault> {
    let health = status.volume_status;
    let details = health.as_ref().and_then(|health| health.details.as_deref()).unwrap_or_default();
    let state = details.iter().find(|one| one.name.as_ref().is_some_and(|name| name.as_str() == INITIALIZED));
    let coming = status.initialization_status_details;
    let progress = coming.as_ref().and_then(|coming| coming.progress);
    Ok(Initialization {
        volume: named(status.volume_id)?,
        is_complete: match state.and_then(|state| state.status.as_deref()) {
            Some("completed") => Some(true),
            Some("initializing") => Some(false),
            _ => None,
        },
        progress: progress.and_then(|percent| u8::try_from(percent).ok()).filter(|percent| *percent <= 100),
        seconds_left: coming
            .and_then(|coming| coming.estimated_time_to_complete_in_seconds)
            .and_then(|seconds| u64::try_from(seconds).ok()),
        health: health
            .and_then(|health| health.status)
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
    })
}

const INITIALIZED: &str = "initialization-state";

/// One lock.
pub(in crate::ec2) fn lock(lock: LockedSnapshotsInfo) -> Result<Lock, Fault> {
    Ok(Lock {
        snapshot: named(lock.snapshot_id)?,
        state: lock.lock_state.as_ref().map_or("", types::LockState::as_str).into(),
        expires: lock.lock_expires_on.as_ref().map(millis),
    })
}

/// One fast restore.
pub(in crate::ec2) fn fast_restore(
    one: DescribeFastSnapshotRestoreSuccessItem,
) -> Result<FastRestore, Fault> {
    Ok(FastRestore {
        snapshot: named(one.snapshot_id)?,
        zone: one.availability_zone.unwrap_or_default(),
        state: one.state.as_ref().map_or("", types::FastSnapshotRestoreStateCode::as_str).into(),
    })
}

/// Who may make volumes of a snapshot.
pub(in crate::ec2) fn shares(permissions: Vec<CreateVolumePermission>) -> Shares {
    let is_public = permissions.iter().any(|one| one.group == Some(PermissionGroup::All));
    let mut accounts: Vec<_> = permissions.into_iter().filter_map(|one| told(one.user_id)).collect();
    accounts.sort_unstable();
    Shares { is_public, accounts }
}

/// The tier of one snapshot.
pub(in crate::ec2) fn tiering(status: SnapshotTierStatus) -> Result<Tiering, Fault> {
    let snapshot = named(status.snapshot_id)?;
    let tier = match status.storage_tier {
        Some(types::StorageTier::Standard) => StorageTier::Standard,
        Some(types::StorageTier::Archive) => StorageTier::Archive,
        other => {
            let other = other.map(|tier| tier.as_str().to_owned()).unwrap_or_default();
            let what = format!("unknown storage tier '{other}'");
            return Err(Fault::new(Kind::NotReadable, Place::Snapshot(snapshot), what));
        }
    };
    let last = status.last_tiering_operation_status;
    let progress = status.last_tiering_progress.and_then(|percent| u8::try_from(percent).ok());
    Ok(Tiering {
        snapshot,
        tier,
        progress: progress.filter(|_| last.is_some()),
        last: last.map(|last| last.as_str().into()),
        began: status.last_tiering_start_time.as_ref().map(millis),
        archived: status.archival_complete_time.as_ref().map(millis),
        lent_until: status.restore_expiry_time.as_ref().map(millis),
    })
}

/// A version of a launch template.
pub(in crate::ec2) fn template_version(one: LaunchTemplateVersion) -> Result<TemplateVersion, Fault> {
    let template = named(one.launch_template_id)?;
    let version = one.version_number.and_then(|number| u64::try_from(number).ok());
    let version = version.ok_or_else(|| {
        Fault::new(Kind::Corrupt, Place::Service, format!("{template} has a version without a number"))
    })?;
    let data = one.launch_template_data;
    let mapped = data.as_ref().and_then(|data| data.block_device_mappings.clone()).unwrap_or_default();
    let snapshots = mapped.into_iter().filter_map(|one| told(one.ebs?.snapshot_id)).map(|id| named(Some(id)));
    Ok(TemplateVersion {
        template,
        name: one.launch_template_name.unwrap_or_default(),
        version,
        is_default: one.default_version.unwrap_or(false),
        made: one.create_time.as_ref().map(millis),
        snapshots: snapshots.collect::<Result<_, _>>()?,
        image: data.and_then(|data| told(data.image_id)),
    })
}

/// A snapshot in the Recycle Bin.
pub(in crate::ec2) fn binned_snapshot(binned: SnapshotRecycleBinInfo) -> Result<BinnedSnapshot, Fault> {
    Ok(BinnedSnapshot {
        id: named(binned.snapshot_id)?,
        volume_id: told(binned.volume_id).and_then(|id| id.parse().ok()).filter(VolumeId::is_real),
        description: binned.description.unwrap_or_default(),
        entered: binned.recycle_bin_enter_time.as_ref().map(millis),
        leaves: binned.recycle_bin_exit_time.as_ref().map(millis),
    })
}

/// A volume in the Recycle Bin.
pub(in crate::ec2) fn binned_volume(binned: VolumeRecycleBinInfo) -> Result<BinnedVolume, Fault> {
    let id: VolumeId = named(binned.volume_id)?;
    let size = GiB::try_from(i64::from(binned.size.unwrap_or_default()));
    Ok(BinnedVolume {
        size: size
            .map_err(|error| Fault::new(Kind::Corrupt, Place::Volume(id.clone()), error.to_string()))?,
        id,
        kind: binned.volume_type.as_ref().map_or("", types::VolumeType::as_str).into(),
        zone: binned.availability_zone.unwrap_or_default(),
        snapshot: told(binned.snapshot_id).map(|id| named(Some(id))).transpose()?,
        entered: binned.recycle_bin_enter_time.as_ref().map(millis),
        leaves: binned.recycle_bin_exit_time.as_ref().map(millis),
    })
}

/// An image in the Recycle Bin.
pub(in crate::ec2) fn binned_image(binned: ImageRecycleBinInfo) -> Result<BinnedImage, Fault> {
    Ok(BinnedImage {
        id: named(binned.image_id)?,
        name: binned.name.unwrap_or_default(),
        entered: binned.recycle_bin_enter_time.as_ref().map(millis),
        leaves: binned.recycle_bin_exit_time.as_ref().map(millis),
    })
}

/// An id that EC2 always gives.
fn named<T: FromStr<Err: Display>>(id: Option<String>) -> Result<T, Fault> {
    let id = id.unwrap_or_default();
    id.parse().map_err(|error: T::Err| Fault::new(Kind::Corrupt, Place::Service, error.to_string()))
}

/// A time that EC2 writes as text in images.
fn read(text: &str) -> Option<UnixMillis> {
    DateTime::from_str(text, DateTimeFormat::DateTime).ok().as_ref().map(millis)
}

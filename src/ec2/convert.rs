//! The customs office: EC2's description of a thing becomes ours, or a fault that names it.

mod beside;

pub(super) use beside::{
    attachment, binned_image, binned_snapshot, binned_volume, created, fast_restore, image, initialization,
    instance, lock, shares, template_version, tiering, volume,
};

use crate::block::{ByteSize, GiB};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::{SnapshotId, SnapshotInfo, StorageTier, Tags, UnixMillis, VolumeId};
use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{Snapshot, StorageTier as Tier, Tag};

/// Our own tag for what AWS does not show: the snapshot it was started upon.
const PARENT: &str = "icecore:parent";

/// The facts of one snapshot. What is unknown stays unknown: no size is not size 0.
pub(super) fn info(snapshot: Snapshot) -> Result<SnapshotInfo, Fault> {
    let id = snapshot.snapshot_id.unwrap_or_default();
    let id: SnapshotId =
        id.parse().map_err(|error| Fault::new(Kind::Corrupt, Place::Service, format!("{error}")))?;
    let unclear = |what: String| Fault::new(Kind::NotReadable, Place::Snapshot(id.clone()), what);
    let size = snapshot.volume_size.filter(|gib| *gib != 0);
    let size =
        size.ok_or_else(|| unclear("AWS does not tell its size yet: the copy has only begun".into()))?;
    let volume_size = GiB::try_from(i64::from(size)).map_err(|error| unclear(error.to_string()))?;
    let state = snapshot.state.ok_or_else(|| unclear("AWS does not tell its state".into()))?;
    let state = state.as_str().parse().map_err(|error| unclear(format!("{error}")))?;
    let start_time =
        snapshot.start_time.ok_or_else(|| unclear("AWS does not tell when it was started".into()))?;
    let tier = match snapshot.storage_tier {
        None | Some(Tier::Standard) => StorageTier::Standard,
        Some(Tier::Archive) => StorageTier::Archive,
        Some(other) => return Err(unclear(format!("unknown storage tier '{}'", other.as_str()))),
    };
    let tags = tags(snapshot.tags.unwrap_or_default());
    let parent = tags.get(PARENT).and_then(|parent| parent.parse().ok());
    let full_size = snapshot.full_snapshot_size_in_bytes.and_then(|bytes| u64::try_from(bytes).ok());
    Ok(SnapshotInfo {
        id,
        volume_id: told(snapshot.volume_id).and_then(|id| id.parse().ok()).filter(VolumeId::is_real),
        owner_id: snapshot.owner_id.unwrap_or_default(),
        state,
        state_message: told(snapshot.state_message),
        start_time: millis(&start_time),
        volume_size,
        encrypted: snapshot.encrypted.unwrap_or(false),
        kms_key_id: told(snapshot.kms_key_id),
        description: snapshot.description.unwrap_or_default(),
        tags,
        tier,
        full_size: full_size.map(ByteSize::from_bytes),
        parent,
        lineage: None,
    })
}

/// Tags as EC2 takes them.
pub(super) fn sent(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// A number as EC2 takes it. None of ours is near the limit.
pub(super) fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn tags(tags: Vec<Tag>) -> Tags {
    tags.into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

/// EC2 writes an empty element where there is nothing.
fn told(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// EC2 gives whole milliseconds, written in decimal: nothing to round.
fn millis(time: &DateTime) -> UnixMillis {
    UnixMillis(time.secs().saturating_mul(1000).saturating_add(i64::from(time.subsec_nanos() / 1_000_000)))
}

//! EC2 DescribeSnapshots: what is known of snapshots, by id, owner and filter.

use crate::endpoint::act::World;
use crate::endpoint::act::page::Paging;
use crate::endpoint::wire::ec2::{self, Xml, dry_run, numbered, refusal, reply};
use crate::endpoint::wire::filter::Filters;
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::shelf::Shelved;
use crate::snapshot::{SnapshotInfo, SnapshotState, UnixMillis, VolumeId};

/// What filters look at (EC2 API reference, DescribeSnapshots).
const FIELDS: &[&str] = &[
    "description",
    "encrypted",
    "owner-alias",
    "owner-id",
    "progress",
    "snapshot-id",
    "start-time",
    "status",
    "storage-tier",
    "transfer-type",
    "volume-id",
    "volume-size",
];

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = numbered(call, "SnapshotId");
    let ids = ids.into_iter().map(ec2::snapshot_id).collect::<Result<Vec<_>, _>>()?;
    let paging =
        Paging::parse(world, call, "DescribeSnapshots", 5..=1000, now)?.without(&ids, "snapshotSet")?;
    let filters = Filters::parse(call, FIELDS)?;
    dry_run(call)?;

    let mut snapshots = if ids.is_empty() {
        world.account.list(&call.region, now).map_err(|fault| refusal(&fault))?
    } else {
        ids.iter().map(|id| world.snapshot(call, id, now)).collect::<Result<Vec<_>, _>>()?
    };
    snapshots.retain(|shelved| {
        owned(world, call, &shelved.info)
            && filters.admit(&shelved.info.tags, |field| shown(&shelved.info, field))
    });
    // Start times never repeat on a shelf.
    let (snapshots, next) =
        paging.cut(world, snapshots, |shelved| shelved.info.start_time.0.max(0).cast_unsigned());
    Ok(reply(call, "DescribeSnapshots", |xml| {
        xml.set("snapshotSet", &snapshots, |xml, shelved| item(xml, world, shelved));
        xml.maybe("nextToken", next.as_deref());
    }))
}

/// Whether the snapshot's owner is among those asked for. None asked for: everybody's.
fn owned(world: &World, call: &Call, info: &SnapshotInfo) -> bool {
    let is_me = info.owner_id == world.account.settings().owner_id;
    let among = |parameter: &str| {
        let asked = numbered(call, parameter);
        asked.is_empty() || asked.iter().any(|owner| *owner == info.owner_id || (*owner == "self" && is_me))
    };
    among("Owner") && among("RestorableBy")
}

fn item(xml: &mut Xml, world: &World, shelved: &Shelved) {
    let info = &shelved.info;
    xml.text("snapshotId", info.id.as_str());
    xml.text("volumeId", volume_id(info));
    xml.text("status", info.state.as_str());
    xml.maybe("statusMessage", info.state_message.as_deref());
    xml.text("startTime", &ec2::time(info.start_time));
    xml.text("progress", progress(info));
    xml.text("ownerId", &info.owner_id);
    xml.text("volumeSize", &info.volume_size.get().to_string());
    xml.text("description", &info.description);
    xml.tags(&info.tags);
    xml.flag("encrypted", info.encrypted);
    xml.maybe("kmsKeyId", info.kms_key_id.as_deref());
    xml.text("storageTier", info.tier.as_str());
    if info.state == SnapshotState::Completed
        && let Some(at) = world.account.completed_at(&info.id)
    {
        xml.text("completionTime", &ec2::time(at));
    }
    if let Some(size) = info.full_size {
        xml.text("fullSnapshotSizeInBytes", &size.bytes().to_string());
    }
}

/// What a snapshot shows to a filter.
fn shown(info: &SnapshotInfo, field: &str) -> Vec<String> {
    let text = match field {
        "description" => info.description.as_str(),
        "encrypted" => ec2::word(info.encrypted),
        "owner-id" => &info.owner_id,
        "progress" => progress(info),
        "snapshot-id" => info.id.as_str(),
        "start-time" => &ec2::time(info.start_time),
        "status" => info.state.as_str(),
        "storage-tier" => info.tier.as_str(),
        "volume-id" => volume_id(info),
        "volume-size" => &info.volume_size.get().to_string(),
        // Neither a marketplace's snapshots nor copies with a duration are on any shelf.
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}

/// The volume, or what AWS shows where there was none.
fn volume_id(info: &SnapshotInfo) -> &str {
    info.volume_id.as_ref().map_or(VolumeId::NONE, VolumeId::as_str)
}

/// AWS shows nothing between none and all, whatever the writer says of its progress.
fn progress(info: &SnapshotInfo) -> &'static str {
    if info.state == SnapshotState::Completed { "100%" } else { "0%" }
}

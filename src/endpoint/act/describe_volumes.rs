//! EC2 DescribeVolumes: volumes, and where they are attached.

use crate::endpoint::act::World;
use crate::endpoint::act::page::{Paging, chosen, number};
use crate::endpoint::wire::ec2::{self, Xml, dry_run, no_volume, numbered, reply, volume_id};
use crate::endpoint::wire::filter::Filters;
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::{Attachment, Volume};
use crate::snapshot::{SnapshotId, UnixMillis, VolumeId};

/// What filters look at, of what the EC2 API reference lists.
const FIELDS: &[&str] = &[
    "attachment.device",
    "attachment.instance-id",
    "attachment.status",
    "availability-zone",
    "encrypted",
    "size",
    "snapshot-id",
    "status",
    "volume-id",
    "volume-type",
];

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = numbered(call, "VolumeId").into_iter().map(volume_id).collect::<Result<Vec<_>, _>>()?;
    let paging = Paging::parse(world, call, "DescribeVolumes", 5..=1000, now)?.without(&ids, "volumeSet")?;
    let filters = Filters::parse(call, FIELDS)?;
    dry_run(call)?;
    let mut volumes = chosen(world.held(call, now)?.volumes, &ids, |one| one.id.as_str(), no_volume)?;
    volumes.retain(|volume| filters.admit(&volume.tags, |field| shown(volume, field)));
    let (volumes, next) = paging.cut(world, volumes, |one| number(one.id.as_str()));
    Ok(reply(call, "DescribeVolumes", |xml| {
        xml.set("volumeSet", &volumes, |xml, volume| {
            facts(xml, volume);
            xml.set("attachmentSet", &volume.attachments, |xml, one| attachment(xml, &volume.id, one));
            xml.maybe("fastRestored", volume.fast_restored.map(ec2::word));
        });
        xml.maybe("nextToken", next.as_deref());
    }))
}

/// What every answer says of a volume. One that was made of no snapshot says so with an empty element, as recorded.
pub(super) fn facts(xml: &mut Xml, volume: &Volume) {
    xml.text("volumeId", volume.id.as_str());
    xml.text("size", &volume.size.get().to_string());
    xml.text("snapshotId", volume.snapshot.as_ref().map_or("", SnapshotId::as_str));
    xml.text("availabilityZone", &volume.zone);
    xml.text("status", volume.state.as_str());
    xml.at("createTime", volume.created);
    xml.text("volumeType", volume.kind.as_str());
    xml.maybe("iops", volume.iops.map(|iops| iops.to_string()).as_deref());
    xml.maybe("throughput", volume.throughput.map(|rate| rate.to_string()).as_deref());
    xml.flag("encrypted", volume.encrypted);
    xml.maybe("kmsKeyId", volume.kms_key_id.as_deref());
    xml.flag("multiAttachEnabled", false);
    xml.tags(&volume.tags);
}

/// What every answer says of an attachment.
pub(super) fn attachment(xml: &mut Xml, volume: &VolumeId, attachment: &Attachment) {
    xml.text("volumeId", volume.as_str());
    xml.maybe("instanceId", attachment.instance.as_ref().map(ToString::to_string).as_deref());
    xml.text("device", &attachment.device);
    xml.text("status", attachment.state.as_str());
    xml.flag("deleteOnTermination", false);
}

fn shown(volume: &Volume, field: &str) -> Vec<String> {
    let attached = |of: fn(&Attachment) -> String| volume.attachments.iter().map(of).collect();
    let text = match field {
        "attachment.device" => return attached(|one| one.device.clone()),
        "attachment.instance-id" => {
            return attached(|one| one.instance.as_ref().map(ToString::to_string).unwrap_or_default());
        }
        "attachment.status" => return attached(|one| one.state.to_string()),
        "availability-zone" => volume.zone.as_str(),
        "encrypted" => ec2::word(volume.encrypted),
        "size" => &volume.size.get().to_string(),
        "snapshot-id" => return volume.snapshot.iter().map(ToString::to_string).collect(),
        "status" => volume.state.as_str(),
        "volume-id" => volume.id.as_str(),
        _ => volume.kind.as_str(),
    };
    vec![text.to_owned()]
}

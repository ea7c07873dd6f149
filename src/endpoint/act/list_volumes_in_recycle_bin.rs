//! EC2 ListVolumesInRecycleBin: volumes that were deleted and can still be had back.

use crate::endpoint::act::World;
use crate::endpoint::act::page::{Paging, chosen, number};
use crate::endpoint::wire::ec2::{dry_run, no_volume, numbered, reply, volume_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::VolumeState;
use crate::snapshot::{SnapshotId, UnixMillis};

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = numbered(call, "VolumeId").into_iter().map(volume_id).collect::<Result<Vec<_>, _>>()?;
    let paging = Paging::parse(world, call, "ListVolumesInRecycleBin", 5..=1000, now)?;
    dry_run(call)?;
    let binned = world.held(call, now)?.binned_volumes;
    let binned = chosen(binned, &ids, |one| one.id.as_str(), no_volume)?;
    let (binned, next) = paging.cut(world, binned, |one| number(one.id.as_str()));
    Ok(reply(call, "ListVolumesInRecycleBin", |xml| {
        xml.set("volumeSet", &binned, |xml, binned| {
            xml.text("volumeId", binned.id.as_str());
            xml.text("volumeType", binned.kind.as_str());
            xml.text("state", VolumeState::Deleted.as_str());
            xml.text("size", &binned.size.get().to_string());
            xml.text("availabilityZone", &binned.zone);
            xml.text("snapshotId", binned.snapshot.as_ref().map_or("", SnapshotId::as_str));
            xml.at("recycleBinEnterTime", binned.entered);
            xml.at("recycleBinExitTime", binned.leaves);
        });
        xml.maybe("nextToken", next.as_deref());
    }))
}

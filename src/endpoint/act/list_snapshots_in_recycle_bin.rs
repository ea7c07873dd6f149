//! EC2 ListSnapshotsInRecycleBin: snapshots that were deleted and can still be had back.

use crate::endpoint::act::World;
use crate::endpoint::act::page::{Paging, chosen, number};
use crate::endpoint::wire::ec2::{dry_run, no_snapshot, numbered, reply, snapshot_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::{UnixMillis, VolumeId};

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = numbered(call, "SnapshotId").into_iter().map(snapshot_id).collect::<Result<Vec<_>, _>>()?;
    let paging = Paging::parse(world, call, "ListSnapshotsInRecycleBin", 5..=1000, now)?;
    dry_run(call)?;
    let binned = world.held(call, now)?.binned_snapshots;
    let binned = chosen(binned, &ids, |one| one.id.as_str(), no_snapshot)?;
    let (binned, next) = paging.cut(world, binned, |one| number(one.id.as_str()));
    Ok(reply(call, "ListSnapshotsInRecycleBin", |xml| {
        xml.set("snapshotSet", &binned, |xml, binned| {
            xml.text("snapshotId", binned.id.as_str());
            xml.text("description", &binned.description);
            xml.text("volumeId", binned.volume_id.as_ref().map_or(VolumeId::NONE, VolumeId::as_str));
            xml.at("recycleBinEnterTime", binned.entered);
            xml.at("recycleBinExitTime", binned.leaves);
        });
        xml.maybe("nextToken", next.as_deref());
    }))
}

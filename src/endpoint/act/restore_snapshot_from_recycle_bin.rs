//! EC2 RestoreSnapshotFromRecycleBin: has a deleted snapshot back.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{self, dry_run, no_snapshot, refusal, reply, required, snapshot_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::{UnixMillis, VolumeId};

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let id = snapshot_id(required(call, "SnapshotId")?)?;
    dry_run(call)?;
    let restored = world.account.restore(&call.region, &id, now).map_err(|fault| refusal(&fault))?;
    let info = restored.ok_or_else(|| no_snapshot(&id))?.info;
    Ok(reply(call, "RestoreSnapshotFromRecycleBin", |xml| {
        xml.text("snapshotId", info.id.as_str());
        xml.text("description", &info.description);
        xml.flag("encrypted", info.encrypted);
        xml.text("ownerId", &info.owner_id);
        xml.text("startTime", &ec2::time(info.start_time));
        xml.text("status", info.state.as_str());
        xml.text("volumeId", info.volume_id.as_ref().map_or(VolumeId::NONE, VolumeId::as_str));
        xml.text("volumeSize", &info.volume_size.get().to_string());
    }))
}

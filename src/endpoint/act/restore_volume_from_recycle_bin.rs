//! EC2 RestoreVolumeFromRecycleBin: has a deleted volume back, attached nowhere.

use crate::endpoint::act::World;
use crate::endpoint::act::volume::refused;
use crate::endpoint::wire::ec2::{dry_run, reply, required, volume_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let volume = volume_id(required(call, "VolumeId")?)?;
    dry_run(call)?;
    let restored = world.account.restore_volume(&call.region, &volume, now);
    restored.map_err(|error| refused(&error, volume.as_str(), ""))?;
    Ok(reply(call, "RestoreVolumeFromRecycleBin", |xml| xml.flag("return", true)))
}

//! EC2 DetachVolume: takes a volume from the instance that has it.

use crate::account::Spot;
use crate::endpoint::act::World;
use crate::endpoint::act::describe_volumes::attachment;
use crate::endpoint::act::volume::refused;
use crate::endpoint::wire::ec2::{dry_run, instance_id, reply, required, volume_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let volume = volume_id(required(call, "VolumeId")?)?;
    let instance = call.query("InstanceId").map(instance_id).transpose()?;
    let from = Spot { instance, device: call.query("Device").map(str::to_owned) };
    dry_run(call)?;
    let detached = world.account.detach_volume(&call.region, &volume, &from, call.fate, now);
    let detached = detached.map_err(|error| refused(&error, volume.as_str(), ""))?;
    Ok(reply(call, "DetachVolume", |xml| attachment(xml, &volume, &detached)))
}

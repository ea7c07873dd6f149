//! EC2 AttachVolume: gives a volume to an instance of its Availability Zone.

use crate::endpoint::act::World;
use crate::endpoint::act::describe_volumes::attachment;
use crate::endpoint::act::volume::refused;
use crate::endpoint::wire::ec2::{bad, dry_run, instance_id, reply, required, volume_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let volume = volume_id(required(call, "VolumeId")?)?;
    let instance = instance_id(required(call, "InstanceId")?)?;
    let device = required(call, "Device")?;
    if !device.starts_with("/dev/") && !device.starts_with("xvd") {
        let message = format!(
            "Value ({device}) for parameter device is invalid. {device} is not a valid EBS device name."
        );
        return Err(bad("InvalidParameterValue", message));
    }
    dry_run(call)?;
    let to = (&instance, device);
    let attached = world.account.attach_volume(&call.region, &volume, to, call.fate, now);
    let attached = attached.map_err(|error| refused(&error, volume.as_str(), instance.as_str()))?;
    Ok(reply(call, "AttachVolume", |xml| {
        attachment(xml, &volume, &attached);
        xml.at("attachTime", Some(now));
    }))
}

//! EC2 CreateVolume: a volume from a snapshot, or an empty one.

use crate::account::VolumeError;
use crate::block::GiB;
use crate::endpoint::act::World;
use crate::endpoint::act::describe_volumes::facts;
use crate::endpoint::act::volume::refused;
use crate::endpoint::wire::ec2::{bad, dry_run, new_tags, reply, required, says_yes, snapshot_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::{NewVolume, VolumeKind};
use crate::snapshot::UnixMillis;
use std::ops::RangeInclusive;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let asked = parse(world, now, call)?;
    dry_run(call)?;
    let made = world.account.create_volume(&call.region, &asked, call.fate, now);
    let made = made.map_err(|error: VolumeError| refused(&error, "", ""))?;
    Ok(reply(call, "CreateVolume", |xml| facts(xml, &made)))
}

fn parse(world: &World, now: UnixMillis, call: &Call) -> Result<NewVolume, Refusal> {
    let zone = required(call, "AvailabilityZone")?;
    let zones = world.held(call, now)?.instances.into_iter().map(|instance| instance.zone);
    if !zones.chain(["a", "b"].map(|letter| format!("{}{letter}", call.region))).any(|one| one == zone) {
        return Err(bad("InvalidZone.NotFound", format!("The zone '{zone}' does not exist.")));
    }
    let kind = match VolumeKind::from(call.query("VolumeType").unwrap_or("gp2")) {
        VolumeKind::Other(kind) => {
            let message = format!("Value ({kind}) for parameter volumeType is invalid.");
            return Err(bad("InvalidParameterValue", message));
        }
        kind => kind,
    };
    let size = number(call, "Size", 1..=65_536)?.map(i64::from).map(GiB::try_from).transpose();
    let iops = number(call, "Iops", 100..=256_000)?;
    let throughput = number(call, "Throughput", 125..=2000)?;
    if throughput.is_some() && kind != VolumeKind::Gp3 {
        let message = format!("The parameter throughput is not supported for {kind} volumes.");
        return Err(bad("InvalidParameterCombination", message));
    }
    match (&kind, iops) {
        (VolumeKind::Io1 | VolumeKind::Io2, None) => {
            return Err(bad("MissingParameter", "The request must contain the parameter iops"));
        }
        (VolumeKind::Gp3, Some(..3000)) => {
            return Err(bad(
                "InvalidParameterValue",
                "Volume iops of less than 3000 is too low; minimum is 3000.",
            ));
        }
        (VolumeKind::Gp3 | VolumeKind::Io1 | VolumeKind::Io2, _) | (_, None) => {}
        (kind, Some(_)) => {
            let message = format!("The parameter iops is not supported for {kind} volumes.");
            return Err(bad("InvalidParameterCombination", message));
        }
    }
    let snapshot = call.query("SnapshotId").filter(|id| !id.is_empty()).map(snapshot_id).transpose()?;
    let rate = call.query("VolumeInitializationRate").map(|rate| {
        let rate = rate.parse().ok().filter(|rate| (100..=300).contains(rate));
        let message = "The value specified for VolumeInitializationRate is not in the allowed range.";
        rate.ok_or_else(|| bad("InvalidParameterValue", message))
    });
    let client_token = call.query("ClientToken").unwrap_or_default();
    if client_token.chars().count() > 64 {
        let message = "Value for parameter ClientToken is invalid. Length exceeds maximum of 64";
        return Err(bad("InvalidParameterValue", message));
    }
    Ok(NewVolume {
        snapshot,
        zone: zone.to_owned(),
        kind,
        size: size.map_err(|error| bad("InvalidParameterValue", error.to_string()))?,
        iops,
        throughput,
        initialization_rate: rate.transpose()?,
        encrypted: call.query("Encrypted").map(|_| says_yes(call, "Encrypted")),
        kms_key_id: call.query("KmsKeyId").map(str::to_owned),
        client_token: client_token.to_owned(),
        tags: new_tags(call, "volume")?,
    })
}

fn number(call: &Call, name: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, Refusal> {
    let Some(text) = call.query(name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| range.contains(number));
    let (least, most) = (range.start(), range.end());
    let message =
        || format!("Value ({text}) for parameter {name} is invalid: it must be from {least} to {most}");
    number.map(Some).ok_or_else(|| bad("InvalidParameterValue", message()))
}

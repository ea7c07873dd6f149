//! EC2 DescribeInstances: instances, and the volumes that are attached to them.

use crate::endpoint::act::World;
use crate::endpoint::act::page::{Paging, chosen, number};
use crate::endpoint::wire::ec2::{Xml, dry_run, instance_id, no_instance, numbered, reply};
use crate::endpoint::wire::filter::Filters;
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::{Held, Instance, InstanceState};
use crate::snapshot::UnixMillis;

/// What filters look at, of what the EC2 API reference lists.
const FIELDS: &[&str] = &["availability-zone", "instance-id", "instance-state-name", "instance-type"];

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = numbered(call, "InstanceId").into_iter().map(instance_id).collect::<Result<Vec<_>, _>>()?;
    let paging =
        Paging::parse(world, call, "DescribeInstances", 5..=1000, now)?.without(&ids, "instancesSet")?;
    let filters = Filters::parse(call, FIELDS)?;
    dry_run(call)?;

    let mut held = world.held(call, now)?;
    let instances = std::mem::take(&mut held.instances);
    let mut instances = chosen(instances, &ids, |one| one.id.as_str(), no_instance)?;
    instances.retain(|one| filters.admit(&one.tags, |field| vec![shown(one, field).to_owned()]));
    let (instances, next) = paging.cut(world, instances, |one| number(one.id.as_str()));
    let owner = &world.account.settings().owner_id;
    Ok(reply(call, "DescribeInstances", |xml| {
        xml.set("reservationSet", &instances, |xml, instance| {
            xml.text("reservationId", &instance.id.as_str().replace("i-", "r-"));
            xml.text("ownerId", owner);
            xml.set("instancesSet", [instance], |xml, instance| item(xml, instance, &held));
        });
        xml.maybe("nextToken", next.as_deref());
    }))
}

fn item(xml: &mut Xml, instance: &Instance, held: &Held) {
    xml.text("instanceId", instance.id.as_str());
    xml.nest("instanceState", |xml| {
        xml.text("code", code(&instance.state));
        xml.text("name", instance.state.as_str());
    });
    xml.text("instanceType", &instance.kind);
    xml.nest("placement", |xml| {
        xml.text("availabilityZone", &instance.zone);
        xml.text("tenancy", "default");
    });
    let attachments = held.volumes.iter().flat_map(|volume| {
        let here = volume.attachments.iter().filter(|one| one.instance.as_ref() == Some(&instance.id));
        here.map(|attachment| (&volume.id, attachment))
    });
    xml.set("blockDeviceMapping", attachments, |xml, (volume, attachment)| {
        xml.text("deviceName", &attachment.device);
        xml.nest("ebs", |xml| {
            xml.text("volumeId", volume.as_str());
            xml.text("status", attachment.state.as_str());
            xml.flag("deleteOnTermination", false);
        });
    });
    xml.tags(&instance.tags);
}

/// The number that EC2 gives with a state (EC2 API reference, InstanceState).
fn code(state: &InstanceState) -> &'static str {
    match state {
        InstanceState::Pending => "0",
        InstanceState::Running => "16",
        InstanceState::ShuttingDown => "32",
        InstanceState::Terminated => "48",
        InstanceState::Stopping => "64",
        InstanceState::Stopped | InstanceState::Other(_) => "80",
    }
}

fn shown<'a>(instance: &'a Instance, field: &str) -> &'a str {
    match field {
        "availability-zone" => &instance.zone,
        "instance-id" => instance.id.as_str(),
        "instance-state-name" => instance.state.as_str(),
        _ => &instance.kind,
    }
}

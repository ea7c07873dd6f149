//! EC2 DescribeVolumeStatus: whether volumes are well, and how far their data has come.

use crate::account::Coming;
use crate::endpoint::act::World;
use crate::endpoint::act::page::{Paging, chosen, number};
use crate::endpoint::wire::ec2::{Xml, dry_run, no_volume, numbered, refusal, reply, volume_id};
use crate::endpoint::wire::filter::Filters;
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::{Volume, VolumeState};
use crate::snapshot::UnixMillis;
use std::collections::BTreeMap;

/// What filters look at, of what the EC2 API reference lists.
const FIELDS: &[&str] = &["availability-zone", "volume-status.status"];

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = numbered(call, "VolumeId").into_iter().map(volume_id).collect::<Result<Vec<_>, _>>()?;
    let paging =
        Paging::parse(world, call, "DescribeVolumeStatus", 5..=1000, now)?.without(&ids, "volumeSet")?;
    let filters = Filters::parse(call, FIELDS)?;
    dry_run(call)?;
    let mut volumes = chosen(world.held(call, now)?.volumes, &ids, |one| one.id.as_str(), no_volume)?;
    volumes.retain(|volume| {
        filters.admit(&volume.tags, |field| {
            vec![if field == "availability-zone" { volume.zone.clone() } else { health(volume).to_owned() }]
        })
    });
    let coming = world.account.coming(&call.region, now).map_err(|fault| refusal(&fault))?;
    let coming: BTreeMap<_, _> = coming.into_iter().collect();
    let (volumes, next) = paging.cut(world, volumes, |one| number(one.id.as_str()));
    Ok(reply(call, "DescribeVolumeStatus", |xml| {
        xml.set("volumeStatusSet", &volumes, |xml, volume| item(xml, volume, coming.get(&volume.id)));
        xml.maybe("nextToken", next.as_deref());
    }))
}

fn item(xml: &mut Xml, volume: &Volume, coming: Option<&Coming>) {
    xml.text("volumeId", volume.id.as_str());
    xml.text("availabilityZone", &volume.zone);
    xml.nest("volumeStatus", |xml| {
        xml.text("status", health(volume));
        let state = coming.map(|coming| if coming.percent == 100 { "completed" } else { "initializing" });
        let details = [
            ("io-enabled", Some("passed")),
            ("io-performance", Some("not-applicable")),
            ("initialization-state", state),
        ];
        let details = details.into_iter().filter_map(|(name, status)| Some((name, status?)));
        xml.set("details", details, |xml, (name, status)| {
            xml.text("name", name);
            xml.text("status", status);
        });
    });
    if let Some(coming) = coming {
        xml.nest("initializationStatusDetails", |xml| {
            xml.text(
                "initializationType",
                if coming.is_provisioned { "provisioned-rate" } else { "default" },
            );
            xml.text("progress", &coming.percent.to_string());
            // Told for a provisioned rate only, as recorded.
            let left = coming.is_provisioned.then(|| coming.seconds_left.to_string());
            xml.maybe("estimatedTimeToCompleteInSeconds", left.as_deref());
        });
    }
}

fn health(volume: &Volume) -> &'static str {
    match volume.state {
        VolumeState::Creating => "insufficient-data",
        VolumeState::Error => "impaired",
        _ => "ok",
    }
}

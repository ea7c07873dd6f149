//! EC2 DescribeSnapshotTierStatus: on which tier snapshots lie, and how they came there.

use crate::endpoint::act::World;
use crate::endpoint::act::page::{Paging, number};
use crate::endpoint::wire::ec2::{dry_run, refusal, reply};
use crate::endpoint::wire::filter::Filters;
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::Tiering;
use crate::snapshot::{UnixMillis, VolumeId};

/// What filters look at (EC2 API reference, DescribeSnapshotTierStatus).
const FIELDS: &[&str] = &["last-tiering-operation", "snapshot-id", "volume-id"];

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let paging = Paging::parse(world, call, "DescribeSnapshotTierStatus", 5..=1000, now)?;
    let filters = Filters::parse(call, FIELDS)?;
    dry_run(call)?;
    let tierings = world.held(call, now)?.tierings;
    let mut snapshots = world.account.list(&call.region, now).map_err(|fault| refusal(&fault))?;
    snapshots.sort_by_key(|shelved| number(shelved.info.id.as_str()));
    let snapshots = snapshots.into_iter().map(|shelved| {
        let moved = tierings.iter().find(|tiering| tiering.snapshot == shelved.info.id);
        (moved.cloned(), shelved.info)
    });
    let snapshots = snapshots.filter(|(moved, info)| {
        filters.admit(&info.tags, |field| match field {
            "last-tiering-operation" => last(moved.as_ref()).map(str::to_owned).into_iter().collect(),
            "snapshot-id" => vec![info.id.to_string()],
            _ => info.volume_id.iter().map(ToString::to_string).collect(),
        })
    });
    let (page, next) = paging.cut(world, snapshots.collect(), |(_, info)| number(info.id.as_str()));
    Ok(reply(call, "DescribeSnapshotTierStatus", |xml| {
        xml.set("snapshotTierStatusSet", &page, |xml, (moved, info)| {
            xml.text("snapshotId", info.id.as_str());
            xml.text("volumeId", info.volume_id.as_ref().map_or(VolumeId::NONE, VolumeId::as_str));
            xml.text("status", info.state.as_str());
            xml.text("ownerId", &info.owner_id);
            xml.tags(&info.tags);
            let tier = moved.as_ref().map_or(info.tier, |moved| moved.tier);
            xml.text("storageTier", tier.as_str());
            if let Some(moved) = moved {
                xml.at("lastTieringStartTime", moved.began);
                xml.maybe(
                    "lastTieringProgress",
                    moved.progress.map(|percent| percent.to_string()).as_deref(),
                );
                xml.maybe("lastTieringOperationStatus", last(Some(moved)));
                xml.at("archivalCompleteTime", moved.archived);
                xml.at("restoreExpiryTime", moved.lent_until);
            }
        });
        xml.maybe("nextToken", next.as_deref());
    }))
}

fn last(moved: Option<&Tiering>) -> Option<&str> {
    moved?.last.as_ref().map(|last| last.as_str())
}

//! EC2 DescribeSnapshots: what is known of snapshots, by id, owner and filter.

mod filter;

use crate::endpoint::act::World;
use crate::endpoint::token::Kind;
use crate::endpoint::wire::ec2::{self, Xml, bad, dry_run, no_snapshot, numbered, refusal, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::shelf::Shelved;
use crate::snapshot::{SnapshotInfo, SnapshotState, UnixMillis, VolumeId};

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = numbered(call, "SnapshotId");
    let ids = ids.into_iter().map(ec2::snapshot_id).collect::<Result<Vec<_>, _>>()?;
    let limit = page_size(call, !ids.is_empty())?;
    let filters = filter::parse(call)?;
    let after = start_after(world, call, now)?;
    dry_run(call)?;

    let mut snapshots = if ids.is_empty() {
        world.account.list(now).map_err(|fault| refusal(&fault))?
    } else {
        let found = ids.iter().map(|id| {
            let found = world.account.find(id, now).map_err(|fault| refusal(&fault))?;
            found.ok_or_else(|| no_snapshot(id))
        });
        found.collect::<Result<Vec<_>, _>>()?
    };
    snapshots.retain(|shelved| {
        owned(world, call, &shelved.info)
            && filters.iter().all(|filter| filter.matches(&shelved.info))
            && after.is_none_or(|after| shelved.info.start_time.0 > after)
    });
    let next = (snapshots.len() > limit).then(|| {
        snapshots.truncate(limit);
        let last = snapshots.last().map_or(0, |shelved| shelved.info.start_time.0);
        world.seal.page(Kind::DescribePage, &[], last.max(0).cast_unsigned(), now)
    });
    Ok(reply(call, "DescribeSnapshots", |xml| {
        xml.nest("snapshotSet", |xml| {
            snapshots.iter().for_each(|shelved| xml.nest("item", |xml| item(xml, world, shelved)));
        });
        if let Some(next) = &next {
            xml.text("nextToken", next);
        }
    }))
}

/// How many to show: all, or 5 to 1,000.
fn page_size(call: &Call, by_id: bool) -> Result<usize, Refusal> {
    let Some(text) = call.query("MaxResults") else { return Ok(usize::MAX) };
    if by_id {
        let message = "The parameter snapshotSet cannot be used with the parameter maxResults";
        return Err(bad("InvalidParameterCombination", message));
    }
    let size = text.parse::<usize>().ok().filter(|size| (5..=1000).contains(size));
    size.ok_or_else(|| {
        let message = format!(
            "Value ( {text} ) for parameter maxResults is invalid. Expecting a value between 5 and 1000."
        );
        bad("InvalidParameterValue", message)
    })
}

/// Start times never repeat on a shelf, so the last one shown is where a page ends.
fn start_after(world: &World, call: &Call, now: UnixMillis) -> Result<Option<i64>, Refusal> {
    let Some(token) = call.query("NextToken").filter(|token| !token.is_empty()) else { return Ok(None) };
    let position = world.seal.open(Kind::DescribePage, &[], token, now);
    let position = position.and_then(|at| i64::try_from(at).ok());
    position.map(Some).ok_or_else(|| bad("InvalidParameterValue", "Unable to parse pagination token"))
}

/// Whether the snapshot's owner is among those asked for. None asked for: everybody's.
fn owned(world: &World, call: &Call, info: &SnapshotInfo) -> bool {
    let is_me = info.owner_id == world.account.settings().owner_id;
    let among = |parameter: &str| {
        let asked = numbered(call, parameter);
        asked.is_empty() || asked.iter().any(|owner| *owner == info.owner_id || (*owner == "self" && is_me))
    };
    among("Owner") && among("RestorableBy")
}

fn item(xml: &mut Xml, world: &World, shelved: &Shelved) {
    let info = &shelved.info;
    xml.text("snapshotId", info.id.as_str());
    xml.text("volumeId", volume_id(info));
    xml.text("status", info.state.as_str());
    if let Some(message) = &info.state_message {
        xml.text("statusMessage", message);
    }
    xml.text("startTime", &ec2::time(info.start_time));
    xml.text("progress", progress(info));
    xml.text("ownerId", &info.owner_id);
    xml.text("volumeSize", &info.volume_size.get().to_string());
    xml.text("description", &info.description);
    if !info.tags.is_empty() {
        xml.nest("tagSet", |xml| {
            for (key, value) in &info.tags {
                xml.nest("item", |xml| {
                    xml.text("key", key);
                    xml.text("value", value);
                });
            }
        });
    }
    xml.text("encrypted", if info.encrypted { "true" } else { "false" });
    if let Some(key) = &info.kms_key_id {
        xml.text("kmsKeyId", key);
    }
    xml.text("storageTier", info.tier.as_str());
    if info.state == SnapshotState::Completed
        && let Some(at) = world.account.completed_at(&info.id)
    {
        xml.text("completionTime", &ec2::time(at));
    }
    if let Some(size) = info.full_size {
        xml.text("fullSnapshotSizeInBytes", &size.bytes().to_string());
    }
}

/// The volume, or what AWS shows where there was none.
fn volume_id(info: &SnapshotInfo) -> &str {
    info.volume_id.as_ref().map_or(VolumeId::NONE, VolumeId::as_str)
}

/// AWS shows nothing between none and all, whatever the writer says of its progress.
fn progress(info: &SnapshotInfo) -> &'static str {
    if info.state == SnapshotState::Completed { "100%" } else { "0%" }
}

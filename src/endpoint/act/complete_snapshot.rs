//! CompleteSnapshot: ends a pending snapshot. Accepted at once; whether it is whole shows a moment later.

use crate::account::Claimed;
use crate::endpoint::act::World;
use crate::endpoint::wire::ebs::{Constraints, header_int, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::{SnapshotId, SnapshotState, UnixMillis};
use http::StatusCode;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    status: &'static str,
}

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let (id, claimed) = parse(call)?;
    world.account.writer()?;
    let snapshot = world.account.find(&call.region, &id, now)?.ok_or_else(|| Refusal::no_snapshot(&id))?;
    // Repeated, with the same count or another, it tells how the first one ended.
    let is_open = snapshot.info.state == SnapshotState::Pending && world.account.completed_at(&id).is_none();
    if is_open {
        world.account.complete(&id, &claimed, now)?;
    }
    let seen = world.account.find(&call.region, &id, now)?.ok_or_else(|| Refusal::no_snapshot(&id))?;
    // A first answer is `pending` also where completion takes no time at all.
    let state = if is_open { SnapshotState::Pending } else { seen.info.state };
    Ok(reply(StatusCode::ACCEPTED, &Body { status: state.as_str() }))
}

fn parse(call: &Call) -> Result<(SnapshotId, Claimed), Refusal> {
    let mut constraints = Constraints::new();
    let id = constraints.snapshot_id("snapshotId", call.path.first().map(String::as_str));
    let blocks = constraints.required("changedBlocksCount", header_int(call, "x-amz-changedblockscount")?);
    constraints.range("changedBlocksCount", blocks, 0, i64::from(i32::MAX));
    let checksum = call.header("x-amz-checksum");
    let algorithm = call.header("x-amz-checksum-algorithm");
    let aggregation = call.header("x-amz-checksum-aggregation-method");
    constraints.checksum("checksum", checksum);
    constraints.one_of("checksumAlgorithm", algorithm, "SHA256");
    constraints.one_of("checksumAggregationMethod", aggregation, "LINEAR");
    let (Some(id), Some(blocks)) = (id, blocks.and_then(|n| u32::try_from(n).ok())) else {
        return Err(constraints.refusal());
    };
    constraints.check()?;
    let missing = match (checksum, algorithm, aggregation) {
        (None, None, None) | (Some(_), Some(_), Some(_)) => None,
        (None, ..) => Some("Snapshot checksum"),
        (_, None, _) => Some("Checksum algorithm"),
        (_, _, None) => Some("Checksum aggregation method"),
    };
    if let Some(missing) = missing {
        let message = format!("Invalid parameter combination. {missing} is missing.");
        return Err(Refusal::validation("INVALID_PARAMETER_VALUE", message));
    }
    Ok((id, Claimed { blocks, checksum: checksum.map(str::to_owned) }))
}

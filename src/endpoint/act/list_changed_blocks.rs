//! ListChangedBlocks: the blocks of two related snapshots that were written apart.
//!
//! A page is a window of allocated blocks of either snapshot, not of results: pages may be short or empty and
//! still have a successor. Changed means written, not different: versions are compared, never bytes.

use crate::block::{BlockIndex, BlockSize};
use crate::endpoint::act::World;
use crate::endpoint::act::list_snapshot_blocks::Paging;
use crate::endpoint::token::{self, Kind};
use crate::endpoint::wire::ebs::{Constraints, Time, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::shelf::{Entry, Version};
use crate::snapshot::{SnapshotId, UnixMillis};
use http::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    block_size: Option<u32>,
    changed_blocks: Vec<Changed>,
    expiry_time: Option<Time>,
    /// Not in the model, but on the wire, and always null in what was recorded.
    last_evaluated_block_index: Option<u32>,
    next_token: Option<String>,
    volume_size: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Changed {
    block_index: u32,
    first_block_token: Option<String>,
    second_block_token: Option<String>,
}

/// A block that at least one of the two snapshots has, and which write of it each has.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    first: Option<Version>,
    second: Option<Version>,
}

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let mut constraints = Constraints::new();
    let second = constraints.snapshot_id("secondSnapshotId", call.path.first().map(String::as_str));
    let named = call.query("firstSnapshotId").filter(|id| !id.is_empty());
    let first = constraints.snapshot_id("firstSnapshotId", named);
    let paging = Paging::parse(call, &mut constraints)?;
    let Some(second) = second else { return Err(constraints.refusal()) };
    constraints.check()?;
    let first = first.ok_or_else(|| {
        Refusal::validation("INVALID_SNAPSHOT_ID", "First snapshot should not be empty or null")
    })?;

    let volume_size = related(world, call, (&first, &second), now)?;
    let from = paging.from(world, Kind::ChangedPage, &[first.as_str(), second.as_str()], now)?;
    let (pairs, next) = window(world, &first, &second, from, paging.limit())?;
    let changed: Vec<_> = pairs.into_iter().filter(|(_, pair)| pair.first != pair.second).collect();
    let expiry = if changed.is_empty() { now } else { token::block_expiry(now) };
    let open = |id, index, version: Option<Version>| version.map(|_| world.seal.block(id, index, expiry));
    let changed_blocks: Vec<_> = changed
        .into_iter()
        .map(|(index, pair)| Changed {
            block_index: index.get(),
            first_block_token: open(&first, index, pair.first),
            second_block_token: open(&second, index, pair.second),
        })
        .collect();
    // As recorded: a last page without results tells nothing at all.
    let told = next.is_some() || !changed_blocks.is_empty();
    Ok(reply(
        StatusCode::OK,
        &Body {
            block_size: told.then(|| BlockSize::EBS.bytes()),
            changed_blocks,
            expiry_time: told.then_some(Time(expiry)),
            last_evaluated_block_index: None,
            next_token: next.map(|at| {
                world.seal.page(Kind::ChangedPage, &[first.as_str(), second.as_str()], at.get().into(), now)
            }),
            volume_size: told.then_some(volume_size),
        },
    ))
}

/// Both can be read and share a lineage: then the size of the second one's volume.
fn related(
    world: &World,
    call: &Call,
    (first, second): (&SnapshotId, &SnapshotId),
    now: UnixMillis,
) -> Result<u32, Refusal> {
    let (Some(a), Some(b)) = (world.readable(call, first, now)?, world.readable(call, second, now)?) else {
        return Err(Refusal::not_found(format!("The snapshot '{first}' or '{second}' does not exist.")));
    };
    if first != second && (a.info.lineage.is_none() || a.info.lineage != b.info.lineage) {
        let message = format!("The snapshot {first} and {second} are not related.");
        return Err(Refusal::validation("UNRELATED_SNAPSHOTS", message));
    }
    Ok(b.info.volume_size.get())
}

/// The next `limit` blocks that either has, and the one after them.
fn window(
    world: &World,
    first: &SnapshotId,
    second: &SnapshotId,
    from: BlockIndex,
    limit: usize,
) -> Result<(BTreeMap<BlockIndex, Pair>, Option<BlockIndex>), Refusal> {
    let shelf = world.account.shelf();
    let mut pairs: BTreeMap<BlockIndex, Pair> = BTreeMap::new();
    for Entry { index, version } in shelf.window(first, from, limit + 1)? {
        pairs.entry(index).or_default().first = Some(version);
    }
    for Entry { index, version } in shelf.window(second, from, limit + 1)? {
        pairs.entry(index).or_default().second = Some(version);
    }
    // Each window reaches at least as far as the union's first `limit + 1` blocks, so these are whole.
    let next = pairs.keys().nth(limit).copied();
    if let Some(next) = next {
        pairs.split_off(&next);
    }
    Ok((pairs, next))
}

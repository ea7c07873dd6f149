//! ListSnapshotBlocks: every allocated block of a snapshot, inherited ones included, by pages.

use crate::block::{BlockIndex, BlockSize};
use crate::endpoint::act::World;
use crate::endpoint::token::{self, Kind};
use crate::endpoint::wire::ebs::{Constraints, Time, query_int, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;
use http::StatusCode;
use serde::Serialize;

/// Results of a page where the request names no number. AWS documents none; its own client was told 100.
const DEFAULT_RESULTS: i64 = 100;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    block_size: u32,
    blocks: Vec<Block>,
    expiry_time: Time,
    next_token: Option<String>,
    volume_size: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Block {
    block_index: u32,
    block_token: String,
}

/// Where a listing stands: what both list operations are asked for.
#[derive(Debug)]
pub(super) struct Paging {
    limit: i64,
    start: Option<BlockIndex>,
    token: Option<String>,
}

impl Paging {
    pub(super) fn parse(call: &Call, constraints: &mut Constraints) -> Result<Self, Refusal> {
        let limit = query_int(call, "maxResults")?;
        constraints.range("maxResults", limit, 100, 10_000);
        let start = constraints.index("startingBlockIndex", query_int(call, "startingBlockIndex")?);
        let token = call.query("pageToken");
        constraints.token("nextToken", token);
        Ok(Self { limit: limit.unwrap_or(DEFAULT_RESULTS), start, token: token.map(str::to_owned) })
    }

    /// Blocks that a page looks at.
    pub(super) fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or_default()
    }

    /// The first block to look at. A token wins over a starting index.
    pub(super) fn from(
        &self,
        world: &World,
        kind: Kind,
        of: &[&str],
        now: UnixMillis,
    ) -> Result<BlockIndex, Refusal> {
        let Some(token) = &self.token else { return Ok(self.start.unwrap_or(BlockIndex::ZERO)) };
        let position = world.seal.open(kind, of, token, now).and_then(|at| i64::try_from(at).ok());
        position.and_then(|at| BlockIndex::try_from(at).ok()).ok_or_else(|| {
            let message = format!("The pagination token {token} is invalid.");
            Refusal::validation("INVALID_PAGE_TOKEN", message)
        })
    }
}

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let mut constraints = Constraints::new();
    let id = constraints.snapshot_id("snapshotId", call.path.first().map(String::as_str));
    let paging = Paging::parse(call, &mut constraints)?;
    let Some(id) = id else { return Err(constraints.refusal()) };
    constraints.check()?;

    let snapshot = world.readable(call, &id, now)?.ok_or_else(|| Refusal::no_snapshot(&id))?;
    let from = paging.from(world, Kind::SnapshotPage, &[id.as_str()], now)?;
    // One more than is shown tells whether there is a next page.
    let mut entries = world.account.shelf().window(&id, from, paging.limit() + 1)?;
    let next = (entries.len() > paging.limit()).then(|| entries.pop()).flatten();
    // As recorded: an empty page expires as it is sent.
    let expiry = if entries.is_empty() { now } else { token::block_expiry(now) };
    let blocks = entries.iter().map(|entry| Block {
        block_index: entry.index.get(),
        block_token: world.seal.block(&id, entry.index, expiry),
    });
    Ok(reply(
        StatusCode::OK,
        &Body {
            block_size: BlockSize::EBS.bytes(),
            blocks: blocks.collect(),
            expiry_time: Time(expiry),
            next_token: next.map(|entry| {
                world.seal.page(Kind::SnapshotPage, &[id.as_str()], entry.index.get().into(), now)
            }),
            volume_size: snapshot.info.volume_size.get(),
        },
    ))
}

//! EC2 DeleteSnapshot: takes a snapshot away, also a pending one. Its children stay whole.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{dry_run, no_snapshot, refusal, reply, required, snapshot_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, _: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let id = snapshot_id(required(call, "SnapshotId")?)?;
    world.account.shelf().find(&id).map_err(|fault| refusal(&fault))?.ok_or_else(|| no_snapshot(&id))?;
    dry_run(call)?;
    world.account.delete(&id).map_err(|fault| refusal(&fault))?;
    Ok(reply(call, "DeleteSnapshot", |xml| xml.text("return", "true")))
}

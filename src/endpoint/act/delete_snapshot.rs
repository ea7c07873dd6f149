//! EC2 DeleteSnapshot: takes a snapshot away, also a pending one. Its children stay whole.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{bad, dry_run, refusal, reply, required, snapshot_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let id = snapshot_id(required(call, "SnapshotId")?)?;
    world.snapshot(call, &id, now)?;
    let held = world.held(call, now)?;
    if let Some(image) = held.images.iter().find(|one| one.binds_snapshots() && one.snapshots.contains(&id)) {
        let message = format!("The snapshot {id} is currently in use by {}", image.id);
        return Err(bad("InvalidSnapshot.InUse", message));
    }
    if held.locks.iter().any(|lock| lock.holds() && lock.snapshot == id) {
        // What AWS calls this is nowhere written down.
        return Err(bad("IncorrectState", format!("The snapshot {id} is locked")));
    }
    dry_run(call)?;
    world.account.delete(&call.region, &id, now).map_err(|fault| refusal(&fault))?;
    Ok(reply(call, "DeleteSnapshot", |xml| xml.text("return", "true")))
}

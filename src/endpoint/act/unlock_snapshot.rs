//! EC2 UnlockSnapshot: ends a lock that may be ended.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{bad, dry_run, refusal, reply, required, snapshot_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::LockState;
use crate::fault::Fault;
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let id = snapshot_id(required(call, "SnapshotId")?)?;
    world.snapshot(call, &id, now)?;
    let lock = world.held(call, now)?.locks.into_iter().find(|lock| lock.snapshot == id);
    if !lock.is_some_and(|lock| matches!(lock.state, LockState::Governance | LockState::CoolOff)) {
        return Err(bad("IncorrectState", format!("The snapshot {id} has no lock that can be ended")));
    }
    dry_run(call)?;
    let unlocked = world.account.edit::<_, Fault>(&call.region, |holdings| {
        holdings.held.locks.retain(|lock| lock.snapshot != id);
        Ok(())
    });
    unlocked.map_err(|fault| refusal(&fault))?;
    Ok(reply(call, "UnlockSnapshot", |xml| xml.text("snapshotId", id.as_str())))
}

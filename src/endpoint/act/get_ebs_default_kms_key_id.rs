//! EC2 GetEbsDefaultKmsKeyId: the key for what is encrypted in the Region without naming one.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{dry_run, refusal, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, _: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    dry_run(call)?;
    let defaults = world.account.defaults(&call.region).map_err(|fault| refusal(&fault))?;
    Ok(reply(call, "GetEbsDefaultKmsKeyId", |xml| xml.text("kmsKeyId", &defaults.key)))
}

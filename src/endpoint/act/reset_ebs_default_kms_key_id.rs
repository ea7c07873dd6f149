//! EC2 ResetEbsDefaultKmsKeyId: back to AWS's own key for what is encrypted in the Region without naming one.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{dry_run, refusal, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::fault::Fault;
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, _: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    dry_run(call)?;
    let reset = world.account.edit::<_, Fault>(&call.region, |holdings| {
        holdings.held.encryption.key = None;
        Ok(())
    });
    reset.map_err(|fault| refusal(&fault))?;
    let defaults = world.account.defaults(&call.region).map_err(|fault| refusal(&fault))?;
    Ok(reply(call, "ResetEbsDefaultKmsKeyId", |xml| xml.text("kmsKeyId", &defaults.key)))
}

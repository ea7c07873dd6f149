//! EC2 ModifyEbsDefaultKmsKeyId: another key for what is encrypted in the Region without naming one.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{dry_run, refusal, reply, required};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::fault::Fault;
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, _: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let key = world.account.key_arn(&call.region, required(call, "KmsKeyId")?);
    dry_run(call)?;
    let changed = world.account.edit::<_, Fault>(&call.region, |holdings| {
        holdings.held.encryption.key = Some(key.clone());
        Ok(())
    });
    changed.map_err(|fault| refusal(&fault))?;
    Ok(reply(call, "ModifyEbsDefaultKmsKeyId", |xml| xml.text("kmsKeyId", &key)))
}

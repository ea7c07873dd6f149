//! EC2 GetEbsEncryptionByDefault: whether what is new in the Region is encrypted unasked.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{dry_run, refusal, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, _: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    dry_run(call)?;
    let defaults = world.account.defaults(&call.region).map_err(|fault| refusal(&fault))?;
    Ok(reply(call, "GetEbsEncryptionByDefault", |xml| {
        xml.flag("ebsEncryptionByDefault", defaults.encrypts);
        xml.text("sseType", if defaults.encrypts { "sse-kms" } else { "none" });
    }))
}

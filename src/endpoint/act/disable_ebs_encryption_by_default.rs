//! EC2 DisableEbsEncryptionByDefault: from now on what is new in the Region is not encrypted unasked.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{dry_run, refusal, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::fault::Fault;
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, _: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    dry_run(call)?;
    let turned = world.account.edit::<_, Fault>(&call.region, |holdings| {
        holdings.held.encryption.by_default = Some(false);
        Ok(())
    });
    turned.map_err(|fault| refusal(&fault))?;
    Ok(reply(call, "DisableEbsEncryptionByDefault", |xml| xml.flag("ebsEncryptionByDefault", false)))
}

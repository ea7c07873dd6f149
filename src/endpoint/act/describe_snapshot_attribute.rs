//! EC2 DescribeSnapshotAttribute: who may make volumes of a snapshot.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{bad, dry_run, reply, required, snapshot_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let id = snapshot_id(required(call, "SnapshotId")?)?;
    let attribute = required(call, "Attribute")?;
    if !["createVolumePermission", "productCodes"].contains(&attribute) {
        return Err(bad("InvalidParameterValue", format!("The attribute '{attribute}' is invalid")));
    }
    world.snapshot(call, &id, now)?;
    dry_run(call)?;
    let shares = world.held(call, now)?.shares.remove(&id).unwrap_or_default();
    Ok(reply(call, "DescribeSnapshotAttribute", |xml| {
        xml.text("snapshotId", id.as_str());
        if attribute == "productCodes" {
            return xml.nest("productCodes", |_| {});
        }
        let everybody = shares.is_public.then_some(("group", "all"));
        let accounts = shares.accounts.iter().map(|account| ("userId", account.as_str()));
        let permissions = everybody.into_iter().chain(accounts);
        xml.set("createVolumePermission", permissions, |xml, (kind, who)| xml.text(kind, who));
    }))
}

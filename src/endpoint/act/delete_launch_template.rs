//! EC2 DeleteLaunchTemplate: a template goes with all its versions.

use crate::endpoint::act::World;
use crate::endpoint::act::template::{the_named, whole};
use crate::endpoint::wire::ec2::{dry_run, refusal, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::fault::Fault;
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let mut versions = world.held(call, now)?.templates;
    let template = the_named(&versions, call)?;
    dry_run(call)?;
    let gone = world.account.edit::<_, Fault>(&call.region, |holdings| {
        holdings.held.templates.retain(|one| one.template != template);
        Ok(())
    });
    gone.map_err(|fault| refusal(&fault))?;
    versions.retain(|one| one.template == template);
    let owner = &world.account.settings().owner_id;
    Ok(reply(call, "DeleteLaunchTemplate", |xml| whole(xml, &versions, owner)))
}

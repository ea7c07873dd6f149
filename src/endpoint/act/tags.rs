//! What the actions on tags have in common: the things that have them.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{
    bad, image_id, instance_id, no_image, no_instance, no_snapshot, no_volume, numbered, refusal,
    snapshot_id, volume_id,
};
use crate::endpoint::wire::{Call, Refusal};
use crate::estate::{Held, Resource};
use crate::snapshot::{Tags, UnixMillis};

/// What a request is about.
pub(super) fn resources(call: &Call) -> Result<Vec<Resource>, Refusal> {
    let ids = numbered(call, "ResourceId");
    if ids.is_empty() {
        return Err(bad("MissingParameter", "The request must contain the parameter resourceIdSet"));
    }
    ids.into_iter().map(resource).collect()
}

fn resource(text: &str) -> Result<Resource, Refusal> {
    match text.split_once('-').map(|(kind, _)| kind) {
        Some("snap") => snapshot_id(text).map(Resource::Snapshot),
        Some("vol") => volume_id(text).map(Resource::Volume),
        Some("i") => instance_id(text).map(Resource::Instance),
        Some("ami") => image_id(text).map(Resource::Image),
        _ => Err(bad("InvalidID", format!("The ID '{text}' is not valid"))),
    }
}

/// The tags of something, or EC2's word for its not being there.
pub(super) fn tags_of(world: &World, call: &Call, now: UnixMillis, of: &Resource) -> Result<Tags, Refusal> {
    if let Resource::Snapshot(id) = of {
        return Ok(world.snapshot(call, id, now)?.info.tags);
    }
    let mut held = world.held(call, now)?;
    within(&mut held, of).map(|tags| tags.clone()).ok_or_else(|| match of {
        Resource::Volume(id) => no_volume(id),
        Resource::Instance(id) => no_instance(id),
        Resource::Image(id) => no_image(id),
        Resource::Snapshot(id) => no_snapshot(id),
    })
}

/// Changes the tags of all of them.
pub(super) fn retag(
    world: &World,
    call: &Call,
    of: &[Resource],
    change: &dyn Fn(&mut Tags),
) -> Result<(), Refusal> {
    let (account, refused) = (&world.account, |fault| refusal(&fault));
    if of.iter().any(|one| !matches!(one, Resource::Snapshot(_))) {
        let edited = account.edit(&call.region, |holdings| {
            for one in of {
                within(&mut holdings.held, one).into_iter().for_each(change);
            }
            Ok(())
        });
        edited.map_err(refused)?;
    }
    for one in of {
        if let Resource::Snapshot(id) = one {
            account.writer().and_then(|writer| writer.retag(id, change)).map_err(refused)?;
        }
    }
    Ok(())
}

/// The tags of something beside the snapshots.
fn within<'a>(held: &'a mut Held, of: &Resource) -> Option<&'a mut Tags> {
    match of {
        Resource::Snapshot(_) => None,
        Resource::Volume(id) => held.volumes.iter_mut().find(|one| one.id == *id).map(|one| &mut one.tags),
        Resource::Instance(id) => {
            held.instances.iter_mut().find(|one| one.id == *id).map(|one| &mut one.tags)
        }
        Resource::Image(id) => held.images.iter_mut().find(|one| one.id == *id).map(|one| &mut one.tags),
    }
}

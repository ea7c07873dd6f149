//! EC2 CreateTags: adds tags to anything that has them, replacing those of the same key.

use crate::endpoint::act::World;
use crate::endpoint::act::tags::{resources, retag, tags_of};
use crate::endpoint::wire::ec2::{bad, dry_run, reply, tags};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

/// Tags of one resource (EC2 user guide, "Using_Tags").
const MOST_TAGS: usize = 50;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = resources(call)?;
    let tags = tags(call, "Tag")?;
    if tags.is_empty() {
        return Err(bad("MissingParameter", "The request must contain the parameter tagSet"));
    }
    // All or nothing: every resource is looked at before the first is changed.
    for id in &ids {
        let mut all = tags_of(world, call, now, id)?;
        all.extend(tags.clone());
        if all.len() > MOST_TAGS {
            let message = "The maximum number of Tags for a resource has been reached.";
            return Err(bad("TagLimitExceeded", message));
        }
    }
    dry_run(call)?;
    retag(world, call, &ids, &|old| old.extend(tags.clone()))?;
    Ok(reply(call, "CreateTags", |xml| xml.text("return", "true")))
}

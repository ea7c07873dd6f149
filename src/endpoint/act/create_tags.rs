//! EC2 CreateTags: adds tags to snapshots, replacing those of the same key.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{bad, dry_run, no_snapshot, numbered, refusal, reply, snapshot_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::{SnapshotId, Tags, UnixMillis};

/// Tags of one resource (EC2 user guide, "Using_Tags").
const MOST_TAGS: usize = 50;

pub(super) fn act(world: &World, _: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = numbered(call, "ResourceId");
    let tags = tags(call)?;
    if ids.is_empty() || tags.is_empty() {
        let what = if ids.is_empty() { "resourceIdSet" } else { "tagSet" };
        return Err(bad("MissingParameter", format!("The request must contain the parameter {what}")));
    }
    let ids = ids.into_iter().map(resource).collect::<Result<Vec<_>, _>>()?;
    // All or nothing: every resource is looked at before the first is changed.
    for id in &ids {
        let found = world.account.shelf().find(id).map_err(|fault| refusal(&fault))?;
        let mut all = found.ok_or_else(|| no_snapshot(id))?.info.tags;
        all.extend(tags.clone());
        if all.len() > MOST_TAGS {
            let message = "The maximum number of Tags for a resource has been reached.";
            return Err(bad("TagLimitExceeded", message));
        }
    }
    dry_run(call)?;
    for id in &ids {
        let writer = world.account.writer().map_err(|fault| refusal(&fault))?;
        writer.tag(id, &tags).map_err(|fault| refusal(&fault))?;
    }
    Ok(reply(call, "CreateTags", |xml| xml.text("return", "true")))
}

fn resource(text: &str) -> Result<SnapshotId, Refusal> {
    if text.starts_with("snap-") {
        return snapshot_id(text);
    }
    Err(bad("InvalidID", format!("The ID '{text}' is not valid")))
}

fn tags(call: &Call) -> Result<Tags, Refusal> {
    let mut tags = Tags::new();
    for n in 1.. {
        let Some(key) = call.query(&format!("Tag.{n}.Key")) else { break };
        let value = call.query(&format!("Tag.{n}.Value")).unwrap_or_default();
        if key.is_empty() || key.starts_with("aws:") {
            let message = "Tag keys may not be empty, and those starting with 'aws:' are reserved";
            return Err(bad("InvalidParameterValue", message));
        }
        if key.chars().count() > 127 || value.chars().count() > 255 {
            let message = "Tag keys have at most 127 characters, values at most 255";
            return Err(bad("InvalidParameterValue", message));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    Ok(tags)
}

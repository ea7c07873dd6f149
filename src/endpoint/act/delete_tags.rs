//! EC2 DeleteTags: removes tags by key; where a value is given, only if it has that value.

use crate::endpoint::act::World;
use crate::endpoint::act::tags::{resources, retag, tags_of};
use crate::endpoint::wire::ec2::{dry_run, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = resources(call)?;
    let pair = |n: u32| {
        let key = call.query(&format!("Tag.{n}.Key"))?;
        Some((key, call.query(&format!("Tag.{n}.Value"))))
    };
    let wanted: Vec<_> = (1..).map_while(pair).collect();
    for id in &ids {
        tags_of(world, call, now, id)?;
    }
    dry_run(call)?;
    retag(world, call, &ids, &|tags| {
        tags.retain(|key, value| {
            let is_meant =
                |(named, with): &(&str, Option<&str>)| key == named && with.is_none_or(|with| with == value);
            // Without any tag named, every tag of the user's goes (EC2 API reference, DeleteTags).
            !(wanted.iter().any(is_meant) || wanted.is_empty() && !key.starts_with("aws:"))
        });
    })?;
    Ok(reply(call, "DeleteTags", |xml| xml.text("return", "true")))
}

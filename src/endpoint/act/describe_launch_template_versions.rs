//! EC2 DescribeLaunchTemplateVersions: of one template any version, of all of them the default and the latest.

use crate::endpoint::act::World;
use crate::endpoint::act::page::Paging;
use crate::endpoint::act::template::{chosen, named, place, version};
use crate::endpoint::wire::ec2::{bad, dry_run, numbered, reply, word};
use crate::endpoint::wire::filter::Filters;
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::TemplateVersion;
use crate::snapshot::{Tags, UnixMillis};

/// What filters look at, of what the EC2 API reference lists.
const FIELDS: &[&str] = &["image-id", "is-default-version"];

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let paging = Paging::parse(world, call, "DescribeLaunchTemplateVersions", 1..=200, now)?;
    let filters = Filters::parse(call, FIELDS)?;
    let asked = numbered(call, "LaunchTemplateVersion");
    let mut versions = world.held(call, now)?.templates;
    match named(&versions, call)? {
        Some(template) => versions.retain(|one| one.template == template),
        // A number says nothing of templates that are not named (EC2 API reference, the parameter's description).
        None if asked.is_empty() || asked.iter().any(|one| !one.starts_with('$')) => {
            let message = "The request must name a launch template, or no version but $Latest and $Default";
            return Err(bad("MissingParameter", message));
        }
        None => {}
    }
    dry_run(call)?;
    let chosen = if asked.is_empty() { versions.clone() } else { chosen(&versions, &asked)? };
    let mut chosen: Vec<_> =
        chosen.into_iter().filter(|one| filters.admit(&Tags::new(), |f| shown(one, f))).collect();
    chosen.sort_by_key(place);
    let (page, next) = paging.cut(world, chosen, place);
    let owner = &world.account.settings().owner_id;
    Ok(reply(call, "DescribeLaunchTemplateVersions", |xml| {
        xml.set("launchTemplateVersionSet", &page, |xml, one| version(xml, one, owner));
        xml.maybe("nextToken", next.as_deref());
    }))
}

fn shown(one: &TemplateVersion, field: &str) -> Vec<String> {
    match field {
        "image-id" => one.image.iter().cloned().collect(),
        _ => vec![word(one.is_default).to_owned()],
    }
}

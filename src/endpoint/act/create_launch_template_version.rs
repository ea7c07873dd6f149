//! EC2 CreateLaunchTemplateVersion: what is launched from now on by whoever asks for the latest.

use crate::endpoint::act::World;
use crate::endpoint::act::template::{chosen, content, the_named, version};
use crate::endpoint::wire::ec2::{dry_run, refusal, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::TemplateVersion;
use crate::fault::Fault;
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let (image, snapshots) = content(call)?;
    let versions = world.held(call, now)?.templates;
    let template = the_named(&versions, call)?;
    let own: Vec<_> = versions.into_iter().filter(|one| one.template == template).collect();
    // A version is based on another but for the snapshots of its mappings (EC2 API reference, SourceVersion).
    let source = call.query("SourceVersion").map(|source| chosen(&own, &[source])).transpose()?;
    let image = image.or_else(|| source.and_then(|mut own| own.pop()?.image));
    dry_run(call)?;
    let Some(latest) = own.into_iter().max_by_key(|one| one.version) else {
        unreachable!("it was found among them")
    };
    let made = TemplateVersion {
        version: latest.version + 1,
        is_default: false,
        made: Some(now),
        image,
        snapshots,
        ..latest
    };
    let kept = world.account.edit::<_, Fault>(&call.region, |holdings| {
        holdings.held.templates.push(made.clone());
        Ok(())
    });
    kept.map_err(|fault| refusal(&fault))?;
    let owner = &world.account.settings().owner_id;
    Ok(reply(call, "CreateLaunchTemplateVersion", |xml| {
        xml.nest("launchTemplateVersion", |xml| version(xml, &made, owner));
    }))
}

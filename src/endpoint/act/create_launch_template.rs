//! EC2 CreateLaunchTemplate: a template and its first version.

use crate::endpoint::act::World;
use crate::endpoint::act::template::{VERSION_BITS, content, whole};
use crate::endpoint::wire::ec2::{bad, dry_run, refusal, reply, required};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::TemplateVersion;
use crate::fault::Fault;
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let name = required(call, "LaunchTemplateName")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "().-/_".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
        let message = "Launch template names have 3 to 128 letters, digits and ( ) . - / _";
        return Err(bad("InvalidLaunchTemplateName.MalformedException", message));
    }
    let (image, snapshots) = content(call)?;
    if world.held(call, now)?.templates.iter().any(|one| one.name == name) {
        let message = "Launch template name already in use.";
        return Err(bad("InvalidLaunchTemplateName.AlreadyExistsException", message));
    }
    dry_run(call)?;
    let id = format!("lt-0{:016x}", fastrand::u64(..1 << (64 - VERSION_BITS)));
    let made = TemplateVersion {
        template: id.parse().unwrap_or_else(|_| unreachable!("hexadecimal digits")),
        name: name.to_owned(),
        version: 1,
        is_default: true,
        made: Some(now),
        image,
        snapshots,
    };
    let kept = world.account.edit::<_, Fault>(&call.region, |holdings| {
        holdings.held.templates.push(made.clone());
        Ok(())
    });
    kept.map_err(|fault| refusal(&fault))?;
    let owner = &world.account.settings().owner_id;
    Ok(reply(call, "CreateLaunchTemplate", |xml| whole(xml, &[made], owner)))
}

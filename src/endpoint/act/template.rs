//! What the actions on launch templates have in common: which one is meant, what it holds, and how it is told.
//!
//! Of a template's data only what ties it to images and snapshots is taken; whatever else is asked for is passed over.

use crate::endpoint::act::describe_images::DEVICES;
use crate::endpoint::act::page::number;
use crate::endpoint::wire::ec2::{Xml, bad, snapshot_id, template_id};
use crate::endpoint::wire::{Call, Refusal};
use crate::estate::TemplateVersion;
use crate::snapshot::{SnapshotId, TemplateId};

/// The template that a request names, by its id or its name; `None` where it names none.
pub(super) fn named(all: &[TemplateVersion], call: &Call) -> Result<Option<TemplateId>, Refusal> {
    let id = call.query("LaunchTemplateId").map(template_id).transpose()?;
    let name = call.query("LaunchTemplateName");
    let found = |is: &dyn Fn(&TemplateVersion) -> bool| {
        all.iter().find(|one| is(one)).map(|one| one.template.clone())
    };
    match (id, name) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            let message = "The parameters LaunchTemplateId and LaunchTemplateName cannot be used together";
            Err(bad("InvalidParameterCombination", message))
        }
        (Some(id), None) => match found(&|one| one.template == id) {
            None => {
                let message =
                    format!("The specified launch template, with template ID {id}, does not exist.");
                Err(bad("InvalidLaunchTemplateId.NotFound", message))
            }
            some => Ok(some),
        },
        (None, Some(name)) => match found(&|one| one.name == name) {
            None => {
                let message =
                    format!("The specified launch template, with template name {name}, does not exist.");
                Err(bad("InvalidLaunchTemplateName.NotFoundException", message))
            }
            some => Ok(some),
        },
    }
}

/// The same where one must be named.
pub(super) fn the_named(all: &[TemplateVersion], call: &Call) -> Result<TemplateId, Refusal> {
    named(all, call)?.ok_or_else(|| {
        let message = "The request must contain the parameter LaunchTemplateId or LaunchTemplateName";
        bad("MissingParameter", message)
    })
}

/// Those that any of the words asks for: `$Latest`, `$Default`, or a version's number.
pub(super) fn chosen(all: &[TemplateVersion], asked: &[&str]) -> Result<Vec<TemplateVersion>, Refusal> {
    let latest = |one: &TemplateVersion| {
        !all.iter().any(|other| other.template == one.template && other.version > one.version)
    };
    let is = |one: &TemplateVersion, word: &str| match word {
        "$Latest" => latest(one),
        "$Default" => one.is_default,
        number => number.parse() == Ok(one.version),
    };
    for word in asked.iter().filter(|word| !["$Latest", "$Default"].contains(word)) {
        let Some(first) = all.iter().find(|one| is(one, word)).or(all.first()) else { continue };
        if !is(first, word) {
            let message = format!(
                "Could not find the specified version {word} for the launch template with ID {}.",
                first.template
            );
            return Err(bad("InvalidLaunchTemplateId.VersionNotFound", message));
        }
    }
    Ok(all.iter().filter(|one| asked.iter().any(|word| is(one, word))).cloned().collect())
}

/// The image and the snapshots that a new version shall have.
pub(super) fn content(call: &Call) -> Result<(Option<String>, Vec<SnapshotId>), Refusal> {
    let given = |key: &str| call.query(&format!("LaunchTemplateData.{key}"));
    let mapped = (1..).map(|n| format!("BlockDeviceMapping.{n}"));
    let mapped = mapped.take_while(|at| {
        let at = format!("LaunchTemplateData.{at}.");
        call.query.iter().any(|(key, _)| key.starts_with(&at))
    });
    let snapshots = mapped.filter_map(|at| given(&format!("{at}.Ebs.SnapshotId"))).map(snapshot_id);
    Ok((given("ImageId").map(str::to_owned), snapshots.collect::<Result<_, _>>()?))
}

/// Where a version stands among all: it grows from version to version, and so from page to page. Templates made here
/// leave room for it.
pub(super) fn place(one: &TemplateVersion) -> u64 {
    number(one.template.as_str()) << VERSION_BITS | one.version
}

/// A template has at most 10,000 versions (Amazon EC2 Auto Scaling and EC2 quotas, "Launch template versions").
pub(super) const VERSION_BITS: u32 = 16;

/// `<launchTemplate>`: a template by its versions, of which there is one at least.
pub(super) fn whole(xml: &mut Xml, versions: &[TemplateVersion], owner: &str) {
    let Some(latest) = versions.iter().max_by_key(|one| one.version) else { return };
    let default = versions.iter().find(|one| one.is_default).unwrap_or(latest);
    xml.nest("launchTemplate", |xml| {
        head(xml, latest, owner);
        xml.text("defaultVersionNumber", &default.version.to_string());
        xml.text("latestVersionNumber", &latest.version.to_string());
    });
}

/// What stands in an element of one version.
pub(super) fn version(xml: &mut Xml, one: &TemplateVersion, owner: &str) {
    head(xml, one, owner);
    xml.text("versionNumber", &one.version.to_string());
    xml.flag("defaultVersion", one.is_default);
    xml.nest("launchTemplateData", |xml| {
        xml.maybe("imageId", one.image.as_deref());
        if one.snapshots.is_empty() {
            return;
        }
        xml.set("blockDeviceMappingSet", one.snapshots.iter().zip(DEVICES), |xml, (snapshot, device)| {
            xml.text("deviceName", device);
            xml.nest("ebs", |xml| xml.text("snapshotId", snapshot.as_str()));
        });
    });
}

fn head(xml: &mut Xml, one: &TemplateVersion, owner: &str) {
    xml.text("launchTemplateId", one.template.as_str());
    xml.text("launchTemplateName", &one.name);
    xml.at("createTime", one.made);
    xml.text("createdBy", &format!("arn:aws:iam::{owner}:root"));
}

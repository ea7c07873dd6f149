//! EC2 DescribeImages: images, and the snapshots that their volumes are made of.

use crate::endpoint::act::World;
use crate::endpoint::act::page::{Paging, chosen, number};
use crate::endpoint::wire::ec2::{self, Xml, dry_run, image_id, no_image, numbered, reply, says_yes};
use crate::endpoint::wire::filter::Filters;
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::{Image, ImageState};
use crate::snapshot::UnixMillis;

/// What filters look at, of what the EC2 API reference lists.
const FIELDS: &[&str] =
    &["block-device-mapping.snapshot-id", "image-id", "is-public", "name", "owner-id", "state"];

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = numbered(call, "ImageId").into_iter().map(image_id).collect::<Result<Vec<_>, _>>()?;
    let paging = Paging::parse(world, call, "DescribeImages", 1..=1000, now)?.without(&ids, "imagesSet")?;
    let filters = Filters::parse(call, FIELDS)?;
    dry_run(call)?;

    let owner = world.account.settings().owner_id.as_str();
    let owners = numbered(call, "Owner");
    let mut images = chosen(world.held(call, now)?.images, &ids, |image| image.id.as_str(), no_image)?;
    images.retain(|image| {
        // Whoever owns an image sees it deprecated too, asked for or not (EC2 API reference, DescribeImages).
        (owners.is_empty() || owners.iter().any(|one| *one == "self" || *one == owner))
            && (image.state != ImageState::Disabled || says_yes(call, "IncludeDisabled"))
            && filters.admit(&image.tags, |field| shown(image, owner, field))
    });
    let (images, next) = paging.cut(world, images, |image| number(image.id.as_str()));
    Ok(reply(call, "DescribeImages", |xml| {
        xml.set("imagesSet", &images, |xml, image| item(xml, image, owner));
        xml.maybe("nextToken", next.as_deref());
    }))
}

fn item(xml: &mut Xml, image: &Image, owner: &str) {
    xml.text("imageId", image.id.as_str());
    xml.text("imageLocation", &format!("{owner}/{}", image.name));
    xml.text("imageState", image.state.as_str());
    xml.text("imageOwnerId", owner);
    xml.at("creationDate", image.created);
    xml.flag("isPublic", image.is_public);
    xml.text("architecture", "x86_64");
    xml.text("imageType", "machine");
    xml.text("name", &image.name);
    xml.text("rootDeviceType", "ebs");
    xml.text("rootDeviceName", DEVICES[0]);
    xml.set("blockDeviceMapping", image.snapshots.iter().zip(DEVICES), |xml, (snapshot, device)| {
        xml.text("deviceName", device);
        xml.nest("ebs", |xml| {
            xml.text("snapshotId", snapshot.as_str());
            xml.flag("deleteOnTermination", true);
        });
    });
    xml.text("virtualizationType", "hvm");
    xml.tags(&image.tags);
    xml.at("deprecationTime", image.deprecated_from);
}

/// Names of an image's devices, its root first.
pub(super) const DEVICES: [&str; 8] =
    ["/dev/xvda", "/dev/sdf", "/dev/sdg", "/dev/sdh", "/dev/sdi", "/dev/sdj", "/dev/sdk", "/dev/sdl"];

fn shown(image: &Image, owner: &str, field: &str) -> Vec<String> {
    let text = match field {
        "block-device-mapping.snapshot-id" => {
            return image.snapshots.iter().map(ToString::to_string).collect();
        }
        "image-id" => image.id.as_str(),
        "is-public" => ec2::word(image.is_public),
        "name" => &image.name,
        "owner-id" => owner,
        _ => image.state.as_str(),
    };
    vec![text.to_owned()]
}

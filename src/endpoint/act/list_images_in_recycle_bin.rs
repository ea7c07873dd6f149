//! EC2 ListImagesInRecycleBin: images that were deregistered and can still be had back.

use crate::endpoint::act::World;
use crate::endpoint::act::page::{Paging, chosen, number};
use crate::endpoint::wire::ec2::{dry_run, image_id, no_image, numbered, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = numbered(call, "ImageId").into_iter().map(image_id).collect::<Result<Vec<_>, _>>()?;
    let paging = Paging::parse(world, call, "ListImagesInRecycleBin", 1..=1000, now)?;
    dry_run(call)?;
    let binned = world.held(call, now)?.binned_images;
    let binned = chosen(binned, &ids, |one| one.id.as_str(), no_image)?;
    let (binned, next) = paging.cut(world, binned, |one| number(one.id.as_str()));
    Ok(reply(call, "ListImagesInRecycleBin", |xml| {
        xml.set("imageSet", &binned, |xml, binned| {
            xml.text("imageId", binned.id.as_str());
            xml.text("name", &binned.name);
            xml.at("recycleBinEnterTime", binned.entered);
            xml.at("recycleBinExitTime", binned.leaves);
        });
        xml.maybe("nextToken", next.as_deref());
    }))
}

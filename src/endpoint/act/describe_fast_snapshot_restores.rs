//! EC2 DescribeFastSnapshotRestores: where volumes made of a snapshot come whole.

use crate::endpoint::act::World;
use crate::endpoint::act::page::{Paging, number};
use crate::endpoint::wire::ec2::{dry_run, reply};
use crate::endpoint::wire::filter::Filters;
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::{Tags, UnixMillis};

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let paging = Paging::parse(world, call, "DescribeFastSnapshotRestores", 0..=200, now)?;
    let filters = Filters::parse(call, &["availability-zone", "owner-id", "snapshot-id", "state"])?;
    dry_run(call)?;
    let owner = &world.account.settings().owner_id;
    let mut restores = world.held(call, now)?.fast_restores;
    restores.sort_by(|a, b| {
        let key = |one: &str| number(one);
        (key(a.snapshot.as_str()), &a.zone).cmp(&(key(b.snapshot.as_str()), &b.zone))
    });
    // The zones of one snapshot have no numbers of their own: what counts is the place in the whole list.
    let mut restores: Vec<_> = restores.into_iter().zip(1_u64..).collect();
    restores.retain(|(one, _)| {
        filters.admit(&Tags::new(), |field| {
            let text = match field {
                "availability-zone" => one.zone.as_str(),
                "owner-id" => owner,
                "snapshot-id" => one.snapshot.as_str(),
                _ => one.state.as_str(),
            };
            vec![text.to_owned()]
        })
    });
    let (restores, next) = paging.cut(world, restores, |(_, place)| *place);
    Ok(reply(call, "DescribeFastSnapshotRestores", |xml| {
        xml.set("fastSnapshotRestoreSet", &restores, |xml, (one, _)| {
            xml.text("snapshotId", one.snapshot.as_str());
            xml.text("availabilityZone", &one.zone);
            xml.text("state", one.state.as_str());
            xml.text("stateTransitionReason", "Client.UserInitiated");
            xml.text("ownerId", owner);
        });
        xml.maybe("nextToken", next.as_deref());
    }))
}

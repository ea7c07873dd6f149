//! EC2 DescribeLockedSnapshots: which snapshots cannot be deleted, and until when.

use crate::endpoint::act::World;
use crate::endpoint::act::page::{Paging, number};
use crate::endpoint::wire::ec2::{dry_run, numbered, reply, snapshot_id};
use crate::endpoint::wire::filter::Filters;
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::{Tags, UnixMillis};

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let ids = numbered(call, "SnapshotId").into_iter().map(snapshot_id).collect::<Result<Vec<_>, _>>()?;
    let paging = Paging::parse(world, call, "DescribeLockedSnapshots", 5..=1000, now)?;
    let filters = Filters::parse(call, &["lock-state"])?;
    dry_run(call)?;
    let mut locks = world.held(call, now)?.locks;
    // A snapshot that is named and not locked is left out, as one that is not there.
    locks.retain(|lock| {
        (ids.is_empty() || ids.contains(&lock.snapshot))
            && filters.admit(&Tags::new(), |_| vec![lock.state.as_str().to_owned()])
    });
    locks.sort_by_key(|lock| number(lock.snapshot.as_str()));
    let (locks, next) = paging.cut(world, locks, |lock| number(lock.snapshot.as_str()));
    let owner = &world.account.settings().owner_id;
    Ok(reply(call, "DescribeLockedSnapshots", |xml| {
        xml.set("snapshotSet", &locks, |xml, lock| {
            xml.text("ownerId", owner);
            xml.text("snapshotId", lock.snapshot.as_str());
            xml.text("lockState", lock.state.as_str());
            xml.at("lockExpiresOn", lock.expires);
        });
        xml.maybe("nextToken", next.as_deref());
    }))
}

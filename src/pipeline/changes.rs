//! What was written between two snapshots, as sets.

use crate::block::{BlockIndex, BlockSize, GiB};
use crate::delta::Delta;
use crate::fault::Fault;
use crate::monitor::Event;
use crate::pipeline::Engine;
use crate::pipeline::kept::Part;
use crate::pipeline::shards::{Cutting, walk_in_shards, walk_what_is_left};
use crate::pipeline::walk::Walk;
use crate::source::{Change, ChangeFeed};

/// All changes of a feed, and the size of the second volume, where the service tells.
pub async fn changes(engine: &Engine, feed: &dyn ChangeFeed) -> Result<(Delta, Option<GiB>), Fault> {
    let walk = Walk::new(engine, feed.place(), BlockIndex::ZERO);
    let mut delta = Delta::default();
    let take = |page: Vec<Change>| {
        told(engine, &page);
        for change in page {
            delta.insert(change.index, change.first.is_some(), change.second.is_some());
        }
    };
    let volume_size = walk_in_shards(walk, None, Cutting::USUAL, |cursor| feed.changes(cursor), take).await?;
    Ok((delta, volume_size))
}

/// Lists the changes that are left, those to the second snapshot apart from what only the first has. Also when this
/// fails, or is dropped, `part` holds all that was told.
pub async fn changes_left(engine: &Engine, feed: &dyn ChangeFeed, part: &mut Part) -> Result<(), Fault> {
    let Part { has, lacks, left } = part;
    let walk = Walk::new(engine, feed.place(), left.start());
    let take = |page: Vec<Change>| {
        told(engine, &page);
        for change in page {
            let set = if change.second.is_some() { &mut *has } else { &mut *lacks };
            set.insert(change.index);
        }
    };
    walk_what_is_left(walk, left, None, Cutting::USUAL, |cursor| feed.changes(cursor), take).await?;
    Ok(())
}

fn told(engine: &Engine, page: &[Change]) {
    let size = BlockSize::EBS.of(page.len() as u64);
    engine.monitor.on(Event::Done { blocks: page.len() as u64, size });
}

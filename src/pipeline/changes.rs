//! What was written between two snapshots, as sets.

use crate::block::{BlockIndex, BlockSize, GiB};
use crate::delta::Delta;
use crate::fault::Fault;
use crate::monitor::Event;
use crate::pipeline::Engine;
use crate::pipeline::shards::{Cutting, walk_in_shards};
use crate::pipeline::walk::Walk;
use crate::source::{Change, ChangeFeed};

/// All changes of a feed, and the size of the second volume, where the service tells.
pub async fn changes(engine: &Engine, feed: &dyn ChangeFeed) -> Result<(Delta, Option<GiB>), Fault> {
    let walk = Walk::new(engine, feed.place(), BlockIndex::ZERO);
    let mut delta = Delta::default();
    let take = |page: Vec<Change>| {
        let size = BlockSize::EBS.of(page.len() as u64);
        engine.monitor.on(Event::Done { blocks: page.len() as u64, size });
        for change in page {
            delta.insert(change.index, change.first.is_some(), change.second.is_some());
        }
    };
    let volume_size = walk_in_shards(walk, None, Cutting::USUAL, |cursor| feed.changes(cursor), take).await?;
    Ok((delta, volume_size))
}

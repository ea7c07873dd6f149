//! Which blocks a snapshot has, as a set.

use crate::block::{BlockSet, BlockSize};
use crate::fault::Fault;
use crate::monitor::Event;
use crate::pipeline::Engine;
use crate::pipeline::kept::Part;
use crate::pipeline::shards::{Cutting, walk_what_is_left};
use crate::pipeline::walk::Walk;
use crate::source::{BlockSource, Listed};

/// Every allocated block of a source, without fetching any.
pub async fn block_map(engine: &Engine, source: &dyn BlockSource) -> Result<BlockSet, Fault> {
    let mut part = Part::nothing();
    blocks_left(engine, source, &mut part).await?;
    Ok(part.has)
}

/// Lists the blocks that are left. Also when this fails, or is dropped, `part` holds all that was told.
pub async fn blocks_left(engine: &Engine, source: &dyn BlockSource, part: &mut Part) -> Result<(), Fault> {
    let Part { has, left, .. } = part;
    let walk = Walk::over(engine, source, left.start());
    let n_blocks = Some(source.geometry().n_blocks());
    let take = |page: Vec<Listed>| {
        let size = BlockSize::EBS.of(page.len() as u64);
        engine.monitor.on(Event::Done { blocks: page.len() as u64, size });
        has.extend(page.iter().map(|listed| listed.index));
    };
    walk_what_is_left(walk, left, n_blocks, Cutting::USUAL, |cursor| source.list(cursor), take).await?;
    Ok(())
}

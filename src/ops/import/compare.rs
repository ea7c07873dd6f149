//! Comparing the image with the parent, so that only what differs is sent.

use crate::block::BlockSet;
use crate::device::{Image, Part};
use crate::fault::Fault;
use crate::monitor::Event;
use crate::ops::Engine;
use crate::ops::import::begin::Before;
use crate::pipeline::{Checkpoint, Mark, Which, read};
use crate::source::{Block, BlockSink, BlockSource};
use std::sync::{Arc, Mutex, PoisonError};

/// Which blocks the image has just as the parent, and which the parent has at all.
pub(super) async fn compare(
    engine: &Engine,
    image: Arc<Image>,
    parent: Arc<dyn BlockSource>,
    checkpoint: Checkpoint,
    before: &Before,
) -> Result<(BlockSet, BlockSet, Checkpoint), Fault> {
    engine.monitor.on(Event::Stage { verb: "comparing with the parent", total: None });
    let found = Mutex::new(Found { same: before.same.clone(), checkpoint });
    let compared = Arc::new(Compared { image, found });
    let known = &before.same | &before.sent;
    let result = read(engine, parent, Which::AllBut(known), compared.clone()).await;
    let Some(compared) = Arc::into_inner(compared) else { unreachable!("reading has ended") };
    let found = compared.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    result.map(|read| (found.same, read.listed, found.checkpoint))
}

/// Compares the parent's blocks with the image's; what is the same goes to the checkpoint, since it was paid for.
#[derive(Debug)]
struct Compared {
    image: Arc<Image>,
    found: Mutex<Found>,
}

#[derive(Debug)]
struct Found {
    same: BlockSet,
    checkpoint: Checkpoint,
}

impl BlockSink for Compared {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        let same = match self.image.part(block.index())? {
            Part::Zero => block.is_zero(),
            Part::Data(bytes) => bytes == block.bytes(),
        };
        if same {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.same.insert(block.index());
            found.checkpoint.append(&[(Mark::Same, block.index())])?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }
}

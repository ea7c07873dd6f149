//! What an interrupted verification or warming keeps: the blocks that were right, or read.
//!
//! Blocks that were not are not kept: the next run reads them again, and finds them again or does not.

use crate::block::{BlockIndex, BlockSet};
use crate::fault::Fault;
use crate::manifest::Draft;
use crate::pipeline::{Checkpoint, Mark};
use crate::source::BlockSink;
use std::time::Duration;
use tokio::time::Instant;

/// A checkpoint, and what is not in it yet.
#[derive(Debug)]
pub(super) struct Progress {
    checkpoint: Checkpoint,
    waiting: Vec<(Mark, BlockIndex)>,
    /// How much work a crash may cost.
    every: Duration,
    saved: Instant,
    n_recorded: u64,
}

impl Progress {
    /// Goes on with this checkpoint, in which the blocks before stand.
    pub(super) fn new(checkpoint: Checkpoint, before: &BlockSet, every: Duration) -> Self {
        let (waiting, saved) = (Vec::new(), Instant::now());
        Self { checkpoint, waiting, every, saved, n_recorded: before.len() }
    }

    /// A block was right, or read.
    pub(super) fn done(&mut self, index: BlockIndex, draft: Option<&Draft>) -> Result<(), Fault> {
        self.note(index);
        self.tick(draft)
    }

    /// The same, without looking whether it is time to record it.
    pub(super) fn note(&mut self, index: BlockIndex) {
        self.waiting.push((Mark::Done, index));
    }

    /// Time has passed: what waits is recorded if it has waited long enough.
    pub(super) fn tick(&mut self, draft: Option<&Draft>) -> Result<(), Fault> {
        if self.waiting.is_empty() || self.saved.elapsed() < self.every {
            return Ok(());
        }
        self.save(draft)
    }

    /// Records what is not recorded yet; their digests are durable before that.
    pub(super) fn save(&mut self, draft: Option<&Draft>) -> Result<(), Fault> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        draft.map_or(Ok(()), BlockSink::sync)?;
        self.checkpoint.append(&self.waiting)?;
        self.n_recorded += self.waiting.len() as u64;
        self.waiting.clear();
        self.saved = Instant::now();
        Ok(())
    }

    /// Blocks recorded, by this run and those before.
    pub(super) fn n_recorded(&self) -> u64 {
        self.n_recorded
    }

    /// There is nothing to go on with.
    pub(super) fn remove(self) -> Result<(), Fault> {
        self.checkpoint.remove()
    }
}

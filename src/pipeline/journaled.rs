//! A sink that keeps a checkpoint of what it has made durable.

use crate::block::BlockIndex;
use crate::fault::Fault;
use crate::pipeline::{Checkpoint, Mark};
use crate::source::{Block, BlockSink};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How much work a crash may cost.
const INTERVAL: Duration = Duration::from_secs(2);

/// Wraps a sink: every two seconds what was written is made durable, and only then recorded.
#[derive(Debug)]
pub struct Journaled {
    inner: Arc<dyn BlockSink>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    checkpoint: Checkpoint,
    written: Vec<(Mark, BlockIndex)>,
    n_recorded: u64,
    saved: Instant,
}

impl Journaled {
    /// Goes on with this checkpoint.
    pub fn new(inner: Arc<dyn BlockSink>, checkpoint: Checkpoint) -> Self {
        let state = State { checkpoint, written: Vec::new(), n_recorded: 0, saved: Instant::now() };
        Self { inner, state: Mutex::new(state) }
    }

    /// Ends the journal, unsaved records dropped: the work is finished, or starts anew.
    pub fn into_checkpoint(self) -> Checkpoint {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).checkpoint
    }

    /// Blocks recorded by this run.
    pub fn n_recorded(&self) -> u64 {
        self.lock().n_recorded
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the records first: a block written while `sync` runs is not claimed by this one.
    fn save(&self) -> Result<(), Fault> {
        let written = std::mem::take(&mut self.lock().written);
        self.inner.sync()?;
        let mut state = self.lock();
        state.checkpoint.append(&written)?;
        state.n_recorded += written.len() as u64;
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlockSink for Journaled {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        self.inner.write(block)?;
        let due = {
            let mut state = self.lock();
            // A block of zeros is recorded apart: nothing was written for it.
            state.written.push((if block.is_zero() { Mark::Same } else { Mark::Done }, block.index()));
            let due = state.saved.elapsed() >= INTERVAL;
            if due {
                state.saved = Instant::now();
            }
            due
        };
        if due { self.save() } else { Ok(()) }
    }

    fn sync(&self) -> Result<(), Fault> {
        self.save()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Earlier;
    use crate::source::conformance::{self, filled};
    use crate::source::memory::MemorySink;
    use std::collections::BTreeMap;
    use std::path::Path;

    fn journaled(path: &Path) -> (Arc<MemorySink>, Journaled) {
        let sink = Arc::new(MemorySink::default());
        let checkpoint = Checkpoint::create(path, "one", BTreeMap::new()).unwrap();
        (sink.clone(), Journaled::new(sink, checkpoint))
    }

    fn claimed(path: &Path) -> u64 {
        match Checkpoint::open(path, "one").unwrap() {
            Earlier::Same(resumed) => resumed.done.len(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_journaled_sink_conforms() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, journaled) = journaled(&dir.path().join("x.ckpt"));
        conformance::sink(&journaled, |index| memory.blocks().get(&index).map(|block| block.bytes().clone()));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_claimed_before_it_was_synced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        let (_, journaled) = journaled(&path);
        journaled.write(&filled(1, 1)).unwrap();
        assert_eq!(claimed(&path), 0);
        tokio::time::advance(INTERVAL).await;
        journaled.write(&filled(2, 1)).unwrap();
        assert_eq!(claimed(&path), 2);
        journaled.write(&filled(3, 1)).unwrap();
        assert_eq!(claimed(&path), 2);
        journaled.sync().unwrap();
        assert_eq!(claimed(&path), 3);
    }
}

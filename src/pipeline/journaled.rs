//! A sink that keeps a checkpoint of what it has made durable.

use crate::block::BlockIndex;
use crate::fault::Fault;
use crate::pipeline::{Checkpoint, Mark};
use crate::source::{Block, BlockSink};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Wraps a sink: every so often what was written is made durable, and only then recorded.
#[derive(Debug)]
pub struct Journaled {
    inner: Arc<dyn BlockSink>,
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    checkpoint: Checkpoint,
    written: Vec<(Mark, BlockIndex)>,
    n_recorded: u64,
    /// A sync has failed: the system tells that once, and nothing written before it may be claimed ever again.
    is_broken: bool,
    saved: Instant,
}

impl Journaled {
    /// Goes on with this checkpoint; at most the work of `every` is lost in a crash.
    pub fn new(inner: Arc<dyn BlockSink>, checkpoint: Checkpoint, every: Duration) -> Self {
        let state =
            State { checkpoint, written: Vec::new(), n_recorded: 0, is_broken: false, saved: Instant::now() };
        Self { inner, every, state: Mutex::new(state) }
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
        let written = {
            let mut state = self.lock();
            if state.is_broken {
                return Ok(());
            }
            std::mem::take(&mut state.written)
        };
        let synced = self.inner.sync();
        let mut state = self.lock();
        if synced.is_err() {
            state.is_broken = true;
        }
        synced?;
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
            let due = state.saved.elapsed() >= self.every;
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

    fn lost(&self, index: BlockIndex, fault: Fault) -> Result<(), Fault> {
        self.inner.lost(index, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};
    use crate::fault::{Kind, Place};
    use crate::pipeline::{Earlier, Slot};
    use crate::source::conformance::{self, filled};
    use crate::source::memory::MemorySink;
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    const INTERVAL: Duration = Duration::from_secs(2);

    fn disk() -> Arc<dyn Disk> {
        Arc::new(RealDisk::default())
    }

    fn begun(path: &Path) -> Checkpoint {
        Slot::take(&disk(), path).unwrap().begin("one", BTreeMap::new()).unwrap()
    }

    /// Blocks claimed in a copy of the file, whose own lock is held.
    fn claimed(path: &Path) -> u64 {
        let copy = path.with_file_name("copy.ckpt");
        std::fs::copy(path, &copy).unwrap();
        match Slot::take(&disk(), &copy).unwrap().earlier("one").unwrap() {
            Earlier::Same(found) => found.done.len(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_journaled_sink_conforms() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Arc::new(MemorySink::default());
        let journaled = Journaled::new(memory.clone(), begun(&dir.path().join("x.ckpt")), INTERVAL);
        conformance::sink(&journaled, |index| memory.blocks().get(&index).map(|block| block.bytes().clone()));
    }

    #[tokio::test(start_paused = true)]
    async fn records_are_saved_every_two_seconds_and_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        let journaled = Journaled::new(Arc::new(MemorySink::default()), begun(&path), INTERVAL);
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

    /// Looks at the checkpoint when it is asked to sync, and fails once if told to.
    #[derive(Debug)]
    struct Watching {
        path: std::path::PathBuf,
        fails: AtomicBool,
    }

    impl BlockSink for Watching {
        fn write(&self, _: &Block) -> Result<(), Fault> {
            Ok(())
        }

        fn sync(&self) -> Result<(), Fault> {
            assert_eq!(claimed(&self.path), 0, "nothing is claimed before it was synced");
            match self.fails.swap(false, Ordering::Relaxed) {
                true => Err(Fault::new(Kind::Local, Place::Service, "the disk failed")),
                false => Ok(()),
            }
        }
    }

    #[test]
    fn nothing_is_claimed_before_it_was_synced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        let sink = Arc::new(Watching { path: path.clone(), fails: AtomicBool::new(false) });
        let journaled = Journaled::new(sink, begun(&path), INTERVAL);
        journaled.write(&filled(1, 1)).unwrap();
        journaled.sync().unwrap();
        assert_eq!(claimed(&path), 1);
    }

    #[test]
    fn after_a_failed_sync_nothing_is_claimed_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        let sink = Arc::new(Watching { path: path.clone(), fails: AtomicBool::new(true) });
        let journaled = Journaled::new(sink, begun(&path), INTERVAL);
        journaled.write(&filled(1, 1)).unwrap();
        assert!(journaled.sync().is_err());
        journaled.write(&filled(2, 1)).unwrap();
        journaled.sync().unwrap();
        assert_eq!(claimed(&path), 0, "the second sync may know nothing of what the first one lost");
    }
}

//! Where exported blocks go, and how many of them hold data.

use crate::fault::Fault;
use crate::source::{Block, BlockSink};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the blocks that are not zeros on their way to a file, a device, or nowhere.
#[derive(Debug)]
pub(super) struct Target<S> {
    inner: S,
    n_data: AtomicU64,
}

impl<S: BlockSink> Target<S> {
    /// `n_data` blocks with data were written before.
    pub(super) fn new(inner: S, n_data: u64) -> Self {
        Self { inner, n_data: AtomicU64::new(n_data) }
    }

    /// Blocks with data written so far.
    pub(super) fn n_data(&self) -> u64 {
        self.n_data.load(Ordering::Relaxed)
    }

    pub(super) fn inner(&self) -> &S {
        &self.inner
    }

    pub(super) fn into_inner(self) -> S {
        self.inner
    }
}

impl Target<Nothing> {
    /// Blocks are checked, and kept nowhere.
    pub(super) fn nothing() -> Self {
        Self::new(Nothing, 0)
    }
}

impl<S: BlockSink> BlockSink for Target<S> {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        self.n_data.fetch_add(u64::from(!block.is_zero()), Ordering::Relaxed);
        self.inner.write(block)
    }

    fn sync(&self) -> Result<(), Fault> {
        self.inner.sync()
    }
}

/// Keeps nothing.
#[derive(Debug)]
pub(super) struct Nothing;

impl BlockSink for Nothing {
    fn write(&self, _: &Block) -> Result<(), Fault> {
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }
}

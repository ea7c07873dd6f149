//! Batches of a device, whose blocks the threads take in turn.

use crate::block::{BlockIndex, Buffer, Buffers};
use crate::fault::Fault;
use crate::ops::scan::{BATCH, Listener, Scan};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Threads beyond the processors, which read while the others hash: with these, sequential reads of a device were as
/// fast as several in flight make them.
const WAITING: usize = 4;

/// A batch on its way.
struct Batch {
    blocks: Vec<BlockIndex>,
    came: Mutex<Came>,
}

/// What has come of it, in the order of its blocks; `None` for what cannot be read.
struct Came {
    read: Vec<Option<Buffer>>,
    /// Blocks that nobody has brought yet.
    missing: usize,
}

/// The batch whose blocks are being taken, and which is next.
#[derive(Default)]
struct Line(Option<(Arc<Batch>, usize)>);

/// Reads all of it on these processors.
pub(super) fn read<L: Listener>(scan: &Scan<L>, cores: usize) -> Result<(), Fault> {
    let (line, buffers) = (Mutex::new(Line::default()), Buffers::default());
    scan.on_threads(cores + WAITING, || {
        loop {
            let turn = lock(&line).next(scan)?;
            let Some((batch, at)) = turn else { return Ok(()) };
            let index = batch.blocks[at];
            let mut buffer = buffers.take();
            let read = match scan.image.read_block(index, buffer.as_mut_slice()) {
                Ok(()) => Some(buffer),
                Err(fault) => {
                    scan.listener.unreadable(index, fault)?;
                    None
                }
            };
            let Some(whole) = batch.brings(at, read) else { continue };
            let read: Vec<_> = whole.iter().map(|read| read.as_ref().map(Buffer::as_slice)).collect();
            scan.tell(&batch.blocks, &read)?;
        }
    })
}

impl Line {
    /// The block whose turn it is; `None` when they are through.
    fn next<L: Listener>(&mut self, scan: &Scan<L>) -> Result<Option<(Arc<Batch>, usize)>, Fault> {
        let (batch, at) = match self.0.take() {
            Some(turn) => turn,
            None => {
                let blocks = scan.next(BATCH)?;
                if blocks.is_empty() {
                    return Ok(None);
                }
                let read = blocks.iter().map(|_| None).collect();
                let came = Mutex::new(Came { read, missing: blocks.len() });
                (Arc::new(Batch { blocks, came }), 0)
            }
        };
        if at + 1 < batch.blocks.len() {
            self.0 = Some((Arc::clone(&batch), at + 1));
        }
        Ok(Some((batch, at)))
    }
}

impl Batch {
    /// Puts a block to the others; gives all of them with the last.
    fn brings(&self, at: usize, read: Option<Buffer>) -> Option<Vec<Option<Buffer>>> {
        let mut came = lock(&self.came);
        came.read[at] = read;
        came.missing -= 1;
        (came.missing == 0).then(|| std::mem::take(&mut came.read))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

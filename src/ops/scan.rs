//! Reading and hashing blocks of an image, as fast as the machine can.
//!
//! Each thread takes the next blocks in line, reads them and hashes them side by side. While one waits for the device
//! another hashes, so reading is ahead of hashing without a queue between them; a file's next blocks are asked for
//! before they are read. Memory is a batch for each thread.

use crate::block::{BlockIndex, BlockSize, Buffer, Digest};
use crate::device::{Held, Image};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::Engine;
use crate::pipeline::interrupted;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Blocks read and hashed at once: as many as the widest kernel has lanes.
const BATCH: usize = 16;

/// Threads beyond the processors for a device, which read while the others hash: with these, sequential reads of a
/// device were as fast as several in flight make them.
const WAITING: usize = 4;

/// A block that was read and hashed, or could not be read.
pub(super) struct Scanned {
    pub(super) index: BlockIndex,
    pub(super) digest: Digest,
}

/// Who is told of each block. Called from several threads; an error ends the scan.
pub(super) trait Listener: Send + Sync {
    /// A block was read.
    fn read(&self, block: &Scanned) -> Result<(), Fault>;

    /// A block could not be read. To go on without it, keep the fault and return `Ok`.
    fn unreadable(&self, index: BlockIndex, fault: Fault) -> Result<(), Fault>;
}

/// Reads and hashes these blocks, ascending, each once.
pub(super) async fn scan<I, L>(
    engine: &Engine,
    image: &Arc<Image>,
    wanted: I,
    listener: &Arc<L>,
) -> Result<(), Fault>
where
    I: Iterator<Item = BlockIndex> + Send + 'static,
    L: Listener + 'static,
{
    let (engine, image, listener) = (engine.clone(), image.clone(), listener.clone());
    let scanning = tokio::task::spawn_blocking(move || {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if image.is_device() { cores + WAITING } else { cores };
        let line = Mutex::new(wanted);
        let has_failed = AtomicBool::new(false);
        let work = || {
            let worked = Worker { engine: &engine, image: &image, line: &line, listener: listener.as_ref() }
                .run(&has_failed);
            has_failed.fetch_or(worked.is_err(), Ordering::Relaxed);
            worked
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            // All are waited for; the first fault is the one that is told.
            let results: Vec<_> =
                workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(lost()))).collect();
            results.into_iter().collect::<Result<(), Fault>>()
        })
    });
    scanning.await.unwrap_or_else(|_| Err(lost()))
}

struct Worker<'a, I, L> {
    engine: &'a Engine,
    image: &'a Image,
    line: &'a Mutex<I>,
    listener: &'a L,
}

impl<I: Iterator<Item = BlockIndex>, L: Listener> Worker<'_, I, L> {
    fn run(&self, has_failed: &AtomicBool) -> Result<(), Fault> {
        let block = BlockSize::EBS.buffer_len();
        let mut buffer = Buffer::for_blocks(BATCH);
        loop {
            if self.engine.stop.is_requested() {
                return Err(interrupted());
            }
            let batch = self.next();
            if batch.is_empty() || has_failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let mut read = Vec::with_capacity(BATCH);
            for (index, slot) in batch.iter().zip(buffer.as_mut_slice().chunks_exact_mut(block)) {
                match self.image.fill(*index, slot) {
                    Ok(held) => read.push(Some(held)),
                    Err(fault) => {
                        self.listener.unreadable(*index, fault)?;
                        read.push(None);
                    }
                }
            }
            self.tell(&batch, &read, &buffer)?;
            let blocks = batch.len() as u64;
            self.engine.monitor.on(Event::Done { blocks, size: BlockSize::EBS.of(blocks) });
        }
    }

    fn next(&self) -> Vec<BlockIndex> {
        let batch: Vec<_> =
            self.line.lock().unwrap_or_else(PoisonError::into_inner).by_ref().take(BATCH).collect();
        if let (Some(last), false) = (batch.last(), self.image.is_device()) {
            // What follows is most likely read next.
            let len = BlockSize::EBS.of(2 * BATCH as u64).bytes();
            self.image.expect(last.byte_offset(BlockSize::EBS), len);
        }
        batch
    }

    fn tell(&self, batch: &[BlockIndex], read: &[Option<Held>], buffer: &Buffer) -> Result<(), Fault> {
        let slots = buffer.as_slice().chunks_exact(BlockSize::EBS.buffer_len()).zip(read);
        let bytes = slots.filter(|(_, held)| **held == Some(Held::Bytes)).map(|(slot, _)| slot);
        let mut digests = Digest::of_each(&bytes.collect::<Vec<_>>()).into_iter();
        for (index, held) in batch.iter().zip(read) {
            let digest = match held {
                None => continue,
                Some(Held::Zeros) => Digest::ZERO_BLOCK,
                Some(Held::Bytes) => {
                    digests.next().unwrap_or_else(|| unreachable!("one digest for each block read"))
                }
            };
            self.listener.read(&Scanned { index: *index, digest })?;
        }
        Ok(())
    }
}

fn lost() -> Fault {
    Fault::new(Kind::Local, Place::Service, "a worker of this program failed")
}

//! Reading and hashing blocks of an image, as fast as the machine can.
//!
//! Where there is data is asked once, by extent; what is a hole, or beyond the end, is reported in whole ranges and never
//! read. The blocks with data are taken in line, sixteen make a batch, and a batch is hashed side by side. How its bytes
//! come follows from where they are:
//!
//! - A **file** is read through the cache, and copying is most of what that costs. So each thread has a batch of its own
//!   and goes through it in pieces, a piece of every block and then the next: they are hashed while they are near the
//!   processor, and never go out to memory again.
//! - A **device** answers late, and best in its own order. So the threads take the blocks of one batch in turn, several
//!   reads being under way at any time and none ahead of the one before; who brings the last of a batch hashes it while
//!   the others read on.
//!
//! Memory is a batch for each thread, and one more.

mod pieces;
mod turns;

use crate::block::{BlockIndex, BlockRange, BlockSet, BlockSize, Digest, LANES};
use crate::device::Image;
use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::Engine;
use crate::pipeline::interrupted;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Blocks hashed at once: as many as the widest kernel has lanes.
const BATCH: usize = LANES;

/// Blocks of a hole that are reported at once, 16 GiB: between two of them a run can be stopped.
const ZEROS_AT_ONCE: u32 = 1 << 15;

/// A block that was read and hashed.
pub(super) struct Scanned {
    pub(super) index: BlockIndex,
    pub(super) digest: Digest,
}

/// Who is told of each block. Called from several threads; an error ends the scan.
pub(super) trait Listener: Send + Sync {
    /// A block was read.
    fn read(&self, block: &Scanned) -> Result<(), Fault>;

    /// These blocks are zeros, which was known without reading them: a hole, or beyond the image's end.
    fn zeros(&self, blocks: BlockRange) -> Result<(), Fault>;

    /// Whether to hash with the reference alone, as what was found wrong has to be before anybody says so.
    fn is_careful(&self) -> bool {
        false
    }

    /// A block could not be read. To go on without it, keep the fault and return `Ok`.
    fn unreadable(&self, index: BlockIndex, fault: Fault) -> Result<(), Fault>;
}

/// Reads and hashes these blocks, each once: first those that are zeros without being read, then the others, ascending.
pub(super) async fn scan<L: Listener + 'static>(
    engine: &Engine,
    image: &Arc<Image>,
    wanted: BlockSet,
    listener: &Arc<L>,
) -> Result<(), Fault> {
    let (engine, image, listener) = (engine.clone(), image.clone(), listener.clone());
    let scanning = tokio::task::spawn_blocking(move || {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let data = image.data_in(&wanted);
        let from = Mutex::new(Some(BlockIndex::ZERO));
        let scan = Scan { engine, image, listener, data, from, has_failed: AtomicBool::new(false) };
        scan.zeros(&(&wanted - &scan.data), cores)?;
        match scan.image.is_device() {
            true => turns::read(&scan, cores),
            false => {
                let told = AtomicU64::new(0);
                scan.on_threads(cores, || pieces::read(&scan, &told))
            }
        }
    });
    scanning.await.unwrap_or_else(|_| Err(lost()))
}

/// What all threads share.
struct Scan<L> {
    engine: Engine,
    image: Arc<Image>,
    listener: Arc<L>,
    /// The blocks that have to be read.
    data: BlockSet,
    /// Where those begin that no thread has taken; `None` when they are through.
    from: Mutex<Option<BlockIndex>>,
    has_failed: AtomicBool,
}

impl<L: Listener> Scan<L> {
    /// Does this on so many threads until all have ended; the first fault is the one that is told.
    fn on_threads(&self, threads: usize, work: impl Fn() -> Result<(), Fault> + Sync) -> Result<(), Fault> {
        let work = || {
            let worked = work();
            self.has_failed.fetch_or(worked.is_err(), Ordering::Relaxed);
            worked
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            // All are waited for.
            let results: Vec<_> =
                workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(lost()))).collect();
            results.into_iter().collect()
        })
    }

    /// Reports what is known to be zeros.
    fn zeros(&self, zeros: &BlockSet, threads: usize) -> Result<(), Fault> {
        let ranges = Mutex::new(zeros.ranges().flat_map(|range| {
            (range.start().get()..range.end()).step_by(ZEROS_AT_ONCE as usize).map(move |start| {
                BlockRange::new(BlockIndex::new(start), ZEROS_AT_ONCE.min(range.end() - start))
            })
        }));
        self.on_threads(threads, || {
            while self.goes_on()?
                && let Some(range) = ranges.lock().unwrap_or_else(PoisonError::into_inner).next()
            {
                self.listener.zeros(range)?;
                self.has_done(range.len() as usize);
            }
            Ok(())
        })
    }

    /// Whether there is a reason to do more: none once another thread has failed.
    fn goes_on(&self) -> Result<bool, Fault> {
        match self.engine.stop.is_requested() {
            true => Err(interrupted()),
            false => Ok(!self.has_failed.load(Ordering::Relaxed)),
        }
    }

    /// The next blocks in line, none when they are through or another thread has failed.
    fn next(&self, n: usize) -> Result<Vec<BlockIndex>, Fault> {
        if !self.goes_on()? {
            return Ok(Vec::new());
        }
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = Vec::with_capacity(n);
        while blocks.len() < n
            && let Some(index) = from.and_then(|from| self.data.next_from(from))
        {
            blocks.push(index);
            *from = index.next();
        }
        Ok(blocks)
    }

    /// Hashes what was read of a batch, and tells of it: of each block what it holds, or nothing where that was told.
    fn tell(&self, batch: &[BlockIndex], read: &[Option<&[u8]>]) -> Result<(), Fault> {
        let bytes = read.iter().flatten().copied();
        let digests = match self.listener.is_careful() {
            true => bytes.map(Digest::of).collect(),
            false => Digest::of_each(&bytes.collect::<Vec<_>>()),
        };
        let mut digests = digests.into_iter();
        for (index, read) in batch.iter().zip(read) {
            if read.is_none() {
                continue;
            }
            let digest = digests.next().unwrap_or_else(|| unreachable!("one digest for each block read"));
            self.listener.read(&Scanned { index: *index, digest })?;
        }
        self.has_done(batch.len());
        Ok(())
    }

    fn has_done(&self, blocks: usize) {
        let blocks = blocks as u64;
        self.engine.monitor.on(Event::Done { blocks, size: BlockSize::EBS.of(blocks) });
    }
}

fn lost() -> Fault {
    Fault::new(Kind::Local, Place::Program, "a worker of this program failed")
}

#[cfg(test)]
mod tests;

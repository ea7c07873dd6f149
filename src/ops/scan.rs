//! Reading and hashing blocks of an image, as fast as the machine can.
//!
//! Blocks are taken in line, sixteen make a batch, and a batch is hashed side by side. How its bytes come follows from
//! where they are:
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

use crate::block::{BlockIndex, BlockSize, Digest, LANES};
use crate::device::{Held, Image};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::Engine;
use crate::pipeline::interrupted;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Blocks hashed at once: as many as the widest kernel has lanes.
const BATCH: usize = LANES;

/// A block that was read and hashed.
pub(super) struct Scanned {
    pub(super) index: BlockIndex,
    pub(super) digest: Digest,
}

/// Who is told of each block. Called from several threads; an error ends the scan.
pub(super) trait Listener: Send + Sync {
    /// A block was read.
    fn read(&self, block: &Scanned) -> Result<(), Fault>;

    /// Whether to hash with the reference alone, as what was found wrong has to be before anybody says so.
    fn is_careful(&self) -> bool {
        false
    }

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
        let scan =
            Scan { engine, image, listener, wanted: Mutex::new(wanted), has_failed: AtomicBool::new(false) };
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
struct Scan<I, L> {
    engine: Engine,
    image: Arc<Image>,
    listener: Arc<L>,
    wanted: Mutex<I>,
    has_failed: AtomicBool,
}

impl<I: Iterator<Item = BlockIndex> + Send, L: Listener> Scan<I, L> {
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

    /// The next blocks in line, none when they are through or another thread has failed.
    fn next(&self, n: usize) -> Result<Vec<BlockIndex>, Fault> {
        if self.engine.stop.is_requested() {
            return Err(interrupted());
        }
        if self.has_failed.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        Ok(self.wanted.lock().unwrap_or_else(PoisonError::into_inner).by_ref().take(n).collect())
    }

    /// Hashes what was read of a batch, and tells of it: of each block what it holds, or nothing where that was told.
    fn tell(&self, batch: &[BlockIndex], read: &[Option<(Held, &[u8])>]) -> Result<(), Fault> {
        let bytes = read.iter().flatten().filter(|(held, _)| *held == Held::Bytes).map(|(_, bytes)| *bytes);
        let digests = match self.listener.is_careful() {
            true => bytes.map(Digest::of).collect(),
            false => Digest::of_each(&bytes.collect::<Vec<_>>()),
        };
        let mut digests = digests.into_iter();
        for (index, read) in batch.iter().zip(read) {
            let digest = match read {
                None => continue,
                Some((Held::Zeros, _)) => Digest::ZERO_BLOCK,
                Some((Held::Bytes, _)) => {
                    digests.next().unwrap_or_else(|| unreachable!("one digest for each block read"))
                }
            };
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

//! A volume that is slow on first touch, for tests, benches and demonstrations.
//!
//! [`ColdVolume`] behaves as a volume made from a snapshot: the first read of a cold block waits, reads of the same
//! block wait together, and others are not held up; afterwards the block is fast. It may have a throughput limit as EBS
//! volumes have, which counts every byte read, free space included. Every read is counted. [`Cold`] puts one in the
//! place of a file of another disk.

use crate::block::{BlockIndex, BlockRange, BlockSet, BlockSize};
use crate::disk::{Access, BlockFacts, Disk, Facts, Handle, Lock, Near, Node, Opening, Sweep, Swept};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::time::Instant;

/// How it behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The blocks that are cold at first.
    pub cold: BlockSet,
    /// How long the first touch of one takes.
    pub latency: Duration,
    /// Bytes a second, of all reads together.
    pub throughput: Option<u64>,
    /// Blocks that cannot be read.
    pub bad: BlockSet,
}

/// What was read so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads.
    pub reads: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// How often each block was read whole. Its first and second half, in two reads, count as once.
    pub times: HashMap<u32, u32>,
}

/// One volume. Cloning shares it.
#[derive(Clone, Debug)]
pub struct ColdVolume(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    model: Model,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When each cold block that was touched is, or was, warm. Readers of one wait until then by themselves: to wake
    /// all who wait for any block whenever one came would take more time than the reads.
    warm_at: HashMap<u32, Instant>,
    counts: Counts,
    /// Bytes read of blocks that were not read whole yet.
    partly: HashMap<u32, u64>,
    /// When the throughput limit lets the next byte through.
    free: Option<Instant>,
}

impl ColdVolume {
    /// One that nobody has touched.
    pub fn new(model: Model) -> Self {
        Self(Arc::new(Shared { model, state: Mutex::default() }))
    }

    /// Waits as long as a read of these bytes takes.
    ///
    /// # Errors
    /// EIO where the volume has a bad block there.
    pub fn read(&self, offset: u64, len: u64) -> io::Result<()> {
        let blocks = blocks(offset, len);
        if let Some(ready) = self.counted(blocks, offset, len) {
            wait_until(ready);
        }
        wait_until(self.touched(blocks));
        match blocks.iter().any(|index| self.0.model.bad.contains(index)) {
            true => Err(Errno::IO.into()),
            false => Ok(()),
        }
    }

    /// What was read so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// Blocks that were touched, of those that were cold.
    pub fn warm(&self) -> BlockSet {
        self.lock().warm_at.keys().map(|index| BlockIndex::new(*index)).collect()
    }

    /// Counts a read; gives when the throughput limit lets its bytes through.
    fn counted(&self, blocks: BlockRange, offset: u64, len: u64) -> Option<Instant> {
        let mut state = self.lock();
        state.counts.reads += 1;
        state.counts.bytes += len;
        for index in blocks.iter() {
            let size = BlockSize::EBS;
            let start = index.byte_offset(size);
            let end = start + u64::from(size.bytes());
            let within = (offset + len).min(end) - offset.max(start);
            let partly = state.partly.entry(index.get()).or_default();
            *partly += within;
            if *partly >= u64::from(size.bytes()) {
                state.partly.remove(&index.get());
                *state.counts.times.entry(index.get()).or_default() += 1;
            }
        }
        let throughput = self.0.model.throughput?;
        let free = state.free.map_or_else(Instant::now, |free| free.max(Instant::now()));
        let ready = free + Duration::from_secs_f64(len as f64 / throughput as f64);
        state.free = Some(ready);
        Some(ready)
    }

    /// Touches blocks, all at once; gives when the last of them is warm.
    fn touched(&self, blocks: BlockRange) -> Instant {
        let now = Instant::now();
        let mut state = self.lock();
        let cold = blocks.iter().filter(|index| self.0.model.cold.contains(*index));
        let warm_at =
            cold.map(|index| *state.warm_at.entry(index.get()).or_insert(now + self.0.model.latency));
        warm_at.max().unwrap_or(now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The blocks in which these bytes lie.
fn blocks(offset: u64, len: u64) -> BlockRange {
    let block = u64::from(BlockSize::EBS.bytes());
    let (first, end) = (offset / block, (offset + len).div_ceil(block));
    let number = |n: u64| u32::try_from(n.min(1 << 31)).unwrap_or(0);
    BlockRange::new(BlockIndex::new(number(first)), number(end) - number(first))
}

/// A read blocks its thread, so does its wait.
fn wait_until(ready: Instant) {
    while let Some(left) = ready.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// Another disk, of which one file is a cold volume.
#[derive(Clone, Debug)]
pub struct Cold {
    inner: Arc<dyn Disk>,
    path: PathBuf,
    volume: ColdVolume,
}

impl Cold {
    /// Reads of this file wait for the volume; its bytes are those of the file.
    pub fn new(inner: Arc<dyn Disk>, path: PathBuf, volume: ColdVolume) -> Self {
        Self { inner, path, volume }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Disk for Cold {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.inner.read(path, limit)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.names(dir)
    }

    fn node(&self, path: &Path) -> io::Result<Option<Node>> {
        self.inner.node(path)
    }

    fn entry(&self, path: &Path) -> io::Result<Option<Facts>> {
        self.inner.entry(path)
    }

    fn open_to_others(&self, dir: &Path) -> Option<PathBuf> {
        self.inner.open_to_others(dir)
    }

    fn writable(&self, dir: &Path) -> io::Result<()> {
        self.inner.writable(dir)
    }

    fn make_dir(&self, dir: &Path, access: Access) -> io::Result<()> {
        self.inner.make_dir(dir, access)
    }

    fn write(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
        self.inner.write(path, bytes, access)
    }

    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(path, offset, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename_new(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.remove_dir(dir)
    }

    fn sweep(&self, dir: &Path, sweep: &Sweep<'_>) -> io::Result<Swept> {
        self.inner.sweep(dir, sweep)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.inner.sync(path)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.inner.sync_all()
    }

    fn lock(&self, path: &Path, who: &str, access: Access) -> io::Result<Lock> {
        self.inner.lock(path, who, access)
    }

    fn boot(&self) -> Option<String> {
        self.inner.boot()
    }

    fn block_facts(&self, device: u64) -> Option<BlockFacts> {
        self.inner.block_facts(device)
    }

    fn open(&self, path: &Path, opening: Opening) -> io::Result<Box<dyn Handle>> {
        let inner = self.inner.open(path, opening)?;
        match path == self.path && opening.is_read_only() {
            true => Ok(Box::new(ColdFile { inner, volume: self.volume.clone() })),
            false => Ok(inner),
        }
    }
}

#[derive(Debug)]
struct ColdFile {
    inner: Box<dyn Handle>,
    volume: ColdVolume,
}

#[deny(clippy::missing_trait_methods)]
impl Handle for ColdFile {
    fn facts(&self) -> io::Result<Facts> {
        self.inner.facts()
    }

    fn expect(&self, offset: u64, len: u64) {
        self.inner.expect(offset, len);
    }

    fn near(&self, offset: u64, len: usize) -> Option<Near> {
        self.inner.near(offset, len)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.volume.read(offset, bytes.len() as u64)?;
        self.inner.read_at(bytes, offset)
    }

    fn touch(&self, offset: u64, len: usize) -> io::Result<()> {
        self.volume.read(offset, len as u64)?;
        self.inner.touch(offset, len)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<u64>> {
        self.inner.next_data(from)
    }

    fn next_hole(&self, from: u64) -> io::Result<u64> {
        self.inner.next_hole(from)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(bytes, offset)
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        self.inner.zero(offset, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.inner.set_mode(mode)
    }

    fn succeed(&self, path: &Path, with_owner: bool) -> io::Result<()> {
        self.inner.succeed(path, with_owner)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.inner.try_lock()
    }

    fn try_share(&self) -> io::Result<bool> {
        self.inner.try_share()
    }

    fn holder(&self) -> Option<String> {
        self.inner.holder()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(latency: u64, throughput: Option<u64>) -> ColdVolume {
        let mut bad = BlockSet::new();
        bad.insert(BlockIndex::new(9));
        ColdVolume::new(Model {
            cold: BlockSet::from(BlockRange::new(BlockIndex::ZERO, 8)),
            latency: Duration::from_millis(latency),
            throughput,
            bad,
        })
    }

    #[test]
    fn reads_of_one_block_wait_together_and_once() {
        let volume = volume(30, None);
        let start = Instant::now();
        thread::scope(|scope| {
            for index in [0_u64, 0, 0, 1, 2, 3] {
                let volume = &volume;
                scope.spawn(move || volume.read(index * 524_288, 4096).unwrap());
            }
        });
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(30), "{took:?}");
        assert_eq!(volume.warm().len(), 4);
        // One after the other they would have taken six times as long.
        assert!(took < Duration::from_millis(150), "{took:?}");
    }

    #[test]
    fn every_byte_counts_against_the_throughput_free_or_not() {
        let volume = volume(0, Some(10 << 20));
        let start = Instant::now();
        volume.read(100 * 524_288, 1 << 20).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(95));
        assert!(volume.warm().is_empty());
    }

    #[test]
    fn whole_reads_are_counted_by_block_and_bad_blocks_fail() {
        let volume = volume(0, None);
        volume.read(0, 524_288).unwrap();
        volume.read(524_288, 262_144).unwrap();
        volume.read(786_432, 262_144).unwrap();
        volume.read(2 * 524_288, 4096).unwrap();
        let counts = volume.counts();
        assert_eq!((counts.reads, counts.bytes), (4, 2 * 524_288 + 4096));
        assert_eq!(counts.times, HashMap::from([(0, 1), (1, 1)]));
        let error = volume.read(9 * 524_288, 4096).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
    }
}

//! Reading and hashing the image, ahead of the puts.

use crate::block::{BlockIndex, BlockSet, Buffer, ByteSize, Digest, Geometry, is_zero};
use crate::device::{Image, Part};
use crate::fault::Fault;
use crate::monitor::{Event, Monitor};
use crate::pipeline::Outgoing;
use crate::source::Block;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Blocks read and hashed ahead of the puts.
pub(super) const BLOCKS_AHEAD: usize = 16;

/// Blocks hashed side by side. More would fill more lanes of some CPUs, and keep the first puts waiting longer.
const BATCH: usize = 8;

/// What became of the image's blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Blocks of zeros sent.
    pub(super) zero: u64,
    /// Blocks that the parent has just so.
    pub(super) inherited: u64,
    /// Blocks of zeros left out.
    pub(super) omitted: u64,
    /// Blocks sent by an earlier run.
    pub(super) resumed: u64,
}

/// The owned job that reads and hashes the image, ascending.
pub(super) struct Feed {
    pub(super) image: Arc<Image>,
    pub(super) geometry: Geometry,
    pub(super) same: BlockSet,
    pub(super) sent: BlockSet,
    pub(super) in_parent: BlockSet,
    pub(super) omit_zeros: bool,
    pub(super) monitor: Arc<dyn Monitor>,
    pub(super) to: mpsc::Sender<Result<Outgoing, Fault>>,
}

impl Feed {
    pub(super) fn run(self) -> Counts {
        let mut counts = Counts::default();
        let (data, zeros) = self.split(&mut counts);
        let wanted = &data | &zeros;
        let mut indexes = wanted.iter();
        loop {
            let batch = self.next_batch(&mut indexes, &data, &mut counts);
            match batch {
                Ok(blocks) if blocks.is_empty() => return counts,
                Ok(blocks) => {
                    if !self.hand_over(blocks, &mut counts) {
                        return counts;
                    }
                }
                Err(fault) => {
                    // Nobody to tell when the receiver has gone: it has failed itself then.
                    let _ = self.to.blocking_send(Err(fault));
                    return counts;
                }
            }
        }
    }

    /// The blocks that have to be read, and those sent as zeros without being read. The others are inherited, or holes
    /// that are left out: those are counted here, in whole ranges.
    fn split(&self, counts: &mut Counts) -> (BlockSet, BlockSet) {
        let all = BlockSet::from(self.geometry.range());
        let differing = &all - &self.same;
        counts.inherited = all.len() - differing.len();
        let data = self.image.data_in(&differing);
        let zeros = &differing - &data;
        if !self.omit_zeros {
            return (data, zeros);
        }
        // A block that is zero in the image but allocated in the parent must be overwritten there.
        let sent = &zeros & &self.in_parent;
        self.omitted(zeros.len() - sent.len(), counts);
        (data, sent)
    }

    fn omitted(&self, blocks: u64, counts: &mut Counts) {
        counts.omitted += blocks;
        self.monitor.on(Event::Done { blocks, size: ByteSize::ZERO });
    }

    /// The next blocks that are to be in the snapshot, read and hashed side by side.
    fn next_batch(
        &self,
        indexes: &mut impl Iterator<Item = BlockIndex>,
        data: &BlockSet,
        counts: &mut Counts,
    ) -> Result<Vec<Block>, Fault> {
        let mut parts = Vec::with_capacity(BATCH);
        for index in indexes.by_ref() {
            let part = match data.contains(index) {
                true => self.read(index)?,
                false => Part::Zero,
            };
            if part == Part::Zero && self.omit_zeros && !self.in_parent.contains(index) {
                self.omitted(1, counts);
                continue;
            }
            parts.push((index, part));
            if parts.len() == BATCH {
                break;
            }
        }
        Ok(hashed(parts))
    }

    fn read(&self, index: BlockIndex) -> Result<Part, Fault> {
        let mut buffer = Buffer::for_blocks(1);
        self.image.read_block(index, buffer.as_mut_slice())?;
        Ok(if is_zero(buffer.as_slice()) { Part::Zero } else { Part::Data(buffer.share()) })
    }

    /// Whether anybody still wants more.
    fn hand_over(&self, blocks: Vec<Block>, counts: &mut Counts) -> bool {
        for block in blocks {
            counts.zero += u64::from(block.is_zero());
            let outgoing = if self.sent.contains(block.index()) {
                counts.resumed += 1;
                Outgoing::Sent(block.index(), block.digest())
            } else {
                Outgoing::Send(block)
            };
            if self.to.blocking_send(Ok(outgoing)).is_err() {
                return false;
            }
        }
        true
    }
}

fn hashed(parts: Vec<(BlockIndex, Part)>) -> Vec<Block> {
    static ZEROS: [u8; 524_288] = [0; 524_288];
    let data = parts.iter().filter_map(|(_, part)| match part {
        Part::Data(bytes) => Some(bytes.as_ref()),
        Part::Zero => None,
    });
    let mut digests = Digest::of_each(&data.collect::<Vec<_>>()).into_iter();
    let blocks = parts.into_iter().map(|(index, part)| match part {
        Part::Zero => Block::vouched(index, Digest::ZERO_BLOCK, Bytes::from_static(&ZEROS)),
        Part::Data(bytes) => {
            let digest = digests.next().unwrap_or_else(|| unreachable!("one digest for each block of data"));
            Block::vouched(index, digest, bytes)
        }
    });
    blocks.collect()
}

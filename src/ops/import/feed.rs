//! Reading and hashing the image, ahead of the puts.

use crate::block::{BlockIndex, BlockSet, ByteSize, Digest, Geometry};
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
        let mut indexes = self.geometry.range().iter();
        loop {
            let batch = self.next_batch(&mut indexes, &mut counts);
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

    /// The next blocks that are to be in the snapshot, read and hashed side by side.
    fn next_batch(
        &self,
        indexes: &mut impl Iterator<Item = BlockIndex>,
        counts: &mut Counts,
    ) -> Result<Vec<Block>, Fault> {
        let mut parts = Vec::with_capacity(BATCH);
        for index in indexes.by_ref() {
            if self.same.contains(index) {
                counts.inherited += 1;
                continue;
            }
            let part = self.image.part(index)?;
            // A block that is zero in the image but allocated in the parent must be overwritten there.
            if part == Part::Zero && self.omit_zeros && !self.in_parent.contains(index) {
                counts.omitted += 1;
                self.monitor.on(Event::Done { blocks: 1, size: ByteSize::ZERO });
                continue;
            }
            parts.push((index, part));
            if parts.len() == BATCH {
                break;
            }
        }
        Ok(hashed(parts))
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

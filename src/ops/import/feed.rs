//! Reading and hashing the image, ahead of the puts.

use crate::block::{BlockSet, ByteSize, Digest, Geometry};
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
        let zeros = Bytes::from(vec![0; self.geometry.block_size.buffer_len()]);
        for index in self.geometry.range().iter() {
            if self.same.contains(index) {
                counts.inherited += 1;
                continue;
            }
            let block = match self.image.part(index) {
                // A block that is zero in the image but allocated in the parent must be overwritten there.
                Ok(Part::Zero) if self.omit_zeros && !self.in_parent.contains(index) => {
                    counts.omitted += 1;
                    self.monitor.on(Event::Done { blocks: 1, size: ByteSize::ZERO });
                    continue;
                }
                Ok(Part::Zero) => Ok(Block::vouched(index, Digest::ZERO_BLOCK, zeros.clone())),
                Ok(Part::Data(bytes)) => Ok(Block::hashed(index, bytes)),
                Err(fault) => Err(fault),
            };
            let outgoing = block.map(|block| {
                counts.zero += u64::from(block.is_zero());
                if self.sent.contains(index) {
                    counts.resumed += 1;
                    Outgoing::Sent(index, block.digest())
                } else {
                    Outgoing::Send(block)
                }
            });
            let failed = outgoing.is_err();
            if self.to.blocking_send(outgoing).is_err() || failed {
                break;
            }
        }
        counts
    }
}

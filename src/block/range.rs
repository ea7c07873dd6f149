//! Adjacent blocks.

use crate::block::{BlockIndex, BlockSize, ByteSize};
use std::fmt;

/// Adjacent blocks: `len` of them from `start` on. May be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRange {
    start: BlockIndex,
    len: u32,
}

impl BlockRange {
    /// # Panics
    /// When the range reaches past the last index that the wire can name.
    pub fn new(start: BlockIndex, len: u32) -> Self {
        assert!(u64::from(start.get()) + u64::from(len) <= 1 << 31, "a block range ends within int32");
        Self { start, len }
    }

    /// The first block.
    pub fn start(self) -> BlockIndex {
        self.start
    }

    /// Number of blocks.
    pub fn len(self) -> u32 {
        self.len
    }

    /// Whether there is no block in it.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// One past the last block; a plain number, since there may be no such block.
    pub fn end(self) -> u32 {
        self.start.get() + self.len
    }

    /// Whether the block is one of these.
    pub fn contains(self, index: BlockIndex) -> bool {
        self.start <= index && index.get() < self.end()
    }

    /// Its blocks, ascending.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = BlockIndex> + ExactSizeIterator {
        (self.start.get()..self.end()).map(BlockIndex::new)
    }

    /// Offset of the first byte.
    pub fn byte_offset(self, size: BlockSize) -> u64 {
        self.start.byte_offset(size)
    }

    /// What these blocks hold.
    pub fn size(self, size: BlockSize) -> ByteSize {
        size.of(u64::from(self.len))
    }
}

impl fmt::Display for BlockRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len {
            0 => write!(f, "none"),
            1 => self.start.fmt(f),
            _ => write!(f, "{}-{}", self.start, self.end() - 1),
        }
    }
}

//! The number of a block within its volume.

use crate::block::BlockSize;
use std::fmt;
use std::str::FromStr;

/// A block's position in its volume, counted in blocks from 0.
///
/// The wire type is a non-negative `int32` (botocore's EBS model, `BlockIndex`), so every value here can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockIndex(u32);

/// A number that is no block index: negative, or above `int32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a block index (0 to 2147483647)")]
pub struct BlockIndexError(i64);

impl BlockIndex {
    /// The first block of a volume.
    pub const ZERO: Self = Self(0);

    /// # Panics
    /// Above `i32::MAX`: the wire cannot carry it. Foreign numbers come in through `TryFrom<i64>`.
    pub const fn new(index: u32) -> Self {
        assert!(index <= i32::MAX.cast_unsigned(), "a block index fits in an int32");
        Self(index)
    }

    /// The plain number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number as the wire's `int32`.
    pub const fn to_wire(self) -> i32 {
        self.0.cast_signed()
    }

    /// First byte of this block in the volume. Cannot overflow: `u32 * u32` fits in `u64`.
    pub fn byte_offset(self, size: BlockSize) -> u64 {
        u64::from(self.0) * u64::from(size.bytes())
    }

    /// The block after this one, or `None` after the last that the wire can name.
    pub fn next(self) -> Option<Self> {
        (self.0 < i32::MAX.cast_unsigned()).then(|| Self(self.0 + 1))
    }
}

impl TryFrom<i64> for BlockIndex {
    type Error = BlockIndexError;

    fn try_from(value: i64) -> Result<Self, BlockIndexError> {
        i32::try_from(value)
            .ok()
            .and_then(|index| u32::try_from(index).ok())
            .map(Self)
            .ok_or(BlockIndexError(value))
    }
}

impl FromStr for BlockIndex {
    type Err = BlockIndexError;

    fn from_str(text: &str) -> Result<Self, BlockIndexError> {
        text.parse::<i64>().map_err(|_| BlockIndexError(-1)).and_then(Self::try_from)
    }
}

impl fmt::Display for BlockIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_do_not_overflow_at_the_last_index() {
        let last = BlockIndex::try_from(i64::from(i32::MAX)).unwrap();
        assert_eq!(last.byte_offset(BlockSize::EBS), 2_147_483_647 * 524_288);
        assert_eq!(last.next(), None);
    }

    #[test]
    fn foreign_numbers_outside_int32_are_refused() {
        for bad in [-1, i64::from(i32::MAX) + 1, i64::MIN] {
            assert_eq!(BlockIndex::try_from(bad), Err(BlockIndexError(bad)));
        }
    }
}

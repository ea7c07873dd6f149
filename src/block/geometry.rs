//! How large a volume is, and how it is cut into blocks.

use crate::block::{BlockIndex, BlockRange, ByteSize};
use std::fmt;
use std::num::NonZeroU32;

/// Bytes in a block. EBS knows one size; a reply that names another is refused where it comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockSize(u32);

/// A block size other than the one EBS has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block size {0} is not 524288")]
pub struct BlockSizeError(i64);

impl BlockSize {
    /// 512 KiB, the only block size of the EBS direct APIs (botocore's EBS model; user guide "ebsapi-elements").
    pub const EBS: Self = Self(524_288);

    /// Bytes in one block.
    pub const fn bytes(self) -> u32 {
        self.0
    }

    /// Bytes in one block, to size a buffer.
    pub const fn buffer_len(self) -> usize {
        self.0 as usize
    }

    /// What so many blocks hold.
    pub const fn of(self, blocks: u64) -> ByteSize {
        ByteSize::from_bytes(blocks * self.0 as u64)
    }
}

impl TryFrom<i64> for BlockSize {
    type Error = BlockSizeError;

    fn try_from(bytes: i64) -> Result<Self, BlockSizeError> {
        if bytes == i64::from(Self::EBS.0) { Ok(Self::EBS) } else { Err(BlockSizeError(bytes)) }
    }
}

/// A volume's size in GiB, 1 to 65,536 (64 TiB, the limit of StartSnapshot in botocore's EBS model).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GiB(NonZeroU32);

/// A volume size that EBS does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} GiB is not a volume size (1 to 65536 GiB)")]
pub struct VolumeSizeError(i64);

impl GiB {
    /// 64 TiB.
    pub const MAX: u32 = 65_536;

    /// The plain number of GiB.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The same in bytes.
    pub const fn size(self) -> ByteSize {
        ByteSize::from_bytes((self.0.get() as u64) << 30)
    }

    /// The smallest volume that holds so many bytes. An empty image still takes 1 GiB.
    pub fn holding(bytes: u64) -> Result<Self, VolumeSizeError> {
        let gib = bytes.div_ceil(1 << 30).max(1);
        Self::try_from(i64::try_from(gib).unwrap_or(i64::MAX))
    }
}

impl TryFrom<i64> for GiB {
    type Error = VolumeSizeError;

    fn try_from(gib: i64) -> Result<Self, VolumeSizeError> {
        u32::try_from(gib)
            .ok()
            .filter(|gib| *gib <= Self::MAX)
            .and_then(NonZeroU32::new)
            .map(Self)
            .ok_or(VolumeSizeError(gib))
    }
}

impl fmt::Display for GiB {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} GiB", self.0)
    }
}

/// A volume's size and its block size: everything needed to turn indexes into offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Size of the volume.
    pub volume_size: GiB,
    /// Size of each of its blocks.
    pub block_size: BlockSize,
}

impl Geometry {
    /// A volume of this size in EBS's blocks.
    pub const fn ebs(volume_size: GiB) -> Self {
        Self { volume_size, block_size: BlockSize::EBS }
    }

    /// Blocks in the volume: 2,048 to the GiB, hence never a partial one at the end.
    pub fn n_blocks(self) -> u32 {
        // At most 65,536 * 2,048 = 2^27.
        self.volume_size.get() * ((1 << 30) / self.block_size.bytes())
    }

    /// Size of the volume in bytes.
    pub fn size(self) -> ByteSize {
        self.volume_size.size()
    }

    /// Every block of the volume.
    pub fn range(self) -> BlockRange {
        BlockRange::new(BlockIndex::ZERO, self.n_blocks())
    }

    /// Whether the volume reaches as far as this block.
    pub fn contains(self, index: BlockIndex) -> bool {
        index.get() < self.n_blocks()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gib_has_2048_blocks_and_64_tib_has_two_to_the_27() {
        assert_eq!(Geometry::ebs(GiB::try_from(1).unwrap()).n_blocks(), 2048);
        assert_eq!(Geometry::ebs(GiB::try_from(65_536).unwrap()).n_blocks(), 1 << 27);
    }

    #[test]
    fn an_image_needs_the_next_whole_gib() {
        for (bytes, gib) in [(0, 1), (1, 1), (1 << 30, 1), ((1 << 30) + 1, 2)] {
            assert_eq!(GiB::holding(bytes).unwrap().get(), gib);
        }
        assert!(GiB::holding((65_536 << 30) + 1).is_err());
    }

    #[test]
    fn a_reply_with_another_block_size_is_refused() {
        assert_eq!(BlockSize::try_from(512), Err(BlockSizeError(512)));
        assert_eq!(BlockSize::try_from(524_288), Ok(BlockSize::EBS));
    }
}

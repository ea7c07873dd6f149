//! Blocks of a volume: where they are, how large, which ones, and what they hold.
//!
//! A volume is cut into blocks of 512 KiB (EBS user guide, "ebsapi-elements"); everything in this
//! crate counts in them. Units are types here, so that an index is never taken for an offset or a count.
//! No I/O, no async.

mod batch;
mod buffers;
mod content;
mod digest;
mod geometry;
mod index;
mod lanes;
mod range;
mod set;
mod size;

pub use buffers::{ALIGNMENT, Buffer, Buffers};
pub use content::is_zero;
pub use digest::{Digest, DigestError, LinearDigest};
pub use geometry::{BlockSize, BlockSizeError, Geometry, GiB, VolumeSizeError};
pub use index::{BlockIndex, BlockIndexError};
pub use lanes::{LANES, Lanes};
pub use range::BlockRange;
pub use set::{BlockSet, Ranges};
pub use size::ByteSize;

#[cfg(test)]
pub(crate) mod tests;

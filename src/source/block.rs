//! A block's content, before and after it was checked.

use crate::block::{BlockIndex, Digest};
use bytes::Bytes;
use std::fmt;

/// A block as it arrived. Its bytes are data only once their hash is the digest they claim.
#[derive(Clone)]
pub struct Fetched {
    /// One whole block.
    pub bytes: Bytes,
    /// What the service says their SHA-256 is.
    pub claimed: Digest,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched").field("claimed", &self.claimed).finish_non_exhaustive()
    }
}

/// A block whose bytes were hashed and found to be what they should be.
#[derive(Clone)]
pub struct Block {
    index: BlockIndex,
    digest: Digest,
    bytes: Bytes,
}

impl Block {
    /// Vouches that `digest` was computed from `bytes`. Only the pipeline's check (and what makes blocks in
    /// memory) may say so.
    pub fn vouched(index: BlockIndex, digest: Digest, bytes: Bytes) -> Self {
        Self { index, digest, bytes }
    }

    /// Hashes the bytes, one stream.
    pub fn hashed(index: BlockIndex, bytes: Bytes) -> Self {
        Self { index, digest: Digest::of(&bytes), bytes }
    }

    /// Where in the volume.
    pub fn index(&self) -> BlockIndex {
        self.index
    }

    /// SHA-256 of its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// One whole block.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether it holds zeros only; the digest tells, no byte is looked at.
    pub fn is_zero(&self) -> bool {
        self.digest == Digest::ZERO_BLOCK
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("index", &self.index)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

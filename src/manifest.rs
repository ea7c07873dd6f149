//! Manifests: which blocks a snapshot, image or device has, and the SHA-256 of each.
//!
//! `format.md` in this directory describes the file byte by byte. One subject has one manifest: its bytes follow from
//! what was read alone, whatever the order, concurrency, interruptions or base it was made with. A manifest is
//! written whole under a temporary name ([`write()`]), is readable by its owner only, because equal digests tell equal
//! blocks, and is checked whole when it is opened ([`Manifest::open`]). Memory follows the block map (at most 16 MiB
//! of 64 TiB), never the digests. A [`Draft`] holds digests on their way, by index, and survives its run.

mod digests;
mod draft;
mod header;
mod merkle;
mod read;
mod write;

pub use draft::Draft;
pub use merkle::{Merkle, Roots};
pub use read::Manifest;
pub use write::write;

use crate::block::{ByteSize, Geometry};
use crate::snapshot::SnapshotId;

/// What a manifest is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The snapshot; `None` for an image or device, of which a block that is not listed is known to be zero.
    pub snapshot_id: Option<SnapshotId>,
    /// Its volume: of an image the smallest that holds it.
    pub geometry: Geometry,
    /// Its size in bytes: of a snapshot the volume's, of an image its own.
    pub size: ByteSize,
    /// Whether the snapshot was encrypted; `None` where that was not known, as in every manifest of format 1, and of an
    /// image. Decides what a block that is not listed reads as.
    pub is_encrypted: Option<bool>,
}

#[cfg(test)]
mod tests;

//! Images: files and devices that hold a volume's bytes.
//!
//! [`Image`] is read, block by block, with positioned reads (never mapped: a truncated mapping is a signal, not an
//! error); holes are found without being read, and what was read counts only with the proof that nothing changed
//! meanwhile ([`Unchanged`]). [`ImageFile`] is written, sparse, and gets its final name only when
//! it is whole. [`BlockDevice`] is overwritten, and refused while anybody uses it. [`InPlace`] is either, changed where
//! it is. What a target is known to hold is in its [`Sidecar`], and so is that it is half-way between two snapshots:
//! then it is opened for nothing but finishing that. [`System`] tells which volume a device is and whether it is
//! mounted, [`file_systems`] and [`signatures`] what it says itself, and a [`BlockMap`] which of its blocks matter;
//! [`protect`] keeps it from being written to. Calls block on local I/O.

mod attached;
mod block;
mod extents;
mod file;
mod filesystem;
mod image;
mod in_place;
mod map;
mod opened;
mod partition;
mod protect;
mod sidecar;
mod signature;
mod stamp;
mod system;
mod unpack;

pub use attached::{BY_ID, attached};
pub use block::BlockDevice;
pub use file::ImageFile;
pub use filesystem::{FileSystem, FileSystemKind, ReadAt, file_systems};
pub use image::{Held, Image, Part, Unchanged};
pub use in_place::InPlace;
pub use map::{BlockMap, first_line, last_line};
pub use protect::{Protection, protect};
#[cfg(any(test, fuzzing))]
pub(crate) use sidecar::fuzz_sidecar;
pub use sidecar::{Holding, Sidecar};
#[cfg(any(test, fuzzing))]
pub(crate) use signature::fuzz_signatures;
pub use signature::{Signature, Signed, hyphened, signatures};
pub use stamp::Since;
pub use system::System;
pub use unpack::unpack;

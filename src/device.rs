//! Images: files and devices that hold a volume's bytes.
//!
//! [`Image`] is read, block by block, with positioned reads (never mapped: a truncated mapping is a signal, not an
//! error); holes are found without being read, and what was read counts only with the proof that nothing changed
//! meanwhile ([`Unchanged`]). [`ImageFile`] is written, sparse, and gets its final name only when
//! it is whole. [`BlockDevice`] is overwritten, and refused while anybody uses it. [`InPlace`] is either, changed where
//! it is. What a target is known to hold is in its [`Sidecar`], and so is that it is half-way between two snapshots:
//! then it is opened for nothing but finishing that. [`System`] tells which volume a device is and whether it is
//! mounted, a [`Layout`] what is on it, and a [`BlockMap`] which of its blocks matter;
//! [`protect`] keeps it from being written to. Calls block on local I/O.

mod attached;
mod block;
mod bounded;
mod container;
mod content;
mod extents;
mod file;
mod filesystem;
mod image;
mod in_place;
mod layout;
mod map;
mod opened;
mod output;
mod partition;
mod protect;
mod reader;
mod sidecar;
mod stamp;
mod system;
mod unpack;

pub use attached::{BY_ID, attached};
pub use block::BlockDevice;
pub use container::Container;
pub use content::{Content, hyphened};
pub use file::ImageFile;
pub use filesystem::{Consistency, FileSystem, FileSystemKind};
pub use image::{Held, Image, Part, Unchanged};
pub use in_place::InPlace;
#[cfg(any(test, fuzzing))]
pub(crate) use layout::fuzz_layout;
pub use layout::{Condition, DiskPartition, Layout, PartitionName, PartitionNameError};
pub use map::{BlockMap, first_line, last_line};
pub use output::check_new_file;
pub use partition::PartitionType;
pub use protect::{Protection, protect};
pub use reader::{Padded, Readable};
#[cfg(any(test, fuzzing))]
pub(crate) use sidecar::fuzz_sidecar;
pub use sidecar::{Holding, Sidecar};
pub use stamp::Since;
pub use system::System;
pub use unpack::unpack;

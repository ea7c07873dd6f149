//! Images: files and devices that hold a volume's bytes.
//!
//! [`Image`] is read, block by block, with positioned reads (never mapped: a truncated mapping is a signal, not an
//! error); holes are found without being read. [`ImageFile`] is written, sparse, and gets its final name only when
//! it is whole. [`BlockDevice`] is overwritten, and refused while anybody uses it. [`System`] tells which volume a device
//! is and whether it is mounted, [`file_systems`] what its superblocks say. Calls block on local I/O.

mod block;
mod buffer;
mod file;
mod filesystem;
mod image;
mod system;
mod unpack;

pub use block::BlockDevice;
pub use buffer::Buffer;
pub use file::ImageFile;
pub use filesystem::{FileSystem, FileSystemKind, ReadAt, file_systems};
pub use image::{Held, Image, Part};
pub use system::System;
pub use unpack::unpack;

use std::path::Path;

/// Names the time since this machine was started: what was written and not made durable is there until its end.
/// `None` where the system does not tell.
pub fn boot_id() -> Option<String> {
    std::fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id")).ok().map(|id| id.trim().to_owned())
}

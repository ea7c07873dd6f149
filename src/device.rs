//! Images: files and devices that hold a volume's bytes.
//!
//! [`Image`] is read, block by block, with positioned reads (never mapped: a truncated mapping is a signal, not an
//! error); holes are found without being read. [`ImageFile`] is written, sparse, and gets its final name only when
//! it is whole. [`BlockDevice`] is overwritten, and refused while anybody uses it. Both are written past the page
//! cache where that works. Calls block on local I/O.

mod block;
mod direct;
mod file;
mod image;
mod unpack;

pub use block::BlockDevice;
pub use file::ImageFile;
pub use image::{Image, Part};
pub use unpack::unpack;

use std::path::Path;

/// Names the time since this machine was started: what was written and not made durable is there until its end.
/// `None` where the system does not tell.
pub fn boot_id() -> Option<String> {
    std::fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id")).ok().map(|id| id.trim().to_owned())
}

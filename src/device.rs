//! Images: files and devices that hold a volume's bytes.
//!
//! [`Image`] is read, block by block, with positioned reads (never mapped: a truncated mapping is a signal, not an
//! error); holes are found without being read. [`ImageFile`] is written, sparse, and gets its final name only when
//! it is whole. Calls block on local I/O.

mod file;
mod image;
mod unpack;

pub use file::ImageFile;
pub use image::{Image, Part};
pub use unpack::unpack;

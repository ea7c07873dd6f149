//! Bringing bytes of a file near the processor, before they are copied out of the cache.
//!
//! Copying waits for memory, hashing does not. What is copied next can come from memory while something is hashed: the
//! processor fetches ahead what it is told the place of, and a mapping is such a place. Nothing is ever read through
//! it. Where a mapping's bytes have gone meanwhile, as when the file was cut off, the hint comes to nothing, where
//! reading them would end the program.

use memmap2::{Advice, MmapOptions, MmapRaw};
use std::fs::File;

/// Bytes that the system makes reachable around one that is asked for, where it is as it comes. Asking for each page would
/// cost more than it brings.
const AROUND: usize = 64 << 10;

/// A part of a file, as a place to give hints of.
#[derive(Debug)]
pub struct Near {
    map: MmapRaw,
    offset: u64,
}

impl Near {
    /// These bytes of a file; `None` where they cannot be had, or the system cannot say so (before Linux 5.14).
    pub(super) fn of(file: &File, offset: u64, len: usize) -> Option<Self> {
        let map = MmapOptions::new().offset(offset).len(len).map_raw_read_only(file).ok()?;
        for at in (0..len).step_by(AROUND) {
            map.advise_range(Advice::PopulateRead, at, 1).ok()?;
        }
        Some(Self { map, offset })
    }

    /// The place of the byte at this offset of the file. For hints alone.
    pub fn hint(&self, offset: u64) -> *const u8 {
        let at = usize::try_from(offset.wrapping_sub(self.offset)).unwrap_or(0);
        self.map.as_ptr().wrapping_add(at)
    }
}

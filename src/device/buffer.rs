//! Memory that a device can read into directly.

use crate::block::BlockSize;
use bytes::Bytes;

/// What O_DIRECT asks for on every device there is: a page.
const ALIGNMENT: usize = 4096;

/// Room for blocks, beginning where direct I/O may begin.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// Room for so many blocks, filled with zeros.
    pub fn for_blocks(blocks: usize) -> Self {
        let len = blocks * BlockSize::EBS.buffer_len();
        let bytes = vec![0; len + ALIGNMENT];
        // The allocation never moves: the vector is not grown.
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { bytes, start, len }
    }

    /// All of it.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    /// All of it, to be written to.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }

    /// The same memory, shared.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from(self.bytes).slice(self.start..self.start + self.len)
    }
}

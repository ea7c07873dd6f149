//! Buffers that blocks are received into, used again and again.
//!
//! A fresh buffer of 512 KiB is 128 pages for the system to find, zero and take back, a twentieth of what a
//! checked download costs. There are never more buffers than blocks were held at once. Each starts at a whole page
//! of memory, so that a disk can take its bytes from where they are (O_DIRECT).

use crate::block::BlockSize;
use bytes::Bytes;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

/// What a buffer's address is a multiple of, in bytes; a disk that takes bytes from memory (O_DIRECT) asks for no
/// more, of addresses, offsets and lengths.
pub const ALIGNMENT: usize = 4096;

/// Free buffers, each as large as a block. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// An empty buffer with room for one block. It comes back here when it is dropped.
    pub fn take(&self) -> Buffer {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = free.unwrap_or_else(|| vec![0; BlockSize::EBS.buffer_len() + ALIGNMENT]);
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        Buffer { memory, start, filled: 0, home: self.clone() }
    }
}

/// Room for one block, and how much of it is filled.
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
    filled: usize,
    home: Buffers,
}

impl Buffer {
    /// Takes more bytes, unless the block would become longer than it may be.
    #[must_use]
    pub fn push(&mut self, more: &[u8]) -> bool {
        let from = self.start + self.filled;
        let room = &mut self.memory[from..self.start + BlockSize::EBS.buffer_len()];
        let Some(room) = room.get_mut(..more.len()) else { return false };
        room.copy_from_slice(more);
        self.filled += more.len();
        true
    }

    /// Bytes taken so far.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// What was taken, to be read and shared; the buffer is free again when the last reader has let go.
    pub fn share(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.filled]
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("filled", &self.filled).finish_non_exhaustive()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).push(mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_its_last_reader_has_let_go() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        assert!(buffer.push(&[7; 524_288]));
        let shared = buffer.share();
        let at = shared.as_ptr();
        let reader = shared.slice(8..16);
        drop(shared);
        assert_ne!(buffers.take().as_ref().as_ptr(), at);
        assert_eq!(reader.as_ref(), [7; 8]);
        drop(reader);
        let taken = [buffers.take(), buffers.take()];
        assert!(taken.iter().any(|buffer| buffer.as_ref().as_ptr() == at));
        assert!(taken.iter().all(|buffer| buffer.filled() == 0));
    }

    #[test]
    fn a_buffer_starts_at_a_whole_page_and_takes_no_more_than_a_block() {
        let mut buffer = Buffers::default().take();
        assert!(buffer.push(&[1; 524_287]));
        assert!(!buffer.push(&[2; 2]));
        assert!(buffer.push(&[3]));
        assert_eq!(buffer.as_ref().as_ptr().align_offset(ALIGNMENT), 0);
        assert_eq!((buffer.filled(), buffer.as_ref()[524_286], buffer.as_ref()[524_287]), (524_288, 1, 3));
    }
}

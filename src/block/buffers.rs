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
        Buffer::within(free.unwrap_or_else(|| room_for(1)), Some(self.clone()))
    }
}

/// Room for blocks, and how much of it is filled.
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
    room: usize,
    filled: usize,
    home: Option<Buffers>,
}

impl Buffer {
    /// Room for so many blocks, which is given back to the system in the end.
    pub fn for_blocks(blocks: usize) -> Self {
        Self::within(room_for(blocks), None)
    }

    fn within(memory: Vec<u8>, home: Option<Buffers>) -> Self {
        // The allocation never moves: the vector is not grown.
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let room = memory.len() - ALIGNMENT;
        Self { memory, start, room, filled: 0, home }
    }

    /// Takes more bytes, unless they are more than there is room for.
    #[must_use]
    pub fn push(&mut self, more: &[u8]) -> bool {
        let room = &mut self.memory[self.start + self.filled..self.start + self.room];
        let Some(room) = room.get_mut(..more.len()) else { return false };
        room.copy_from_slice(more);
        self.filled += more.len();
        true
    }

    /// All the room there is, to be written to; it counts as filled then. What is not written stays what it was: in
    /// a fresh buffer zeros.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.filled = self.room;
        &mut self.memory[self.start..self.start + self.room]
    }

    /// What is filled.
    pub fn as_slice(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.filled]
    }

    /// What is filled, to be read and shared; the buffer is free again when the last reader has let go.
    pub fn share(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("filled", &self.filled).finish_non_exhaustive()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.0.lock().unwrap_or_else(PoisonError::into_inner).push(mem::take(&mut self.memory));
        }
    }
}

fn room_for(blocks: usize) -> Vec<u8> {
    vec![0; blocks * BlockSize::EBS.buffer_len() + ALIGNMENT]
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
        assert_ne!(buffers.take().as_slice().as_ptr(), at);
        assert_eq!(reader.as_ref(), [7; 8]);
        drop(reader);
        let taken = [buffers.take(), buffers.take()];
        assert!(taken.iter().any(|buffer| buffer.as_slice().as_ptr() == at));
        assert!(taken.iter().all(|buffer| buffer.as_slice().is_empty()));
    }

    #[test]
    fn a_buffer_starts_at_a_whole_page_and_takes_no_more_than_a_block() {
        let mut buffer = Buffers::default().take();
        assert!(buffer.push(&[1; 524_287]));
        assert!(!buffer.push(&[2; 2]));
        assert!(buffer.push(&[3]));
        assert_eq!(buffer.as_slice().as_ptr().align_offset(ALIGNMENT), 0);
        assert_eq!(
            (buffer.as_slice().len(), buffer.as_slice()[524_286], buffer.as_slice()[524_287]),
            (524_288, 1, 3)
        );
    }
}

//! Bytes of a disk at any offset, for the readers of partition tables and superblocks.

use crate::block::is_zero;
use crate::fault::Fault;
use std::fmt;

/// A disk that structures are read from: an image, a device, or bytes in memory.
pub trait Readable: fmt::Debug {
    /// Returns the size in bytes.
    fn size(&self) -> u64;

    /// Reads bytes from an offset on, holes as zeros; fewer at the end.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>, Fault>;

    /// Returns the first offset from this one on that may hold something else than zeros; `None` where only holes
    /// follow.
    fn next_data(&self, from: u64) -> Option<u64> {
        Some(from)
    }
}

impl Readable for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>, Fault> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        Ok(self[start..start.saturating_add(len).min(self.len())].to_vec())
    }
}

/// A disk that goes on with zeros beyond its end, up to another size.
#[derive(Debug)]
pub struct Padded<'a> {
    /// The disk.
    pub disk: &'a dyn Readable,
    /// The size in bytes that it is taken to have.
    pub size: u64,
}

impl Readable for Padded<'_> {
    fn size(&self) -> u64 {
        self.size.max(self.disk.size())
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = self.disk.bytes(offset, len)?;
        let left = self.size().saturating_sub(offset);
        bytes.resize(bytes.len().max(usize::try_from(left).unwrap_or(usize::MAX).min(len)), 0);
        Ok(bytes)
    }

    fn next_data(&self, from: u64) -> Option<u64> {
        if from < self.disk.size() { self.disk.next_data(from) } else { None }
    }
}

/// Bytes read at a time: one block of a volume.
const WINDOW: usize = 512 << 10;

/// A disk with its last window kept: structures are small, and lie close together.
pub(super) struct Reader<'a> {
    disk: &'a dyn Readable,
    start: u64,
    window: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(disk: &'a dyn Readable) -> Self {
        Self { disk, start: 0, window: Vec::new() }
    }

    pub(super) fn size(&self) -> u64 {
        self.disk.size()
    }

    /// Reads bytes from an offset on; fewer at the disk's end.
    pub(super) fn bytes(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, Fault> {
        let end = self.size().min(offset.saturating_add(len as u64));
        let mut found = Vec::new();
        let mut at = offset;
        while at < end {
            let start = at - at % WINDOW as u64;
            if self.window.is_empty() || self.start != start {
                (self.window, self.start) = (self.disk.bytes(start, WINDOW)?, start);
            }
            let within = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX).min(self.window.len());
            let (from, to) = (within(at), within(end));
            if from == to {
                break;
            }
            found.extend_from_slice(&self.window[from..to]);
            at = start + to as u64;
        }
        Ok(found)
    }

    /// Returns whether an area holds zeros only; `None` where at most so many bytes may be read and all of them are zeros.
    /// Holes are not read.
    pub(super) fn is_zero(&mut self, offset: u64, len: u64, most: u64) -> Result<Option<bool>, Fault> {
        let end = self.size().min(offset.saturating_add(len));
        let (mut at, mut read) = (offset, 0);
        while at < end {
            let Some(data) = self.disk.next_data(at).map(|data| data.max(at)).filter(|data| *data < end)
            else {
                break;
            };
            if read >= most {
                return Ok(None);
            }
            let window = (end - data).min(WINDOW as u64 - data % WINDOW as u64);
            let bytes = self.bytes(data, usize::try_from(window).unwrap_or(WINDOW))?;
            if !is_zero(&bytes) {
                return Ok(Some(false));
            }
            read += window;
            at = data + window;
        }
        Ok(Some(true))
    }
}

/// Returns a little-endian number of N bytes.
pub(super) fn little<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(N)?)?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Returns a big-endian number of N bytes.
pub(super) fn big<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(N)?)?;
    Some(field.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Returns a name that a disk bears, up to its first zero byte and without what a terminal could act upon; `None` where
/// it is empty.
pub(super) fn label(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    printable(&String::from_utf8_lossy(&bytes[..end]))
}

/// Returns the same of a name in UTF-16, little-endian.
pub(super) fn wide_label(bytes: &[u8]) -> Option<String> {
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    printable(&String::from_utf16_lossy(&units))
}

fn printable(name: &str) -> Option<String> {
    let is_shown = |letter: &char| letter.is_alphanumeric() || letter.is_ascii_graphic() || *letter == ' ';
    let name: String =
        name.trim().chars().map(|letter| if is_shown(&letter) { letter } else { '?' }).collect();
    (!name.is_empty()).then_some(name)
}

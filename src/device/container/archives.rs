//! Compressed files and archives.

use crate::device::container::{ReadAt, array};
use crate::fault::Fault;

fn little_u16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn little_u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// The header of RFC 1952 with all its fields, and a first block that an inflater takes.
pub(super) fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b, 8]) && gzip_body(head).is_some_and(is_deflated)
}

/// What follows the header of a gzip file, where that is one.
fn gzip_body(head: &[u8]) -> Option<&[u8]> {
    const HEADER_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const RESERVED: u8 = 0xe0;
    let (flags, effort, system) = (*head.get(3)?, *head.get(8)?, *head.get(9)?);
    if flags & RESERVED != 0 || !matches!(effort, 0 | 2 | 4) || !matches!(system, 0..=13 | 255) {
        return None;
    }
    let mut at = 10;
    if flags & EXTRA != 0 {
        at += 2 + usize::from(little_u16(head, at)?);
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let len = head.get(at..)?.iter().position(|byte| *byte == 0)?;
            at += len + 1;
        }
    }
    if flags & HEADER_CRC != 0 {
        let [low, high, ..] = crc32fast::hash(head.get(..at)?).to_le_bytes();
        if head.get(at..at + 2)? != [low, high] {
            return None;
        }
        at += 2;
    }
    head.get(at..)
}

/// Whether a stream of RFC 1951 may begin so.
fn is_deflated(stream: &[u8]) -> bool {
    let bits = |from: usize, n: usize| -> Option<u16> {
        let word = u32::from(*stream.get(from / 8)?)
            | u32::from(stream.get(from / 8 + 1).copied().unwrap_or(0)) << 8
            | u32::from(stream.get(from / 8 + 2).copied().unwrap_or(0)) << 16;
        u16::try_from(word >> (from % 8) & ((1 << n) - 1)).ok()
    };
    let check = || {
        Some(match bits(1, 2)? {
            0 => little_u16(stream, 1)? == !little_u16(stream, 3)?,
            1 => true,
            // Numbers of codes: 286 of literals and lengths, 30 of distances at most.
            2 => bits(3, 5)? <= 29 && bits(8, 5)? <= 29,
            _ => false,
        })
    };
    check() == Some(true)
}

pub(super) fn is_xz(head: &[u8]) -> bool {
    let check = || {
        let flags = head.get(6..8)?;
        Some(flags[0] == 0 && flags[1] & 0xf0 == 0 && little_u32(head, 8)? == crc32fast::hash(flags))
    };
    head.starts_with(b"\xfd7zXZ\0") && check() == Some(true)
}

pub(super) fn is_bzip2(head: &[u8]) -> bool {
    // The first block begins with the digits of pi, the end of an empty stream with those of its root.
    const BLOCK: &[u8] = &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
    const END: &[u8] = &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90];
    let follows = |magic| head.get(4..10) == Some(magic);
    head.starts_with(b"BZh") && matches!(head.get(3), Some(b'1'..=b'9')) && (follows(BLOCK) || follows(END))
}

pub(super) fn is_lz4(head: &[u8]) -> bool {
    let check = || {
        let (flags, block) = (*head.get(4)?, *head.get(5)?);
        let is_block = block & 0x8f == 0 && block >> 4 >= 4;
        Some(flags >> 6 == 1 && flags & 2 == 0 && is_block)
    };
    little_u32(head, 0) == Some(0x184d_2204) && check() == Some(true)
}

/// Frames to be skipped that are followed: parallel compressors write one before each frame.
const MAX_SKIPPED_FRAMES: usize = 4;

pub(super) fn is_zstd(read: &mut ReadAt<'_>, head: &[u8]) -> Result<bool, Fault> {
    let mut at = 0;
    let mut frame = head.to_vec();
    for _ in 0..=MAX_SKIPPED_FRAMES {
        match little_u32(&frame, 0) {
            Some(0xfd2f_b528) => return Ok(is_zstd_frame(&frame)),
            Some(0x184d_2a50..=0x184d_2a5f) => {}
            _ => return Ok(false),
        }
        let Some(len) = little_u32(&frame, 4) else { return Ok(false) };
        at += 8 + u64::from(len);
        frame = read(at, 32)?;
    }
    Ok(false)
}

/// Whether the header of a frame has no reserved bit, and a block of a known type and possible size follows it.
fn is_zstd_frame(frame: &[u8]) -> bool {
    const MAX_BLOCK_BYTES: u32 = 128 << 10;
    let check = || {
        let descriptor = *frame.get(4)?;
        let is_single_segment = descriptor & 0x20 != 0;
        let window = usize::from(!is_single_segment);
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let size = match descriptor >> 6 {
            0 => usize::from(is_single_segment),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let [a, b, c] = array(frame, 5 + window + dictionary + size)?;
        let block = u32::from_le_bytes([a, b, c, 0]);
        let (is_last, kind, len) = (block & 1 == 1, block >> 1 & 3, block >> 3);
        // Nothing but the end of a frame is empty.
        Some(descriptor & 8 == 0 && kind != 3 && len <= MAX_BLOCK_BYTES && (len > 0 || is_last))
    };
    check() == Some(true)
}

/// A file in an archive, or the end of one that has none.
pub(super) fn is_zip(head: &[u8]) -> bool {
    let is_file = || {
        let (version, method, name) =
            (*head.get(4)?, little_u16(head, 8)?, usize::from(little_u16(head, 26)?));
        let name = head.get(30..30 + name)?;
        let is_name = !name.is_empty() && name.iter().all(|byte| *byte >= b' ');
        Some(version <= 63 && matches!(method, 0..=20 | 93..=99) && is_name)
    };
    let is_empty = || Some(head.get(4..20)?.iter().all(|byte| *byte == 0));
    match head.get(..4) {
        Some(b"PK\x03\x04") => is_file() == Some(true),
        Some(b"PK\x05\x06") => is_empty() == Some(true),
        _ => false,
    }
}

pub(super) fn is_seven_zip(head: &[u8]) -> bool {
    let check = || Some(*head.get(6)? == 0 && little_u32(head, 8)? == crc32fast::hash(head.get(12..32)?));
    head.starts_with(&[0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]) && check() == Some(true)
}

/// A header whose checksum is right: the sum of its bytes, in octal, with spaces in the checksum's place.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let check = || {
        let header = head.get(..512)?;
        let digits = header[148..156].iter().copied().skip_while(|byte| *byte == b' ');
        let digits: Vec<u8> = digits.take_while(|byte| (b'0'..=b'7').contains(byte)).collect();
        let claimed = digits.iter().fold(0_u32, |sum, digit| sum * 8 + u32::from(digit - b'0'));
        let others = header.iter().enumerate().filter(|(at, _)| !(148..156).contains(at));
        let sum = others.fold(8 * u32::from(b' '), |sum, (_, byte)| sum + u32::from(*byte));
        Some(header[257..].starts_with(b"ustar") && !digits.is_empty() && claimed == sum)
    };
    check() == Some(true)
}

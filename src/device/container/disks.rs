//! Images of virtual machines.

use crate::device::container::{ReadAt, array};
use crate::fault::Fault;

fn big_u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

fn little_u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn little_u64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// Where every check holds; a header that is cut off does not.
fn holds(check: impl FnOnce() -> Option<bool>) -> bool {
    check() == Some(true)
}

const QCOW: &[u8] = b"QFI\xfb";

pub(super) fn is_qcow2(head: &[u8]) -> bool {
    head.starts_with(QCOW)
        && holds(|| {
            let version = big_u32(head, 4)?;
            let (cluster_bits, encryption) = (big_u32(head, 20)?, big_u32(head, 32)?);
            let is_whole = (9..=22).contains(&cluster_bits) && encryption <= 2;
            Some(match version {
                2 => is_whole,
                3 => {
                    let (refcount_order, header) = (big_u32(head, 96)?, big_u32(head, 100)?);
                    is_whole && refcount_order <= 6 && header >= 104 && header <= 1 << cluster_bits
                }
                _ => false,
            })
        })
}

pub(super) fn is_qcow(head: &[u8]) -> bool {
    head.starts_with(QCOW)
        && holds(|| {
            let (cluster_bits, level2_bits) = (*head.get(32)?, *head.get(33)?);
            Some(
                big_u32(head, 4)? == 1 && (9..=16).contains(&cluster_bits) && (6..=13).contains(&level2_bits),
            )
        })
}

pub(super) fn is_qed(head: &[u8]) -> bool {
    head.starts_with(b"QED\0")
        && holds(|| {
            let (cluster, table) = (little_u32(head, 4)?, little_u32(head, 8)?);
            let is_cluster = cluster.is_power_of_two() && (1 << 12..=1 << 26).contains(&cluster);
            Some(is_cluster && table.is_power_of_two() && table <= 16)
        })
}

/// A hosted sparse extent, an extent of ESX, or the text that describes extents.
pub(super) fn is_vmdk(head: &[u8]) -> bool {
    let is_sparse = || {
        let (version, grain) = (little_u32(head, 4)?, little_u64(head, 20)?);
        let is_grain = grain.is_power_of_two() && grain <= 1 << 16;
        // Bytes that a transfer as text would change.
        let is_intact = head.get(73..77)? == b"\n \r\n";
        Some((1..=3).contains(&version) && is_grain && little_u32(head, 44)? == 512 && is_intact)
    };
    let is_of_esx = || {
        let (version, flags, grain) = (little_u32(head, 4)?, little_u32(head, 8)?, little_u32(head, 16)?);
        Some(version == 1 && flags == 3 && grain.is_power_of_two() && grain <= 1 << 16)
    };
    match head.get(..4) {
        Some(b"KDMV") => holds(is_sparse),
        Some(b"COWD") => holds(is_of_esx),
        _ => is_descriptor(head),
    }
}

/// The text, in which further lines say version and type.
fn is_descriptor(head: &[u8]) -> bool {
    const FIRST: &[u8] = b"# disk descriptorfile";
    let Some(first) = head.get(..FIRST.len()) else { return false };
    let text = head.split(|byte| *byte == 0).next().unwrap_or_default();
    let is_text = text.iter().all(|byte| byte.is_ascii() && (*byte >= b' ' || b"\t\r\n".contains(byte)));
    let says = |word: &[u8]| text.split(|byte| *byte == b'\n').any(|line| line.starts_with(word));
    first.eq_ignore_ascii_case(FIRST) && is_text && says(b"version") && says(b"createType")
}

pub(super) fn is_vdi(head: &[u8]) -> bool {
    head.starts_with(b"<<< ")
        && holds(|| {
            let (signature, version) = (little_u32(head, 0x40)?, little_u32(head, 0x44)?);
            Some(signature == 0xbeda_107f && matches!(version, 0x0001_0001 | 1))
        })
}

pub(super) fn is_parallels(head: &[u8]) -> bool {
    let is_named = head.starts_with(b"WithoutFreeSpace") || head.starts_with(b"WithouFreSpacExt");
    is_named && little_u32(head, 16) == Some(2)
}

/// One of its two headers or of its region tables has to follow where it must be.
pub(super) fn is_vhdx(read: &mut ReadAt<'_>, head: &[u8]) -> Result<bool, Fault> {
    if !head.starts_with(b"vhdxfile") {
        return Ok(false);
    }
    for (at, magic) in [(64 << 10, b"head"), (128 << 10, b"head"), (192 << 10, b"regi")] {
        if read(at, 4)? == magic {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Length of a footer of VHD; Virtual PC before 2004 wrote one byte less.
const FOOTER: usize = 512;

/// A dynamic VHD begins with a copy of its footer; a fixed one is a disk's bytes with nothing but the footer behind them.
pub(super) fn is_vhd(read: &mut ReadAt<'_>, head: &[u8], len: u64) -> Result<bool, Fault> {
    if head.get(..FOOTER).and_then(footer).is_some_and(|kind| kind != Kind::Fixed) {
        return Ok(true);
    }
    for footer_len in [FOOTER, FOOTER - 1] {
        let Some(at) = len.checked_sub(footer_len as u64) else { continue };
        let mut end = read(at, footer_len)?;
        end.resize(FOOTER, 0);
        let size = array(&end, 48).map_or(0, u64::from_be_bytes);
        match footer(&end) {
            // It has to be as large as it says: otherwise it is the footer of something that the disk holds.
            Some(Kind::Fixed) if size == at => return Ok(true),
            Some(Kind::Fixed) | None => {}
            // The copy at its beginning is damaged.
            Some(Kind::Sparse) if size > 0 && size % 512 == 0 && head.starts_with(b"conectix") => {
                return Ok(true);
            }
            Some(Kind::Sparse) => {}
        }
    }
    Ok(false)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fixed,
    /// Dynamic or differencing.
    Sparse,
}

/// The kind that a footer says, where it is one: cookie, version and checksum are right.
fn footer(bytes: &[u8]) -> Option<Kind> {
    let sum = bytes.iter().enumerate().filter(|(at, _)| !(64..68).contains(at));
    let sum = sum.fold(0_u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)));
    let is_whole =
        bytes.starts_with(b"conectix") && big_u32(bytes, 12)? == 0x0001_0000 && big_u32(bytes, 64)? == !sum;
    match big_u32(bytes, 60)? {
        2 if is_whole => Some(Kind::Fixed),
        3 | 4 if is_whole => Some(Kind::Sparse),
        _ => None,
    }
}

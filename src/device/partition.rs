//! Partitions of a disk: a GPT (UEFI specification, 5.3) or the four of an MBR table. Logical ones are not looked for.

use crate::device::ReadAt;
use crate::fault::Fault;

/// A part of a disk that its table names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    /// Its number, from 1 on: Linux's `p1`.
    pub(super) number: u32,
    /// Its first byte.
    pub(super) offset: u64,
    /// Its bytes.
    pub(super) len: u64,
}

const SECTOR: u64 = 512;

/// The partitions of a disk, by number; none where it has no table.
pub(super) fn partitions(read: &mut ReadAt<'_>) -> Result<Vec<Partition>, Fault> {
    let table = read(0, 2 * 512)?;
    if table.get(510..512) != Some(&[0x55, 0xaa]) {
        return Ok(Vec::new());
    }
    let entries = match gpt(&table) {
        Some((entries, count, size)) => {
            let entries = read(entries, count * size)?;
            entries.chunks(size).map(of_gpt).collect()
        }
        None => (0..4).map(|n| of_mbr(table.get(446 + 16 * n..462 + 16 * n)?)).collect::<Vec<_>>(),
    };
    let placed = |(number, extent): (u32, Option<(u64, u64)>)| {
        let (first, sectors) = extent.filter(|(first, _)| *first > 0)?;
        let (offset, len) = (first.checked_mul(SECTOR)?, sectors.checked_mul(SECTOR)?);
        Some(Partition { number, offset, len })
    };
    Ok((1..).zip(entries).filter_map(placed).collect())
}

/// Where the entries of a GPT lie, how many they are and how large each: within reason.
fn gpt(table: &[u8]) -> Option<(u64, usize, usize)> {
    let header = table.get(512..).filter(|header| header.starts_with(b"EFI PART"))?;
    let entries = little::<8>(header, 72)?.checked_mul(SECTOR)?;
    let number = |at| usize::try_from(little::<4>(header, at)?).ok();
    let (count, size) = (number(80)?, number(84)?);
    (count <= 1024 && (128..=4096).contains(&size)).then_some((entries, count, size))
}

/// First sector and number of sectors of an entry that is used.
fn of_gpt(entry: &[u8]) -> Option<(u64, u64)> {
    let is_used = entry.iter().take(16).any(|byte| *byte != 0);
    let (first, last) = (little::<8>(entry, 32)?, little::<8>(entry, 40)?);
    is_used.then_some((first, last.saturating_add(1).saturating_sub(first)))
}

fn of_mbr(entry: &[u8]) -> Option<(u64, u64)> {
    let is_used = *entry.get(4)? != 0;
    is_used.then_some((little::<4>(entry, 8)?, little::<4>(entry, 12)?))
}

/// A little-endian number of N bytes.
pub(super) fn little<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let held = bytes.get(at..at.checked_add(N)?)?;
    Some(held.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

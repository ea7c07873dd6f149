//! FAT and exFAT: their flags of an unfinished write.

use super::{Consistency, FileSystem, FileSystemKind, padded};
use crate::block::ByteSize;
use crate::device::reader::{Reader, label, little};
use crate::fault::Fault;

/// The fields of a FAT's boot sector.
struct Boot {
    sector: u64,
    reserved: u64,
    tables: u64,
    /// Sectors of a table.
    table: u64,
    total: u64,
    is_32: bool,
    clusters: u64,
}

impl Boot {
    /// As the kernel recognises it (`fat_read_bpb`).
    fn of(head: &[u8]) -> Option<Self> {
        let is_boot = matches!(head.first()?, 0xeb | 0xe9) && head.get(510..512)? == [0x55, 0xaa];
        let is_other = [&b"NTFS    "[..], b"EXFAT   ", b"-FVE-FS-"].contains(&head.get(3..11)?);
        (is_boot && !is_other).then_some(())?;
        let (sector, cluster) = (little::<2>(head, 11)?, little::<1>(head, 13)?);
        let (reserved, tables, roots) =
            (little::<2>(head, 14)?, little::<1>(head, 16)?, little::<2>(head, 17)?);
        let either = |small: u64, large: u64| if small > 0 { small } else { large };
        let total = either(little::<2>(head, 19)?, little::<4>(head, 32)?);
        let table_16 = little::<2>(head, 22)?;
        let is_32 = table_16 == 0;
        let table = either(table_16, little::<4>(head, 36)?);
        let is_plausible = (512..=4096).contains(&sector)
            && sector.is_power_of_two()
            && cluster.is_power_of_two()
            && reserved > 0
            && (1..=4).contains(&tables)
            && table > 0
            && matches!(little::<1>(head, 21)?, 0xf0 | 0xf8..=0xff);
        is_plausible.then_some(())?;
        let meta = reserved + tables * table + (roots * 32).div_ceil(sector);
        let clusters = total.checked_sub(meta)? / cluster;
        Some(Self { sector, reserved, tables, table, total, is_32, clusters })
    }
}

pub(super) fn vfat(head: &[u8], offset: u64) -> Option<FileSystem> {
    let boot = Boot::of(head)?;
    let extended = if boot.is_32 { 0x42 } else { 0x26 };
    let is_extended = matches!(head.get(extended)?, 0x28 | 0x29);
    let field = |at: usize, len: usize| head.get(extended + at..extended + at + len).filter(|_| is_extended);
    let name = field(5, 11).and_then(label).filter(|name| name != "NO NAME");
    Some(FileSystem {
        kind: FileSystemKind::Vfat,
        offset,
        size: ByteSize::from_bytes(boot.total.checked_mul(boot.sector)?),
        uuid: padded(field(1, 4).unwrap_or_default()),
        label: name,
        mounted: None,
        written: None,
        sequence: None,
        consistency: Consistency::undecided("its allocation table was not read"),
    })
}

/// Reads the flags of the boot sector, which Linux sets, and those in the second entry of each table, which Windows does.
pub(super) fn consistency(reader: &mut Reader<'_>, offset: u64) -> Result<Consistency, Fault> {
    let head = reader.bytes(offset, 512)?;
    let Some(boot) = Boot::of(&head) else { return Ok(Consistency::undecided("its boot sector is damaged")) };
    let state = head[if boot.is_32 { 0x41 } else { 0x25 }];
    let mut reasons = Vec::new();
    if state & 1 != 0 {
        reasons.push("it is marked as not unmounted".to_owned());
    }
    if state & 2 != 0 {
        reasons.push("it is marked for a surface scan".to_owned());
    }
    for table in 0..boot.tables {
        let at = offset.saturating_add((boot.reserved + table * boot.table) * boot.sector);
        let entries = reader.bytes(at, 8)?;
        // FAT12 has no such flags.
        let flags = match (boot.is_32, boot.clusters > 4084) {
            (true, _) => little::<4>(&entries, 4).map(|entry| (entry >> 27 & 1, entry >> 26 & 1)),
            (false, true) => little::<2>(&entries, 2).map(|entry| (entry >> 15 & 1, entry >> 14 & 1)),
            (false, false) => Some((1, 1)),
        };
        match flags {
            None => return Ok(Consistency::undecided("its allocation table is not within the disk")),
            Some((0, _)) => reasons.push(format!("table {} is marked as not unmounted", table + 1)),
            Some((_, 0)) => reasons.push(format!("table {} is marked as having met disk errors", table + 1)),
            Some(_) => {}
        }
    }
    Ok(Consistency::of(reasons))
}

pub(super) fn exfat(head: &[u8], offset: u64) -> Option<FileSystem> {
    let is_boot = head.get(3..11)? == b"EXFAT   " && head.get(510..512)? == [0x55, 0xaa];
    let shift = little::<1>(head, 108)?;
    (is_boot && (9..=12).contains(&shift)).then_some(())?;
    let flags = little::<2>(head, 106)?;
    let reasons = [(2, "it is marked as not unmounted"), (4, "it is marked as having met disk errors")];
    let reasons = reasons.into_iter().filter(|(flag, _)| flags & flag != 0).map(|(_, why)| why.to_owned());
    Some(FileSystem {
        kind: FileSystemKind::Exfat,
        offset,
        size: ByteSize::from_bytes(little::<8>(head, 72)?.checked_mul(1 << shift)?),
        uuid: padded(head.get(100..104)?),
        label: None,
        mounted: None,
        written: None,
        sequence: None,
        consistency: Consistency::of(reasons.collect()),
    })
}

//! The partition table of PCs: four primary partitions, and a chain of tables for logical ones in an extended partition.

use super::{Entry, PartitionType, Role, Table};
use crate::device::reader::{Reader, little};
use crate::fault::Fault;
use std::collections::BTreeSet;

/// Names of type bytes.
pub(super) const TYPES: &[(u8, &str)] = &[
    (0x01, "FAT12"),
    (0x04, "FAT16"),
    (0x05, "extended"),
    (0x06, "FAT16"),
    (0x07, "NTFS or exFAT"),
    (0x0b, "FAT32"),
    (0x0c, "FAT32"),
    (0x0e, "FAT16"),
    (0x0f, "extended"),
    (0x27, "Windows recovery"),
    (0x41, "PReP boot"),
    (0x82, "Linux swap"),
    (0x83, "Linux"),
    (0x85, "extended"),
    (0x8e, "Linux LVM"),
    (0xef, "EFI system"),
    (0xfd, "Linux RAID"),
];

/// Bytes of the sectors that a table counts in.
const SECTOR: u64 = 512;
/// Logical partitions that are looked for; Linux shows fewer.
const MOST_LOGICAL: usize = 256;

/// An entry of a table, in sectors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Its number among the four, from 1 on.
    number: u32,
    pub(super) kind: u8,
    first: u64,
    pub(super) sectors: u64,
}

impl Slot {
    fn is_extended(&self) -> bool {
        PartitionType::Mbr(self.kind).role() == Role::Extended
    }

    fn entry(&self, number: u32, base: u64) -> Entry {
        Entry {
            number,
            offset: (base + self.first) * SECTOR,
            len: self.sectors * SECTOR,
            kind: PartitionType::Mbr(self.kind),
            label: None,
            defect: None,
        }
    }
}

/// Returns the used entries of a sector; `None` where it bears no table. A boot sector of a file system ends with the same
/// signature; as the kernel does, a table is told from it by the first byte of each entry.
fn slots(sector: &[u8]) -> Option<Vec<Slot>> {
    (sector.get(510..512)? == [0x55, 0xaa]).then_some(())?;
    let slots = (1..).zip(sector.get(446..510)?.chunks_exact(16)).map(|(number, bytes)| {
        matches!(bytes[0], 0 | 0x80).then_some(())?;
        Some(Slot { number, kind: bytes[4], first: little::<4>(bytes, 8)?, sectors: little::<4>(bytes, 12)? })
    });
    let slots: Vec<Slot> = slots.collect::<Option<_>>()?;
    Some(slots.into_iter().filter(|slot| slot.kind != 0 && slot.sectors > 0).collect())
}

/// Returns the primary partitions that the first sector names; `None` where it names none.
pub(super) fn primary(sector: &[u8]) -> Option<Vec<Slot>> {
    slots(sector).filter(|slots| !slots.is_empty())
}

/// Reads the logical partitions beside the primary ones.
pub(super) fn table(reader: &mut Reader<'_>, primary: &[Slot]) -> Result<Table, Fault> {
    let mut entries: Vec<Entry> = primary.iter().map(|slot| slot.entry(slot.number, 0)).collect();
    let mut logical = Vec::new();
    for slot in primary.iter().filter(|slot| slot.is_extended()) {
        let broken = chain(reader, slot, &mut logical)?;
        if let (Some(why), Some(container)) =
            (broken, entries.iter_mut().find(|entry| entry.number == slot.number))
        {
            container.defect = Some(why);
        }
    }
    entries.extend(logical);
    Ok(Table::Present { entries, remarks: Vec::new() })
}

/// Follows the chain of an extended partition. Returns why it could not be followed to its end.
fn chain(
    reader: &mut Reader<'_>,
    extended: &Slot,
    logical: &mut Vec<Entry>,
) -> Result<Option<String>, Fault> {
    let (mut at, mut seen) = (extended.first, BTreeSet::new());
    let is_within = |sector: u64| (extended.first..extended.first + extended.sectors).contains(&sector);
    loop {
        if !is_within(at) || !seen.insert(at) || seen.len() > MOST_LOGICAL {
            return Ok(Some("its chain of logical partitions leads astray".to_owned()));
        }
        let sector = reader.bytes(at * SECTOR, 512)?;
        let Some(slots) = slots(&sector) else {
            return Ok(Some("its chain of logical partitions is cut off".to_owned()));
        };
        for slot in slots.iter().filter(|slot| !slot.is_extended()) {
            let number = u32::try_from(5 + logical.len()).unwrap_or(u32::MAX);
            let mut entry = slot.entry(number, at);
            let is_inside = slot.first > 0 && is_within(at + slot.first + slot.sectors - 1);
            entry.defect = (!is_inside).then(|| "it is not within its extended partition".to_owned());
            logical.push(entry);
        }
        match slots.iter().find(|slot| slot.is_extended()) {
            Some(next) => at = extended.first + next.first,
            None => return Ok(None),
        }
    }
}

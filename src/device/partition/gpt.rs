//! The GUID partition table, with sectors of 512 or 4,096 bytes.

use super::mbr::Slot;
use super::{Entry, PartitionType, Table};
use crate::device::reader::{Reader, little, wide_label};
use crate::fault::Fault;

/// Names of type GUIDs.
pub(super) const TYPES: &[(&str, &str)] = &[
    ("0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux"),
    ("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap"),
    ("21686148-6449-6e6f-744e-656564454649", "BIOS boot"),
    ("4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "Linux root (x86-64)"),
    ("933ac7e1-2eb4-4f13-b844-0e14e2aef915", "Linux home"),
    ("a19d880f-05fc-4d3b-a006-743f0f84911e", "Linux RAID"),
    ("b921b045-1df0-41c3-af44-4c6f280d3fae", "Linux root (arm64)"),
    ("bc13c2ff-59e6-4262-a352-b275fd6f7172", "Linux extended boot"),
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system"),
    ("de94bba4-06d1-4d40-a16a-bfd50179d6ac", "Windows recovery"),
    ("e3c9e316-0b5c-4db8-817d-f92df00215ae", "Microsoft reserved"),
    ("e6d6d379-f507-44c2-a23c-238f2a3df928", "Linux LVM"),
    ("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Microsoft basic data"),
];

/// Sizes of sectors that disks have.
const SECTORS: [u64; 2] = [512, 4096];
/// Bytes of all entries at most: 32 times what tables have.
const MOST_ENTRIES: u64 = 512 << 10;

/// Returns a GUID as it is written; its first three fields are little-endian.
pub(super) fn guid(bytes: &[u8; 16]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    crate::device::hyphened(&ORDER.map(|at| bytes[at]))
}

/// Returns the table that a protective MBR announces.
pub(super) fn table(reader: &mut Reader<'_>, protective: &Slot) -> Result<Table, Fault> {
    for sector in SECTORS {
        let Some(primary) = Header::read(reader, 1, sector)? else { continue };
        let has_backup = Header::read(reader, primary.other, sector)?.is_some();
        let remark = "The backup of the partition table (GPT) is damaged or not at its place.";
        let remarks = if has_backup { Vec::new() } else { vec![remark.to_owned()] };
        return Ok(present(&primary, sector, remarks));
    }
    // The last sector, unless the disk was enlarged.
    for sector in SECTORS {
        for at in [(reader.size() / sector).saturating_sub(1), protective.sectors] {
            if let Some(backup) = Header::read(reader, at, sector)? {
                let remark = "The partition table (GPT) is damaged; its backup was used.";
                return Ok(present(&backup, sector, vec![remark.to_owned()]));
            }
        }
    }
    let what = "its partition table (GPT) is damaged, and so is the table's backup";
    Ok(Table::Damaged(what.to_owned()))
}

fn present(header: &Header, sector: u64, remarks: Vec<String>) -> Table {
    let entries: Vec<Entry> =
        (1..).zip(&header.entries).filter_map(|(number, bytes)| entry(number, bytes, sector)).collect();
    match entries.is_empty() {
        true => Table::Damaged("its partition table (GPT) names no partition".to_owned()),
        false => Table::Present { entries, remarks },
    }
}

/// Returns the partition of an entry that is used.
fn entry(number: u32, bytes: &[u8], sector: u64) -> Option<Entry> {
    let kind = bytes.first_chunk::<16>().filter(|kind| **kind != [0; 16])?;
    let (first, last) = (little::<8>(bytes, 32)?, little::<8>(bytes, 40)?);
    let extent = last
        .checked_sub(first)
        .and_then(|sectors| Some((first.checked_mul(sector)?, sectors.checked_add(1)?.checked_mul(sector)?)));
    let (offset, len) = extent.unwrap_or_default();
    Some(Entry {
        number,
        offset,
        len,
        kind: PartitionType::Gpt(*kind),
        label: bytes.get(56..128).and_then(wide_label),
        defect: None,
    })
}

/// A header whose checksums are right.
struct Header {
    /// The sector of the other header.
    other: u64,
    /// The entries, used or not.
    entries: Vec<Vec<u8>>,
}

impl Header {
    /// Reads the header in a sector, and its entries; `None` where it is none, or damaged.
    fn read(reader: &mut Reader<'_>, at: u64, sector: u64) -> Result<Option<Self>, Fault> {
        let Some(offset) = at.checked_mul(sector) else { return Ok(None) };
        let header = reader.bytes(offset, usize::try_from(sector).unwrap_or_default())?;
        let Some((other, start, count, size, sum)) = Self::fields(&header, at) else { return Ok(None) };
        let (Some(start), Some(len)) = (start.checked_mul(sector), count.checked_mul(size)) else {
            return Ok(None);
        };
        if len == 0 || len > MOST_ENTRIES {
            return Ok(None);
        }
        let (len, size) = (usize::try_from(len).unwrap_or_default(), usize::try_from(size).unwrap_or(1));
        let entries = reader.bytes(start, len)?;
        let is_right = entries.len() == len && u64::from(crc32fast::hash(&entries)) == sum;
        Ok(is_right
            .then(|| Self { other, entries: entries.chunks_exact(size).map(<[u8]>::to_vec).collect() }))
    }

    /// Returns the sector of the other header, the first of the entries, their number, the size of each, and the checksum
    /// of them all.
    fn fields(header: &[u8], at: u64) -> Option<(u64, u64, u64, u64, u64)> {
        header.starts_with(b"EFI PART").then_some(())?;
        let len = usize::try_from(little::<4>(header, 12)?).ok().filter(|len| *len >= 92)?;
        let mut summed = header.get(..len)?.to_vec();
        summed[16..20].fill(0);
        let is_right = u64::from(crc32fast::hash(&summed)) == little::<4>(header, 16)?;
        (is_right && little::<8>(header, 24)? == at).then_some(())?;
        let size = little::<4>(header, 84)?;
        (size >= 128 && size.is_power_of_two()).then_some(())?;
        Some((
            little::<8>(header, 32)?,
            little::<8>(header, 72)?,
            little::<4>(header, 80)?,
            size,
            little::<4>(header, 88)?,
        ))
    }
}

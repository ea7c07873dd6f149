//! NTFS: the flags of its volume and the restart area of its log.

use super::{Consistency, FileSystem, FileSystemKind, padded};
use crate::block::ByteSize;
use crate::device::reader::{Reader, little, wide_label};
use crate::fault::Fault;

/// Number of the record of the log, and of that of the volume.
const LOG: u64 = 2;
const VOLUME: u64 = 3;

/// Types of attributes.
const NAME: u64 = 0x60;
const INFORMATION: u64 = 0x70;
const DATA: u64 = 0x80;

/// The volume is dirty, its object ids are to be repaired, or chkdsk is at work.
const IS_DIRTY: u64 = 0x4021;

/// The fields of the boot sector.
struct Boot {
    cluster: u64,
    /// The first byte of the table of records.
    table: u64,
    record: u64,
    size: u64,
}

impl Boot {
    fn of(head: &[u8], offset: u64) -> Option<Self> {
        (head.get(3..11)? == b"NTFS    " && head.get(510..512)? == [0x55, 0xaa]).then_some(())?;
        let sector = little::<2>(head, 11)?;
        (sector.is_power_of_two() && (256..=4096).contains(&sector)).then_some(())?;
        let per_cluster = match head[13] {
            number @ 1..=0x80 => u64::from(number),
            number => 1_u64.checked_shl(256 - u32::from(number))?,
        };
        let cluster =
            sector.checked_mul(per_cluster).filter(|cluster| *cluster > 0 && *cluster <= 2 << 20)?;
        let record = match head[0x40] {
            number @ 1..=0x7f => cluster * u64::from(number),
            number => 1_u64.checked_shl(256 - u32::from(number))?,
        };
        (1024..=64 << 10).contains(&record).then_some(())?;
        Some(Self {
            cluster,
            table: offset.checked_add(little::<8>(head, 0x30)?.checked_mul(cluster)?)?,
            record,
            size: little::<8>(head, 0x28)?.checked_mul(sector)?,
        })
    }

    /// Reads a record of the table's beginning, which is never in pieces; `None` where it is damaged.
    fn record(&self, reader: &mut Reader<'_>, number: u64) -> Result<Option<Vec<u8>>, Fault> {
        let at = self.table.saturating_add(number * self.record);
        let mut record = reader.bytes(at, usize::try_from(self.record).unwrap_or_default())?;
        let is_whole = record.starts_with(b"FILE") && mended(&mut record).is_some();
        Ok(is_whole.then_some(record))
    }
}

/// Puts back the last two bytes of each sector, which a record keeps elsewhere to notice torn writes.
fn mended(record: &mut [u8]) -> Option<()> {
    let number = |bytes: &[u8], at| usize::try_from(little::<2>(bytes, at)?).ok();
    let (start, count) = (number(record, 4)?, number(record, 6)?);
    let kept = record.get(start..start.checked_add(count.checked_mul(2)?)?)?.to_vec();
    let (check, words) = kept.split_at_checked(2)?;
    for (word, sector) in words.chunks_exact(2).zip(record.chunks_exact_mut(512)) {
        (sector[510..] == *check).then_some(())?;
        sector[510..].copy_from_slice(word);
    }
    Some(())
}

/// Returns an attribute of a record, header included.
fn attribute(record: &[u8], kind: u64) -> Option<&[u8]> {
    let mut at = usize::try_from(little::<2>(record, 0x14)?).ok()?;
    loop {
        let (found, len) = (little::<4>(record, at)?, usize::try_from(little::<4>(record, at + 4)?).ok()?);
        let attribute = record.get(at..at.checked_add(len)?).filter(|_| len >= 24)?;
        // An attribute with a name is another one.
        if found == kind && attribute[9] == 0 {
            return Some(attribute);
        }
        at += len;
    }
}

/// Returns the value of an attribute that is in the record itself.
fn resident(record: &[u8], kind: u64) -> Option<&[u8]> {
    let attribute = attribute(record, kind).filter(|attribute| attribute[8] == 0)?;
    let number = |at, len| {
        usize::try_from(if len == 2 { little::<2>(attribute, at)? } else { little::<4>(attribute, at)? }).ok()
    };
    let (len, start) = (number(0x10, 4)?, number(0x14, 2)?);
    attribute.get(start..start.checked_add(len)?)
}

/// Returns the first cluster of an attribute that is not.
fn first_cluster(record: &[u8], kind: u64) -> Option<u64> {
    let attribute = attribute(record, kind).filter(|attribute| attribute[8] == 1)?;
    (little::<8>(attribute, 0x10)? == 0).then_some(())?;
    let run = attribute.get(usize::try_from(little::<2>(attribute, 0x20)?).ok()?..)?;
    let header = usize::from(*run.first()?);
    let (of_len, of_start) = (header & 0xf, header >> 4);
    let start = run.get(1 + of_len..)?.get(..of_start).filter(|bytes| (1..=8).contains(&bytes.len()))?;
    Some(start.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

pub(super) fn superblock(head: &[u8], offset: u64) -> Option<FileSystem> {
    let boot = Boot::of(head, offset)?;
    Some(FileSystem {
        kind: FileSystemKind::Ntfs,
        offset,
        size: ByteSize::from_bytes(boot.size),
        uuid: padded(head.get(0x48..0x50)?),
        label: None,
        mounted: None,
        written: None,
        sequence: None,
        consistency: Consistency::undecided("its volume record was not read"),
    })
}

/// Returns the name of the volume.
pub(super) fn name(reader: &mut Reader<'_>, offset: u64) -> Result<Option<String>, Fault> {
    let head = reader.bytes(offset, 512)?;
    let Some(boot) = Boot::of(&head, offset) else { return Ok(None) };
    let record = boot.record(reader, VOLUME)?;
    Ok(record.and_then(|record| resident(&record, NAME).and_then(wide_label)))
}

/// Reads the flags of the volume, and whether its log was closed.
pub(super) fn consistency(reader: &mut Reader<'_>, offset: u64) -> Result<Consistency, Fault> {
    let head = reader.bytes(offset, 512)?;
    let undecided = |why: &str| Ok(Consistency::undecided(why));
    let Some(boot) = Boot::of(&head, offset) else { return undecided("its boot sector is damaged") };
    let Some(volume) = boot.record(reader, VOLUME)? else { return undecided("its volume record is damaged") };
    match resident(&volume, INFORMATION).and_then(|information| little::<2>(information, 10)) {
        None => return undecided("its volume record is damaged"),
        Some(flags) if flags & IS_DIRTY != 0 => {
            return Ok(Consistency::Dirty("it is marked as dirty".to_owned()));
        }
        Some(_) => {}
    }
    let log = boot.record(reader, LOG)?;
    let log = log.and_then(|log| first_cluster(&log, DATA)?.checked_mul(boot.cluster)?.checked_add(offset));
    let Some(log) = log else { return undecided("its log cannot be found") };
    // Two restart pages, of which the later one counts; a log filled with ones was emptied when it was clean.
    let pages = reader.bytes(log, 64 << 10)?;
    if pages.len() == 64 << 10 && pages.iter().all(|byte| *byte == 0xff) {
        return Ok(Consistency::Clean);
    }
    // The second one lies a page of the system that wrote it after the first.
    let areas = [0, 4096, 8192, 16_384, 32_768].into_iter().filter_map(|at| restart(pages.get(at..)?));
    match areas.max_by_key(|(sequence, _)| *sequence) {
        Some((_, true)) => Ok(Consistency::Clean),
        Some((_, false)) => Ok(Consistency::Dirty("its log has to be replayed".to_owned())),
        None => undecided("its log has no restart page"),
    }
}

/// Returns the sequence number of a restart page, and whether the log was closed by then.
fn restart(page: &[u8]) -> Option<(u64, bool)> {
    page.starts_with(b"RSTR").then_some(())?;
    let at = usize::try_from(little::<2>(page, 0x18)?).ok()?;
    // Before the first two bytes that are kept elsewhere.
    let area = page.get(at..510).filter(|area| area.len() >= 16)?;
    let (client, flags) = (little::<2>(area, 12)?, little::<2>(area, 14)?);
    Some((little::<8>(area, 0)?, client == 0xffff || flags & 2 != 0))
}

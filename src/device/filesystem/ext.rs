//! ext2, ext3 and ext4.

use super::{Consistency, FileSystem, FileSystemKind};
use crate::block::ByteSize;
use crate::device::reader::{label, little};
use crate::snapshot::UnixMillis;

const IS_VALID: u64 = 1;
const HAS_ERRORS: u64 = 2;
const HAS_ORPHANS: u64 = 4;

const NEEDS_RECOVERY: u64 = 0x4;
const IS_JOURNAL: u64 = 0x8;
const IS_64BIT: u64 = 0x80;
/// Features that change how the file system is read, as far as they are known here.
const KNOWN: u64 = 0x3_f7df;

const HAS_CHECKSUM: u64 = 0x400;
const ORPHAN_PRESENT: u64 = 0x1_0000;

pub(super) fn superblock(head: &[u8], offset: u64) -> Option<FileSystem> {
    let sb = head.get(1024..2048)?;
    (little::<2>(sb, 0x38)? == 0xef53).then_some(())?;
    let incompatible = little::<4>(sb, 0x60)?;
    (incompatible & IS_JOURNAL == 0).then_some(())?;
    let high = if incompatible & IS_64BIT != 0 { little::<4>(sb, 0x150)? } else { 0 };
    let blocks = little::<4>(sb, 0x4)? | high << 32;
    let log_size = u32::try_from(little::<4>(sb, 0x18)?).ok().filter(|log| *log <= 6)?;
    // Seconds since 1970 in 40 bits; 0 is never.
    let time = |low, high| {
        let seconds = little::<4>(sb, low)? | little::<1>(sb, high)? << 32;
        Some(UnixMillis(i64::try_from(seconds).ok()? * 1000)).filter(|_| seconds > 0)
    };
    Some(FileSystem {
        kind: FileSystemKind::Ext,
        offset,
        size: ByteSize::from_bytes(blocks.checked_mul(1024 << log_size).filter(|size| *size > 0)?),
        uuid: *sb.get(0x68..)?.first_chunk()?,
        label: label(sb.get(0x78..0x88)?),
        mounted: time(0x2c, 0x275),
        written: time(0x30, 0x274),
        sequence: None,
        consistency: consistency(sb)?,
    })
}

fn consistency(sb: &[u8]) -> Option<Consistency> {
    let (state, incompatible, read_only) =
        (little::<2>(sb, 0x3a)?, little::<4>(sb, 0x60)?, little::<4>(sb, 0x64)?);
    let (errors, orphan) = (little::<4>(sb, 0x194)?, little::<4>(sb, 0xe8)?);
    let is_altered =
        read_only & HAS_CHECKSUM != 0 && u64::from(crc32c(sb.get(..0x3fc)?)) != little::<4>(sb, 0x3fc)?;
    let reasons = [
        (incompatible & NEEDS_RECOVERY != 0, "its journal has to be replayed"),
        (state & IS_VALID == 0, "it was not unmounted"),
        (state & HAS_ERRORS != 0, "it is marked as having errors"),
        (orphan != 0 || state & HAS_ORPHANS != 0 || read_only & ORPHAN_PRESENT != 0, "it has orphan inodes"),
        (is_altered, "its superblock does not match its checksum"),
    ];
    let reasons = reasons.into_iter().filter(|(is_so, _)| *is_so).map(|(_, why)| why.to_owned());
    let counted = (errors > 0).then(|| format!("it has recorded {errors} errors"));
    let found = Consistency::of(reasons.chain(counted).collect());
    let is_strange = found == Consistency::Clean && incompatible & !KNOWN != 0;
    Some(if is_strange { Consistency::undecided("it has features that are not known here") } else { found })
}

/// CRC-32C as the kernel uses it: begun with ones, and not inverted at the end.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 },
        )
    })
}

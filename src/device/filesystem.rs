//! File systems on an image, as far as it takes to tell whether one was mounted since.
//!
//! Looks at the superblocks of ext2 to ext4 and XFS, on the whole disk or in its partitions. ext keeps the times of its
//! last mount and last write; XFS keeps a log sequence number that only grows. Sources: the kernel's documentation,
//! "ext4/super" and "XFS self describing metadata".

use crate::block::ByteSize;
use crate::device::partition::{little, partitions};
use crate::fault::Fault;
use crate::snapshot::UnixMillis;

/// Which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileSystemKind {
    /// ext2, ext3 or ext4.
    Ext,
    /// XFS.
    Xfs,
}

impl FileSystemKind {
    /// As people call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ext => "ext4",
            Self::Xfs => "xfs",
        }
    }
}

/// A file system, by its superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Which one.
    pub kind: FileSystemKind,
    /// Its first byte on the image.
    pub offset: u64,
    /// How much of the image is its.
    pub size: ByteSize,
    /// Tells it from others, not from its copies.
    pub uuid: [u8; 16],
    /// When it was mounted last; `None` where it keeps no such time, or never was.
    pub mounted: Option<UnixMillis>,
    /// When its superblock was written last; `None` where it keeps no such time.
    pub written: Option<UnixMillis>,
    /// Grows with what is written (XFS); `None` where there is no such number.
    pub sequence: Option<u64>,
    /// Whether its journal holds nothing that is still to be done; `None` where the superblock does not tell.
    pub is_clean: Option<bool>,
}

impl FileSystem {
    /// The file system that begins at this byte of an image, by the first 4 KiB there.
    pub fn at(offset: u64, head: &[u8]) -> Option<Self> {
        ext(head, offset).or_else(|| xfs(head, offset))
    }

    /// Whether it keeps a time of its last mount or write.
    pub fn tells_when(&self) -> bool {
        self.mounted.is_some() || self.written.is_some()
    }

    /// Whether it was mounted or written to after this time, as it says itself.
    pub fn is_used_after(&self, time: UnixMillis) -> bool {
        [self.mounted, self.written].into_iter().flatten().any(|used| used > time)
    }

    /// Whether it is the other one, mounted or written to since.
    pub fn is_later_than(&self, other: &Self) -> bool {
        let same = (self.kind, self.offset, self.uuid) == (other.kind, other.offset, other.uuid);
        same && (self.mounted > other.mounted
            || self.written > other.written
            || self.sequence > other.sequence)
    }

    /// Whether these bytes of the image are its.
    pub fn holds(&self, offset: u64, len: u64) -> bool {
        offset >= self.offset && offset + len <= self.offset + self.size.bytes()
    }
}

/// Reads bytes of an image, from this offset on. May give fewer at the end.
pub type ReadAt<'a> = dyn FnMut(u64, usize) -> Result<Vec<u8>, Fault> + 'a;

/// The file systems of an image. What is not understood is left out.
pub fn file_systems(read: &mut ReadAt<'_>) -> Result<Vec<FileSystem>, Fault> {
    if let Some(whole) = at(read, 0)? {
        return Ok(vec![whole]);
    }
    let mut found = Vec::new();
    for partition in partitions(read)? {
        found.extend(at(read, partition.offset)?);
    }
    Ok(found)
}

/// A superblock is looked for in this much from the file system's first byte.
const HEAD: usize = 4096;

fn at(read: &mut ReadAt<'_>, offset: u64) -> Result<Option<FileSystem>, Fault> {
    let head = read(offset, HEAD)?;
    Ok(FileSystem::at(offset, &head))
}

fn ext(head: &[u8], offset: u64) -> Option<FileSystem> {
    let sb = head.get(1024..2048)?;
    if little::<2>(sb, 0x38)? != 0xef53 {
        return None;
    }
    let incompatible = little::<4>(sb, 0x60)?;
    let high = if incompatible & 0x80 != 0 { little::<4>(sb, 0x150)? } else { 0 };
    let blocks = little::<4>(sb, 0x4)? | high << 32;
    let block_size = 1024_u64.checked_shl(u32::try_from(little::<4>(sb, 0x18)?).ok()?)?;
    // Seconds since 1970 in 40 bits; 0 is never.
    let time = |low, high| {
        let seconds = little::<4>(sb, low)? | little::<1>(sb, high)? << 32;
        Some(UnixMillis(i64::try_from(seconds).ok()? * 1000)).filter(|_| seconds > 0)
    };
    Some(FileSystem {
        kind: FileSystemKind::Ext,
        offset,
        size: ByteSize::from_bytes(blocks.checked_mul(block_size)?),
        uuid: *sb.get(0x68..)?.first_chunk()?,
        mounted: time(0x2c, 0x275),
        written: time(0x30, 0x274),
        sequence: None,
        is_clean: Some(little::<2>(sb, 0x3a)? & 1 == 1 && incompatible & 0x4 == 0),
    })
}

fn xfs(head: &[u8], offset: u64) -> Option<FileSystem> {
    if head.get(..4)? != b"XFSB" {
        return None;
    }
    let big = |at: usize| Some(u64::from_be_bytes(*head.get(at..)?.first_chunk()?));
    let block_size = big(4)? >> 32;
    // Only version 5 keeps the sequence number of its superblock's last write.
    let is_v5 = big(100)? >> 48 & 0xf == 5;
    Some(FileSystem {
        kind: FileSystemKind::Xfs,
        offset,
        size: ByteSize::from_bytes(big(8)?.checked_mul(block_size)?),
        uuid: *head.get(32..)?.first_chunk()?,
        mounted: None,
        written: None,
        sequence: if is_v5 { big(240) } else { None },
        is_clean: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: [u8; 16] = *b"0123456789abcdef";

    fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
        image[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn ext_at(image: &mut [u8], start: usize, mounted: u32, written: u32) {
        let sb = start + 1024;
        put(image, sb + 4, &65_536_u32.to_le_bytes());
        put(image, sb + 0x18, &2_u32.to_le_bytes());
        put(image, sb + 0x2c, &mounted.to_le_bytes());
        put(image, sb + 0x30, &written.to_le_bytes());
        put(image, sb + 0x38, &0xef53_u16.to_le_bytes());
        put(image, sb + 0x3a, &1_u16.to_le_bytes());
        put(image, sb + 0x68, &UUID);
    }

    fn found(image: &[u8]) -> Vec<FileSystem> {
        let mut read = |at: u64, len: usize| {
            let at = usize::try_from(at).unwrap().min(image.len());
            Ok(image[at..(at + len).min(image.len())].to_vec())
        };
        file_systems(&mut read).unwrap()
    }

    #[test]
    fn an_ext_superblock_tells_its_extent_and_its_times() {
        let mut image = vec![0; 8192];
        ext_at(&mut image, 0, 1_700_000_000, 1_700_000_050);
        let [fs] = &found(&image)[..] else { panic!("one") };
        assert_eq!((fs.kind, fs.offset, fs.size), (FileSystemKind::Ext, 0, ByteSize::from_mib(256)));
        assert_eq!((fs.uuid, fs.is_clean), (UUID, Some(true)));
        assert!(
            fs.is_used_after(UnixMillis(1_700_000_049_999))
                && !fs.is_used_after(UnixMillis(1_700_000_050_000))
        );
        assert!(fs.holds(0, 256 << 20) && !fs.holds(1, 256 << 20));
        let before = fs.clone();
        ext_at(&mut image, 0, 1_700_000_001, 1_700_000_050);
        assert!(found(&image)[0].is_later_than(&before) && !before.is_later_than(&found(&image)[0]));
        image[1024 + 0x60] = 4;
        assert_eq!(found(&image)[0].is_clean, Some(false), "the journal is to be replayed");
    }

    #[test]
    fn an_xfs_superblock_tells_its_sequence() {
        let mut image = vec![0; 8192];
        put(&mut image, 0, b"XFSB");
        put(&mut image, 4, &4096_u32.to_be_bytes());
        put(&mut image, 8, &1024_u64.to_be_bytes());
        put(&mut image, 32, &UUID);
        put(&mut image, 100, &0xb4b5_u16.to_be_bytes());
        put(&mut image, 240, &7_u64.to_be_bytes());
        let [before] = &found(&image)[..] else { panic!("one") };
        assert_eq!((before.size, before.sequence), (ByteSize::from_mib(4), Some(7)));
        put(&mut image, 240, &8_u64.to_be_bytes());
        assert!(found(&image)[0].is_later_than(before) && !before.is_later_than(before));
    }

    #[test]
    fn file_systems_in_partitions_are_found_and_another_ones_uuid_is_another_one() {
        let start = 1 << 20;
        let mut image = vec![0; start + 8192];
        put(&mut image, 510, &[0x55, 0xaa]);
        let mut mbr = image.clone();
        put(&mut mbr, 446 + 4, &[0x83]);
        put(&mut mbr, 446 + 8, &2048_u32.to_le_bytes());
        ext_at(&mut mbr, start, 5, 6);
        assert_eq!(found(&mbr)[0].offset, start as u64);

        put(&mut image, 512, b"EFI PART");
        put(&mut image, 512 + 72, &2_u64.to_le_bytes());
        put(&mut image, 512 + 80, &128_u32.to_le_bytes());
        put(&mut image, 512 + 84, &128_u32.to_le_bytes());
        put(&mut image, 1024 + 128, &UUID);
        put(&mut image, 1024 + 128 + 32, &2048_u64.to_le_bytes());
        ext_at(&mut image, start, 7, 8);
        let [fs] = &found(&image)[..] else { panic!("one") };
        assert!(fs.is_later_than(&found(&mbr)[0]));
        put(&mut image, start + 1024 + 0x68, b"another");
        assert!(!found(&image)[0].is_later_than(fs) && !found(&image)[0].is_later_than(&found(&mbr)[0]));
    }

    #[test]
    fn rubbish_is_no_file_system_and_no_panic() {
        let mut numbers = 9_u32;
        for len in [0, 100, 511, 512, 1024, 1500, 4096, 9000] {
            let mut image: Vec<u8> = (0..len)
                .map(|_| {
                    numbers = numbers.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    numbers.to_be_bytes()[0]
                })
                .collect();
            let _ = found(&image);
            if len >= 1024 {
                put(&mut image, 510, &[0x55, 0xaa]);
                put(&mut image, 512, b"EFI PART");
                assert!(found(&image).is_empty());
            }
        }
    }
}

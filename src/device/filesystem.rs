//! File systems on a disk, as far as their superblocks go: which they are, whether they are clean, when they were used.
//!
//! ext2 to ext4 keep the times of their last mount and last write, XFS a log sequence number that only grows. Whether a
//! file system is clean is what it says about itself, by the rules of the driver that would mount it; the rest of its
//! structure is not looked at. What those rules leave open is undecided, never clean. Sources: the kernel's
//! documentation, "ext4/super" and "XFS self describing metadata", `fs/xfs/xfs_log_recover.c`, `fs/fat/inode.c`,
//! Microsoft's specification of exFAT, and `logfile.c` of ntfs-3g.

mod ext;
mod fat;
mod ntfs;
mod xfs;

use crate::block::ByteSize;
use crate::device::hyphened;
use crate::device::reader::{Reader, label, little};
use crate::fault::Fault;
use crate::snapshot::UnixMillis;

/// The kind of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileSystemKind {
    /// ext2, ext3 or ext4.
    Ext,
    /// XFS.
    Xfs,
    /// FAT12, FAT16 or FAT32.
    Vfat,
    /// exFAT.
    Exfat,
    /// NTFS.
    Ntfs,
    /// btrfs.
    Btrfs,
}

impl FileSystemKind {
    /// Returns its name for people, and for mount(8): `ext4`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ext => "ext4",
            Self::Xfs => "xfs",
            Self::Vfat => "vfat",
            Self::Exfat => "exfat",
            Self::Ntfs => "ntfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// Returns the kind that the kernel mounts under this name.
    pub fn of_mount(name: &str) -> Option<Self> {
        Some(match name {
            "ext2" | "ext3" | "ext4" => Self::Ext,
            "xfs" => Self::Xfs,
            "vfat" | "msdos" => Self::Vfat,
            "exfat" => Self::Exfat,
            "ntfs" | "ntfs3" | "fuseblk" => Self::Ntfs,
            "btrfs" => Self::Btrfs,
            _ => return None,
        })
    }
}

/// Whether a file system was unmounted in order, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Nothing is left to be done, and no error is recorded.
    Clean,
    /// Something is left to be done or to be repaired: what, as a clause.
    Dirty(String),
    /// It cannot be decided: why, as a clause.
    Undecided(String),
}

impl Consistency {
    fn undecided(why: &str) -> Self {
        Self::Undecided(why.to_owned())
    }

    /// Returns dirty for these reasons, clean without any.
    fn of(reasons: Vec<String>) -> Self {
        if reasons.is_empty() { Self::Clean } else { Self::Dirty(reasons.join(", ")) }
    }
}

/// A file system, by its superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its kind.
    pub kind: FileSystemKind,
    /// Its first byte on the disk.
    pub offset: u64,
    /// The bytes of the disk that it claims.
    pub size: ByteSize,
    /// Its UUID, or filled up with zeros its serial number. Copies have the same one.
    pub uuid: [u8; 16],
    /// Its name; `None` where it has none.
    pub label: Option<String>,
    /// The time of its last mount; `None` where it keeps no such time, or was never mounted.
    pub mounted: Option<UnixMillis>,
    /// The time of its superblock's last write; `None` where it keeps no such time.
    pub written: Option<UnixMillis>,
    /// A number that grows with every write (XFS); `None` where there is no such number.
    pub sequence: Option<u64>,
    /// Whether it is clean.
    pub consistency: Consistency,
}

/// Bytes from a file system's first one in which superblocks are looked for.
pub(super) const HEAD: usize = 68 << 10;

impl FileSystem {
    /// Returns the file system that begins at this byte of a disk, by the first bytes there. What takes more than these
    /// bytes to decide is undecided.
    pub fn at(offset: u64, head: &[u8]) -> Option<Self> {
        Self::all(offset, head).into_iter().next()
    }

    /// Returns every file system whose superblock is among these bytes: more than one where an older one was not wiped.
    pub(super) fn all(offset: u64, head: &[u8]) -> Vec<Self> {
        let found = [
            ext::superblock(head, offset),
            xfs::superblock(head, offset),
            fat::vfat(head, offset),
            fat::exfat(head, offset),
            ntfs::superblock(head, offset),
            btrfs(head, offset),
        ];
        found.into_iter().flatten().collect()
    }

    /// Reads what it takes to decide whether it is clean.
    pub(super) fn examine(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        if matches!(self.consistency, Consistency::Undecided(_)) {
            self.consistency = match self.kind {
                FileSystemKind::Xfs => xfs::consistency(reader, self.offset)?,
                FileSystemKind::Vfat => fat::consistency(reader, self.offset)?,
                FileSystemKind::Ntfs => {
                    self.label = ntfs::name(reader, self.offset)?;
                    ntfs::consistency(reader, self.offset)?
                }
                FileSystemKind::Ext | FileSystemKind::Exfat | FileSystemKind::Btrfs => return Ok(()),
            };
        }
        Ok(())
    }

    /// Returns whether it is clean; `None` where that is undecided.
    pub fn is_clean(&self) -> Option<bool> {
        match self.consistency {
            Consistency::Clean => Some(true),
            Consistency::Dirty(_) => Some(false),
            Consistency::Undecided(_) => None,
        }
    }

    /// Returns its UUID or serial number as blkid(8) writes it.
    pub fn id(&self) -> String {
        match self.kind {
            FileSystemKind::Vfat | FileSystemKind::Exfat => {
                let number = little::<4>(&self.uuid, 0).unwrap_or_default();
                format!("{:04X}-{:04X}", number >> 16, number & 0xffff)
            }
            FileSystemKind::Ntfs => format!("{:016X}", little::<8>(&self.uuid, 0).unwrap_or_default()),
            FileSystemKind::Ext | FileSystemKind::Xfs | FileSystemKind::Btrfs => hyphened(&self.uuid),
        }
    }

    /// Returns whether it keeps a time of its last mount or write.
    pub fn tells_when(&self) -> bool {
        self.mounted.is_some() || self.written.is_some()
    }

    /// Returns whether it was mounted or written to after this time, as it says itself.
    pub fn is_used_after(&self, time: UnixMillis) -> bool {
        [self.mounted, self.written].into_iter().flatten().any(|used| used > time)
    }

    /// Returns whether it is the other one, mounted or written to since.
    pub fn is_later_than(&self, other: &Self) -> bool {
        let same = (self.kind, self.offset, self.uuid) == (other.kind, other.offset, other.uuid);
        same && (self.mounted > other.mounted
            || self.written > other.written
            || self.sequence > other.sequence)
    }

    /// Returns whether these bytes of the disk belong to it.
    pub fn holds(&self, offset: u64, len: u64) -> bool {
        let end = |start: u64, len: u64| start.saturating_add(len);
        offset >= self.offset && end(offset, len) <= end(self.offset, self.size.bytes())
    }
}

/// Serial numbers are shorter than a UUID.
fn padded(serial: &[u8]) -> [u8; 16] {
    let mut uuid = [0; 16];
    uuid.iter_mut().zip(serial).for_each(|(to, from)| *to = *from);
    uuid
}

/// btrfs is recognised and named. Whether it is consistent is in its trees, which are not read.
fn btrfs(head: &[u8], offset: u64) -> Option<FileSystem> {
    let sb = head.get(65_536..)?;
    (sb.get(64..72)? == b"_BHRfS_M").then_some(())?;
    Some(FileSystem {
        kind: FileSystemKind::Btrfs,
        offset,
        size: ByteSize::from_bytes(little::<8>(sb, 0x70)?),
        uuid: *sb.get(0x20..)?.first_chunk()?,
        label: sb.get(0x12b..0x22b).and_then(label),
        mounted: None,
        written: None,
        sequence: little::<8>(sb, 0x48),
        consistency: Consistency::undecided("the trees of btrfs are not examined"),
    })
}

#[cfg(test)]
mod tests;

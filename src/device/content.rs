//! The content of an area of a disk, by what is written at its edges: file systems, swap space, and what others are made of.
//!
//! A few bytes at fixed places decide, so no tool is needed, and files are read as devices are. Sources:
//! `lib/format_text/layout.h` of lvm2, `include/uapi/linux/raid/md_p.h` and `include/linux/swap.h` of Linux, `luks.h` of
//! cryptsetup, `boot/i386/pc/diskboot.S` of GRUB. An area with the signatures of several is none of them.

use crate::block::is_zero;
use crate::device::filesystem::{self, FileSystem};
use crate::device::reader::{Reader, label, little};
use crate::fault::Fault;

/// The content of an area of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file system.
    FileSystem(FileSystem),
    /// A physical volume of LVM.
    PhysicalVolume {
        /// Its own UUID.
        uuid: String,
        /// The name and UUID of its volume group; `None` where it is in none.
        group: Option<(String, String)>,
    },
    /// A member of a software array (md).
    ArrayMember {
        /// The UUID of the array.
        uuid: [u8; 16],
    },
    /// Something encrypted: its scheme, `LUKS` or `BitLocker`, and its UUID where it is known.
    Encrypted(&'static str, Option<String>),
    /// Swap space.
    Swap {
        /// Its UUID.
        uuid: [u8; 16],
        /// Its name; `None` where it has none.
        label: Option<String>,
        /// Whether it holds the memory of a system that was suspended.
        is_suspended: bool,
    },
    /// The code of the boot loader GRUB.
    BootCode,
    /// Something else that is recognised, by its name: `squashfs`.
    Other(&'static str),
    /// The signatures of several of these.
    Several(Vec<String>),
    /// The table of logical partitions.
    LogicalPartitions,
    /// Zeros.
    Zeros,
    /// Zeros at its beginning; the rest was not read.
    ZerosAtFirst,
    /// Nothing that is recognised.
    Unknown,
    /// It could not be read; the reason.
    Unreadable(String),
}

impl Content {
    /// Returns its name for people and programs: `ext4`, `LVM physical volume`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::FileSystem(found) => found.kind.as_str(),
            Self::PhysicalVolume { .. } => "LVM physical volume",
            Self::ArrayMember { .. } => "RAID member",
            Self::Encrypted(scheme, _) => scheme,
            Self::Swap { .. } => "swap",
            Self::BootCode => "GRUB",
            Self::Other(name) => name,
            Self::Several(_) => "several",
            Self::LogicalPartitions => "logical partitions",
            Self::Zeros => "zeros",
            Self::ZerosAtFirst | Self::Unknown => "unknown",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// Returns the name that it bears.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::FileSystem(found) => found.label.as_deref(),
            Self::PhysicalVolume { group, .. } => group.as_ref().map(|(name, _)| name.as_str()),
            Self::Swap { label, .. } => label.as_deref(),
            _ => None,
        }
    }

    /// Returns its UUID, or another identifier that its copies share.
    pub fn uuid(&self) -> Option<String> {
        match self {
            Self::FileSystem(found) => Some(found.id()),
            Self::PhysicalVolume { uuid, .. } => Some(uuid.clone()),
            Self::ArrayMember { uuid } | Self::Swap { uuid, .. } => Some(hyphened(uuid)),
            Self::Encrypted(_, uuid) => uuid.clone(),
            _ => None,
        }
    }

    /// Returns whether something is recognised there.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self, Self::Zeros | Self::ZerosAtFirst | Self::Unknown | Self::Unreadable(_))
    }

    /// Returns what distinguishes it from all others but its copies, for people and to be compared. A machine that uses
    /// something of the same identity and attaches a copy of it has two, and may take one for the other.
    pub fn identities(&self) -> Vec<String> {
        match self {
            Self::FileSystem(found) => vec![format!("file system {}", found.id())],
            Self::PhysicalVolume { uuid, group } => {
                let group = group.iter().map(|(name, uuid)| format!("volume group {name} ({uuid})"));
                [format!("physical volume {uuid}")].into_iter().chain(group).collect()
            }
            Self::ArrayMember { uuid } => vec![format!("array {}", hyphened(uuid))],
            Self::Encrypted(scheme, Some(uuid)) => vec![format!("{scheme} volume {uuid}")],
            Self::Swap { uuid, .. } => vec![format!("swap space {}", hyphened(uuid))],
            _ => Vec::new(),
        }
    }
}

/// A UUID as it is written: `01234567-89ab-cdef-0123-456789abcdef`.
pub fn hyphened(uuid: &[u8; 16]) -> String {
    let digits: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    grouped(&digits, &[8, 4, 4, 4, 12])
}

fn grouped(text: &str, lengths: &[usize]) -> String {
    let mut rest = text;
    let groups = lengths.iter().map_while(|length| {
        let (group, after) = rest.split_at_checked(*length)?;
        rest = after;
        Some(group)
    });
    groups.collect::<Vec<_>>().join("-")
}

/// Returns the content of an area. A member of an array may look like what the array holds, so that is looked for first.
pub(super) fn content(reader: &mut Reader<'_>, offset: u64, len: u64) -> Result<Content, Fault> {
    let most = usize::try_from(len).unwrap_or(usize::MAX);
    let head = reader.bytes(offset, filesystem::HEAD.min(most))?;
    if let Some(uuid) = array(reader, &head, offset, len)? {
        return Ok(Content::ArrayMember { uuid });
    }
    let mut found: Vec<Content> = physical_volume(reader, &head, offset)?.into_iter().collect();
    found.extend(encrypted(&head));
    found.extend(swap(&head));
    found.extend(
        OTHERS.iter().filter_map(|(name, at, magic)| {
            head.get(*at..)?.starts_with(magic).then_some(Content::Other(name))
        }),
    );
    for mut system in FileSystem::all(offset, &head) {
        system.examine(reader)?;
        found.push(Content::FileSystem(system));
    }
    Ok(match found.len() {
        0 if is_grub(&head) => Content::BootCode,
        0 if is_zero(&head) => Content::ZerosAtFirst,
        0 => Content::Unknown,
        1 => found.remove(0),
        _ => Content::Several(found.iter().map(|one| one.as_str().to_owned()).collect()),
    })
}

/// What is recognised and not examined: its name, and where it bears which bytes.
const OTHERS: &[(&str, usize, &[u8])] = &[
    ("f2fs", 1024, &[0x10, 0x20, 0xf5, 0xf2]),
    ("squashfs", 0, b"hsqs"),
    ("iso9660", 32_769, b"CD001"),
    ("reiserfs", 65_588, b"ReIsEr"),
    ("jfs", 32_768, b"JFS1"),
];

fn encrypted(head: &[u8]) -> Option<Content> {
    if head.starts_with(b"LUKS\xba\xbe") {
        return Some(Content::Encrypted("LUKS", head.get(168..208).and_then(label)));
    }
    (head.get(3..11)? == b"-FVE-FS-").then_some(Content::Encrypted("BitLocker", None))
}

/// Swap space bears its signature at the end of its first page; a suspended system replaces it.
fn swap(head: &[u8]) -> Option<Content> {
    let signature = [4096, 8192, 16_384, 32_768, 65_536].into_iter().find_map(|page: usize| {
        let signature = head.get(page - 10..page)?;
        let is_swap = signature == b"SWAPSPACE2";
        let suspended = [&b"S1SUSPEND\0"[..], b"S2SUSPEND\0", b"ULSUSPEND\0", b"LINHIB0001"];
        let is_suspended = suspended.contains(&signature);
        (is_swap || is_suspended).then_some(is_suspended)
    });
    Some(Content::Swap {
        uuid: *head.get(1036..)?.first_chunk()?,
        label: label(head.get(1052..1068)?),
        is_suspended: signature?,
    })
}

/// Whether an area begins with the sector by which GRUB loads the rest of itself: its messages are there.
fn is_grub(head: &[u8]) -> bool {
    let has = |words: &[u8]| {
        head.get(..512).is_some_and(|sector| sector.windows(words.len()).any(|at| at == words))
    };
    has(b"loading") && has(b"Geom\0Read\0 Error\0")
}

const MD_MAGIC: u64 = 0xa92b_4efc;

/// The UUID of the array that an area is a member of. Its superblock lies at the beginning, 4 KiB after it, or near the
/// end: in version 1.0 8 to 12 KiB, in version 0.90 64 to 128 KiB before it.
fn array(reader: &mut Reader<'_>, head: &[u8], offset: u64, len: u64) -> Result<Option<[u8; 16]>, Fault> {
    let at_start = [0, 4096].into_iter().find_map(|at| md1(head.get(at..)?));
    if at_start.is_some() || len < 128 << 10 {
        return Ok(at_start);
    }
    // Sectors of 512 bytes, rounded down to 4 KiB.
    let near = ((len / 512 - 16) & !7) * 512;
    let far = (len & !0xffff) - 0x1_0000;
    let of_near = reader.bytes(offset.saturating_add(near), 256)?;
    let of_far = reader.bytes(offset.saturating_add(far), 256)?;
    Ok(md1(&of_near).or_else(|| md0(&of_far)))
}

fn md1(sb: &[u8]) -> Option<[u8; 16]> {
    (little::<4>(sb, 0)? == MD_MAGIC && little::<4>(sb, 4)? == 1).then_some(())?;
    sb.get(16..)?.first_chunk().copied()
}

fn md0(sb: &[u8]) -> Option<[u8; 16]> {
    (little::<4>(sb, 0)? == MD_MAGIC && little::<4>(sb, 4)? == 0).then_some(())?;
    let (first, rest) = (sb.get(20..24)?, sb.get(52..64)?);
    [first, rest].concat().try_into().ok()
}

/// Groups of a UUID of LVM.
const LVM_UUID: [usize; 7] = [6, 4, 4, 4, 4, 4, 6];

/// The beginning of a volume group's description, which its name and UUID are in.
const DESCRIPTION: u64 = 4096;

fn physical_volume(reader: &mut Reader<'_>, head: &[u8], offset: u64) -> Result<Option<Content>, Fault> {
    // The label is in one of the first four sectors.
    let found = (0..4)
        .filter_map(|sector| head.get(sector * 512..))
        .find(|label| label.starts_with(b"LABELONE") && label.get(24..32) == Some(b"LVM2 001"));
    let header = found.and_then(|label| label.get(usize::try_from(little::<4>(label, 20)?).ok()?..));
    let Some((header, uuid)) = header.and_then(|header| Some((header, header.first_chunk::<32>()?))) else {
        return Ok(None);
    };
    let uuid = grouped(&label(uuid).unwrap_or_default(), &LVM_UUID);
    let group = match description(header) {
        Some(start) => group(reader, offset.saturating_add(start))?,
        None => None,
    };
    Ok(Some(Content::PhysicalVolume { uuid, group }))
}

/// Where the first metadata area begins: in the second of two lists of places, each of which ends with zeros.
fn description(header: &[u8]) -> Option<u64> {
    let mut places = header.get(40..)?.chunks_exact(16).map(|place| little::<8>(place, 0));
    places.by_ref().find(|place| *place == Some(0))?;
    places.next()?.filter(|start| *start > 0)
}

/// Name and UUID of the volume group that a metadata area describes: `data { id = "..."`.
fn group(reader: &mut Reader<'_>, area: u64) -> Result<Option<(String, String)>, Fault> {
    let header = reader.bytes(area, 512)?;
    if header.get(4..20) != Some(b" LVM2 x[5A%r0N*>") {
        return Ok(None);
    }
    let start = little::<8>(&header, 40).filter(|start| *start > 0);
    let Some(start) = start.and_then(|start| area.checked_add(start)) else { return Ok(None) };
    let text = reader.bytes(start, usize::try_from(DESCRIPTION).unwrap_or_default())?;
    let text = String::from_utf8_lossy(&text);
    let told = text.split_once(" {").and_then(|(name, rest)| {
        let (_, id) = rest.split_once("id = \"")?;
        Some((name.to_owned(), id.split_once('"')?.0.to_owned()))
    });
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    Ok(told.filter(|(name, id)| is_word(name) && is_word(id)))
}

#[cfg(test)]
mod tests;

//! Partitions of a disk, as Linux numbers them: of a GPT (UEFI specification, 5.3), or of an MBR with its logical ones.
//!
//! Where the kernel follows one of several tables, this does, too: a GPT counts where a protective MBR announces it, also
//! a hybrid one, and its backup where the primary header is damaged. An entry that no partition can be made of is kept
//! with the reason: what a table names and cannot be found was not looked at.

mod gpt;
mod mbr;

use crate::device::reader::Reader;
use crate::fault::Fault;
use std::fmt;

/// The type that a table gives a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionType {
    /// The type byte of an MBR entry.
    Mbr(u8),
    /// The type GUID of a GPT entry, as it lies on the disk.
    Gpt([u8; 16]),
}

/// What a type says about the content to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Code of a boot loader, without a file system.
    BiosBoot,
    /// Swap space.
    Swap,
    /// Other partitions.
    Extended,
    /// Anything else.
    Data,
}

impl PartitionType {
    pub(super) fn role(self) -> Role {
        match self {
            Self::Mbr(0x05 | 0x0f | 0x85) => Role::Extended,
            Self::Mbr(0x82) => Role::Swap,
            Self::Mbr(_) => Role::Data,
            Self::Gpt(_) => match self.to_string().as_str() {
                "BIOS boot" => Role::BiosBoot,
                "Linux swap" => Role::Swap,
                _ => Role::Data,
            },
        }
    }
}

impl fmt::Display for PartitionType {
    /// Its name, or where it has none here, the byte or the GUID.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mbr(byte) => match mbr::TYPES.iter().find(|(known, _)| known == byte) {
                Some((_, name)) => f.write_str(name),
                None => write!(f, "{byte:#04x}"),
            },
            Self::Gpt(guid) => {
                let text = gpt::guid(guid);
                let known = gpt::TYPES.iter().find(|(known, _)| *known == text);
                f.write_str(known.map_or(&text, |(_, name)| name))
            }
        }
    }
}

/// A partition that a table names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its number, from 1 on: Linux's `p1`.
    pub(super) number: u32,
    /// Its first byte on the disk.
    pub(super) offset: u64,
    /// Its length in bytes.
    pub(super) len: u64,
    pub(super) kind: PartitionType,
    /// The name that a GPT gives it.
    pub(super) label: Option<String>,
    /// Why it cannot be relied on.
    pub(super) defect: Option<String>,
}

/// What a disk has as partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// None.
    Absent,
    /// One that cannot be read, with the reason.
    Damaged(String),
    /// At least one partition.
    Present {
        /// The partitions, by number.
        entries: Vec<Entry>,
        /// What is wrong with it and keeps no partition from being found, in sentences.
        remarks: Vec<String>,
    },
}

/// Reads the partition table of a disk.
pub(super) fn table(reader: &mut Reader<'_>) -> Result<Table, Fault> {
    let sector = reader.bytes(0, 512)?;
    let Some(primary) = mbr::primary(&sector) else { return Ok(Table::Absent) };
    let mut table = match primary.iter().find(|entry| entry.kind == 0xee) {
        Some(protective) => gpt::table(reader, protective)?,
        None => mbr::table(reader, &primary)?,
    };
    if let Table::Present { entries, .. } = &mut table {
        let size = reader.size();
        for entry in entries {
            let is_within = entry.offset.checked_add(entry.len).is_some_and(|end| end <= size);
            if entry.defect.is_none() && (entry.len == 0 || !is_within) {
                entry.defect = Some("it is not within the disk".to_owned());
            }
        }
    }
    Ok(table)
}

//! The layout of a disk: its partitions, what each is for, what is in it, and whether that is clean.
//!
//! This is the one reader of partition tables and superblocks. Level 5 of a verification judges by it, drills mount by it,
//! it answers whether a file system was mounted since, and whose UUIDs a disk bears. It never fails and never guesses:
//! every partition that a table names is listed, and what could not be read, recognised or decided is
//! [`Condition::NotLookedAt`].

use crate::block::ByteSize;
use crate::device::content::{Content, content};
use crate::device::filesystem::{Consistency, FileSystem};
use crate::device::partition::{Entry, PartitionType, Role, Table, table};
use crate::device::reader::{Readable, Reader};
use std::fmt;
use std::str::FromStr;

/// The name of a part of a disk, in reports and on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartitionName {
    /// The whole disk: one without a partition table, or what lies under the table.
    Disk,
    /// A partition, by its number.
    Number(u32),
}

impl fmt::Display for PartitionName {
    /// `disk` or the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => f.write_str("disk"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// Text that names no part of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the number of a partition, as in 2, or disk for a disk without partitions")]
pub struct PartitionNameError;

impl FromStr for PartitionName {
    type Err = PartitionNameError;

    /// `2`, `p2` or `disk`.
    fn from_str(text: &str) -> Result<Self, PartitionNameError> {
        if text == "disk" {
            return Ok(Self::Disk);
        }
        let digits = text.strip_prefix('p').unwrap_or(text);
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse().ok().filter(|number| is_number && *number > 0);
        number.map(Self::Number).ok_or(PartitionNameError)
    }
}

/// What is known of a partition's condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Its file system says that it is clean.
    Clean,
    /// It says that it is not, or cannot be.
    Dirty,
    /// By type and content it holds nothing that could be unclean.
    NothingToCheck,
    /// It may hold anything.
    NotLookedAt,
}

impl Condition {
    /// Returns its name in JSON: `not_looked_at`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Dirty => "dirty",
            Self::NothingToCheck => "nothing_to_check",
            Self::NotLookedAt => "not_looked_at",
        }
    }

    /// Returns its name for people.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Dirty => "not clean",
            Self::NothingToCheck => "nothing to check",
            Self::NotLookedAt => "not looked at",
        }
    }
}

/// A partition, or a disk without partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPartition {
    /// Its name.
    pub name: PartitionName,
    /// Its first byte on the disk.
    pub offset: u64,
    /// Its size.
    pub size: ByteSize,
    /// The type that the table gives it; `None` of a whole disk.
    pub kind: Option<PartitionType>,
    /// The name that the table gives it; `None` where it gives none.
    pub label: Option<String>,
    /// Its content.
    pub content: Content,
    /// Its condition.
    pub condition: Condition,
    /// Why that is so, as a clause; `None` where the condition says it all.
    pub why: Option<String>,
}

impl DiskPartition {
    fn new(
        name: PartitionName,
        (offset, len): (u64, u64),
        kind: Option<PartitionType>,
        content: Content,
    ) -> Self {
        let size = ByteSize::from_bytes(len);
        let (condition, why) = judged(kind, &content, size);
        Self { name, offset, size, kind, label: None, content, condition, why }
    }

    fn of_entry(reader: &mut Reader<'_>, entry: Entry) -> Self {
        let name = PartitionName::Number(entry.number);
        let extent = (entry.offset, entry.len);
        let content = match entry.kind.role() {
            Role::Extended => Content::LogicalPartitions,
            Role::BiosBoot | Role::Swap | Role::Data => content_of(reader, entry.offset, entry.len),
        };
        let mut partition = Self { label: entry.label, ..Self::new(name, extent, Some(entry.kind), content) };
        if let Some(defect) = entry.defect.filter(|_| partition.condition != Condition::Dirty) {
            (partition.condition, partition.why) = (Condition::NotLookedAt, Some(defect));
        }
        partition
    }

    /// Returns its file system, where it has one that is recognised.
    pub fn file_system(&self) -> Option<&FileSystem> {
        match &self.content {
            Content::FileSystem(found) => Some(found),
            _ => None,
        }
    }
}

impl fmt::Display for DiskPartition {
    /// `partition 1 (ext4, cloudimg-rootfs)`, `whole disk (unknown)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            PartitionName::Disk => f.write_str("whole disk")?,
            PartitionName::Number(number) => write!(f, "partition {number}")?,
        }
        write!(f, " ({}", self.content.as_str())?;
        let label = self.content.label().or(self.label.as_deref()).map(str::to_owned);
        if let Some(name) = label.or_else(|| self.content.uuid()) {
            write!(f, ", {name}")?;
        }
        f.write_str(")")
    }
}

/// The layout of a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Its partitions, by number; the whole disk where it has none.
    pub partitions: Vec<DiskPartition>,
    /// Content of the whole disk that its partition table has replaced, and that was not wiped.
    pub replaced: Option<Content>,
    /// What else there is to say, in sentences.
    pub remarks: Vec<String>,
}

/// Bytes that are read to find that an area holds zeros only; more would take as long as a verification.
const MOST_ZEROS: u64 = 1 << 30;

impl Layout {
    /// Reads the layout of a disk: its table and superblocks, and no more.
    pub fn read(disk: &dyn Readable) -> Self {
        let (mut reader, size) = (Reader::new(disk), disk.size());
        let whole = |content| DiskPartition::new(PartitionName::Disk, (0, size), None, content);
        let only = |content| Self { partitions: vec![whole(content)], ..Self::default() };
        let (entries, remarks) = match table(&mut reader) {
            Ok(Table::Absent) => return only(content_of(&mut reader, 0, size)),
            Ok(Table::Present { entries, remarks }) => (entries, remarks),
            Ok(Table::Damaged(why)) => {
                let mut layout = only(content_of(&mut reader, 0, size));
                let disk = &mut layout.partitions[0];
                (disk.condition, disk.why) = (Condition::NotLookedAt, Some(why));
                return layout;
            }
            Err(fault) => return only(Content::Unreadable(fault.to_string())),
        };
        let under = content_of(&mut reader, 0, size);
        let partitions =
            entries.into_iter().map(|entry| DiskPartition::of_entry(&mut reader, entry)).collect();
        let mut layout = Self { partitions, replaced: None, remarks };
        if under.is_known() {
            layout.put_under(under, &whole);
        }
        layout
    }

    /// Takes account of what the whole disk bears beside its table. It was replaced by the table where a partition holds
    /// something; but an array may well hold the table, and a table of nothing may be the older one.
    fn put_under(&mut self, under: Content, whole: &dyn Fn(Content) -> DiskPartition) {
        let is_array = matches!(under, Content::ArrayMember { .. });
        let is_used =
            |one: &DiskPartition| one.content.is_known() && one.content != Content::LogicalPartitions;
        if !is_array && self.partitions.iter().any(is_used) {
            self.remarks.push(format!(
                "The whole disk bears an older signature ({}) under its partition table; the partitions were looked at, and \
                 not that.",
                under.as_str()
            ));
            self.replaced = Some(under);
            return;
        }
        let mut disk = whole(under);
        disk.condition = Condition::NotLookedAt;
        disk.why = Some("the disk bears both this and a partition table".to_owned());
        self.partitions.insert(0, disk);
    }

    /// Reads what begins with zeros to its end, within limits, to know whether it is empty.
    pub fn look_for_zeros(&mut self, disk: &dyn Readable) {
        let mut reader = Reader::new(disk);
        for partition in &mut self.partitions {
            if partition.content != Content::ZerosAtFirst {
                continue;
            }
            let found = reader.is_zero(partition.offset, partition.size.bytes(), MOST_ZEROS);
            let content = match found {
                Ok(Some(true)) => Content::Zeros,
                Ok(Some(false)) => Content::Unknown,
                Ok(None) => continue,
                Err(fault) => Content::Unreadable(fault.to_string()),
            };
            let (condition, why) = judged(partition.kind, &content, partition.size);
            (partition.content, partition.condition, partition.why) = (content, condition, why);
        }
    }

    /// Returns its file systems, as far as they are recognised.
    pub fn file_systems(&self) -> impl Iterator<Item = &FileSystem> {
        self.partitions.iter().filter_map(DiskPartition::file_system)
    }

    /// Returns a partition by its name.
    pub fn partition(&self, name: PartitionName) -> Option<&DiskPartition> {
        self.partitions.iter().find(|one| one.name == name)
    }

    /// Returns all identities that it bears, also those of what was replaced: programs that look for them may find both.
    pub fn identities(&self) -> Vec<String> {
        let contents = self.partitions.iter().map(|one| &one.content).chain(&self.replaced);
        contents.flat_map(Content::identities).collect()
    }

    /// Returns what kept it from being read; `None` where its table was.
    pub fn fault(&self) -> Option<&str> {
        match self.partitions.first().map(|one| (&one.name, &one.content)) {
            Some((PartitionName::Disk, Content::Unreadable(why))) => Some(why),
            _ => None,
        }
    }
}

fn content_of(reader: &mut Reader<'_>, offset: u64, len: u64) -> Content {
    content(reader, offset, len).unwrap_or_else(|fault| Content::Unreadable(fault.to_string()))
}

/// Returns the condition of a partition by its type and its content, and why it is so.
fn judged(kind: Option<PartitionType>, content: &Content, size: ByteSize) -> (Condition, Option<String>) {
    use Condition::{Clean, Dirty, NotLookedAt, NothingToCheck};
    let role = kind.map(PartitionType::role);
    let because = |condition, why: &str| (condition, Some(why.to_owned()));
    match content {
        Content::FileSystem(found) => match &found.consistency {
            Consistency::Dirty(why) => because(Dirty, why),
            _ if found.size > size => {
                let why = format!("it is a file system of {} on {size}", found.size);
                (Dirty, Some(why))
            }
            Consistency::Undecided(why) => because(NotLookedAt, why),
            Consistency::Clean => (Clean, None),
        },
        Content::Swap { is_suspended: true, .. } => {
            because(Dirty, "it holds the memory of a suspended system")
        }
        Content::Swap { .. } if matches!(role, None | Some(Role::Swap)) => (NothingToCheck, None),
        Content::BootCode if role == Some(Role::BiosBoot) => (NothingToCheck, None),
        Content::Swap { .. } | Content::BootCode => {
            let kind = kind.map_or_else(|| "none".to_owned(), |kind| kind.to_string());
            (NotLookedAt, Some(format!("its type is {kind}, which does not fit its content")))
        }
        Content::LogicalPartitions => because(NothingToCheck, "its partitions are listed by themselves"),
        Content::Zeros if kind.is_some() => (NothingToCheck, None),
        Content::Zeros => {
            because(NotLookedAt, "the disk is empty: it has no partition table and no file system")
        }
        Content::ZerosAtFirst => {
            because(NotLookedAt, "it begins with zeros; not all of it was read to find more")
        }
        Content::Unknown => because(NotLookedAt, "its content is not recognised"),
        Content::Unreadable(why) => because(NotLookedAt, &format!("it could not be read: {why}")),
        Content::PhysicalVolume { .. } => because(NotLookedAt, "the logical volumes in it are not examined"),
        Content::ArrayMember { .. } => {
            because(NotLookedAt, "the array that it is a part of is not assembled")
        }
        Content::Encrypted(..) => because(NotLookedAt, "it is encrypted"),
        Content::Other(name) => because(NotLookedAt, &format!("{name} is not examined")),
        Content::Several(names) => {
            let why = format!("it bears the signatures of {}", names.join(" and "));
            (NotLookedAt, Some(why))
        }
    }
}

/// Reads the layout of what a fuzzer brings.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_layout(bytes: &[u8]) {
    let mut layout = Layout::read(&bytes);
    layout.look_for_zeros(&bytes);
    assert!(!layout.partitions.is_empty());
    for partition in &layout.partitions {
        let is_clean = partition.file_system().and_then(FileSystem::is_clean);
        assert!(partition.condition != Condition::Clean || is_clean == Some(true), "{partition}");
        assert!(
            is_clean != Some(false)
                || matches!(partition.condition, Condition::Dirty | Condition::NotLookedAt)
        );
        assert!(!partition.to_string().contains(char::is_control));
    }
}

#[cfg(test)]
mod tests;

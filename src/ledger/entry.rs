//! What a verification leaves in the ledger.

use crate::block::BlockSet;
use serde::{Deserialize, Serialize};

/// The version of entries that is written. Entries of version 1 have no [`Details`]; they are read as before.
pub const FORMAT: u32 = 2;

/// Ranges of blocks that an entry lists at most. Where there are more, none is listed.
pub const MAX_RANGES: usize = 1024;

/// Entries that an entry names as known to it, at most.
pub const MAX_KNOWN: usize = 64;

/// One verification of one snapshot. Fields are only ever added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of the entry's format: 1 where it does not say.
    #[serde(default = "first_format")]
    pub format: u32,
    /// Names the run.
    pub run_id: String,
    /// The snapshot that was verified, or that the manifest is of.
    pub snapshot_id: String,
    /// The volume that it is of, where that is known.
    pub volume_id: Option<String>,
    /// What it was held against, where that is more than checksums and manifests.
    pub target: Option<String>,
    /// How deep, 0 to 6.
    pub level: u8,
    /// Which blocks: `full`, `cycle`, `delta+sample`.
    pub mode: String,
    /// How it ended: `pass`.
    pub state: String,
    /// Blocks that the level speaks of.
    pub blocks_total: u64,
    /// Of these, blocks read to a verdict.
    pub blocks_read: u64,
    /// Blocks that are wrong.
    pub mismatches: u64,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
    /// Facts since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// Ed25519 signature of the file's bytes without this field, in hexadecimal. It is the last field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

const fn first_format() -> u32 {
    1
}

/// Facts of a run that decide what its entry proves, and in which order it stands to others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// Which blocks were read: `all`, `part`, `sample`.
    pub extent: String,
    /// Whether blocks of the snapshot itself were read, and not a manifest of it alone.
    pub reads_snapshot: bool,
    /// What blocks were expected to be.
    pub reference: Reference,
    /// The kind of thing that was read beside the snapshot or manifest; `None` where nothing was.
    pub counterpart: Option<Counterpart>,
    /// Blocks that were chosen.
    pub blocks_planned: u64,
    /// Of the blocks read, those that an interrupted earlier run had read.
    pub blocks_resumed: u64,
    /// Whether such blocks were counted although nothing proved that nothing had changed since.
    pub resumed_on_trust: bool,
    /// Blocks read, as a share of the total: 0 to 1.
    pub coverage: f64,
    /// Largest share of the blocks that may be damaged, with 95 % confidence where they were drawn at random; `None`
    /// where something was wrong.
    pub upper_bound_95: Option<f64>,
    /// Parts that were read whole, from 1.
    pub parts: Vec<u32>,
    /// Of how many.
    pub parts_of: Option<u32>,
    /// When the cycle began that this run completes, in milliseconds since 1970.
    pub cycle_began_ms: Option<i64>,
    /// Blocks read, as pairs of first block and number; `None` where they are all, or too many ranges to list.
    pub read: Option<Vec<(u32, u32)>>,
    /// Blocks that are wrong, likewise; `None` where the failure is none of single blocks, or they are too many ranges.
    pub failed: Option<Vec<(u32, u32)>>,
    /// When the first of its blocks was read, in milliseconds since 1970: by the run itself, or by an interrupted one
    /// that it goes on with.
    pub began_ms: i64,
    /// The newest entries of the snapshot that were there when the first block was read, by SHA-256: all that is read
    /// came after those, whatever the clocks say.
    pub known: Vec<String>,
    /// The evidence that was kept of the run.
    pub bundle: Option<Bundle>,
    /// The key that signs the entry, in hexadecimal.
    pub public_key: Option<String>,
}

/// What blocks were expected to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// What it is.
    pub kind: ReferenceKind,
    /// Where a manifest's digests came from.
    pub origin: Option<ReferenceOrigin>,
    /// The manifest's file.
    pub name: Option<String>,
    /// Its map root; of a snapshot where all of it was read.
    pub map_root: Option<String>,
    /// Its content root, likewise.
    pub content_root: Option<String>,
}

/// The kinds of reference there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceKind {
    /// The snapshot, as its service gives it.
    Snapshot,
    /// A manifest.
    Manifest,
}

impl ReferenceKind {
    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Manifest => "manifest",
        }
    }
}

/// Where the digests of a manifest came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceOrigin {
    /// The volume that was backed up, or an image of it.
    Source,
    /// The same snapshot, read earlier.
    EarlierRead,
    /// Another snapshot.
    Copy,
}

impl ReferenceOrigin {
    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::EarlierRead => "earlier_read",
            Self::Copy => "copy",
        }
    }
}

/// What was read beside the snapshot or manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counterpart {
    /// What it is.
    pub kind: CounterpartKind,
    /// Which one, where that is known: a volume's or a snapshot's id.
    pub id: Option<String>,
}

/// The kinds of counterpart there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterpartKind {
    /// A block device.
    Device,
    /// An image file.
    File,
    /// Another snapshot.
    Snapshot,
}

/// A bundle of evidence that holds the run's report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Its number.
    pub number: u64,
    /// SHA-256 of its statement.
    pub sha256: String,
}

impl CounterpartKind {
    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::File => "file",
            Self::Snapshot => "snapshot",
        }
    }
}

impl Entry {
    /// The kind of target that the run read. Entries of version 1 have its name alone.
    pub fn counterpart(&self) -> Option<CounterpartKind> {
        match (&self.details, &self.target) {
            (Some(details), _) => details.counterpart.as_ref().map(|of| of.kind),
            (None, None) => None,
            (None, Some(name)) if name.starts_with("snap-") => Some(CounterpartKind::Snapshot),
            (None, Some(name)) if name.starts_with("/dev/") => Some(CounterpartKind::Device),
            (None, Some(_)) => Some(CounterpartKind::File),
        }
    }

    /// The share of the blocks that was read. Of no blocks nothing was read.
    pub fn coverage(&self) -> f64 {
        if self.blocks_total == 0 { 0.0 } else { self.blocks_read as f64 / self.blocks_total as f64 }
    }

    /// Whether this run alone read every block that its level speaks of, none of them on trust.
    pub fn reads_everything(&self) -> bool {
        let is_all = self.blocks_total > 0 && self.blocks_read == self.blocks_total;
        is_all
            && match &self.details {
                // A partial entry of version 1 does not say enough to be taken for a whole one.
                None => self.mode == "full",
                Some(details) => details.extent == "all" && !details.resumed_on_trust,
            }
    }

    /// The largest share of the blocks that may be damaged although the run has passed.
    pub fn bound(&self) -> f64 {
        let unread = 1.0 - self.coverage();
        match &self.details {
            _ if self.reads_everything() => 0.0,
            Some(details) if !details.resumed_on_trust => details.upper_bound_95.unwrap_or(unread),
            Some(_) | None => unread,
        }
    }

    /// When its first block was read.
    pub fn began_ms(&self) -> i64 {
        self.details.as_ref().map_or(self.started_ms, |details| details.began_ms)
    }
}

/// The blocks as an entry lists them; `None` where they are in too many ranges.
pub fn ranges(blocks: &BlockSet) -> Option<Vec<(u32, u32)>> {
    let listed: Vec<_> =
        blocks.ranges().take(MAX_RANGES + 1).map(|range| (range.start().get(), range.len())).collect();
    (listed.len() <= MAX_RANGES).then_some(listed)
}

/// Parts of a cycle that one run has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleEntry {
    /// Which cycle: of a volume, or of a subject and its target.
    pub of: String,
    /// Its length.
    pub days: u32,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// When these parts had been read.
    pub read_ms: i64,
    /// The parts, from 1.
    pub parts: Vec<u32>,
    /// A digest of what was read: of the same snapshot or manifest against the same, unchanged target it is the same.
    /// Absent where nothing shows that a target is unchanged, and in entries of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

//! What is known of a snapshot without reading it.

use crate::block::{ByteSize, Digest, GiB};
use crate::snapshot::{Lineage, SnapshotId, VolumeId};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Tags by key, in order.
pub type Tags = BTreeMap<String, String>;

/// Milliseconds since 1970-01-01 UTC: the resolution of AWS's start times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Later by so many milliseconds.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The time of day counted in whole seconds; a fraction is cut off.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// One tag as typed: `Key=Value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// At most 127 characters.
    pub key: String,
    /// At most 255 characters; may be empty.
    pub value: String,
}

/// A text that is no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a tag: expected Key=Value, the key at most 127 and the value at most 255 characters")]
pub struct TagError(String);

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let refused = || TagError(text.chars().take(80).collect());
        let (key, value) = text.split_once('=').ok_or_else(refused)?;
        if key.is_empty() || key.chars().count() > 127 || value.chars().count() > 255 {
            return Err(refused());
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

/// Where a snapshot stands (EC2 model, `SnapshotState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SnapshotState {
    /// Started, not completed: not readable yet.
    Pending,
    /// Readable.
    Completed,
    /// Failed for good.
    Error,
    /// In the Recycle Bin.
    Recoverable,
    /// Coming back from the Recycle Bin.
    Recovering,
}

/// A state that this program does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown snapshot state '{0}'")]
pub struct StateError(String);

impl SnapshotState {
    /// As AWS writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Error => "error",
            Self::Recoverable => "recoverable",
            Self::Recovering => "recovering",
        }
    }
}

impl FromStr for SnapshotState {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        [Self::Pending, Self::Completed, Self::Error, Self::Recoverable, Self::Recovering]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| StateError(text.to_owned()))
    }
}

impl fmt::Display for SnapshotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a snapshot's data lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageTier {
    /// Readable at once.
    Standard,
    /// Readable only after a restore of up to 72 hours.
    Archive,
}

impl StorageTier {
    /// As AWS writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Archive => "archive",
        }
    }
}

/// The facts of one snapshot, as EC2 describes it or our store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its name.
    pub id: SnapshotId,
    /// The volume it was taken of; `None` where there was none.
    pub volume_id: Option<VolumeId>,
    /// Account number of its owner.
    pub owner_id: String,
    /// Where it stands.
    pub state: SnapshotState,
    /// Why it stands there, where AWS says.
    pub state_message: Option<String>,
    /// When it was started.
    pub start_time: UnixMillis,
    /// Size of the volume.
    pub volume_size: GiB,
    /// Whether its blocks are encrypted at rest. Of an encrypted one, absent blocks restore as random bytes.
    pub encrypted: bool,
    /// The key, where encrypted and told.
    pub kms_key_id: Option<String>,
    /// Free text.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
    /// Standard or archive.
    pub tier: StorageTier,
    /// All blocks it holds, inherited ones included; `None` where nobody says (before completion).
    pub full_size: Option<ByteSize>,
    /// The snapshot it was started upon. AWS does not show it; ours do.
    pub parent: Option<SnapshotId>,
    /// The tree it belongs to, where known.
    pub lineage: Option<Lineage>,
}

/// What a snapshot is started with (StartSnapshot).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Size of the volume; not smaller than the parent's.
    pub volume_size: GiB,
    /// The snapshot whose blocks it inherits.
    pub parent: Option<SnapshotId>,
    /// Free text, at most 255 characters.
    pub description: Option<String>,
    /// At most 50 tags.
    pub tags: Tags,
    /// Makes a repeated start the same start; at most 64 characters are sent.
    pub client_token: Option<String>,
    /// Whether to encrypt; `None` follows the parent or the account's default.
    pub encrypted: Option<bool>,
    /// ARN of the key.
    pub kms_key_id: Option<String>,
    /// Minutes without a write after which the service gives it up, 10 to 4,320; `None` is the service's 60.
    pub timeout_minutes: Option<u32>,
}

/// What a snapshot is completed with, so that the service can tell a lost write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Blocks written to this snapshot, inherited ones not counted; an index written twice counts once.
    pub blocks: u32,
    /// Their LINEAR aggregate ([`crate::block::LinearDigest`]).
    pub checksum: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_splits_at_its_first_equals_sign() {
        let tag = "a=b=c".parse::<Tag>().unwrap();
        assert_eq!((tag.key.as_str(), tag.value.as_str()), ("a", "b=c"));
        assert_eq!("k=".parse::<Tag>().unwrap().value, "");
        for bad in ["", "novalue", "=v"] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }
}

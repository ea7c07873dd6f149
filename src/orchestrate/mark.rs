//! What a run writes on everything that it makes or touches: whose it is, what for, and until when.
//!
//! | tag | says |
//! |---|---|
//! | `icecore:run` | the run |
//! | `icecore:owner` | who began it |
//! | `icecore:expires` | when it is surely over, RFC 3339 |
//! | `icecore:temporary` | `volume`: made by the run, to be deleted; `attachment`: only attached by it, to be detached |
//! | `icecore:snapshot` | what a volume was made of |
//! | `icecore:part` | which of the run's drills it belongs to |
//!
//! Tags travel: a service may put those of a volume on another that it restores from a backup of it. That is why a
//! volume counts as made by a run only if it is of the snapshot that the tag names.

use crate::estate::Volume;
use crate::fault::Fault;
use crate::ops::random;
use crate::snapshot::{SnapshotId, Tag, Tags, UnixMillis};
use std::fmt;
use std::str::FromStr;

const RUN: &str = "icecore:run";
const OWNER: &str = "icecore:owner";
const EXPIRES: &str = "icecore:expires";
const TEMPORARY: &str = "icecore:temporary";
const SNAPSHOT: &str = "icecore:snapshot";
const PART: &str = "icecore:part";

/// All keys, to take them off again.
pub(super) const KEYS: [&str; 6] = [RUN, OWNER, EXPIRES, TEMPORARY, SNAPSHOT, PART];

/// Longest value of a tag (EC2 user guide, "Using_Tags").
const LONGEST: usize = 255;

/// Names a run and no other: `run-` and 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Box<str>);

/// A text that is no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a run: expected run- and 16 hexadecimal digits, as in run-0123456789abcdef")]
pub struct RunIdError(String);

impl RunId {
    /// Returns an id that no run had before.
    pub fn random() -> Result<Self, Fault> {
        let number = random()?.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        Ok(Self(format!("run-{number:016x}").into()))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let digits = text.strip_prefix("run-").filter(|digits| digits.len() == 16);
        match digits {
            Some(digits) if digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
                Ok(Self(text.into()))
            }
            _ => Err(RunIdError(text.chars().take(40).collect())),
        }
    }
}

/// What something tagged is to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The run made it.
    Volume,
    /// The run only attached it: it is somebody else's.
    Attachment,
}

impl Purpose {
    const ALL: [Self; 2] = [Self::Volume, Self::Attachment];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Attachment => "attachment",
        }
    }

    /// The tag by which everything of this purpose is found, whatever its run.
    pub(super) fn tag(self) -> Tag {
        Tag { key: TEMPORARY.to_owned(), value: self.as_str().to_owned() }
    }
}

/// What a run signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The run.
    pub run: RunId,
    /// Who began it.
    pub owner: String,
    /// When it is surely over.
    pub expires: UnixMillis,
}

impl Mark {
    /// The tags of a volume that this part of the run makes.
    pub(super) fn volume(&self, part: u32, snapshot: &SnapshotId) -> Tags {
        let mut tags = self.tags(part, Purpose::Volume);
        tags.insert(SNAPSHOT.to_owned(), snapshot.to_string());
        tags.insert("Name".to_owned(), format!("icecore drill of {snapshot}"));
        tags
    }

    /// The tags of a volume that this part of the run attaches and leaves as it was.
    pub(super) fn attachment(&self, part: u32) -> Tags {
        self.tags(part, Purpose::Attachment)
    }

    /// What tells the volumes of a part of the run from all others.
    pub(super) fn finds(run: &RunId, part: u32) -> Vec<Tag> {
        let tag = |key: &str, value: String| Tag { key: key.to_owned(), value };
        vec![tag(RUN, run.to_string()), tag(PART, part.to_string())]
    }

    fn tags(&self, part: u32, purpose: Purpose) -> Tags {
        let expires = jiff::Timestamp::from_millisecond(self.expires.0).unwrap_or(jiff::Timestamp::MAX);
        let owner: String = self.owner.chars().take(LONGEST).collect();
        let tags = [
            (RUN, self.run.to_string()),
            (OWNER, owner),
            (EXPIRES, expires.to_string()),
            (TEMPORARY, purpose.as_str().to_owned()),
            (PART, part.to_string()),
        ];
        tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// What the tags of a volume say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) run: RunId,
    pub(super) owner: String,
    pub(super) purpose: Purpose,
    /// `None` where the tag is gone or no time: then only its age tells.
    pub(super) expires: Option<UnixMillis>,
}

impl Signed {
    /// The signature on a volume; `None` where there is none, or it came from another volume.
    pub(super) fn on(volume: &Volume) -> Option<Self> {
        let tag = |key: &str| volume.tags.get(key).map(String::as_str);
        let purpose = Purpose::ALL.into_iter().find(|one| tag(TEMPORARY) == Some(one.as_str()))?;
        let is_of_snapshot = volume.snapshot.as_ref().map(SnapshotId::as_str) == tag(SNAPSHOT);
        if purpose == Purpose::Volume && !is_of_snapshot {
            return None;
        }
        let expires = tag(EXPIRES).and_then(|text| text.parse::<jiff::Timestamp>().ok());
        Some(Self {
            run: tag(RUN)?.parse().ok()?,
            owner: tag(OWNER).unwrap_or_default().to_owned(),
            purpose,
            expires: expires.map(|time| UnixMillis(time.as_millisecond())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::{VolumeKind, VolumeState};

    fn mark() -> Mark {
        let run = "run-00000000000000a1".parse().unwrap();
        Mark { run, owner: "me@here".into(), expires: UnixMillis(1_700_000_000_000) }
    }

    fn volume(tags: Tags) -> Volume {
        Volume {
            id: "vol-0a".parse().unwrap(),
            state: VolumeState::Available,
            size: crate::block::GiB::try_from(1).unwrap(),
            zone: "us-east-1a".into(),
            kind: VolumeKind::Gp3,
            iops: None,
            throughput: None,
            snapshot: Some("snap-0a".parse().unwrap()),
            encrypted: false,
            kms_key_id: None,
            created: None,
            attachments: Vec::new(),
            fast_restored: None,
            tags,
        }
    }

    #[test]
    fn a_signature_reads_back_and_a_run_is_no_other() {
        let signed = Signed::on(&volume(mark().volume(3, &"snap-0a".parse().unwrap()))).unwrap();
        assert_eq!((signed.run, signed.owner), (mark().run, "me@here".into()));
        assert_eq!((signed.purpose, signed.expires), (Purpose::Volume, Some(mark().expires)));
        assert_ne!(RunId::random().unwrap(), RunId::random().unwrap());
        for bad in
            ["", "run-", "run-00000000000000A1", "run-1", "00000000000000a1", "run-00000000000000a1/.."]
        {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_that_came_with_a_backup_of_the_volume_are_no_signature() {
        let mut restored = volume(mark().volume(0, &"snap-0a".parse().unwrap()));
        restored.snapshot = Some("snap-0b".parse().unwrap());
        assert_eq!(Signed::on(&restored), None, "of the backup's snapshot, not of the drill's");
        restored.snapshot = None;
        assert_eq!(Signed::on(&restored), None);
        assert_eq!(Signed::on(&volume(Tags::new())), None);
        assert!(Signed::on(&volume(mark().attachment(0))).is_some(), "of any snapshot");
    }
}

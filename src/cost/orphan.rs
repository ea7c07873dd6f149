//! Snapshots that nobody seems to need any more, and why.
//!
//! A reason makes a candidate; whether it may go is [`crate::cost::protection`]'s word. What is not known is no
//! reason.

use crate::cost::protection::Told;
use crate::snapshot::{SnapshotInfo, UnixMillis};
use std::time::Duration;

/// Days for which a volume must be unattached to count: the window of AWS Compute Optimizer.
pub const UNATTACHED_DAYS: i64 = 32;

/// Why a snapshot is a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The volume it was taken of is gone.
    VolumeGone,
    /// It was made for an image that is gone.
    ImageGone,
    /// VM Import made it, and no volume, image or launch template uses it.
    ImportUnused,
    /// No policy or tag of ours owns it.
    NoOwner,
    /// It holds what its neighbour holds.
    Duplicate,
    /// It is a copy of one that is kept elsewhere.
    CopyOfKept,
    /// Its volume has been unattached for a month.
    VolumeUnattached,
    /// It is older than it need be.
    TooOld,
}

impl Reason {
    /// For programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::VolumeGone => "volume_gone",
            Self::ImageGone => "image_gone",
            Self::ImportUnused => "vm_import_unused",
            Self::NoOwner => "no_owner",
            Self::Duplicate => "duplicate_of_neighbour",
            Self::CopyOfKept => "copy_of_kept",
            Self::VolumeUnattached => "volume_unattached",
            Self::TooOld => "too_old",
        }
    }

    /// For people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::VolumeGone => "its volume is gone",
            Self::ImageGone => "the image it was made for is gone",
            Self::ImportUnused => "VM Import made it, and no volume, image or launch template uses it",
            Self::NoOwner => "no policy owns it",
            Self::Duplicate => "nothing was written since the one before it",
            Self::CopyOfKept => "it is a copy of one that is kept",
            Self::VolumeUnattached => "its volume was unattached at every look for 32 days",
            Self::TooOld => "it is older than asked for",
        }
    }

    /// Whether it makes a candidate by itself; others only add to one.
    pub const fn suffices(self) -> bool {
        !matches!(self, Self::NoOwner)
    }
}

/// What is known around a snapshot, if anybody told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether its volume is there.
    pub volume_exists: Told<bool>,
    /// Since when its volume has been unattached; `None` in the fact while it is attached.
    pub unattached_since: Told<Option<UnixMillis>>,
    /// Whether a service of AWS keeps it by a plan of its own.
    pub is_managed: bool,
    /// Whether the image that it says it was made for is there; `None` where it says of none.
    pub image_exists: Told<bool>,
    /// Of a snapshot that VM Import made, whether a volume, an image or a launch template uses it; `None` of any other,
    /// and where one of the three is unknown.
    pub import_is_used: Told<bool>,
    /// Blocks written since the one before it on the same volume.
    pub written_since_last: Told<u64>,
    /// Whether the snapshot that it is a copy of is kept.
    pub source_is_kept: Told<bool>,
}

/// Why a snapshot is a candidate, at this time and with this longest age.
pub fn reasons(
    info: &SnapshotInfo,
    around: &Surroundings,
    now: UnixMillis,
    longest: Option<Duration>,
) -> Vec<Reason> {
    const DAY: i64 = 86_400_000;
    let age = Duration::from_millis(u64::try_from(now.0 - info.start_time.0).unwrap_or(0));
    let is_copy = copied_from(&info.description).is_some();
    let unattached =
        around.unattached_since.flatten().is_some_and(|since| (now.0 - since.0) / DAY >= UNATTACHED_DAYS);
    let is_owned = around.is_managed || info.tags.keys().any(|key| key.starts_with("icecore:"));
    [
        (info.volume_id.is_some() && around.volume_exists == Some(false), Reason::VolumeGone),
        (around.image_exists == Some(false), Reason::ImageGone),
        (around.import_is_used == Some(false), Reason::ImportUnused),
        (!is_owned, Reason::NoOwner),
        (around.written_since_last == Some(0), Reason::Duplicate),
        (is_copy && around.source_is_kept == Some(true), Reason::CopyOfKept),
        (unattached, Reason::VolumeUnattached),
        (longest.is_some_and(|longest| age > longest), Reason::TooOld),
    ]
    .into_iter()
    .filter_map(|(holds, reason)| holds.then_some(reason))
    .collect()
}

/// The snapshot that one was copied from: EC2 writes `[Copied snap-.. from REGION]` where nothing else is given.
pub fn copied_from(description: &str) -> Option<&str> {
    let rest = description.trim_start_matches('[').strip_prefix("Copied ")?;
    rest.split_whitespace().next().filter(|id| id.starts_with("snap-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::GiB;
    use crate::snapshot::{SnapshotState, StorageTier, Tags};

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn info(description: &str) -> SnapshotInfo {
        SnapshotInfo {
            id: "snap-0a".parse().unwrap(),
            volume_id: Some("vol-0a".parse().unwrap()),
            owner_id: "123456789012".into(),
            state: SnapshotState::Completed,
            state_message: None,
            start_time: NOW.plus_millis(-40 * 86_400_000),
            volume_size: GiB::try_from(1).unwrap(),
            encrypted: false,
            kms_key_id: None,
            description: description.into(),
            tags: Tags::from([("icecore:run".into(), "x".into())]),
            tier: StorageTier::Standard,
            full_size: None,
            parent: None,
            lineage: None,
        }
    }

    #[track_caller]
    fn check(description: &str, around: Surroundings, longest: Option<u64>, expected: &[Reason]) {
        let longest = longest.map(|days| Duration::from_secs(days * 86_400));
        assert_eq!(reasons(&info(description), &around, NOW, longest), expected);
    }

    #[test]
    fn each_reason_holds_by_its_own_fact() {
        let none = Surroundings::default;
        let ago = |days: i64| Some(Some(NOW.plus_millis(-days * 86_400_000)));
        check("", Surroundings { volume_exists: Some(false), ..none() }, None, &[Reason::VolumeGone]);
        check("", Surroundings { image_exists: Some(false), ..none() }, None, &[Reason::ImageGone]);
        check("", Surroundings { import_is_used: Some(false), ..none() }, None, &[Reason::ImportUnused]);
        check("", Surroundings { written_since_last: Some(0), ..none() }, None, &[Reason::Duplicate]);
        let copied = "[Copied snap-0123 from us-east-1] backup";
        check(copied, Surroundings { source_is_kept: Some(true), ..none() }, None, &[Reason::CopyOfKept]);
        check("", Surroundings { unattached_since: ago(32), ..none() }, None, &[Reason::VolumeUnattached]);
        check("", none(), Some(39), &[Reason::TooOld]);
        let mut bare = info("");
        bare.tags.clear();
        assert_eq!(reasons(&bare, &none(), NOW, None), [Reason::NoOwner]);
        assert_eq!(reasons(&bare, &Surroundings { is_managed: true, ..none() }, NOW, None), []);
    }

    #[test]
    fn what_is_not_known_or_not_so_is_no_reason() {
        let none = Surroundings::default;
        let ago = |days: i64| Some(Some(NOW.plus_millis(-days * 86_400_000)));
        check("Created by CreateImage(i-0abc) for ami-0def", none(), Some(40), &[]);
        check("", Surroundings { unattached_since: ago(31), ..none() }, None, &[]);
        check("", Surroundings { unattached_since: Some(None), ..none() }, None, &[]);
        check(
            "",
            Surroundings {
                written_since_last: Some(1),
                source_is_kept: Some(true),
                import_is_used: Some(true),
                ..none()
            },
            None,
            &[],
        );
    }

    #[test]
    fn the_source_of_a_copy_is_read_off_its_description() {
        assert_eq!(copied_from("[Copied snap-1 from eu-west-1]"), Some("snap-1"));
        assert_eq!(copied_from("Copied by hand"), None);
    }
}

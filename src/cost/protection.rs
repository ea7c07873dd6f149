//! What stands against deleting a snapshot.
//!
//! Facts come from several services, some of which may not have been asked, or have refused: what is not known
//! blocks as well. Unknown is never "nothing".

use crate::snapshot::Tags;

/// A fact, if it was told.
pub type Told<T> = Option<T>;

/// The state of an image that holds a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Image {
    /// In use.
    Registered,
    /// No longer to be launched, but there: it still holds its snapshots.
    Disabled,
    /// Marked as old.
    Deprecated,
    /// In the Recycle Bin, from where it may come back.
    Binned,
}

/// What is known of a snapshot's protection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Images that hold it.
    pub images: Told<Vec<Image>>,
    /// Whether it is locked.
    pub is_locked: Told<bool>,
    /// Whether other accounts may use it.
    pub is_shared: Told<bool>,
    /// Whether fast restore is on, somewhere.
    pub is_fast: Told<bool>,
    /// Whether a copy, an archiving or a restore of it is under way.
    pub is_in_progress: Told<bool>,
    /// Whether a launch template names it, or an image that it belongs to.
    pub is_in_template: Told<bool>,
    /// Whether AWS Backup manages it, as far as it tells itself.
    pub is_backup_managed: bool,
    /// Whether Data Lifecycle Manager does, likewise.
    pub is_dlm_managed: bool,
}

/// Something that stands against deleting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blocker {
    /// An image holds it: AWS refuses.
    ImageRegistered,
    /// A disabled image holds it: AWS refuses.
    ImageDisabled,
    /// A deprecated image holds it: AWS refuses.
    ImageDeprecated,
    /// An image in the Recycle Bin would come back without it.
    ImageInRecycleBin,
    /// It is locked: AWS refuses.
    Locked,
    /// Nothing would be left of its volume.
    LastOfVolume,
    /// The volume's newest state would be lost.
    NewestOfVolume,
    /// The next copy would be a full one.
    NewestCopy,
    /// AWS Backup keeps it, and account for it.
    BackupManaged,
    /// A lifecycle policy keeps it.
    DlmManaged,
    /// Other accounts may use it.
    Shared,
    /// Fast restore is on.
    FastRestore,
    /// No newer one was verified.
    LastVerified,
    /// Its set of volumes would be incomplete.
    IncompleteSet,
    /// A tag says that it is held.
    LegalHold,
    /// A copy, an archiving or a restore of it is under way.
    InProgress,
    /// A launch template names it or its image: instances could not be launched from it any more.
    LaunchTemplate,
    /// Nobody told which images hold it.
    ImagesUnknown,
    /// Nobody told whether it is locked.
    LockUnknown,
    /// Nobody told whether others may use it.
    SharingUnknown,
    /// Nobody told whether fast restore is on.
    FastRestoreUnknown,
    /// Nobody told whether it is on its way between the tiers.
    InProgressUnknown,
    /// Nobody told which launch templates name it.
    LaunchTemplatesUnknown,
}

impl Blocker {
    /// For programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ImageRegistered => "image_registered",
            Self::ImageDisabled => "image_disabled",
            Self::ImageDeprecated => "image_deprecated",
            Self::ImageInRecycleBin => "image_in_recycle_bin",
            Self::Locked => "locked",
            Self::LastOfVolume => "last_of_volume",
            Self::NewestOfVolume => "newest_of_volume",
            Self::NewestCopy => "newest_copy",
            Self::BackupManaged => "backup_managed",
            Self::DlmManaged => "dlm_managed",
            Self::Shared => "shared",
            Self::FastRestore => "fast_restore",
            Self::LastVerified => "last_verified",
            Self::IncompleteSet => "incomplete_set",
            Self::LegalHold => "legal_hold",
            Self::InProgress => "in_progress",
            Self::LaunchTemplate => "launch_template",
            Self::ImagesUnknown => "images_unknown",
            Self::LockUnknown => "lock_unknown",
            Self::SharingUnknown => "sharing_unknown",
            Self::FastRestoreUnknown => "fast_restore_unknown",
            Self::InProgressUnknown => "in_progress_unknown",
            Self::LaunchTemplatesUnknown => "launch_templates_unknown",
        }
    }

    /// For people: a clause about the snapshot.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::ImageRegistered => "a registered image holds it",
            Self::ImageDisabled => "a disabled image holds it",
            Self::ImageDeprecated => "a deprecated image holds it",
            Self::ImageInRecycleBin => "an image in the Recycle Bin holds it",
            Self::Locked => "it is locked",
            Self::LastOfVolume => "nothing else is left of its volume",
            Self::NewestOfVolume => "it is the newest of its volume",
            Self::NewestCopy => "it is the newest copy: the next one would be full",
            Self::BackupManaged => "AWS Backup manages it: delete the recovery point there",
            Self::DlmManaged => "a lifecycle policy manages it",
            Self::Shared => "it is shared with other accounts",
            Self::FastRestore => "fast restore is on",
            Self::LastVerified => "no newer one was verified",
            Self::IncompleteSet => "its multi-volume set would be incomplete",
            Self::LegalHold => "a tag holds it",
            Self::InProgress => "a copy, archiving or restore of it is under way",
            Self::LaunchTemplate => "a launch template names it or its image",
            Self::ImagesUnknown => "unknown which images hold it",
            Self::LockUnknown => "unknown whether it is locked",
            Self::SharingUnknown => "unknown whether it is shared",
            Self::FastRestoreUnknown => "unknown whether fast restore is on",
            Self::InProgressUnknown => "unknown whether it is on its way between the tiers",
            Self::LaunchTemplatesUnknown => "unknown whether a launch template names it",
        }
    }

    /// Whether it is only that nobody told.
    pub const fn is_unknown(self) -> bool {
        matches!(
            self,
            Self::ImagesUnknown
                | Self::LockUnknown
                | Self::SharingUnknown
                | Self::FastRestoreUnknown
                | Self::InProgressUnknown
                | Self::LaunchTemplatesUnknown
        )
    }
}

/// The tag that the snapshots of one multi-volume backup of ours have in common.
pub const SET_TAG: &str = "icecore:set";

/// What nobody looks at: a report says so, and no more follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotAsked {
    /// What is launched only by who names it: versions of launch templates by their number, and launch
    /// configurations of Auto Scaling, which are another service's.
    OlderLaunches,
    /// Which snapshots a restore was verified from.
    Verifications,
}

impl NotAsked {
    /// For programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::OlderLaunches => "older_launches",
            Self::Verifications => "verifications",
        }
    }

    /// For people: what it is that was not looked at.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::OlderLaunches => "template versions neither default nor latest, launch configurations",
            Self::Verifications => "what was verified",
        }
    }
}

/// What stands against deleting a snapshot, from its own facts.
pub fn blockers(protection: &Protection, tags: &Tags) -> Vec<Blocker> {
    let mut found = Vec::new();
    match &protection.images {
        None => found.push(Blocker::ImagesUnknown),
        Some(images) => found.extend(images.iter().map(|image| match image {
            Image::Registered => Blocker::ImageRegistered,
            Image::Disabled => Blocker::ImageDisabled,
            Image::Deprecated => Blocker::ImageDeprecated,
            Image::Binned => Blocker::ImageInRecycleBin,
        })),
    }
    let mut told = |fact: Told<bool>, blocker, unknown| match fact {
        None => found.push(unknown),
        Some(true) => found.push(blocker),
        Some(false) => {}
    };
    told(protection.is_locked, Blocker::Locked, Blocker::LockUnknown);
    told(protection.is_shared, Blocker::Shared, Blocker::SharingUnknown);
    told(protection.is_fast, Blocker::FastRestore, Blocker::FastRestoreUnknown);
    told(protection.is_in_progress, Blocker::InProgress, Blocker::InProgressUnknown);
    told(protection.is_in_template, Blocker::LaunchTemplate, Blocker::LaunchTemplatesUnknown);
    for (fact, blocker) in [
        (protection.is_backup_managed, Blocker::BackupManaged),
        (protection.is_dlm_managed, Blocker::DlmManaged),
        (is_held(tags), Blocker::LegalHold),
    ] {
        told(Some(fact), blocker, blocker);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// A tag that says: do not delete, whatever it is set to except a plain no.
fn is_held(tags: &Tags) -> bool {
    tags.iter().any(|(key, value)| {
        let key = key.to_lowercase().replace(['_', ' '], "-");
        key == "legal-hold" && !matches!(value.to_lowercase().as_str(), "false" | "no" | "off" | "0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free() -> Protection {
        let no = Some(false);
        Protection {
            images: Some(Vec::new()),
            is_locked: no,
            is_shared: no,
            is_fast: no,
            is_in_progress: no,
            is_in_template: no,
            ..Protection::default()
        }
    }

    #[track_caller]
    fn check(protection: &Protection, tags: &[(&str, &str)], expected: &[Blocker]) {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(blockers(protection, &tags), expected);
    }

    #[test]
    fn nothing_stands_against_a_snapshot_that_is_known_to_be_free() {
        check(&free(), &[("Name", "x"), ("legal-hold", "false")], &[]);
    }

    #[test]
    fn what_nobody_told_blocks_too() {
        use Blocker::{
            FastRestoreUnknown, ImagesUnknown, InProgressUnknown, LaunchTemplatesUnknown, LockUnknown,
            SharingUnknown,
        };
        let all = [
            ImagesUnknown,
            LockUnknown,
            SharingUnknown,
            FastRestoreUnknown,
            InProgressUnknown,
            LaunchTemplatesUnknown,
        ];
        check(&Protection::default(), &[], &all);
        assert!(all.iter().all(|blocker| blocker.is_unknown()));
    }

    #[test]
    fn each_fact_blocks_by_its_own_code() {
        let yes = Some(true);
        for (protection, blocker) in [
            (Protection { images: Some(vec![Image::Registered]), ..free() }, Blocker::ImageRegistered),
            (Protection { images: Some(vec![Image::Disabled]), ..free() }, Blocker::ImageDisabled),
            (Protection { images: Some(vec![Image::Deprecated]), ..free() }, Blocker::ImageDeprecated),
            (Protection { images: Some(vec![Image::Binned]), ..free() }, Blocker::ImageInRecycleBin),
            (Protection { is_locked: yes, ..free() }, Blocker::Locked),
            (Protection { is_shared: yes, ..free() }, Blocker::Shared),
            (Protection { is_fast: yes, ..free() }, Blocker::FastRestore),
            (Protection { is_in_progress: yes, ..free() }, Blocker::InProgress),
            (Protection { is_in_template: yes, ..free() }, Blocker::LaunchTemplate),
            (Protection { is_backup_managed: true, ..free() }, Blocker::BackupManaged),
            (Protection { is_dlm_managed: true, ..free() }, Blocker::DlmManaged),
        ] {
            check(&protection, &[], &[blocker]);
        }
        check(&free(), &[("Legal_Hold", "case 7")], &[Blocker::LegalHold]);
    }
}

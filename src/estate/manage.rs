//! Who made a snapshot, read off what AWS's own services write on it.
//!
//! Nothing here asks anybody: tags that begin with `aws:` cannot be written by users, so they are proof; texts can be
//! imitated, so they are a reason to be careful, and that is what they are used for.

use crate::snapshot::{ImageId, SnapshotInfo};
use std::fmt;

/// A service that makes and deletes snapshots by its own plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Manager {
    /// AWS Backup.
    Backup,
    /// Data Lifecycle Manager.
    Dlm,
}

impl Manager {
    /// The service that this snapshot belongs to, as far as its tags and its description tell.
    pub fn of(info: &SnapshotInfo) -> Option<Self> {
        let tagged = |prefix: &str| info.tags.keys().any(|key| key.starts_with(prefix));
        if tagged("aws:backup:") || info.description == "This snapshot is created by the AWS Backup service."
        {
            return Some(Self::Backup);
        }
        let by_policy = info.description.starts_with("Created for policy: policy-");
        (tagged("aws:dlm:") || info.tags.contains_key("dlm:managed") || by_policy).then_some(Self::Dlm)
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backup => "AWS Backup",
            Self::Dlm => "Data Lifecycle Manager",
        })
    }
}

/// The image that a snapshot was made for, where its description says so: `Created by CreateImage(i-..) for ami-..`
/// and `Copied for DestinationAmi ami-.. from SourceAmi ..`.
pub fn image_of(info: &SnapshotInfo) -> Option<ImageId> {
    let rest = match info.description.strip_prefix("Created by CreateImage(") {
        Some(rest) => rest.split_once(") for ")?.1,
        None => info.description.strip_prefix("Copied for DestinationAmi ")?,
    };
    rest.split_whitespace().next()?.parse().ok()
}

/// Whether VM Import made a snapshot (`ImportSnapshot`, `ImportImage`). It writes this description whatever is asked
/// for, and no volume stands behind the snapshot (aws-cli issue 9047).
pub fn is_vm_import(info: &SnapshotInfo) -> bool {
    info.description.starts_with("Created by AWS-VMImport service for import-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{SnapshotState, StorageTier, Tags, UnixMillis};

    fn described(description: &str, tag: Option<&str>) -> SnapshotInfo {
        SnapshotInfo {
            id: "snap-0a".parse().unwrap(),
            volume_id: None,
            owner_id: String::new(),
            state: SnapshotState::Completed,
            state_message: None,
            start_time: UnixMillis(0),
            volume_size: crate::block::GiB::try_from(1).unwrap(),
            encrypted: false,
            kms_key_id: None,
            description: description.into(),
            tags: tag.map(|key| (key.to_owned(), String::new())).into_iter().collect::<Tags>(),
            tier: StorageTier::Standard,
            full_size: None,
            parent: None,
            lineage: None,
        }
    }

    #[test]
    fn services_are_known_by_their_tags_and_their_texts() {
        for (description, tag, expected) in [
            ("nightly", None, None),
            ("nightly", Some("Name"), None),
            ("nightly", Some("aws:backup:source-resource"), Some(Manager::Backup)),
            ("This snapshot is created by the AWS Backup service.", None, Some(Manager::Backup)),
            ("", Some("aws:dlm:lifecycle-policy-id"), Some(Manager::Dlm)),
            ("", Some("dlm:managed"), Some(Manager::Dlm)),
            ("Created for policy: policy-0abc schedule: Daily", None, Some(Manager::Dlm)),
        ] {
            assert_eq!(Manager::of(&described(description, tag)), expected, "{description} {tag:?}");
        }
    }

    #[test]
    fn the_image_is_read_off_both_texts() {
        let image = |text: &str| image_of(&described(text, None)).map(|id| id.to_string());
        assert_eq!(image("Created by CreateImage(i-0abc) for ami-0def").as_deref(), Some("ami-0def"));
        let copied =
            "Copied for DestinationAmi ami-01 from SourceAmi ami-02 for SourceSnapshot snap-03. Task created";
        assert_eq!(image(copied).as_deref(), Some("ami-01"));
        for none in ["", "Created by CreateImage(i-0abc)", "Created by CreateImage(i-0abc) for lunch"] {
            assert_eq!(image(none), None, "{none}");
        }
    }

    #[test]
    fn snapshots_of_vm_import_are_known_by_their_description() {
        for (text, expected) in [
            ("Created by AWS-VMImport service for import-snap-0041568aab14529ee", true),
            ("Created by AWS-VMImport service for import-ami-fhc6by6q", true),
            ("Not Created by AWS-VMImport service for import-snap-0a", false),
            ("Created by CreateImage(i-0abc) for ami-0def", false),
        ] {
            assert_eq!(is_vm_import(&described(text, None)), expected, "{text}");
        }
    }
}

//! Images (AMIs), and the snapshots they need.

use crate::estate::word::words;
use crate::snapshot::{ImageId, SnapshotId, Tags, UnixMillis};

words! {
    /// Where an image stands (EC2 model, `ImageState`).
    ImageState {
        /// Being made.
        Pending = "pending",
        /// Can be launched.
        Available = "available",
        /// Cannot be launched until it is enabled again; its snapshots stay bound to it, but may be archived.
        Disabled = "disabled",
        /// Gone; seen for a moment only.
        Deregistered = "deregistered",
        /// Could not be made.
        Failed = "failed",
    }
}

/// An image of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name for machines.
    pub id: ImageId,
    /// Its name for people.
    pub name: String,
    /// Where it stands.
    pub state: ImageState,
    /// When it was made.
    pub created: Option<UnixMillis>,
    /// From when on others do not see it any more. It may lie ahead.
    pub deprecated_from: Option<UnixMillis>,
    /// Whether everybody may launch it.
    pub is_public: bool,
    /// What its volumes are made of. None of them can be deleted while the image is there.
    pub snapshots: Vec<SnapshotId>,
    /// Its tags.
    pub tags: Tags,
}

impl Image {
    /// Whether EC2 refuses to delete its snapshots: while it is registered, be it disabled or deprecated
    /// (EC2 API reference, DeregisterImage and DeleteSnapshot).
    pub fn binds_snapshots(&self) -> bool {
        !matches!(self.state, ImageState::Deregistered | ImageState::Failed)
    }

    /// Whether it is deprecated at this time.
    pub fn is_deprecated(&self, now: UnixMillis) -> bool {
        self.deprecated_from.is_some_and(|from| from <= now)
    }
}

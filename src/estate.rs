//! What an account holds beside its snapshots, as far as snapshots depend on it: volumes, instances, images, and
//! what keeps a snapshot from being deleted or makes it cost more.
//!
//! Values only. Words that AWS may add to (states, types) are kept as they came, so that a newer service is no
//! error; a fact that AWS did not tell is `None`, never a default.

mod bin;
mod hold;
mod image;
mod instance;
mod manage;
mod template;
mod volume;
mod word;

pub use bin::{BinKind, BinRule, BinnedImage, BinnedSnapshot, BinnedVolume, RuleTag, kept_for};
pub use hold::{FastRestore, FastRestoreState, Lock, LockState, Shares, Tiering, TieringState};
pub use image::{Image, ImageState};
pub use instance::{Instance, InstanceState};
pub use manage::{Manager, image_of, is_vm_import};
pub use template::{TemplateVersion, launched};
pub use volume::{Attachment, AttachmentState, Initialization, NewVolume, Volume, VolumeKind, VolumeState};

use crate::snapshot::{ImageId, InstanceId, SnapshotId, VolumeId};
use std::collections::BTreeMap;
use std::fmt;

/// What there is, in one Region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Images.
    pub images: Vec<Image>,
    /// Instances.
    pub instances: Vec<Instance>,
    /// Volumes.
    pub volumes: Vec<Volume>,
    /// Launch templates, every version of each.
    pub templates: Vec<TemplateVersion>,
    /// Locks.
    pub locks: Vec<Lock>,
    /// Fast restores.
    pub fast_restores: Vec<FastRestore>,
    /// Snapshots that others may use; the rest is shared with nobody.
    pub shares: BTreeMap<SnapshotId, Shares>,
    /// Tiers.
    pub tierings: Vec<Tiering>,
    /// Snapshots in the Recycle Bin.
    pub binned_snapshots: Vec<BinnedSnapshot>,
    /// Volumes in the Recycle Bin.
    pub binned_volumes: Vec<BinnedVolume>,
    /// Images in the Recycle Bin.
    pub binned_images: Vec<BinnedImage>,
    /// What goes to the Recycle Bin when it is deleted. EC2 does not tell: the Recycle Bin is a service of its own.
    pub bin_rules: Vec<BinRule>,
    /// How volumes and snapshots are encrypted where nothing is asked for.
    pub encryption: EncryptionDefaults,
}

/// A Region's defaults for encryption (EC2 API reference, GetEbsEncryptionByDefault, GetEbsDefaultKmsKeyId).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncryptionDefaults {
    /// Whether everything new is encrypted; `None` where nobody has said: as the account has it.
    pub by_default: Option<bool>,
    /// The key for what is encrypted without naming one; `None`: AWS's own.
    pub key: Option<String>,
}

/// Something that has tags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// A snapshot.
    Snapshot(SnapshotId),
    /// A volume.
    Volume(VolumeId),
    /// An instance.
    Instance(InstanceId),
    /// An image.
    Image(ImageId),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshot(id) => id.fmt(f),
            Self::Volume(id) => id.fmt(f),
            Self::Instance(id) => id.fmt(f),
            Self::Image(id) => id.fmt(f),
        }
    }
}

impl From<&SnapshotId> for Resource {
    fn from(id: &SnapshotId) -> Self {
        Self::Snapshot(id.clone())
    }
}

impl From<&VolumeId> for Resource {
    fn from(id: &VolumeId) -> Self {
        Self::Volume(id.clone())
    }
}

impl From<&InstanceId> for Resource {
    fn from(id: &InstanceId) -> Self {
        Self::Instance(id.clone())
    }
}

impl From<&ImageId> for Resource {
    fn from(id: &ImageId) -> Self {
        Self::Image(id.clone())
    }
}

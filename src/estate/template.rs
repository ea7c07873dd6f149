//! Launch templates: what new instances are made from, and so a reason to keep an image and its snapshots.

use crate::snapshot::{ImageId, SnapshotId, TemplateId, UnixMillis};
use std::collections::BTreeMap;

/// A version of a launch template, as far as snapshots depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateVersion {
    /// The template's name for machines.
    pub template: TemplateId,
    /// The template's name for people.
    pub name: String,
    /// Which of its versions, from 1.
    pub version: u64,
    /// Whether it is launched where no version is named.
    pub is_default: bool,
    /// When it was made.
    pub made: Option<UnixMillis>,
    /// The image it launches, as it is written there: an id, or a parameter of Systems Manager that holds one
    /// (`resolve:ssm:..`).
    pub image: Option<String>,
    /// What volumes it makes of snapshots by name, beside those of its image.
    pub snapshots: Vec<SnapshotId>,
}

impl TemplateVersion {
    /// Whether it names this image. What a parameter holds is not known here.
    pub fn names(&self, image: &ImageId) -> bool {
        self.image.as_deref() == Some(image.as_str())
    }
}

/// Of all versions those that are launched without being named by their number: the default and the latest of each
/// template, in order of templates and versions.
pub fn launched(mut versions: Vec<TemplateVersion>) -> Vec<TemplateVersion> {
    versions.sort_by(|a, b| (&a.template, a.version).cmp(&(&b.template, b.version)));
    let latest: BTreeMap<TemplateId, u64> =
        versions.iter().map(|one| (one.template.clone(), one.version)).collect();
    versions.retain(|one| one.is_default || latest.get(&one.template) == Some(&one.version));
    versions
}

//! The Recycle Bin: what was deleted and can still be had back, and the rules that keep it.
//!
//! What lies in it is billed as before (Recycle Bin user guide, "recycle-bin"): snapshots and volumes; images cost
//! nothing, but hold their snapshots.

use crate::block::GiB;
use crate::estate::VolumeKind;
use crate::estate::word::words;
use crate::snapshot::{ImageId, SnapshotId, Tags, UnixMillis, VolumeId};

/// A snapshot in the Recycle Bin: billed as before until it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinnedSnapshot {
    /// Its name.
    pub id: SnapshotId,
    /// The volume it was taken of.
    pub volume_id: Option<VolumeId>,
    /// Free text.
    pub description: String,
    /// When it was deleted.
    pub entered: Option<UnixMillis>,
    /// When it will be gone for good, and no longer billed.
    pub leaves: Option<UnixMillis>,
}

/// A volume in the Recycle Bin: billed as before until it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinnedVolume {
    /// Its name.
    pub id: VolumeId,
    /// What it is made of.
    pub kind: VolumeKind,
    /// Its size.
    pub size: GiB,
    /// Its Availability Zone.
    pub zone: String,
    /// The snapshot it was made from.
    pub snapshot: Option<SnapshotId>,
    /// When it was deleted.
    pub entered: Option<UnixMillis>,
    /// When it will be gone for good, and no longer billed.
    pub leaves: Option<UnixMillis>,
}

/// An image in the Recycle Bin. AWS does not tell which snapshots it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinnedImage {
    /// Its name for machines.
    pub id: ImageId,
    /// Its name for people.
    pub name: String,
    /// When it was deregistered.
    pub entered: Option<UnixMillis>,
    /// When it will be gone for good.
    pub leaves: Option<UnixMillis>,
}

words! {
    /// What a rule of the Recycle Bin is about (Recycle Bin model, `ResourceType`).
    BinKind {
        /// Snapshots.
        Snapshot = "EBS_SNAPSHOT",
        /// Volumes.
        Volume = "EBS_VOLUME",
        /// Images.
        Image = "EC2_IMAGE",
    }
}

/// A retention rule: what is deleted while it matches goes to the Recycle Bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinRule {
    /// What it is about.
    pub of: BinKind,
    /// For how long it is kept.
    pub days: u32,
    /// One of these tags is needed. Empty: the rule is for the whole Region.
    pub tags: Vec<RuleTag>,
    /// None of these may be there. Heeded by rules for the whole Region only, as AWS takes them for no others.
    pub excluded: Vec<RuleTag>,
}

/// A tag that a rule looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTag {
    /// Its key.
    pub key: String,
    /// Its value; `None` is any.
    pub value: Option<String>,
}

impl RuleTag {
    fn is_among(&self, tags: &Tags) -> bool {
        tags.get(&self.key).is_some_and(|value| self.value.as_ref().is_none_or(|wanted| wanted == value))
    }
}

impl BinRule {
    /// A rule for everything of a kind in the Region.
    pub fn all(of: BinKind, days: u32) -> Self {
        Self { of, days, tags: Vec::new(), excluded: Vec::new() }
    }

    /// Whether something with these tags is kept when it is deleted.
    pub fn keeps(&self, of: &BinKind, tags: &Tags) -> bool {
        let is_meant = match self.tags.is_empty() {
            true => !self.excluded.iter().any(|tag| tag.is_among(tags)),
            false => self.tags.iter().any(|tag| tag.is_among(tags)),
        };
        is_meant && self.of == *of
    }
}

/// For how many days something is kept when it is deleted; of several rules the longest counts (Recycle Bin user
/// guide, "recycle-bin-concepts"). `None` where no rule matches: it is gone at once.
pub fn kept_for(rules: &[BinRule], of: &BinKind, tags: &Tags) -> Option<u32> {
    rules.iter().filter(|rule| rule.keeps(of, tags)).map(|rule| rule.days).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: Option<&str>) -> RuleTag {
        RuleTag { key: key.into(), value: value.map(str::to_owned) }
    }

    fn kept(rules: &[BinRule], tags: &[(&str, &str)]) -> Option<u32> {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        kept_for(rules, &BinKind::Volume, &tags)
    }

    #[test]
    fn of_several_rules_the_longest_counts() {
        let tagged =
            |days, key, value| BinRule { tags: vec![tag(key, value)], ..BinRule::all(BinKind::Volume, days) };
        let rules = [
            BinRule { excluded: vec![tag("env", Some("dev"))], ..BinRule::all(BinKind::Volume, 7) },
            tagged(30, "team", None),
            tagged(2, "env", Some("dev")),
            BinRule::all(BinKind::Snapshot, 365),
        ];
        assert_eq!(kept(&rules, &[]), Some(7));
        assert_eq!(kept(&rules, &[("team", "db")]), Some(30));
        assert_eq!(kept(&rules, &[("env", "dev")]), Some(2), "excluded from the first");
        assert_eq!(kept(&rules, &[("env", "dev"), ("team", "")]), Some(30));
        assert_eq!(kept(&rules[3..], &[]), None, "a rule for snapshots keeps no volume");
        assert_eq!(kept(&[], &[]), None);
    }
}

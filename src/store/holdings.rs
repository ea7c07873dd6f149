//! The file of what an account holds beside its snapshots: JSON with its checksum on the last line, as records are.
//!
//! Each type has a form in text. A field that this build does not know makes the file unreadable: writing it again
//! would lose the field. One that came after the first stores may be missing.

use crate::block::GiB;
use crate::estate::{
    Attachment, AttachmentState, BinKind, BinRule, BinnedImage, BinnedSnapshot, BinnedVolume,
    EncryptionDefaults, FastRestore, FastRestoreState, Held, Image, ImageState, Instance, InstanceState,
    Lock, LockState, NewVolume, RuleTag, Shares, TemplateVersion, Tiering, TieringState, Volume, VolumeKind,
    VolumeState,
};
use crate::shelf::{Fate, Holdings, Life, Regions};
use crate::snapshot::{ImageId, InstanceId, SnapshotId, StorageTier, Tags, TemplateId, UnixMillis, VolumeId};
use crate::store::record::{checked, summed};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

/// The file.
pub(crate) fn encode(regions: &Regions) -> Vec<u8> {
    summed(&regions.text())
}

/// Reads the file; the error says what is wrong with it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Regions, String> {
    let text = serde_json::from_slice(checked(bytes)?).map_err(|error| error.to_string())?;
    Regions::read(text)
}

/// What has a form in text.
trait Formed: Sized {
    type Text;

    fn text(&self) -> Self::Text;

    fn read(text: Self::Text) -> Result<Self, String>;
}

/// As they are.
macro_rules! plain {
    ($($type:ty)*) => { $(
        impl Formed for $type {
            type Text = Self;

            fn text(&self) -> Self {
                self.clone()
            }

            fn read(text: Self) -> Result<Self, String> {
                Ok(text)
            }
        }
    )* };
}

plain!(String bool u8 u32 u64 Tags);

/// By their words.
macro_rules! words {
    ($($type:ty)*) => { $(
        impl Formed for $type {
            type Text = String;

            fn text(&self) -> String {
                self.to_string()
            }

            fn read(text: String) -> Result<Self, String> {
                Ok(text.as_str().into())
            }
        }
    )* };
}

words!(AttachmentState BinKind FastRestoreState ImageState InstanceState LockState TieringState VolumeKind VolumeState);

/// By their names.
macro_rules! ids {
    ($($type:ty)*) => { $(
        impl Formed for $type {
            type Text = String;

            fn text(&self) -> String {
                self.to_string()
            }

            fn read(text: String) -> Result<Self, String> {
                parsed(&text)
            }
        }
    )* };
}

ids!(ImageId InstanceId SnapshotId TemplateId VolumeId);

/// Field by field.
macro_rules! forms {
    ($($type:ident as $text:ident { $($(#[$meta:meta])* $field:ident: $of:ty,)+ })*) => { $(
        #[derive(Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $text {
            $($(#[$meta])* $field: <$of as Formed>::Text,)+
        }

        impl Formed for $type {
            type Text = $text;

            fn text(&self) -> $text {
                $text { $($field: self.$field.text(),)+ }
            }

            fn read(text: $text) -> Result<Self, String> {
                Ok(Self { $($field: Formed::read(text.$field)?,)+ })
            }
        }
    )* };
}

forms! {
    Holdings as HoldingsText {
        held: Held,
        lives: BTreeMap<VolumeId, Life>,
        #[serde(default)]
        snapshots: BTreeSet<SnapshotId>,
        #[serde(default)]
        kept: Vec<Volume>,
    }
    Held as HeldText {
        images: Vec<Image>,
        instances: Vec<Instance>,
        volumes: Vec<Volume>,
        locks: Vec<Lock>,
        fast_restores: Vec<FastRestore>,
        shares: BTreeMap<SnapshotId, Shares>,
        tierings: Vec<Tiering>,
        binned_snapshots: Vec<BinnedSnapshot>,
        binned_images: Vec<BinnedImage>,
        #[serde(default)]
        binned_volumes: Vec<BinnedVolume>,
        #[serde(default)]
        templates: Vec<TemplateVersion>,
        #[serde(default)]
        bin_rules: Vec<BinRule>,
        #[serde(default)]
        encryption: EncryptionDefaults,
    }
    BinnedVolume as BinnedVolumeText {
        id: VolumeId,
        kind: VolumeKind,
        size: GiB,
        zone: String,
        snapshot: Option<SnapshotId>,
        entered: Option<UnixMillis>,
        leaves: Option<UnixMillis>,
    }
    TemplateVersion as TemplateVersionText {
        template: TemplateId,
        name: String,
        version: u64,
        is_default: bool,
        made: Option<UnixMillis>,
        image: Option<String>,
        snapshots: Vec<SnapshotId>,
    }
    BinRule as BinRuleText {
        of: BinKind,
        days: u32,
        tags: Vec<RuleTag>,
        excluded: Vec<RuleTag>,
    }
    RuleTag as RuleTagText {
        key: String,
        value: Option<String>,
    }
    EncryptionDefaults as EncryptionDefaultsText {
        by_default: Option<bool>,
        key: Option<String>,
    }
    Image as ImageText {
        id: ImageId,
        name: String,
        state: ImageState,
        created: Option<UnixMillis>,
        deprecated_from: Option<UnixMillis>,
        is_public: bool,
        snapshots: Vec<SnapshotId>,
        tags: Tags,
    }
    Instance as InstanceText {
        id: InstanceId,
        state: InstanceState,
        zone: String,
        kind: String,
        devices: Vec<String>,
        tags: Tags,
    }
    Volume as VolumeText {
        id: VolumeId,
        state: VolumeState,
        size: GiB,
        zone: String,
        kind: VolumeKind,
        iops: Option<u32>,
        throughput: Option<u32>,
        snapshot: Option<SnapshotId>,
        encrypted: bool,
        kms_key_id: Option<String>,
        created: Option<UnixMillis>,
        attachments: Vec<Attachment>,
        fast_restored: Option<bool>,
        tags: Tags,
    }
    Attachment as AttachmentText {
        instance: Option<InstanceId>,
        device: String,
        state: AttachmentState,
    }
    Lock as LockText {
        snapshot: SnapshotId,
        state: LockState,
        expires: Option<UnixMillis>,
    }
    FastRestore as FastRestoreText {
        snapshot: SnapshotId,
        zone: String,
        state: FastRestoreState,
    }
    Shares as SharesText {
        is_public: bool,
        accounts: Vec<String>,
    }
    Tiering as TieringText {
        snapshot: SnapshotId,
        tier: StorageTier,
        last: Option<TieringState>,
        progress: Option<u8>,
        began: Option<UnixMillis>,
        archived: Option<UnixMillis>,
        lent_until: Option<UnixMillis>,
    }
    BinnedSnapshot as BinnedSnapshotText {
        id: SnapshotId,
        volume_id: Option<VolumeId>,
        description: String,
        entered: Option<UnixMillis>,
        leaves: Option<UnixMillis>,
    }
    BinnedImage as BinnedImageText {
        id: ImageId,
        name: String,
        entered: Option<UnixMillis>,
        leaves: Option<UnixMillis>,
    }
    Life as LifeText {
        asked: Option<NewVolume>,
        made: Option<UnixMillis>,
        attached: Option<UnixMillis>,
        detached: Option<UnixMillis>,
        deleted: Option<UnixMillis>,
        blocks: u64,
        fate: Option<Fate>,
    }
    NewVolume as NewVolumeText {
        snapshot: Option<SnapshotId>,
        zone: String,
        kind: VolumeKind,
        size: Option<GiB>,
        iops: Option<u32>,
        throughput: Option<u32>,
        initialization_rate: Option<u32>,
        encrypted: Option<bool>,
        kms_key_id: Option<String>,
        client_token: String,
        tags: Tags,
    }
}

impl Formed for UnixMillis {
    type Text = i64;

    fn text(&self) -> i64 {
        self.0
    }

    fn read(text: i64) -> Result<Self, String> {
        Ok(Self(text))
    }
}

impl Formed for GiB {
    type Text = u32;

    fn text(&self) -> u32 {
        self.get()
    }

    fn read(text: u32) -> Result<Self, String> {
        Self::try_from(i64::from(text)).map_err(|error| error.to_string())
    }
}

impl Formed for StorageTier {
    type Text = String;

    fn text(&self) -> String {
        self.as_str().to_owned()
    }

    fn read(text: String) -> Result<Self, String> {
        let tiers = [Self::Standard, Self::Archive].into_iter();
        tiers.into_iter().find(|tier| tier.as_str() == text).ok_or_else(|| format!("unknown tier '{text}'"))
    }
}

const FATES: [(Fate, &str); 3] = [(Fate::Vanishes, "gone"), (Fate::Fails, "error"), (Fate::Sticks, "never")];

impl Formed for Fate {
    type Text = String;

    fn text(&self) -> String {
        FATES.iter().filter(|(fate, _)| fate == self).map(|(_, word)| *word).collect()
    }

    fn read(text: String) -> Result<Self, String> {
        let known = FATES.iter().find(|(_, word)| *word == text);
        known.map(|(fate, _)| *fate).ok_or_else(|| format!("unknown fate '{text}'"))
    }
}

impl<T: Formed> Formed for Option<T> {
    type Text = Option<T::Text>;

    fn text(&self) -> Self::Text {
        self.as_ref().map(Formed::text)
    }

    fn read(text: Self::Text) -> Result<Self, String> {
        text.map(Formed::read).transpose()
    }
}

impl<T: Formed + Ord> Formed for BTreeSet<T> {
    type Text = Vec<T::Text>;

    fn text(&self) -> Self::Text {
        self.iter().map(Formed::text).collect()
    }

    fn read(text: Self::Text) -> Result<Self, String> {
        text.into_iter().map(Formed::read).collect()
    }
}

impl<T: Formed> Formed for Vec<T> {
    type Text = Vec<T::Text>;

    fn text(&self) -> Self::Text {
        self.iter().map(Formed::text).collect()
    }

    fn read(text: Self::Text) -> Result<Self, String> {
        text.into_iter().map(Formed::read).collect()
    }
}

/// Objects, by the names of their keys. Tags are plain.
macro_rules! maps {
    ($($key:ty => $value:ty,)*) => { $(
        impl Formed for BTreeMap<$key, $value> {
            type Text = BTreeMap<String, <$value as Formed>::Text>;

            fn text(&self) -> Self::Text {
                self.iter().map(|(key, value)| (key.to_string(), value.text())).collect()
            }

            fn read(text: Self::Text) -> Result<Self, String> {
                text.into_iter().map(|(key, value)| Ok((parsed(&key)?, Formed::read(value)?))).collect()
            }
        }
    )* };
}

maps! {
    String => Holdings,
    VolumeId => Life,
    SnapshotId => Shares,
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

#[cfg(test)]
pub(crate) mod tests;

//! Whether a new snapshot is encrypted, and with which key.
//!
//! The matrix is that of the EBS user guide ("ebsapis-using-encryption"), with two cells as they were recorded
//! live: a key given while `Encrypted` is left out encrypts, and a key given with `Encrypted=false` has its own
//! message.

use crate::account::Defaults;
use crate::snapshot::SnapshotInfo;

/// What the account makes of a start's wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Blocks lie as they were sent.
    None,
    /// Encrypted under this key.
    Key(String),
}

/// A combination that AWS refuses; the text is the message it answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EncryptionError(&'static str);

impl Encryption {
    /// Decides for a start with this parent. `encrypted` and `key` are what the request says.
    pub fn decide(
        defaults: &Defaults,
        parent: Option<&SnapshotInfo>,
        encrypted: Option<bool>,
        key: Option<&str>,
    ) -> Result<Self, EncryptionError> {
        if encrypted == Some(false) && key.is_some() {
            return Err(EncryptionError("Encrypt cannot be false when KmsKeyArn is specified"));
        }
        if let Some(parent) = parent {
            return Self::inherited(defaults, parent, encrypted, key);
        }
        match (encrypted, key) {
            (_, Some(key)) => Ok(Self::Key(key.to_owned())),
            (Some(true), None) => Ok(Self::Key(defaults.key.clone())),
            (None, None) if defaults.encrypts => Ok(Self::Key(defaults.key.clone())),
            (Some(false), None) if defaults.encrypts => {
                Err(EncryptionError("Encrypted cannot be false when encryption by default is enabled"))
            }
            (Some(false) | None, None) => Ok(Self::None),
        }
    }

    /// Decides for a volume made of this snapshot, or of none (EBS user guide, "ebs-encryption"; recorded live).
    pub fn of_volume(
        defaults: &Defaults,
        source: Option<&SnapshotInfo>,
        encrypted: Option<bool>,
        key: Option<&str>,
    ) -> Result<Self, EncryptionError> {
        if key.is_some() && encrypted != Some(true) {
            return Err(EncryptionError("The parameter KmsKeyId requires the parameter Encrypted to be set"));
        }
        let source = source.filter(|source| source.encrypted);
        if source.is_some() && encrypted == Some(false) {
            return Err(EncryptionError("Encrypted cannot be false for an encrypted snapshot"));
        }
        let inherited = source.map(|source| source.kms_key_id.as_ref().unwrap_or(&defaults.key));
        // An account that encrypts by default does so whatever is asked.
        let wanted = encrypted == Some(true) || defaults.encrypts || source.is_some();
        let key = key.or(inherited.map(String::as_str)).unwrap_or(&defaults.key);
        Ok(if wanted { Self::Key(key.to_owned()) } else { Self::None })
    }

    fn inherited(
        defaults: &Defaults,
        parent: &SnapshotInfo,
        encrypted: Option<bool>,
        key: Option<&str>,
    ) -> Result<Self, EncryptionError> {
        if encrypted.is_some() || key.is_some() {
            return Err(EncryptionError(
                "Encrypted and KmsKeyArn cannot be specified when ParentSnapshotId is specified",
            ));
        }
        if parent.encrypted {
            let key = parent.kms_key_id.clone().unwrap_or_else(|| defaults.key.clone());
            return Ok(Self::Key(key));
        }
        if defaults.encrypts {
            return Err(EncryptionError(
                "The parent snapshot is not encrypted, and encryption by default is enabled",
            ));
        }
        Ok(Self::None)
    }

    /// The key, if there is one.
    pub fn key(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Key(key) => Some(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::GiB;
    use crate::snapshot::{SnapshotState, StorageTier, Tags, UnixMillis};

    const GIVEN: &str = "arn:aws:kms:us-east-1:123456789012:key/given";

    fn parent(encrypted: bool) -> SnapshotInfo {
        SnapshotInfo {
            id: "snap-0abc".parse().unwrap(),
            volume_id: None,
            owner_id: "123456789012".into(),
            state: SnapshotState::Completed,
            state_message: None,
            start_time: UnixMillis(0),
            volume_size: GiB::try_from(1).unwrap(),
            encrypted,
            kms_key_id: encrypted.then(|| "parents".into()),
            description: String::new(),
            tags: Tags::new(),
            tier: StorageTier::Standard,
            full_size: None,
            parent: None,
            lineage: None,
        }
    }

    /// Parent, account default, `Encrypted`, whether a key is given: and the key that comes of it. `Err` is refused.
    #[test]
    fn the_matrix_is_that_of_the_user_guide() {
        const OMITTED: Option<bool> = None;
        let none = Ok(None);
        let refused = Err(());
        for (upon, by_default, encrypted, key, expected) in [
            ("plain", false, OMITTED, false, none),
            ("plain", false, OMITTED, true, refused),
            ("plain", false, Some(true), false, refused),
            ("plain", false, Some(true), true, refused),
            ("plain", false, Some(false), false, refused),
            ("plain", false, Some(false), true, refused),
            ("plain", true, OMITTED, false, refused),
            ("plain", true, OMITTED, true, refused),
            ("plain", true, Some(true), false, refused),
            ("plain", true, Some(false), false, refused),
            ("encrypted", false, OMITTED, false, Ok(Some("parents"))),
            ("encrypted", true, OMITTED, false, Ok(Some("parents"))),
            ("encrypted", false, OMITTED, true, refused),
            ("encrypted", false, Some(true), false, refused),
            ("encrypted", false, Some(true), true, refused),
            ("encrypted", false, Some(false), false, refused),
            ("-", false, Some(true), false, Ok(Some("default"))),
            ("-", true, Some(true), false, Ok(Some("default"))),
            ("-", false, Some(true), true, Ok(Some(GIVEN))),
            ("-", false, Some(false), false, none),
            ("-", true, Some(false), false, refused),
            ("-", false, Some(false), true, refused),
            ("-", true, Some(false), true, refused),
            ("-", false, OMITTED, false, none),
            ("-", true, OMITTED, false, Ok(Some("default"))),
            ("-", true, OMITTED, true, Ok(Some(GIVEN))),
            // Recorded live, where the guide reads as a refusal.
            ("-", false, OMITTED, true, Ok(Some(GIVEN))),
        ] {
            let defaults = Defaults { encrypts: by_default, key: "default".into() };
            let parent = (upon != "-").then(|| parent(upon == "encrypted"));
            let decided = Encryption::decide(&defaults, parent.as_ref(), encrypted, key.then_some(GIVEN));
            let decided = decided.map(Encryption::key).map_err(|_| ());
            let case = format!("{upon}, default {by_default}, Encrypted {encrypted:?}, key {key}");
            assert_eq!(decided.as_ref().map(Option::as_deref), expected.as_ref().copied(), "{case}");
        }
    }
}

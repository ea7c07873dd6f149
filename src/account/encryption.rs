//! Whether a new snapshot is encrypted, and with which key.
//!
//! The matrix is that of the EBS user guide ("ebsapis-using-encryption"), with two cells as they were recorded
//! live: a key given while `Encrypted` is left out encrypts, and a key given with `Encrypted=false` has its own
//! message.

use crate::account::Settings;
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
        settings: &Settings,
        parent: Option<&SnapshotInfo>,
        encrypted: Option<bool>,
        key: Option<&str>,
    ) -> Result<Self, EncryptionError> {
        if encrypted == Some(false) && key.is_some() {
            return Err(EncryptionError("Encrypt cannot be false when KmsKeyArn is specified"));
        }
        if let Some(parent) = parent {
            return Self::inherited(settings, parent, encrypted, key);
        }
        match (encrypted, key) {
            (_, Some(key)) => Ok(Self::Key(key.to_owned())),
            (Some(true), None) => Ok(Self::Key(settings.default_key.clone())),
            (None, None) if settings.encrypts_by_default => Ok(Self::Key(settings.default_key.clone())),
            (Some(false), None) if settings.encrypts_by_default => {
                Err(EncryptionError("Encrypted cannot be false when encryption by default is enabled"))
            }
            (Some(false) | None, None) => Ok(Self::None),
        }
    }

    fn inherited(
        settings: &Settings,
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
            let key = parent.kms_key_id.clone().unwrap_or_else(|| settings.default_key.clone());
            return Ok(Self::Key(key));
        }
        if settings.encrypts_by_default {
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

//! Keys of KMS, as far as an account needs them: what they are called, and whether they can be used.

use crate::account::Account;
use crate::estate::EncryptionDefaults;
use crate::fault::Fault;

/// Where a key of KMS stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It can be used.
    Enabled,
    /// Somebody has disabled it.
    Disabled,
    /// It will be deleted.
    PendingDeletion,
    /// The caller may not use it.
    Denied,
}

/// How a Region encrypts where nothing is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Whether everything new is encrypted.
    pub encrypts: bool,
    /// ARN of the key for what is encrypted without naming one.
    pub key: String,
}

impl Account {
    /// How this Region encrypts where nothing is asked for.
    pub fn defaults(&self, region: &str) -> Result<Defaults, Fault> {
        Ok(self.defaults_of(region, &self.holdings(region)?.held.encryption))
    }

    pub(super) fn defaults_of(&self, region: &str, said: &EncryptionDefaults) -> Defaults {
        Defaults {
            encrypts: said.by_default.unwrap_or(self.settings().encrypts_by_default),
            key: said.key.clone().unwrap_or_else(|| self.managed_key(region)),
        }
    }

    /// What a key is called in full, however it was named: by its id, its ARN, or an alias. Only the alias of AWS's
    /// own key is known; another one stands for no key.
    pub fn key_arn(&self, region: &str, name: &str) -> String {
        let owner = &self.settings().owner_id;
        match name {
            _ if name.ends_with("alias/aws/ebs") => self.managed_key(region),
            _ if name.starts_with("arn:") => name.to_owned(),
            _ if name.starts_with("alias/") => format!("arn:aws:kms:{region}:{owner}:{name}"),
            id => format!("arn:aws:kms:{region}:{owner}:key/{id}"),
        }
    }

    /// Whether a key can be used in this Region: keys are regional (KMS developer guide, "concepts"), and it must not
    /// be one that is known as unusable.
    pub fn can_use(&self, region: &str, key: &str) -> bool {
        let is_enabled = self.settings().keys.get(key).is_none_or(|state| *state == KeyState::Enabled);
        let mut parts = key.splitn(6, ':').skip(3);
        let (home, named) = (parts.next(), parts.nth(1));
        let is_here = !key.starts_with("arn:")
            || home == Some(region) && named.is_some_and(|named| named.starts_with("key/"));
        is_enabled && is_here
    }

    /// ARN of AWS's own key for EBS in a Region.
    fn managed_key(&self, region: &str) -> String {
        let parts = self.settings().default_key.split(':').enumerate();
        let moved: Vec<_> = parts.map(|(n, part)| if n == 3 { region } else { part }).collect();
        moved.join(":")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Settings, Shelves};
    use crate::shelf::memory::MemoryShelf;
    use crate::snapshot::UnixMillis;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    #[test]
    fn a_key_is_one_key_however_it_is_named_and_belongs_to_one_region() {
        let off = "arn:aws:kms:eu-west-1:123456789012:key/off".to_owned();
        let settings =
            Settings { keys: BTreeMap::from([(off.clone(), KeyState::Disabled)]), ..Settings::default() };
        let account = Account::new(settings, Shelves::writable(Arc::new(MemoryShelf::new())), UnixMillis(0));
        let default = account.defaults("eu-west-1").unwrap().key;
        assert!(default.starts_with("arn:aws:kms:eu-west-1:123456789012:key/"), "{default}");
        for (name, arn, usable) in [
            ("alias/aws/ebs", default.as_str(), true),
            ("1234", "arn:aws:kms:eu-west-1:123456789012:key/1234", true),
            ("off", &off, false),
            (&off, &off, false),
            ("alias/mine", "arn:aws:kms:eu-west-1:123456789012:alias/mine", false),
            ("arn:aws:kms:us-east-1:1:key/1", "arn:aws:kms:us-east-1:1:key/1", false),
        ] {
            assert_eq!(account.key_arn("eu-west-1", name), arn);
            assert_eq!(account.can_use("eu-west-1", arn), usable, "{name}");
        }
    }
}

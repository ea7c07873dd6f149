//! Names of snapshots, volumes, images, instances and launch templates.

use std::fmt;
use std::str::FromStr;

/// A text that is no id of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a {kind} id: expected {prefix} and hexadecimal digits, as in {prefix}0123456789abcdef0"
)]
pub struct IdError {
    kind: &'static str,
    prefix: &'static str,
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The id as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix($prefix).filter(|digits| !digits.is_empty() && text.len() <= 64);
                match digits {
                    Some(digits) if digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
                        Ok(Self(text.into()))
                    }
                    _ => Err(IdError { kind: $kind, prefix: $prefix, text: text.chars().take(80).collect() }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

id! {
    /// `snap-` and hexadecimal digits, at most 64 characters (botocore's EBS model, `SnapshotId`).
    SnapshotId, "snapshot", "snap-"
}

id! {
    /// `vol-` and hexadecimal digits. Copies and snapshots made through the API carry [`VolumeId::NONE`].
    VolumeId, "volume", "vol-"
}

id! {
    /// `ami-` and hexadecimal digits.
    ImageId, "image", "ami-"
}

id! {
    /// `i-` and hexadecimal digits.
    InstanceId, "instance", "i-"
}

id! {
    /// `lt-` and hexadecimal digits.
    TemplateId, "launch template", "lt-"
}

impl VolumeId {
    /// What Linux calls an attached volume in `/dev/disk/by-id`, after its model and its serial number, which is its
    /// id without the dash (EC2 user guide, "identify-nvme-ebs-device").
    pub fn device_name(&self) -> String {
        format!("nvme-Amazon_Elastic_Block_Store_{}", self.as_str().replace('-', ""))
    }

    /// The volume that has this name there; `None` for what is no whole EBS volume.
    pub fn of_device(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("nvme-Amazon_Elastic_Block_Store_vol")?;
        format!("vol-{digits}").parse().ok()
    }

    /// What AWS shows where there is no volume: it never tells which snapshots belong together (EBS user guide, "ebs-copy-snapshot").
    pub const NONE: &'static str = "vol-ffffffff";

    /// Whether a volume stands behind this id.
    pub fn is_real(&self) -> bool {
        self.as_str() != Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_hexadecimal_ids_are_taken() {
        assert_eq!("snap-0abc".parse::<SnapshotId>().unwrap().as_str(), "snap-0abc");
        let long = format!("snap-{}", "a".repeat(60));
        for bad in
            ["", "snap-", "snap-XYZ", "snap-0ABC", "vol-0abc", " snap-0abc", "snap-0abc/..", long.as_str()]
        {
            assert!(bad.parse::<SnapshotId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_volume_is_told_by_its_device_name() {
        let id: VolumeId = "vol-01234567890abcdef".parse().unwrap();
        assert_eq!(id.device_name(), "nvme-Amazon_Elastic_Block_Store_vol01234567890abcdef");
        assert_eq!(VolumeId::of_device(&id.device_name()), Some(id.clone()));
        for other in [format!("{}-part1", id.device_name()), "nvme-Samsung_vol0abc".into(), String::new()] {
            assert_eq!(VolumeId::of_device(&other), None, "{other}");
        }
    }

    #[test]
    fn the_error_shows_what_was_typed_and_what_is_expected() {
        assert_eq!(
            "foo".parse::<SnapshotId>().unwrap_err().to_string(),
            "'foo' is not a snapshot id: expected snap- and hexadecimal digits, as in snap-0123456789abcdef0"
        );
    }
}

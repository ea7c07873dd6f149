//! Whose answers they are: the name under which what was told is kept.

use std::sync::{Arc, OnceLock};

/// The header by which an endpoint over a store names that store in its answers.
pub const STORE: &str = "x-icecore-store";

/// The header by which an endpoint over a store names the cause of an answer 500 where asking again cannot help:
/// [`FAULT_DAMAGED`] or [`FAULT_LOCAL`]. AWS has no such header: other clients see an ordinary 500.
pub const FAULT: &str = "x-icecore-fault";
/// The stored data is damaged.
pub const FAULT_DAMAGED: &str = "damaged";
/// A file of the store cannot be read or written: permissions, a full disk, too many open files.
pub const FAULT_LOCAL: &str = "local";

/// A collection of snapshots by a name of its own, whatever it is reached by: of AWS its partition, of an endpoint
/// the store behind it. An endpoint that does not say is its address.
#[derive(Clone, Debug)]
pub struct Identity {
    told: Arc<OnceLock<String>>,
    otherwise: String,
}

impl Identity {
    /// One that is known by this name and says no other.
    pub fn named(name: impl Into<String>) -> Self {
        Self { told: Arc::default(), otherwise: name.into() }
    }

    /// AWS, in the partition of this Region (botocore's `partitions.json`).
    pub(super) fn aws(region: &str) -> Self {
        let is_in = |prefixes: &[&str]| prefixes.iter().any(|prefix| region.starts_with(prefix));
        Self::named(match region {
            _ if is_in(&["cn-"]) => "aws-cn",
            _ if is_in(&["us-gov-"]) => "aws-us-gov",
            _ if is_in(&["eusc-"]) => "aws-eusc",
            _ if is_in(&["us-isob-"]) => "aws-iso-b",
            _ if is_in(&["eu-isoe-"]) => "aws-iso-e",
            _ if is_in(&["us-isof-", "eu-isof-"]) => "aws-iso-f",
            _ if is_in(&["us-iso-"]) => "aws-iso",
            _ => "aws",
        })
    }

    /// The name. An endpoint tells it with its first answer, so it is to be asked for after that.
    pub fn name(&self) -> String {
        self.told.get().unwrap_or(&self.otherwise).clone()
    }
}

#[cfg(feature = "ec2")]
mod listening {
    use super::{Identity, STORE};
    use aws_smithy_runtime_api::box_error::BoxError;
    use aws_smithy_runtime_api::client::interceptors::Intercept;
    use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
    use aws_smithy_types::config_bag::ConfigBag;

    impl Intercept for Identity {
        fn name(&self) -> &'static str {
            "Identity"
        }

        fn read_after_transmit(
            &self,
            context: &BeforeDeserializationInterceptorContextRef<'_>,
            _: &RuntimeComponents,
            _: &mut ConfigBag,
        ) -> Result<(), BoxError> {
            let told = context.response().headers().get(STORE);
            let is_name = |name: &&str| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            if let Some(name) = told.filter(is_name) {
                // The first answer counts: one address is one store for as long as a run takes.
                let _ = self.told.set(format!("store {name}"));
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_is_its_partition() {
        for (region, name) in [
            ("us-east-1", "aws"),
            ("xx-new-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            assert_eq!(Identity::aws(region).name(), name);
        }
    }
}

//! Instances: where volumes are attached.

use crate::estate::Instance;
use crate::fault::Fault;
use crate::snapshot::{InstanceId, Tag};
use futures_util::future::BoxFuture;
use std::fmt;

/// Which instances are meant: all conditions hold. Empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceQuery {
    /// These only; naming one that does not exist is `NotFound`.
    pub ids: Vec<InstanceId>,
    /// With all of these tags.
    pub tags: Vec<Tag>,
}

impl InstanceQuery {
    /// One instance by name.
    pub fn one(id: &InstanceId) -> Self {
        Self { ids: vec![id.clone()], ..Self::default() }
    }

    /// Whether the conditions other than `ids` hold for this instance.
    pub fn admits(&self, instance: &Instance) -> bool {
        self.tags.iter().all(|tag| instance.tags.get(&tag.key) == Some(&tag.value))
    }
}

/// Instances as the account's control plane sees them.
///
/// # Contract
/// `instances` walks all pages; in order of their ids.
pub trait Instances: fmt::Debug + Send + Sync {
    /// All instances meant.
    fn instances<'a>(&'a self, query: &'a InstanceQuery) -> BoxFuture<'a, Result<Vec<Instance>, Fault>>;
}

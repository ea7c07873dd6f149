//! Images: what binds snapshots that nobody seems to need.

use crate::estate::Image;
use crate::fault::Fault;
use crate::snapshot::{ImageId, SnapshotId};
use futures_util::future::BoxFuture;
use std::fmt;

/// Which images are meant: all conditions hold. Empty means all of our own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageQuery {
    /// These only; naming one that does not exist is `NotFound`.
    pub ids: Vec<ImageId>,
    /// With a volume made of one of these.
    pub snapshots: Vec<SnapshotId>,
}

impl ImageQuery {
    /// Whether the conditions other than `ids` hold for this image.
    pub fn admits(&self, image: &Image) -> bool {
        self.snapshots.is_empty() || image.snapshots.iter().any(|id| self.snapshots.contains(id))
    }
}

/// Images as the account's control plane sees them.
///
/// # Contract
/// `images` walks all pages, and leaves out neither disabled nor deprecated ones; in order of their ids.
pub trait Images: fmt::Debug + Send + Sync {
    /// All images meant.
    fn images<'a>(&'a self, query: &'a ImageQuery) -> BoxFuture<'a, Result<Vec<Image>, Fault>>;
}

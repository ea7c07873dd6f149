//! What holds snapshots, one trait for each facility of AWS's; [`Holds`] is all of them.
//!
//! Each answers for the whole Region at once: there are few locks and many snapshots.

use crate::estate::{
    BinnedImage, BinnedSnapshot, BinnedVolume, FastRestore, Lock, Shares, TemplateVersion, Tiering,
};
use crate::fault::Fault;
use crate::snapshot::SnapshotId;
use futures_util::future::BoxFuture;
use std::fmt;

/// Snapshot locks.
pub trait Locks: fmt::Debug + Send + Sync {
    /// Every lock there is, expired ones included as long as they are told; in order of the snapshots' ids.
    fn locks(&self) -> BoxFuture<'_, Result<Vec<Lock>, Fault>>;
}

/// Fast snapshot restores.
pub trait FastRestores: fmt::Debug + Send + Sync {
    /// Those of every snapshot and Availability Zone, in order of the snapshots' ids and the zones.
    fn fast_restores(&self) -> BoxFuture<'_, Result<Vec<FastRestore>, Fault>>;
}

/// Who else may use our snapshots.
pub trait Sharing: fmt::Debug + Send + Sync {
    /// Who may make volumes of this snapshot. One request each: AWS tells of one snapshot at a time.
    fn shares<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<Shares, Fault>>;
}

/// Storage tiers.
pub trait Tiers: fmt::Debug + Send + Sync {
    /// The tier of every snapshot and its last move, in order of the snapshots' ids.
    fn tierings(&self) -> BoxFuture<'_, Result<Vec<Tiering>, Fault>>;
}

/// The Recycle Bin: what was deleted and can still be had back.
pub trait Bin: fmt::Debug + Send + Sync {
    /// Snapshots in it, in order of their ids.
    fn binned_snapshots(&self) -> BoxFuture<'_, Result<Vec<BinnedSnapshot>, Fault>>;

    /// Volumes in it, in order of their ids.
    fn binned_volumes(&self) -> BoxFuture<'_, Result<Vec<BinnedVolume>, Fault>>;

    /// Images in it, in order of their ids.
    fn binned_images(&self) -> BoxFuture<'_, Result<Vec<BinnedImage>, Fault>>;
}

/// Launch templates.
pub trait Templates: fmt::Debug + Send + Sync {
    /// The default and the latest version of each, once where they are one, in order of the templates' ids and the
    /// versions. Others are launched by who names their number, and are not told.
    fn template_versions(&self) -> BoxFuture<'_, Result<Vec<TemplateVersion>, Fault>>;
}

/// Everything that holds snapshots.
pub trait Holds: Locks + FastRestores + Sharing + Tiers + Bin + Templates {}

impl<T: Locks + FastRestores + Sharing + Tiers + Bin + Templates> Holds for T {}

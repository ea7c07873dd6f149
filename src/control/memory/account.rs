//! What an account holds beside its snapshots, in memory: everything happens at once.

use crate::control::memory::{MemorySnapshots, missing};
use crate::control::{
    Bin, FastRestores, ImageQuery, Images, InstanceQuery, Instances, Locks, Sharing, Tagging, Templates,
    Tiers,
};
use crate::estate::{
    BinnedImage, BinnedSnapshot, BinnedVolume, FastRestore, Held, Image, Instance, Lock, Resource, Shares,
    TemplateVersion, Tiering, launched,
};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::{SnapshotId, Tags};
use futures_util::future::{BoxFuture, FutureExt, ready};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// An account in memory.
#[derive(Debug, Default)]
pub struct MemoryAccount {
    /// Its snapshots.
    pub snapshots: MemorySnapshots,
    held: Mutex<Held>,
    denied: Mutex<BTreeSet<&'static str>>,
}

impl MemoryAccount {
    /// An account with these snapshots and this beside them.
    pub fn new(snapshots: MemorySnapshots, held: Held) -> Self {
        Self { snapshots, held: Mutex::new(held), denied: Mutex::default() }
    }

    /// Nobody may ask or do these from now on, by the names of AWS's actions: `DescribeLockedSnapshots`.
    pub fn deny(&self, actions: impl IntoIterator<Item = &'static str>) {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).extend(actions);
    }

    /// Looks at what is held, and changes it, as somebody else would.
    pub fn edit<T>(&self, act: impl FnOnce(&mut Held) -> T) -> T {
        act(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does it, if that is not denied.
    pub(super) fn allowed<T>(
        &self,
        action: &'static str,
        act: impl FnOnce(&mut Held) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.denied.lock().unwrap_or_else(PoisonError::into_inner).contains(action) {
            let what = format!("you are not allowed to call {action}");
            return Err(Fault::new(Kind::Denied, Place::Service, what));
        }
        self.edit(act)
    }

    fn told<T: Send + 'static>(
        &self,
        action: &'static str,
        tell: impl FnOnce(&Held) -> Vec<T>,
    ) -> BoxFuture<'_, Result<Vec<T>, Fault>> {
        ready(self.allowed(action, |held| Ok(tell(held)))).boxed()
    }
}

/// The fault of something that is not there.
pub(super) fn no(what: &str, id: &impl fmt::Display) -> Fault {
    Fault::new(Kind::NotFound, Place::Service, format!("there is no {what} {id}"))
}

/// Those of them that are meant, by id.
pub(super) fn chosen<T: Clone, I: Ord + fmt::Display>(
    what: &str,
    all: &[T],
    ids: &[I],
    id: impl Fn(&T) -> &I,
    admits: impl Fn(&T) -> bool,
) -> Result<Vec<T>, Fault> {
    if let Some(unknown) = ids.iter().find(|wanted| !all.iter().any(|one| id(one) == *wanted)) {
        return Err(no(what, unknown));
    }
    let named = |one: &&T| ids.is_empty() || ids.contains(id(one));
    let mut found: Vec<_> = all.iter().filter(named).filter(|one| admits(one)).cloned().collect();
    found.sort_by(|a, b| id(a).cmp(id(b)));
    Ok(found)
}

impl Images for MemoryAccount {
    fn images<'a>(&'a self, query: &'a ImageQuery) -> BoxFuture<'a, Result<Vec<Image>, Fault>> {
        let found = self.allowed("DescribeImages", |held| {
            chosen("image", &held.images, &query.ids, |image| &image.id, |image| query.admits(image))
        });
        ready(found).boxed()
    }
}

impl Instances for MemoryAccount {
    fn instances<'a>(&'a self, query: &'a InstanceQuery) -> BoxFuture<'a, Result<Vec<Instance>, Fault>> {
        let found = self.allowed("DescribeInstances", |held| {
            chosen("instance", &held.instances, &query.ids, |one| &one.id, |one| query.admits(one))
        });
        ready(found).boxed()
    }
}

impl Locks for MemoryAccount {
    fn locks(&self) -> BoxFuture<'_, Result<Vec<Lock>, Fault>> {
        self.told("DescribeLockedSnapshots", |held| held.locks.clone())
    }
}

impl FastRestores for MemoryAccount {
    fn fast_restores(&self) -> BoxFuture<'_, Result<Vec<FastRestore>, Fault>> {
        self.told("DescribeFastSnapshotRestores", |held| held.fast_restores.clone())
    }
}

impl Sharing for MemoryAccount {
    fn shares<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<Shares, Fault>> {
        let told = self.allowed("DescribeSnapshotAttribute", |held| match held.shares.get(id) {
            Some(shares) => Ok(shares.clone()),
            None if self.snapshots.has(id) => Ok(Shares::default()),
            None => Err(missing(id)),
        });
        ready(told).boxed()
    }
}

impl Tiers for MemoryAccount {
    fn tierings(&self) -> BoxFuture<'_, Result<Vec<Tiering>, Fault>> {
        self.told("DescribeSnapshotTierStatus", |held| held.tierings.clone())
    }
}

impl Templates for MemoryAccount {
    fn template_versions(&self) -> BoxFuture<'_, Result<Vec<TemplateVersion>, Fault>> {
        self.told("DescribeLaunchTemplateVersions", |held| launched(held.templates.clone()))
    }
}

impl Bin for MemoryAccount {
    fn binned_snapshots(&self) -> BoxFuture<'_, Result<Vec<BinnedSnapshot>, Fault>> {
        self.told("ListSnapshotsInRecycleBin", |held| held.binned_snapshots.clone())
    }

    fn binned_volumes(&self) -> BoxFuture<'_, Result<Vec<BinnedVolume>, Fault>> {
        self.told("ListVolumesInRecycleBin", |held| held.binned_volumes.clone())
    }

    fn binned_images(&self) -> BoxFuture<'_, Result<Vec<BinnedImage>, Fault>> {
        self.told("ListImagesInRecycleBin", |held| held.binned_images.clone())
    }
}

impl Tagging for MemoryAccount {
    fn add_tags<'a>(&'a self, to: &'a [Resource], tags: &'a Tags) -> BoxFuture<'a, Result<(), Fault>> {
        ready(self.retag("CreateTags", to, |old| old.extend(tags.clone()))).boxed()
    }

    fn remove_tags<'a>(
        &'a self,
        from: &'a [Resource],
        keys: &'a [String],
    ) -> BoxFuture<'a, Result<(), Fault>> {
        ready(self.retag("DeleteTags", from, |old| old.retain(|key, _| !keys.contains(key)))).boxed()
    }
}

impl MemoryAccount {
    fn retag(&self, action: &'static str, of: &[Resource], change: impl Fn(&mut Tags)) -> Result<(), Fault> {
        self.allowed(action, |held| {
            // Looked at first: all or nothing.
            for resource in of {
                self.with_tags(held, resource, |_| ()).ok_or_else(|| no("resource", resource))?;
            }
            for resource in of {
                let _ = self.with_tags(held, resource, &change);
            }
            Ok(())
        })
    }

    fn with_tags(&self, held: &mut Held, of: &Resource, act: impl FnOnce(&mut Tags)) -> Option<()> {
        match of {
            Resource::Snapshot(id) => return self.snapshots.with_tags(id, act),
            Resource::Volume(id) => act(&mut held.volumes.iter_mut().find(|one| one.id == *id)?.tags),
            Resource::Instance(id) => act(&mut held.instances.iter_mut().find(|one| one.id == *id)?.tags),
            Resource::Image(id) => act(&mut held.images.iter_mut().find(|one| one.id == *id)?.tags),
        }
        Some(())
    }
}

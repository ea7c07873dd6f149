//! An account in memory: [`MemorySnapshots`] for its snapshots, [`MemoryAccount`] with everything beside them.

mod account;
mod volumes;

pub use account::MemoryAccount;

use crate::block::GiB;
use crate::control::{SnapshotQuery, Snapshots};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::{SnapshotId, SnapshotInfo, Tags};
use futures_util::future::{BoxFuture, FutureExt, ready};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

type ById = BTreeMap<SnapshotId, SnapshotInfo>;

/// Snapshots by id.
#[derive(Debug, Default)]
pub struct MemorySnapshots(Mutex<ById>);

impl MemorySnapshots {
    /// An account with these snapshots.
    pub fn new(snapshots: impl IntoIterator<Item = SnapshotInfo>) -> Self {
        Self(Mutex::new(snapshots.into_iter().map(|info| (info.id.clone(), info)).collect()))
    }

    /// Whether there is one of this name.
    pub fn has(&self, id: &SnapshotId) -> bool {
        self.with(|all| all.contains_key(id))
    }

    /// Changes what is told of one, as time or somebody else would; `None` where there is no such snapshot.
    pub fn edit(&self, id: &SnapshotId, act: impl FnOnce(&mut SnapshotInfo)) -> Option<()> {
        self.with(|all| all.get_mut(id).map(act))
    }

    /// The size of its volume.
    fn size(&self, id: &SnapshotId) -> Option<GiB> {
        self.with(|all| all.get(id).map(|info| info.volume_size))
    }

    /// Changes its tags; `None` where there is no such snapshot.
    fn with_tags(&self, id: &SnapshotId, act: impl FnOnce(&mut Tags)) -> Option<()> {
        self.edit(id, |info| act(&mut info.tags))
    }

    fn with<T>(&self, act: impl FnOnce(&mut ById) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Snapshots for MemorySnapshots {
    fn describe<'a>(&'a self, query: &'a SnapshotQuery) -> BoxFuture<'a, Result<Vec<SnapshotInfo>, Fault>> {
        let found = self.with(|all| {
            if let Some(id) = query.ids.iter().find(|id| !all.contains_key(id)) {
                return Err(missing(id));
            }
            let named = |info: &&SnapshotInfo| query.ids.is_empty() || query.ids.contains(&info.id);
            let mut found: Vec<_> =
                all.values().filter(named).filter(|info| query.admits(info)).cloned().collect();
            found.sort_by_key(|info| info.start_time);
            Ok(found)
        });
        ready(found).boxed()
    }

    fn delete<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<(), Fault>> {
        ready(self.with(|all| all.remove(id).map(|_| ()).ok_or_else(|| missing(id)))).boxed()
    }

    fn tag<'a>(&'a self, id: &'a SnapshotId, tags: &'a Tags) -> BoxFuture<'a, Result<(), Fault>> {
        let tagged = self.with(|all| {
            let info = all.get_mut(id).ok_or_else(|| missing(id))?;
            info.tags.extend(tags.clone());
            Ok(())
        });
        ready(tagged).boxed()
    }
}

fn missing(id: &SnapshotId) -> Fault {
    Fault::new(Kind::NotFound, Place::Snapshot(id.clone()), "the snapshot does not exist")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::conformance;

    #[tokio::test]
    async fn memory_conforms() {
        let infos: Vec<_> = (1..=3).map(conformance::sample).collect();
        let ids: Vec<_> = infos.iter().map(|info| info.id.clone()).collect();
        conformance::snapshots(&MemorySnapshots::new(infos), &ids).await;
    }

    #[tokio::test]
    async fn everything_beside_snapshots_conforms() {
        let infos: Vec<_> = (1..=3).map(conformance::sample).collect();
        let ids: Vec<_> = infos.iter().map(|info| info.id.clone()).collect();
        let held = conformance::held(&ids);
        let account = MemoryAccount::new(MemorySnapshots::new(infos), held.clone());
        conformance::holds(&account, &held, &ids).await;
        conformance::images(&account, &held.images).await;
        conformance::instances(&account, &held.instances).await;
        conformance::tagging(&account, &account.snapshots, &ids[0]).await;
        conformance::volumes(&account, &ids[0], &held.instances).await;
    }

    #[tokio::test]
    async fn what_is_denied_is_not_told_as_nothing() {
        let account = MemoryAccount::default();
        account.deny(["DescribeLockedSnapshots"]);
        assert_eq!(crate::control::Locks::locks(&account).await.unwrap_err().kind, Kind::Denied);
        assert_eq!(crate::control::FastRestores::fast_restores(&account).await.unwrap(), []);
    }
}

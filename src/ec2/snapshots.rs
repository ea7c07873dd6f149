//! Snapshots through EC2.

use crate::control::{SnapshotQuery, Snapshots};
use crate::ec2::{Ec2, NAMES, PAGE, all_told, convert, filter, some, tagged, walked};
use crate::fault::{Fault, Place};
use crate::snapshot::{SnapshotId, SnapshotInfo, Tags};
use aws_sdk_ec2::operation::describe_snapshots::builders::DescribeSnapshotsFluentBuilder;
use aws_sdk_ec2::types::{Filter, Snapshot};
use futures_util::future::{BoxFuture, FutureExt};

impl Ec2 {
    /// Every snapshot that matches the filters, page by page.
    async fn walk(&self, filters: Vec<Filter>) -> Result<Vec<Snapshot>, Fault> {
        walked(|token| {
            let request =
                self.own().set_filters(some(filters.clone())).max_results(PAGE).set_next_token(token);
            async {
                let reply = self.answered(&Place::Service, request.send()).await?;
                Ok((reply.snapshots, reply.next_token))
            }
        })
        .await
    }

    /// The snapshots named, all of them: one that is not ours, or is nobody's, is `NotFound`.
    async fn named(&self, ids: &[SnapshotId]) -> Result<Vec<Snapshot>, Fault> {
        let mut found = Vec::new();
        for ids in ids.chunks(NAMES) {
            let at = match ids {
                [id] => Place::Snapshot(id.clone()),
                _ => Place::Service,
            };
            let names = ids.iter().map(ToString::to_string).collect();
            let request = self.own().set_snapshot_ids(Some(names));
            found.extend(self.answered(&at, request.send()).await?.snapshots.unwrap_or_default());
        }
        all_told(ids, found.iter().map(Snapshot::snapshot_id), |id| Place::Snapshot(id.clone()))?;
        Ok(found)
    }

    fn own(&self) -> DescribeSnapshotsFluentBuilder {
        self.client.describe_snapshots().owner_ids("self")
    }
}

impl Snapshots for Ec2 {
    /// A snapshot that this program cannot describe (a copy that has only begun has no size yet) is left out with
    /// a warning in the log; named, it is `NotReadable`.
    fn describe<'a>(&'a self, query: &'a SnapshotQuery) -> BoxFuture<'a, Result<Vec<SnapshotInfo>, Fault>> {
        async move {
            let named = !query.ids.is_empty();
            let found = if named { self.named(&query.ids).await? } else { self.walk(filters(query)).await? };
            let mut infos = Vec::with_capacity(found.len());
            for snapshot in found {
                match convert::info(snapshot) {
                    // Filters take wildcards and are cut to EC2's limits: the query itself has the last word.
                    Ok(info) if query.admits(&info) => infos.push(info),
                    Ok(_) => {}
                    Err(fault) if named => return Err(fault),
                    Err(fault) => tracing::warn!("left out: {fault}"),
                }
            }
            infos.sort_by(|a, b| (a.start_time, &a.id).cmp(&(b.start_time, &b.id)));
            infos.dedup_by(|a, b| a.id == b.id);
            Ok(infos)
        }
        .boxed()
    }

    fn delete<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let request = self.client.delete_snapshot().snapshot_id(id.as_str());
            self.answered(&Place::Snapshot(id.clone()), request.send()).await.map(|_| ())
        }
        .boxed()
    }

    fn tag<'a>(&'a self, id: &'a SnapshotId, tags: &'a Tags) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            // EC2 refuses a request without tags; there is nothing to do then.
            if tags.is_empty() {
                return Ok(());
            }
            let request =
                self.client.create_tags().resources(id.as_str()).set_tags(Some(convert::sent(tags)));
            self.answered(&Place::Snapshot(id.clone()), request.send()).await.map(|_| ())
        }
        .boxed()
    }
}

/// The query as far as EC2 can filter; never less than it admits.
fn filters(query: &SnapshotQuery) -> Vec<Filter> {
    let mut filters = Vec::new();
    if (1..=NAMES).contains(&query.volumes.len()) {
        filters.push(filter("volume-id", &query.volumes));
    }
    filters.extend(tagged(&query.tags));
    filters.extend(query.state.map(|state| filter("status", [state])));
    filters
}

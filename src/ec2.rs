//! The part of EC2's control plane that snapshots need: describe, tag, delete.
//!
//! [`Ec2`] is [`Snapshots`] through AWS's own client; what comes back passes `convert`, once. Requests ask for our
//! own snapshots only and for pages of a fixed size: EC2 grants such requests five times the rate of unbounded ones,
//! and without an owner it would answer with every public snapshot of the Region (EC2 API reference,
//! DescribeSnapshots; EC2 developer guide, "ec2-api-throttling").

mod convert;

use crate::aws::{Session, classify};
use crate::control::{SnapshotQuery, Snapshots};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::{SnapshotId, SnapshotInfo, Tags};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::describe_snapshots::builders::DescribeSnapshotsFluentBuilder;
use aws_sdk_ec2::types::{Filter, Snapshot, Tag};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::future::{BoxFuture, FutureExt};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;

/// Snapshots per page, the most EC2 gives.
const PAGE: i32 = 1000;

/// Snapshots named in one request, and values of one filter: EC2's limit for filters, and for names well below
/// its thousand, so that a request stays a few kilobytes.
const NAMES: usize = 200;

/// The control plane of one account and Region. Cheap to clone.
#[derive(Clone)]
pub struct Ec2 {
    client: Client,
    session: Session,
}

impl Ec2 {
    /// With the session's Region, credentials and connections.
    pub fn new(session: &Session) -> Self {
        Self { client: Client::new(session.config()), session: session.clone() }
    }

    /// Every snapshot that matches the filters, page by page.
    async fn walk(&self, filters: Vec<Filter>) -> Result<Vec<Snapshot>, Fault> {
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let request = self
                .own()
                .set_filters(Some(filters.clone()).filter(|filters| !filters.is_empty()))
                .max_results(PAGE)
                .set_next_token(token.clone());
            let reply = self.answered(&Place::Service, request.send()).await?;
            found.extend(reply.snapshots.unwrap_or_default());
            let next = reply.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(found);
            }
            if next == token {
                let what = "the list of snapshots does not advance: the same page token came back";
                return Err(Fault::new(Kind::Corrupt, Place::Service, what));
            }
            token = next;
        }
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
        let told: BTreeSet<_> = found.iter().filter_map(Snapshot::snapshot_id).collect();
        match ids.iter().find(|id| !told.contains(id.as_str())) {
            // Those we may not see are left out of the answer without a word.
            Some(id) => {
                let what = "the account has no such snapshot in this Region";
                Err(Fault::new(Kind::NotFound, Place::Snapshot(id.clone()), what))
            }
            None => Ok(found),
        }
    }

    fn own(&self) -> DescribeSnapshotsFluentBuilder {
        self.client.describe_snapshots().owner_ids("self")
    }

    async fn answered<T, E>(
        &self,
        at: &Place,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let answer = async { request.await.map_err(|error| classify(&error, None, at.clone())) };
        self.session.within(|| at.clone(), answer).await
    }
}

impl fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ec2").field("session", &self.session).finish_non_exhaustive()
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
            let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
            let request = self.client.create_tags().resources(id.as_str()).set_tags(Some(tags.collect()));
            self.answered(&Place::Snapshot(id.clone()), request.send()).await.map(|_| ())
        }
        .boxed()
    }
}

/// The query as far as EC2 can filter; never less than it admits.
fn filters(query: &SnapshotQuery) -> Vec<Filter> {
    let mut filters = Vec::new();
    if (1..=NAMES).contains(&query.volumes.len()) {
        let volumes = query.volumes.iter().map(ToString::to_string).collect();
        filters.push(Filter::builder().name("volume-id").set_values(Some(volumes)).build());
    }
    for tag in &query.tags {
        filters.push(Filter::builder().name(format!("tag:{}", tag.key)).values(literal(&tag.value)).build());
    }
    if let Some(state) = query.state {
        filters.push(Filter::builder().name("status").values(state.as_str()).build());
    }
    filters
}

/// A filter's value without wildcards: EC2 takes `*` and `?` for any characters unless a backslash is before them.
fn literal(value: &str) -> String {
    value.chars().fold(String::with_capacity(value.len()), |mut text, c| {
        if matches!(c, '*' | '?' | '\\') {
            text.push('\\');
        }
        text.push(c);
        text
    })
}

#[cfg(test)]
mod tests;

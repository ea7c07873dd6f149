//! The EBS direct APIs of AWS, or of an endpoint that speaks their protocol.
//!
//! [`Ebs`] opens, compares and writes snapshots through AWS's own client. What comes back passes `convert`, once:
//! behind it there are no `Option`s for what AWS always sends and no numbers that are no index. A request is sent
//! once, within the session's deadlines; whether to send it again is for the caller. Bytes are never hashed here.

mod convert;
mod listing;
mod read;
mod write;

use crate::aws::{Session, classify};
use crate::block::Buffers;
use crate::fault::{Fault, Place};
use crate::snapshot::SnapshotId;
use crate::source::{BlockService, BlockSource, ChangeFeed, Cursor};
use aws_sdk_ebs::Client;
use aws_sdk_ebs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::future::{BoxFuture, FutureExt};
use listing::Aside;
use read::{Changes, Opened};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Entries asked for per page, the most the service gives: fewer requests against a quota of 50 a second. Below
/// 100 and above 10,000 it refuses, whatever older text says (recorded live).
const PAGE: i32 = 10_000;

/// Snapshots through the EBS direct APIs. Cheap to clone.
#[derive(Clone)]
pub struct Ebs {
    client: Client,
    session: Session,
    page: i32,
    buffers: Buffers,
}

impl Ebs {
    /// With the session's Region, credentials and connections.
    pub fn new(session: &Session) -> Self {
        Self {
            client: Client::new(session.config()),
            session: session.clone(),
            page: PAGE,
            buffers: Buffers::default(),
        }
    }

    /// Asks for smaller pages, of 100 to 10,000 entries.
    #[must_use]
    pub fn with_pages_of(self, entries: u16) -> Self {
        Self { page: i32::from(entries).clamp(100, PAGE), ..self }
    }

    /// Entries that a page is asked for.
    fn max_entries(&self) -> Option<u32> {
        u32::try_from(self.page).ok()
    }

    /// The session it speaks through: whether it is AWS, and how to renew its credentials.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Sends a request and waits for the whole of its answer, no longer than the deadline.
    async fn answered<T, E>(
        &self,
        at: &Place,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        self.session.within(|| at.clone(), async { request.await.map_err(|error| fault(&error, at)) }).await
    }

    /// Sends a request for a page and waits for the whole of its body, no longer than the deadline.
    async fn listed<T, E>(
        &self,
        at: &Place,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        aside: Aside,
    ) -> Result<Vec<u8>, Fault>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let whole = async {
            request.await.map_err(|error| fault(&error, at))?;
            aside.whole(at).await
        };
        self.session.within(|| at.clone(), whole).await
    }
}

impl fmt::Debug for Ebs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ebs").field("session", &self.session).finish_non_exhaustive()
    }
}

impl BlockService for Ebs {
    fn open<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<Arc<dyn BlockSource>, Fault>> {
        async move {
            let opened = Opened::open(self, id).await?;
            Ok(Arc::new(opened) as Arc<dyn BlockSource>)
        }
        .boxed()
    }

    fn compare(&self, first: &SnapshotId, second: &SnapshotId) -> Arc<dyn ChangeFeed> {
        Arc::new(Changes::new(self, first, second))
    }
}

/// A fault out of an SDK error.
fn fault<E>(error: &SdkError<E, HttpResponse>, at: &Place) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    classify(error, error.as_service_error().and_then(|error| convert::reason(error)), at.clone())
}

/// Where a listing starts on the wire: the service's token wins, and index 0 needs no saying.
fn start(cursor: &Cursor) -> (Option<String>, Option<i32>) {
    match &cursor.token {
        Some(token) => (Some(token.reveal().to_owned()), None),
        None => (None, Some(cursor.from.to_wire()).filter(|index| *index > 0)),
    }
}

#[cfg(test)]
mod tests;

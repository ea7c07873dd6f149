//! Reading: a snapshot's blocks, and what was written between two.

use crate::aws::broken_body;
use crate::block::{BlockSize, Buffers, Geometry};
use crate::ebs::convert::{self, corrupt};
use crate::ebs::listing::{Aside, Listing};
use crate::ebs::{Ebs, fault, start};
use crate::fault::{Fault, Place};
use crate::snapshot::SnapshotId;
use crate::source::{BlockSource, Change, ChangeFeed, Cursor, Fetched, Listed, Page};
use aws_sdk_ebs::primitives::ByteStream;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A snapshot that answered once.
pub(super) struct Opened {
    ebs: Ebs,
    id: SnapshotId,
    geometry: Geometry,
    /// The page that told the geometry, until the first listing takes it.
    first: Mutex<Option<Page<Listed>>>,
}

impl Opened {
    pub(super) async fn open(ebs: &Ebs, id: &SnapshotId) -> Result<Self, Fault> {
        let at = Place::Snapshot(id.clone());
        let body = page(ebs, id, &Cursor::start(), &at).await?;
        let listing = Listing::read(&body, &at)?;
        let geometry = convert::geometry(&listing, &at)?;
        let first = convert::listed(listing, &Cursor::start(), geometry, &at)?;
        let first = Page { max_entries: ebs.max_entries(), ..first };
        Ok(Self { ebs: ebs.clone(), id: id.clone(), geometry, first: Mutex::new(Some(first)) })
    }

    fn kept(&self, cursor: &Cursor) -> Option<Page<Listed>> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.take_if(|_| *cursor == Cursor::start())
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opened").field(&self.id).finish()
    }
}

impl BlockSource for Opened {
    fn place(&self) -> Place {
        Place::Snapshot(self.id.clone())
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn list(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Listed>, Fault>> {
        async move {
            if let Some(first) = self.kept(&cursor) {
                return Ok(first);
            }
            let at = self.place();
            let body = page(&self.ebs, &self.id, &cursor, &at).await?;
            let page = convert::listed(Listing::read(&body, &at)?, &cursor, self.geometry, &at)?;
            Ok(Page { max_entries: self.ebs.max_entries(), ..page })
        }
        .boxed()
    }

    fn fetch<'a>(&'a self, block: &'a Listed) -> BoxFuture<'a, Result<Fetched, Fault>> {
        async move {
            let at = Place::Block(self.id.clone(), block.index);
            let request = self
                .ebs
                .client
                .get_snapshot_block()
                .snapshot_id(self.id.as_str())
                .block_index(block.index.to_wire())
                .block_token(block.token.reveal());
            let whole = async {
                let reply = request.send().await.map_err(|error| fault(&error, &at))?;
                let algorithm = reply.checksum_algorithm.as_ref();
                let claimed = convert::claimed(reply.checksum.as_deref(), algorithm, reply.data_length, &at)?;
                Ok(Fetched { bytes: body(reply.block_data, &self.ebs.buffers, &at).await?, claimed })
            };
            self.ebs.session.within(|| at.clone(), whole).await
        }
        .boxed()
    }
}

/// The body of one page.
async fn page(ebs: &Ebs, id: &SnapshotId, cursor: &Cursor, at: &Place) -> Result<Vec<u8>, Fault> {
    let (token, from) = start(cursor);
    let aside = Aside::default();
    let request = ebs
        .client
        .list_snapshot_blocks()
        .snapshot_id(id.as_str())
        .max_results(ebs.page)
        .set_next_token(token)
        .set_starting_block_index(from);
    let answer = request.customize().interceptor(aside.clone()).send();
    ebs.listed(at, answer, aside).await
}

/// One block, frame by frame into the one buffer it will live in; a body that is longer is not read on.
async fn body(mut stream: ByteStream, buffers: &Buffers, at: &Place) -> Result<Bytes, Fault> {
    let size = BlockSize::EBS.buffer_len();
    let mut block = buffers.take();
    while let Some(frame) = stream.next().await {
        let frame = frame.map_err(|error| broken_body(&error, at.clone()))?;
        if !block.push(&frame) {
            return Err(corrupt(at, format!("the body is longer than {size} bytes")));
        }
    }
    if block.as_slice().len() < size {
        return Err(corrupt(at, format!("the body ended after {} of {size} bytes", block.as_slice().len())));
    }
    Ok(block.share())
}

/// What was written between two snapshots.
#[derive(Debug)]
pub(super) struct Changes {
    ebs: Ebs,
    first: SnapshotId,
    second: SnapshotId,
}

impl Changes {
    pub(super) fn new(ebs: &Ebs, first: &SnapshotId, second: &SnapshotId) -> Self {
        Self { ebs: ebs.clone(), first: first.clone(), second: second.clone() }
    }
}

impl ChangeFeed for Changes {
    fn place(&self) -> Place {
        Place::Pair(self.first.clone(), self.second.clone())
    }

    fn changes(&self, cursor: Cursor) -> BoxFuture<'_, Result<Page<Change>, Fault>> {
        async move {
            let at = self.place();
            let (token, from) = start(&cursor);
            let aside = Aside::default();
            let request = self
                .ebs
                .client
                .list_changed_blocks()
                .first_snapshot_id(self.first.as_str())
                .second_snapshot_id(self.second.as_str())
                .max_results(self.ebs.page)
                .set_next_token(token)
                .set_starting_block_index(from);
            let answer = request.customize().interceptor(aside.clone()).send();
            let body = self.ebs.listed(&at, answer, aside).await?;
            let page = convert::changed(Listing::read(&body, &at)?, &cursor, &at)?;
            Ok(Page { max_entries: self.ebs.max_entries(), ..page })
        }
        .boxed()
    }
}

//! Sending the image's blocks.

use crate::block::{BlockSet, Geometry};
use crate::device::{Image, Unchanged};
use crate::fault::{Fault, Kind};
use crate::monitor::Event;
use crate::ops::import::Options;
use crate::ops::import::begin::Before;
use crate::ops::import::compare::compare;
use crate::ops::import::feed::{BLOCKS_AHEAD, Counts, Feed};
use crate::ops::preflight::described;
use crate::ops::{Engine, Services};
use crate::pipeline::{Checkpoint, write};
use crate::snapshot::{SnapshotId, SnapshotState, Written};
use crate::source::BlockSource;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What was sent, and what was not.
pub(super) struct Sent {
    pub(super) written: Written,
    pub(super) counts: Counts,
}

impl Sent {
    /// All that an image holds that did not change while it was read.
    fn new(written: Written, counts: Counts, _: Unchanged) -> Self {
        Self { written, counts }
    }

    /// As the checkpoint keeps it.
    pub(super) fn to_fact(&self) -> String {
        let Counts { zero, inherited, omitted, .. } = self.counts;
        format!("{} {} {zero} {inherited} {omitted}", self.written.blocks, self.written.checksum)
    }

    /// What an earlier run sent.
    pub(super) fn from_fact(fact: &str) -> Option<Self> {
        let mut words = fact.split(' ');
        let number = |words: &mut std::str::Split<'_, char>| words.next()?.parse::<u64>().ok();
        let blocks = words.next()?.parse().ok()?;
        let written = Written { blocks, checksum: words.next()?.parse().ok()? };
        let (zero, inherited) = (number(&mut words)?, number(&mut words)?);
        let counts = Counts { zero, inherited, omitted: number(&mut words)?, resumed: u64::from(blocks) };
        Some(Self { written, counts })
    }
}

/// One import at work.
pub(super) struct Work<'a> {
    pub(super) services: &'a Services,
    pub(super) engine: &'a Engine,
    pub(super) image: Arc<Image>,
    pub(super) geometry: Geometry,
    pub(super) id: &'a SnapshotId,
    /// Started by this run.
    pub(super) is_new: bool,
}

impl Work<'_> {
    /// First the parent is read and compared with the image; then what differs is sent, ascending.
    pub(super) async fn send(
        &self,
        options: &Options,
        parent: Option<Arc<dyn BlockSource>>,
        checkpoint: Checkpoint,
        before: Before,
    ) -> Result<(Sent, Checkpoint), Fault> {
        let (same, in_parent, mut checkpoint) = match parent {
            Some(parent) => {
                let compared = compare(self.engine, self.image.clone(), parent, checkpoint, &before).await;
                self.image.concluded(compared)?.0
            }
            None => (before.same, BlockSet::new(), checkpoint),
        };
        let total = u64::from(self.geometry.n_blocks()) - same.len();
        self.engine.monitor.on(Event::Stage { verb: "importing", total: Some(total) });
        let resumed = before.sent.len();
        self.engine
            .monitor
            .on(Event::Resumed { blocks: resumed, size: self.geometry.block_size.of(resumed) });

        let (sender, blocks) = mpsc::channel(BLOCKS_AHEAD);
        let feed = Feed {
            image: self.image.clone(),
            geometry: self.geometry,
            same,
            sent: before.sent,
            in_parent,
            omit_zeros: options.omit_zero_blocks,
            monitor: self.engine.monitor.clone(),
            to: sender,
        };
        let feeding = tokio::task::spawn_blocking(move || feed.run());
        let writer = self.services.writer.clone();
        let written = write(self.engine, writer, self.id, blocks, &mut checkpoint, self.is_new).await;
        let counts = feeding
            .await
            .map_err(|error| Fault::local(self.image.path(), "read", std::io::Error::other(error)))?;
        match self.image.concluded(written) {
            Ok((written, unchanged)) => Ok((Sent::new(written, counts, unchanged), checkpoint)),
            Err(fault) if fault.kind == Kind::Changed => {
                // What was sent is of no one time. Where it cannot be removed, the next run sees that as well.
                let _ = checkpoint.remove();
                Err(fault)
            }
            Err(fault) => Err(self.refused(fault, checkpoint).await),
        }
    }

    /// A snapshot that was deleted or given up takes no more blocks, and never will: its checkpoint is of no use.
    /// While it is pending, or nobody can tell, the checkpoint stays.
    async fn refused(&self, fault: Fault, checkpoint: Checkpoint) -> Fault {
        if !matches!(fault.kind, Kind::NotFound | Kind::Refused) {
            return fault;
        }
        let is_gone = match described(self.services, self.engine, self.id).await {
            Ok(info) => info.is_some_and(|info| info.state != SnapshotState::Pending),
            Err(fault) => fault.kind == Kind::NotFound,
        };
        if !is_gone {
            return fault;
        }
        // Where it cannot be removed, the next run meets the same fault and says the same.
        let _ = checkpoint.remove();
        fault
            .as_kind(Kind::Vanished)
            .hint("it was deleted, or given up by the service: the same command imports anew")
    }
}

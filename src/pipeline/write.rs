//! Writing a snapshot: blocks in ascending order in, puts overlapping, the LINEAR aggregate out.

use crate::block::{BlockIndex, BlockSize, Digest, LinearDigest};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::pipeline::attempt::{Ask, Tries, interrupted};
use crate::pipeline::flow::Flow;
use crate::pipeline::{Action, Checkpoint, Engine, Mark};
use crate::snapshot::{SnapshotId, Written};
use crate::source::{Block, SnapshotWriter};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A block on its way to the service.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// To be sent.
    Send(Block),
    /// Sent by an earlier run; it counts for the aggregate.
    Sent(BlockIndex, Digest),
}

/// Sends blocks to a pending snapshot as they come, ascending by index, and says what was written in all. As many
/// puts are in flight as bring something; they, and the channel's capacity, bound the memory. Of a snapshot that `is_new`, "does not exist" may
/// mean "not yet".
pub async fn write(
    engine: &Engine,
    writer: Arc<dyn SnapshotWriter>,
    id: &SnapshotId,
    mut blocks: mpsc::Receiver<Result<Outgoing, Fault>>,
    checkpoint: &mut Checkpoint,
    is_new: bool,
) -> Result<Written, Fault> {
    let mut flow = Flow::new(&engine.settings);
    let mut puts: JoinSet<Result<BlockIndex, Fault>> = JoinSet::new();
    let mut order = Order::default();
    let mut open = true;
    while open || !puts.is_empty() {
        tokio::select! {
            block = blocks.recv(), if open && puts.len() < flow.in_flight() => match block.transpose()? {
                Some(Outgoing::Send(block)) => {
                    order.comes(block.index(), block.digest());
                    let (engine, writer, id) = (engine.clone(), writer.clone(), id.clone());
                    puts.spawn(async move { put(&engine, writer.as_ref(), &id, &block, is_new).await });
                }
                Some(Outgoing::Sent(index, digest)) => {
                    order.comes(index, digest);
                    order.is_sent(index);
                }
                None => open = false,
            },
            Some(put) = puts.join_next() => {
                let index = put.unwrap_or_else(|error| {
                    Err(Fault::new(Kind::Service, Place::Program, "a worker of this program failed").because(error))
                })?;
                flow.arrived();
                // The service's 201 is the durability that the record claims.
                checkpoint.append(&[(Mark::Done, index)])?;
                order.is_sent(index);
                engine.monitor.on(Event::Done { blocks: 1, size: BlockSize::EBS.of(1) });
            }
            () = engine.stop.requested() => return Err(interrupted()),
        }
    }
    Ok(order.finish())
}

async fn put(
    engine: &Engine,
    writer: &dyn SnapshotWriter,
    id: &SnapshotId,
    block: &Block,
    is_new: bool,
) -> Result<BlockIndex, Fault> {
    let ask = Ask::new(Action::Put, Place::Block(id.clone(), block.index()));
    let ask = if is_new { ask.of_new(id) } else { ask.of(id) };
    engine.ask(&mut Tries::none(), ask, || writer.put(id, block)).await?;
    Ok(block.index())
}

/// Puts end in any order; the aggregate wants ascending indexes. Holds the blocks between the first that has not
/// ended and the last that has come: about as many as are in flight.
#[derive(Debug, Default)]
struct Order {
    /// Ascending; whether each was sent.
    coming: VecDeque<(BlockIndex, Digest, bool)>,
    linear: LinearDigest,
    blocks: u32,
}

impl Order {
    fn comes(&mut self, index: BlockIndex, digest: Digest) {
        debug_assert!(self.coming.back().is_none_or(|last| last.0 < index), "blocks come ascending");
        self.coming.push_back((index, digest, false));
    }

    fn is_sent(&mut self, index: BlockIndex) {
        if let Ok(at) = self.coming.binary_search_by_key(&index, |entry| entry.0) {
            self.coming[at].2 = true;
        }
        while let Some((_, digest, true)) = self.coming.front() {
            self.linear.push(digest);
            self.blocks += 1;
            self.coming.pop_front();
        }
    }

    fn finish(self) -> Written {
        Written { blocks: self.blocks, checksum: self.linear.finish() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};
    use crate::pipeline::{Settings, Slot, Stop};
    use crate::snapshot::{NewSnapshot, SnapshotInfo, SnapshotState};
    use crate::source::BlockService;
    use crate::source::conformance::{filled, request};
    use crate::source::memory::MemoryService;
    use futures_util::future::{BoxFuture, FutureExt};
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn disk() -> Arc<dyn Disk> {
        Arc::new(RealDisk::default())
    }

    #[tokio::test(start_paused = true)]
    async fn the_aggregate_covers_this_run_and_the_earlier_one() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::for_tests();
        let service = Arc::new(MemoryService::new(100));
        let id = service.start(&request(None)).await.unwrap().id;
        service.put(&id, &filled(3, 3)).await.unwrap();
        let (sender, blocks) = mpsc::channel(2);
        let feed = tokio::spawn(async move {
            for index in 0..200_u32 {
                let block = filled(index, u8::try_from(index).unwrap());
                let outgoing = match index {
                    3 => Outgoing::Sent(block.index(), block.digest()),
                    _ => Outgoing::Send(block),
                };
                sender.send(Ok(outgoing)).await.unwrap();
            }
        });
        let path = dir.path().join("x.ckpt");
        let mut checkpoint = Slot::take(&disk(), &path).unwrap().begin("one", BTreeMap::new()).unwrap();
        let written = write(&engine, service.clone(), &id, blocks, &mut checkpoint, true).await.unwrap();
        feed.await.unwrap();
        assert_eq!(written.blocks, 200);
        // The service computes both itself, and refuses anything else.
        service.complete(&id, written).await.unwrap();
        assert!(service.open(&id).await.is_ok());
        assert_eq!(engine.requests().put, 199);
    }

    /// A service that takes half a second for each put, and counts how many it has at once.
    #[derive(Debug)]
    struct Far {
        inner: MemoryService,
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl SnapshotWriter for Far {
        fn start<'a>(&'a self, new: &'a NewSnapshot) -> BoxFuture<'a, Result<SnapshotInfo, Fault>> {
            self.inner.start(new)
        }

        fn put<'a>(&'a self, id: &'a SnapshotId, block: &'a Block) -> BoxFuture<'a, Result<(), Fault>> {
            async move {
                self.most.fetch_max(self.now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(500)).await;
                self.now.fetch_sub(1, Ordering::Relaxed);
                self.inner.put(id, block).await
            }
            .boxed()
        }

        fn complete<'a>(
            &'a self,
            id: &'a SnapshotId,
            written: Written,
        ) -> BoxFuture<'a, Result<SnapshotState, Fault>> {
            self.inner.complete(id, written)
        }
    }

    /// How many puts a far service has at once at most.
    async fn at_once(concurrency: Option<usize>) -> usize {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { concurrency, ..Settings::open(dir.path().into()) };
        let engine = Engine::new(settings, Arc::new(crate::monitor::Silent), Stop::new());
        let inner = MemoryService::new(100);
        let far = Arc::new(Far { inner, now: AtomicUsize::new(0), most: AtomicUsize::new(0) });
        let id = far.start(&request(None)).await.unwrap().id;
        let (sender, blocks) = mpsc::channel(2);
        let feed = tokio::spawn(async move {
            for index in 0..900 {
                sender.send(Ok(Outgoing::Send(filled(index, 1)))).await.unwrap();
            }
        });
        let path = dir.path().join("x.ckpt");
        let mut checkpoint = Slot::take(&disk(), &path).unwrap().begin("one", BTreeMap::new()).unwrap();
        write(&engine, far.clone(), &id, blocks, &mut checkpoint, true).await.unwrap();
        feed.await.unwrap();
        far.most.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_far_service_has_more_puts_at_once_unless_their_number_is_given() {
        assert_eq!(at_once(None).await, 128);
        assert_eq!(at_once(Some(7)).await, 7);
    }

    #[test]
    fn puts_that_end_backwards_are_aggregated_forwards() {
        let mut order = Order::default();
        let mut linear = LinearDigest::new();
        for index in 0..9 {
            let block = filled(index, 1);
            linear.push(&block.digest());
            order.comes(block.index(), block.digest());
        }
        (0..9).rev().for_each(|index| order.is_sent(BlockIndex::new(index)));
        assert_eq!(order.finish(), Written { blocks: 9, checksum: linear.finish() });
    }
}

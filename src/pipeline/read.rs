//! Reading a snapshot: list, fetch, check and deliver, all overlapping.
//!
//! ```text
//! lister --pages--> [next] --N tasks: fetch--> ready --batches--> owned threads: check, write to the sink
//!                      ^--------------- a block whose bytes were wrong, same tries ---'
//! ```
//!
//! A block's share of the byte budget is claimed before it is fetched and goes with it to the sink, so memory
//! follows the budget and not the volume. Fetches never wait for a batch: a batch takes what is ready and leaves
//! when it is full; while no other is being hashed, also when nothing is in transit, when fetches would have to
//! wait for its memory, or after a moment.

use crate::block::{BlockIndex, BlockSet, BlockSize};
use crate::fault::{Fault, Kind, Place, TokenKind};
use crate::monitor::Event;
use crate::pipeline::attempt::{Ask, Tries, interrupted};
use crate::pipeline::check::{BATCH, block_of, check};
use crate::pipeline::flow::Flow;
use crate::pipeline::walk::Walk;
use crate::pipeline::{Action, Engine};
use crate::source::{BlockSink, BlockSource, Cursor, Fetched, Listed};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a block may wait for company before it is hashed without: the time in which a batch comes in at 500
/// blocks a second, half of what one snapshot gives.
const LONGEST_WAIT: Duration = Duration::from_millis(32);
/// Pages listed ahead of the fetches: one being used, one ready, so that the lister is never waited for and tokens
/// of at most two pages are held.
const PAGES_AHEAD: usize = 1;

/// Which blocks of a source to read.
#[derive(Clone, Debug)]
pub enum Which {
    /// All that are allocated, except these.
    AllBut(BlockSet),
    /// These. The listing passes over pages that have none of them.
    Only(BlockSet),
    /// These, whose tokens are known already.
    These(Vec<Listed>),
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// The blocks listed, whether they were to be read or not.
    pub listed: BlockSet,
    /// Blocks fetched, checked and delivered.
    pub delivered: u64,
}

/// Reads blocks of a source into a sink. What the sink has taken when this fails stays taken; making it durable
/// is the caller's.
pub async fn read(
    engine: &Engine,
    source: Arc<dyn BlockSource>,
    which: Which,
    sink: Arc<dyn BlockSink>,
) -> Result<Read, Fault> {
    let (pages, feed) = mpsc::channel(PAGES_AHEAD);
    let mut reader = Reader::new(engine, source.clone(), sink, feed);
    match which {
        Which::AllBut(done) => {
            (reader.done, reader.lists_all) = (done, true);
            let all = BlockSet::from(source.geometry().range());
            both(list(engine, source.as_ref(), &all, pages), reader.run()).await
        }
        Which::Only(wanted) => {
            reader.done = &BlockSet::from(source.geometry().range()) - &wanted;
            both(list(engine, source.as_ref(), &wanted, pages), reader.run()).await
        }
        Which::These(blocks) => {
            // There is room for one page, and nobody else sends.
            let _ = pages.try_send(blocks);
            drop(pages);
            reader.run().await
        }
    }
}

/// Lists and reads until both are through.
async fn both(
    listing: impl Future<Output = Result<(), Fault>>,
    reading: impl Future<Output = Result<Read, Fault>>,
) -> Result<Read, Fault> {
    let mut reading = pin!(reading);
    tokio::select! {
        listed = listing => {
            // What is listed is read to the end even if the listing failed: it is paid for.
            let read = reading.await;
            listed.and(read)
        }
        // A reader that is through has seen the lister hang up; one that failed needs no more pages.
        read = &mut reading => read,
    }
}

/// Lists every page that may have one of these. Where the next of them cannot be on the next page, unless blocks are
/// missing between, a new listing begins there: a sample of a large snapshot is a few pages and not all of them.
async fn list(
    engine: &Engine,
    source: &dyn BlockSource,
    wanted: &BlockSet,
    pages: mpsc::Sender<Vec<Listed>>,
) -> Result<(), Fault> {
    let Some(first) = wanted.next_from(BlockIndex::ZERO) else { return Ok(()) };
    let mut walk = Walk::over(engine, source, first);
    while let Some(page) = walk.page(|cursor| source.list(cursor)).await? {
        let entries = page.len() as u64;
        if pages.send(page).await.is_err() {
            break;
        }
        let Some(at) = walk.position() else { continue };
        match wanted.next_from(at) {
            None => break,
            Some(next) if u64::from(next.get() - at.get()) > entries => {
                walk = Walk::over(engine, source, next);
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// A block to fetch, and how often that was tried.
struct Job {
    listed: Listed,
    tries: Tries,
    wait: Duration,
}

/// A block that has arrived. Its claim is given back when it is dropped, at the sink.
struct Unchecked {
    job: Job,
    fetched: Fetched,
    claim: OwnedSemaphorePermit,
}

/// What became of a batch: how many were delivered, and which have to be fetched again.
struct Outcome {
    delivered: u64,
    wrong: Vec<(Job, Fault)>,
}

struct Reader<'a> {
    engine: &'a Engine,
    source: Arc<dyn BlockSource>,
    sink: Arc<dyn BlockSink>,
    done: BlockSet,
    /// Whether the pages are all of the source: then their end tells how many blocks there are.
    lists_all: bool,
    pages: Option<mpsc::Receiver<Vec<Listed>>>,
    waiting: VecDeque<Job>,
    fetches: JoinSet<Result<Unchecked, (BlockIndex, Fault)>>,
    ready: Vec<Unchecked>,
    ready_since: Option<Instant>,
    checks: JoinSet<Result<Outcome, Fault>>,
    /// Blocks in the batches that have left.
    checking: usize,
    flow: Flow,
    budget: Arc<Semaphore>,
    threads: usize,
    read: Read,
}

impl<'a> Reader<'a> {
    fn new(
        engine: &'a Engine,
        source: Arc<dyn BlockSource>,
        sink: Arc<dyn BlockSink>,
        pages: mpsc::Receiver<Vec<Listed>>,
    ) -> Self {
        let blocks = engine.settings.memory.bytes() / u64::from(BlockSize::EBS.bytes());
        Self {
            engine,
            source,
            sink,
            done: BlockSet::new(),
            lists_all: false,
            pages: Some(pages),
            waiting: VecDeque::new(),
            fetches: JoinSet::new(),
            ready: Vec::with_capacity(BATCH),
            ready_since: None,
            checks: JoinSet::new(),
            checking: 0,
            flow: Flow::new(&engine.settings),
            // In blocks. A budget below one block would never let one through.
            budget: Arc::new(Semaphore::new(usize::try_from(blocks).unwrap_or(usize::MAX >> 4).max(1))),
            // Half of them may wait for the disk while the others hash.
            threads: 2 * std::thread::available_parallelism().map_or(1, usize::from),
            read: Read::default(),
        }
    }

    async fn run(mut self) -> Result<Read, Fault> {
        let worked = self.work().await;
        // Batches that have left cannot be called back: the sink is at rest only after the last of them.
        self.fetches.shutdown().await;
        while self.checks.join_next().await.is_some() {}
        worked.map(|()| self.read)
    }

    async fn work(&mut self) -> Result<(), Fault> {
        loop {
            while self.has_room()
                && let Some(job) = self.waiting.pop_front()
            {
                self.fetch(job);
            }
            self.check_what_is_ready();
            let idle = self.waiting.is_empty() && self.fetches.is_empty();
            if idle && self.ready.is_empty() && self.checks.is_empty() && self.pages.is_none() {
                return Ok(());
            }
            let company = self.ready_since.map(|since| since + LONGEST_WAIT);
            let hungry = self.waiting.is_empty();
            tokio::select! {
                page = next_page(&mut self.pages), if hungry && self.pages.is_some() => self.take(page),
                Some(fetched) = self.fetches.join_next() => match fetched {
                    Ok(Ok(block)) => self.arrived(block),
                    Ok(Err((index, fault))) => self.sink.lost(index, fault)?,
                    Err(error) => return lost(error),
                },
                Some(outcome) = self.checks.join_next() => self.checked(outcome.unwrap_or_else(lost)?).await?,
                () = sleep_until(company), if company.is_some() && self.checks.is_empty() => {}
                () = self.engine.stop.requested() => return Err(interrupted()),
            }
        }
    }

    /// Whether another block may be asked for.
    fn has_room(&self) -> bool {
        self.fetches.len() < self.flow.in_flight() && !self.is_full()
    }

    /// Whether no more blocks may be held. Memory follows the number in flight, and not the budget alone.
    fn is_full(&self) -> bool {
        let held = self.fetches.len() + self.ready.len() + self.checking;
        held >= self.flow.held() || self.budget.available_permits() == 0
    }

    fn take(&mut self, page: Option<Vec<Listed>>) {
        let Some(page) = page else {
            self.pages = None;
            if self.lists_all {
                self.engine.monitor.on(Event::Total(self.read.listed.len()));
            }
            return;
        };
        self.read.listed.extend(page.iter().map(|listed| listed.index));
        let wanted = page.into_iter().filter(|listed| !self.done.contains(listed.index));
        self.waiting.extend(wanted.map(|listed| Job { listed, tries: Tries::none(), wait: Duration::ZERO }));
    }

    fn fetch(&mut self, job: Job) {
        let (engine, source, budget) = (self.engine.clone(), self.source.clone(), self.budget.clone());
        self.fetches.spawn(async move {
            let index = job.listed.index;
            let fetched = async {
                let claim = budget.acquire_owned().await.map_err(|_| interrupted())?;
                engine.pause(job.wait).await?;
                fetch(&engine, source.as_ref(), job, claim).await
            };
            fetched.await.map_err(|fault| (index, fault))
        });
    }

    fn arrived(&mut self, block: Unchecked) {
        self.flow.arrived();
        self.ready_since.get_or_insert_with(Instant::now);
        self.ready.push(block);
    }

    /// Sends batches off while threads are free: full ones at once, the rest when its time has come. While another
    /// is being hashed the rest gains company for nothing, and a full batch costs half of what its blocks would
    /// cost in two.
    fn check_what_is_ready(&mut self) {
        let due = |reader: &Self| {
            let is_late = reader.ready_since.is_some_and(|since| since.elapsed() >= LONGEST_WAIT);
            let is_awaited = is_late || reader.fetches.is_empty() || reader.is_full();
            reader.ready.len() >= BATCH || (is_awaited && reader.checks.is_empty())
        };
        while self.checks.len() < self.threads && !self.ready.is_empty() && due(self) {
            let batch: Vec<_> = self.ready.drain(..self.ready.len().min(BATCH)).collect();
            self.ready_since = (!self.ready.is_empty()).then(Instant::now);
            self.checking += batch.len();
            let (place, sink) = (self.source.place(), self.sink.clone());
            self.checks.spawn_blocking(move || deliver(&place, batch, sink.as_ref()));
        }
    }

    async fn checked(&mut self, outcome: Outcome) -> Result<(), Fault> {
        self.checking -= usize::try_from(outcome.delivered).unwrap_or(usize::MAX) + outcome.wrong.len();
        self.read.delivered += outcome.delivered;
        let size = BlockSize::EBS.of(outcome.delivered);
        self.engine.monitor.on(Event::Done { blocks: outcome.delivered, size });
        for (mut job, fault) in outcome.wrong {
            let place = fault.at.clone();
            match self.engine.after(&mut job.tries, &Ask::new(Action::Get, place), fault).await {
                Ok(wait) => {
                    job.wait = wait;
                    self.waiting.push_front(job);
                }
                Err(fault) => self.sink.lost(job.listed.index, fault)?,
            }
        }
        Ok(())
    }
}

/// Fetches one block. A token that has expired is replaced once, by listing again from that block.
async fn fetch(
    engine: &Engine,
    source: &dyn BlockSource,
    mut job: Job,
    claim: OwnedSemaphorePermit,
) -> Result<Unchecked, Fault> {
    let place = source.place();
    let mut renewed = false;
    loop {
        let ask = Ask::new(Action::Get, block_of(&place, job.listed.index));
        let ask = match &place {
            Place::Snapshot(id) => ask.of(id),
            _ => ask,
        };
        let fault = match engine.ask(&mut job.tries, ask, || source.fetch(&job.listed)).await {
            Ok(fetched) => return Ok(Unchecked { job, fetched, claim }),
            Err(fault) => fault,
        };
        match fault.kind {
            Kind::InvalidToken(TokenKind::Block) if !renewed => {
                renewed = true;
                job.listed = listed_again(engine, source, job.listed.index).await?;
            }
            // It was listed a moment ago.
            Kind::NotFound => return Err(fault.as_kind(Kind::Vanished)),
            _ => return Err(fault),
        }
    }
}

async fn listed_again(engine: &Engine, source: &dyn BlockSource, index: BlockIndex) -> Result<Listed, Fault> {
    let mut walk = Walk::over(engine, source, index);
    while let Some(page) = walk.page(|cursor: Cursor| source.list(cursor)).await? {
        if let Some(first) = page.into_iter().next() {
            if first.index == index {
                return Ok(first);
            }
            break;
        }
    }
    let at = block_of(&source.place(), index);
    Err(Fault::new(Kind::Vanished, at, "it was listed before and is listed no more"))
}

/// The owned job: hash a batch, hand what is right to the sink.
fn deliver(place: &Place, batch: Vec<Unchecked>, sink: &dyn BlockSink) -> Result<Outcome, Fault> {
    let mut outcome = Outcome { delivered: 0, wrong: Vec::new() };
    let unchecked: Vec<_> = batch.iter().map(|block| (&block.job.listed, &block.fetched)).collect();
    let checked = check(place, &unchecked);
    for (block, checked) in batch.into_iter().zip(checked) {
        let Unchecked { job, claim, .. } = block;
        match checked {
            Ok(block) => {
                sink.write(&block)?;
                outcome.delivered += 1;
            }
            Err(fault) => outcome.wrong.push((job, fault)),
        }
        drop(claim);
    }
    Ok(outcome)
}

async fn next_page(pages: &mut Option<mpsc::Receiver<Vec<Listed>>>) -> Option<Vec<Listed>> {
    match pages {
        Some(pages) => pages.recv().await,
        None => None,
    }
}

async fn sleep_until(time: Option<Instant>) {
    if let Some(time) = time {
        tokio::time::sleep_until(time).await;
    }
}

/// A task of ours was lost: it panicked, and the panic has been reported where it happened.
fn lost<T>(error: tokio::task::JoinError) -> Result<T, Fault> {
    Err(Fault::new(Kind::Service, Place::Program, "a worker of this program failed").because(error))
}

#[cfg(test)]
mod tests;

//! What was written between snapshots, step by step along a chain.

use crate::block::{BlockIndex, BlockSize, ByteSize, Digest, GiB};
use crate::cost::Estimate;
use crate::delta::{Churn, Delta, churn};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::preflight::{announce, open};
use crate::ops::{Engine, Services};
use crate::pipeline::{Requests, Walk, Which, changes, read};
use crate::snapshot::SnapshotId;
use crate::source::{Block, BlockSink, Listed};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Runs of blocks shown as changed most often.
const MOST_CHURN: usize = 10;

/// What to compare.
#[derive(Clone, Debug)]
pub struct Options {
    /// Two or more, each compared with the one before it.
    pub snapshots: Vec<SnapshotId>,
    /// Whether to read the blocks that both have, to tell rewritten-identical from different.
    pub content: bool,
}

/// One step of the chain.
#[derive(Clone, Debug)]
pub struct Step {
    /// The snapshot before.
    pub first: SnapshotId,
    /// The snapshot after.
    pub second: SnapshotId,
    /// Size of the second's volume, where the service tells.
    pub volume_size: Option<GiB>,
    /// The blocks that differ.
    pub delta: Delta,
    /// Of the blocks in both, how many hold the same bytes; `None` unless contents were compared.
    pub identical: Option<u64>,
}

impl Step {
    /// What the changed blocks hold.
    pub fn changed_size(&self) -> ByteSize {
        BlockSize::EBS.of(self.delta.len())
    }
}

/// What `icecore diff` found.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// One for each pair of neighbours; never empty.
    pub steps: Vec<Step>,
    /// The runs changed most often, when there is more than one step.
    pub churn: Vec<Churn>,
    /// What was asked.
    pub requests: Requests,
}

/// Compares each snapshot with the one before it. Lists only, unless contents are to be compared: then every
/// block that both have is read from both.
pub async fn run(options: &Options, services: &Services, engine: &Engine) -> Result<Report, Fault> {
    for pair in options.snapshots.windows(2) {
        if pair[0] == pair[1] {
            return Err(Fault::new(
                Kind::Unsuitable,
                Place::Snapshot(pair[0].clone()),
                "it would be compared with itself, which shows nothing",
            )
            .hint("give two different snapshots, the older one first"));
        }
    }
    engine.monitor.on(Event::Stage { verb: "comparing", total: None });
    let mut steps = Vec::new();
    for pair in options.snapshots.windows(2) {
        let (first, second) = (&pair[0], &pair[1]);
        let (delta, volume_size) = delta(services, engine, first, second).await?;
        steps.push(Step {
            first: first.clone(),
            second: second.clone(),
            volume_size,
            delta,
            identical: None,
        });
    }
    if options.content {
        let both: u64 = steps.iter().map(|step| step.delta.in_both.len()).sum();
        let lists = both.div_ceil(Estimate::PAGE) + 3 * steps.len() as u64;
        let place = Place::Pair(options.snapshots[0].clone(), options.snapshots[1].clone());
        announce(services, engine, &place, &Estimate { lists, gets: 2 * both, puts: 0 })?;
        engine.monitor.on(Event::Stage { verb: "comparing contents", total: Some(2 * both) });
        for step in &mut steps {
            step.identical = Some(identical(services, engine, step).await?);
        }
    }
    let changed: Vec<_> = steps.iter().map(|step| step.delta.changed()).collect();
    Ok(Report { churn: churn(&changed, MOST_CHURN), steps, requests: engine.requests() })
}

/// What was written between two snapshots, and the second's volume size where the service tells.
pub(super) async fn delta(
    services: &Services,
    engine: &Engine,
    first: &SnapshotId,
    second: &SnapshotId,
) -> Result<(Delta, Option<GiB>), Fault> {
    let feed = services.blocks.compare(first, second);
    match changes(engine, feed.as_ref()).await {
        Ok(changed) => Ok(changed),
        Err(fault) => Err(explained(services, engine, [first, second], fault).await),
    }
}

/// Which of the two it is, and why.
async fn explained(services: &Services, engine: &Engine, pair: [&SnapshotId; 2], fault: Fault) -> Fault {
    match fault.kind {
        Kind::Unrelated => {
            fault.or_hint("only snapshots of one lineage can be compared: icecore list numbers them")
        }
        Kind::NotFound => {
            for id in pair {
                if let Err(fault) = open(services, engine, id).await {
                    return fault;
                }
            }
            fault
        }
        _ => fault,
    }
}

/// How many of the blocks in both hold the same bytes. Page by page, so that memory follows the page.
async fn identical(services: &Services, engine: &Engine, step: &Step) -> Result<u64, Fault> {
    let first = open(services, engine, &step.first).await?;
    let second = open(services, engine, &step.second).await?;
    let feed = services.blocks.compare(&step.first, &step.second);
    let mut walk = Walk::new(engine, feed.place(), BlockIndex::ZERO);
    let mut same = 0;
    while let Some(page) = walk.page(|cursor| feed.changes(cursor)).await? {
        let in_both = page.into_iter().filter_map(|change| {
            let listed = |token| Listed { index: change.index, token };
            Some((listed(change.first?), listed(change.second?)))
        });
        let (before, after): (Vec<_>, Vec<_>) = in_both.unzip();
        let digests = Arc::new(Digests::default());
        read(engine, first.clone(), Which::These(before), digests.clone()).await?;
        let before = digests.take();
        read(engine, second.clone(), Which::These(after), digests.clone()).await?;
        let after = digests.take();
        same += before.iter().filter(|(index, digest)| after.get(index) == Some(digest)).count() as u64;
    }
    Ok(same)
}

/// Keeps digests only.
#[derive(Debug, Default)]
struct Digests(Mutex<HashMap<BlockIndex, Digest>>);

impl Digests {
    fn take(&self) -> HashMap<BlockIndex, Digest> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl BlockSink for Digests {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(block.index(), block.digest());
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }
}

//! One pass over the blocks: read on both sides, each judged as it comes. What is wrong is passed over once more.

use crate::block::{BlockIndex, BlockSet, ByteSize};
use crate::fault::Fault;
use crate::manifest::Draft;
use crate::ops::Engine;
use crate::ops::progress::Progress;
use crate::ops::scan::scan;
use crate::ops::verify::judge::{Expected, Judge};
use crate::ops::verify::leash::Leash;
use crate::ops::verify::plan::Plan;
use crate::ops::verify::sides::{Other, Truth};
use crate::ops::verify::work::Work;
use crate::ops::verify::{Budget, Mismatches};
use crate::pipeline::{Which, read};
use crate::source::BlockSource;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

/// Wrong blocks that are read a second time; the others are wrong as well, but nobody knows whether twice.
const READ_AGAIN: usize = 1024;

impl Work<'_> {
    pub(super) fn judge(&self, plan: &Plan, draft: &Arc<Draft>, progress: Progress) -> Judge {
        let expected = match (&self.sides.truth, &self.sides.other, &self.sides.baseline, &plan.unchanged) {
            (Truth::Manifest(manifest), ..) | (_, _, Some((manifest, _)), _) => {
                Expected::Listed(manifest.clone(), None)
            }
            (_, Other::Snapshot(..), ..) => Expected::Drafted(draft.clone(), self.sides.present.clone()),
            (.., Some((manifest, unchanged))) => Expected::Listed(manifest.clone(), Some(unchanged.clone())),
            _ => Expected::Claimed,
        };
        let wrong = Mismatches::on(self.engine.machine());
        let mut judge = Judge::new(expected, self.engine.monitor.clone(), Some(progress), wrong);
        judge.absent_is_zero = self.sides.absent_is_zero;
        judge.pads = self.sides.target.as_ref().is_some_and(|target| target.short_by == ByteSize::ZERO);
        match &self.sides.other {
            Other::Image(image) => {
                judge.image = Some(image.clone());
                judge.taken = self.options.taken.clone();
            }
            Other::None | Other::Snapshot(..) => {}
        }
        if matches!(
            (&self.sides.truth, &self.sides.other),
            (Truth::Snapshot(_), Other::None | Other::Image(_))
        ) {
            judge.draft = Some(draft.clone());
        }
        judge
    }

    /// Reads these blocks, and lets each be judged.
    pub(super) async fn pass(&self, todo: &BlockSet, judge: &Arc<Judge>, leash: &Leash) -> Result<(), Fault> {
        let sides = self.sides;
        let leashed = |engine: &Engine| Engine { stop: leash.stop().clone(), ..engine.clone() };
        let engine = leashed(self.engine);
        if let Some(taken) = &judge.taken {
            return match &sides.truth {
                Truth::Manifest(_) => judge.taken(taken, todo),
                Truth::Snapshot(source) => {
                    self.fetch(&engine, source, &(todo & &taken.blocks), judge, leash).await
                }
            };
        }
        match (&sides.truth, &sides.other) {
            (Truth::Manifest(_), Other::Image(image)) => scan(&engine, image, todo.clone(), judge).await,
            (Truth::Manifest(_), Other::None | Other::Snapshot(..)) => Ok(()),
            (Truth::Snapshot(source), Other::Image(image)) => {
                self.fetch(&engine, source, todo, judge, leash).await?;
                scan(&engine, image, todo - &sides.present, judge).await
            }
            (Truth::Snapshot(source), Other::None) => {
                for index in (todo - &sides.present).iter() {
                    judge.hold(index, None)?;
                }
                self.fetch(&engine, source, todo, judge, leash).await
            }
            (Truth::Snapshot(source), Other::Snapshot(other, of_other)) => {
                let Expected::Drafted(draft, _) = &judge.expected else { return Ok(()) };
                let first = Which::Only(todo & &sides.present);
                let quiet = Engine { monitor: Arc::new(crate::monitor::Silent), ..engine.clone() };
                read(&quiet, source.clone(), first, draft.clone()).await?;
                for index in (todo - &sides.in_other).iter() {
                    judge.hold(index, None)?;
                }
                let of_other = leashed(of_other);
                read(&of_other, other.clone(), Which::Only(todo & &sides.in_other), judge.clone())
                    .await
                    .map(drop)
            }
        }
    }

    /// Reads those of the blocks that the snapshot has.
    async fn fetch(
        &self,
        engine: &Engine,
        source: &Arc<dyn BlockSource>,
        todo: &BlockSet,
        judge: &Arc<Judge>,
        leash: &Leash,
    ) -> Result<(), Fault> {
        let wanted = todo & &self.sides.present;
        if wanted.is_empty() {
            return Ok(());
        }
        let mut reading = pin!(read(engine, source.clone(), Which::Only(wanted), judge.clone()));
        let read = tokio::select! {
            read = &mut reading => read,
            () = self.overspent() => {
                leash.pull(Budget::Usd);
                // It ends by itself, once the batches that have left are judged.
                reading.await
            }
        };
        read.map(drop)
    }

    /// Whether the first of these are wrong when they are read a second time.
    pub(super) async fn again(
        &self,
        wrong: &BlockSet,
        judge: Judge,
        leash: &Leash,
    ) -> Result<BTreeMap<BlockIndex, bool>, Fault> {
        let wrong: BlockSet = wrong.iter().take(READ_AGAIN).collect();
        if self.budget().is_some_and(|budget| self.spent() + self.price_of(wrong.len()) > budget) {
            return Ok(BTreeMap::new());
        }
        let judge = Arc::new(judge);
        self.pass(&wrong, &judge, leash).await?;
        let Some(judge) = Arc::into_inner(judge) else { unreachable!("reading has ended") };
        let (verdicts, _) = judge.into_verdicts();
        let right = verdicts.right.iter().map(|index| (index, false));
        let wrong = verdicts.wrong.blocks().iter().map(|index| (index, true));
        Ok(right.chain(wrong).collect())
    }
}

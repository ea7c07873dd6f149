//! Reading the chosen blocks to their verdicts, within budget, resumable.

use crate::block::BlockSet;
use crate::cost::{RequestPrices, Usd};
use crate::fault::{Fault, Kind};
use crate::manifest::Roots;
use crate::monitor::Event;
use crate::ops::verify::conclude::unfetched;
use crate::ops::verify::leash::{Leash, in_time};
use crate::ops::verify::plan::plan;
use crate::ops::verify::record::Known;
use crate::ops::verify::sides::Sides;
use crate::ops::verify::{Baseline, Budget, Coverage, Drift, Exception, Mismatches, Mode, Options};
use crate::ops::{Engine, Services};
use crate::pipeline::Requests;
use crate::sample::Partition;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// A verification about to be done.
pub(super) struct Work<'a> {
    pub(super) options: &'a Options,
    pub(super) sides: &'a Sides,
    pub(super) services: Option<&'a Services>,
    pub(super) engine: &'a Engine,
    pub(super) parts: Vec<Partition>,
    pub(super) deadline: Option<Instant>,
    /// What was asked before it began.
    pub(super) before: Requests,
    pub(super) seed: u64,
    /// What the ledger knew before the first block was read.
    pub(super) known: Known,
}

/// What came of it.
pub(super) struct Done {
    pub(super) mode: Mode,
    pub(super) baseline: Option<Baseline>,
    pub(super) coverage: Coverage,
    pub(super) bound: Option<f64>,
    pub(super) mismatches: Mismatches,
    pub(super) unreadable: BlockSet,
    /// Blocks read to a verdict, right or wrong.
    pub(super) read_blocks: BlockSet,
    /// What the ledger knew before the first of them was read.
    pub(super) known: Known,
    pub(super) exceptions: Vec<Exception>,
    pub(super) stopped_by: Option<Budget>,
    pub(super) roots: Option<Roots>,
    pub(super) remarks: Vec<String>,
    pub(super) drift: Option<Drift>,
    pub(super) requests: Requests,
    pub(super) usd: Option<Usd>,
    pub(super) usd_estimated: Option<Usd>,
}

impl Work<'_> {
    pub(super) async fn run(mut self) -> Result<Done, Fault> {
        let begun = self.begin()?;
        self.seed = begun.seed;
        let ledger_known = begun.known.unwrap_or_else(|| self.known.clone());
        let chosen =
            plan(self.options, self.sides, self.parts.clone(), self.seed, self.services, self.engine);
        let mut plan = in_time(self.deadline, self.options.what.place(), chosen).await?;
        let resumed = &begun.right & &plan.chosen;
        plan.mode.is_resumed = begun.is_trusted && !resumed.is_empty();
        let todo = &plan.chosen - &resumed;
        let (todo, is_cut, estimate) = self.within_budget(todo);
        self.engine.monitor.on(Event::Stage { verb: "verifying", total: Some(resumed.len() + todo.len()) });
        let size = self.sides.geometry().block_size.of(resumed.len());
        self.engine.monitor.on(Event::Resumed { blocks: resumed.len(), size });

        let leash = Leash::new(&self.engine.stop, self.deadline);
        let judge = Arc::new(self.judge(&plan, &begun.draft, begun.progress));
        let read = self.pass(&todo, &judge, &leash).await;
        let fault = self.concluded(read).err();
        let expected = judge.expected.clone();
        let again = judge.again();
        let Some(judge) = Arc::into_inner(judge) else { unreachable!("reading has ended") };
        let (mut verdicts, progress) = judge.into_verdicts();
        let mut mismatches = std::mem::take(&mut verdicts.wrong);
        let seen = &verdicts.right | mismatches.blocks();
        let known = &seen | &resumed;
        let mut faults = Vec::new();
        let again = match fault.is_none() && !mismatches.is_empty() {
            true => self.again(mismatches.blocks(), again, &leash).await.unwrap_or_else(|fault| {
                faults.extend(leash.reason().is_none().then(|| Exception::from(&fault)));
                BTreeMap::new()
            }),
            false => BTreeMap::new(),
        };
        let classified = self.classify(&mut mismatches, &again, &expected, &begun.draft, &known).await;
        // They are wrong, whatever keeps us from saying how.
        faults.extend(classified.err().as_ref().map(Exception::from));
        let stopped_by = leash.reason().or(is_cut.then_some(Budget::Usd));
        // Wrong blocks were read once more, and others for the classes.
        let fault = fault.or_else(|| self.is_unchanged().err());
        let fault = fault.filter(|fault| !(fault.kind == Kind::Interrupted && stopped_by.is_some()));
        let is_whole =
            known == plan.chosen && fault.is_none() && verdicts.unreadable.is_empty() && stopped_by.is_none();
        let is_full = plan.chosen == plan.scope;
        // A block that arrived otherwise than its checksum says has no digest, and the snapshot no root then.
        let is_all = is_whole && is_full && unfetched(&mismatches)?.is_empty();
        let roots = self.roots(is_all, &begun.draft).await?;
        self.end(progress, begun.draft, is_whole, fault, verdicts, &mut faults).map(|verdicts| Done {
            bound: plan.bound.filter(|_| is_whole && mismatches.is_empty()),
            baseline: self.baseline(&plan),
            coverage: Coverage {
                total: plan.scope.len(),
                planned: plan.chosen.len(),
                read: known.len(),
                resumed: resumed.len(),
                unverifiable: plan.unverifiable,
                audited: plan.audited,
                unchanged: plan.unchanged.as_ref().map_or(0, |(_, blocks)| blocks.len()),
            },
            mismatches,
            unreadable: verdicts.unreadable,
            read_blocks: known,
            known: ledger_known,
            exceptions: verdicts.exceptions.into_iter().chain(faults).collect(),
            stopped_by,
            roots,
            remarks: self.remarks(plan.remarks, resumed.len()),
            drift: self.drift(),
            mode: plan.mode,
            requests: self.requests(),
            usd: self.budget().map(|_| self.spent()),
            usd_estimated: self.budget().map(|_| estimate.usd(&RequestPrices::LISTED)),
        })
    }
}

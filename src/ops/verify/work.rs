//! Reading the chosen blocks to their verdicts, within budget, resumable.

use crate::block::{BlockIndex, BlockSet};
use crate::cost::{RequestPrices, Usd};
use crate::fault::{Fault, Kind};
use crate::manifest::{Draft, Merkle, Roots};
use crate::monitor::Event;
use crate::ops::preflight::suspended;
use crate::ops::progress::Progress;
use crate::ops::scan::scan;
use crate::ops::verify::classify::{Known, classified};
use crate::ops::verify::explain::used_since;
use crate::ops::verify::judge::{Expected, Finding, Judge, Verdicts};
use crate::ops::verify::leash::Leash;
use crate::ops::verify::plan::{Plan, plan};
use crate::ops::verify::sides::{Other, Sides, Truth, baseline_of};
use crate::ops::verify::{Against, Baseline, Budget, Coverage, Exception, Mismatch, Mode, Options, Origin};
use crate::ops::{Engine, Services};
use crate::pipeline::{Checkpoint, Earlier, Requests, Slot, Which, read};
use crate::sample::Partition;
use crate::source::BlockSource;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

/// Wrong blocks that are read a second time; the others are wrong as well, but nobody knows whether twice.
const READ_AGAIN: usize = 1024;

/// A verification about to be done.
pub(super) struct Work<'a> {
    pub(super) options: &'a Options,
    pub(super) sides: &'a Sides,
    pub(super) services: Option<&'a Services>,
    pub(super) engine: &'a Engine,
    pub(super) parts: Vec<Partition>,
    /// What was asked before it began.
    pub(super) before: Requests,
    pub(super) seed: u64,
}

/// What came of it.
pub(super) struct Done {
    pub(super) mode: Mode,
    pub(super) baseline: Option<Baseline>,
    pub(super) coverage: Coverage,
    pub(super) bound: Option<f64>,
    pub(super) mismatches: Vec<Mismatch>,
    pub(super) unreadable: BlockSet,
    pub(super) exceptions: Vec<Exception>,
    pub(super) stopped_by: Option<Budget>,
    pub(super) roots: Option<Roots>,
    pub(super) remarks: Vec<String>,
    pub(super) requests: Requests,
    pub(super) usd: Option<Usd>,
    pub(super) usd_estimated: Option<Usd>,
}

/// What an interrupted run left.
struct Begun {
    progress: Progress,
    draft: Arc<Draft>,
    right: BlockSet,
    seed: u64,
}

const SEED: &str = "seed";

impl Work<'_> {
    pub(super) async fn run(mut self) -> Result<Done, Fault> {
        let begun = self.begin()?;
        self.seed = begun.seed;
        let plan =
            plan(self.options, self.sides, self.parts.clone(), self.seed, self.services, self.engine).await?;
        let resumed = &begun.right & &plan.chosen;
        let todo = &plan.chosen - &resumed;
        let (todo, is_cut, estimate) = self.within_budget(todo);
        self.engine.monitor.on(Event::Stage { verb: "verifying", total: Some(resumed.len() + todo.len()) });
        let size = self.sides.geometry().block_size.of(resumed.len());
        self.engine.monitor.on(Event::Resumed { blocks: resumed.len(), size });

        let leash = Leash::new(&self.engine.stop, self.options.deadline);
        let judge = Arc::new(self.judge(&plan, &begun.draft, begun.progress));
        let read = self.pass(&todo, &judge, &leash).await;
        let fault = read.and_then(|()| self.is_unchanged()).err();
        let expected = judge.expected.clone();
        let again = judge.again();
        let Some(judge) = Arc::into_inner(judge) else { unreachable!("reading has ended") };
        let (verdicts, progress) = judge.into_verdicts();
        let seen = &verdicts.right | &verdicts.findings.iter().map(|finding| finding.index).collect();
        let known = &seen | &resumed;
        let mut faults = Vec::new();
        let again = match fault.is_none() && !verdicts.findings.is_empty() {
            true => self.again(&verdicts.findings, again, &leash).await.unwrap_or_else(|fault| {
                faults.extend(leash.reason().is_none().then(|| Exception::from(&fault)));
                BTreeMap::new()
            }),
            false => BTreeMap::new(),
        };
        let mismatches = self.mismatches(&verdicts.findings, &again, &expected, &begun.draft, &known).await?;
        let stopped_by = leash.reason().or(is_cut.then_some(Budget::Usd));
        let fault = fault.filter(|fault| !(fault.kind == Kind::Interrupted && stopped_by.is_some()));
        let is_whole =
            known == plan.chosen && fault.is_none() && verdicts.unreadable.is_empty() && stopped_by.is_none();
        let is_full = plan.chosen == plan.scope;
        let roots = self.roots(is_whole && is_full, &begun.draft).await?;
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
            },
            mismatches,
            unreadable: verdicts.unreadable,
            exceptions: verdicts.exceptions.into_iter().chain(faults).collect(),
            stopped_by,
            roots,
            remarks: self.remarks(plan.remarks, resumed.len()),
            mode: plan.mode,
            requests: self.requests(),
            usd: self.budget().map(|_| self.spent()),
            usd_estimated: self.budget().map(|_| estimate.usd(&RequestPrices::LISTED)),
        })
    }

    /// The right to verify this, and what an interrupted run of the same left.
    fn begin(&self) -> Result<Begun, Fault> {
        let place = self.services.map_or("", |services| services.label.as_str());
        let other = match &self.options.against {
            Against::Nothing => String::new(),
            Against::Image(path) => {
                std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()
            }
            Against::Snapshot { snapshot_id, services, .. } => format!("{snapshot_id} of {}", services.label),
        };
        let subject = &self.sides.subject.name;
        let target = format!("{subject} of {place} against {other} and {:?}", self.options.manifest);
        let path = Checkpoint::path(&self.engine.settings.state_dir, "verify", &target);
        let slot = Slot::take(&self.engine.machine().disk, &path)?;
        let identity = self.identity(&target)?;
        let draft_path = path.with_extension("digests");
        let (checkpoint, right) = match slot.earlier(&identity)? {
            Earlier::Same(found) => {
                let right = found.done.clone();
                self.engine.note(format!(
                    "going on with an interrupted verification: {} blocks are done",
                    right.len()
                ));
                (slot.resume(found)?, right)
            }
            Earlier::Other(_) | Earlier::None => {
                let facts = BTreeMap::from([(SEED.to_owned(), self.seed.to_string())]);
                (slot.begin(&identity, facts)?, BlockSet::new())
            }
        };
        let seed = checkpoint.fact(SEED).and_then(|seed| seed.parse().ok()).unwrap_or(self.seed);
        let draft = Arc::new(Draft::open(&self.engine.machine().disk, &draft_path, self.sides.geometry())?);
        Ok(Begun {
            progress: Progress::new(checkpoint, &right, self.engine.settings.checkpoint_every),
            draft,
            right,
            seed,
        })
    }

    /// Everything that makes it another verification.
    fn identity(&self, target: &str) -> Result<String, Fault> {
        let options = self.options;
        let stamp = match &self.sides.other {
            // What a device holds may change without a trace, least unlikely across a restart.
            Other::Image(image) if image.is_device() => {
                format!("{} since {:?}", image.stamp()?, self.engine.machine().disk.boot())
            }
            Other::Image(image) => image.stamp()?,
            Other::None | Other::Snapshot(..) => String::new(),
        };
        let manifests = [&self.sides.baseline.as_ref().map(|(manifest, _)| manifest.roots().map)];
        let truth = match &self.sides.truth {
            Truth::Manifest(manifest) => Some(manifest.roots().map),
            Truth::Snapshot(_) => None,
        };
        let older: Vec<_> = self.sides.older.iter().map(|manifest| manifest.roots().map).collect();
        Ok(format!(
            "verify {target} at {stamp} with {manifests:?} {truth:?} {older:?} delta {} audit {} parts {:?} sample {:?} \
             seed {:?} zeros {} pads {} taken {}",
            options.delta_from.is_some(),
            options.audit,
            self.parts,
            options.sample,
            options.seed,
            self.sides.absent_is_zero,
            options.pads,
            options.taken.is_some(),
        ))
    }

    fn judge(&self, plan: &Plan, draft: &Arc<Draft>, progress: Progress) -> Judge {
        let expected = match (&self.sides.truth, &self.sides.other, &self.sides.baseline, &plan.unchanged) {
            (Truth::Manifest(manifest), ..) | (_, _, Some((manifest, _)), _) => {
                Expected::Listed(manifest.clone(), None)
            }
            (_, Other::Snapshot(..), ..) => Expected::Drafted(draft.clone(), self.sides.present.clone()),
            (.., Some((manifest, unchanged))) => Expected::Listed(manifest.clone(), Some(unchanged.clone())),
            _ => Expected::Claimed,
        };
        let mut judge = Judge::new(expected, self.engine.monitor.clone(), Some(progress));
        judge.absent_is_zero = self.sides.absent_is_zero;
        judge.pads = self.options.pads;
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
    async fn pass(&self, todo: &BlockSet, judge: &Arc<Judge>, leash: &Leash) -> Result<(), Fault> {
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
            (Truth::Manifest(_), Other::Image(image)) => {
                scan(&engine, image, in_turn(todo.clone()), judge).await
            }
            (Truth::Manifest(_), Other::None | Other::Snapshot(..)) => Ok(()),
            (Truth::Snapshot(source), Other::Image(image)) => {
                self.fetch(&engine, source, todo, judge, leash).await?;
                scan(&engine, image, in_turn(todo - &sides.present), judge).await
            }
            (Truth::Snapshot(source), Other::None) => {
                for index in (todo - &sides.present).iter() {
                    judge.hold(index, None)?;
                }
                self.fetch(&engine, source, todo, judge, leash).await
            }
            (Truth::Snapshot(source), Other::Snapshot(other, of_other)) => {
                let Expected::Drafted(draft, _) = &judge.expected else { return Ok(()) };
                let first = all_but(sides, &(todo & &sides.present));
                let quiet = Engine { monitor: Arc::new(crate::monitor::Silent), ..engine.clone() };
                read(&quiet, source.clone(), first, draft.clone()).await?;
                for index in (todo - &sides.in_other).iter() {
                    judge.hold(index, None)?;
                }
                let of_other = leashed(of_other);
                read(&of_other, other.clone(), all_but(sides, &(todo & &sides.in_other)), judge.clone())
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
        let mut reading = pin!(read(engine, source.clone(), all_but(self.sides, &wanted), judge.clone()));
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

    /// What a second reading says of the first of these.
    async fn again(
        &self,
        findings: &[Finding],
        judge: Judge,
        leash: &Leash,
    ) -> Result<BTreeMap<BlockIndex, Option<Finding>>, Fault> {
        let wrong: BlockSet = findings.iter().take(READ_AGAIN).map(|finding| finding.index).collect();
        if self.budget().is_some_and(|budget| self.spent() + self.price_of(wrong.len()) > budget) {
            return Ok(BTreeMap::new());
        }
        let judge = Arc::new(judge);
        self.pass(&wrong, &judge, leash).await?;
        let Some(judge) = Arc::into_inner(judge) else { unreachable!("reading has ended") };
        let (verdicts, _) = judge.into_verdicts();
        let mut again: BTreeMap<_, _> = verdicts.right.iter().map(|index| (index, None)).collect();
        again.extend(verdicts.findings.into_iter().map(|finding| (finding.index, Some(finding))));
        Ok(again)
    }

    async fn mismatches(
        &self,
        findings: &[Finding],
        again: &BTreeMap<BlockIndex, Option<Finding>>,
        expected: &Expected,
        draft: &Arc<Draft>,
        known: &BlockSet,
    ) -> Result<Vec<Mismatch>, Fault> {
        if findings.is_empty() {
            return Ok(Vec::new());
        }
        let used = match &self.options.against {
            Against::Image(path) => used_since(self.options, self.sides, path, self.engine).await,
            Against::Nothing | Against::Snapshot { .. } => Vec::new(),
        };
        let drafted = &(known & &self.sides.present) - &unfetched(findings);
        // Whatever was read has its digest in the draft, unless a manifest knows them all.
        let (home, reference) = match expected {
            Expected::Listed(manifest, None) => (manifest.present(), expected.clone()),
            Expected::Claimed | Expected::Listed(..) | Expected::Drafted(..) => {
                (&drafted, Expected::Drafted(draft.clone(), drafted.clone()))
            }
        };
        let known =
            Known { reference: &reference, expected: home, older: &self.sides.older, again, used: &used };
        classified(findings, &known)
    }

    /// A target that changed while it was read is of no one time.
    fn is_unchanged(&self) -> Result<(), Fault> {
        let Other::Image(image) = &self.sides.other else { return Ok(()) };
        if image.len_now()? == image.len() {
            return Ok(());
        }
        let at = crate::fault::Place::File(image.path().to_owned());
        Err(Fault::new(Kind::Vanished, at, "its size changed while it was read")
            .hint("let nothing write to it, and verify it again"))
    }

    async fn roots(&self, is_all: bool, draft: &Arc<Draft>) -> Result<Option<Roots>, Fault> {
        match &self.sides.truth {
            Truth::Manifest(manifest) => Ok(Some(manifest.roots())),
            Truth::Snapshot(_) if !is_all => Ok(None),
            Truth::Snapshot(_) => {
                let (draft, present) = (draft.clone(), self.sides.present.clone());
                let roots = tokio::task::spawn_blocking(move || {
                    let mut merkle = Merkle::new();
                    present
                        .iter()
                        .try_for_each(|index| draft.get(index).map(|digest| merkle.push(index, &digest)))?;
                    Ok(merkle.finish())
                });
                let roots = roots.await.map_err(|error| Fault::local("digests", "read", error.into()))?;
                roots.map(Some)
            }
        }
    }

    /// Keeps what is done, or lets go of it where there is nothing to go on with.
    fn end(
        &self,
        progress: Option<Progress>,
        draft: Arc<Draft>,
        is_whole: bool,
        fault: Option<Fault>,
        verdicts: Verdicts,
        faults: &mut Vec<Exception>,
    ) -> Result<Verdicts, Fault> {
        let Some(mut progress) = progress else { return Ok(verdicts) };
        let saved = if is_whole { Ok(()) } else { progress.save(Some(&draft)) };
        if let Err(fault) = saved {
            faults.push(Exception::from(&fault));
        }
        let is_kept = !is_whole && progress.n_recorded() > 0;
        if let Some(fault) = fault {
            let fault = if is_kept { suspended(fault) } else { fault };
            faults.push(Exception::from(&fault));
        }
        if !is_kept {
            progress.remove()?;
            if let Some(draft) = Arc::into_inner(draft) {
                draft.remove()?;
            }
        }
        Ok(verdicts)
    }

    fn baseline(&self, plan: &Plan) -> Option<Baseline> {
        let copy = Baseline {
            name: self.sides.subject.name.clone(),
            origin: Origin::Copy,
            map_root: None,
            content_root: None,
        };
        let audited = plan.unchanged.as_ref().map(|(manifest, _)| &**manifest);
        match (&self.sides.truth, &self.sides.other, &self.sides.baseline) {
            (_, _, Some((_, baseline))) => Some(baseline.clone()),
            (_, Other::Snapshot(..), None) => Some(copy),
            (Truth::Manifest(manifest), _, None) => Some(baseline_of(manifest, &self.sides.subject)),
            // An older snapshot of the same volume: an earlier read of what has not changed since.
            (Truth::Snapshot(_), _, None) => audited.map(|manifest| {
                let origin = Origin::EarlierRead;
                Baseline { origin, ..baseline_of(manifest, &self.sides.subject) }
            }),
        }
    }

    fn remarks(&self, mut remarks: Vec<String>, resumed: u64) -> Vec<String> {
        if resumed > 0 {
            remarks
                .push(format!("{resumed} of the blocks were read by an earlier run that was interrupted."));
        }
        if self.sides.is_of_listed {
            remarks.push(
                "Only allocated blocks were read; the others of the target were not checked.".to_owned(),
            );
        }
        let listed = self.sides.geometry().block_size.of(self.sides.present.len());
        let told = self.sides.subject.info.as_ref().and_then(|info| info.full_size);
        if let Some(told) = told.filter(|told| told.bytes() > 0 && *told != listed) {
            remarks.push(format!(
                "The control plane says that the snapshot holds {told}, its block list {listed}."
            ));
        }
        remarks
    }
}

/// Blocks that never came, so that no digest of them is known.
fn unfetched(findings: &[Finding]) -> BlockSet {
    findings.iter().filter(|finding| finding.is_transport).map(|finding| finding.index).collect()
}

/// All blocks of the subject's volume are skipped but these.
fn all_but(sides: &Sides, wanted: &BlockSet) -> Which {
    Which::AllBut(&BlockSet::from(sides.geometry().range()) - wanted)
}

/// The blocks of a set, one after the other, owned.
fn in_turn(set: BlockSet) -> impl Iterator<Item = BlockIndex> + Send + 'static {
    let mut from = Some(BlockIndex::ZERO);
    std::iter::from_fn(move || {
        let index = set.next_from(from?)?;
        from = index.next();
        Some(index)
    })
}

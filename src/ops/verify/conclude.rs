//! What follows from the verdicts: classes, roots, remarks; and what is kept for the next run.

use crate::block::{BlockIndex, BlockSet};
use crate::fault::{Fault, Kind};
use crate::manifest::{Draft, Merkle, Roots};
use crate::ops::preflight::suspended;
use crate::ops::progress::Progress;
use crate::ops::verify::classify::{Known, classify};
use crate::ops::verify::explain::used_since;
use crate::ops::verify::judge::{Expected, Verdicts};
use crate::ops::verify::plan::Plan;
use crate::ops::verify::sides::{Other, Truth, baseline_of};
use crate::ops::verify::work::Work;
use crate::ops::verify::{Against, Baseline, Class, Drift, Exception, Level, Mismatches, Origin, Target};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Work<'_> {
    /// Says of each wrong block what only all of them together tell.
    pub(super) async fn classify(
        &self,
        wrong: &mut Mismatches,
        again: &BTreeMap<BlockIndex, bool>,
        expected: &Expected,
        draft: &Arc<Draft>,
        known: &BlockSet,
    ) -> Result<(), Fault> {
        if wrong.is_empty() {
            return Ok(());
        }
        let used = match &self.options.against {
            Against::Image(path) => used_since(self.options, self.sides, path, self.engine).await,
            Against::Nothing | Against::Snapshot { .. } => Vec::new(),
        };
        let drafted = &(known & &self.sides.present) - &unfetched(wrong)?;
        // Whatever was read has its digest in the draft, unless a manifest knows them all.
        let (home, reference) = match expected {
            Expected::Listed(manifest, None) => (manifest.present(), expected.clone()),
            Expected::Claimed | Expected::Listed(..) | Expected::Drafted(..) => {
                (&drafted, Expected::Drafted(draft.clone(), drafted.clone()))
            }
        };
        let known =
            Known { reference: &reference, expected: home, older: &self.sides.older, again, used: &used };
        classify(wrong, &known)
    }

    /// Refuses what was read of a target that changed meanwhile: it is of no one time.
    pub(super) fn is_unchanged(&self) -> Result<(), Fault> {
        match &self.sides.other {
            Other::Image(image) => image.unchanged().map(drop),
            Other::None | Other::Snapshot(..) => Ok(()),
        }
    }

    /// Ends the reading of the target: that it changed meanwhile explains why it failed.
    pub(super) fn concluded(&self, read: Result<(), Fault>) -> Result<(), Fault> {
        match &self.sides.other {
            Other::Image(image) => image.concluded(read).map(drop),
            Other::None | Other::Snapshot(..) => read,
        }
    }

    pub(super) async fn roots(&self, is_all: bool, draft: &Arc<Draft>) -> Result<Option<Roots>, Fault> {
        match &self.sides.truth {
            Truth::Manifest(manifest) => Ok(Some(manifest.roots())),
            Truth::Snapshot(_) if !is_all => Ok(None),
            Truth::Snapshot(_) => {
                let (draft, present) = (draft.clone(), self.sides.present.clone());
                let roots = tokio::task::spawn_blocking(move || {
                    let (mut merkle, mut digests) = (Merkle::new(), draft.digests());
                    present
                        .iter()
                        .try_for_each(|index| digests(index).map(|digest| merkle.push(index, &digest)))?;
                    Ok(merkle.finish())
                });
                let roots = roots.await.map_err(|error| Fault::local("digests", "read", error.into()))?;
                roots.map(Some)
            }
        }
    }

    /// Keeps what is done, or lets go of it where there is nothing to go on with.
    pub(super) fn end(
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
        // Nothing goes on from a target that changed: no later run would find it as it was.
        let is_changed = fault.as_ref().is_some_and(|fault| fault.kind == Kind::Changed);
        let is_kept = !is_whole && !is_changed && progress.n_recorded() > 0;
        if let Some(fault) = fault {
            let fault = if is_kept { suspended(fault) } else { fault };
            faults.push(Exception::from(&fault));
        }
        if !is_kept {
            progress.remove()?;
            draft.remove()?;
        }
        Ok(verdicts)
    }

    pub(super) fn baseline(&self, plan: &Plan) -> Option<Baseline> {
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

    pub(super) fn remarks(&self, mut remarks: Vec<String>, resumed: u64) -> Vec<String> {
        if resumed > 0 {
            remarks
                .push(format!("{resumed} of the blocks were read by an earlier run that was interrupted."));
        }
        if let Truth::Manifest(manifest) = &self.sides.truth
            && manifest.format() == 1
            && manifest.about().snapshot_id.is_some()
            && self.sides.subject.info.is_none()
        {
            remarks.push(
                "The manifest is of format 1, which does not say whether the snapshot was encrypted; one made anew does."
                    .to_owned(),
            );
        }
        if self.sides.is_of_listed {
            remarks.push(
                "Only allocated blocks were read; the others of the target were not checked.".to_owned(),
            );
        }
        if self.options.level() == Level::FileSystem {
            remarks.extend(self.sides.target.iter().flat_map(Target::of_file_systems));
        }
        remarks
    }

    pub(super) fn drift(&self) -> Option<Drift> {
        let listed = self.sides.geometry().block_size.of(self.sides.present.len());
        Drift::of(self.sides.subject.info.as_ref(), listed)
    }
}

/// Blocks that never came, so that no digest of them is known.
pub(super) fn unfetched(wrong: &Mismatches) -> Result<BlockSet, Fault> {
    let mut unfetched = BlockSet::new();
    for found in wrong.iter() {
        let found = found?;
        if found.class == Class::Transport {
            unfetched.insert(found.index);
        }
    }
    Ok(unfetched)
}

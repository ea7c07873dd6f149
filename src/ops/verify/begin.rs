//! Beginning a verification: alone, and where an interrupted run of the same stopped.

use crate::block::BlockSet;
use crate::estate::{Volume, VolumeKind};
use crate::fault::Fault;
use crate::manifest::Draft;
use crate::ops::progress::Progress;
use crate::ops::verify::Against;
use crate::ops::verify::record::Known;
use crate::ops::verify::sides::{Other, Truth};
use crate::ops::verify::work::Work;
use crate::pipeline::{Basis, Checkpoint, Earlier, Slot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an interrupted run left.
pub(super) struct Begun {
    pub(super) progress: Progress,
    pub(super) draft: Arc<Draft>,
    pub(super) right: BlockSet,
    /// Whether nothing proves that these blocks are as they were.
    pub(super) is_trusted: bool,
    pub(super) seed: u64,
    /// What the ledger knew when the interrupted run began; `None` where there is none.
    pub(super) known: Option<Known>,
}

/// The reason why an interrupted run is not gone on with.
const UNPROVEN: &str = "nothing proves that the target is unchanged since an interrupted verification: all blocks are \
                        read again (--trust-resumed counts what was read)";

const SEED: &str = "seed";

impl Work<'_> {
    /// The right to verify this, and what an interrupted run of the same left.
    pub(super) fn begin(&self) -> Result<Begun, Fault> {
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
        let draft_path = slot.path().with_extension("digests");
        let basis = self.basis();
        let earlier = match &basis {
            Some(basis) => slot.earlier_upon(&identity, basis)?,
            None => slot.earlier(&identity)?,
        };
        let (checkpoint, right, is_trusted) = match earlier {
            Earlier::Same(found) => {
                let (right, is_trusted) = (found.done.clone(), found.is_trusted());
                self.engine.note(format!(
                    "going on with an interrupted verification: {} blocks are done",
                    right.len()
                ));
                (slot.resume(found)?, right, is_trusted)
            }
            earlier => {
                if let Earlier::Unproven(_) = earlier {
                    self.engine.note(UNPROVEN);
                }
                let mut facts = BTreeMap::from([(SEED.to_owned(), self.seed.to_string())]);
                facts.extend(self.known.facts());
                let facts = basis.unwrap_or_default().among(facts);
                (slot.begin(&identity, facts)?, BlockSet::new(), false)
            }
        };
        let seed = checkpoint.fact(SEED).and_then(|seed| seed.parse().ok()).unwrap_or(self.seed);
        let disk = &self.engine.machine().disk;
        let draft = Arc::new(Draft::open(disk, &draft_path, self.sides.geometry(), checkpoint.seed())?);
        let right = self.with_digests(right, &draft)?;
        let known = (!right.is_empty()).then(|| Known::of_facts(|name| checkpoint.fact(name)));
        Ok(Begun {
            progress: Progress::new(checkpoint, &right, self.engine.settings.checkpoint_every),
            draft,
            right,
            is_trusted,
            seed,
            known,
        })
    }

    /// The state of the target, which the work of an earlier run is held against; `None` where there is no target that
    /// could change.
    fn basis(&self) -> Option<Basis> {
        let Other::Image(image) = &self.sides.other else { return None };
        // Other instances may write to such a volume while this one sees nothing of it.
        let is_shared = |volume: &Volume| matches!(volume.kind, VolumeKind::Io1 | VolumeKind::Io2);
        let proof = image.proof().filter(|_| !self.sides.volume.as_ref().is_some_and(is_shared));
        Some(Basis { proof, is_trusted: self.engine.settings.trusts_resumed })
    }

    /// Of the blocks that an earlier run found right, those that need not be read again: where digests are kept, theirs
    /// has to be there.
    fn with_digests(&self, right: BlockSet, draft: &Draft) -> Result<BlockSet, Fault> {
        if matches!(self.sides.truth, Truth::Manifest(_)) {
            return Ok(right);
        }
        let drafted = &right & &self.sides.present;
        let lost = &drafted - &draft.known(&drafted)?;
        if !lost.is_empty() {
            self.engine.note(format!(
                "digests of {} blocks are missing or damaged: these blocks are read again",
                lost.len()
            ));
        }
        Ok(&right - &lost)
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
}

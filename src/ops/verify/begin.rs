//! Beginning a verification: alone, and where an interrupted run of the same stopped.

use crate::block::BlockSet;
use crate::fault::Fault;
use crate::manifest::Draft;
use crate::ops::progress::Progress;
use crate::ops::verify::Against;
use crate::ops::verify::record::Known;
use crate::ops::verify::sides::{Other, Truth};
use crate::ops::verify::work::Work;
use crate::pipeline::{Checkpoint, Earlier, Slot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an interrupted run left.
pub(super) struct Begun {
    pub(super) progress: Progress,
    pub(super) draft: Arc<Draft>,
    pub(super) right: BlockSet,
    pub(super) seed: u64,
    /// What the ledger knew when the interrupted run began; `None` where there is none.
    pub(super) known: Option<Known>,
}

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
                let mut facts = BTreeMap::from([(SEED.to_owned(), self.seed.to_string())]);
                facts.extend(self.known.facts());
                (slot.begin(&identity, facts)?, BlockSet::new())
            }
        };
        let seed = checkpoint.fact(SEED).and_then(|seed| seed.parse().ok()).unwrap_or(self.seed);
        let known = (!right.is_empty()).then(|| Known::of_facts(|name| checkpoint.fact(name)));
        let draft = Arc::new(Draft::open(&self.engine.machine().disk, &draft_path, self.sides.geometry())?);
        Ok(Begun {
            progress: Progress::new(checkpoint, &right, self.engine.settings.checkpoint_every),
            draft,
            right,
            seed,
            known,
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
}

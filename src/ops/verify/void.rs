//! A verification of nothing is none.
//!
//! A run in which no block was read, or in which a thing was held against itself, finds nothing wrong whatever the data
//! is. What shows from the arguments is refused before anything is asked ([`refuse`]); what turns out in the run makes it
//! incomplete ([`Report::void`], which [`Report::state`] goes by).

use crate::fault::{Fault, Kind, Place};
use crate::manifest::{Manifest, Roots};
use crate::ops::Services;
use crate::ops::verify::{Against, Level, Options, Report, Subject, SubjectKind, TargetKind, What};
use std::path::Path;

/// Refuses what would prove nothing, as far as the arguments show it.
///
/// # Errors
/// `Unsuitable` where a snapshot is held against itself, or where a delta run would read nothing because it starts from
/// the subject's own manifest.
pub(super) async fn refuse(options: &Options, services: Option<&Services>) -> Result<(), Fault> {
    refuse_itself(options, services)?;
    let reads_else = options.audit > 0
        || options.part.is_some()
        || options.cycle_days.is_some()
        || options.sample.is_some();
    let Some(base) = options.delta_from.as_ref().filter(|_| !reads_else) else { return Ok(()) };
    let (roots, snapshot_id) = known(base).await?;
    let is_own = match &options.what {
        What::Snapshot(id) => snapshot_id.as_ref() == Some(id),
        What::Manifest(path) => known(path).await?.0 == roots,
    };
    match is_own {
        false => Ok(()),
        true => Err(Fault::new(
            Kind::Unsuitable,
            Place::File(base.clone()),
            "it is the subject's own manifest: nothing has changed since, and with --audit 0 nothing would be read",
        )
        .hint("give the manifest of an older snapshot, or an --audit above 0")),
    }
}

/// Refuses to hold a snapshot against itself: whatever it holds, it holds twice.
pub(super) fn refuse_itself(options: &Options, services: Option<&Services>) -> Result<(), Fault> {
    let (What::Snapshot(id), Against::Snapshot { snapshot_id, services: there, .. }, Some(here)) =
        (&options.what, &options.against, services)
    else {
        return Ok(());
    };
    let is_same_place = here.label == there.label || here.identity.name() == there.identity.name();
    if id != snapshot_id || !is_same_place {
        return Ok(());
    }
    Err(Fault::new(
        Kind::Unsuitable,
        Place::Snapshot(id.clone()),
        "it would be held against itself, which proves nothing",
    )
    .hint("give another snapshot, such as its copy in another Region, or a restored volume"))
}

async fn known(path: &Path) -> Result<(Roots, Option<crate::snapshot::SnapshotId>), Fault> {
    let owned = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || Manifest::open(&owned)).await;
    let manifest = opened.map_err(|error| Fault::local(path, "read", error.into()))??;
    Ok((manifest.roots(), manifest.about().snapshot_id.clone()))
}

impl Subject {
    /// How a sentence begins that is about it.
    pub(super) const fn words(&self) -> &'static str {
        match self.kind {
            SubjectKind::Snapshot => "The snapshot",
            SubjectKind::Manifest => "The manifest",
        }
    }
}

impl Report {
    /// Why the run proves nothing although it read all that was chosen, in a sentence: no block was chosen. `None` where
    /// a block was read, or its absence judged, where the level reads none, and where a snapshot without blocks was
    /// accepted beforehand.
    pub fn void(&self) -> Option<String> {
        let coverage = &self.coverage;
        if self.level == Level::Inventory || (self.level > Level::BlockMap && coverage.read > 0) {
            return None;
        }
        // What a target holds is not shown by a snapshot's having nothing.
        let is_read_alone = self.target.as_ref().is_none_or(|target| target.kind == TargetKind::Snapshot);
        let who = self.subject.words();
        if self.subject.is_empty() && coverage.total == 0 {
            return match (self.allows_empty, is_read_alone) {
                (true, true) => None,
                (false, true) => Some(format!(
                    "{who} has no blocks, so nothing was read: the backup is empty (--allow-empty accepts that)."
                )),
                (_, false) => Some(format!(
                    "{who} has no blocks, and what the target holds there cannot be judged: it is not known to be \
                     unencrypted. Nothing was read."
                )),
            };
        }
        if self.level == Level::BlockMap || coverage.planned > 0 {
            return None;
        }
        let parts: Vec<_> = self.mode.parts.iter().map(ToString::to_string).collect();
        Some(match (&self.mode.delta_from, &parts[..]) {
            (Some(_), _) => {
                "No block was written since the snapshot of --delta-from, and no other was drawn: nothing was read."
                    .to_owned()
            }
            (None, [part]) => {
                format!("Part {part} has none of the {} blocks: nothing was read.", coverage.total)
            }
            (None, _) => "No block was chosen: nothing was read.".to_owned(),
        })
    }

    /// What a pass shows, in a sentence.
    pub fn claim(&self) -> &'static str {
        match self.level > Level::BlockMap && self.coverage.read == 0 {
            true => "The snapshot has no blocks: its list of blocks is empty, and none was read.",
            false => self.level.shows(),
        }
    }
}

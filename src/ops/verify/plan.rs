//! Which blocks are read.

use crate::block::BlockSet;
use crate::fault::{Fault, Kind};
use crate::manifest::Manifest;
use crate::ops::diff::delta;
use crate::ops::verify::sides::{Sides, Truth};
use crate::ops::verify::{Mode, Options};
use crate::ops::{Engine, Services};
use crate::sample::{Partition, draw, upper_bound_95};
use std::sync::Arc;

/// What was chosen, and why.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    /// Blocks that the check speaks of.
    pub(super) scope: BlockSet,
    /// Absent blocks that nobody can verify.
    pub(super) unverifiable: u64,
    /// Blocks to read.
    pub(super) chosen: BlockSet,
    /// The manifest that unchanged blocks are held against, and those blocks.
    pub(super) unchanged: Option<(Arc<Manifest>, BlockSet)>,
    /// Blocks of the delta audit.
    pub(super) audited: u64,
    /// The bound that finding nothing gives, where the choice allows one.
    pub(super) bound: Option<f64>,
    pub(super) remarks: Vec<String>,
}

/// Chooses. `parts` are those of `--part`, or those that a cycle owes.
pub(super) async fn plan(
    options: &Options,
    sides: &Sides,
    parts: Vec<Partition>,
    seed: u64,
    services: Option<&Services>,
    engine: &Engine,
) -> Result<Plan, Fault> {
    let (scope, unverifiable) = sides.scope();
    let mut mode = Mode {
        delta_from: options.delta_from.as_ref().map(|path| path.display().to_string()),
        audit: None,
        parts,
        cycle_days: options.cycle_days,
        sample: options.sample,
        seed: None,
        is_resumed: false,
    };
    let mut plan = Plan {
        chosen: BlockSet::new(),
        scope,
        unverifiable,
        unchanged: None,
        audited: 0,
        bound: None,
        remarks: Vec::new(),
        mode: mode.clone(),
    };
    let is_full = mode.delta_from.is_none() && mode.parts.is_empty() && mode.sample.is_none();
    if is_full {
        plan.chosen = plan.scope.clone();
        plan.bound = Some(0.0);
        return Ok(plan);
    }
    for part in &mode.parts {
        plan.chosen = &plan.chosen | &part.within(&plan.scope);
    }
    if let Some(aim) = mode.sample {
        let n = aim.blocks(plan.scope.len());
        plan.bound = Some(upper_bound_95(plan.scope.len(), n));
        plan.chosen = &plan.chosen | &draw(&plan.scope, n, seed);
        mode.seed = Some(seed);
    }
    if mode.delta_from.is_some() {
        let Some(before) = sides.older.last() else { return Ok(plan) };
        match changed(sides, before, services, engine).await? {
            Some(changed) => {
                let unchanged = &(&plan.scope - &changed) & before.present();
                let audit = options.audit.min(unchanged.len());
                // Another draw than the sample's, from the same seed.
                let audited = draw(&unchanged, audit, !seed);
                let bound = 100.0 * upper_bound_95(unchanged.len(), audit);
                plan.chosen = &(&plan.chosen | &(&changed & &plan.scope)) | &audited;
                plan.audited = audited.len();
                (mode.audit, mode.seed) = (Some(audit), Some(seed));
                plan.remarks.push(format!(
                    "The list of changes is trusted for what was not read; {audit} of the blocks that it says are \
                     unchanged were drawn at random and read. If they were all right, then with 95 % confidence at most \
                     {bound:.3} % of the unchanged blocks are not."
                ));
                plan.unchanged = Some((before.clone(), unchanged));
            }
            None => {
                plan.chosen = plan.scope.clone();
                plan.remarks.push(
                    "The service does not compare the snapshot with that of --delta-from, so all blocks were chosen."
                        .to_owned(),
                );
            }
        }
    }
    plan.mode = mode;
    Ok(plan)
}

/// The blocks written since the older manifest's snapshot; `None` where nobody can tell.
async fn changed(
    sides: &Sides,
    before: &Manifest,
    services: Option<&Services>,
    engine: &Engine,
) -> Result<Option<BlockSet>, Fault> {
    if let Truth::Manifest(now) = &sides.truth {
        // Two manifests tell by themselves.
        let mut changed = BlockSet::new();
        for index in (now.present() | before.present()).iter() {
            if now.digest(index)? != before.digest(index)? {
                changed.insert(index);
            }
        }
        return Ok(Some(changed));
    }
    let (Some(first), Some(second), Some(services)) =
        (&before.about().snapshot_id, &sides.subject.snapshot_id, services)
    else {
        engine.note("the manifest of --delta-from is of an image: all blocks are read");
        return Ok(None);
    };
    if first == second {
        return Ok(Some(BlockSet::new()));
    }
    match delta(services, engine, first, second).await {
        Ok((delta, _)) => Ok(Some(delta.changed())),
        Err(fault) if fault.kind == Kind::Unrelated => {
            engine.note(format!("{first} and {second} are not of one lineage: all blocks are read"));
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

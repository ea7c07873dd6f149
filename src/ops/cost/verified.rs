//! What the ledger of this machine tells of snapshots.

use crate::fault::Fault;
use crate::ledger::{Contents, Entry, Kind};
use crate::ops::Engine;
use crate::ops::verify::State;
use crate::snapshot::SnapshotId;
use std::collections::BTreeSet;

/// Snapshots that passed a verification, however deep; `None` where the ledger has no entry at all, so that nobody
/// tells.
pub fn verified(engine: &Engine) -> Result<Option<BTreeSet<SnapshotId>>, Fault> {
    let machine = engine.machine();
    let found = Contents::below(&machine.disk, &machine.state_dir, Kind::Entries).read::<Entry>()?;
    let passed = found.entries.iter().filter(|entry| entry.state == State::Pass.to_string());
    let ids = passed.filter_map(|entry| entry.snapshot_id.parse().ok()).collect();
    Ok((!found.entries.is_empty()).then_some(ids))
}

//! What the ledger of this machine says of snapshots.

use crate::fault::Fault;
use crate::ledger::{Judging, Standing, judge};
use crate::monitor::{Clock, SystemClock};
use crate::ops::Engine;
use crate::ops::ledger::{by_snapshot, entries};
use crate::snapshot::SnapshotId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How much of a snapshot was shown to be right, however long ago; the more, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proved {
    /// Some of its blocks.
    Sampled,
    /// All of its blocks.
    Verified,
}

/// Returns the snapshots of which something was shown to be right and no failure is open, as `icecore ledger` judges
/// them, but without end; `None` where the ledger has no entry at all, so that nothing is known.
pub fn verified(engine: &Engine) -> Result<Option<BTreeMap<SnapshotId, Proved>>, Fault> {
    let records = entries(engine)?.records;
    if records.is_empty() {
        return Ok(None);
    }
    let by = Judging { now: SystemClock.now(), outdated_after: Duration::MAX, public_keys: &[] };
    let proved = by_snapshot(records).into_iter().filter_map(|(id, runs)| {
        let proved = match judge(&runs, &by).standing {
            Standing::Verified => Proved::Verified,
            Standing::Sampled | Standing::Outdated => Proved::Sampled,
            Standing::Failed | Standing::Never => return None,
        };
        Some((id.parse().ok()?, proved))
    });
    Ok(Some(proved.collect()))
}

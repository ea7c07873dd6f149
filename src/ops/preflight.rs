//! Before the first paid request: opening what is to be read, and saying what it will cost.

use crate::control::SnapshotQuery;
use crate::cost::{Estimate, RequestPrices};
use crate::fault::{Fault, Kind, Place};
use crate::ops::{Engine, Services};
use crate::pipeline::{Action, Ask, Tries};
use crate::snapshot::{SnapshotId, SnapshotInfo, SnapshotState, StorageTier};
use crate::source::BlockSource;
use std::sync::Arc;

/// Opens a snapshot for reading. One that cannot be read is told apart from one that is not there, where the
/// control plane can be asked.
pub(crate) async fn open(
    services: &Services,
    engine: &Engine,
    id: &SnapshotId,
) -> Result<Arc<dyn BlockSource>, Fault> {
    let ask = Ask::new(Action::List, Place::Snapshot(id.clone()));
    match engine.ask(&mut Tries::none(), ask, || services.blocks.open(id)).await {
        Err(fault) if fault.kind == Kind::NotFound => Err(unreadable(services, engine, id, fault).await),
        opened => opened,
    }
}

/// The facts of a snapshot; `None` where there is no control plane, or it does not answer: facts are welcome, not
/// needed.
pub(crate) async fn facts(services: &Services, engine: &Engine, id: &SnapshotId) -> Option<SnapshotInfo> {
    described(services, engine, id).await.ok()?
}

/// The same, with the reason where the control plane does not tell; `None` only where there is none to ask.
pub(crate) async fn described(
    services: &Services,
    engine: &Engine,
    id: &SnapshotId,
) -> Result<Option<SnapshotInfo>, Fault> {
    let Some(snapshots) = services.snapshots.as_ref() else { return Ok(None) };
    let query = SnapshotQuery::one(id);
    let ask = Ask::new(Action::Control, Place::Snapshot(id.clone()));
    let found = engine.ask(&mut Tries::none(), ask, || snapshots.describe(&query)).await?;
    Ok(found.into_iter().find(|info| info.id == *id))
}

/// Why a snapshot that the block service does not know cannot be read.
pub(crate) async fn unreadable(services: &Services, engine: &Engine, id: &SnapshotId, fault: Fault) -> Fault {
    let at = Place::Snapshot(id.clone());
    let Some(info) = facts(services, engine, id).await else {
        return fault.or_hint("check the id with icecore list, and the Region");
    };
    let refused = |what: String, hint: &str| Fault::new(Kind::NotReadable, at, what).hint(hint);
    match (info.state, info.tier) {
        (SnapshotState::Pending, _) => refused(
            "the snapshot is pending".into(),
            "wait until it is completed; icecore list shows its state",
        ),
        (SnapshotState::Completed, StorageTier::Archive) => {
            refused("the snapshot is archived".into(), "restore it to the standard tier first")
        }
        (SnapshotState::Completed, StorageTier::Standard) => {
            refused("the snapshot is completed but not readable yet".into(), "try again in a minute")
        }
        (state, _) => {
            let why = info.state_message.map(|message| format!(" ({message})")).unwrap_or_default();
            refused(format!("the snapshot is in state {state}{why}"), "choose a completed snapshot")
        }
    }
}

/// A fault that left a checkpoint behind: the same command goes on from there.
pub(crate) fn suspended(fault: Fault) -> Fault {
    let fault = match fault.kind {
        Kind::Interrupted => fault.as_kind(Kind::Suspended),
        _ => fault,
    };
    fault.or_hint("what is done is kept: the same command goes on from there")
}

/// Whether requests cost money here.
pub(crate) fn is_billed(services: &Services) -> bool {
    services.max_usd.is_some()
}

/// Says what a run will ask for and refuses it where that costs more than allowed. Nothing has been sent for it
/// yet but listings.
pub(crate) fn announce(
    services: &Services,
    engine: &Engine,
    at: &Place,
    estimate: &Estimate,
) -> Result<(), Fault> {
    let Some(max) = services.max_usd else { return Ok(()) };
    let usd = estimate.usd(&RequestPrices::LISTED);
    let minutes = estimate.seconds_at(engine.blocks_per_second()).div_ceil(60);
    let what = format!(
        "at most {} requests ({} reads, {} writes): {usd} at us-east-1 prices, about {minutes} min",
        estimate.requests(),
        estimate.gets,
        estimate.puts
    );
    if usd > max {
        let what = format!("it would take {what}, more than {max}");
        return Err(Fault::new(Kind::Refused, at.clone(), what).hint("raise --max-usd if that is intended"));
    }
    engine.note(what);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Usd;
    use crate::source::memory::MemoryService;

    fn services(max_usd: Option<Usd>) -> Services {
        let memory = Arc::new(MemoryService::new(100));
        Services {
            label: "memory".into(),
            identity: crate::aws::Identity::named("memory"),
            blocks: memory.clone(),
            writer: memory,
            snapshots: None,
            control: None,
            max_usd,
        }
    }

    #[test]
    fn a_run_above_the_limit_is_refused_and_says_what_it_would_cost() {
        let estimate = Estimate { lists: 210, gets: 2_097_152, puts: 0 };
        let announce = |max| announce(&services(max), &Engine::for_tests(), &Place::Service, &estimate);
        assert!(announce(None).is_ok());
        assert!(announce(Some(Usd::from_dollars(7))).is_ok());
        let fault = announce(Some(Usd::from_dollars(6))).unwrap_err();
        assert_eq!(fault.kind, Kind::Refused);
        assert!(fault.to_string().contains("6.30 USD"), "{fault}");
    }
}

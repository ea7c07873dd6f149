//! Facts and listings, many snapshots at once through one gate.

use crate::cost::Survey;
use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::cost::lister::{Lister, place, worse};
use crate::ops::cost::{Facts, Measured, Options, Spent};
use crate::ops::{Engine, Services};
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

/// Snapshots looked at side by side. At 100 ms a page, 32 listings pass 300 pages a second: six times what AWS lets
/// an account list.
const SIDE_BY_SIDE: usize = 32;

/// Asks for an account's snapshots and what they share.
pub async fn measure(options: &Options, services: &Services, engine: &Engine) -> Result<Measured, Fault> {
    let mut facts = Facts::ask(services, engine).await?;
    if options.keeps_listings {
        facts.note_unattached(engine.machine(), &place(options, services))?;
    }
    measure_these(facts, options, services, engine).await
}

/// The same with facts that are known.
pub async fn measure_these(
    facts: Facts,
    options: &Options,
    services: &Services,
    engine: &Engine,
) -> Result<Measured, Fault> {
    let start = Instant::now();
    let wanted = wanted(&facts, options)?;
    let lister = Lister::new(&facts, options, services, engine);
    engine.monitor.on(Event::Stage { verb: "listing", total: None });
    let mut survey = Survey::new(facts.kin(), wanted, options.compare);
    let mut worst = None;
    loop {
        let round = survey.round();
        if round.is_empty() {
            break;
        }
        let lister = &lister;
        let descents =
            round.into_iter().map(|(at, descent)| async move { (at, lister.descend(at, descent).await) });
        let mut done = stream::iter(descents).buffer_unordered(SIDE_BY_SIDE);
        while let Some((at, descended)) = done.next().await {
            let (descent, map, fault) = descended?;
            worst = worse(worst, fault);
            survey.settle(at, descent, map);
        }
        survey.end_round();
    }
    let holdings = tokio::task::spawn_blocking(move || survey.finish()).await.map_err(|error| {
        Fault::new(Kind::Local, Place::Program, "a worker of this program failed").because(error)
    })?;
    let spent = Spent {
        requests: lister.requests(),
        listings: lister.begun(),
        kept: lister.found(),
        elapsed: start.elapsed(),
        prices: options.prices.requests,
        is_billed: services.max_usd.is_some(),
    };
    let worst = lister.worst(worst);
    Ok(Measured::new(facts, holdings, options, spent, worst))
}

/// The snapshots that are to be shown.
pub(super) fn wanted(facts: &Facts, options: &Options) -> Result<Vec<bool>, Fault> {
    if let Some(id) = options.shown.ids.iter().find(|id| facts.snapshots.iter().all(|info| info.id != **id)) {
        let what = "the snapshot is not one of ours";
        return Err(Fault::new(Kind::NotFound, Place::Snapshot(id.clone()), what)
            .hint("check the id with icecore list, and the Region"));
    }
    let wanted: Vec<bool> = facts.snapshots.iter().map(|info| options.shown.admits(info)).collect();
    if !options.shown.is_all() && !wanted.contains(&true) {
        let what = "no snapshot of ours is of these volumes and tags";
        return Err(Fault::new(Kind::NotFound, Place::Service, what).hint("icecore list shows what there is"));
    }
    Ok(wanted)
}

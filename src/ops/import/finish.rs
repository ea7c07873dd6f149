//! After the last block: completing the snapshot, and waiting until it can be read.

use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::preflight::facts;
use crate::ops::{Engine, Services};
use crate::pipeline::{Action, Ask, Tries};
use crate::snapshot::{SnapshotId, SnapshotState, Written};
use std::time::Duration;
use tokio::time::Instant;

/// Ends the writing.
pub(super) async fn complete(
    services: &Services,
    engine: &Engine,
    id: &SnapshotId,
    written: Written,
) -> Result<(), Fault> {
    let ask = Ask::new(Action::Control, Place::Snapshot(id.clone())).of_new(id);
    engine.ask(&mut Tries::none(), ask, || services.writer.complete(id, written)).await?;
    Ok(())
}

/// Whether it can be listed: then it is completed.
pub(super) async fn is_readable(
    services: &Services,
    engine: &Engine,
    id: &SnapshotId,
) -> Result<bool, Fault> {
    let ask = Ask::new(Action::List, Place::Snapshot(id.clone()));
    match engine.ask(&mut Tries::none(), ask, || services.blocks.open(id)).await {
        Ok(_) => Ok(true),
        Err(fault) if fault.kind == Kind::NotFound => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Waits until the block service lists it: EC2 says completed up to a minute earlier.
///
/// # Errors
/// `Service` where the service found other blocks than were sent; `Changed` where the run went on from an earlier one,
/// since the image may have changed between the two; `Timeout` where it does not become readable.
pub(super) async fn until_readable(
    services: &Services,
    engine: &Engine,
    id: &SnapshotId,
    is_resumed: bool,
) -> Result<(), Fault> {
    engine.monitor.on(Event::Stage { verb: "waiting for completion", total: None });
    let start = Instant::now();
    let mut wait = Duration::from_millis(20);
    loop {
        if is_readable(services, engine, id).await? {
            return Ok(());
        }
        if let Some(info) =
            facts(services, engine, id).await.filter(|info| info.state == SnapshotState::Error)
        {
            let why = info.state_message.unwrap_or_else(|| "no reason given".to_owned());
            let place = Place::Snapshot(id.clone());
            let fault = match is_resumed {
                true => {
                    let what = "the blocks of this run and of the interrupted one before it do not make one image: it \
                                changed between the two";
                    Fault::new(Kind::Changed, place, format!("{what} ({why})"))
                }
                false => {
                    let what = format!("the service refused the completed snapshot: {why}");
                    Fault::new(Kind::Service, place, what)
                }
            };
            return Err(fault.hint("delete it and import again"));
        }
        let patience = engine.settings.patience.unreadable;
        if start.elapsed() > patience {
            let minutes = patience.as_secs() / 60;
            let what = format!("all blocks were sent, but it is not readable after {minutes} minutes");
            return Err(Fault::new(Kind::Timeout, Place::Snapshot(id.clone()), what)
                .hint("watch its state with icecore list"));
        }
        engine.pause(wait).await?;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
}

//! Drills that go as they should, and what they say.

use super::world::{Trouble, World, counted};
use icecore::block::BlockIndex;
use icecore::fault::Kind;
use icecore::ops::verify::State;
use icecore::orchestrate::drill::{self, Missed, Options, What};
use icecore::orchestrate::{Outcome, Undoing};
use std::sync::Arc;
use std::time::Duration;

async fn drilled(world: &Arc<World>, options: Options) -> drill::Report {
    let (services, engine) = (world.services(), world.engine());
    drill::prepare(options, &services, &engine).await.unwrap().run().await.unwrap()
}

#[tokio::test]
async fn a_drill_passes_and_leaves_the_account_as_it_was() {
    let world = World::new(3);
    let report = drilled(&world, Options { at_once: 2, ..world.options() }).await;
    assert_eq!(report.state(), State::Pass, "{report:?}");
    for drill in &report.drills {
        let names: Vec<_> = drill.steps.iter().map(|step| step.name).collect();
        assert_eq!(names, ["create", "attach", "device", "protect", "verify"]);
        assert!(drill.steps.iter().all(|step| step.outcome == Outcome::Done));
        assert_eq!((drill.left().count(), drill.missed.len()), (0, 0));
        assert!(drill.restore.is_some());
        let verified = drill.verified.as_ref().unwrap();
        assert_eq!((verified.coverage.read, verified.coverage.total), (2048, 2048));
    }
    assert!(world.leftovers().is_empty());
    world.is_as_it_was();
    let counts = counted(&world.calls());
    for once in ["CreateVolume", "AttachVolume", "DetachVolume", "DeleteVolume"] {
        assert_eq!(counts[once], 3, "{once}");
    }
    assert_eq!(report.deleted(), 3);
}

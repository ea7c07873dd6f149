//! The cycle that a run belongs to, remembered between runs.

use crate::fault::{Fault, Kind, Place};
use crate::ops::verify::Options;
use crate::ops::verify::sides::Sides;
use crate::ops::{Engine, Services};
use crate::pipeline::{Checkpoint, Earlier, Slot};
use crate::sample::{Cycle, Partition};
use crate::snapshot::UnixMillis;
use std::collections::BTreeMap;

const DAYS: &str = "days";
const STARTED: &str = "started_ms";
const DONE: &str = "done";

/// A cycle, held by this run alone.
#[derive(Debug)]
pub(super) struct Remembered {
    slot: Slot,
    identity: String,
    cycle: Cycle,
    due: Vec<Partition>,
}

impl Remembered {
    /// The cycle asked for; `None` where none was.
    pub(super) fn take(
        options: &Options,
        sides: &Sides,
        services: Option<&Services>,
        engine: &Engine,
        now: UnixMillis,
    ) -> Result<Option<Self>, Fault> {
        let Some(days) = options.cycle_days else { return Ok(None) };
        let target = sides.target.as_ref().map(|target| &target.name);
        let own = || format!("{} against {target:?} and {:?}", sides.subject.name, options.manifest);
        let label = services.map_or("", |services| services.label.as_str());
        let identity = format!("cycle of {} of {label}", options.cycle_of.clone().unwrap_or_else(own));
        let path = Checkpoint::path(&engine.settings.state_dir, "cycle", &identity);
        let slot = Slot::take(&engine.machine().disk, &path)?;
        let remembered = match slot.earlier(&identity)? {
            // The header's facts are all there is; records are for other runs.
            Earlier::Same(found) => {
                let checkpoint = slot.resume(found)?;
                let facts =
                    [DAYS, STARTED, DONE].map(|name| checkpoint.fact(name).unwrap_or_default().to_owned());
                let cycle = parsed(&facts, days);
                return Self::begin(checkpoint.into_slot(), identity, cycle, days, now).map(Some);
            }
            Earlier::Other(_) | Earlier::None => None,
        };
        Self::begin(slot, identity, remembered, days, now).map(Some)
    }

    fn begin(
        slot: Slot,
        identity: String,
        cycle: Option<Cycle>,
        days: u32,
        now: UnixMillis,
    ) -> Result<Self, Fault> {
        let unsuitable = || {
            let what = format!("a cycle has from 1 to {} days", Partition::MOST);
            Fault::new(Kind::Unsuitable, Place::Service, what)
        };
        let cycle = cycle.or_else(|| Cycle::beginning(days, now.0)).ok_or_else(unsuitable)?.at(now.0);
        let due = cycle.due(now.0);
        Ok(Self { slot, identity, cycle, due })
    }

    /// The parts to read now.
    pub(super) fn due(&self) -> &[Partition] {
        &self.due
    }

    /// Remembers that they were read.
    pub(super) fn finish(mut self) -> Result<(), Fault> {
        self.cycle.read(&self.due);
        let done: Vec<String> = self.cycle.done().map(|part| part.to_string()).collect();
        let facts = BTreeMap::from([
            (DAYS.to_owned(), self.cycle.days().to_string()),
            (STARTED.to_owned(), self.cycle.started_ms().to_string()),
            (DONE.to_owned(), done.join(" ")),
        ]);
        self.slot.begin(&self.identity, facts).map(drop)
    }
}

/// A cycle of another length begins anew.
fn parsed([days, started, done]: &[String; 3], wanted: u32) -> Option<Cycle> {
    let days = days.parse().ok().filter(|days| *days == wanted)?;
    let done: Option<Vec<u32>> = done.split_whitespace().map(|part| part.parse().ok()).collect();
    Cycle::remembered(days, started.parse().ok()?, done?)
}

//! The cycle that a run belongs to, remembered between runs and machines.

use crate::fault::{Fault, Kind, Place};
use crate::ledger::{Contents, CycleEntry};
use crate::monitor::{Clock, SystemClock};
use crate::ops::Engine;
use crate::ops::verify::Options;
use crate::ops::verify::sides::Sides;
use crate::pipeline::{Checkpoint, Slot};
use crate::sample::{Cycle, Partition};
use crate::snapshot::UnixMillis;

/// A cycle, held by this run alone on this machine.
#[derive(Debug)]
pub(super) struct Remembered {
    _slot: Slot,
    memory: Contents,
    of: String,
    cycle: Cycle,
    due: Vec<Partition>,
}

impl Remembered {
    /// The cycle asked for; `None` where none was. It has the same name on every machine: snapshots and volumes have
    /// the same ids there, however the account is called.
    pub(super) fn take(
        options: &Options,
        sides: &Sides,
        engine: &Engine,
        now: UnixMillis,
    ) -> Result<Option<Self>, Fault> {
        let Some(days) = options.cycle_days else { return Ok(None) };
        let target = sides.target.as_ref().map(|target| &target.name);
        let own = || format!("{} against {target:?} and {:?}", sides.subject.name, options.manifest);
        let of = options.cycle_of.clone().unwrap_or_else(own);
        let machine = engine.machine();
        let slot = Slot::take(&machine.disk, &Checkpoint::path(&machine.state_dir, "cycle", &of))?;
        let memory = Contents::below(&machine.disk, &machine.state_dir, crate::ledger::Kind::Cycles);
        let found = memory.read::<CycleEntry>()?;
        for damaged in &found.damaged {
            // What it said of a part is read once more, and nothing is claimed that was not read.
            engine.note(format!("{}: {}", damaged.path.display(), damaged.what));
        }
        let unsuitable = || {
            let what = format!("a cycle has from 1 to {} days", Partition::MOST);
            Fault::new(Kind::Unsuitable, Place::Program, what)
        };
        let remembered = remembered(&found.entries, &of, days);
        let cycle = remembered.or_else(|| Cycle::beginning(days, now.0)).ok_or_else(unsuitable)?.at(now.0);
        let due = cycle.due(now.0);
        Ok(Some(Self { _slot: slot, memory, of, cycle, due }))
    }

    /// The parts to read now.
    pub(super) fn due(&self) -> &[Partition] {
        &self.due
    }

    /// Remembers that they were read.
    pub(super) fn finish(self) -> Result<(), Fault> {
        self.memory.put(&CycleEntry {
            of: self.of,
            days: self.cycle.days(),
            started_ms: self.cycle.started_ms(),
            read_ms: SystemClock.now().0,
            parts: self.due.iter().map(|part| part.part()).collect(),
        })
    }
}

/// The newest cycle of this length that anybody remembers: the parts that all runs in it have read.
fn remembered(entries: &[CycleEntry], of: &str, days: u32) -> Option<Cycle> {
    let own = || entries.iter().filter(|entry| entry.of == of && entry.days == days);
    let started_ms = own().map(|entry| entry.started_ms).max()?;
    let parts = own().filter(|entry| entry.started_ms == started_ms).flat_map(|entry| &entry.parts);
    Cycle::remembered(days, started_ms, parts.copied())
}

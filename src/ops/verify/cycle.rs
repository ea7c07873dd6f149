//! The cycle that a run belongs to, remembered between runs and machines.
//!
//! A cycle is named by what is read and not by what was typed: by the snapshot and whose it is, or a manifest's roots; by
//! the file or device that is the target; by the roots of a manifest beside them. Two targets never share one, and one
//! target has the same whatever path leads to it. A volume's snapshots of a job share one by the volume's id.

use crate::block::Digest;
use crate::fault::{Fault, Kind, Place};
use crate::ledger::{Contents, CycleEntry};
use crate::monitor::{Clock, SystemClock};
use crate::ops::verify::sides::{Other, Sides, Truth};
use crate::ops::verify::{Against, CycleProgress, Options};
use crate::ops::{Engine, Services};
use crate::pipeline::{Checkpoint, Slot};
use crate::sample::{Cycle, Partition};
use crate::snapshot::UnixMillis;

/// A cycle that claims to have begun later than this after now was not made by this clock.
const CLOCKS_DIFFER: i64 = 5 * 60_000;

/// A cycle, held by this run alone on this machine.
#[derive(Debug)]
pub(super) struct Remembered {
    _slot: Slot,
    memory: Contents,
    of: String,
    content: Option<String>,
    cycle: Cycle,
    due: Vec<Partition>,
    /// Whether what earlier runs of it read was the same content as now.
    is_of_one_content: bool,
}

impl Remembered {
    /// The cycle asked for; `None` where none was. It has the same name on every machine: snapshots and volumes have
    /// the same ids there, however the account is called.
    pub(super) fn take(
        options: &Options,
        sides: &Sides,
        services: Option<&Services>,
        engine: &Engine,
        now: UnixMillis,
    ) -> Result<Option<Self>, Fault> {
        let Some(days) = options.cycle_days else { return Ok(None) };
        let of = match &options.cycle_of {
            Some(volume) => format!("volume {volume} of {}", account(services)),
            None => name(options, sides, services)?,
        };
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
        let earlier = Earlier::of(options, sides, services);
        let is_own = |entry: &&CycleEntry| {
            entry.days == days
                && entry.started_ms <= now.0.saturating_add(CLOCKS_DIFFER)
                && (entry.of == of || (earlier.is_certain && entry.of == earlier.name))
        };
        let own: Vec<&CycleEntry> = found.entries.iter().filter(is_own).collect();
        let before = newest(&own, days);
        let is_misnamed = |entry: &CycleEntry| entry.of == earlier.name && entry.days == days;
        if before.is_none() && !earlier.is_certain && found.entries.iter().any(is_misnamed) {
            engine.note(
                "a cycle that an earlier version remembers does not say which target it is of, or whose snapshot: it \
                 begins anew",
            );
        }
        let started_before = before.as_ref().map(Cycle::started_ms);
        let has_blocks = Partition::occupied(&sides.scope().0, days);
        let fresh = before.or_else(|| Cycle::beginning(days, now.0)).ok_or_else(unsuitable)?;
        let (cycle, due) = fresh.run(now.0, &has_blocks);
        if started_before != Some(cycle.started_ms()) {
            engine.note(format!("a cycle of {days} days begins with this run"));
        }
        let content = content(options, sides, services)?;
        let mut runs = own.iter().filter(|entry| entry.started_ms == cycle.started_ms());
        let is_of_one_content = content.is_some() && runs.all(|entry| entry.content == content);
        Ok(Some(Self { _slot: slot, memory, of, content, cycle, due, is_of_one_content }))
    }

    /// The parts to read now.
    pub(super) fn due(&self) -> &[Partition] {
        &self.due
    }

    /// Remembers that they were read. Returns the cycle as it stands then.
    pub(super) fn finish(mut self) -> Result<CycleProgress, Fault> {
        self.memory.put(&CycleEntry {
            of: self.of,
            days: self.cycle.days(),
            started_ms: self.cycle.started_ms(),
            read_ms: SystemClock.now().0,
            parts: self.due.iter().map(|part| part.part()).collect(),
            content: self.content,
        })?;
        self.cycle.read(&self.due);
        Ok(CycleProgress {
            days: self.cycle.days(),
            started_ms: self.cycle.started_ms(),
            parts_done: u32::try_from(self.cycle.done().count()).unwrap_or(u32::MAX),
            is_of_one_content: self.is_of_one_content,
        })
    }
}

/// Names the account by its snapshots rather than by how it is reached, where that is known.
fn account(services: Option<&Services>) -> String {
    services.map_or_else(String::new, |services| match services.identity.name() {
        // An endpoint that does not say which store it serves has another address in every run.
        name if name.contains("://") => services.label.clone(),
        name => name,
    })
}

/// Names what is read, against what.
fn name(options: &Options, sides: &Sides, services: Option<&Services>) -> Result<String, Fault> {
    let mut name = subject(sides, services);
    match (&sides.other, &options.against) {
        (Other::Image(image), _) => name += &format!(" against {}", image.lasting_name()?),
        (_, Against::Snapshot { snapshot_id, services: there, .. }) => {
            name += &format!(" against {snapshot_id} of {}", account(Some(there)));
        }
        _ => {}
    }
    if let Some((manifest, _)) = &sides.baseline {
        name += &format!(" by the manifest {}", manifest.roots().map);
    }
    Ok(name)
}

fn subject(sides: &Sides, services: Option<&Services>) -> String {
    match &sides.truth {
        Truth::Snapshot(_) => format!("{} of {}", sides.subject.name, account(services)),
        Truth::Manifest(manifest) => {
            let roots = manifest.roots();
            format!("the manifest {} {}", roots.map, roots.content)
        }
    }
}

/// A digest of the content that is read; `None` where nothing shows that it is the same the next time.
fn content(options: &Options, sides: &Sides, services: Option<&Services>) -> Result<Option<String>, Fault> {
    let stamp = match &sides.other {
        // Snapshots do not change.
        Other::None | Other::Snapshot(..) => String::new(),
        Other::Image(image) => match image.proof() {
            Some(proof) => proof,
            None => return Ok(None),
        },
    };
    let name = name(options, sides, services)?;
    let text = format!("{name} at {stamp} zeros {}", sides.absent_is_zero);
    Ok(Some(Digest::of(text.as_bytes()).to_string()))
}

/// What earlier versions called the cycle: by words and paths as they were typed.
struct Earlier {
    name: String,
    /// Whether nothing else can have had that name: AWS gives no id twice.
    is_certain: bool,
}

impl Earlier {
    fn of(options: &Options, sides: &Sides, services: Option<&Services>) -> Self {
        let target = sides.target.as_ref().map(|target| &target.name);
        let own = || format!("{} against {target:?} and {:?}", sides.subject.name, options.manifest);
        let is_by_id = matches!(sides.truth, Truth::Snapshot(_));
        let is_alone = target.is_none() && options.manifest.is_none();
        Self {
            name: options.cycle_of.clone().unwrap_or_else(own),
            is_certain: is_by_id && is_alone && account(services).starts_with("aws"),
        }
    }
}

/// The newest cycle of this length among these: the parts that all runs in it have read.
fn newest(own: &[&CycleEntry], days: u32) -> Option<Cycle> {
    let started_ms = own.iter().map(|entry| entry.started_ms).max()?;
    let parts = own.iter().filter(|entry| entry.started_ms == started_ms).flat_map(|entry| &entry.parts);
    Cycle::remembered(days, started_ms, parts.copied())
}

//! Steps: each is done and, in the end, undone.

use crate::fault::Fault;
use crate::monitor::{Event, Monitor};
use crate::ops::verify::Exception;
use crate::orchestrate::journal::{Journal, Past, Sign};
use crate::orchestrate::plan::Line;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// What steps found out, for those after them: `volume`, `device`. It stands in the journal, so no secrets.
pub type Facts = BTreeMap<String, String>;

/// One act, and what takes it back.
///
/// # Contract
/// - `act` may be called again after a process died in it: it looks for what it did before it does it again.
/// - `undo` is called whether `act` was done, half done or not done at all, and finds out by itself. It returns when
///   nothing is left. Doing it twice changes nothing.
pub trait Step: fmt::Debug + Send + Sync {
    /// Names it in plans, journals and reports: `attach`.
    fn name(&self) -> &'static str;

    /// What it does, for the plan.
    fn line(&self) -> Line;

    /// What undoing it does; `None` where nothing has to be undone.
    fn undo_line(&self) -> Option<Line> {
        None
    }

    /// Whether what it did is still so after the process ended. What is not is done again by a resumed run.
    fn lasts(&self) -> bool {
        false
    }

    /// Whether undoing it takes with it what later steps did: no volume, no attachment.
    fn takes_all(&self) -> bool {
        false
    }

    /// Whether nothing before it can be undone while what it did is there: a device is not taken away from under a mount.
    fn pins(&self) -> bool {
        false
    }

    /// Does it, knowing what the steps before it found; gives what it found itself.
    fn act<'a>(&'a self, known: &'a Facts) -> BoxFuture<'a, Result<Facts, Fault>>;

    /// Takes it back.
    fn undo<'a>(&'a self, known: &'a Facts) -> BoxFuture<'a, Result<(), Fault>> {
        let _ = known;
        Box::pin(async { Ok(()) })
    }
}

/// How far a step came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its turn never came.
    NotReached,
    /// It was done.
    Done,
    /// It was begun and failed.
    Failed(Exception),
}

/// What became of what a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undoing {
    /// There was nothing to undo.
    Nothing,
    /// It was taken back.
    Undone,
    /// It is still there, and why.
    Left(Exception),
}

/// A step that was walked over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its name.
    pub name: &'static str,
    /// How far it came.
    pub outcome: Outcome,
    /// What became of what it did.
    pub undoing: Undoing,
    /// How long it took in this process, without the undoing.
    pub took: Duration,
}

/// What became of a list of steps.
#[derive(Clone, Debug)]
pub struct Walked {
    /// Every step, in order.
    pub steps: Vec<Taken>,
    /// What they found.
    pub facts: Facts,
}

impl Walked {
    /// What kept the steps from all being done.
    pub fn failure(&self) -> Option<&Exception> {
        self.steps.iter().find_map(|step| match &step.outcome {
            Outcome::Failed(exception) => Some(exception),
            _ => None,
        })
    }

    /// What is still there, and why.
    pub fn left(&self) -> impl Iterator<Item = (&'static str, &Exception)> {
        self.steps.iter().filter_map(|step| match &step.undoing {
            Undoing::Left(exception) => Some((step.name, exception)),
            _ => None,
        })
    }
}

/// Does the steps in order until one fails, then undoes in reverse whatever was begun. Each is in the journal before
/// it is done. `known` is what is known before the first step, `past` what the journal says of an earlier process.
pub async fn walk(
    part: u32,
    steps: &[Box<dyn Step>],
    known: Facts,
    past: &Past,
    journal: &Journal,
    monitor: &dyn Monitor,
) -> Walked {
    let mut facts = known;
    facts.extend(past.facts(part));
    let mut taken = Vec::with_capacity(steps.len());
    let mut is_over = past.is_undoing(part);
    for step in steps {
        let name = step.name();
        let (was_begun, was_done) = (past.is_begun(part, name), past.is_done(part, name));
        let start = Instant::now();
        let outcome = if is_over || (was_done && step.lasts()) {
            if was_done { Outcome::Done } else { Outcome::NotReached }
        } else {
            monitor.on(Event::Note(format!("{}: {}", subject(&facts, part), step.line().what)));
            match done(part, step.as_ref(), &mut facts, journal).await {
                Ok(()) => Outcome::Done,
                Err(fault) => {
                    is_over = true;
                    Outcome::Failed(Exception::from(&fault))
                }
            }
        };
        let is_begun = was_begun || outcome != Outcome::NotReached;
        let undoing = if is_begun && step.undo_line().is_some() { Undoing::Undone } else { Undoing::Nothing };
        taken.push(Taken { name, outcome, undoing, took: start.elapsed() });
    }
    let mut pinned: Option<Exception> = None;
    for (at, step) in steps.iter().enumerate().rev() {
        if taken[at].undoing == Undoing::Nothing || past.is_undone(part, step.name()) {
            continue;
        }
        if let Some(why) = &pinned {
            taken[at].undoing = Undoing::Left(why.clone());
            continue;
        }
        taken[at].undoing = undone(part, step.as_ref(), &facts, journal).await;
        if let (true, Undoing::Left(why)) = (step.pins(), &taken[at].undoing) {
            let what = format!("not before {} is undone", step.name());
            pinned = Some(Exception { kind: why.kind, what });
        }
        if step.takes_all() && taken[at].undoing == Undoing::Undone {
            for later in taken[at..].iter_mut().filter(|one| one.undoing != Undoing::Nothing) {
                later.undoing = Undoing::Undone;
            }
        }
    }
    Walked { steps: taken, facts }
}

async fn done(part: u32, step: &dyn Step, facts: &mut Facts, journal: &Journal) -> Result<(), Fault> {
    journal.note(part, step.name(), &Sign::Begun)?;
    match step.act(facts).await {
        Ok(found) => {
            facts.extend(found.clone());
            journal.note(part, step.name(), &Sign::Done { facts: found })
        }
        Err(fault) => {
            let why = fault.to_string();
            // What failed is known to be over: a resumed run need not wonder.
            let _ = journal.note(part, step.name(), &Sign::Failed { why });
            Err(fault)
        }
    }
}

/// Undoes it, also where the journal cannot be written: what is there costs money until it is gone.
async fn undone(part: u32, step: &dyn Step, facts: &Facts, journal: &Journal) -> Undoing {
    let _ = journal.note(part, step.name(), &Sign::Undoing);
    let (sign, undoing) = match step.undo(facts).await {
        Ok(()) => (Sign::Undone, Undoing::Undone),
        Err(fault) => {
            let exception = Exception::from(&fault);
            (Sign::Left { why: exception.what.clone() }, Undoing::Left(exception))
        }
    };
    let _ = journal.note(part, step.name(), &sign);
    undoing
}

/// What a part is called in notes.
fn subject(facts: &Facts, part: u32) -> String {
    facts.get("snapshot").cloned().unwrap_or_else(|| format!("part {part}"))
}

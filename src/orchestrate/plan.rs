//! What is going to be done: every step, with the calls it sends, the rights they take, what they cost and how long
//! they are thought to last. `--dry-run` prints it and does nothing else; a run does just this.

use crate::cost::Usd;
use crate::orchestrate::Step;
use std::collections::BTreeSet;
use std::time::Duration;

/// One act of a plan, or what takes it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// In one clause: `make a gp3 volume of snap-0.. in us-east-1a`.
    pub what: String,
    /// Calls that change the account, by AWS's names: `ec2:CreateVolume`.
    pub calls: &'static [&'static str],
    /// Rights that it takes, those of calls that only look included.
    pub permissions: &'static [&'static str],
    /// What it costs at most.
    pub usd: Usd,
    /// How long it may well take.
    pub takes: Duration,
}

impl Line {
    /// Something that changes nothing in the account and costs nothing.
    pub fn local(what: impl Into<String>) -> Self {
        Self { what: what.into(), calls: &[], permissions: &[], usd: Usd::ZERO, takes: Duration::ZERO }
    }
}

/// One step of a plan: a name, what it does, what undoes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The step's name.
    pub name: &'static str,
    /// What it does.
    pub act: Line,
    /// What is done at the end to take it back; `None` where nothing has to be.
    pub undo: Option<Line>,
}

/// A part of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is about: a snapshot, a volume.
    pub name: String,
    /// Its steps; none where nothing can be done.
    pub steps: Vec<Planned>,
    /// Why nothing can be done.
    pub unfit: Option<String>,
}

impl Part {
    /// The part of these steps.
    pub(super) fn of(name: String, steps: &[Box<dyn Step>], unfit: Option<String>) -> Self {
        let planned =
            |step: &dyn Step| Planned { name: step.name(), act: step.line(), undo: step.undo_line() };
        Self { name, steps: steps.iter().map(|step| planned(step.as_ref())).collect(), unfit }
    }
}

/// A plan: its parts do not depend on each other, the steps of a part are done in order and undone in reverse.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Plan {
    /// Its parts.
    pub parts: Vec<Part>,
    /// How many parts are worked on at once.
    pub at_once: usize,
    /// Nothing costs anything here: it is not AWS that is asked.
    pub is_free: bool,
}

impl Plan {
    /// What a part does, in order: the step's name, whether it undoes it, and what that is.
    pub fn in_order(&self, part: usize) -> impl Iterator<Item = (&'static str, bool, &Line)> {
        let steps = self.parts.get(part).map_or(&[][..], |part| &part.steps);
        let acts = steps.iter().map(|step| (step.name, false, &step.act));
        acts.chain(steps.iter().rev().filter_map(|step| Some((step.name, true, step.undo.as_ref()?))))
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        (0..self.parts.len()).flat_map(|part| self.in_order(part).map(|(.., line)| line))
    }

    /// What all of it costs at most.
    pub fn usd(&self) -> Usd {
        if self.is_free {
            return Usd::ZERO;
        }
        self.lines().map(|line| line.usd).sum()
    }

    /// How long all of it may well take, with as many parts at once as are allowed.
    pub fn takes(&self) -> Duration {
        let all: Duration = self.lines().map(|line| line.takes).sum();
        all / u32::try_from(self.at_once.min(self.parts.len()).max(1)).unwrap_or(1)
    }

    /// The rights it takes.
    pub fn permissions(&self) -> BTreeSet<&'static str> {
        self.lines().flat_map(|line| line.permissions).copied().collect()
    }
}

//! The extent of a run: which of the blocks that its level speaks of it has read.
//!
//! A run that read everything shows that nothing is wrong. Any other run shows it of a part only, and
//! [`Report::damage_bound`] says how much may still be damaged. What a run proves for good (`icecore ledger`) follows from here and from nothing else.

use crate::ops::verify::{Budget, Level, Report};
use crate::sample::upper_bound_95;

/// Which blocks a run has read, of those that its level speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// Every block.
    All,
    /// Its part of a cycle, whose runs together have now read every block of one and the same content.
    CompletedCycle,
    /// Its part of a cycle.
    Cycle,
    /// One of several parts.
    Part,
    /// The blocks that changed since an older snapshot, and a random audit of the others.
    Delta,
    /// A random sample.
    Sample,
    /// What several of these chose together.
    Combined,
    /// What the deadline left time for.
    Deadline,
    /// What the budget paid for.
    Budget,
    /// Every block that was chosen, some of them by an interrupted run, and nothing proves that the target is unchanged
    /// since (`--trust-resumed`).
    Resumed,
    /// Less than was chosen, for another reason: blocks could not be read, or the run was interrupted.
    Interrupted,
    /// No block: the level reads none, or none was chosen.
    Nothing,
}

impl Extent {
    /// As it stands in reports: `completed_cycle`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::CompletedCycle => "completed_cycle",
            Self::Cycle => "cycle",
            Self::Part => "part",
            Self::Delta => "delta",
            Self::Sample => "sample",
            Self::Combined => "combined",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
            Self::Resumed => "resumed",
            Self::Interrupted => "interrupted",
            Self::Nothing => "nothing",
        }
    }

    /// Whether every block was read, by this run or by those that it completes.
    pub const fn is_everything(self) -> bool {
        matches!(self, Self::All | Self::CompletedCycle)
    }
}

/// The cycle that a run belongs to, as it stands after the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CycleProgress {
    /// Number of its days, which is the number of its parts.
    pub days: u32,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// Number of parts that are done, those without blocks included.
    pub parts_done: u32,
    /// Whether every run of it read one and the same content: the same snapshot, and a target that did not change.
    pub is_of_one_content: bool,
}

impl CycleProgress {
    /// Whether all of its parts are done.
    pub const fn is_complete(&self) -> bool {
        self.parts_done >= self.days
    }
}

impl Report {
    /// Which blocks the run has read.
    pub fn extent(&self) -> Extent {
        let coverage = &self.coverage;
        if self.level <= Level::BlockMap {
            return Extent::Nothing;
        }
        if coverage.read == coverage.total && self.is_whole() && self.void().is_none() {
            return if self.mode.is_resumed { Extent::Resumed } else { Extent::All };
        }
        if coverage.read == 0 {
            return Extent::Nothing;
        }
        match self.stopped_by {
            Some(Budget::Deadline) => return Extent::Deadline,
            Some(Budget::Usd) => return Extent::Budget,
            None if !self.is_whole() => return Extent::Interrupted,
            None if self.mode.is_resumed => return Extent::Resumed,
            None => {}
        }
        let mode = &self.mode;
        match (mode.delta_from.is_some(), !mode.parts.is_empty(), mode.sample.is_some()) {
            (_, true, _) if self.cycle.is_some_and(|of| of.is_complete() && of.is_of_one_content) => {
                Extent::CompletedCycle
            }
            (true, false, false) => Extent::Delta,
            (false, true, false) if mode.cycle_days.is_some() => Extent::Cycle,
            (false, true, false) => Extent::Part,
            (false, false, true) => Extent::Sample,
            (false, false, false) => Extent::Interrupted,
            _ => Extent::Combined,
        }
    }

    /// Whether every block that the level speaks of was read, by this run or by the runs of one content that it
    /// completes. Only such a run verifies a snapshot; any other is a sample of it.
    pub fn reads_everything(&self) -> bool {
        self.extent().is_everything()
    }

    /// The largest share of the blocks that may be damaged although the run has found nothing wrong: of blocks drawn at
    /// random with 95 % confidence, else the share of those that were not read. `None` where no block was read, or
    /// damage was found.
    pub fn damage_bound(&self) -> Option<f64> {
        let coverage = &self.coverage;
        if self.extent() == Extent::Nothing || !self.mismatches.is_empty() {
            return None;
        }
        if self.reads_everything() {
            return Some(0.0);
        }
        let share = |blocks: u64| blocks as f64 / coverage.total as f64;
        let unread = share(coverage.total.saturating_sub(coverage.read));
        let audit = (self.is_whole() && coverage.unchanged > 0)
            .then(|| upper_bound_95(coverage.unchanged, coverage.audited) * share(coverage.unchanged));
        Some([self.upper_bound_95, audit].into_iter().flatten().fold(unread, f64::min))
    }
}

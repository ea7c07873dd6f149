//! Which of two runs read later.
//!
//! An entry names the newest entries that were known when its first block was read, so that whatever it says came after
//! them. Only where no such chain leads from one run to the other, as between machines that have not exchanged their
//! ledgers, do the clocks decide: by more than [`CLOCK_TOLERANCE`](crate::ledger::CLOCK_TOLERANCE), and only clocks that do not contradict the chains.

use crate::block::Digest;
use crate::ledger::{Entry, Record};
use std::collections::HashMap;

/// The EBS direct APIs began on 3 December 2019: an earlier date is that of a clock that was never set.
const EARLIEST_MS: i64 = 1_575_331_200_000;

/// A set of runs, by their place.
#[derive(Clone)]
struct Marks(Vec<u64>);

impl Marks {
    fn of(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    /// Adds one; says whether it is new.
    fn add(&mut self, at: usize) -> bool {
        let is_new = !self.has(at);
        self.0[at / 64] |= 1 << (at % 64);
        is_new
    }
}

/// The order of a snapshot's runs, as far as its failures are concerned.
pub(super) struct Order<'a> {
    runs: &'a [Record],
    /// Whether the clock of a run can be believed, so that it orders the run.
    is_timed: Vec<bool>,
    /// Runs that no other names as known.
    newest: Vec<bool>,
    /// Of each failure, the runs that read after it and those that it read after.
    around: HashMap<usize, (Marks, Marks)>,
}

impl<'a> Order<'a> {
    pub(super) fn of(runs: &'a [Record], failures: &[usize], now_ms: i64) -> Self {
        let named: HashMap<Digest, usize> = (0..)
            .zip(runs)
            .flat_map(|(at, run)| run.digests.iter().map(move |digest| (*digest, at)))
            .collect();
        let before: Vec<Vec<usize>> = (0..)
            .zip(runs)
            .map(|(at, run)| {
                known(&run.entry).filter_map(|of| named.get(&of).copied()).filter(|of| *of != at).collect()
            })
            .collect();
        let mut after = vec![Vec::new(); runs.len()];
        for (at, before) in before.iter().enumerate() {
            before.iter().for_each(|of| after[*of].push(at));
        }
        let is_timed = (0..)
            .zip(runs)
            .map(|(at, run): (usize, _)| {
                let entry = &run.entry;
                let is_plausible = entry.began_ms() >= EARLIEST_MS && entry.ended_ms <= now_ms + TOLERANCE_MS;
                is_plausible
                    && before[at].iter().all(|of| runs[*of].entry.ended_ms <= entry.ended_ms + TOLERANCE_MS)
            })
            .collect();
        let around = failures.iter().map(|at| (*at, (reached(*at, &after), reached(*at, &before)))).collect();
        Self { runs, is_timed, newest: after.iter().map(Vec::is_empty).collect(), around }
    }

    /// Whether no other run is known to have begun after this one had ended.
    pub(super) fn is_newest(&self, run: usize) -> bool {
        self.newest[run]
    }

    /// Whether the run is known to have read after the failure. `began_ms` is when its first block was read.
    pub(super) fn is_later(&self, run: usize, failure: usize) -> bool {
        let Some((after, before)) = self.around.get(&failure) else { return false };
        after.has(run)
            || (!before.has(run) && self.is_later_by_clock(run, self.runs[run].entry.began_ms(), failure))
    }

    /// Whether it is by the clocks alone, of something that began then.
    pub(super) fn is_later_by_clock(&self, run: usize, began_ms: i64, failure: usize) -> bool {
        let (one, other) = (&self.runs[run].entry, &self.runs[failure].entry);
        match one.format == 1 && other.format == 1 {
            // There was nothing else.
            true => began_ms > other.ended_ms,
            false => self.is_timed[run] && self.is_timed[failure] && began_ms > other.ended_ms + TOLERANCE_MS,
        }
    }
}

/// [`CLOCK_TOLERANCE`](crate::ledger::CLOCK_TOLERANCE) in milliseconds.
const TOLERANCE_MS: i64 = 300_000;

fn known(entry: &Entry) -> impl Iterator<Item = Digest> {
    entry.details.iter().flat_map(|details| &details.known).filter_map(|digest| digest.parse().ok())
}

/// What is reached from there, itself left out.
fn reached(from: usize, next: &[Vec<usize>]) -> Marks {
    let mut marks = Marks::of(next.len());
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        open.extend(next[at].iter().filter(|of| marks.add(**of)));
    }
    marks
}

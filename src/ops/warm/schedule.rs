//! Which block of which device is read when.
//!
//! Pure: times are spans since the run began, and come in from outside. Readers ask for their next turn, and say what
//! became of it. All devices share one rate and one number of reads in flight; each has its own depth, its own order
//! and its own end, so that one that fails or hangs takes nothing from the others but its share.

use crate::block::BlockIndex;
use crate::ops::warm::depth::Depth;
use crate::ops::warm::order::Ranked;
use crate::ops::warm::pace::Pace;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Times that a block is read before it counts as unreadable: devices hiccup.
pub(super) const TRIES: u32 = 3;
/// How much a new latency counts in the mean of them.
const WEIGHT: f64 = 0.05;

/// How devices share what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Each gets as much as the others.
    #[default]
    Fair,
    /// The first gets what it can take, the next what that leaves.
    InTurn,
}

/// A block to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) lane: usize,
    pub(super) index: BlockIndex,
    /// How often it was read in vain.
    tried: u32,
}

/// What a reader does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This.
    Read(Turn),
    /// Nothing before this time.
    At(Duration),
    /// Nothing before a read comes back.
    Later,
    /// Nothing any more.
    Over,
}

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The block is here.
    Done,
    /// It could not be read.
    Failed,
    /// Nothing of this device can be read any more.
    Gone,
}

/// One device of the run.
struct Lane {
    order: Box<dyn Iterator<Item = BlockIndex> + Send>,
    again: VecDeque<Turn>,
    ahead: Option<BlockIndex>,
    depth: Depth,
    in_flight: usize,
    is_over: bool,
    /// Mean time that a read takes, in seconds; 0 before one came back.
    mean: f64,
}

/// All of it.
pub(super) struct Schedule {
    lanes: Vec<Lane>,
    pub(super) pace: Pace,
    sharing: Sharing,
    /// Reads in flight at most, of all devices together.
    most: usize,
    /// When reading has to be over.
    until: Option<Duration>,
    served_last: usize,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule").field("pace", &self.pace).finish_non_exhaustive()
    }
}

impl Schedule {
    /// `depth` is what each device begins with.
    pub(super) fn new(
        orders: Vec<Ranked>,
        depth: &Depth,
        pace: Pace,
        sharing: Sharing,
        until: Option<Duration>,
    ) -> Self {
        let lane = |order: Ranked| Lane {
            order: Box::new(order.into_iter()),
            again: VecDeque::new(),
            ahead: None,
            depth: depth.clone(),
            in_flight: 0,
            is_over: false,
            mean: 0.0,
        };
        let lanes: Vec<_> = orders.into_iter().map(lane).collect();
        Self { served_last: lanes.len(), lanes, pace, sharing, most: depth.most(), until }
    }

    /// What a reader does now.
    pub(super) fn next(&mut self, now: Duration) -> Next {
        for lane in &mut self.lanes {
            // A read that would come back too late is not begun.
            let is_late = self.until.is_some_and(|until| now.as_secs_f64() + lane.mean > until.as_secs_f64());
            lane.is_over |= is_late;
        }
        let n_open = self.lanes.iter_mut().map(Lane::look_ahead).filter(|is_open| *is_open).count();
        if n_open == 0 {
            // What is in flight may fail, and be tried again.
            return if self.in_flight() == 0 { Next::Over } else { Next::Later };
        }
        let Some(lane) = self.chosen() else { return Next::Later };
        let slot = self.pace.slot(now);
        if slot > now {
            return Next::At(self.until.map_or(slot, |until| slot.min(until)));
        }
        self.pace.take(now);
        self.served_last = lane;
        let held = &mut self.lanes[lane];
        held.in_flight += 1;
        let turn = held.again.pop_front();
        let turn = turn.or_else(|| held.ahead.take().map(|index| Turn { lane, index, tried: 0 }));
        Next::Read(turn.unwrap_or_else(|| unreachable!("it has more")))
    }

    /// A read came back after so long; says whether that is the last word on its block.
    pub(super) fn finish(&mut self, turn: Turn, outcome: Outcome, took: Duration, now: Duration) -> bool {
        let share = self.share();
        let lane = &mut self.lanes[turn.lane];
        let is_busy = lane.in_flight >= lane.depth.target().min(share);
        lane.in_flight -= 1;
        match outcome {
            Outcome::Done => {
                lane.depth.arrived(now, is_busy && self.pace.rate().is_none());
                let took = took.as_secs_f64();
                lane.mean = if lane.mean == 0.0 { took } else { lane.mean + WEIGHT * (took - lane.mean) };
                true
            }
            Outcome::Failed if turn.tried + 1 < TRIES && !lane.is_over => {
                lane.again.push_back(Turn { tried: turn.tried + 1, ..turn });
                false
            }
            Outcome::Failed => true,
            Outcome::Gone => {
                lane.is_over = true;
                true
            }
        }
    }

    /// Reading has to be over by then.
    pub(super) fn end_by(&mut self, until: Duration) {
        self.until = Some(until);
    }

    /// The longest mean time that a read of any device takes; `None` before one came back.
    pub(super) fn slowest(&self) -> Option<Duration> {
        let means = self.lanes.iter().map(|lane| lane.mean);
        means.reduce(f64::max).filter(|mean| *mean > 0.0).map(Duration::from_secs_f64)
    }

    /// No more is begun.
    pub(super) fn stop(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.is_over = true);
    }

    /// Reads that have not come back.
    pub(super) fn in_flight(&self) -> usize {
        self.lanes.iter().map(|lane| lane.in_flight).sum()
    }

    /// Reads that may be in flight, of all devices together: as many readers are needed.
    pub(super) fn depth(&self) -> usize {
        let share = self.share();
        self.lanes.iter().map(|lane| lane.depth.target().min(share)).sum::<usize>().min(self.most)
    }

    /// Reads of one device that may be in flight.
    fn share(&self) -> usize {
        match self.sharing {
            Sharing::InTurn => self.most,
            Sharing::Fair => {
                let open = self.lanes.iter().filter(|lane| !lane.is_over || lane.in_flight > 0).count();
                (self.most / open.max(1)).max(1)
            }
        }
    }

    /// Whose turn it is, of those that have work and room for one more read.
    fn chosen(&self) -> Option<usize> {
        if self.in_flight() >= self.most {
            return None;
        }
        let share = self.share();
        let n = self.lanes.len();
        let from = match self.sharing {
            Sharing::Fair => self.served_last + 1,
            Sharing::InTurn => 0,
        };
        (from..from + n).map(|at| at % n).find(|at| {
            let lane = &self.lanes[*at];
            lane.is_ready() && lane.in_flight < lane.depth.target().min(share)
        })
    }
}

impl Lane {
    /// Finds what comes next; says whether there is anything.
    fn look_ahead(&mut self) -> bool {
        if !self.is_over && self.again.is_empty() && self.ahead.is_none() {
            self.ahead = self.order.next();
        }
        self.is_ready()
    }

    fn is_ready(&self) -> bool {
        !self.is_over && (self.ahead.is_some() || !self.again.is_empty())
    }
}

#[cfg(test)]
mod tests;

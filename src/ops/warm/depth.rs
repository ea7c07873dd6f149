//! How many reads of a device are in flight at once.
//!
//! A cold volume answers each read late and many at once, so it begins with many, and at once tries twice as many: a
//! failover waits. Where half as many bring blocks in as fast (the volume's throughput is the limit), half as many are
//! kept: who else reads the volume then waits half as long. Where fewer are slower, it goes back, and tries again later
//! and later. A number given by a person is kept to.

use std::time::Duration;

/// In flight at first: at 20 ms a read 3.2 GiB/s, beyond what any EBS volume gives today but io2 and the largest gp3.
pub(super) const FIRST: usize = 128;
/// In flight at most. What they read goes nowhere, so that it is threads that more of them would cost.
pub(super) const MOST: usize = 256;
/// In flight at most where what is read is looked at as well: 80 MiB of blocks.
pub(super) const MOST_HELD: usize = 160;
/// Fewer are not tried.
const FEWEST: usize = 8;
/// What a step down may cost, and a step up must bring, in parts of the rate.
const WORTH: f64 = 0.05;
/// The shortest time to measure in.
const MEASURE: Duration = Duration::from_millis(50);
/// How long to stay after a step that was undone, at first.
const STAY: Duration = Duration::from_secs(2);

/// Decides it from the reads that come back. Times are spans since the run began.
#[derive(Clone, Debug)]
pub(super) struct Depth {
    target: usize,
    most: usize,
    is_fixed: bool,
    state: State,
    stay: Duration,
    /// Whether the next try is a step up.
    is_up_next: bool,
    measure: Measure,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Until then nothing is tried.
    Staying { until: Duration },
    /// The rate is measured, to have something to compare with.
    Comparing,
    /// Another number is tried; before, it was that number and that rate.
    Trying { target: usize, rate: f64 },
}

#[derive(Clone, Debug)]
struct Measure {
    since: Duration,
    blocks: usize,
    /// Reads that were sent while another number was in flight.
    skip: usize,
}

impl Depth {
    /// Found out on the way, or this number; never more than `most`.
    pub(super) fn new(fixed: Option<usize>, most: usize) -> Self {
        let target = fixed.unwrap_or(FIRST).clamp(1, most);
        Self {
            target,
            most,
            is_fixed: fixed.is_some(),
            state: State::Comparing,
            stay: STAY,
            is_up_next: true,
            measure: Measure { since: Duration::ZERO, blocks: 0, skip: 0 },
        }
    }

    /// Reads that may be in flight now.
    pub(super) fn target(&self) -> usize {
        self.target
    }

    /// The most that there may ever be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// A read came back. `is_busy` says that as many were in flight as may be: else the number decides nothing.
    pub(super) fn arrived(&mut self, now: Duration, is_busy: bool) {
        if self.is_fixed {
            return;
        }
        if !is_busy {
            self.measure = Measure { since: now, blocks: 0, skip: 0 };
            return;
        }
        if let State::Staying { until } = self.state {
            if now >= until {
                self.turn(self.target, State::Comparing, now);
            }
            return;
        }
        let Some(rate) = self.measure.add(now, self.target) else { return };
        match self.state {
            State::Staying { .. } => {}
            State::Comparing => {
                let next = if self.is_up_next { self.target * 2 } else { self.target / 2 };
                let next = next.clamp(FEWEST, self.most);
                let state = State::Trying { target: self.target, rate };
                match next == self.target {
                    true => self.stay_at(next, now),
                    false => self.turn(next, state, now),
                }
            }
            State::Trying { target, rate: before } => {
                let is_kept = match self.target < target {
                    true => rate >= before * (1.0 - WORTH),
                    false => rate >= before * (1.0 + WORTH),
                };
                match is_kept {
                    true => self.turn(self.target, State::Comparing, now),
                    false => self.stay_at(target, now),
                }
            }
        }
    }

    /// Goes (back) to a number, and looks the other way next time.
    fn stay_at(&mut self, target: usize, now: Duration) {
        self.is_up_next = !self.is_up_next;
        self.turn(target, State::Staying { until: now + self.stay }, now);
        self.stay = (self.stay * 2).min(STAY * 16);
    }

    fn turn(&mut self, target: usize, state: State, now: Duration) {
        self.measure = Measure { since: now, blocks: 0, skip: self.target.max(target) };
        (self.target, self.state) = (target, state);
    }
}

impl Measure {
    /// Counts a block; gives the rate in blocks a second once it means something.
    fn add(&mut self, now: Duration, in_flight: usize) -> Option<f64> {
        if self.skip > 0 {
            self.skip -= 1;
            self.since = now;
            return None;
        }
        self.blocks += 1;
        let took = now.saturating_sub(self.since);
        // Answers come in waves, as many as are in flight: whole waves are counted.
        let is_whole = self.blocks >= 3 * in_flight && self.blocks.is_multiple_of(in_flight);
        (took >= MEASURE && is_whole).then(|| self.blocks as f64 / took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    /// A device that answers after `latency`, no more than `most` blocks a second; gives the depth after so long.
    fn after(seconds: u64, latency: Duration, most: Option<u32>) -> usize {
        let mut depth = Depth::new(None, MOST);
        let (mut now, mut free) = (Duration::ZERO, Duration::ZERO);
        let mut in_flight: BinaryHeap<Reverse<Duration>> = BinaryHeap::new();
        while now < Duration::from_secs(seconds) {
            while in_flight.len() < depth.target() {
                let gap = most.map_or(Duration::ZERO, |most| Duration::from_secs(1) / most);
                free = free.max(now) + gap;
                in_flight.push(Reverse(free + latency));
            }
            let is_busy = in_flight.len() >= depth.target();
            now = in_flight.pop().unwrap().0;
            depth.arrived(now, is_busy);
        }
        depth.target()
    }

    #[test]
    fn where_reads_are_slow_many_stay_in_flight() {
        let deep = after(60, Duration::from_millis(20), None);
        assert!(deep >= FIRST, "{deep}");
    }

    #[test]
    fn where_the_volume_is_the_limit_fewer_do() {
        // 500 blocks a second at 5 ms: three in flight would do.
        let few = after(30, Duration::from_millis(5), Some(500));
        assert!(few <= 16, "{few}");
    }

    #[test]
    fn many_are_twice_as_many_within_a_second_where_that_is_faster() {
        assert_eq!(after(1, Duration::from_millis(20), None), MOST);
        assert_eq!(after(4, Duration::from_millis(20), Some(500)), FIRST, "and not where it is not");
    }

    #[test]
    fn a_number_that_was_given_is_kept() {
        let mut depth = Depth::new(Some(4), MOST);
        (0..9_000).for_each(|millis| depth.arrived(Duration::from_millis(millis), true));
        assert_eq!(depth.target(), 4);
    }
}

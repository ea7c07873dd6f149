//! How many requests for blocks are in flight at once.
//!
//! Starts with few, which is enough where answers come quickly, and doubles while that brings blocks in faster:
//! four steps lead from 16 to 128. Where it does not (the processor, the disk, the line or the gate is busy), it
//! goes back one step and stays for a while, twice as long each time. A number given by a person is kept to.

use crate::pipeline::Settings;
use crate::pipeline::check::BATCH;
use std::time::Duration;
use tokio::time::Instant;

/// In flight at first. On loopback, where an answer takes half a millisecond, more is no faster.
const FEWEST: usize = 16;
/// In flight at most: 670 MB/s at 100 ms a request, for 96 MiB of memory.
const MOST: usize = 128;
/// A step must bring this much to be kept, in percent. What is measured on a busy machine varies by half of it.
const WORTH: u64 = 10;
/// The shortest time to measure in.
const MEASURE: Duration = Duration::from_millis(100);
/// How long to stay after the first step that was not worth it.
const STAY: Duration = Duration::from_secs(2);

/// Decides it from the blocks that come in.
#[derive(Debug)]
pub(crate) struct Flow {
    target: usize,
    is_fixed: bool,
    measure: Measure,
    state: State,
    stay: Duration,
}

/// Blocks since a moment.
#[derive(Debug)]
struct Measure {
    since: Instant,
    blocks: u64,
    /// The first so many were asked for while another number was in flight.
    skip: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing to compare with yet.
    Fresh,
    /// Twice as many as when blocks came in at this rate.
    Trying { before: u64 },
    /// More was no faster.
    Staying { until: Instant },
}

impl Flow {
    /// As the settings say.
    pub(crate) fn new(settings: &Settings) -> Self {
        let target = settings.concurrency.unwrap_or(FEWEST).max(1);
        Self {
            target,
            is_fixed: settings.concurrency.is_some(),
            // The first wave is the connections being made.
            measure: Measure::from(Instant::now(), target),
            state: State::Fresh,
            stay: STAY,
        }
    }

    /// Requests that may be in flight now.
    pub(crate) fn in_flight(&self) -> usize {
        self.target
    }

    /// Blocks that may be held: those in flight, and half as many again or four batches that are being hashed or are
    /// at the sink.
    pub(crate) fn held(&self) -> usize {
        self.target + (self.target / 2).max(4 * BATCH)
    }

    /// A block has come in.
    pub(crate) fn arrived(&mut self) {
        if self.is_fixed {
            return;
        }
        let now = Instant::now();
        let Some(rate) = self.measure.add(now, self.target) else { return };
        match self.state {
            State::Fresh => self.try_more(rate, now),
            State::Trying { before } if rate * 100 >= before * (100 + WORTH) => self.try_more(rate, now),
            State::Trying { .. } => {
                // A step back is free; the next step up is tried later and later.
                self.set(self.target / 2, State::Staying { until: now + self.stay }, now);
                self.stay *= 2;
            }
            State::Staying { until } if now >= until => self.try_more(rate, now),
            State::Staying { .. } => self.measure = Measure::from(now, 0),
        }
    }

    fn try_more(&mut self, rate: u64, now: Instant) {
        if self.target * 2 <= MOST {
            self.set(self.target * 2, State::Trying { before: rate }, now);
        } else {
            // There is no more to try, and what was gained is kept.
            self.set(self.target, State::Staying { until: now + self.stay }, now);
        }
    }

    fn set(&mut self, target: usize, state: State, now: Instant) {
        self.measure = Measure::from(now, self.target.max(target));
        (self.target, self.state) = (target, state);
    }
}

impl Measure {
    fn from(since: Instant, skip: usize) -> Self {
        Self { since, blocks: 0, skip }
    }

    /// Counts a block; gives the rate in blocks per 1,000 seconds once it means something.
    fn add(&mut self, now: Instant, in_flight: usize) -> Option<u64> {
        if self.skip > 0 {
            self.skip -= 1;
            self.since = now;
            return None;
        }
        self.blocks += 1;
        let took = now - self.since;
        // Answers come in waves, as many as are in flight: whole waves are counted.
        let is_whole = self.blocks >= 2 * in_flight as u64 && self.blocks.is_multiple_of(in_flight as u64);
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        (took >= MEASURE && is_whole).then(|| self.blocks * 1_000_000 / millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use tokio::time::{advance, sleep};

    /// A service that answers each request after `latency`, and all of them no faster than `most` a second.
    /// Runs for so many blocks; gives what was in flight in the end and the most of all.
    async fn serve(flow: &mut Flow, latency: Duration, most: Option<u32>, blocks: usize) -> (usize, usize) {
        let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let gap = most.map_or(Duration::ZERO, |most| Duration::from_secs(1) / most);
        let (mut free, mut in_flight, mut highest) = (Instant::now(), 0, 0);
        for _ in 0..blocks {
            while in_flight < flow.in_flight() {
                // One after the other through the narrow place, and then the way back.
                free = free.max(Instant::now()) + gap;
                let (back, sender) = (free + latency, sender.clone());
                tokio::spawn(async move {
                    tokio::time::sleep_until(back).await;
                    sender.send(()).unwrap();
                });
                in_flight += 1;
            }
            answers.recv().await.unwrap();
            in_flight -= 1;
            flow.arrived();
            highest = highest.max(flow.in_flight());
        }
        (flow.in_flight(), highest)
    }

    fn flow(concurrency: Option<usize>) -> Flow {
        Flow::new(&Settings { concurrency, ..Settings::open(PathBuf::new()) })
    }

    #[tokio::test(start_paused = true)]
    async fn where_answers_are_slow_many_are_in_flight() {
        let mut flow = flow(None);
        assert_eq!(serve(&mut flow, Duration::from_millis(50), None, 4_000).await, (128, 128));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_answers_are_met_within_a_second() {
        let mut flow = flow(None);
        let start = Instant::now();
        // Three waves of 16, of 32 and of 64.
        serve(&mut flow, Duration::from_millis(50), None, 3 * (16 + 32 + 64)).await;
        assert_eq!(flow.in_flight(), MOST);
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn where_answers_are_quick_few_are_in_flight() {
        let mut flow = flow(None);
        // 16 in flight, or 7, already fill this one.
        let (last, most) = serve(&mut flow, Duration::from_millis(1), Some(6_000), 60_000).await;
        assert!(last <= 32 && most <= 32, "{last} at last, {most} at most");
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_is_not_stormed() {
        let mut flow = flow(None);
        let (last, most) = serve(&mut flow, Duration::from_millis(20), Some(500), 20_000).await;
        assert!(last <= 32 && most <= 32, "{last} at last, {most} at most");
    }

    #[tokio::test(start_paused = true)]
    async fn when_answers_become_slow_more_are_tried_again() {
        let mut flow = flow(None);
        serve(&mut flow, Duration::from_millis(1), Some(4_000), 4_000).await;
        advance(Duration::from_secs(20)).await;
        let (last, _) = serve(&mut flow, Duration::from_millis(100), None, 6_000).await;
        assert_eq!(last, 128);
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_that_was_given_is_kept() {
        let mut flow = flow(Some(4));
        assert_eq!(serve(&mut flow, Duration::from_millis(200), None, 2_000).await, (4, 4));
        assert_eq!(flow.held(), 68);
        sleep(Duration::ZERO).await;
    }
}

//! The rate gate: how fast requests may go out.
//!
//! A token bucket for each kind of request, over the account and over each snapshot. A bucket that starts open
//! stays open until the service says "too fast"; then it closes to half of what went through, and recovers by the
//! time that passes without another throttle: additively at first (AIMD), then by doubling, for then whatever
//! limited it has gone. What it recovers towards is the rate at which the last throttle came, not the best it ever
//! had: in a storm of throttles it settles at the slowest rate, and a lucky answer does not reopen the gates.
//! Requests wait in a queue, the first of them for its slot: nothing is polled, and who waits gains when the
//! rate does.

use crate::fault::Scope;
use crate::pipeline::{Action, Settings};
use crate::snapshot::SnapshotId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A bucket fills up to this much time's worth of requests, so that a short pause is not lost.
const BURST: Duration = Duration::from_millis(100);
/// Throttles that arrive within this time of a cut speak of the same excess: one cut answers them all.
const ONE_CUT: Duration = Duration::from_millis(500);
/// A bucket gains, for this long after a cut, so much that it would have doubled its rate after it.
const RECOVERY: Duration = Duration::from_secs(10);
/// Then it doubles its rate in this time.
const DOUBLING: Duration = Duration::from_secs(2);
/// One success vouches for no more time than this.
const VOUCHED: Duration = Duration::from_secs(2);
/// Not even a storm of throttles slows a bucket below this many requests a second: it must notice the end.
const SLOWEST: f64 = 0.5;

type Key = (Action, Option<SnapshotId>);

/// All buckets of a run.
#[derive(Debug)]
pub(crate) struct Gate {
    buckets: Mutex<HashMap<Key, Bucket>>,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    list: Option<u32>,
    blocks: Option<u32>,
    blocks_per_snapshot: Option<u32>,
}

impl Limits {
    fn of(&self, key: &Key) -> Option<f64> {
        match key {
            (Action::List, None) => self.list.map(f64::from),
            (Action::Get | Action::Put, None) => self.blocks.map(f64::from),
            (Action::Get | Action::Put, Some(_)) => self.blocks_per_snapshot.map(f64::from),
            (Action::List, Some(_)) | (Action::Control, _) => None,
        }
    }
}

impl Gate {
    pub(crate) fn new(settings: &Settings) -> Self {
        let limits = Limits {
            list: settings.lists_per_second,
            blocks: settings.blocks_per_second,
            blocks_per_snapshot: settings.blocks_per_second_per_snapshot,
        };
        Self { buckets: Mutex::default(), limits }
    }

    /// Waits for this request's turn.
    ///
    /// # Cancel safety
    /// A future dropped while it waits for its slot gives that away unused.
    pub(crate) async fn pass(&self, action: Action, snapshot: Option<&SnapshotId>) {
        self.turn((action, None)).await;
        if let Some(id) = snapshot {
            self.turn((action, Some(id.clone()))).await;
        }
    }

    async fn turn(&self, key: Key) {
        let queue = self.with(key.clone(), |bucket| bucket.queue());
        let _first = match &queue {
            Some(queue) => Some(queue.lock().await),
            None => None,
        };
        let now = Instant::now();
        let slot = self.with(key, |bucket| bucket.take(now));
        if slot > now {
            tokio::time::sleep_until(slot).await;
        }
    }

    /// The service said "too fast".
    pub(crate) fn throttled(&self, action: Action, snapshot: Option<&SnapshotId>, scope: Scope) {
        let id = snapshot.filter(|_| scope == Scope::Snapshot).cloned();
        self.with((action, id), |bucket| bucket.cut(Instant::now()));
    }

    /// A request went well.
    pub(crate) fn succeeded(&self, action: Action, snapshot: Option<&SnapshotId>) {
        let now = Instant::now();
        self.with((action, None), |bucket| bucket.recover(now));
        if let Some(id) = snapshot {
            self.with((action, Some(id.clone())), |bucket| bucket.recover(now));
        }
    }

    fn with<T>(&self, key: Key, act: impl FnOnce(&mut Bucket) -> T) -> T {
        let mut buckets: MutexGuard<'_, _> = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = self.limits.of(&key);
        act(buckets.entry(key).or_insert_with(|| Bucket::new(limit, Instant::now())))
    }
}

#[derive(Debug)]
struct Bucket {
    /// Requests a second it never exceeds; `None` knows no such limit.
    limit: Option<f64>,
    /// Requests a second now; `None` is open.
    rate: Option<f64>,
    /// The rate at which the last throttle came.
    cut_at: f64,
    /// The rate of the open bucket when it was cut: it opens again at twice of that.
    was_open_at: f64,
    next: Instant,
    last_cut: Option<Instant>,
    /// Until when recovery has been counted.
    recovered: Instant,
    /// Whoever waits for a slot; the first holds the lock.
    queue: Arc<tokio::sync::Mutex<()>>,
    /// What went through since `counted_from`, to know the rate of an open bucket when it must be cut.
    counted: u32,
    counted_from: Instant,
    /// Requests a second in the window before that.
    counted_before: f64,
}

impl Bucket {
    fn new(limit: Option<f64>, now: Instant) -> Self {
        Self {
            limit,
            rate: limit,
            cut_at: 0.0,
            was_open_at: 0.0,
            next: now,
            last_cut: None,
            recovered: now,
            queue: Arc::default(),
            counted: 0,
            counted_from: now,
            counted_before: 0.0,
        }
    }

    /// Where to queue; nowhere while the bucket is open.
    fn queue(&self) -> Option<Arc<tokio::sync::Mutex<()>>> {
        self.rate.map(|_| Arc::clone(&self.queue))
    }

    /// The time at which the next request may go.
    fn take(&mut self, now: Instant) -> Instant {
        let window = now - self.counted_from;
        if window > Duration::from_secs(2) {
            self.counted_before = f64::from(self.counted) / window.as_secs_f64();
            (self.counted, self.counted_from) = (0, now);
        }
        self.counted += 1;
        let Some(rate) = self.rate else { return now };
        let slot = now.checked_sub(BURST).map_or(self.next, |earliest| self.next.max(earliest));
        self.next = slot + Duration::from_secs_f64(1.0 / rate);
        slot.max(now)
    }

    fn cut(&mut self, now: Instant) {
        if self.last_cut.is_some_and(|cut| now - cut < ONE_CUT) {
            return;
        }
        (self.last_cut, self.recovered) = (Some(now), now);
        let passed = (now - self.counted_from).max(BURST).as_secs_f64();
        // Whichever is larger: a window that has only begun says little.
        let measured = (f64::from(self.counted) / passed).max(self.counted_before);
        let rate = self.rate.unwrap_or_else(|| {
            self.was_open_at = measured;
            measured
        });
        self.cut_at = rate;
        self.rate = Some((rate / 2.0).max(SLOWEST));
        self.next = self.next.max(now);
    }

    fn recover(&mut self, now: Instant) {
        let (Some(rate), Some(last_cut)) = (self.rate, self.last_cut) else { return };
        let passed = (now - self.recovered).min(VOUCHED).as_secs_f64();
        self.recovered = now;
        let rate = match now - last_cut < RECOVERY {
            true => rate + self.cut_at * passed / RECOVERY.as_secs_f64(),
            false => rate * (passed / DOUBLING.as_secs_f64()).exp2(),
        };
        match self.limit {
            Some(limit) => self.rate = Some(rate.min(limit)),
            // Twice as fast as when it was throttled: whatever limited it then has gone.
            None if rate > 2.0 * self.was_open_at.max(1.0) => (self.rate, self.last_cut) = (None, None),
            None => self.rate = Some(rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn gate(per_second: Option<u32>) -> Gate {
        Gate::new(&Settings { blocks_per_second: per_second, ..Settings::open(PathBuf::new()) })
    }

    async fn pass(gate: &Gate, times: u32) -> Duration {
        let start = Instant::now();
        for _ in 0..times {
            gate.pass(Action::Get, None).await;
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_gate_never_waits() {
        assert_eq!(pass(&gate(None), 10_000).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_kept_to_within_its_burst() {
        let took = pass(&gate(Some(100)), 1_000).await;
        assert!((9_800..=10_000).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_halves_the_rate_once_and_success_brings_it_back() {
        let gate = gate(Some(100));
        pass(&gate, 200).await;
        for _ in 0..50 {
            gate.throttled(Action::Get, None, Scope::Account);
        }
        let slowed = pass(&gate, 50).await;
        assert!((800..=1_000).contains(&slowed.as_millis()), "fifty a second: {slowed:?}");
        for _ in 0..2_000 {
            gate.pass(Action::Get, None).await;
            gate.succeeded(Action::Get, None);
        }
        let recovered = pass(&gate, 100).await;
        assert!((800..=1_000).contains(&recovered.as_millis()), "a hundred a second: {recovered:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_storm_the_gate_opens_again_within_a_minute() {
        let gate = gate(None);
        pass(&gate, 1_000).await;
        for _ in 0..60 {
            gate.throttled(Action::Get, None, Scope::Account);
            tokio::time::advance(ONE_CUT).await;
        }
        assert!(pass(&gate, 5).await > Duration::from_secs(7), "at the slowest: one every two seconds");
        let start = Instant::now();
        while pass(&gate, 1).await > Duration::ZERO {
            gate.succeeded(Action::Get, None);
        }
        let took = start.elapsed();
        assert!((20..60).contains(&took.as_secs()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lucky_answer_in_a_storm_changes_little() {
        let gate = gate(None);
        pass(&gate, 1_000).await;
        for n in 0..60 {
            gate.throttled(Action::Get, None, Scope::Account);
            tokio::time::advance(ONE_CUT).await;
            if n % 10 == 0 {
                gate.succeeded(Action::Get, None);
            }
        }
        assert!(pass(&gate, 5).await > Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshots_throttle_slows_only_that_snapshot() {
        let gate = gate(None);
        let (a, b): (SnapshotId, SnapshotId) = ("snap-0a".parse().unwrap(), "snap-0b".parse().unwrap());
        gate.pass(Action::Get, Some(&a)).await;
        gate.throttled(Action::Get, Some(&a), Scope::Snapshot);
        let start = Instant::now();
        gate.pass(Action::Get, Some(&b)).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        gate.pass(Action::Get, Some(&a)).await;
        gate.pass(Action::Get, Some(&a)).await;
        assert!(start.elapsed() > Duration::ZERO);
    }
}

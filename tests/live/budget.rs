//! What a run may cost, known before it begins and held while it goes on.

use icecore::cost::Usd;
use std::sync::atomic::{AtomicU64, Ordering};

/// No run costs more.
pub(crate) const MOST: Usd = Usd::from_nanos(100_000_000);

/// What a check may ask for at most.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spends {
    pub(crate) puts: u64,
    pub(crate) gets: u64,
    pub(crate) lists: u64,
    /// Of snapshots, each kept for an hour as if all of it were written.
    pub(crate) snapshot_gib: u64,
    /// Of gp3 volumes, each kept for an hour.
    pub(crate) volume_gib: u64,
    /// Requests that EBS sends to KMS.
    pub(crate) key_requests: u64,
}

impl Spends {
    /// In us-east-1; the dearest Region asks for less than twice as much (AWS price list, "Amazon EC2" and "AWS KMS").
    pub(crate) fn usd(self) -> Usd {
        let nanos = self.puts * 6_000
            + self.gets * 3_000
            + self.lists * 600
            // 0.05 and 0.08 USD for a GiB and a month of 720 hours.
            + self.snapshot_gib * 69_445
            + self.volume_gib * 111_112
            + self.key_requests * 3_000;
        Usd::from_nanos(nanos)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            puts: self.puts + other.puts,
            gets: self.gets + other.gets,
            lists: self.lists + other.lists,
            snapshot_gib: self.snapshot_gib + other.snapshot_gib,
            volume_gib: self.volume_gib + other.volume_gib,
            key_requests: self.key_requests + other.key_requests,
        }
    }
}

/// What is left of a plan.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) plan: Spends,
    puts: AtomicU64,
    gets: AtomicU64,
    lists: AtomicU64,
}

impl Budget {
    /// Refuses a plan that costs too much.
    pub(crate) fn of(plan: Spends) -> Self {
        let twice = plan.usd().times(2);
        assert!(twice <= MOST, "up to {} USD is planned, more than {}", twice.exact(), MOST.exact());
        let left = |count| AtomicU64::new(count);
        Self { plan, puts: left(plan.puts), gets: left(plan.gets), lists: left(plan.lists) }
    }

    pub(crate) fn put(&self) {
        take(&self.puts, "PutSnapshotBlock");
    }

    pub(crate) fn get(&self) {
        take(&self.gets, "GetSnapshotBlock");
    }

    pub(crate) fn list(&self) {
        take(&self.lists, "ListSnapshotBlocks and ListChangedBlocks");
    }
}

fn take(left: &AtomicU64, what: &str) {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    assert!(taken.is_ok(), "more requests of {what} than planned");
}

#[test]
#[should_panic(expected = "more than 0.1")]
fn a_plan_above_the_limit_is_refused() {
    Budget::of(Spends { puts: 10_000, ..Spends::default() });
}

#[test]
#[should_panic(expected = "than planned")]
fn nothing_is_asked_beyond_the_plan() {
    let budget = Budget::of(Spends { gets: 1, ..Spends::default() });
    budget.get();
    budget.get();
}

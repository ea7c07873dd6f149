//! AWS's quotas, as token buckets that refill with the endpoint's clock.
//!
//! Rates are those of the EBS user guide ("ebs-resource-quotas") and of the EC2 developer guide
//! ("ec2-api-throttling"), for each Region of the one account. A bucket of EC2 holds what the guide says; for the
//! direct APIs the guide names a rate alone, and a bucket holds one second's worth. A request that is refused takes
//! nothing. Time is the caller's, so that a test moves a clock and no task runs in the background.

use crate::aws::quota;
use crate::endpoint::act;
use crate::endpoint::wire::{Call, Dialect, Refusal};
use crate::fault::Scope;
use crate::snapshot::{SnapshotId, UnixMillis};
use http::StatusCode;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Which quotas an endpoint keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quotas {
    /// None: as fast as it can.
    #[default]
    None,
    /// Those an AWS account has by default.
    Aws,
}

impl Quotas {
    /// Snapshots that StartSnapshot may have pending at once.
    pub(super) const fn pending(self) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Aws => Some(100),
        }
    }
}

/// Buckets kept before those that are full, which say nothing, are dropped.
const MANY: usize = 10_000;

/// Requests that a bucket holds, and how many it gains a second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate {
    holds: f64,
    refills: f64,
}

impl Rate {
    const fn of(holds: f64, refills: f64) -> Self {
        Self { holds, refills }
    }

    /// A quota of the direct APIs.
    const fn a_second(rate: f64) -> Self {
        Self::of(rate, rate)
    }
}

/// What a request takes from: a name for the bucket, its rate over the account, its rate for one snapshot.
fn rates(
    dialect: Dialect,
    operation: &'static str,
    region: &str,
    call: &Call,
) -> Option<(&'static str, Rate, Option<Rate>)> {
    let account = |rate| Some((operation, rate, None));
    match operation {
        "GetSnapshotBlock" | "PutSnapshotBlock" => {
            let account = Rate::a_second(f64::from(quota::blocks_per_second(region)));
            let snapshot = Rate::a_second(f64::from(quota::BLOCKS_PER_SECOND_PER_SNAPSHOT));
            Some((operation, account, Some(snapshot)))
        }
        "ListSnapshotBlocks" | "ListChangedBlocks" => {
            account(Rate::a_second(f64::from(quota::LISTS_PER_SECOND)))
        }
        "StartSnapshot" | "CompleteSnapshot" => account(Rate::a_second(10.0)),
        "DescribeSnapshots" | "DescribeVolumes" | "DescribeInstances" if asks_for_everything(call) => {
            account(Rate::of(50.0, 10.0))
        }
        "CreateTags" | "DeleteTags" => account(Rate::of(100.0, 10.0)),
        "DeleteSnapshot" | "CreateVolume" | "DeleteVolume" => account(Rate::of(100.0, 5.0)),
        _ if dialect != Dialect::Ec2 => None,
        // One bucket for all that only looks, and one for the changes that have none of their own.
        _ if act::changes(operation) => Some(("changes", Rate::of(50.0, 5.0), None)),
        _ => Some(("Describe", Rate::of(100.0, 20.0), None)),
    }
}

/// Neither filtered nor paged.
fn asks_for_everything(call: &Call) -> bool {
    let narrows = |name: &str| name == "MaxResults" || name.starts_with("Filter.") || name.contains("Id.");
    !call.query.iter().any(|(name, _)| narrows(name))
}

/// What has been asked for lately.
#[derive(Debug)]
pub(super) struct Meter {
    quotas: Quotas,
    buckets: Mutex<HashMap<Key, Bucket>>,
}

type Key = (&'static str, String, Option<SnapshotId>);

impl Meter {
    pub(super) fn new(quotas: Quotas) -> Self {
        Self { quotas, buckets: Mutex::default() }
    }

    /// Lets a request through, or says whose limit it exceeds.
    pub(super) fn admit(
        &self,
        dialect: Dialect,
        operation: &'static str,
        region: &str,
        call: &Call,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        if self.quotas == Quotas::None {
            return Ok(());
        }
        let Some((name, account, snapshot)) = rates(dialect, operation, region, call) else { return Ok(()) };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > MANY {
            buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        let whole = (name, region.to_owned(), None);
        if !buckets.entry(whole.clone()).or_insert_with(|| Bucket::full(account, now)).has_one(now) {
            return Err(throttled(dialect, Scope::Account));
        }
        let id = call.path.first().and_then(|id| id.parse().ok());
        if let Some((rate, id)) = snapshot.zip(id) {
            let bucket =
                buckets.entry((name, region.to_owned(), Some(id))).or_insert_with(|| Bucket::full(rate, now));
            if !bucket.has_one(now) {
                return Err(throttled(dialect, Scope::Snapshot));
            }
            bucket.left -= 1.0;
        }
        if let Some(bucket) = buckets.get_mut(&whole) {
            bucket.left -= 1.0;
        }
        Ok(())
    }
}

/// "Too fast", as each service says it. Only the direct APIs know a limit of one snapshot.
pub(super) fn throttled(dialect: Dialect, scope: Scope) -> Refusal {
    let (status, words) = (StatusCode::BAD_REQUEST, "Rate exceeded");
    match (dialect, scope) {
        (Dialect::Ebs, Scope::Account) => Refusal::common_with(status, "ThrottlingException", words),
        (Dialect::Ebs, Scope::Snapshot) => {
            let reason = Some("RESOURCE_LEVEL_THROTTLE");
            Refusal::service(status, "RequestThrottledException", reason, words)
        }
        (Dialect::Ec2, _) => {
            Refusal::query(StatusCode::SERVICE_UNAVAILABLE, "RequestLimitExceeded", "Request limit exceeded.")
        }
        (Dialect::Sts, _) => Refusal::query(status, "Throttling", words),
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    left: f64,
    at: UnixMillis,
}

impl Bucket {
    fn full(rate: Rate, now: UnixMillis) -> Self {
        Self { rate, left: rate.holds, at: now }
    }

    fn has_one(&mut self, now: UnixMillis) -> bool {
        self.refill(now);
        self.left >= 1.0
    }

    fn is_full(&mut self, now: UnixMillis) -> bool {
        self.refill(now);
        self.left >= self.rate.holds
    }

    /// A clock that was set back refills nothing.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds between two requests: far below 2^52")]
    fn refill(&mut self, now: UnixMillis) {
        let millis = now.0.saturating_sub(self.at.0).max(0) as f64;
        self.left = (self.left + self.rate.refills * millis / 1000.0).min(self.rate.holds);
        self.at = now;
    }
}

#[cfg(test)]
mod tests;

//! How often each operation was asked for.

use crate::endpoint::act;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Requests by operation, as AWS names it: `GetSnapshotBlock`. Refused ones count, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// Requests for this operation.
    pub fn of(&self, operation: &str) -> u64 {
        self.0.get(operation).copied().unwrap_or(0)
    }

    /// Requests for any operation.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Requests that would change something in the account, whether they were granted or not.
    pub fn mutating(&self) -> u64 {
        self.0.iter().filter(|(operation, _)| act::changes(operation)).map(|(_, count)| count).sum()
    }

    /// Every operation that was asked for, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(operation, count)| (*operation, *count))
    }
}

/// Counts while the endpoint runs.
#[derive(Debug, Default)]
pub(super) struct Counter(Mutex<Counts>);

impl Counter {
    pub(super) fn add(&self, operation: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).0.entry(operation).or_default() += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

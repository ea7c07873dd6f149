//! Permissions: what a role is to be allowed so that one command of this program works, and nothing else does.
//!
//! [`Task`] is a command, perhaps with an option that changes what it asks, and its needs; `table.rs` holds all of
//! them. [`policy`] makes of some tasks one IAM policy, as narrow as resources and conditions can make it. A test
//! holds the table against the calls that the commands send: none missing, none unused. What never shows as a call
//! stands in the table with the reason.

mod need;
mod policy;
mod table;

pub use need::{Need, On, Only};
pub use policy::{Policy, Reach, Statement, policy};
pub use table::{LOCAL, TASKS};

use std::collections::{BTreeMap, BTreeSet};

/// Something that a command does, and what it needs for that.
#[derive(Debug, PartialEq, Eq)]
pub struct Task {
    /// The command, with the option that makes it ask for more: `diff --content`.
    pub name: &'static str,
    /// Other commands that need exactly the same.
    pub like: &'static [&'static str],
    /// What it needs of AWS, in groups that tasks share.
    pub needs: &'static [&'static [Need]],
    /// What it needs of the keys of snapshots that are encrypted.
    pub of_keys: &'static [Need],
}

impl Task {
    /// The task that somebody names; `None` where there is none such.
    pub fn named(words: &str) -> Option<&'static Self> {
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        TASKS.iter().find(|task| task.names().any(|name| name == words))
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.name].into_iter().chain(self.like.iter().copied())
    }

    /// Everything it needs but keys.
    pub fn needs(&self) -> impl Iterator<Item = &'static Need> {
        self.needs.iter().copied().flatten()
    }

    /// The calls it sends, as AWS names them without their service: `GetSnapshotBlock`.
    pub fn calls(&self) -> BTreeSet<&'static str> {
        self.needs().filter(|need| need.unseen.is_none()).map(Need::operation).collect()
    }
}

/// What some tasks are to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// What it is for, as named.
    pub tasks: Vec<&'static str>,
    /// The policy.
    pub policy: Policy,
    /// Actions that never show as calls, and why they are needed; those of keys also where the policy has no keys.
    pub unseen: BTreeMap<&'static str, &'static str>,
    /// Whether the tasks need keys that the policy does not name.
    pub lacks_keys: bool,
}

/// The least that these tasks need.
pub fn report(tasks: &[&'static Task], reach: &Reach) -> Report {
    let needs = tasks.iter().flat_map(|task| task.needs().chain(task.of_keys));
    Report {
        tasks: tasks.iter().map(|task| task.name).collect(),
        policy: policy(tasks.iter().copied(), reach),
        unseen: needs.filter_map(|need| Some((need.action, need.unseen?))).collect(),
        lacks_keys: reach.keys.is_empty() && tasks.iter().any(|task| !task.of_keys.is_empty()),
    }
}

#[cfg(test)]
mod tests;

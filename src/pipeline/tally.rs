//! Counting what was asked.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a request asks for; quotas and prices differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A page of blocks or changes.
    List,
    /// A block.
    Get,
    /// A block to write.
    Put,
    /// Anything else: start, complete, describe.
    Control,
}

/// How much was asked in a run. Every sending counts, the repeated ones too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Pages asked for.
    pub list: u64,
    /// Blocks asked for.
    pub get: u64,
    /// Blocks sent.
    pub put: u64,
    /// Everything else.
    pub control: u64,
    /// Answers that said: too fast.
    pub throttled: u64,
    /// Requests sent again, for whatever reason.
    pub retried: u64,
}

impl Requests {
    /// What was asked since these counts were taken.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            list: self.list - before.list,
            get: self.get - before.get,
            put: self.put - before.put,
            control: self.control - before.control,
            throttled: self.throttled - before.throttled,
            retried: self.retried - before.retried,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            list: self.list + other.list,
            get: self.get + other.get,
            put: self.put + other.put,
            control: self.control + other.control,
            throttled: self.throttled + other.throttled,
            retried: self.retried + other.retried,
        }
    }

    /// All requests sent.
    pub fn sent(&self) -> u64 {
        self.list + self.get + self.put + self.control
    }
}

/// Counts while the work goes on.
#[derive(Debug, Default)]
pub struct Tally {
    list: AtomicU64,
    get: AtomicU64,
    put: AtomicU64,
    control: AtomicU64,
    throttled: AtomicU64,
    retried: AtomicU64,
}

impl Tally {
    /// A request goes out.
    pub fn sent(&self, action: Action) {
        let counter = match action {
            Action::List => &self.list,
            Action::Get => &self.get,
            Action::Put => &self.put,
            Action::Control => &self.control,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was refused for being one too many.
    pub fn throttled(&self) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
    }

    /// A request will go out again.
    pub fn retried(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn requests(&self) -> Requests {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Requests {
            list: read(&self.list),
            get: read(&self.get),
            put: read(&self.put),
            control: read(&self.control),
            throttled: read(&self.throttled),
            retried: read(&self.retried),
        }
    }
}

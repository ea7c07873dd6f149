//! What long work tells while it runs, and what time it is.
//!
//! The library reports [`Event`]s and never draws them; a [`Monitor`] is the last argument of long work and must
//! not block. Wall-clock time comes from a [`Clock`], so that tests can move it; durations are measured with
//! tokio's clock, which virtual time moves as well.

use crate::block::{BlockIndex, ByteSize};
use crate::snapshot::{SnapshotId, UnixMillis};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Something that happened in long work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A stage begins: `total` blocks are expected, where that is known beforehand.
    Stage {
        /// What is done, as a verb: `exporting`.
        verb: &'static str,
        /// Blocks expected.
        total: Option<u64>,
    },
    /// The total became known, or larger.
    Total(u64),
    /// Blocks are done: delivered, sent, or found to need nothing.
    Done {
        /// How many.
        blocks: u64,
        /// What they hold.
        size: ByteSize,
    },
    /// Blocks that an earlier run has done: they count towards the total, and not in how fast this one is.
    Resumed {
        /// How many.
        blocks: u64,
        /// What they hold.
        size: ByteSize,
    },
    /// A snapshot was started in the account; whoever is interrupted now needs this id.
    SnapshotStarted(SnapshotId),
    /// A request failed and will be sent again after `wait`.
    Retry {
        /// What failed, and why.
        reason: String,
        /// Which attempt it was, from 1.
        attempt: u32,
        /// How long until the next.
        wait: Duration,
    },
    /// The service asked to go slower.
    Throttled,
    /// A block is not what it should be.
    Mismatch(BlockIndex),
    /// Something a person wants to know, in one sentence: a resume, a discarded checkpoint.
    Note(String),
}

/// Receives events from long work. Called from many threads; must return at once.
pub trait Monitor: fmt::Debug + Send + Sync {
    /// Something happened.
    fn on(&self, event: Event);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn on(&self, _: Event) {}
}

/// Keeps every event, for tests to count.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    /// What was heard so far.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Monitor for Recorder {
    fn on(&self, event: Event) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event);
    }
}

/// Tells the time of day.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> UnixMillis;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the time of day comes in")]
    fn now(&self) -> UnixMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock standing at this time.
    pub fn at(now: UnixMillis) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }
}

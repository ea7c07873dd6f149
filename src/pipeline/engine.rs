//! What every operation works with.

use crate::disk::{Disk, Machine, Mounts};
use crate::monitor::{Event, Monitor};
use crate::pipeline::attempt::RetryBudget;
use crate::pipeline::gate::Gate;
use crate::pipeline::{Requests, Settings, Stop, Tally};
use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// Called before a request is signed; gives what to call when the credentials it was signed with turn out to have
/// expired. Of many requests that fail together, one then loads them again and the others wait for it.
pub type Renew = Arc<dyn Fn() -> Renewal + Send + Sync>;

/// Loads the credentials again, unless that has been done since the request was signed.
pub type Renewal = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// How a run asks: its bounds, its gate, its counts, whom it tells, and how it is stopped. Cloning shares all.
#[derive(Clone)]
pub struct Engine {
    pub(crate) settings: Arc<Settings>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) retry_budget: Arc<RetryBudget>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) monitor: Arc<dyn Monitor>,
    pub(crate) stop: Stop,
    pub(crate) renew: Option<Renew>,
    pub(crate) machine: Machine,
}

impl Engine {
    /// An engine with nothing asked yet.
    pub fn new(settings: Settings, monitor: Arc<dyn Monitor>, stop: Stop) -> Self {
        Self {
            gate: Arc::new(Gate::new(&settings)),
            machine: match settings.trusts_state_dir {
                true => Machine::real(settings.state_dir.clone()).trusting(),
                false => Machine::real(settings.state_dir.clone()),
            },
            settings: Arc::new(settings),
            retry_budget: Arc::new(RetryBudget::full()),
            tally: Arc::default(),
            monitor,
            stop,
            renew: None,
        }
    }

    /// The same engine, able to renew expired credentials.
    #[must_use]
    pub fn renewing(mut self, renew: Renew) -> Self {
        self.renew = Some(renew);
        self
    }

    /// The same engine, stopped by another request: what has to be cleared away is, whoever asked to stop.
    #[must_use]
    pub(crate) fn stopped_by(&self, stop: Stop) -> Self {
        Self { stop, ..self.clone() }
    }

    /// The same engine, with its files on another disk.
    #[must_use]
    pub fn on_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.machine.disk = disk;
        self
    }

    /// The same engine, with other mounts than this machine's.
    #[must_use]
    pub fn with_mounts(mut self, mounts: Arc<dyn Mounts>) -> Self {
        self.machine.mounts = mounts;
        self
    }

    /// The machine it works on: its files, and where state is kept.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What was asked so far.
    pub fn requests(&self) -> Requests {
        self.tally.requests()
    }

    /// Blocks a second that the gate lets through at most; for estimates, so AWS's quota for one snapshot where
    /// the gate is open.
    pub fn blocks_per_second(&self) -> u64 {
        let limits = [self.settings.blocks_per_second, self.settings.blocks_per_second_per_snapshot];
        limits.into_iter().flatten().min().map_or(1_000, u64::from)
    }

    /// Tells a person something, in one sentence.
    pub(crate) fn note(&self, sentence: impl Into<String>) {
        self.monitor.on(Event::Note(sentence.into()));
    }

    /// Open gate, nobody listening, nothing on disk.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self::new(Settings::open(std::path::PathBuf::new()), Arc::new(crate::monitor::Silent), Stop::new())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

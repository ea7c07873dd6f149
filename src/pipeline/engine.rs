//! What every operation works with.

use crate::fault::Fault;
use crate::monitor::Monitor;
use crate::pipeline::attempt::RetryBudget;
use crate::pipeline::gate::Gate;
use crate::pipeline::{Requests, Settings, Stop, Tally};
use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// Loads the credentials again, after the service called them expired.
pub type Renew = Arc<dyn Fn() -> BoxFuture<'static, Result<(), Fault>> + Send + Sync>;

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
}

impl Engine {
    /// An engine with nothing asked yet.
    pub fn new(settings: Settings, monitor: Arc<dyn Monitor>, stop: Stop) -> Self {
        Self {
            gate: Arc::new(Gate::new(&settings)),
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

    /// What was asked so far.
    pub fn requests(&self) -> Requests {
        self.tally.requests()
    }

    /// Open gate, nobody listening, nothing on disk.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self::new(
            Settings::open(std::path::PathBuf::new()),
            Arc::new(crate::monitor::Silent),
            Stop::new(),
        )
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

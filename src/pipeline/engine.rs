//! What every operation works with.

use crate::monitor::{Clock, Monitor};
use crate::pipeline::{Requests, Settings, Stop, Tally};
use std::sync::Arc;

/// How a run asks: its bounds, its counts, whom it tells, and how it is stopped. Cloning shares all of it.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) settings: Arc<Settings>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) monitor: Arc<dyn Monitor>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: Stop,
}

impl Engine {
    /// An engine with nothing asked yet.
    pub fn new(settings: Settings, monitor: Arc<dyn Monitor>, clock: Arc<dyn Clock>, stop: Stop) -> Self {
        Self { settings: Arc::new(settings), tally: Arc::default(), monitor, clock, stop }
    }

    /// What was asked so far.
    pub fn requests(&self) -> Requests {
        self.tally.requests()
    }
}

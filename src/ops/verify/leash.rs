//! What ends a verification early because that was meant: its deadline, its budget.

use crate::fault::{Fault, Kind, Place};
use crate::ops::verify::Budget;
use crate::pipeline::Stop;
use std::sync::{Arc, OnceLock};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A request to stop that follows the user's, and may come from a deadline or a budget as well.
#[derive(Debug)]
pub(super) struct Leash {
    stop: Stop,
    reason: Arc<OnceLock<Budget>>,
    waiting: JoinHandle<()>,
}

impl Leash {
    pub(super) fn new(user: &Stop, deadline: Option<Instant>) -> Self {
        let (stop, reason) = (Stop::new(), Arc::new(OnceLock::new()));
        let waiting = tokio::spawn({
            let (user, stop, reason) = (user.clone(), stop.clone(), Arc::clone(&reason));
            async move {
                let time_is_up = async {
                    match deadline {
                        Some(deadline) => tokio::time::sleep_until(deadline).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = user.requested() => {}
                    () = time_is_up => { let _ = reason.set(Budget::Deadline); }
                }
                stop.request();
            }
        });
        Self { stop, reason, waiting }
    }

    /// What long work listens to.
    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Ends the work for this reason, unless it has ended for another.
    pub(super) fn pull(&self, reason: Budget) {
        let _ = self.reason.set(reason);
        self.stop.request();
    }

    /// What ended the work, where that was meant.
    pub(super) fn reason(&self) -> Option<Budget> {
        self.reason.get().copied()
    }
}

/// What comes before the first block is read: listings, which end with the deadline.
pub(super) async fn in_time<T>(
    deadline: Option<Instant>,
    at: Place,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let Some(deadline) = deadline else { return work.await };
    let late = |_| {
        Err(Fault::new(Kind::OutOfTime, at, "the time was up before its blocks were listed")
            .hint("give it a longer --deadline"))
    };
    tokio::time::timeout_at(deadline, work).await.unwrap_or_else(late)
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

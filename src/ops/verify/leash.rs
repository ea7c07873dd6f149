//! What ends a verification early because that was meant: its deadline, its budget.

use crate::ops::verify::Budget;
use crate::pipeline::Stop;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A request to stop that follows the user's, and may come from a deadline or a budget as well.
#[derive(Debug)]
pub(super) struct Leash {
    stop: Stop,
    reason: Arc<OnceLock<Budget>>,
    waiting: JoinHandle<()>,
}

impl Leash {
    pub(super) fn new(user: &Stop, deadline: Option<Duration>) -> Self {
        let (stop, reason) = (Stop::new(), Arc::new(OnceLock::new()));
        let waiting = tokio::spawn({
            let (user, stop, reason) = (user.clone(), stop.clone(), Arc::clone(&reason));
            async move {
                let time_is_up = async {
                    match deadline {
                        Some(deadline) => tokio::time::sleep(deadline).await,
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

impl Drop for Leash {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

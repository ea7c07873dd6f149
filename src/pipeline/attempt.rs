//! One request, until it is answered: the only retry loop there is.
//!
//! What went wrong decides what follows ([`Kind`]): a throttle waits without counting, a failure counts and waits,
//! expired credentials are renewed once, and what cannot get better ends at once. Waits are full jitter: anywhere
//! between nothing and the backoff, so that many clients do not come back together.

use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::pipeline::{Action, Engine, Patience};
use crate::snapshot::SnapshotId;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// A request as the engine sees it.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) action: Action,
    pub(crate) place: Place,
    /// The snapshot whose own quota it takes from.
    pub(crate) snapshot: Option<&'a SnapshotId>,
    /// The snapshot was started or completed just now: "does not exist" may mean "not yet".
    pub(crate) is_new: bool,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(action: Action, place: Place) -> Self {
        Self { action, place, snapshot: None, is_new: false }
    }

    pub(crate) fn of(mut self, snapshot: &'a SnapshotId) -> Self {
        self.snapshot = Some(snapshot);
        self
    }

    pub(crate) fn of_new(mut self, snapshot: &'a SnapshotId) -> Self {
        self.is_new = true;
        self.of(snapshot)
    }
}

/// How often one request was tried so far. It goes with the request when that takes another way round, as a block
/// does whose bytes turn out wrong after it was received.
#[derive(Clone, Debug)]
pub(crate) struct Tries {
    failures: u32,
    throttles: u32,
    /// When it was first refused; a request may wait long for its turn before that.
    refused: Option<Instant>,
    renewed: bool,
}

impl Tries {
    pub(crate) fn none() -> Self {
        Self { failures: 0, throttles: 0, refused: None, renewed: false }
    }
}

impl Engine {
    /// Sends a request until it succeeds or there is no point in going on.
    ///
    /// # Cancel safety
    /// Dropping the future drops the request in flight with it.
    pub(crate) async fn ask<T, F>(
        &self,
        tries: &mut Tries,
        ask: Ask<'_>,
        mut send: impl FnMut() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        loop {
            let renewal = self.renew.as_ref().map(|renew| renew());
            // Dropping a request loses nothing: what it did is found again under its client token or its index.
            let answer = tokio::select! {
                biased;
                answer = self.send_once(&ask, &mut send) => answer,
                () = self.stop.requested() => return Err(interrupted()),
            };
            match answer {
                Ok(answer) => {
                    self.gate.succeeded(ask.action, ask.snapshot);
                    self.retry_budget.earn();
                    return Ok(answer);
                }
                Err(fault) if fault.kind == Kind::ExpiredCredentials && !tries.renewed => {
                    let Some(renewal) = renewal else { return Err(fault) };
                    tries.renewed = true;
                    self.tally.retried();
                    renewal().await;
                }
                Err(fault) => {
                    let wait = self.after(tries, &ask, fault).await?;
                    self.pause(wait).await?;
                }
            }
        }
    }

    /// Waits for its turn and sends, no longer than the deadline.
    async fn send_once<T, F>(&self, ask: &Ask<'_>, send: &mut impl FnMut() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        self.gate.pass(ask.action, ask.snapshot).await;
        self.tally.sent(ask.action);
        let deadline = self.settings.deadline;
        tokio::time::timeout(deadline, send()).await.unwrap_or_else(|_| {
            let what = format!("no answer within {} seconds", deadline.as_secs());
            Err(Fault::new(Kind::Timeout, ask.place.clone(), what))
        })
    }

    /// What follows a fault: how long to wait before the next try, or the fault when there is none.
    pub(crate) async fn after(
        &self,
        tries: &mut Tries,
        ask: &Ask<'_>,
        fault: Fault,
    ) -> Result<Duration, Fault> {
        let patience = &self.settings.patience;
        let since = tries.refused.get_or_insert_with(Instant::now).elapsed();
        let wait = match fault.kind {
            Kind::Throttled(scope) => {
                self.tally.throttled();
                self.monitor.on(Event::Throttled);
                self.gate.throttled(ask.action, ask.snapshot, scope);
                tries.throttles += 1;
                if since > patience.throttled {
                    let minutes = patience.throttled.as_secs() / 60;
                    let hint = format!("the service kept refusing for {minutes} minutes: try again later");
                    return Err(fault.hint(hint));
                }
                backoff(patience, tries.throttles)
            }
            Kind::NotFound if ask.is_new && since < patience.invisible => {
                tries.throttles += 1;
                backoff(patience, tries.throttles).min(Duration::from_secs(2))
            }
            kind if kind.is_retryable() => {
                tries.failures += 1;
                if tries.failures >= patience.failures {
                    return Err(fault);
                }
                if !self.retry_budget.spend() {
                    return Err(fault.hint("most requests fail: the run gave up trying each of them again"));
                }
                backoff(patience, tries.failures)
            }
            _ => return Err(fault),
        };
        self.tally.retried();
        let attempt = tries.failures + tries.throttles;
        self.monitor.on(Event::Retry { reason: fault.to_string(), attempt, wait });
        Ok(wait)
    }

    /// Waits, but not past a request to stop.
    pub(crate) async fn pause(&self, wait: Duration) -> Result<(), Fault> {
        // A sleep of no length still ends at the timer's next tick, up to 1 ms away: as long as a request on loopback.
        if wait.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.stop.requested() => Err(interrupted()),
        }
    }
}

/// What long work ends with when somebody asked it to stop.
pub(crate) fn interrupted() -> Fault {
    Fault::new(Kind::Interrupted, Place::Program, "interrupted")
}

/// Anywhere between nothing and the exponential backoff ("full jitter").
fn backoff(patience: &Patience, tries: u32) -> Duration {
    let longest = patience.first_backoff.saturating_mul(1 << tries.min(16)).min(patience.longest_backoff);
    longest.mul_f64(fastrand::f64())
}

/// Retries that failures may cost, all requests together: while most requests go well there are plenty; when
/// everything fails they run out, instead of multiplying the load on a service that is already down.
#[derive(Debug)]
pub(crate) struct RetryBudget(std::sync::atomic::AtomicI64);

impl RetryBudget {
    /// Enough for a bad minute at the start.
    const FULL: i64 = 5_000;
    const PRICE: i64 = 10;

    pub(crate) fn full() -> Self {
        Self(std::sync::atomic::AtomicI64::new(Self::FULL))
    }

    fn earn(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        if self.0.load(Relaxed) < Self::FULL {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn spend(&self) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        let left = self.0.fetch_sub(Self::PRICE, Relaxed) - Self::PRICE;
        if left < 0 {
            self.0.fetch_add(Self::PRICE, Relaxed);
        }
        left >= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Scope;
    use crate::pipeline::Stop;
    use futures_util::FutureExt;
    use std::cell::Cell;

    async fn ask(engine: &Engine, answers: &[Option<Kind>]) -> (Result<(), Kind>, usize) {
        let sent = Cell::new(0);
        let ask = Ask::new(Action::Get, Place::Service);
        let answer = engine
            .ask(&mut Tries::none(), ask, || {
                let kind = answers.get(sent.get()).copied().unwrap_or(*answers.last().unwrap());
                sent.set(sent.get() + 1);
                async move { kind.map_or(Ok(()), |kind| Err(Fault::new(kind, Place::Service, "trouble"))) }
            })
            .await;
        (answer.map_err(|fault| fault.kind), sent.get())
    }

    #[tokio::test(start_paused = true)]
    async fn passing_trouble_is_waited_out() {
        let engine = Engine::for_tests();
        let trouble = [Kind::Service, Kind::Timeout, Kind::Throttled(Scope::Account), Kind::Corrupt];
        let mut answers: Vec<_> = trouble.map(Some).into();
        answers.push(None);
        assert_eq!(ask(&engine, &answers).await, (Ok(()), 5));
        let requests = engine.requests();
        assert_eq!((requests.get, requests.retried, requests.throttled), (5, 4, 1));
    }

    // The real timer: a paused one has no ticks to wait for.
    #[tokio::test]
    async fn a_pause_of_no_length_takes_no_time() {
        let engine = Engine::for_tests();
        assert!(engine.pause(Duration::ZERO).now_or_never().is_some(), "not even one turn of the timer");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_get_better_is_asked_once() {
        for kind in [Kind::Denied, Kind::NotFound, Kind::Refused, Kind::Unrelated, Kind::ExpiredCredentials] {
            assert_eq!(ask(&Engine::for_tests(), &[Some(kind)]).await, (Err(kind), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_stays_ends_after_ten_tries() {
        assert_eq!(ask(&Engine::for_tests(), &[Some(Kind::Service)]).await, (Err(Kind::Service), 10));
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_is_endured_for_a_quarter_of_an_hour() {
        let engine = Engine::for_tests();
        let start = Instant::now();
        let throttled = Kind::Throttled(Scope::Snapshot);
        assert_eq!(ask(&engine, &[Some(throttled)]).await.0, Err(throttled));
        let patience = Patience::default().throttled;
        assert!(start.elapsed() >= patience && start.elapsed() < patience * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_is_a_timeout() {
        let engine = Engine::for_tests();
        let ask = Ask::new(Action::Get, Place::Service);
        let answer: Result<(), _> = engine.ask(&mut Tries::none(), ask, std::future::pending).await;
        assert_eq!(answer.unwrap_err().to_string(), "AWS: no answer within 60 seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn expired_credentials_are_renewed_once() {
        let renewals = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = renewals.clone();
        let engine = Engine::for_tests().renewing(std::sync::Arc::new(move || {
            let count = count.clone();
            Box::new(move || {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Box::pin(async {})
            })
        }));
        assert_eq!(ask(&engine, &[Some(Kind::ExpiredCredentials), None]).await, (Ok(()), 2));
        let (answer, sent) = ask(&engine, &[Some(Kind::ExpiredCredentials)]).await;
        assert_eq!((answer, sent), (Err(Kind::ExpiredCredentials), 2));
        assert_eq!(renewals.load(std::sync::atomic::Ordering::Relaxed), 2, "once for each request");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waited_long_for_its_turn_has_all_its_patience_left() {
        let engine = Engine::for_tests();
        let mut tries = Tries::none();
        tokio::time::advance(Patience::default().throttled * 2).await;
        let throttled = Fault::new(Kind::Throttled(Scope::Account), Place::Service, "too fast");
        let ask = Ask::new(Action::Get, Place::Service);
        assert!(engine.after(&mut tries, &ask, throttled).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_a_request_that_hangs() {
        let engine = Engine::for_tests();
        let stop = engine.stop.clone();
        let ask = Ask::new(Action::Get, Place::Service);
        let start = Instant::now();
        let mut tries = Tries::none();
        let asking = engine.ask(&mut tries, ask, std::future::pending::<Result<(), Fault>>);
        let (answer, ()) = tokio::join!(asking, async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stop.request();
        });
        assert_eq!(answer.unwrap_err().kind, Kind::Interrupted);
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting() {
        let engine = Engine::for_tests();
        let stop: Stop = engine.stop.clone();
        stop.request();
        assert_eq!(ask(&engine, &[Some(Kind::Service)]).await, (Err(Kind::Interrupted), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn when_everything_fails_the_retries_run_out() {
        let engine = Engine::for_tests();
        let mut sent = 0;
        for _ in 0..200 {
            sent += ask(&engine, &[Some(Kind::Service)]).await.1;
        }
        assert!(sent < 1_000, "200 requests at 10 tries each would be 2000, not {sent}");
    }
}

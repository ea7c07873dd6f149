//! How much will be warm by the deadline, told as soon as it can be told.

use crate::ops::Engine;
use std::time::Duration;

/// How long the rate is measured before anything is said of the rest.
const MEASURE: Duration = Duration::from_secs(1);
/// The shortest deadlines are not half over when it is told: a part of them has to do.
const PART: u32 = 10;
/// How much a new measurement counts in the mean of them.
const WEIGHT: f64 = 0.2;

/// Measures the rate, and foretells from it.
#[derive(Debug)]
pub(super) struct Forecast {
    planned: u64,
    until: Option<Duration>,
    share: Option<f64>,
    rate: f64,
    last: (Duration, u64),
}

impl Forecast {
    pub(super) fn new(planned: u64, until: Option<Duration>) -> Self {
        Self { planned, until, share: None, rate: 0.0, last: (Duration::ZERO, 0) }
    }

    /// So much is done now, at no more than `limit` blocks a second.
    pub(super) fn update(&mut self, n_done: u64, limit: Option<f64>, now: Duration, engine: &Engine) {
        let (then, before) = self.last;
        let passed = now.saturating_sub(then);
        if passed >= Duration::from_millis(100) {
            let rate = n_done.saturating_sub(before) as f64 / passed.as_secs_f64();
            self.rate = if self.rate == 0.0 { rate } else { self.rate + WEIGHT * (rate - self.rate) };
            self.last = (now, n_done);
        }
        let Some(until) = self.until.filter(|_| self.share.is_none()) else { return };
        let measured =
            (now >= MEASURE.min(until / PART) && n_done > 0).then(|| n_done as f64 / now.as_secs_f64());
        let rate = match (limit, measured) {
            // Whether the device can follow is not known yet.
            (Some(limit), None) => limit,
            (_, Some(measured)) => measured,
            (None, None) => return,
        };
        let left = until.saturating_sub(now).as_secs_f64();
        let share = ((n_done as f64 + rate * left) / self.planned.max(1) as f64).min(1.0);
        self.share = Some(share);
        engine.note(format!("by the deadline about {:.0} % of the blocks will be warm", 100.0 * share));
    }

    /// The part of the planned blocks that will be read by the deadline, where that was told.
    pub(super) fn share(&self) -> Option<f64> {
        self.share
    }

    /// Blocks a second, of late.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is foretold of reading 10,000 blocks, so many a second, by a deadline.
    fn foretold(per_second: f64, limit: Option<f64>, deadline: u64) -> f64 {
        let engine = Engine::for_tests();
        let mut forecast = Forecast::new(10_000, Some(Duration::from_secs(deadline)));
        for tick in 0..deadline * 20 {
            let now = Duration::from_millis(tick * 50);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand")]
            forecast.update((now.as_secs_f64() * per_second) as u64, limit, now, &engine);
        }
        forecast.share().unwrap()
    }

    #[test]
    fn the_share_that_will_be_warm_is_told_beforehand() {
        for (rate, deadline, share) in [(100.0, 20, 0.2), (100.0, 60, 0.6), (500.0, 60, 1.0)] {
            let told = foretold(rate, None, deadline);
            assert!((told - share).abs() <= 0.02, "{told} for {share}");
        }
    }

    #[test]
    fn under_a_rate_that_was_given_it_is_told_at_once() {
        let engine = Engine::for_tests();
        let mut forecast = Forecast::new(10_000, Some(Duration::from_secs(50)));
        forecast.update(0, Some(100.0), Duration::ZERO, &engine);
        assert_eq!(forecast.share(), Some(0.5));
    }
}

//! How long reads took: every one of them, in a histogram.

use hdrhistogram::Histogram;
use std::time::Duration;

/// Latencies of reads, to three digits and up to an hour.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

const LONGEST_MICROS: u64 = 3_600_000_000;

impl Default for Latencies {
    fn default() -> Self {
        let made = Histogram::new_with_bounds(1, LONGEST_MICROS, 3);
        Self(made.unwrap_or_else(|_| unreachable!("the bounds are constants that fit")))
    }
}

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, took: Duration) {
        // What took more than an hour is counted as an hour.
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST_MICROS).max(1));
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// That no more than this part took longer: `0.99`. `None` where there is none.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_micros(self.0.value_at_quantile(part)))
    }

    /// The longest; `None` where there is none.
    pub fn max(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_micros(self.0.max()))
    }

    /// How many took longer than this.
    pub(super) fn above(&self, threshold: Duration) -> u64 {
        let micros = u64::try_from(threshold.as_micros()).unwrap_or(LONGEST_MICROS);
        self.len() - self.0.count_between(0, micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.quantile(0.5), latencies.max()), (None, None));
        (1..=1000).for_each(|millis| latencies.record(Duration::from_millis(millis)));
        let near = |found: Option<Duration>, millis: u128| {
            let found = found.unwrap().as_micros();
            assert!(found.abs_diff(millis * 1000) * 500 <= millis * 1000, "{found} for {millis} ms");
        };
        near(latencies.quantile(0.5), 500);
        near(latencies.quantile(0.99), 990);
        near(latencies.max(), 1000);
        assert_eq!(latencies.above(Duration::from_secs(2)), 0);
        latencies.record(Duration::from_secs(86_400));
        assert_eq!((latencies.len(), latencies.above(Duration::from_secs(2))), (1001, 1));
    }
}

//! Backing off while others wait too long.
//!
//! A gauge measures what a small read of a warm block takes now, or asks a command of the user's: whether all is well,
//! or how long its own request took. While that is too long the rate is cut, again and again; when it is well again the
//! rate grows, a tenth every time, until it no longer limits anything. It is never cut below a least rate: the work always
//! goes on.

use crate::ops::subprocess;
use std::collections::VecDeque;
use std::time::Duration;

/// How often the gauge is read.
pub(super) const EVERY: Duration = Duration::from_millis(200);
/// How long a command that tells how others are served may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// What a cut leaves of the rate.
const CUT: f64 = 0.6;
/// What a good reading adds.
const GROWTH: f64 = 1.1;
/// Readings of which the middle one counts: one slow read is no trend.
const READINGS: usize = 3;

/// What the others are promised.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// Who tells whether that is kept.
    pub gauge: Gauge,
    /// Blocks a second that are read in any case.
    pub least: f64,
    /// Whether a command of the gauge gets the credentials of this program.
    pub gets_credentials: bool,
}

/// Who tells how well others are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// Reads of 4 KiB, one at a time, of blocks already warm: none should take longer than this.
    Reads(Duration),
    /// A command line: it ends with 0 where all is well, and with anything else where it is not.
    Command(String),
    /// A command line that prints how long something took, as in `12.5ms`: no longer than this, or not at all well.
    Printed(String, Duration),
}

/// What the gauge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// A read took so long.
    Took(Duration),
    /// The command was, or was not, content.
    Well(bool),
}

impl Gauge {
    /// What a command's run says: how it ended and what it printed. One that cannot be run, or understood, is not
    /// content: it must not look as if all were well.
    pub(super) fn heard(&self, is_success: bool, printed: &str) -> Reading {
        match self {
            Self::Printed(..) if is_success => {
                printed_time(printed).map_or(Reading::Well(false), Reading::Took)
            }
            Self::Reads(_) | Self::Command(_) | Self::Printed(..) => Reading::Well(is_success),
        }
    }
}

/// `12.5ms`, `900us`, `0.02s`; a number alone is milliseconds.
fn printed_time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("", 1e-3)];
    let (number, unit) =
        units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let number: f64 = number.trim_end().parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}

/// Runs a command of the user's and returns whether it ended with 0, and its output. One that takes too long, or cannot be
/// started, has failed; whatever it began is ended with it.
pub(super) fn asked(line: &str, gets_credentials: bool, patience: Duration) -> (bool, String) {
    let command = subprocess::shell(line, gets_credentials);
    match subprocess::run(command, false, patience, &|| false) {
        Ok(ended) if ended.code.is_some() => {
            (ended.code == Some(0), String::from_utf8_lossy(&ended.output).into_owned())
        }
        Ok(_) | Err(_) => (false, String::new()),
    }
}

/// Decides the rate.
#[derive(Debug)]
pub(super) struct Guard {
    slo: Slo,
    recent: VecDeque<bool>,
    limit: Option<f64>,
    /// The rate when it was first cut: at twice of it the limit is lifted.
    was: f64,
    exceeded: u64,
}

impl Guard {
    pub(super) fn new(slo: Slo) -> Self {
        Self { slo, recent: VecDeque::new(), limit: None, was: 0.0, exceeded: 0 }
    }

    /// Takes a reading, while blocks come in at this rate; gives the most blocks a second from now on.
    pub(super) fn read(&mut self, reading: Reading, blocks_per_second: f64) -> Option<f64> {
        let is_well = match (&self.slo.gauge, reading) {
            (Gauge::Reads(most) | Gauge::Printed(_, most), Reading::Took(took)) => took <= *most,
            (_, Reading::Well(is_well)) => is_well,
            (Gauge::Command(_), Reading::Took(_)) => true,
        };
        self.exceeded += u64::from(!is_well);
        self.recent.push_back(is_well);
        if self.recent.len() > READINGS {
            self.recent.pop_front();
        }
        let bad = self.recent.iter().filter(|is_well| !**is_well).count();
        if bad * 2 > READINGS {
            let rate = self.limit.unwrap_or_else(|| {
                self.was = blocks_per_second;
                blocks_per_second
            });
            self.limit = Some((rate.min(blocks_per_second.max(self.slo.least)) * CUT).max(self.slo.least));
            // The next cut follows readings made after this one.
            self.recent.clear();
        } else if is_well && let Some(limit) = self.limit {
            self.limit = Some(limit * GROWTH).filter(|limit| *limit < 2.0 * self.was.max(self.slo.least));
        }
        self.limit
    }

    /// Readings that were bad.
    pub(super) fn exceeded(&self) -> u64 {
        self.exceeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: f64 = 8.0;

    fn guard() -> Guard {
        Guard::new(Slo {
            gauge: Gauge::Reads(Duration::from_millis(20)),
            least: LEAST,
            gets_credentials: false,
        })
    }

    /// A volume on which a small read takes a millisecond, and longer the more of its 1,000 blocks a second are
    /// taken; beyond 400 it exceeds 20 ms. Gives the rate reading by reading.
    fn serve(readings: usize, load_of_others: impl Fn(usize) -> f64) -> Vec<f64> {
        let (mut guard, mut rates, mut limit) = (guard(), Vec::new(), None);
        for reading in 0..readings {
            let rate = limit.unwrap_or(1_000.0_f64).min(1_000.0);
            let load = rate + load_of_others(reading);
            let took = Duration::from_secs_f64(0.001 + 0.019 * (load / 400.0).powi(3));
            limit = guard.read(Reading::Took(took), rate);
            rates.push(rate);
        }
        rates
    }

    #[test]
    fn the_rate_settles_where_others_are_served_well() {
        let rates = serve(200, |_| 0.0);
        let settled = &rates[50..];
        let mean = settled.iter().sum::<f64>() / settled.len() as f64;
        assert!((240.0..=440.0).contains(&mean), "{mean}");
        let exceeding = settled.iter().filter(|rate| **rate > 440.0).count();
        assert!(exceeding * 5 < settled.len(), "{exceeding} of {}", settled.len());
    }

    #[test]
    fn however_bad_it_is_the_work_goes_on() {
        let rates = serve(100, |_| 10_000.0);
        assert_eq!(rates.last(), Some(&LEAST));
    }

    #[test]
    fn when_the_others_have_gone_nothing_is_limited_any_more() {
        let mut guard = guard();
        let slow = Reading::Took(Duration::from_millis(50));
        for _ in 0..20 {
            guard.read(slow, 1_000.0);
        }
        let well = Reading::Took(Duration::from_millis(1));
        let lifted = (0..100).position(|_| guard.read(well, 1_000.0).is_none());
        assert!(lifted.is_some_and(|after| after < 80), "{lifted:?}");
        assert_eq!(guard.exceeded(), 20);
    }

    #[test]
    fn one_slow_read_is_no_trend() {
        let mut guard = guard();
        let well = Reading::Took(Duration::from_millis(1));
        for reading in [well, well, Reading::Took(Duration::from_secs(1)), well, well] {
            assert_eq!(guard.read(reading, 1_000.0), None);
        }
    }

    #[test]
    fn what_a_command_prints_is_a_time_and_anything_else_is_not_well() {
        let gauge = Gauge::Printed("probe".into(), Duration::from_millis(20));
        for (printed, micros) in [("12.5ms\n", 12_500), ("900us", 900), (" 0.02 s", 20_000), ("3", 3_000)] {
            assert_eq!(gauge.heard(true, printed), Reading::Took(Duration::from_micros(micros)), "{printed}");
        }
        for printed in ["", "fast", "-1ms", "nan", "1e99s", "12 ms 13 ms"] {
            assert_eq!(gauge.heard(true, printed), Reading::Well(false), "{printed}");
        }
        assert_eq!(gauge.heard(false, "1ms"), Reading::Well(false));
        let mut guard = Guard::new(Slo { gauge: gauge.clone(), least: LEAST, gets_credentials: false });
        for (printed, limit) in [("20ms", None), ("21ms", None), ("1h", Some(60.0))] {
            assert_eq!(guard.read(gauge.heard(true, printed), 100.0), limit, "{printed}");
        }
    }

    #[test]
    fn a_command_that_complains_is_heard() {
        let mut guard =
            Guard::new(Slo { gauge: Gauge::Command("false".into()), least: LEAST, gets_credentials: false });
        assert_eq!(guard.read(Reading::Well(false), 100.0), None);
        assert_eq!(guard.read(Reading::Well(false), 100.0), Some(60.0));
    }

    #[test]
    fn a_command_that_hangs_is_ended_and_counts_as_failed() {
        let hung = asked("echo 1ms; exec sleep 3600", false, Duration::from_millis(50));
        assert_eq!(hung, (false, String::new()));
        assert_eq!(asked("echo 1ms", false, PATIENCE), (true, "1ms\n".to_owned()));
        assert_eq!(asked("echo 1ms; false", false, PATIENCE), (false, "1ms\n".to_owned()));
    }
}

//! Retention policies as Proxmox Backup Server prunes by them.
//!
//! Options are taken in the order last, hourly, daily, weekly, monthly, yearly. Each keeps the newest snapshot of each
//! of its periods, newest period first, until it has kept its number; a period in which an option before it keeps
//! something already is passed over and does not count. Periods are those of the calendar in UTC; weeks are ISO 8601's.

use crate::snapshot::UnixMillis;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Options in the order in which they are taken.
const OPTIONS: [&str; 6] = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];

/// How many to keep of each period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention([u32; 6]);

/// A text that is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a retention policy: expected last, hourly, daily, weekly, monthly or yearly, each =N, as in 'daily=7,weekly=4'"
)]
pub struct RetentionError(String);

impl Retention {
    /// Which of these the policy keeps.
    pub fn keeps(&self, times: &[UnixMillis]) -> Vec<bool> {
        let mut newest_first: Vec<usize> = (0..times.len()).collect();
        newest_first.sort_by_key(|at| std::cmp::Reverse((times[*at], *at)));
        // Kept, dropped, or not decided yet.
        let mut marks: Vec<Option<bool>> = vec![None; times.len()];
        for (option, most) in self.0.iter().enumerate().filter(|(_, most)| **most > 0) {
            let period =
                |at: usize| if option == 0 { Period::Each(at) } else { Period::of(option, times[at]) };
            let covered: BTreeSet<Period> =
                newest_first.iter().filter(|at| marks[**at] == Some(true)).map(|at| period(*at)).collect();
            let mut kept: BTreeSet<Period> = BTreeSet::new();
            for at in &newest_first {
                let own = period(*at);
                if marks[*at].is_some() || covered.contains(&own) {
                    continue;
                }
                if kept.contains(&own) {
                    marks[*at] = Some(false);
                    continue;
                }
                if kept.len() >= *most as usize {
                    break;
                }
                kept.insert(own);
                marks[*at] = Some(true);
            }
        }
        marks.into_iter().map(|mark| mark == Some(true)).collect()
    }
}

/// What two snapshots have in common when they are of the same hour, day, ..
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Period {
    Each(usize),
    Of(i16, i16, i8),
}

impl Period {
    fn of(option: usize, time: UnixMillis) -> Self {
        let civil =
            Timestamp::from_millisecond(time.0).map_or(DateTime::MIN, |time| TimeZone::UTC.to_datetime(time));
        let week = civil.date().iso_week_date();
        match OPTIONS[option] {
            "hourly" => Self::Of(civil.year(), civil.day_of_year(), civil.hour()),
            "daily" => Self::Of(civil.year(), civil.day_of_year(), 0),
            "weekly" => Self::Of(week.year(), i16::from(week.week()), 0),
            "monthly" => Self::Of(civil.year(), i16::from(civil.month()), 0),
            _ => Self::Of(civil.year(), 0, 0),
        }
    }
}

impl FromStr for Retention {
    type Err = RetentionError;

    fn from_str(text: &str) -> Result<Self, RetentionError> {
        let refused = || RetentionError(text.chars().take(80).collect());
        let mut policy = Self::default();
        for part in text.split(',') {
            let (name, number) = part.trim().split_once('=').ok_or_else(refused)?;
            let name = name.strip_prefix("keep-").unwrap_or(name);
            let option = OPTIONS.iter().position(|option| *option == name).ok_or_else(refused)?;
            let number: u32 = number.parse().map_err(|_| refused())?;
            if policy.0[option] != 0 || number == 0 {
                return Err(refused());
            }
            policy.0[option] = number;
        }
        Ok(policy)
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = OPTIONS.iter().zip(self.0).filter(|(_, number)| *number > 0);
        f.pad(&set.map(|(name, number)| format!("{name}={number}")).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis(format!("{text}:00Z").parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[track_caller]
    fn check(policy: &str, taken: &[&str], kept: &[&str]) {
        let times: Vec<_> = taken.iter().map(|time| at(time)).collect();
        let keeps = policy.parse::<Retention>().unwrap().keeps(&times);
        let found: Vec<_> =
            taken.iter().zip(keeps).filter(|(_, keep)| *keep).map(|(time, _)| *time).collect();
        assert_eq!(found, kept, "{policy}");
    }

    const TAKEN: [&str; 9] = [
        "2019-11-15T09:39",
        "2019-11-15T10:49",
        "2019-11-21T11:35",
        "2019-11-22T11:44",
        "2019-12-04T11:51",
        "2019-12-04T11:52",
        "2019-12-04T12:24",
        "2020-01-15T10:34",
        "2020-01-15T10:35",
    ];

    #[test]
    fn each_option_keeps_the_newest_of_its_periods() {
        check("last=3", &TAKEN, &TAKEN[6..]);
        check("daily=3", &TAKEN, &[TAKEN[3], TAKEN[6], TAKEN[8]]);
        check("weekly=3", &TAKEN, &[TAKEN[3], TAKEN[6], TAKEN[8]]);
        check("monthly=2", &TAKEN, &[TAKEN[6], TAKEN[8]]);
        check("hourly=3", &TAKEN, &[TAKEN[5], TAKEN[6], TAKEN[8]]);
        check("yearly=9", &TAKEN, &[TAKEN[6], TAKEN[8]]);
    }

    #[test]
    fn a_period_that_is_covered_does_not_count() {
        // The two days that daily keeps cover December and January: monthly goes on before them.
        check("daily=2,monthly=1", &TAKEN, &[TAKEN[3], TAKEN[6], TAKEN[8]]);
        // Whatever the order they are typed in, last comes first.
        check("daily=1,last=2", &TAKEN, &TAKEN[6..]);
        check(
            "last=1,daily=1,weekly=1,monthly=1,yearly=1",
            &TAKEN,
            // The week's is of November: no month and no year is left.
            &[TAKEN[3], TAKEN[6], TAKEN[8]],
        );
    }

    #[test]
    fn a_policy_reads_back_as_it_is_written() {
        for text in
            ["last=15", "daily=7,weekly=4,monthly=12", "last=1,hourly=2,daily=3,weekly=4,monthly=5,yearly=6"]
        {
            assert_eq!(text.parse::<Retention>().unwrap().to_string(), text);
        }
        assert_eq!("weekly=4, keep-daily=7".parse::<Retention>().unwrap().to_string(), "daily=7,weekly=4");
        for bad in ["", "last", "last=0", "last=-1", "last=1,last=2", "fortnightly=1", "daily=7;weekly=4"] {
            assert!(bad.parse::<Retention>().is_err(), "{bad}");
        }
    }
}

//! Copies that have to end in time: what AWS charges for the promise, and what can be promised.
//!
//! A time-based copy is given its duration beforehand, a quarter of an hour to two days, and is billed by the GiB it
//! copies, more for a shorter one; the rates are the same in all Regions (EBS user guide, "time-based-copies").

use crate::block::ByteSize;
use crate::cost::{Amount, Usd};

/// Durations are whole quarters of an hour.
const QUARTER: u64 = 15;
/// The longest, in minutes.
const LONGEST: u64 = 48 * 60;
/// MiB a second that one copy may be promised.
const FASTEST: u64 = 500;

/// Rates for a GiB in thousandths of a dollar, each up to this many minutes.
const RATES: [(u64, u64); 7] = [(15, 20), (45, 18), (105, 16), (225, 14), (465, 12), (945, 10), (LONGEST, 5)];

/// The duration of a time-based copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyTime {
    minutes: u64,
}

impl CopyTime {
    /// So many minutes; `None` where AWS does not offer that.
    pub fn of_minutes(minutes: u64) -> Option<Self> {
        let is_offered = (QUARTER..=LONGEST).contains(&minutes) && minutes.is_multiple_of(QUARTER);
        is_offered.then_some(Self { minutes })
    }

    /// The shortest that so much data can be promised in; `None` where no duration is long enough.
    pub fn shortest(data: ByteSize) -> Option<Self> {
        let minutes = mib(data).div_ceil(FASTEST * 60);
        Self::of_minutes(minutes.next_multiple_of(QUARTER).max(QUARTER))
    }

    /// In minutes.
    pub const fn minutes(self) -> u64 {
        self.minutes
    }

    /// The rate for a GiB.
    pub fn rate(self) -> Usd {
        let thousandths = RATES.iter().find(|(up_to, _)| self.minutes <= *up_to).map_or(0, |(_, rate)| *rate);
        Usd::from_nanos(thousandths * 1_000_000)
    }

    /// What copying so much costs, transfer between Regions not included.
    pub fn price(self, data: ByteSize) -> Amount {
        Amount::of(data, self.rate())
    }

    /// MiB a second that it needs.
    pub fn throughput(self, data: ByteSize) -> u64 {
        mib(data).div_ceil(self.minutes * 60)
    }
}

fn mib(data: ByteSize) -> u64 {
    data.bytes().div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> CopyTime {
        CopyTime::of_minutes(minutes).unwrap()
    }

    /// AWS's own examples: 3,000 GiB in 8 hours are 30 USD; 225,000 MiB in 15 minutes need 250 MiB/s; 900,000 MiB
    /// take 30 minutes at least.
    #[test]
    fn aws_worked_examples_come_out() {
        assert_eq!(minutes(8 * 60).price(ByteSize::from_bytes(3_000 << 30)).exact(), "30.00");
        assert_eq!(minutes(15).throughput(ByteSize::from_mib(225_000)), 250);
        assert_eq!(CopyTime::shortest(ByteSize::from_mib(900_000)), CopyTime::of_minutes(30));
    }

    #[test]
    fn each_rate_holds_up_to_its_duration() {
        for (duration, rate) in [
            (15, "0.02"),
            (30, "0.018"),
            (45, "0.018"),
            (60, "0.016"),
            (105, "0.016"),
            (120, "0.014"),
            (225, "0.014"),
            (240, "0.012"),
            (465, "0.012"),
            (480, "0.01"),
            (945, "0.01"),
            (960, "0.005"),
            (2_880, "0.005"),
        ] {
            assert_eq!(minutes(duration).rate().exact(), rate, "{duration} minutes");
        }
    }

    #[test]
    fn only_quarters_of_an_hour_up_to_two_days_are_offered() {
        for bad in [0, 10, 20, 2_881, 2_895] {
            assert_eq!(CopyTime::of_minutes(bad), None, "{bad}");
        }
        assert_eq!(CopyTime::shortest(ByteSize::from_bytes(1)).map(CopyTime::minutes), Some(15));
        assert_eq!(
            CopyTime::shortest(ByteSize::from_bytes(83 << 40)),
            None,
            "two days at 500 MiB/s are 82.4 TiB"
        );
    }
}

//! Lengths of time as they are typed: `7d`, `12h`, `90m`, `45s`.

use std::str::FromStr;
use std::time::Duration;

/// A length of time, at least a second and at most some centuries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(u32);

impl Span {
    pub(super) fn time(self) -> Duration {
        Duration::from_secs(self.0.into())
    }

    pub(super) fn millis(self) -> i64 {
        i64::from(self.0) * 1000
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = "expected a number of days, hours, minutes or seconds, as in 7d, 12h, 90m or 45s";
        let unit = text.chars().next_back().ok_or(refused)?;
        let seconds = match unit {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return Err(refused),
        };
        let number: u32 = text[..text.len() - 1].parse().map_err(|_| refused)?;
        number.checked_mul(seconds).filter(|seconds| *seconds > 0).map(Self).ok_or(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, seconds) in [("7d", 604_800), ("12h", 43_200), ("90m", 5_400), ("45s", 45)] {
            assert_eq!(text.parse::<Span>().unwrap().time().as_secs(), seconds);
        }
        for bad in ["", "7", "d", "0d", "-1d", "1.5h", "99999999d", "7ä"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}

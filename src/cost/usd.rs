//! US dollars in billionths.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::str::FromStr;

/// An amount of money in billionths of a dollar: the cheapest thing AWS sells here, one listing, is 600 of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u64);

/// A text that is no amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an amount in USD: expected a decimal number with at most 9 decimals, as in 2.50")]
pub struct UsdError(String);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many billionths of a dollar.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// So many whole dollars.
    pub const fn from_dollars(dollars: u64) -> Self {
        Self(dollars * 1_000_000_000)
    }

    /// In billionths of a dollar.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// This price so many times. Stays at the largest amount there is rather than wrapping.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// The part of a price for so many things that one of them costs; what does not divide is cut off.
    #[must_use]
    pub const fn divided(self, by: u64) -> Self {
        Self(self.0 / if by == 0 { 1 } else { by })
    }

    /// The exact decimal number, at least two decimals, no sign: `6.291456`.
    pub fn exact(self) -> String {
        let (dollars, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let decimals = format!("{nanos:09}");
        let kept = decimals.trim_end_matches('0').len().max(2);
        format!("{dollars}.{}", &decimals[..kept])
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl FromStr for Usd {
    type Err = UsdError;

    fn from_str(text: &str) -> Result<Self, UsdError> {
        let refused = || UsdError(text.chars().take(40).collect());
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 9 {
            return Err(refused());
        }
        let nanos = format!("{whole}{decimals:0<9}");
        nanos.parse().map(Self).map_err(|_| refused())
    }
}

impl fmt::Display for Usd {
    /// For people: to the cent, rounded up, and a cent at least unless it is nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.0.div_ceil(10_000_000);
        write!(f, "{}.{:02} USD", cents / 100, cents % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_back_exactly() {
        for (text, nanos) in
            [("0", 0), ("10", 10_000_000_000), ("0.0006", 600_000), ("6.291456", 6_291_456_000)]
        {
            assert_eq!(text.parse(), Ok(Usd::from_nanos(nanos)));
        }
        assert_eq!(Usd::from_nanos(6_291_456_000).exact(), "6.291456");
        assert_eq!(Usd::from_dollars(3).exact(), "3.00");
        for bad in ["", ".", "-1", "1e3", "1.0000000001", "99999999999999999999"] {
            assert!(bad.parse::<Usd>().is_err(), "{bad}");
        }
    }

    #[test]
    fn people_see_cents_rounded_up() {
        assert_eq!(Usd::from_nanos(1).to_string(), "0.01 USD");
        assert_eq!(Usd::ZERO.to_string(), "0.00 USD");
        assert_eq!(Usd::from_nanos(6_291_456_000).to_string(), "6.30 USD");
    }
}

//! Exact amounts of money.

use crate::block::ByteSize;
use crate::cost::Usd;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

/// Dollars, exactly: a price for a GiB is in billionths of a dollar, and a byte is the 2^30th part of a GiB, so
/// amounts are whole numbers of 2^-30 billionths. May be negative, where it is a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

/// Parts of a billionth.
const PARTS: i128 = 1 << 30;
/// Parts of a dollar.
const DOLLAR: i128 = PARTS * 1_000_000_000;

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many bytes at this price for a GiB. AWS counts in GiB where it writes GB (all its worked examples do).
    pub const fn of(size: ByteSize, per_gib: Usd) -> Self {
        Self((size.bytes() as i128).saturating_mul(per_gib.nanos() as i128))
    }

    /// This amount so many times, divided: `times(90, 30)` are three months of a monthly amount. What does not
    /// divide is cut off below the billionth of a billionth.
    #[must_use]
    pub const fn times(self, count: u64, of: u64) -> Self {
        Self(self.0.saturating_mul(count as i128) / if of == 0 { 1 } else { of as i128 })
    }

    /// Whether it is less than nothing.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// How many of so many equal parts of a whole it makes, rounded down, but something is never none.
    pub fn in_parts_of(self, whole: Self, parts: u64) -> u64 {
        if self.0 <= 0 || whole.0 <= 0 {
            return 0;
        }
        let share = self.0.min(whole.0).saturating_mul(i128::from(parts)) / whole.0;
        u64::try_from(share).unwrap_or(parts).max(1)
    }

    /// The exact decimal number, at least two decimals: `0.0000244140625`.
    pub fn exact(self) -> String {
        let (sign, parts) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let dollar = DOLLAR.unsigned_abs();
        let mut decimals = String::new();
        let mut rest = parts % dollar;
        while rest > 0 || decimals.len() < 2 {
            rest *= 10;
            decimals.extend(char::from_digit(u32::try_from(rest / dollar).unwrap_or(0), 10));
            rest %= dollar;
        }
        format!("{sign}{}.{decimals}", parts / dollar)
    }

    /// For people: rounded to so many decimals, halves up.
    pub fn rounded(self, decimals: u32) -> String {
        let scale = 10_u128.pow(decimals);
        let (parts, dollar) = (self.0.unsigned_abs(), DOLLAR.unsigned_abs());
        // Dollars and the rest apart: the product of the two would not fit for ever.
        let units = parts / dollar * scale + (parts % dollar * scale * 2 + dollar) / (dollar * 2);
        let sign = if self.0 < 0 && units > 0 { "-" } else { "" };
        match decimals {
            0 => format!("{sign}{units}"),
            decimals => {
                format!("{sign}{}.{:0width$}", units / scale, units % scale, width = decimals as usize)
            }
        }
    }
}

impl From<Usd> for Amount {
    fn from(usd: Usd) -> Self {
        Self(i128::from(usd.nanos()) * PARTS)
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gib(gib: u64, price: &str) -> Amount {
        Amount::of(ByteSize::from_bytes(gib << 30), price.parse().unwrap())
    }

    #[test]
    fn nothing_is_lost_before_it_is_shown() {
        let block = Amount::of(ByteSize::from_bytes(524_288), "0.05".parse().unwrap());
        assert_eq!(block.exact(), "0.0000244140625");
        assert_eq!((0..2048).map(|_| block).sum::<Amount>(), gib(1, "0.05"));
        assert_eq!(gib(80, "0.05").exact(), "4.00");
        assert_eq!((gib(1, "0.05") - gib(2, "0.05")).exact(), "-0.05");
        assert_eq!(Amount::from(Usd::from_nanos(600)).exact(), "0.0000006");
    }

    #[test]
    fn rounding_is_to_the_nearest_and_once() {
        for (amount, decimals, shown) in [
            (gib(1, "0.05"), 2, "0.05"),
            (gib(1, "0.005"), 2, "0.01"),
            (gib(1, "0.0049"), 2, "0.00"),
            (gib(1, "0.999"), 2, "1.00"),
            (gib(3, "0.5"), 0, "2"),
            (Amount::ZERO - gib(1, "1.234"), 2, "-1.23"),
            (Amount::ZERO - gib(1, "0.001"), 2, "0.00"),
        ] {
            assert_eq!(amount.rounded(decimals), shown);
        }
    }

    #[test]
    fn the_largest_bill_there_is_fits() {
        // All bytes that a number can count, at a thousand dollars.
        let most = Amount::of(ByteSize::from_bytes(u64::MAX), Usd::from_dollars(1_000));
        assert_eq!(most.rounded(0), "17179869184000");
        assert_eq!(most.times(90, 30).rounded(0), "51539607552000");
    }
}

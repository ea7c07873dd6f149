//! How many blocks to read to notice damage, and what was proved when none was found.
//!
//! Of N blocks t are damaged and n are read, without reading any twice. Damage goes unnoticed with the probability
//! that all n come from the N - t sound ones: C(N-t, n) / C(N, n), which is never above (1 - t/N)^n. The second form
//! needs no N and is the one that tables give; the first is exact where N is small.

use std::fmt;
use std::str::FromStr;

/// What a sample is to achieve: notice with this probability that at least this part of all blocks is damaged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    confidence: f64,
    damaged: f64,
}

/// A text that states no aim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an aim of sampling: expected CONFIDENCE/DAMAGED in percent, as in 99%/0.1%")]
pub struct AimError(String);

impl Aim {
    /// Both strictly between 0 and 1; `None` otherwise: neither certainty nor "no damage at all" can be sampled.
    pub fn new(confidence: f64, damaged: f64) -> Option<Self> {
        let open = |part: f64| part > 0.0 && part < 1.0;
        (open(confidence) && open(damaged)).then_some(Self { confidence, damaged })
    }

    /// Probability of noticing.
    pub fn confidence(self) -> f64 {
        self.confidence
    }

    /// Part of all blocks that is damaged.
    pub fn damaged(self) -> f64 {
        self.damaged
    }

    /// Blocks to read of a population of so many.
    pub fn blocks(self, population: u64) -> u64 {
        needed_of(self.confidence, self.damaged, population)
    }
}

impl FromStr for Aim {
    type Err = AimError;

    fn from_str(text: &str) -> Result<Self, AimError> {
        let part =
            |text: &str| text.strip_suffix('%')?.trim_end().parse::<f64>().ok().map(|part| part / 100.0);
        text.split_once('/')
            .and_then(|(confidence, damaged)| Self::new(part(confidence)?, part(damaged)?))
            .ok_or_else(|| AimError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%/{}%", trimmed(self.confidence), trimmed(self.damaged))
    }
}

/// A part in percent without the dust of binary fractions.
fn trimmed(part: f64) -> f64 {
    (part * 1e12).round() / 1e10
}

/// Blocks to read of a population without end: the least n with 1 - (1-f)^n at or above the confidence.
pub fn needed(confidence: f64, damaged: f64) -> u64 {
    let n = (1.0 - confidence).ln() / (-damaged).ln_1p();
    // Rounded up, but not for the last digit of a quotient that is whole.
    whole((n - 1e-9).ceil()).max(1)
}

/// Blocks to read of so many: exact, hence never more than [`needed`], and never more than there are.
pub fn needed_of(confidence: f64, damaged: f64, population: u64) -> u64 {
    let t = self::damaged(damaged, population);
    let (mut enough, mut few) = (needed(confidence, damaged).min(population), 0);
    if detection(population, t, enough) < confidence {
        // Rounding at the edge: everything that there is detects everything.
        return population;
    }
    while enough - few > 1 {
        let middle = few + (enough - few) / 2;
        if detection(population, t, middle) < confidence { few = middle } else { enough = middle }
    }
    enough
}

/// The least number of blocks that is at least this part of a population.
pub fn damaged(part: f64, population: u64) -> u64 {
    whole((part * population as f64 - 1e-9).ceil()).clamp(1, population.max(1))
}

/// Probability that reading `read` of `population` blocks meets at least one of `damaged`.
pub fn detection(population: u64, damaged: u64, read: u64) -> f64 {
    if damaged == 0 || read == 0 {
        return 0.0;
    }
    if damaged + read > population {
        return 1.0;
    }
    // C(N-t, n) / C(N, n) is symmetric in t and n; the shorter product has min(t, n) factors.
    let (few, many) = (damaged.min(read), damaged.max(read));
    let missed: f64 = (0..few).map(|k| (-(many as f64) / (population - k) as f64).ln_1p()).sum();
    -missed.exp_m1()
}

/// The part of the population that may be damaged although `read` blocks, drawn at random, were all sound: with a
/// probability of 95 % it is not more than this. Never above the usual 1 - 0.05^(1/n), about 3/n; 0 once all are read.
pub fn upper_bound_95(population: u64, read: u64) -> f64 {
    if population == 0 || read >= population {
        return 0.0;
    }
    if read == 0 {
        return 1.0;
    }
    // The most damaged blocks of which at least one in twenty samples would show none.
    let (mut hidden, mut shown) = (0, population - read + 1);
    while shown - hidden > 1 {
        let middle = hidden + (shown - hidden) / 2;
        if detection(population, middle, read) <= 0.95 { hidden = middle } else { shown = middle }
    }
    hidden as f64 / population as f64
}

/// The same where some of those read were found damaged. Never below the part that was found.
pub fn upper_bound_95_found(population: u64, read: u64, found: u64) -> f64 {
    if found == 0 {
        return upper_bound_95(population, read);
    }
    if population == 0 || read == 0 {
        return 1.0;
    }
    // The most damaged blocks of which at least one in twenty samples would show no more than these.
    let (mut hidden, mut shown) = (found, population.saturating_sub(read.saturating_sub(found)) + 1);
    while shown - hidden > 1 {
        let middle = hidden + (shown - hidden) / 2;
        if at_most(population, middle, read, found) >= 0.05 { hidden = middle } else { shown = middle }
    }
    hidden as f64 / population as f64
}

/// Probability that reading `read` of `population` blocks meets no more than `found` of `damaged`.
fn at_most(population: u64, damaged: u64, read: u64, found: u64) -> f64 {
    // The least that must be met, where there are more damaged ones than are left unread.
    let least = (damaged + read).saturating_sub(population);
    let ln_choose = |n: u64, k: u64| -> f64 {
        (0..k.min(n - k)).map(|at| ((n - at) as f64 / (at + 1) as f64).ln()).sum()
    };
    let mut ln_p = ln_choose(damaged, least) + ln_choose(population - damaged, read - least)
        - ln_choose(population, read);
    let mut sum = 0.0;
    for met in least..=found.min(read).min(damaged) {
        sum += ln_p.exp();
        // From the probability of k to that of k + 1.
        let up = (damaged - met) as f64 * (read - met) as f64;
        let down = (met + 1) as f64 * (population + met + 1 - damaged - read) as f64;
        ln_p += (up / down).ln();
    }
    sum
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is meant here"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_with_damage_found_is_the_exact_one() {
        // Clopper and Pearson's bounds for 300 drawn of very many: 1.57 % for one, 2.08 % for two, 5.6 % for ten.
        for (found, bound) in [(1, 0.015_7), (2, 0.020_8), (10, 0.056_0)] {
            let told = upper_bound_95_found(10_000_000, 300, found);
            assert!((told - bound).abs() < 0.000_2, "{told} for {found}");
        }
        assert_eq!(upper_bound_95_found(100_000, 300, 0), upper_bound_95(100_000, 300));
        assert_eq!(upper_bound_95_found(40, 40, 3), 3.0 / 40.0, "all were read");
        assert_eq!(upper_bound_95_found(40, 40, 40), 1.0);
        assert!((0.9..=1.0).contains(&upper_bound_95_found(1_000_000, 300, 299)));
    }

    #[test]
    fn no_more_than_the_bound_says_is_met_as_often_as_it_should() {
        // Brute force over the hypergeometric sum with small numbers.
        let choose = |n: u64, k: u64| (0..k).fold(1.0, |c, at| c * (n - at) as f64 / (at + 1) as f64);
        for (population, damaged, read, found) in [(20, 5, 6, 2), (12, 9, 8, 6), (30, 1, 29, 0), (9, 9, 4, 4)]
        {
            let naive: f64 = (0..=found)
                .filter(|met| *met <= damaged && read - met <= population - damaged)
                .map(|met| choose(damaged, met) * choose(population - damaged, read - met))
                .sum();
            let told = at_most(population, damaged, read, found);
            assert!((told - naive / choose(population, read)).abs() < 1e-9, "{told}");
        }
    }

    #[test]
    fn sample_sizes_are_those_of_the_tables() {
        for (damaged, sizes) in [
            (0.05, [45, 59, 90, 135]),
            (0.01, [230, 299, 459, 688]),
            (0.001, [2_302, 2_995, 4_603, 6_905]),
            (0.0001, [23_025, 29_956, 46_050, 69_075]),
        ] {
            for (confidence, size) in [0.90, 0.95, 0.99, 0.999].into_iter().zip(sizes) {
                assert_eq!(needed(confidence, damaged), size, "{confidence} of {damaged}");
            }
        }
    }

    #[test]
    fn one_bad_block_of_a_tebibyte_is_hardly_ever_met() {
        let blocks = 1 << 21;
        let percent = |read| 100.0 * detection(blocks, 1, read);
        assert!((percent(460) - 0.0219).abs() < 0.0001, "{}", percent(460));
        assert!((percent(blocks / 100) - 1.0).abs() < 0.001);
        assert!((percent(blocks / 10) - 10.0).abs() < 0.001);
    }

    #[test]
    fn the_bound_after_no_finding_is_about_three_by_the_number_read() {
        let huge = 1 << 27;
        for (read, bound) in [(299, 0.997), (4_603, 0.065)] {
            let percent = 100.0 * upper_bound_95(huge, read);
            assert!((percent - bound).abs() < 0.0006, "{read}: {percent}");
        }
        for read in [1, 10, 299, 4_603] {
            let usual = 1.0 - 0.05_f64.powf(1.0 / read as f64);
            assert!(upper_bound_95(1 << 20, read) <= usual);
        }
        assert_eq!(upper_bound_95(100, 100), 0.0);
        assert_eq!(upper_bound_95(100, 0), 1.0);
    }

    /// C(n, k), small enough to be exact.
    fn choose(n: u64, k: u64) -> f64 {
        (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
    }

    #[test]
    fn detection_is_the_hypergeometric_one() {
        for population in 1..=14 {
            for damaged in 0..=population {
                for read in 0..=population {
                    let missed = if read > population - damaged {
                        0.0
                    } else {
                        choose(population - damaged, read) / choose(population, read)
                    };
                    let found = detection(population, damaged, read);
                    assert!((found - (1.0 - missed)).abs() < 1e-12, "{population} {damaged} {read}: {found}");
                }
            }
        }
    }

    #[test]
    fn a_small_population_needs_fewer_and_the_least_that_is_enough() {
        for population in [1, 2, 50, 500, 2_048, 100_000] {
            for (confidence, part) in [(0.9, 0.05), (0.99, 0.01), (0.999, 0.5)] {
                let n = needed_of(confidence, part, population);
                let t = damaged(part, population);
                assert!(n <= needed(confidence, part) && n <= population);
                assert!(detection(population, t, n) >= confidence || n == population);
                assert!(n == 0 || detection(population, t, n - 1) < confidence, "{population}: {n}");
            }
        }
        assert_eq!(needed_of(0.99, 0.01, 1 << 27), 459);
        assert_eq!(needed_of(0.99, 0.01, 100), 99, "one bad block of a hundred is met with 99 % by 99 reads");
    }

    #[test]
    fn aims_are_typed_in_percent() {
        let aim: Aim = "99%/0.1%".parse().unwrap();
        assert_eq!((needed(aim.confidence(), aim.damaged()), aim.to_string().as_str()), (4_603, "99%/0.1%"));
        for bad in ["", "99%", "99/0.1", "100%/1%", "99%/0%", "0%/1%", "-1%/1%", "99%/1%/1%", "nan%/1%"] {
            assert!(bad.parse::<Aim>().is_err(), "{bad}");
        }
    }
}

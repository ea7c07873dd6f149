//! The archive tier: what moving a snapshot there saves, and what it costs to change one's mind.
//!
//! An archived snapshot is stored whole, apart from its lineage; what others still hold stays in the standard tier
//! (EBS user guide, "archiving-guidelines"). So archiving pays only where a snapshot holds much alone.

use crate::block::ByteSize;
use crate::cost::{Amount, Prices};

/// Days that are paid for at least (EBS user guide, "snapshot-archive-pricing").
pub const MINIMUM_DAYS: u64 = 90;
/// Hours that a restore from the archive tier may take (EBS user guide, "restore-archived-snapshot").
pub const RESTORE_HOURS: u64 = 72;
/// Days in AWS's month.
const MONTH: u64 = 30;

/// How often an archived snapshot will be needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Restores a year.
    pub restores_a_year: u32,
    /// Days that it stays restored each time.
    pub days_restored: u32,
}

/// What archiving one snapshot, or several, would change, a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archiving {
    /// What leaves the standard tier.
    pub freed: ByteSize,
    /// What the archive tier takes.
    pub full: ByteSize,
    /// Saved in the standard tier.
    pub saved: Amount,
    /// Paid for the archive tier.
    pub added: Amount,
    /// Paid for restores, averaged; `None` where the retrieval price is not known and restores are expected.
    pub restores: Option<Amount>,
}

impl Archiving {
    /// With what leaves the standard tier and what the archive tier takes.
    pub fn of(freed: ByteSize, full: ByteSize, expected: Use, prices: &Prices) -> Self {
        let restored = || {
            let retrieval = Amount::of(full, prices.retrieval?);
            let standard = Amount::of(full, prices.standard).times(expected.days_restored.into(), MONTH);
            Some((retrieval + standard).times(expected.restores_a_year.into(), 12))
        };
        let restores = if expected.restores_a_year == 0 { Some(Amount::ZERO) } else { restored() };
        let (saved, added) = (Amount::of(freed, prices.standard), Amount::of(full, prices.archive));
        Self { freed, full, saved, added, restores }
    }

    /// Saved in all, a month: negative where archiving costs more.
    pub fn gain(&self) -> Option<Amount> {
        Some(self.saved - self.added - self.restores?)
    }

    /// What getting it back costs, once; `None` where the price is not known.
    pub fn retrieval(&self, prices: &Prices) -> Option<Amount> {
        prices.retrieval.map(|price| Amount::of(self.full, price))
    }

    /// Whether it pays; `None` where that cannot be said.
    pub fn pays(&self) -> Option<bool> {
        self.gain().map(|gain| gain > Amount::ZERO)
    }

    /// The days after which archiving has cost less than staying, the minimum paid at once; `None` if never.
    pub fn break_even_days(&self) -> Option<u64> {
        self.pays().filter(|pays| *pays)?;
        // Within the minimum, 90 days of archive are paid whatever happens.
        // What pays has paid for them by their end.
        (1..=MINIMUM_DAYS).find(|days| {
            let paid = self.added.times(MINIMUM_DAYS, MONTH);
            self.saved.times(*days, MONTH) >= paid + self.restores.unwrap_or_default().times(*days, MONTH)
        })
    }

    /// The part of a snapshot, in thousandths, above which archiving pays if that is its alone.
    pub fn threshold(expected: Use, prices: &Prices) -> Option<u64> {
        let gib = ByteSize::from_bytes(1 << 30);
        let pays = |thousandths: &u64| {
            let part = ByteSize::from_bytes((1 << 30) / 1000 * thousandths);
            Self::of(part, gib, expected, prices).pays().unwrap_or(false)
        };
        (1..=4000).find(pays).map(|first| first - 1)
    }
}

/// What is charged when an archived snapshot is deleted, or restored for good, after so many hours: the rest of its
/// 90 days (EBS user guide, "snapshot-archive-pricing").
pub fn early_deletion(full: ByteSize, hours_archived: u64, prices: &Prices) -> Amount {
    let left = (MINIMUM_DAYS * 24).saturating_sub(hours_archived);
    Amount::of(full, prices.archive).times(left, MONTH * 24)
}

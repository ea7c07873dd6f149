//! What changed in the bill since an earlier report, and why.

use crate::block::ByteSize;
use crate::cost::{Amount, Quality, Usd};
use crate::ops::cost::{Report, Row, Selection};
use crate::snapshot::{SnapshotId, StorageTier};
use std::collections::{BTreeMap, BTreeSet};

/// An earlier report, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// When it was made, as it says.
    pub time: Option<String>,
    /// Its Region.
    pub region: String,
    /// What it shows; `None` where it does not say, as the first ones do not.
    pub selection: Option<Selection>,
    /// Its price for a GiB in the standard tier.
    pub standard: Usd,
    /// Its price for a GiB in the archive tier.
    pub archive: Usd,
    /// Its snapshots.
    pub rows: BTreeMap<SnapshotId, EarlierRow>,
}

/// A snapshot of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlierRow {
    /// What was billed to it; `None` where that was unknown.
    pub attributed: Option<ByteSize>,
    /// Where its data lay.
    pub tier: StorageTier,
}

/// Why a snapshot costs another amount than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It is the first of a lineage that was not there.
    New,
    /// It is new in a lineage that was there: what was written since.
    Churn,
    /// It is gone.
    Deleted,
    /// It took over what a deleted one left.
    Moved,
    /// It went into the archive tier, or came back.
    Archived,
    /// The price changed.
    Price,
    /// It was or is not known, or known better now.
    Unknown,
}

impl Why {
    /// For programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Churn => "churn",
            Self::Deleted => "deleted",
            Self::Moved => "moved",
            Self::Archived => "archived",
            Self::Price => "price",
            Self::Unknown => "unknown",
        }
    }

    /// For people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::New => "new lineages",
            Self::Churn => "written since",
            Self::Deleted => "deleted",
            Self::Moved => "taken over from deleted ones",
            Self::Archived => "moved between the tiers",
            Self::Price => "other prices",
            Self::Unknown => "was or is not known exactly",
        }
    }
}

/// What changed of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The snapshot.
    pub id: SnapshotId,
    /// Why.
    pub why: Why,
    /// What it cost; `None` where that was unknown, or it was not there.
    pub before: Option<Amount>,
    /// What it costs; likewise.
    pub after: Option<Amount>,
}

impl Difference {
    /// By how much, as far as both are known; what is not there costs nothing.
    pub fn amount(&self) -> Amount {
        self.after.unwrap_or_default() - self.before.unwrap_or_default()
    }
}

/// What `icecore cost compare` found.
#[derive(Debug)]
#[must_use]
pub struct CompareReport {
    /// When the earlier report was made.
    pub since: Option<String>,
    /// What changed, largest first.
    pub differences: Vec<Difference>,
    /// What it cost then, without what was unknown.
    pub before: Amount,
    /// What it costs now, likewise.
    pub after: Amount,
    /// The bill now.
    pub now: Report,
}

/// Compares the bill with an earlier one of the same selection.
pub fn compare(earlier: &Earlier, now: Report) -> CompareReport {
    let price = |tier| match tier {
        StorageTier::Standard => earlier.standard,
        StorageTier::Archive => earlier.archive,
    };
    let cost = |row: &EarlierRow| row.attributed.map(|size| Amount::of(size, price(row.tier)));
    let known: BTreeSet<usize> = now
        .rows
        .iter()
        .filter(|row| earlier.rows.contains_key(&row.info.id))
        .map(|row| row.lineage)
        .collect();
    let mut differences: Vec<Difference> = now
        .rows
        .iter()
        .map(|row| match earlier.rows.get(&row.info.id) {
            None => {
                let why = if known.contains(&row.lineage) { Why::Churn } else { Why::New };
                Difference { id: row.info.id.clone(), why, before: None, after: row.usd }
            }
            Some(before) => Difference {
                id: row.info.id.clone(),
                why: why(before, row),
                before: cost(before),
                after: row.usd,
            },
        })
        .collect();
    let shown = now.rows.iter().map(|row| &row.info.id);
    // What is there and is not shown, its tags having changed, is not deleted.
    let left: BTreeSet<&SnapshotId> = shown.chain(&now.hidden).collect();
    let gone = earlier.rows.iter().filter(|(id, _)| !left.contains(id));
    differences.extend(gone.map(|(id, row)| Difference {
        id: id.clone(),
        why: Why::Deleted,
        before: cost(row),
        after: None,
    }));
    let before = differences.iter().filter_map(|difference| difference.before).sum();
    differences.retain(|difference| difference.before != difference.after);
    differences.sort_by_key(|difference| {
        let amount = difference.amount();
        std::cmp::Reverse(if amount.is_negative() { Amount::ZERO - amount } else { amount })
    });
    CompareReport { since: earlier.time.clone(), differences, before, after: now.totals.usd, now }
}

fn why(before: &EarlierRow, now: &Row) -> Why {
    match (before.attributed, now.attributed) {
        _ if before.tier != now.info.tier => Why::Archived,
        (None, _) | (_, None) => Why::Unknown,
        (Some(before), Some(now)) if before == now => Why::Price,
        // A snapshot never changes: it can only take over. Less means that it is known better.
        (Some(before), Some(after)) if before < after && now.quality == Quality::Exact => Why::Moved,
        _ => Why::Unknown,
    }
}

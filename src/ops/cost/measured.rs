//! What was found, and the bill that follows from it.

use crate::block::{BlockSet, BlockSize, ByteSize};
use crate::cost::{
    Amount, Doubt, Estimate, Holdings, Lineage, Prices, Quality, RequestPrices, Standing, Usd,
};
use crate::delta::{Churn, churn};
use crate::fault::Fault;
use crate::monitor::{Clock, SystemClock};
use crate::ops::cost::Proved;
use crate::ops::cost::{Facts, Options, Selection, WhatIf};
use crate::pipeline::Requests;
use crate::snapshot::{SnapshotId, SnapshotInfo, SnapshotState, StorageTier, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Ranges shown of a lineage that are written most often.
const HOTTEST: usize = 3;

/// An account's snapshots and what they share.
#[derive(Debug)]
pub struct Measured {
    /// What the control plane told.
    pub facts: Facts,
    /// What was asked to be shown.
    pub selection: Selection,
    /// What is shown, by place in the facts.
    pub shown: Vec<usize>,
    /// What is shared. Numbers are places in the facts.
    pub holdings: Holdings,
    /// The Region's prices.
    pub prices: Prices,
    /// What it took.
    pub spent: Spent,
    /// The worst of what went wrong on the way, if anything did: figures are missing for it.
    pub fault: Option<Fault>,
    /// When it was found.
    pub now: UnixMillis,
    /// Days for which the Recycle Bin keeps what is deleted, if anybody told.
    pub bin_days: Option<u32>,
    /// Snapshots that a restore was verified from, if anybody told.
    pub verified: Option<BTreeMap<SnapshotId, Proved>>,
}

/// What an inspection took.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// What was asked.
    pub requests: Requests,
    /// Listings begun.
    pub listings: u64,
    /// Listings that were kept from an earlier run.
    pub kept: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// What requests cost.
    pub prices: RequestPrices,
    /// Whether they are paid for: AWS was asked.
    pub is_billed: bool,
}

impl Spent {
    /// The price of the requests.
    pub fn usd(&self) -> Usd {
        let estimate =
            Estimate { lists: self.requests.list, gets: self.requests.get, puts: self.requests.put };
        if self.is_billed { estimate.usd(&self.prices) } else { Usd::ZERO }
    }
}

/// One snapshot of the bill. What is not known is `None`, never 0.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its facts.
    pub info: SnapshotInfo,
    /// Its lineage, numbered from 1 in this report.
    pub lineage: usize,
    /// All its blocks.
    pub full: Option<ByteSize>,
    /// What is billed to it.
    pub attributed: Option<ByteSize>,
    /// What deleting it alone frees.
    pub unique: Option<ByteSize>,
    /// What it costs a month.
    pub usd: Option<Amount>,
    /// How sure that is.
    pub quality: Quality,
}

/// Sums. What is not known is not in them, but counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Snapshots, unknown ones included.
    pub snapshots: usize,
    /// What is stored, in both tiers.
    pub stored: ByteSize,
    /// What it costs a month.
    pub usd: Amount,
    /// Snapshots of which nothing is known.
    pub unknown: usize,
    /// Snapshots whose figures are upper bounds.
    pub at_most: usize,
}

impl Totals {
    fn add(&mut self, row: &Row) {
        self.snapshots += 1;
        self.unknown += usize::from(row.usd.is_none());
        self.at_most += usize::from(matches!(row.quality, Quality::AtMost(_)));
        self.stored = ByteSize::from_bytes(self.stored.bytes() + row.attributed.map_or(0, ByteSize::bytes));
        self.usd += row.usd.unwrap_or_default();
    }

    fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut totals = Self::default();
        rows.into_iter().for_each(|row| totals.add(row));
        totals
    }

    /// `exact`, `at_most`, or `unknown` where something is missing.
    pub fn quality(&self) -> &'static str {
        match self {
            Self { unknown: 1.., .. } => "unknown",
            Self { at_most: 1.., .. } => "at_most",
            _ => "exact",
        }
    }
}

/// By what to sum up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The value of a tag.
    Tag(String),
    /// The volume.
    Volume,
    /// The owner.
    Account,
    /// The Region.
    Region,
}

impl std::str::FromStr for GroupBy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.strip_prefix("tag:")) {
            (_, Some(key)) if !key.is_empty() => Ok(Self::Tag(key.to_owned())),
            ("volume", _) => Ok(Self::Volume),
            ("account", _) => Ok(Self::Account),
            ("region", _) => Ok(Self::Region),
            _ => Err("expected tag:KEY, volume, account or region"),
        }
    }
}

/// What the snapshots of a group cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The value they have in common; `None` for those that have none: untagged, of no volume.
    pub name: Option<String>,
    /// Their sums.
    pub totals: Totals,
}

/// The groups of what is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// By what they are made.
    pub by: GroupBy,
    /// Most expensive first.
    pub groups: Vec<Group>,
}

/// What a lineage costs, and where it changes.
#[derive(Clone, Debug)]
pub struct LineageRow {
    /// Its number in this report.
    pub number: usize,
    /// Its sums, whatever is shown of it.
    pub totals: Totals,
    /// What was written on average from one snapshot to the next; `None` with fewer than two.
    pub churn: Option<ByteSize>,
    /// What was written most often.
    pub hottest: Vec<Churn>,
}

/// What `icecore cost` found.
#[derive(Debug)]
#[must_use]
pub struct Report {
    /// What was asked to be shown.
    pub selection: Selection,
    /// What is shown, most expensive first.
    pub rows: Vec<Row>,
    /// Other snapshots of ours.
    pub hidden: BTreeSet<SnapshotId>,
    /// Sums of what is shown.
    pub totals: Totals,
    /// The lineages of what is shown.
    pub lineages: Vec<LineageRow>,
    /// Sums by group; where asked for.
    pub groups: Option<Groups>,
    /// What would change; where asked for.
    pub what_if: Option<WhatIf>,
    /// Snapshots in the Recycle Bin: billed, and not in the sums. `None` where nobody told.
    pub binned: Option<BTreeSet<SnapshotId>>,
    /// The Region's prices.
    pub prices: Prices,
    /// What it took.
    pub spent: Spent,
    /// The worst of what went wrong.
    pub fault: Option<Fault>,
    /// When it was found.
    pub now: UnixMillis,
}

impl Report {
    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.fault.is_none()
    }
}

impl Measured {
    pub(super) fn new(
        facts: Facts,
        holdings: Holdings,
        options: &Options,
        spent: Spent,
        fault: Option<Fault>,
    ) -> Self {
        let is_shown = |at: &usize| options.shown.admits(&facts.snapshots[*at]);
        let shown = (0..facts.snapshots.len()).filter(is_shown).collect();
        let prices = options.prices.clone();
        let (now, bin_days, verified) = (SystemClock.now(), options.bin_days, options.verified.clone());
        let selection = options.shown.clone();
        let mut measured =
            Self { facts, selection, shown, holdings, prices, spent, fault, now, bin_days, verified };
        measured.doubt_for_binned();
        measured
    }

    /// What lies in the Recycle Bin cannot be looked at, and may share with any snapshot of its volume; where it has
    /// none, with any at all.
    fn doubt_for_binned(&mut self) {
        for binned in self.facts.binned.get().into_iter().flatten() {
            for (at, standing) in self.holdings.standing.iter_mut().enumerate() {
                let is_concerned = binned
                    .volume_id
                    .as_ref()
                    .filter(|id| id.is_real())
                    .is_none_or(|volume| self.facts.snapshots[at].volume_id.as_ref() == Some(volume));
                if let Standing::Known { quality: quality @ Quality::Exact, .. } = standing
                    && is_concerned
                {
                    *quality = Quality::AtMost(Doubt::Neighbour);
                }
            }
        }
    }

    pub(super) fn lineage(&self, at: usize) -> Option<(&Lineage, usize)> {
        match self.holdings.standing[at] {
            Standing::Known { lineage, member, .. } => Some((&self.holdings.lineages[lineage], member)),
            Standing::Unknown(_) => None,
        }
    }

    /// The figures of every snapshot, by place in the facts.
    pub fn rows(&self) -> Vec<Row> {
        let figures: Vec<_> = self
            .holdings
            .lineages
            .iter()
            .map(|lineage| (lineage.versions.attributed(), lineage.versions.unique()))
            .collect();
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        for at in &self.shown {
            let next = numbers.len() + 1;
            numbers.entry(self.holdings.families[*at]).or_insert(next);
        }
        let row = |at: usize| {
            let info = self.facts.snapshots[at].clone();
            let lineage = numbers.get(&self.holdings.families[at]).copied().unwrap_or(0);
            let size = |blocks| Some(BlockSize::EBS.of(blocks));
            let (full, attributed, unique, quality) = match self.holdings.standing[at] {
                _ if info.tier == StorageTier::Archive => {
                    // The whole snapshot, apart from its lineage.
                    let full = info.full_size;
                    let quality = full.map_or(Quality::Unknown(Doubt::SizeUntold), |_| Quality::Exact);
                    (full, full, full, quality)
                }
                Standing::Known { quality: quality @ Quality::Unknown(_), .. } => (None, None, None, quality),
                Standing::Known { lineage, member, quality } => {
                    let (attributed, unique) = &figures[lineage];
                    let full = self.holdings.lineages[lineage].versions.full(member);
                    (size(full), size(attributed[member]), size(unique[member]), quality)
                }
                Standing::Unknown(doubt) => {
                    (info.full_size, None, None, Quality::Unknown(told(&info, doubt)))
                }
            };
            let price = match info.tier {
                StorageTier::Standard => self.prices.standard,
                StorageTier::Archive => self.prices.archive,
            };
            let usd = attributed.map(|size| Amount::of(size, price));
            Row { info, lineage, full, attributed, unique, usd, quality }
        };
        (0..self.facts.snapshots.len()).map(row).collect()
    }

    /// The bill.
    pub fn report(self, group_by: Option<&GroupBy>, what_if: Option<WhatIf>) -> Report {
        let all = self.rows();
        let mut rows: Vec<Row> = self.shown.iter().map(|at| all[*at].clone()).collect();
        let groups =
            group_by.map(|by| Groups { by: by.clone(), groups: groups(&rows, by, &self.prices.region) });
        let lineages = self.lineages(&all);
        let shown: BTreeSet<&SnapshotId> = rows.iter().map(|row| &row.info.id).collect();
        let ids = self.facts.snapshots.iter().map(|info| &info.id);
        let hidden = ids.filter(|id| !shown.contains(id)).cloned().collect();
        rows.sort_by(|a, b| b.usd.cmp(&a.usd).then(a.info.start_time.cmp(&b.info.start_time)));
        Report {
            totals: Totals::of(&rows),
            selection: self.selection,
            rows,
            hidden,
            lineages,
            groups,
            what_if,
            binned: self.facts.binned.get().map(|all| all.iter().map(|one| one.id.clone()).collect()),
            prices: self.prices,
            spent: self.spent,
            fault: self.fault,
            now: self.now,
        }
    }

    fn lineages(&self, rows: &[Row]) -> Vec<LineageRow> {
        let last = rows.iter().map(|row| row.lineage).max().unwrap_or(0);
        let row = |number: usize| {
            let members = || rows.iter().enumerate().filter(move |(_, row)| row.lineage == number);
            let layers = members().find_map(|(at, _)| self.lineage(at)).map(|(lineage, _)| &lineage.layers);
            let later: Vec<BlockSet> = layers
                .into_iter()
                .flatten()
                .filter(|layer| layer.stands_upon().is_some())
                .map(|layer| layer.churned())
                .collect();
            let written: u64 = later.iter().map(BlockSet::len).sum();
            LineageRow {
                number,
                totals: Totals::of(members().map(|(_, row)| row)),
                churn: written.checked_div(later.len() as u64).map(|blocks| BlockSize::EBS.of(blocks)),
                hottest: churn(&later, HOTTEST),
            }
        };
        (1..=last).map(row).collect()
    }
}

/// Why nothing is known, as far as the facts tell.
fn told(info: &SnapshotInfo, doubt: Doubt) -> Doubt {
    match info.state {
        SnapshotState::Pending => Doubt::Pending,
        SnapshotState::Error => Doubt::Error,
        SnapshotState::Recoverable | SnapshotState::Recovering => Doubt::Binned,
        SnapshotState::Completed => doubt,
    }
}

fn groups(rows: &[Row], by: &GroupBy, region: &str) -> Vec<Group> {
    let mut groups: BTreeMap<Option<String>, Totals> = BTreeMap::new();
    for row in rows {
        let name = match by {
            GroupBy::Tag(key) => row.info.tags.get(key).cloned(),
            GroupBy::Volume => row.info.volume_id.as_ref().filter(|id| id.is_real()).map(ToString::to_string),
            GroupBy::Account => Some(row.info.owner_id.clone()),
            GroupBy::Region => Some(region.to_owned()),
        };
        groups.entry(name).or_default().add(row);
    }
    let mut groups: Vec<Group> = groups.into_iter().map(|(name, totals)| Group { name, totals }).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.totals.usd));
    groups
}

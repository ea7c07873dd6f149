//! The JSON of the bill. Amounts are exact decimal numbers; what is unknown is null.

use crate::block::ByteSize;
use crate::cost::archive::{MINIMUM_DAYS, RESTORE_HOURS};
use crate::cost::{Amount, Prices, Quality};
use crate::ops::cost::{Freed, Group, LineageRow, Report, Row, Selection, Spent, Totals, What, WhatIf};
use crate::render::json::{self, Frame};
use crate::render::numbers::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, Write};
use std::str::FromStr;

/// A decimal number with all its digits, as no float has them.
pub(super) type Exact = Box<RawValue>;

pub(super) fn exact(amount: Amount) -> Exact {
    RawValue::from_string(amount.exact()).unwrap_or_else(|_| unreachable!("it is a decimal number"))
}

pub(super) fn bytes(size: Option<ByteSize>) -> Option<u64> {
    size.map(ByteSize::bytes)
}

#[derive(Serialize)]
struct View<'a> {
    selection: SelectionView,
    totals: TotalsView,
    snapshots: Vec<RowView<'a>>,
    lineages: Vec<LineageView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<GroupView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what_if: Option<WhatIfView<'a>>,
    /// Null where nobody told.
    recycle_bin_snapshots: Option<usize>,
    prices: PricesView<'a>,
    time: Option<String>,
    inspection: SpentView,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// What was asked to be shown; all three empty: everything.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct SelectionView {
    snapshots: Vec<String>,
    volumes: Vec<String>,
    tags: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct TotalsView {
    snapshots: usize,
    stored_bytes: u64,
    usd_month: Exact,
    quality: &'static str,
    unknown_snapshots: usize,
}

#[derive(Serialize)]
pub(super) struct RowView<'a> {
    snapshot_id: &'a str,
    volume_id: Option<&'a str>,
    start_time: Option<String>,
    state: &'static str,
    tier: &'static str,
    lineage: usize,
    full_bytes: Option<u64>,
    attributed_bytes: Option<u64>,
    unique_bytes: Option<u64>,
    usd_month: Option<Exact>,
    quality: &'static str,
    reason: Option<&'static str>,
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct LineageView {
    lineage: usize,
    snapshots: usize,
    stored_bytes: u64,
    usd_month: Exact,
    /// Written on average from one to the next.
    churn_bytes: Option<u64>,
    hottest: Vec<HotView>,
}

#[derive(Serialize)]
struct HotView {
    start: u32,
    len: u32,
    times: u32,
}

#[derive(Serialize)]
struct GroupView<'a> {
    /// Null for those without: untagged, of no volume.
    name: Option<&'a str>,
    #[serde(flatten)]
    totals: TotalsView,
}

#[derive(Serialize)]
struct WhatIfView<'a> {
    what: &'static str,
    snapshots: Vec<&'a str>,
    kept: Vec<&'a str>,
    freed_bytes: u64,
    /// Of these, at once; null where nobody knows.
    freed_now_bytes: Option<u64>,
    /// Of these, when they leave the Recycle Bin.
    freed_later_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    freed_later_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<ArchiveView>,
    saved_usd_month: Exact,
    left_usd_month: Exact,
    quality: &'static str,
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    choice: Option<&'static str>,
    moved_to: Vec<MovedView<'a>>,
    blockers: Vec<BlockerView<'a>>,
    /// What could stand against it as well, and was not looked at.
    not_asked: Vec<&'static str>,
}

#[derive(Serialize)]
struct ArchiveView {
    minimum_days: u64,
    restore_hours: u64,
    /// For all of it, once; null where the price is not known.
    retrieval_usd: Option<Exact>,
    /// Days after which it has cost less than staying; null if never.
    break_even_days: Option<u64>,
}

#[derive(Serialize)]
struct MovedView<'a> {
    snapshot_id: &'a str,
    bytes: u64,
}

#[derive(Serialize)]
struct BlockerView<'a> {
    snapshot_id: &'a str,
    code: &'static str,
}

#[derive(Serialize)]
struct PricesView<'a> {
    region: &'a str,
    as_of: &'a str,
    usd_standard_gib_month: Exact,
    usd_archive_gib_month: Exact,
}

#[derive(Serialize)]
pub(super) struct SpentView {
    listings: u64,
    listings_kept: u64,
    usd: Exact,
}

impl SelectionView {
    fn new(selection: &Selection) -> Self {
        Self {
            snapshots: selection.ids.iter().map(ToString::to_string).collect(),
            volumes: selection.volumes.iter().map(ToString::to_string).collect(),
            tags: selection.tags.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect(),
        }
    }

    /// Back from what was written.
    pub(super) fn read(&self) -> Result<Selection, String> {
        fn all<T: FromStr<Err: Display>>(texts: &[String]) -> Result<Vec<T>, String> {
            texts.iter().map(|text| text.parse().map_err(|error: T::Err| error.to_string())).collect()
        }
        Ok(Selection { ids: all(&self.snapshots)?, volumes: all(&self.volumes)?, tags: all(&self.tags)? })
    }
}

impl TotalsView {
    fn new(totals: &Totals) -> Self {
        Self {
            snapshots: totals.snapshots,
            stored_bytes: totals.stored.bytes(),
            usd_month: exact(totals.usd),
            quality: totals.quality(),
            unknown_snapshots: totals.unknown,
        }
    }
}

impl<'a> RowView<'a> {
    pub(super) fn new(row: &'a Row) -> Self {
        Self {
            snapshot_id: row.info.id.as_str(),
            volume_id: row.info.volume_id.as_ref().map(|id| id.as_str()),
            start_time: rfc3339(row.info.start_time),
            state: row.info.state.as_str(),
            tier: row.info.tier.as_str(),
            lineage: row.lineage,
            full_bytes: bytes(row.full),
            attributed_bytes: bytes(row.attributed),
            unique_bytes: bytes(row.unique),
            usd_month: row.usd.map(exact),
            quality: row.quality.code(),
            reason: reason(row.quality),
            name: row.info.tags.get("Name").map(String::as_str),
        }
    }
}

impl LineageView {
    fn new(lineage: &LineageRow) -> Self {
        let hot = |run: &crate::delta::Churn| HotView {
            start: run.range.start().get(),
            len: run.range.len(),
            times: run.times,
        };
        Self {
            lineage: lineage.number,
            snapshots: lineage.totals.snapshots,
            stored_bytes: lineage.totals.stored.bytes(),
            usd_month: exact(lineage.totals.usd),
            churn_bytes: bytes(lineage.churn),
            hottest: lineage.hottest.iter().map(hot).collect(),
        }
    }
}

impl<'a> WhatIfView<'a> {
    fn new(answer: &'a WhatIf, prices: &Prices) -> Self {
        let all = answer.freed.bytes();
        let (now, later, at) = match answer.when {
            None | Some(Freed::Now) => (Some(all), Some(0), None),
            Some(Freed::Unknown) => (None, None, None),
            Some(Freed::At(time)) => (Some(0), Some(all), Some(time)),
        };
        Self {
            what: match answer.what {
                What::Delete(_) => "delete",
                What::Archive(..) => "archive",
                What::Keep { .. } => "keep",
                What::Retain(_) => "retention",
            },
            snapshots: answer.snapshots.iter().map(|id| id.as_str()).collect(),
            kept: answer.kept.iter().map(|id| id.as_str()).collect(),
            freed_bytes: answer.freed.bytes(),
            freed_now_bytes: now,
            freed_later_bytes: later,
            freed_later_at: at.and_then(rfc3339),
            archived_bytes: bytes(answer.archiving.map(|all| all.full)),
            archive: answer.archiving.map(|all| ArchiveView {
                minimum_days: MINIMUM_DAYS,
                restore_hours: RESTORE_HOURS,
                retrieval_usd: all.retrieval(prices).map(exact),
                break_even_days: all.break_even_days(),
            }),
            saved_usd_month: exact(answer.saved),
            left_usd_month: exact(answer.left),
            quality: answer.quality.code(),
            reason: reason(answer.quality),
            choice: answer.is_exact_choice.map(|is_exact| if is_exact { "exact" } else { "heuristic" }),
            moved_to: answer
                .moved
                .iter()
                .map(|(id, size)| MovedView { snapshot_id: id.as_str(), bytes: size.bytes() })
                .collect(),
            blockers: answer
                .blockers
                .iter()
                .map(|(id, blocker)| BlockerView { snapshot_id: id.as_str(), code: blocker.code() })
                .collect(),
            not_asked: answer.not_asked.iter().map(|what| what.code()).collect(),
        }
    }
}

impl SpentView {
    pub(super) fn new(spent: &Spent) -> Self {
        Self { listings: spent.listings, listings_kept: spent.kept, usd: exact(spent.usd().into()) }
    }
}

pub(super) fn reason(quality: Quality) -> Option<&'static str> {
    quality.doubt().map(|doubt| doubt.code())
}

pub(super) fn frame(spent: &Spent, is_complete: bool) -> Frame {
    Frame { complete: is_complete, requests: Some(spent.requests), elapsed: Some(spent.elapsed) }
}

pub(super) fn as_json<'a>(report: &'a Report, out: &mut dyn Write) -> io::Result<()> {
    let view = View {
        selection: SelectionView::new(&report.selection),
        totals: TotalsView::new(&report.totals),
        snapshots: report.rows.iter().map(RowView::new).collect(),
        lineages: report.lineages.iter().map(LineageView::new).collect(),
        groups: report.groups.as_ref().map(|groups| {
            let view = |group: &'a Group| GroupView {
                name: group.name.as_deref(),
                totals: TotalsView::new(&group.totals),
            };
            groups.groups.iter().map(view).collect()
        }),
        what_if: report.what_if.as_ref().map(|answer| WhatIfView::new(answer, &report.prices)),
        recycle_bin_snapshots: report.binned.as_ref().map(BTreeSet::len),
        prices: PricesView {
            region: &report.prices.region,
            as_of: &report.prices.as_of,
            usd_standard_gib_month: exact(report.prices.standard.into()),
            usd_archive_gib_month: exact(report.prices.archive.into()),
        },
        time: rfc3339(report.now),
        inspection: SpentView::new(&report.spent),
        fault: report.fault.as_ref().map(ToString::to_string),
    };
    json::object(out, "cost", frame(&report.spent, report.is_complete()), &view)
}

//! `icecore cost compare` and `reconcile`: the bill beside an earlier one, and beside AWS's.

use super::tables::{bytes, usd};
use super::view::{Exact, SelectionView, SpentView, exact, frame};
use super::{decimals, footer, gib_of};
use crate::block::ByteSize;
use crate::cost::{Amount, Usd};
use crate::ops::cost::compare::{CompareReport, Difference, Earlier, EarlierRow};
use crate::ops::cost::reconcile::{Class, Line, ReconcileReport};
use crate::render::json;
use crate::render::numbers::count;
use crate::render::sheet;
use crate::render::{Format, Printer, Render, table};
use crate::snapshot::StorageTier;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Why a file is no report to compare with.
#[derive(Debug, thiserror::Error)]
pub enum EarlierError {
    /// It is not JSON, or not such a report.
    #[error("it is no report of icecore cost: {0}")]
    Unreadable(String),
    /// It is a report of another kind, or of another version.
    #[error(
        "it is a report of schema '{0}', expected icecore/cost/1: make one with icecore cost --format json"
    )]
    Schema(String),
}

#[derive(Deserialize)]
struct Named {
    schema: String,
}

#[derive(Deserialize)]
struct EarlierView {
    selection: Option<SelectionView>,
    snapshots: Vec<EarlierRowView>,
    prices: EarlierPrices,
    time: Option<String>,
}

#[derive(Deserialize)]
struct EarlierRowView {
    snapshot_id: String,
    tier: String,
    attributed_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct EarlierPrices {
    region: String,
    usd_standard_gib_month: Box<RawValue>,
    usd_archive_gib_month: Box<RawValue>,
}

/// Reads the JSON that `icecore cost` wrote.
pub fn earlier(text: &str) -> Result<Earlier, EarlierError> {
    let unreadable = |error: serde_json::Error| EarlierError::Unreadable(error.to_string());
    let named: Named = serde_json::from_str(text).map_err(unreadable)?;
    if named.schema != "icecore/cost/1" {
        return Err(EarlierError::Schema(named.schema.chars().take(60).collect()));
    }
    let view: EarlierView = serde_json::from_str(text).map_err(unreadable)?;
    let usd = |price: &RawValue| {
        price.get().parse::<Usd>().map_err(|error| EarlierError::Unreadable(error.to_string()))
    };
    let mut rows = BTreeMap::new();
    for row in &view.snapshots {
        let id = row.snapshot_id.parse().map_err(|error| EarlierError::Unreadable(format!("{error}")))?;
        let tier = match row.tier.as_str() {
            "standard" => StorageTier::Standard,
            "archive" => StorageTier::Archive,
            other => return Err(EarlierError::Unreadable(format!("'{other}' is no tier"))),
        };
        rows.insert(id, EarlierRow { attributed: row.attributed_bytes.map(ByteSize::from_bytes), tier });
    }
    Ok(Earlier {
        standard: usd(&view.prices.usd_standard_gib_month)?,
        archive: usd(&view.prices.usd_archive_gib_month)?,
        region: view.prices.region,
        selection: view.selection.map(|one| one.read().map_err(EarlierError::Unreadable)).transpose()?,
        time: view.time,
        rows,
    })
}

impl Render for CompareReport {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(compare_text),
            Format::Json => Some(compare_json),
            Format::Csv => Some(compare_csv),
            Format::Jsonl | Format::Cbt | Format::Junit | Format::Metrics => None,
        }
    }
}

/// Differences shown to people; programs get all of them.
const SHOWN: usize = 20;

fn signed(amount: Amount, decimals: u32) -> String {
    let text = amount.rounded(decimals);
    if amount.is_negative() { text } else { format!("+{text}") }
}

fn by_reason(report: &CompareReport) -> BTreeMap<crate::ops::cost::compare::Why, (usize, Amount)> {
    let mut sums = BTreeMap::new();
    for difference in &report.differences {
        let sum: &mut (usize, Amount) = sums.entry(difference.why).or_default();
        sum.0 += 1;
        sum.1 += difference.amount();
    }
    sums
}

fn compare_text(report: &CompareReport, out: &mut dyn Write) -> io::Result<()> {
    let decimals = decimals([report.before, report.after].into_iter());
    let since = report.since.as_deref().unwrap_or("an unknown time");
    let since = crate::render::escaped(since);
    writeln!(
        out,
        "Since {since}: {} USD a month, from {} to {}.",
        signed(report.after - report.before, decimals),
        report.before.rounded(decimals),
        report.after.rounded(decimals)
    )?;
    if report.now.totals.unknown > 0 {
        writeln!(
            out,
            "  > what it costs now is without {} snapshots of unknown size",
            report.now.totals.unknown
        )?;
    }
    if report.differences.is_empty() {
        writeln!(out, "nothing changed")?;
        return footer(out, &report.now.spent, report.now.fault.is_some());
    }
    writeln!(out)?;
    let sums = by_reason(report);
    let cells = sums.iter().map(|(why, (n, amount))| {
        vec![why.sentence().to_owned(), count(*n as u64), signed(*amount, decimals)]
    });
    table::rows(out, &["WHY", "SNAPSHOTS", "USD/MONTH"], &[1, 2], cells)?;
    writeln!(out)?;
    let amount = |amount: Option<Amount>| amount.map_or_else(|| "-".to_owned(), |usd| usd.rounded(decimals));
    let cells = |difference: &Difference| {
        vec![
            difference.id.to_string(),
            amount(difference.before),
            amount(difference.after),
            signed(difference.amount(), decimals),
            difference.why.sentence().to_owned(),
        ]
    };
    let rows = report.differences.iter().take(SHOWN).map(cells);
    table::rows(out, &["SNAPSHOT", "BEFORE", "NOW", "USD/MONTH", "WHY"], &[1, 2, 3], rows)?;
    let more = report.differences.len().saturating_sub(SHOWN);
    if more > 0 {
        writeln!(out, "  .. and {} more; --format json lists all", count(more as u64))?;
    }
    footer(out, &report.now.spent, report.now.fault.is_some())
}

fn compare_csv(report: &CompareReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "snapshot_id,usd_month_before,usd_month_now,usd_month_difference,why")?;
    report.differences.iter().try_for_each(|difference| {
        let (before, after) = (usd(difference.before), usd(difference.after));
        let amount = difference.amount().exact();
        sheet::row(out, &[&difference.id, &before, &after, &amount, &difference.why.code()])
    })
}

#[derive(Serialize)]
struct DifferenceView<'a> {
    snapshot_id: &'a str,
    usd_month_before: Option<Exact>,
    usd_month_now: Option<Exact>,
    usd_month_difference: Exact,
    why: &'static str,
}

#[derive(Serialize)]
struct CompareView<'a> {
    since: Option<&'a str>,
    usd_month_before: Exact,
    usd_month_now: Exact,
    quality: &'static str,
    why: BTreeMap<&'static str, Exact>,
    differences: Vec<DifferenceView<'a>>,
    inspection: SpentView,
}

fn compare_json(report: &CompareReport, out: &mut dyn Write) -> io::Result<()> {
    let view = CompareView {
        since: report.since.as_deref(),
        usd_month_before: exact(report.before),
        usd_month_now: exact(report.after),
        quality: report.now.totals.quality(),
        why: by_reason(report).into_iter().map(|(why, (_, amount))| (why.code(), exact(amount))).collect(),
        differences: report
            .differences
            .iter()
            .map(|one| DifferenceView {
                snapshot_id: one.id.as_str(),
                usd_month_before: one.before.map(exact),
                usd_month_now: one.after.map(exact),
                usd_month_difference: exact(one.amount()),
                why: one.why.code(),
            })
            .collect(),
        inspection: SpentView::new(&report.now.spent),
    };
    json::object(out, "cost-compare", frame(&report.now.spent, report.now.is_complete()), &view)
}

impl Render for ReconcileReport {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(reconcile_text),
            Format::Json => Some(reconcile_json),
            Format::Csv => Some(reconcile_csv),
            Format::Jsonl | Format::Cbt | Format::Junit | Format::Metrics => None,
        }
    }
}

fn reconcile_text(report: &ReconcileReport, out: &mut dyn Write) -> io::Result<()> {
    let size = |size: Option<ByteSize>| size.map_or_else(|| "-".to_owned(), gib_of);
    let class = |class: Class| class.code().replace('_', " ");
    let cells =
        |line: &&Line| vec![line.id.to_string(), size(line.predicted), size(line.billed), class(line.class)];
    let other: Vec<&Line> = report.lines.iter().filter(|line| line.class != Class::Agrees).collect();
    if !other.is_empty() {
        let header = ["SNAPSHOT", "MODEL GiB", "BILLED GiB", "CLASS"];
        table::rows(out, &header, &[1, 2], other.iter().take(SHOWN).map(cells))?;
        let more = other.len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(out, "  .. and {} more; --format json lists all", count(more as u64))?;
        }
        writeln!(out)?;
    }
    let mut classes: BTreeMap<Class, Vec<&Line>> = BTreeMap::new();
    report.lines.iter().for_each(|line| classes.entry(line.class).or_default().push(line));
    let sum = |name: String, lines: &[&Line]| {
        let all = |of: fn(&Line) -> Option<ByteSize>| {
            let told = lines.iter().filter_map(|line| of(line));
            size(told.reduce(|a, b| ByteSize::from_bytes(a.bytes() + b.bytes())))
        };
        vec![name, count(lines.len() as u64), all(|line| line.predicted), all(|line| line.billed)]
    };
    let mut sums: Vec<_> = classes.iter().map(|(of, lines)| sum(class(*of), lines)).collect();
    sums.push(sum("all".to_owned(), &report.lines.iter().collect::<Vec<_>>()));
    table::rows(out, &["CLASS", "SNAPSHOTS", "MODEL GiB", "BILLED GiB"], &[1, 2, 3], sums)?;
    let last = report.last_day.as_deref().map_or_else(|| "none".to_owned(), crate::render::escaped);
    writeln!(out, "\nThe newest day of the bill is {last}.")?;
    if report.elsewhere > 0 {
        let n = count(report.elsewhere as u64);
        writeln!(out, "{n} of its snapshots are of other Regions or accounts, and left out.")?;
    }
    match report.factor {
        None => writeln!(out, "No snapshot is in both, so nothing can be said of the account's factor.")?,
        Some(factor) => writeln!(
            out,
            "AWS bills {}.{:03} times what block maps say: {}.",
            factor / 1000,
            factor % 1000,
            match factor {
                999..=1001 => "it does not compress for billing",
                0..999 => "less, as if it compressed",
                _ => "more, so the model misses something",
            }
        )?,
    }
    footer(out, &report.now.spent, report.now.fault.is_some())
}

fn reconcile_csv(report: &ReconcileReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "ResourceId,PredictedBytes,BilledBytes,Class")?;
    report.lines.iter().try_for_each(|line| {
        sheet::row(out, &[&line.id, &bytes(line.predicted), &bytes(line.billed), &line.class.code()])
    })
}

#[derive(Serialize)]
struct LineView<'a> {
    snapshot_id: &'a str,
    predicted_bytes: Option<u64>,
    billed_bytes: Option<u64>,
    class: &'static str,
}

#[derive(Serialize)]
struct ReconcileView<'a> {
    last_day: Option<&'a str>,
    factor_thousandths: Option<u64>,
    /// Of other Regions or accounts.
    left_out: usize,
    snapshots: Vec<LineView<'a>>,
    inspection: SpentView,
}

fn reconcile_json(report: &ReconcileReport, out: &mut dyn Write) -> io::Result<()> {
    let snapshots = report.lines.iter().map(|line| LineView {
        snapshot_id: line.id.as_str(),
        predicted_bytes: line.predicted.map(ByteSize::bytes),
        billed_bytes: line.billed.map(ByteSize::bytes),
        class: line.class.code(),
    });
    let view = ReconcileView {
        last_day: report.last_day.as_deref(),
        factor_thousandths: report.factor,
        left_out: report.elsewhere,
        snapshots: snapshots.collect(),
        inspection: SpentView::new(&report.now.spent),
    };
    json::object(out, "cost-reconcile", frame(&report.now.spent, report.now.is_complete()), &view)
}

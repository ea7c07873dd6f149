//! The bill as AWS wrote it, held against the model.
//!
//! Read are exports of cost and usage as CSV: the legacy report (`lineItem/ResourceId`), CUR 2.0
//! (`line_item_resource_id`) and FOCUS (`ResourceId`). Of each snapshot the newest day is taken. AWS writes GB-months:
//! what was stored, times the part of the month it was stored for. Lines of credits and discounts repeat the amount of
//! what they are for: only usage counts.

use crate::block::ByteSize;
use crate::cost::Quality;
use crate::ops::cost::{Report, Row};
use crate::snapshot::{SnapshotId, SnapshotState, StorageTier};
use std::collections::{BTreeMap, BTreeSet};

/// What AWS billed for a snapshot, on the newest day of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Billed {
    /// The day.
    pub day: String,
    /// What was stored, averaged over that day.
    pub stored: ByteSize,
    /// Whether it was billed in the archive tier.
    pub is_archive: bool,
    /// Hours of the day that are billed.
    pub hours: u64,
    /// The Region and the account that it is of, where the file names it by its ARN.
    pub home: Option<(String, String)>,
}

/// The snapshots of a bill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// By name.
    pub snapshots: BTreeMap<SnapshotId, Billed>,
    /// The newest day of the file.
    pub last_day: Option<String>,
}

/// Why a file is no bill.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BillError {
    /// It is packed, as AWS delivers it.
    #[error("it is {0}; expected a cost and usage report or a FOCUS export as CSV")]
    Packed(&'static str),
    /// It is not CSV.
    #[error("row {0} is not CSV: {1}")]
    Csv(u64, String),
    /// A column is missing.
    #[error("it has no column {0}; expected a cost and usage report or a FOCUS export as CSV")]
    Column(&'static str),
    /// A cell cannot be read.
    #[error("row {row}: '{cell}' is no {what}")]
    Cell {
        /// Counted from 1, the header not included.
        row: u64,
        /// What stands there.
        cell: String,
        /// What was expected.
        what: &'static str,
    },
}

/// What a column is called in the three kinds of file.
struct Column(&'static str, [&'static str; 3]);

const RESOURCE: Column = Column("ResourceId", ["lineItem/ResourceId", "line_item_resource_id", "ResourceId"]);
const USAGE: Column = Column("UsageType", ["lineItem/UsageType", "line_item_usage_type", "x_UsageType"]);
const AMOUNT: Column =
    Column("UsageAmount", ["lineItem/UsageAmount", "line_item_usage_amount", "ConsumedQuantity"]);
const START: Column =
    Column("UsageStartDate", ["lineItem/UsageStartDate", "line_item_usage_start_date", "ChargePeriodStart"]);
const END: Column =
    Column("UsageEndDate", ["lineItem/UsageEndDate", "line_item_usage_end_date", "ChargePeriodEnd"]);

/// What a line is for; not every export has it.
const KIND: Column =
    Column("LineItemType", ["lineItem/LineItemType", "line_item_line_item_type", "ChargeCategory"]);

impl Bill {
    /// Reads an export.
    pub fn read(text: &[u8]) -> Result<Self, BillError> {
        for (magic, what) in [
            (&b"\x1f\x8b"[..], "compressed (unpack it with gunzip)"),
            (b"PK", "a ZIP archive (unpack it)"),
            (b"PAR1", "Parquet"),
        ] {
            if text.starts_with(magic) {
                return Err(BillError::Packed(what));
            }
        }
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
        let headers = reader.headers().map_err(|error| BillError::Csv(0, error.to_string()))?.clone();
        let column = |column: Column| {
            let is_it = |name: &str| column.1.contains(&name.trim_start_matches('\u{feff}'));
            headers.iter().position(is_it).ok_or(BillError::Column(column.0))
        };
        let kind = column(KIND).ok();
        let (resource, amount) = (column(RESOURCE)?, column(AMOUNT)?);
        let (usage, start, end) = (column(USAGE)?, column(START)?, column(END)?);
        let mut days: BTreeMap<(SnapshotId, String, bool), Day> = BTreeMap::new();
        let mut homes: BTreeMap<SnapshotId, (String, String)> = BTreeMap::new();
        for (number, record) in reader.records().enumerate() {
            let row = number as u64 + 1;
            let record = record.map_err(|error| BillError::Csv(row, error.to_string()))?;
            let cell = |at: usize| record.get(at).unwrap_or_default();
            let Some(is_archive) = tier(cell(usage)) else { continue };
            if kind.is_some_and(|at| cell(at) != "Usage") {
                continue;
            }
            let (home, name) = home_and_name(cell(resource));
            let Ok(id) = name.parse::<SnapshotId>() else { continue };
            homes.extend(home.map(|home| (id.clone(), home)));
            let unreadable = |at: usize, what| BillError::Cell { row, cell: cell(at).to_owned(), what };
            let amount_billed = decimal(cell(amount)).ok_or_else(|| unreadable(amount, "amount"))?;
            let from = time(cell(start)).ok_or_else(|| unreadable(start, "time"))?;
            let to = time(cell(end)).ok_or_else(|| unreadable(end, "time"))?;
            let hours = u64::try_from((to - from) / 3600).unwrap_or(0);
            let day: String = cell(start).chars().take(10).collect();
            let month_hours = u128::from(month_days(&day).ok_or_else(|| unreadable(start, "time"))? * 24);
            let entry = days.entry((id, day, is_archive)).or_default();
            entry.amount += amount_billed * month_hours;
            // A period is counted once, however many lines it has.
            if entry.periods.insert(cell(start).to_owned()) {
                entry.hours += hours;
            }
        }
        let mut bill = Self::default();
        for ((id, day, is_archive), Day { amount, hours, .. }) in days {
            let gib = amount.checked_div(u128::from(hours)).unwrap_or(0);
            let stored = ByteSize::from_bytes(u64::try_from((gib << 30) / WHOLE).unwrap_or(u64::MAX));
            bill.last_day = bill.last_day.max(Some(day.clone()));
            // Days come in order: the newest stays.
            let home = homes.get(&id).cloned();
            bill.snapshots.insert(id, Billed { day, stored, is_archive, hours, home });
        }
        Ok(bill)
    }
}

/// The Region and account of a resource, where it is named by its ARN, and its name:
/// `arn:aws:ec2:us-east-1:123456789012:snapshot/snap-0a`.
fn home_and_name(resource: &str) -> (Option<(String, String)>, &str) {
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    let name = resource.rsplit('/').next().unwrap_or_default();
    match parts.as_slice() {
        ["arn", _, _, region, account, _] => (Some(((*region).to_owned(), (*account).to_owned())), name),
        _ => (None, name),
    }
}

/// What is billed of a snapshot for one day and tier.
#[derive(Default)]
struct Day {
    /// GB-months times the hours of the month, in units of 10^-12.
    amount: u128,
    periods: BTreeSet<String>,
    hours: u64,
}

/// A whole in the units in which amounts are read.
const WHOLE: u128 = 1_000_000_000_000;

/// Whether a usage type is that of a snapshot's storage, and in which tier. Others sound alike.
fn tier(usage: &str) -> Option<bool> {
    match usage.rsplit_once("EBS:").map(|(_, rest)| rest) {
        Some("SnapshotUsage") => Some(false),
        Some("SnapshotArchiveStorage") => Some(true),
        _ => None,
    }
}

/// A decimal number in units of 10^-12; exponents as spreadsheets write them included.
fn decimal(text: &str) -> Option<u128> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = format!("{whole}{decimals}");
    if digits.is_empty() || digits.len() > 30 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u128 = digits.parse().ok()?;
    let shift = 12 + exponent - i32::try_from(decimals.len()).ok()?;
    match u32::try_from(shift) {
        Ok(up) => value.checked_mul(10_u128.checked_pow(up)?),
        Err(_) => Some(value / 10_u128.checked_pow(shift.unsigned_abs()).unwrap_or(u128::MAX)),
    }
}

/// Seconds since 1970 of `2026-09-13T00:00:00Z` or `2026-09-13 00:00:00`, in UTC.
fn time(text: &str) -> Option<i64> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970 in the proleptic Gregorian calendar; years begin in March, so that leap days come last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day
        - 1
        - 719_468;
    Some(days * 86_400 + part(11, 13).unwrap_or(0) * 3_600 + part(14, 16).unwrap_or(0) * 60)
}

/// Days of the month that a day lies in.
fn month_days(day: &str) -> Option<u64> {
    let month = |year: i64, month: i64| time(&format!("{year:04}-{month:02}-01"));
    let (year, number): (i64, i64) = (day.get(0..4)?.parse().ok()?, day.get(5..7)?.parse().ok()?);
    let next = if number == 12 { month(year + 1, 1)? } else { month(year, number + 1)? };
    u64::try_from((next - month(year, number)?) / 86_400).ok()
}

/// Why AWS billed another size than the model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// They agree to a thousandth, or a block.
    Agrees,
    /// The file ends before the snapshot was there long enough.
    Lag,
    /// The day is not whole: it was deleted, or made, in the middle.
    PartOfDay,
    /// The snapshot is gone.
    Gone,
    /// One of the two has it in the archive tier.
    Archived,
    /// It lies in the Recycle Bin.
    RecycleBin,
    /// The model does not know it exactly.
    UnknownMember,
    /// Nothing of this explains it; rates of all snapshots alike show in the factor.
    Unexplained,
}

impl Class {
    /// For programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Lag => "lag",
            Self::PartOfDay => "part_of_day",
            Self::Gone => "gone",
            Self::Archived => "archived",
            Self::RecycleBin => "recycle_bin",
            Self::UnknownMember => "unknown_member",
            Self::Unexplained => "unexplained",
        }
    }
}

/// One snapshot of either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The snapshot.
    pub id: SnapshotId,
    /// What the model says is billed to it; `None` where it is unknown or gone.
    pub predicted: Option<ByteSize>,
    /// What AWS billed; `None` where it is not in the file.
    pub billed: Option<ByteSize>,
    /// Why they differ.
    pub class: Class,
}

/// What `icecore cost reconcile` found.
#[derive(Debug)]
#[must_use]
pub struct ReconcileReport {
    /// Largest difference first.
    pub lines: Vec<Line>,
    /// Snapshots of the file that are of other Regions or accounts: left out.
    pub elsewhere: usize,
    /// The newest day of the file.
    pub last_day: Option<String>,
    /// Billed over predicted, in thousandths, of snapshots that both have exactly: 1,000 where AWS bills what block
    /// maps say, less where it compresses. `None` without any.
    pub factor: Option<u64>,
    /// The model.
    pub now: Report,
}

/// Holds a bill against the model.
pub fn reconcile(bill: &Bill, now: Report) -> ReconcileReport {
    let mut lines: Vec<Line> = now.rows.iter().map(|row| line(row, bill)).collect();
    let shown = now.rows.iter().map(|row| &row.info.id);
    let known: BTreeSet<&SnapshotId> = shown.chain(&now.hidden).collect();
    let owners: BTreeSet<&str> = now.rows.iter().map(|row| row.info.owner_id.as_str()).collect();
    let is_ours = |billed: &Billed| match &billed.home {
        None => true,
        // Where there is no snapshot left, whatever the Region has is ours.
        Some((region, account)) => {
            *region == now.prices.region && (owners.is_empty() || owners.contains(account.as_str()))
        }
    };
    let missing = bill.snapshots.iter().filter(|(id, _)| !known.contains(id));
    let (gone, elsewhere): (Vec<_>, Vec<_>) = missing.partition(|(_, billed)| is_ours(billed));
    let is_binned = |id| now.binned.as_ref().is_some_and(|binned| binned.contains(id));
    lines.extend(gone.into_iter().map(|(id, billed)| Line {
        id: id.clone(),
        predicted: None,
        billed: Some(billed.stored),
        class: if is_binned(id) { Class::RecycleBin } else { Class::Gone },
    }));
    let both = lines.iter().filter(|line| matches!(line.class, Class::Agrees | Class::Unexplained));
    let both = both.filter_map(|line| Some((line.predicted?.bytes(), line.billed?.bytes())));
    let (predicted, billed) =
        both.fold((0_u128, 0_u128), |sum, (p, b)| (sum.0 + u128::from(p), sum.1 + u128::from(b)));
    let factor =
        (billed * 1000 + predicted / 2).checked_div(predicted).and_then(|factor| u64::try_from(factor).ok());
    lines.sort_by_key(|line| std::cmp::Reverse(difference(line)));
    let elsewhere = elsewhere.len();
    ReconcileReport { lines, elsewhere, last_day: bill.last_day.clone(), factor, now }
}

fn difference(line: &Line) -> u64 {
    let bytes = |size: Option<ByteSize>| size.map_or(0, ByteSize::bytes);
    bytes(line.predicted).abs_diff(bytes(line.billed))
}

fn line(row: &Row, bill: &Bill) -> Line {
    let billed = bill.snapshots.get(&row.info.id);
    let mut line = Line {
        id: row.info.id.clone(),
        predicted: row.attributed,
        billed: billed.map(|billed| billed.stored),
        class: Class::Unexplained,
    };
    // A thousandth, but no less than a block: AWS rounds too.
    let tolerated = (row.attributed.map_or(0, ByteSize::bytes) / 1000).max(524_288);
    line.class = match billed {
        None if row.attributed == Some(ByteSize::from_bytes(0)) => Class::Agrees,
        None => Class::Lag,
        _ if row.info.state == SnapshotState::Recoverable => Class::RecycleBin,
        _ if row.attributed.is_none() => Class::UnknownMember,
        Some(billed) if billed.is_archive != (row.info.tier == StorageTier::Archive) => Class::Archived,
        _ if difference(&line) <= tolerated => Class::Agrees,
        Some(billed) if billed.hours < 24 => Class::PartOfDay,
        Some(billed) if Some(&billed.day) < bill.last_day.as_ref() => Class::Lag,
        _ if row.quality != Quality::Exact => Class::UnknownMember,
        _ => Class::Unexplained,
    };
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SnapshotId {
        text.parse().unwrap()
    }

    #[test]
    fn gb_months_become_what_was_stored_that_day() {
        // 80 GiB for a day of a month of 30, and 10 GiB for one hour of it, in two kinds of file.
        let legacy = "lineItem/ResourceId,lineItem/UsageType,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/UsageAmount\n\
            arn:aws:ec2:us-east-1:1:snapshot/snap-0a,EBS:SnapshotUsage,2026-09-12T00:00:00Z,2026-09-13T00:00:00Z,9\n\
            arn:aws:ec2:us-east-1:1:snapshot/snap-0a,EBS:SnapshotUsage,2026-09-13T00:00:00Z,2026-09-14T00:00:00Z,2.666666666667\n\
            arn:aws:ec2:us-east-1:1:snapshot/snap-0b,USW2-EBS:SnapshotArchiveStorage,2026-09-13T05:00:00Z,2026-09-13T06:00:00Z,0.013888888889\n\
            arn:aws:ec2:us-east-1:1:snapshot/snap-0c,EBS:SnapshotUsageUnderBilling,2026-09-13T00:00:00Z,2026-09-14T00:00:00Z,7\n\
            i-0abc,BoxUsage:t3.micro,2026-09-13T00:00:00Z,2026-09-14T00:00:00Z,24\n";
        let bill = Bill::read(legacy.as_bytes()).unwrap();
        let rounded = |name: &str| (bill.snapshots[&id(name)].stored.bytes() + (1 << 19)) >> 20;
        assert_eq!((rounded("snap-0a"), rounded("snap-0b")), (80 << 10, 10 << 10));
        assert_eq!((bill.snapshots.len(), bill.last_day.as_deref()), (2, Some("2026-09-13")));
        assert!(bill.snapshots[&id("snap-0b")].is_archive);
        let home = Some(("us-east-1".to_owned(), "1".to_owned()));
        assert_eq!(bill.snapshots[&id("snap-0a")].home, home);
        let focus = "\u{feff}ResourceId,x_UsageType,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity\n\
            snap-0a,EBS:SnapshotUsage,2026-02-13T00:00:00Z,2026-02-14T00:00:00Z,1e0\n";
        let bill = Bill::read(focus.as_bytes()).unwrap();
        assert_eq!(bill.snapshots[&id("snap-0a")].stored, ByteSize::from_bytes(28 << 30));
    }

    #[test]
    fn credits_and_discounts_are_no_usage() {
        for (kind, credit) in [
            ("lineItem/LineItemType", "Credit"),
            ("line_item_line_item_type", "EdpDiscount"),
            ("ChargeCategory", "Credit"),
        ] {
            let line = |kind: &str| {
                format!("{kind},snap-0a,EBS:SnapshotUsage,2026-09-13T00:00:00Z,2026-09-14T00:00:00Z,1\n")
            };
            let head =
                format!("{kind},ResourceId,x_UsageType,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity\n");
            let bill = Bill::read(format!("{head}{}{}", line("Usage"), line(credit)).as_bytes()).unwrap();
            assert_eq!(bill.snapshots[&id("snap-0a")].stored, ByteSize::from_bytes(30 << 30), "{kind}");
            assert_eq!(bill.snapshots[&id("snap-0a")].home, None);
        }
    }

    #[test]
    fn what_is_no_bill_says_what_is_missing() {
        let error = |text: &str| Bill::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error("a,b\n1,2\n").contains("no column ResourceId"));
        assert!(error("PAR1..").contains("it is Parquet"));
        assert!(Bill::read(b"\x1f\x8b\x08").unwrap_err().to_string().contains("gunzip"));
        let head = "ResourceId,x_UsageType,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity\n";
        let row = "snap-0a,EBS:SnapshotUsage,2026-09-13T00:00:00Z,2026-09-14T00:00:00Z,many\n";
        assert_eq!(error(&format!("{head}{row}")), "row 1: 'many' is no amount");
        let row = "snap-0a,EBS:SnapshotUsage,yesterday,2026-09-14T00:00:00Z,1\n";
        assert_eq!(error(&format!("{head}{row}")), "row 1: 'yesterday' is no time");
    }

    #[test]
    fn months_have_their_days() {
        for (day, days) in [("2026-02-13", 28), ("2028-02-01", 29), ("2026-12-31", 31), ("2026-09-13", 30)] {
            assert_eq!(month_days(day), Some(days), "{day}");
        }
        assert_eq!(time("1970-01-02T03:04:00Z"), Some(86_400 + 3 * 3_600 + 240));
    }
}

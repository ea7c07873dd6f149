//! The bill as AWS wrote it, held against the model.
//!
//! Read are exports of cost and usage as CSV: the legacy report (`lineItem/ResourceId`), CUR 2.0
//! (`line_item_resource_id`) and FOCUS (`ResourceId`). Of each snapshot the newest day is taken. AWS writes GB-months:
//! what was stored, times the part of the month it was stored for. Lines of credits and discounts repeat the amount of
//! what they are for: only usage counts.

use crate::block::ByteSize;
use crate::cost::Quality;
use crate::ops::cost::{Report, Row};
use crate::snapshot::{SnapshotId, SnapshotState, StorageTier, UnixMillis};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};

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
    /// When the first billed period of the day begins and the last one ends: that of a monthly export is a month.
    pub period: (UnixMillis, UnixMillis),
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
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    /// It is packed, as AWS delivers it, or in another encoding.
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

/// Bytes of the line with the names of the columns, and of any row, at most.
const MAX_ROW_BYTES: u64 = 1 << 20;

impl Bill {
    /// Reads an export row by row: memory follows its snapshots, not its lines. Separators are commas, semicolons or tabs,
    /// and the names of columns may be in lower case.
    pub fn read(source: impl Read) -> Result<Self, BillError> {
        let mut source = BufReader::new(source);
        let mut head = Vec::new();
        (&mut source).take(MAX_ROW_BYTES).read_until(b'\n', &mut head).map_err(BillError::Io)?;
        for (magic, what) in [
            (&b"\x1f\x8b"[..], "compressed (unpack it with gunzip)"),
            (b"PK", "a ZIP archive (unpack it)"),
            (b"PAR1", "Parquet"),
            (b"\xff\xfe", UTF16),
            (b"\xfe\xff", UTF16),
        ] {
            if head.starts_with(magic) {
                return Err(BillError::Packed(what));
            }
        }
        let start = if head.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        let delimiter = delimiter(&head[start..]);
        let since = Cell::new(0);
        let rows = RowBound { source: head[start..].chain(source), since: &since };
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .delimiter(delimiter)
            .trim(csv::Trim::Headers)
            .from_reader(rows);
        let headers = reader.headers().map_err(|error| csv_error(0, error))?.clone();
        let columns = Columns::find(&headers, delimiter)?;
        let mut newest: BTreeMap<SnapshotId, Newest> = BTreeMap::new();
        let (mut record, mut row) = (csv::StringRecord::new(), 0);
        loop {
            row += 1;
            since.set(0);
            if !reader.read_record(&mut record).map_err(|error| csv_error(row, error))? {
                break;
            }
            if let Some((id, usage)) = columns.usage(&record, row)? {
                newest.entry(id).or_default().add(usage);
            }
        }
        let last_day = newest.values().map(|newest| newest.day.clone()).max();
        let snapshots = newest.into_iter().map(|(id, newest)| (id, newest.billed())).collect();
        Ok(Self { snapshots, last_day })
    }
}

const UTF16: &str = "UTF-16 (convert it: iconv -f UTF-16 -t UTF-8)";

/// The separator of the cells, by the line with the names of the columns.
fn delimiter(head: &[u8]) -> u8 {
    let n_of = |separator: u8| head.iter().filter(|byte| **byte == separator).count();
    // Of equals the last is taken: a comma where there is no separator at all.
    [b';', b'\t', b','].into_iter().max_by_key(|separator| n_of(*separator)).unwrap_or(b',')
}

fn csv_error(row: u64, error: csv::Error) -> BillError {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() != io::ErrorKind::InvalidData => BillError::Io(error),
        _ => BillError::Csv(row, text),
    }
}

/// Reads on while rows stay short: of a quote that is never closed, all that follows would be one cell.
struct RowBound<'a, R> {
    source: R,
    /// Bytes read since the last row; the reader behind it reads ahead of its rows by a buffer at most.
    since: &'a Cell<u64>,
}

impl<R: Read> Read for RowBound<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since.get() > MAX_ROW_BYTES {
            let what = format!("it is longer than {MAX_ROW_BYTES} bytes; is a quote not closed?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let n_bytes = self.source.read(buffer)?;
        self.since.set(self.since.get() + n_bytes as u64);
        Ok(n_bytes)
    }
}

/// Where the columns stand.
struct Columns {
    resource: usize,
    usage: usize,
    amount: usize,
    start: usize,
    end: usize,
    kind: Option<usize>,
    /// Spreadsheets that separate cells by semicolons write decimals with a comma.
    has_decimal_commas: bool,
}

impl Columns {
    fn find(headers: &csv::StringRecord, delimiter: u8) -> Result<Self, BillError> {
        let column = |column: Column| {
            let is_it = |name: &str| column.1.iter().any(|known| known.eq_ignore_ascii_case(name));
            headers.iter().position(is_it).ok_or(BillError::Column(column.0))
        };
        Ok(Self {
            resource: column(RESOURCE)?,
            usage: column(USAGE)?,
            amount: column(AMOUNT)?,
            start: column(START)?,
            end: column(END)?,
            kind: column(KIND).ok(),
            has_decimal_commas: delimiter == b';',
        })
    }

    /// The usage that a row bills; `None` where it is not that of a snapshot's storage.
    fn usage(&self, record: &csv::StringRecord, row: u64) -> Result<Option<(SnapshotId, Usage)>, BillError> {
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let Some(is_archive) = tier(cell(self.usage)) else { return Ok(None) };
        if self.kind.is_some_and(|at| !cell(at).eq_ignore_ascii_case("Usage")) {
            return Ok(None);
        }
        let (home, name) = home_and_name(cell(self.resource));
        let Ok(id) = name.parse::<SnapshotId>() else { return Ok(None) };
        let unreadable = |at: usize, what| BillError::Cell { row, cell: cell(at).to_owned(), what };
        let amount = match self.has_decimal_commas {
            true => decimal(&cell(self.amount).replace(',', ".")),
            false => decimal(cell(self.amount)),
        };
        let amount = amount.ok_or_else(|| unreadable(self.amount, "amount"))?;
        let from = time(cell(self.start)).ok_or_else(|| unreadable(self.start, "time"))?;
        let to = time(cell(self.end)).ok_or_else(|| unreadable(self.end, "time"))?;
        let day: String = cell(self.start).chars().take(10).collect();
        let month_hours = month_days(&day).ok_or_else(|| unreadable(self.start, "time"))? * 24;
        let amount = amount * u128::from(month_hours);
        Ok(Some((id, Usage { day, is_archive, amount, period: (from, to), home })))
    }
}

/// What one row bills.
struct Usage {
    day: String,
    is_archive: bool,
    /// GB-months times the hours of the month, in units of 10^-12.
    amount: u128,
    /// In seconds since 1970.
    period: (i64, i64),
    home: Option<(String, String)>,
}

/// The newest day on which a snapshot is billed.
#[derive(Default)]
struct Newest {
    day: String,
    standard: Day,
    archive: Day,
    home: Option<(String, String)>,
}

impl Newest {
    fn add(&mut self, usage: Usage) {
        self.home = usage.home.or(self.home.take());
        if usage.day < self.day {
            return;
        }
        if usage.day > self.day {
            (self.day, self.standard, self.archive) = (usage.day, Day::default(), Day::default());
        }
        let day = if usage.is_archive { &mut self.archive } else { &mut self.standard };
        day.amount += usage.amount;
        // A period is counted once, however many lines it has.
        day.periods.insert(usage.period);
    }

    /// The tier that it moved to counts, where both are billed on one day.
    fn billed(self) -> Billed {
        let is_archive = !self.archive.periods.is_empty();
        let day = if is_archive { self.archive } else { self.standard };
        let hours = day.periods.iter().map(|(from, to)| u64::try_from((to - from) / 3600).unwrap_or(0)).sum();
        let gib = day.amount.checked_div(u128::from(hours)).unwrap_or(0);
        let stored = ByteSize::from_bytes(u64::try_from((gib << 30) / WHOLE).unwrap_or(u64::MAX));
        let from = day.periods.iter().map(|(from, _)| *from).min().unwrap_or(0);
        let to = day.periods.iter().map(|(_, to)| *to).max().unwrap_or(0);
        let period = (UnixMillis(from * 1000), UnixMillis(to * 1000));
        Billed { day: self.day, stored, is_archive, hours, period, home: self.home }
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
    /// In seconds since 1970.
    periods: BTreeSet<(i64, i64)>,
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
    /// The file ends before the snapshot was there long enough, or was written before the period that it bills was
    /// over: a bill of the month to date spreads what was billed until now over the whole month.
    Lag,
    /// The day, or other period, is not whole: the snapshot was deleted, or made, in the middle.
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

/// Holds a bill against the model, at this time.
pub fn reconcile(bill: &Bill, now: Report, at: UnixMillis) -> ReconcileReport {
    let mut lines: Vec<Line> = now.rows.iter().map(|row| line(row, bill, at)).collect();
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

fn line(row: &Row, bill: &Bill, at: UnixMillis) -> Line {
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
        Some(billed) => match class_of_period(billed, row.info.start_time, bill, at) {
            Some(class) => class,
            None if row.quality != Quality::Exact => Class::UnknownMember,
            None => Class::Unexplained,
        },
    };
    line
}

/// Why the period of a bill cannot be held against the model, if it cannot: it was not over when the bill was written,
/// the snapshot was not there for all of it, or a newer one is missing.
fn class_of_period(billed: &Billed, made: UnixMillis, bill: &Bill, at: UnixMillis) -> Option<Class> {
    let (from, to) = billed.period;
    if to > at {
        return Some(Class::Lag);
    }
    if billed.hours < 24 || (made > from && made < to) {
        return Some(Class::PartOfDay);
    }
    (Some(&billed.day) < bill.last_day.as_ref()).then_some(Class::Lag)
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
        assert!(Bill::read(&b"\x1f\x8b\x08"[..]).unwrap_err().to_string().contains("gunzip"));
        let head = "ResourceId,x_UsageType,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity\n";
        let row = "snap-0a,EBS:SnapshotUsage,2026-09-13T00:00:00Z,2026-09-14T00:00:00Z,many\n";
        assert_eq!(error(&format!("{head}{row}")), "row 1: 'many' is no amount");
        let row = "snap-0a,EBS:SnapshotUsage,yesterday,2026-09-14T00:00:00Z,1\n";
        assert_eq!(error(&format!("{head}{row}")), "row 1: 'yesterday' is no time");
    }

    #[test]
    fn lower_case_names_semicolons_and_tabs_are_read_and_utf_16_is_named() {
        let columns =
            ["resourceid", "x_usagetype", "chargeperiodstart", "chargeperiodend", "consumedquantity"];
        let cells = ["snap-0a", "EBS:SnapshotUsage", "2026-09-13T00:00:00Z", "2026-09-14T00:00:00Z"];
        for (separator, amount) in [(",", "1.5"), (";", "1,5"), (";", "1.5"), ("\t", "1.5")] {
            let cells = [&cells[..], &[amount]].concat();
            let text = format!("{}\r\n{}\r\n", columns.join(separator), cells.join(separator));
            let bill = Bill::read(text.as_bytes()).unwrap();
            assert_eq!(bill.snapshots[&id("snap-0a")].stored, ByteSize::from_bytes(45 << 30), "{separator}");
        }
        let utf16: Vec<u8> = "\u{feff}ResourceId".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(Bill::read(&utf16[..]).unwrap_err().to_string().contains("iconv -f UTF-16"));
    }

    /// Rows that come out of nothing, as many as asked for.
    struct Rows {
        left: u64,
        rest: Vec<u8>,
    }

    impl Read for Rows {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.rest.is_empty() && self.left > 0 {
                self.left -= 1;
                let hour = self.left % 24;
                let end = if hour == 23 { "14T00".to_owned() } else { format!("13T{:02}", hour + 1) };
                self.rest = format!(
                    "snap-{:x},EBS:SnapshotUsage,2026-09-13T{hour:02}:00:00Z,2026-09-{end}:00:00Z,0.01\n",
                    self.left / 24 % 4
                )
                .into_bytes();
            }
            let n_bytes = self.rest.len().min(buffer.len());
            buffer[..n_bytes].copy_from_slice(&self.rest[..n_bytes]);
            self.rest.drain(..n_bytes);
            Ok(n_bytes)
        }
    }

    #[test]
    fn a_bill_of_a_million_lines_is_read_as_it_streams() {
        let head = &b"ResourceId,x_UsageType,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity\n"[..];
        let bill = Bill::read(head.chain(Rows { left: 1_000_000, rest: Vec::new() })).unwrap();
        assert_eq!(bill.snapshots.len(), 4);
        assert!(bill.snapshots.values().all(|billed| billed.hours == 24));
        // One cell without an end is not kept whole.
        let open = head.chain(&b"\"snap-0a"[..]).chain(Rows { left: 1_000_000, rest: Vec::new() });
        assert!(Bill::read(open).unwrap_err().to_string().contains("a quote not closed"));
    }

    #[test]
    fn the_newest_day_counts_whatever_the_order_of_the_rows() {
        let head = "ResourceId,x_UsageType,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity\n";
        let row = |day: u32, gib: u32| {
            format!("snap-0a,EBS:SnapshotUsage,2026-09-{day}T00:00:00Z,2026-09-{}T00:00:00Z,{gib}\n", day + 1)
        };
        for rows in [[row(11, 1), row(12, 2), row(13, 3)], [row(13, 3), row(11, 1), row(12, 2)]] {
            let bill = Bill::read(format!("{head}{}", rows.concat()).as_bytes()).unwrap();
            let billed = &bill.snapshots[&id("snap-0a")];
            assert_eq!((billed.day.as_str(), billed.stored), ("2026-09-13", ByteSize::from_bytes(90 << 30)));
        }
    }

    #[test]
    fn a_month_to_date_lags_and_is_no_sign_of_compression() {
        let head = "lineItem/ResourceId,lineItem/UsageType,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/UsageAmount\n";
        // 80 GiB for the first ten days of a month of 30, as the monthly export of the eleventh has it.
        let row = "snap-0a,EBS:SnapshotUsage,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,26.666666666667\n";
        let bill = Bill::read(format!("{head}{row}").as_bytes()).unwrap();
        let billed = &bill.snapshots[&id("snap-0a")];
        let at = |text: &str| UnixMillis(time(text).unwrap() * 1000);
        let class = |made, now| class_of_period(billed, at(made), &bill, at(now));
        assert_eq!(class("2026-05-01", "2026-09-11"), Some(Class::Lag));
        // Once the month is over, it was there for all of it, or came in its middle.
        assert_eq!(class("2026-05-01", "2026-10-02"), None);
        assert_eq!(class("2026-09-21", "2026-10-02"), Some(Class::PartOfDay));
    }

    #[test]
    fn months_have_their_days() {
        for (day, days) in [("2026-02-13", 28), ("2028-02-01", 29), ("2026-12-31", 31), ("2026-09-13", 30)] {
            assert_eq!(month_days(day), Some(days), "{day}");
        }
        assert_eq!(time("1970-01-02T03:04:00Z"), Some(86_400 + 3 * 3_600 + 240));
    }
}

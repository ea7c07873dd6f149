//! `icecore cost`: the bill, one snapshot a line, and what would change it.

mod candidates;
mod estimate;
mod history;
mod tables;
mod view;

pub use history::{EarlierError, earlier};

use crate::block::ByteSize;
use crate::cost::archive::{MINIMUM_DAYS, RESTORE_HOURS};
use crate::cost::{Amount, Quality};
use crate::ops::cost::{Freed, GroupBy, Groups, Report, Row, Spent, Totals, What, WhatIf};
use crate::render::escape::escaped;
use crate::render::numbers::{count, rfc3339, span};
use crate::render::{Format, Printer, Render, table};
use crate::snapshot::UnixMillis;
use std::collections::BTreeSet;
use std::io::{self, Write};

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(text),
            Format::Json => Some(view::as_json),
            Format::Csv => Some(tables::as_csv),
            Format::Jsonl | Format::Cbt | Format::Junit | Format::Metrics => None,
        }
    }
}

/// Cells of a full bar.
const BAR: u64 = 12;
/// Snapshots named in a line before the rest is counted.
const NAMED: usize = 3;

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.rows.is_empty() {
        writeln!(out, "no snapshots")?;
        return footer(out, &report.spent, report.fault.is_some());
    }
    let decimals = decimals(report.rows.iter().filter_map(|row| row.usd));
    let most = report.rows.iter().filter_map(|row| row.usd).max().unwrap_or_default();
    let header = ["SNAPSHOT", "STARTED", "LIN", "FULL GiB", "BILLED GiB", "ALONE GiB", "USD/MONTH", "SHARE"];
    let cells = |row: &Row| {
        vec![
            row.info.id.to_string(),
            day(row),
            row.lineage.to_string(),
            gib(row.full, Quality::Exact),
            gib(row.attributed, row.quality),
            gib(row.unique, row.quality),
            row.usd.map_or_else(|| "?".to_owned(), |usd| bounded(usd.rounded(decimals), row.quality)),
            row.usd.map_or_else(String::new, |usd| bar(usd, most)),
        ]
    };
    let totals = &report.totals;
    let mut rows: Vec<Vec<String>> = report.rows.iter().map(cells).collect();
    rows.push(vec![
        format!("{} snapshot{}", count(totals.snapshots as u64), plural(totals.snapshots)),
        String::new(),
        String::new(),
        String::new(),
        sum(totals, gib_of(totals.stored)),
        String::new(),
        sum(totals, totals.usd.rounded(decimals)),
        String::new(),
    ]);
    table::rows(out, &header, &[2, 3, 4, 5, 6], rows)?;
    remarks(report, out)?;
    lineages(report, out)?;
    if let Some(Groups { by, groups }) = &report.groups {
        writeln!(out)?;
        let cells = |group: &crate::ops::cost::Group| {
            let name = escaped(group.name.as_deref().unwrap_or(nameless(by)));
            let totals = &group.totals;
            vec![
                name.chars().take(40).collect(),
                count(totals.snapshots as u64),
                sum(totals, gib_of(totals.stored)),
                sum(totals, totals.usd.rounded(decimals)),
            ]
        };
        table::rows(
            out,
            &[&title(by), "SNAPSHOTS", "BILLED GiB", "USD/MONTH"],
            &[1, 2, 3],
            groups.iter().map(cells),
        )?;
    }
    if let Some(what_if) = &report.what_if {
        writeln!(out)?;
        answer(what_if, report, decimals, out)?;
    }
    writeln!(out)?;
    let prices = &report.prices;
    let (standard, archive) = (prices.standard.exact(), prices.archive.exact());
    table::facts(
        out,
        &[
            (
                "prices",
                format!(
                    "{} as of {}: {standard} USD a GiB and month, {archive} archived",
                    prices.region, prices.as_of
                ),
            ),
            (
                "sizes",
                "as block maps tell; whether AWS compresses it does not say: see icecore cost reconcile"
                    .to_owned(),
            ),
            ("spent", spent_on(&report.spent)),
        ],
    )?;
    incomplete(out, report.fault.is_some())
}

/// Why figures are not exact, each reason once.
fn remarks(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut doubts: Vec<_> = report.rows.iter().filter(|row| row.quality.doubt().is_some()).collect();
    doubts.sort_by_key(|row| row.quality);
    for same in doubts.chunk_by(|a, b| a.quality == b.quality) {
        let Some(doubt) = same[0].quality.doubt() else { continue };
        let sign = if matches!(same[0].quality, Quality::Unknown(_)) { "?" } else { "<" };
        writeln!(
            out,
            "  {sign} {}: {}",
            named(same.iter().map(|row| row.info.id.as_str())),
            doubt.sentence()
        )?;
    }
    if report.totals.unknown > 0 {
        let n = report.totals.unknown;
        writeln!(out, "  > the sums are without {} snapshot{} of unknown size", count(n as u64), plural(n))?;
    }
    match report.binned.as_ref().map(BTreeSet::len) {
        Some(0) => Ok(()),
        Some(n) => writeln!(
            out,
            "  > {} more in the Recycle Bin: billed as before until they leave it, sizes unknown",
            count(n as u64)
        ),
        None => writeln!(out, "  > whether more lies in the Recycle Bin, billed as before, was not told"),
    }
}

fn lineages(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let changing: Vec<_> = report.lineages.iter().filter(|lineage| lineage.churn.is_some()).collect();
    if changing.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let cells = |lineage: &&crate::ops::cost::LineageRow| {
        let hottest: Vec<String> =
            lineage.hottest.iter().map(|run| format!("{} ({}x)", run.range, run.times)).collect();
        vec![
            lineage.number.to_string(),
            count(lineage.totals.snapshots as u64),
            sum(&lineage.totals, gib_of(lineage.totals.stored)),
            gib(lineage.churn, Quality::Exact),
            hottest.join("  "),
        ]
    };
    let header = ["LIN", "SNAPSHOTS", "BILLED GiB", "WRITTEN GiB EACH", "BLOCKS WRITTEN MOST OFTEN"];
    table::rows(out, &header, &[0, 1, 2, 3], changing.iter().map(cells))
}

fn answer(what_if: &WhatIf, report: &Report, decimals: u32, out: &mut dyn Write) -> io::Result<()> {
    let n = what_if.snapshots.len();
    let ids = named(what_if.snapshots.iter().map(|id| id.as_str()));
    let (doing, verb) = match &what_if.what {
        What::Delete(_) => ("DELETING", "deleted"),
        What::Archive(..) => ("ARCHIVING", "archived"),
        What::Keep { .. } | What::Retain(_) => ("DROPPING", "dropped"),
    };
    writeln!(out, "{doing} {} SNAPSHOT{}", count(n as u64), if n == 1 { "" } else { "S" })?;
    if n == 0 {
        return writeln!(out, "  nothing would be {verb}");
    }
    let sign = |text: String| bounded(text, what_if.quality);
    let mut facts = vec![(doing_to(&what_if.what), ids)];
    let kept = || named(what_if.kept.iter().map(|id| id.as_str()));
    match &what_if.what {
        What::Delete(_) | What::Archive(..) => {}
        What::Keep { .. } => facts.push(("keeps", kept())),
        What::Retain(policy) => facts.push(("keeps", format!("{} by {policy}", kept()))),
    }
    facts.extend([("frees", sign(format!("{} GiB", gib_of(what_if.freed))))]);
    facts.extend(
        what_if.archiving.map(|all| ("adds", format!("{} GiB to the archive tier", gib_of(all.full)))),
    );
    facts.push(match what_if.saved.is_negative() {
        false => ("saves", sign(format!("{} USD a month", what_if.saved.rounded(decimals.max(2))))),
        true => {
            ("costs", format!("{} USD a month more", (Amount::ZERO - what_if.saved).rounded(decimals.max(2))))
        }
    });
    if let Some(all) = &what_if.archiving {
        let days = all.break_even_days();
        let paid = days.map_or_else(
            || "never: it costs more than it saves".to_owned(),
            |days| format!("after {days} days; {MINIMUM_DAYS} are charged at least"),
        );
        facts.push(("paid off", paid));
        let price = all.retrieval(&report.prices).map(|usd| format!(", and costs {} USD", usd.rounded(2)));
        facts.push((
            "restoring",
            format!("all of it takes up to {RESTORE_HOURS} hours{}", price.unwrap_or_default()),
        ));
    }
    facts.push((
        "leaves",
        format!("{} USD a month for the rest of the same lineages", what_if.left.rounded(decimals.max(2))),
    ));
    if let Some((first, last)) = what_if.lost {
        let points = format!("{} recovery point{} of {}", count(n as u64), plural(n), days(first, last));
        facts.push(("loses", points));
    }
    let shown = if what_if.moved.len() <= NAMED { NAMED } else { NAMED - 1 };
    for (at, (id, size)) in what_if.moved.iter().take(shown).enumerate() {
        let label = if at == 0 { "moves" } else { "" };
        facts.push((label, format!("{} GiB, shared with it, to the bill of {id}", gib_of(*size))));
    }
    let more = what_if.moved.len().saturating_sub(shown);
    facts.extend((more > 0).then(|| ("", format!("and more to {} others", count(more as u64)))));
    facts.extend(what_if.is_exact_choice.map(|is_exact| {
        let how =
            if is_exact { "exact: no other choice costs less" } else { "heuristic: another may cost less" };
        ("choice", how.to_owned())
    }));
    if let Some(doubt) = what_if.quality.doubt() {
        facts.push(("because", doubt.sentence().to_owned()));
    }
    facts.extend(what_if.when.map(|when| {
        let until = match when {
            Freed::Unknown => {
                "not known: a Recycle Bin rule may keep, and bill, what is deleted; see --bin-days".to_owned()
            }
            Freed::Now => "no: no Recycle Bin rule keeps what is deleted".to_owned(),
            Freed::At(time) => format!("until {}, and billed as now until then", days(time, time)),
        };
        ("recoverable", until)
    }));
    let labels = ["not asked"].into_iter().chain(std::iter::repeat(""));
    facts.extend(labels.zip(what_if.not_asked.iter().map(|what| what.sentence().to_owned())));
    table::facts(out, &facts)?;
    if what_if.blockers.is_empty() {
        return writeln!(out, "  Nothing is known to stand against it.");
    }
    writeln!(out, "\n  STANDS AGAINST IT")?;
    let mut by_kind: Vec<_> = what_if.blockers.iter().collect();
    by_kind.sort_by_key(|(_, blocker)| *blocker);
    for same in by_kind.chunk_by(|a, b| a.1 == b.1) {
        writeln!(out, "    {:24}  {}", same[0].1.code(), same[0].1.sentence())?;
        writeln!(out, "    {:24}  {}", "", named(same.iter().map(|(id, _)| id.as_str())))?;
    }
    Ok(())
}

fn doing_to(what: &What) -> &'static str {
    match what {
        What::Delete(_) => "deletes",
        What::Archive(..) => "archives",
        What::Keep { .. } | What::Retain(_) => "drops",
    }
}

/// By what groups are made, as it is typed.
fn heading(by: &GroupBy) -> String {
    match by {
        GroupBy::Tag(key) => format!("tag:{key}"),
        GroupBy::Volume => "volume".to_owned(),
        GroupBy::Account => "account".to_owned(),
        GroupBy::Region => "region".to_owned(),
    }
}

/// Keys of tags are told apart by their case, whatever headers look like.
fn title(by: &GroupBy) -> String {
    match by {
        GroupBy::Tag(key) => escaped(key).chars().take(40).collect(),
        by => heading(by).to_uppercase(),
    }
}

/// The group of those that are in none.
fn nameless(by: &GroupBy) -> &'static str {
    if matches!(by, GroupBy::Tag(_)) { "untagged" } else { "none" }
}

/// The last lines: what the inspection itself took.
fn footer(out: &mut dyn Write, spent: &Spent, is_incomplete: bool) -> io::Result<()> {
    writeln!(out)?;
    table::facts(out, &[("spent", spent_on(spent))])?;
    incomplete(out, is_incomplete)
}

fn spent_on(spent: &Spent) -> String {
    let (sent, kept) = (spent.requests.list, spent.kept);
    let usd = if spent.is_billed { format!(", {} USD", spent.usd().exact()) } else { String::new() };
    format!(
        "{} list request{}{usd}, {}; {} of {} listings were kept from before",
        count(sent),
        plural(usize::try_from(sent).unwrap_or(usize::MAX)),
        span(spent.elapsed),
        count(kept),
        count(kept + spent.listings),
    )
}

fn incomplete(out: &mut dyn Write, is_incomplete: bool) -> io::Result<()> {
    if is_incomplete {
        writeln!(out, "Not everything could be listed: what is missing is unknown, not nothing.")
    } else {
        Ok(())
    }
}

fn days(first: UnixMillis, last: UnixMillis) -> String {
    let day = |time| rfc3339(time).map_or_else(|| "?".to_owned(), |time| time.chars().take(10).collect());
    let (first, last): (String, String) = (day(first), day(last));
    if first == last { first } else { format!("{first} to {last}") }
}

/// The day is enough to tell snapshots apart in a table this wide.
fn day(row: &Row) -> String {
    rfc3339(row.info.start_time).map_or_else(|| "?".to_owned(), |time| time.chars().take(10).collect())
}

/// Two decimals, or four where all amounts are below a dollar.
fn decimals(amounts: impl Iterator<Item = Amount>) -> u32 {
    if amounts.max().unwrap_or_default() < Amount::from(crate::cost::Usd::from_dollars(1)) { 4 } else { 2 }
}

/// GiB with three decimals, rounded; never nothing of something.
fn gib_of(size: ByteSize) -> String {
    let thousandths = (u128::from(size.bytes()) * 1000 + (1 << 29)) >> 30;
    let thousandths = if size.bytes() > 0 { thousandths.max(1) } else { 0 };
    format!("{}.{:03}", count(u64::try_from(thousandths / 1000).unwrap_or(u64::MAX)), thousandths % 1000)
}

fn gib(size: Option<ByteSize>, quality: Quality) -> String {
    size.map_or_else(|| "?".to_owned(), |size| bounded(gib_of(size), quality))
}

/// A figure that may be less says so.
fn bounded(figure: String, quality: Quality) -> String {
    match quality {
        Quality::Exact => figure,
        Quality::AtMost(_) => format!("<{figure}"),
        Quality::Unknown(_) => format!(">{figure}"),
    }
}

/// A sum that something is missing from says so.
fn sum(totals: &Totals, figure: String) -> String {
    match totals {
        Totals { unknown: 1.., .. } => format!(">{figure}"),
        Totals { at_most: 1.., .. } => format!("<{figure}"),
        _ => figure,
    }
}

/// An amount beside the largest, in eighths of a cell.
fn bar(amount: Amount, most: Amount) -> String {
    let eighths = amount.in_parts_of(most, BAR * 8);
    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][usize::try_from(eighths % 8).unwrap_or(0)];
    let full = usize::try_from(eighths / 8).unwrap_or(0);
    format!("{}{part}", "█".repeat(full))
}

fn named<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> String {
    let n = ids.len();
    let shown: Vec<&str> = ids.take(if n <= NAMED { n } else { 2 }).collect();
    let rest = n - shown.len();
    let more = if rest == 0 { String::new() } else { format!(" and {} more", count(rest as u64)) };
    format!("{}{more}", shown.join(", "))
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

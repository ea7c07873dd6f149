//! `icecore cost`: the bill, one snapshot a line, and what would change it.

mod candidates;
mod estimate;
mod history;
mod view;

pub use history::{EarlierError, earlier};

use crate::block::ByteSize;
use crate::cost::protection::NotAsked;
use crate::cost::{Amount, Quality};
use crate::ops::cost::{Freed, GroupBy, Groups, Report, Row, Spent, Totals, What, WhatIf};
use crate::render::escape::{csv_field, escaped};
use crate::render::numbers::{count, rfc3339, span};
use crate::render::{Format, Printer, Render, table};
use crate::snapshot::UnixMillis;
use std::io::{self, Write};

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(text),
            Format::Json => Some(view::as_json),
            Format::Csv => Some(csv),
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
        let nameless = if matches!(by, GroupBy::Tag(_)) { "untagged" } else { "none" };
        let cells = |group: &crate::ops::cost::Group| {
            let name = group.name.as_deref().map_or_else(|| nameless.to_owned(), escaped);
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
            &[&heading(by), "SNAPSHOTS", "BILLED GiB", "USD/MONTH"],
            &[1, 2, 3],
            groups.iter().map(cells),
        )?;
    }
    if let Some(what_if) = &report.what_if {
        writeln!(out)?;
        answer(what_if, decimals, out)?;
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
                "as block maps tell; AWS does not say whether it compresses: icecore cost reconcile"
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
    match report.binned {
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

fn answer(what_if: &WhatIf, decimals: u32, out: &mut dyn Write) -> io::Result<()> {
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
    facts.extend(what_if.archived.map(|size| ("adds", format!("{} GiB to the archive tier", gib_of(size)))));
    facts.push(match what_if.saved.is_negative() {
        false => ("saves", sign(format!("{} USD a month", what_if.saved.rounded(decimals.max(2))))),
        true => {
            ("costs", format!("{} USD a month more", (Amount::ZERO - what_if.saved).rounded(decimals.max(2))))
        }
    });
    facts.push(("leaves", format!("{} USD a month for what stays", what_if.left.rounded(decimals.max(2)))));
    if let Some((first, last)) = what_if.lost {
        let points = format!("{} recovery point{} of {}", count(n as u64), plural(n), days(first, last));
        facts.push(("loses", points));
    }
    for (at, (id, size)) in what_if.moved.iter().take(NAMED).enumerate() {
        facts.push((
            if at == 0 { "moves" } else { "" },
            format!("{} GiB to the bill of {id}, which shares them", gib_of(*size)),
        ));
    }
    if what_if.moved.len() > NAMED {
        facts.push(("", format!("and so on: to {} snapshots", count(what_if.moved.len() as u64))));
    }
    facts.extend(what_if.is_exact_choice.map(|is_exact| {
        let how =
            if is_exact { "exact: no other choice costs less" } else { "heuristic: another may cost less" };
        ("choice", how.to_owned())
    }));
    if let Some(doubt) = what_if.quality.doubt() {
        facts.push(("because", doubt.sentence().to_owned()));
    }
    facts.push(match what_if.when {
        None => ("note", "90 days are paid at least; a restore takes up to 72 hours".to_owned()),
        Some(Freed::Unknown) => (
            "recoverable",
            "whether a Recycle Bin rule keeps them, billed, is not known: --bin-days".to_owned(),
        ),
        Some(Freed::Now) => ("recoverable", "no: nothing keeps them in the Recycle Bin".to_owned()),
        Some(Freed::At(time)) => {
            ("recoverable", format!("until {}, and billed as now until then", days(time, time)))
        }
    });
    facts.extend(not_asked(&what_if.not_asked).map(|what| ("not asked", what)));
    table::facts(out, &facts)?;
    if what_if.blockers.is_empty() {
        return writeln!(out, "  Nothing is known to stand against it.");
    }
    writeln!(out, "\n  STANDS AGAINST IT")?;
    let mut by_kind: Vec<_> = what_if.blockers.iter().collect();
    by_kind.sort_by_key(|(_, blocker)| *blocker);
    for same in by_kind.chunk_by(|a, b| a.1 == b.1) {
        writeln!(out, "    {:22} {}", same[0].1.code(), same[0].1.sentence())?;
        writeln!(out, "    {:22} {}", "", named(same.iter().map(|(id, _)| id.as_str())))?;
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

/// What else could stand against it, for people.
fn not_asked(what: &[NotAsked]) -> Option<String> {
    let named: Vec<&str> = what.iter().map(|what| what.sentence()).collect();
    (!named.is_empty()).then(|| format!("{}: they could stand against it, too", named.join(", ")))
}

fn heading(by: &GroupBy) -> String {
    match by {
        GroupBy::Tag(key) => escaped(key).chars().take(40).collect(),
        GroupBy::Volume => "VOLUME".to_owned(),
        GroupBy::Account => "ACCOUNT".to_owned(),
        GroupBy::Region => "REGION".to_owned(),
    }
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

fn csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "snapshot_id,volume_id,start_time,tier,state,lineage,full_bytes,attributed_bytes,unique_bytes,usd_month,quality,reason,name"
    )?;
    let bytes = |size: Option<ByteSize>| size.map_or_else(String::new, |size| size.bytes().to_string());
    for row in &report.rows {
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{},{},{}",
            row.info.id,
            row.info.volume_id.as_ref().map_or("", |id| id.as_str()),
            rfc3339(row.info.start_time).unwrap_or_default(),
            row.info.tier.as_str(),
            row.info.state,
            row.lineage,
            bytes(row.full),
            bytes(row.attributed),
            bytes(row.unique),
            row.usd.map_or_else(String::new, Amount::exact),
            row.quality,
            row.quality.doubt().map_or("", |doubt| doubt.code()),
            csv_field(row.info.tags.get("Name").map_or("", String::as_str)),
        )?;
    }
    Ok(())
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

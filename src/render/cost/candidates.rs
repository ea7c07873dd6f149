//! `icecore cost orphans` and `archive-advice`: one candidate a line.

use super::tables::{bytes, usd};
use super::view::{Exact, RowView, SpentView, exact, frame};
use super::{bounded, day, decimals, footer, gib, gib_of};
use crate::cost::protection::Blocker;
use crate::cost::{Amount, Quality};
use crate::ops::cost::{Advice, AdviceReport, Orphan, OrphansReport};
use crate::render::json;
use crate::render::numbers::count;
use crate::render::sheet::{self, maybe};
use crate::render::{Format, Printer, Render, table};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};

impl Render for OrphansReport {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(orphans_text),
            Format::Json => Some(orphans_json),
            Format::Csv => Some(orphans_csv),
            Format::Jsonl | Format::Cbt | Format::Junit | Format::Metrics => None,
        }
    }
}

fn codes(blockers: &[Blocker]) -> String {
    blockers.iter().map(|blocker| blocker.code()).collect::<Vec<_>>().join(" ")
}

fn reasons(orphan: &Orphan) -> String {
    orphan.reasons.iter().map(|reason| reason.code()).collect::<Vec<_>>().join(" ")
}

fn orphans_text(report: &OrphansReport, out: &mut dyn Write) -> io::Result<()> {
    let decimals = decimals(report.orphans.iter().filter_map(|orphan| orphan.row.usd));
    for (what, why) in &report.untold {
        writeln!(out, "  > {what}: {why}; what they would tell is unknown")?;
    }
    if report.orphans.is_empty() {
        writeln!(out, "none of {} snapshots is a candidate", count(report.snapshots as u64))?;
        return footer(out, &report.spent, report.fault.is_some());
    }
    let cells = |orphan: &Orphan| {
        let row = &orphan.row;
        vec![
            row.info.id.to_string(),
            day(row),
            gib(row.unique, row.quality),
            row.usd.map_or_else(|| "?".to_owned(), |usd| bounded(usd.rounded(decimals), row.quality)),
            reasons(orphan),
        ]
    };
    let header = ["SNAPSHOT", "STARTED", "ALONE GiB", "USD/MONTH", "WHY"];
    table::rows(out, &header, &[2, 3], report.orphans.iter().map(cells))?;
    let blocked: Vec<_> = report.orphans.iter().filter(|orphan| !orphan.blockers.is_empty()).collect();
    if !blocked.is_empty() {
        writeln!(out, "\nSTANDS AGAINST DELETING")?;
        for orphan in &blocked {
            writeln!(out, "  {}  {}", orphan.row.info.id, codes(&orphan.blockers))?;
        }
    }
    let (all, free) = (report.orphans.len(), report.orphans.len() - blocked.len());
    let are = if all == 1 { "is a candidate" } else { "are candidates" };
    writeln!(out, "\n{} of {} snapshots {are}.", count(all as u64), count(report.snapshots as u64))?;
    match free {
        0 => writeln!(out, "Something stands against deleting {}.", if all == 1 { "it" } else { "each" })?,
        _ => writeln!(
            out,
            "Nothing is known to stand against deleting {} of them: that would free {} GiB\nand save {} USD a month.",
            count(free as u64),
            bounded(gib_of(report.freed), report.quality),
            bounded(report.saved.rounded(decimals.max(2)), report.quality),
        )?,
    }
    if !report.not_asked.is_empty() {
        writeln!(out, "Not asked, and could stand against it, too:")?;
    }
    report.not_asked.iter().try_for_each(|what| writeln!(out, "  {}", what.sentence()))?;
    footer(out, &report.spent, report.fault.is_some())
}

fn orphans_csv(report: &OrphansReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "snapshot_id,unique_bytes,usd_month,quality,reasons,blockers")?;
    report.orphans.iter().try_for_each(|orphan| {
        let row = &orphan.row;
        let cells: [&dyn Display; 6] = [
            &row.info.id,
            &bytes(row.unique),
            &usd(row.usd),
            &row.quality,
            &reasons(orphan),
            &codes(&orphan.blockers),
        ];
        sheet::row(out, &cells)
    })
}

#[derive(Serialize)]
struct OrphanView<'a> {
    #[serde(flatten)]
    row: RowView<'a>,
    reasons: Vec<&'static str>,
    blockers: Vec<&'static str>,
}

#[derive(Serialize)]
struct OrphansView<'a> {
    orphans: Vec<OrphanView<'a>>,
    snapshots: usize,
    freed_bytes: u64,
    saved_usd_month: Exact,
    quality: &'static str,
    not_told: Vec<&'static str>,
    not_asked: Vec<&'static str>,
    inspection: SpentView,
}

fn orphans_json(report: &OrphansReport, out: &mut dyn Write) -> io::Result<()> {
    let orphan = |orphan: &'_ Orphan| {
        (
            orphan.reasons.iter().map(|reason| reason.code()).collect(),
            orphan.blockers.iter().map(|blocker| blocker.code()).collect(),
        )
    };
    let orphans = report.orphans.iter().map(|one| {
        let (reasons, blockers) = orphan(one);
        OrphanView { row: RowView::new(&one.row), reasons, blockers }
    });
    let view = OrphansView {
        orphans: orphans.collect(),
        snapshots: report.snapshots,
        freed_bytes: report.freed.bytes(),
        saved_usd_month: exact(report.saved),
        quality: report.quality.code(),
        not_told: report.untold.iter().map(|(what, _)| *what).collect(),
        not_asked: report.not_asked.iter().map(|what| what.code()).collect(),
        inspection: SpentView::new(&report.spent),
    };
    json::object(out, "cost-orphans", frame(&report.spent, report.fault.is_none()), &view)
}

impl Render for AdviceReport {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(advice_text),
            Format::Json => Some(advice_json),
            Format::Csv => Some(advice_csv),
            Format::Jsonl | Format::Cbt | Format::Junit | Format::Metrics => None,
        }
    }
}

fn verdict(advice: &Advice) -> &'static str {
    let pays = advice.archiving.and_then(|change| change.pays());
    match (pays, advice.row.quality) {
        // An upper bound of what it saves proves only that it does not.
        (Some(false), _) => "keep",
        (Some(true), Quality::Exact) => "archive",
        _ => "unknown",
    }
}

fn advice_text(report: &AdviceReport, out: &mut dyn Write) -> io::Result<()> {
    let expected = report.expected;
    let restores = match expected.restores_a_year {
        0 => "if it is never restored".to_owned(),
        1 => format!("if it is restored once a year for {} days", expected.days_restored),
        n => format!("if it is restored {n} times a year for {} days", expected.days_restored),
    };
    let threshold = match report.threshold {
        Some(thousandths) if thousandths <= 1000 => {
            let percent = format!("{}.{} %", thousandths / 10, thousandths % 10);
            format!("Archiving a snapshot pays where it holds more than {percent} of its blocks alone,")
        }
        Some(_) => "Archiving a snapshot never pays".to_owned(),
        None => "Whether archiving pays cannot be judged, the retrieval price being unknown,".to_owned(),
    };
    writeln!(out, "{threshold}\n{restores} ({}).\n", report.prices.region)?;
    let decimals = decimals(report.advice.iter().filter_map(|advice| advice.row.usd));
    let cells = |advice: &Advice| {
        let change = advice.archiving;
        let amount = |amount: Option<Amount>| {
            amount.map_or_else(|| "?".to_owned(), |usd| usd.rounded(decimals.max(2)))
        };
        let note = if advice.is_in_the_middle { "" } else { "at an end of its lineage" };
        vec![
            advice.row.info.id.to_string(),
            gib(advice.row.unique, advice.row.quality),
            gib(advice.row.full, Quality::Exact),
            amount(change.and_then(|change| change.gain())),
            change.and_then(|change| change.break_even_days()).map_or_else(|| "-".to_owned(), count),
            verdict(advice).to_owned(),
            note.to_owned(),
        ]
    };
    let header = ["SNAPSHOT", "ALONE GiB", "FULL GiB", "GAIN USD/MONTH", "DAYS", "VERDICT", ""];
    table::rows(out, &header, &[1, 2, 3, 4], report.advice.iter().map(cells))?;
    writeln!(
        out,
        "\nEach by itself. DAYS is when it has paid off: 90 are charged at least. A restore takes up to 72\nhours and gives a full snapshot; AWS advises against archiving the first or last of a lineage.\nicecore cost --archive SNAPSHOT says what stands against one."
    )?;
    footer(out, &report.spent, report.fault.is_some())
}

fn advice_csv(report: &AdviceReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "snapshot_id,unique_bytes,full_bytes,gain_usd_month,break_even_days,verdict,quality")?;
    report.advice.iter().try_for_each(|advice| {
        let change = advice.archiving;
        let cells: [&dyn Display; 7] = [
            &advice.row.info.id,
            &bytes(advice.row.unique),
            &bytes(advice.row.full),
            &usd(change.and_then(|change| change.gain())),
            &maybe(change.and_then(|change| change.break_even_days())),
            &verdict(advice),
            &advice.row.quality,
        ];
        sheet::row(out, &cells)
    })
}

#[derive(Serialize)]
struct AdviceRowView<'a> {
    #[serde(flatten)]
    row: RowView<'a>,
    gain_usd_month: Option<Exact>,
    break_even_days: Option<u64>,
    verdict: &'static str,
    in_the_middle: bool,
}

#[derive(Serialize)]
struct AdviceView<'a> {
    advice: Vec<AdviceRowView<'a>>,
    restores_a_year: u32,
    days_restored: u32,
    threshold_thousandths: Option<u64>,
    inspection: SpentView,
}

fn advice_json(report: &AdviceReport, out: &mut dyn Write) -> io::Result<()> {
    let advice = report.advice.iter().map(|advice| AdviceRowView {
        row: RowView::new(&advice.row),
        gain_usd_month: advice.archiving.and_then(|change| change.gain()).map(exact),
        break_even_days: advice.archiving.and_then(|change| change.break_even_days()),
        verdict: verdict(advice),
        in_the_middle: advice.is_in_the_middle,
    });
    let view = AdviceView {
        advice: advice.collect(),
        restores_a_year: report.expected.restores_a_year,
        days_restored: report.expected.days_restored,
        threshold_thousandths: report.threshold,
        inspection: SpentView::new(&report.spent),
    };
    json::object(out, "cost-archive-advice", frame(&report.spent, report.fault.is_none()), &view)
}

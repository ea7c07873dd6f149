//! `icecore cost --estimate`: what an inspection would take.

use super::view::{Exact, exact};
use crate::ops::cost::EstimateReport;
use crate::render::json::{self, Frame};
use crate::render::numbers::{count, span};
use crate::render::sheet::{self, maybe};
use crate::render::{Format, Printer, Render, table};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};

impl Render for EstimateReport {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(text),
            Format::Json => Some(as_json),
            Format::Csv => Some(as_csv),
            Format::Jsonl | Format::Cbt | Format::Junit | Format::Metrics => None,
        }
    }
}

fn text(report: &EstimateReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "At most, if every block had been written anew:")?;
    let time = report.time.map_or_else(
        || "as long as it takes: no rate is set".to_owned(),
        |time| format!("about {}", span(time)),
    );
    let kept = match report.kept {
        0 => String::new(),
        kept => format!(", {} of them kept from before", count(kept)),
    };
    let mut facts = vec![
        ("snapshots", count(report.snapshots as u64)),
        ("listings", format!("{}{kept}", count(report.listings))),
        ("requests", count(report.requests)),
        ("price", format!("{} USD", report.usd.exact())),
        ("time", time),
    ];
    if report.most_requests > report.requests {
        let most = count(report.most_requests);
        facts.push(("or", format!("up to {most} requests, where it is unknown what continues what")));
    }
    table::facts(out, &facts)
}

fn as_csv(report: &EstimateReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "snapshots,listings,listings_kept,list_requests,list_requests_most,usd,seconds")?;
    let cells: [&dyn Display; 7] = [
        &report.snapshots,
        &report.listings,
        &report.kept,
        &report.requests,
        &report.most_requests,
        &report.usd.exact(),
        &maybe(report.time.map(|time| time.as_secs())),
    ];
    sheet::row(out, &cells)
}

#[derive(Serialize)]
struct View {
    snapshots: usize,
    listings: u64,
    listings_kept: u64,
    list_requests: u64,
    list_requests_most: u64,
    usd: Exact,
    seconds: Option<u64>,
}

fn as_json(report: &EstimateReport, out: &mut dyn Write) -> io::Result<()> {
    let view = View {
        snapshots: report.snapshots,
        listings: report.listings,
        listings_kept: report.kept,
        list_requests: report.requests,
        list_requests_most: report.most_requests,
        usd: exact(report.usd.into()),
        seconds: report.time.map(|time| time.as_secs()),
    };
    json::object(out, "cost-estimate", Frame { complete: true, requests: None, elapsed: None }, &view)
}

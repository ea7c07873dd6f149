//! `icecore cleanup`: what dead runs left, and what was done about it.

use crate::ops::verify::Exception;
use crate::orchestrate::cleanup::{Done, Found, Item, Report};
use crate::render::escape::escaped;
use crate::render::json::{self, Frame};
use crate::render::numbers::{count, rfc3339, to_the_second};
use crate::render::{Format, Printer, Render, table, text_or_json};
use serde::Serialize;
use std::io::{self, Write};

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        text_or_json(format, text, as_json)
    }
}

#[derive(Serialize)]
struct View<'a> {
    dry_run: bool,
    place: &'a str,
    items: Vec<ItemView<'a>>,
    runs_at_work: Vec<&'a str>,
    runs_ended: Vec<&'a str>,
    exceptions: Vec<ExceptionView<'a>>,
}

#[derive(Serialize)]
struct ItemView<'a> {
    volume_id: &'a str,
    run_id: &'a str,
    owner: &'a str,
    snapshot_id: Option<&'a str>,
    made_at: Option<String>,
    found_by: &'static str,
    /// `deleted`, `detached`, `spared` or `left`; in a rehearsal what would be.
    done: &'static str,
    /// When it is over, of one that is spared.
    expires: Option<String>,
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct ExceptionView<'a> {
    kind: &'static str,
    what: &'a str,
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let exception = |one: &'_ Exception| (one.kind.as_str(), one.what.clone());
    let exceptions: Vec<_> = report.exceptions.iter().map(exception).collect();
    let view = View {
        dry_run: report.dry_run,
        place: &report.place,
        items: report.items.iter().map(item).collect(),
        runs_at_work: report.at_work.iter().map(|run| run.as_str()).collect(),
        runs_ended: report.ended.iter().map(|run| run.as_str()).collect(),
        exceptions: exceptions.iter().map(|(kind, what)| ExceptionView { kind, what }).collect(),
    };
    let frame =
        Frame { complete: report.is_clean(), requests: Some(report.requests), elapsed: Some(report.elapsed) };
    json::object(out, "cleanup", frame, &view)
}

fn item(item: &Item) -> ItemView<'_> {
    ItemView {
        volume_id: item.volume_id.as_str(),
        run_id: item.run.as_str(),
        owner: &item.owner,
        snapshot_id: item.snapshot_id.as_ref().map(|id| id.as_str()),
        made_at: item.made.and_then(rfc3339),
        found_by: match item.found {
            Found::Journal => "journal",
            Found::Tags => "tags",
        },
        done: word(&item.done),
        expires: match item.done {
            Done::Spared(expires) => expires.and_then(rfc3339),
            _ => None,
        },
        why: match &item.done {
            Done::Left(exception) => Some(&exception.what),
            _ => None,
        },
    }
}

const fn word(done: &Done) -> &'static str {
    match done {
        Done::Deleted => "deleted",
        Done::Detached => "detached",
        Done::Spared(_) => "spared",
        Done::Left(_) => "left",
    }
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let gone = report.items.iter().filter(|item| matches!(item.done, Done::Deleted | Done::Detached)).count();
    let volumes =
        |n: usize| if n == 1 { "1 volume".to_owned() } else { format!("{} volumes", count(n as u64)) };
    match (report.is_clean(), report.dry_run, gone) {
        (_, true, 0) | (true, false, 0) => writeln!(out, "CLEAN  nothing is left of runs that are over")?,
        (_, true, n) => writeln!(out, "PLAN  {} would be taken away; nothing is done yet", volumes(n))?,
        (true, false, n) => writeln!(out, "CLEAN  {} taken away", volumes(n))?,
        (false, false, n) => writeln!(out, "INCOMPLETE  {} taken away, something is left", volumes(n))?,
    }
    if !report.items.is_empty() {
        writeln!(out)?;
        let rows = report.items.iter().map(|item| {
            let note = match &item.done {
                Done::Spared(Some(expires)) => {
                    format!("over at {}; --older-than takes it now", to_the_second(*expires))
                }
                Done::Spared(None) => "nobody says when it is over; --older-than takes it now".to_owned(),
                Done::Left(exception) => escaped(&exception.what),
                Done::Deleted | Done::Detached => String::new(),
            };
            let by = match item.found {
                Found::Journal => "journal",
                Found::Tags => "tags",
            };
            let [volume, run] = [item.volume_id.to_string(), item.run.to_string()];
            vec![format!("  {}", word(&item.done)), volume, run, by.to_owned(), escaped(&item.owner), note]
        });
        let done = if report.dry_run { "  WOULD BE" } else { "  DONE" };
        table::rows(out, &[done, "VOLUME", "RUN", "FOUND BY", "OWNER", ""], &[], rows)?;
    }
    let mut facts: Vec<(&str, String)> = Vec::new();
    facts.extend(report.at_work.iter().map(|run| ("at work", format!("{run}, which is left alone"))));
    facts.extend(report.exceptions.iter().map(|exception| ("trouble", escaped(&exception.what))));
    if !facts.is_empty() {
        writeln!(out)?;
    }
    table::facts(out, &facts)
}

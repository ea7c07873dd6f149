//! `icecore export`: what was read, and what was made of it.

use crate::ops::export::{Known, Report};
use crate::render::json::{self, Frame};
use crate::render::numbers::{blocks, span};
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
    snapshot_id: &'a str,
    /// Null where nothing was kept.
    dest: Option<String>,
    volume_size_gib: u32,
    blocks_written: u64,
    bytes_written: u64,
    holes: u64,
    blocks_resumed: u64,
    synced: bool,
    /// Null where the whole snapshot was exported.
    since: Option<&'a str>,
    /// How it is known that the target held that; null where the whole snapshot was exported.
    base: Option<&'static str>,
    blocks_compared: Option<u64>,
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let view = View {
        snapshot_id: report.snapshot_id.as_str(),
        dest: report.dest.as_ref().map(|path| path.display().to_string()),
        volume_size_gib: report.volume_size.get(),
        blocks_written: report.blocks_written,
        bytes_written: report.bytes_written.bytes(),
        holes: report.holes,
        blocks_resumed: report.blocks_resumed,
        synced: report.synced,
        since: report.base.as_ref().map(|base| base.snapshot_id.as_str()),
        base: report.base.as_ref().map(|base| word(base.known)),
        blocks_compared: report.base.as_ref().map(|base| base.blocks_compared),
    };
    let frame = Frame { complete: true, requests: Some(report.requests), elapsed: Some(report.elapsed) };
    json::object(out, "export", frame, &view)
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let written = format!("{}, {}", report.bytes_written, blocks(report.blocks_written));
    match &report.dest {
        Some(path) => writeln!(out, "{} -> {}", report.snapshot_id, path.display())?,
        None => writeln!(out, "{}: read and checked, nothing kept", report.snapshot_id)?,
    }
    let mut facts = vec![("size", report.volume_size.to_string())];
    facts.push((if report.dest.is_some() { "written" } else { "checked" }, written));
    facts.push(("holes", blocks(report.holes)));
    if let Some(base) = &report.base {
        let compared = match base.blocks_compared {
            0 => String::new(),
            n => format!(", {} compared", blocks(n)),
        };
        facts.push(("upon", format!("{}, {}{compared}", base.snapshot_id, word(base.known))));
    }
    if report.blocks_resumed > 0 {
        facts.push(("resumed", format!("{} were there from an earlier run", blocks(report.blocks_resumed))));
    }
    if report.dest.is_some() && !report.synced {
        facts.push(("durable", "not yet: --no-sync leaves that to the system".to_owned()));
    }
    facts.push(("took", span(report.elapsed)));
    table::facts(out, &facts)
}

fn word(known: Known) -> &'static str {
    match known {
        Known::Proved => "proved",
        Known::Compared => "compared",
        Known::Assumed => "assumed",
        Known::Resumed => "resumed",
        Known::Done => "done",
    }
}

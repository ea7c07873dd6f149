//! `icecore manifest`: what was read, and the roots that stand for it.

use crate::ops::manifest::Report;
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
    /// Null for an image or device.
    snapshot_id: Option<&'a str>,
    name: &'a str,
    /// Null for an image, and where it is not known.
    encrypted: Option<bool>,
    volume_size_gib: u32,
    bytes: u64,
    output: String,
    blocks: u64,
    blocks_read: u64,
    blocks_resumed: u64,
    blocks_from_base: u64,
    base: Option<String>,
    map_root: String,
    content_root: String,
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let view = View {
        snapshot_id: report.snapshot_id.as_ref().map(|id| id.as_str()),
        name: &report.name,
        encrypted: report.is_encrypted,
        volume_size_gib: report.geometry.volume_size.get(),
        bytes: report.size.bytes(),
        output: report.output.display().to_string(),
        blocks: report.blocks,
        blocks_read: report.blocks_read,
        blocks_resumed: report.blocks_resumed,
        blocks_from_base: report.blocks_from_base,
        base: report.base.as_ref().map(|base| base.display().to_string()),
        map_root: report.roots.map.to_string(),
        content_root: report.roots.content.to_string(),
    };
    let frame = Frame { complete: true, requests: report.requests, elapsed: Some(report.elapsed) };
    json::object(out, "manifest", frame, &view)
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} -> {}", report.name, report.output.display())?;
    let mut facts = vec![
        ("volume", report.geometry.volume_size.to_string()),
        ("listed", blocks(report.blocks)),
        ("read", blocks(report.blocks_read)),
    ];
    if let Some(base) = &report.base {
        facts.push(("from base", format!("{}, of {}", blocks(report.blocks_from_base), base.display())));
    }
    if report.blocks_resumed > 0 {
        facts.push(("resumed", format!("{} were read by an earlier run", blocks(report.blocks_resumed))));
    }
    facts.push(("map root", report.roots.map.to_string()));
    facts.push(("content root", report.roots.content.to_string()));
    facts.push(("trust", trust(report).to_owned()));
    facts.push(("took", span(report.elapsed)));
    table::facts(out, &facts)
}

/// What a verification against this manifest will rest upon.
fn trust(report: &Report) -> &'static str {
    match (&report.snapshot_id, &report.base) {
        (None, _) => "taken at the source: best while nothing writes to it",
        (Some(_), None) => "on first use: a first read shows later damage, not what was damaged before",
        (Some(_), Some(_)) => "as the base is trusted, and the service's list of changes since",
    }
}

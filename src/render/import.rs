//! `icecore import`: the snapshot that was made.

use crate::block::BlockSize;
use crate::ops::import::Report;
use crate::render::json::{self, Frame};
use crate::render::numbers::{blocks, count, span};
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
    image: String,
    volume_size_gib: u32,
    blocks_written: u64,
    zero_blocks_written: u64,
    blocks_total: u64,
    blocks_inherited: u64,
    blocks_omitted: u64,
    blocks_resumed: u64,
    /// Whether work of an interrupted run was counted without proof that the image is unchanged since.
    resumed: bool,
    bytes_written: u64,
    completed: bool,
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let view = View {
        snapshot_id: report.snapshot_id.as_str(),
        image: report.image.display().to_string(),
        volume_size_gib: report.volume_size.get(),
        blocks_written: report.blocks_written,
        zero_blocks_written: report.zero_blocks_written,
        blocks_total: report.blocks_total,
        blocks_inherited: report.blocks_inherited,
        blocks_omitted: report.blocks_omitted,
        blocks_resumed: report.blocks_resumed,
        resumed: report.is_resumed,
        bytes_written: report.bytes_written.bytes(),
        completed: report.completed,
    };
    // A snapshot that was not seen to be completed may still go to the state error.
    let frame =
        Frame { complete: report.completed, requests: Some(report.requests), elapsed: Some(report.elapsed) };
    json::object(out, "import", frame, &view)
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} -> {}", report.image.display(), report.snapshot_id)?;
    let total = format!("{}, {}", report.volume_size, blocks(report.blocks_total));
    let mut sent = format!("{}, {}", report.bytes_written, blocks(report.blocks_written));
    if report.zero_blocks_written > 0 {
        sent.push_str(&format!(", {} of them zeros", count(report.zero_blocks_written)));
    }
    let mut facts = vec![("size", total), ("sent", sent)];
    let size = |n: u64| BlockSize::EBS.of(n);
    for (label, n, why) in [
        ("inherited", report.blocks_inherited, "the parent has the same bytes"),
        ("omitted", report.blocks_omitted, "zeros: random bytes on a volume restored encrypted"),
        ("resumed", report.blocks_resumed, "sent by an earlier run"),
    ] {
        if n > 0 {
            facts.push((label, format!("{}, {}: {why}", size(n), blocks(n))));
        }
    }
    let state = if report.completed { "completed, can be listed" } else { "pending when this command ended" };
    facts.push(("state", state.to_owned()));
    facts.push(("took", span(report.elapsed)));
    table::facts(out, &facts)
}

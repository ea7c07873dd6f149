//! `icecore blocks`: one line a block, in whatever format.

use crate::block::{BlockIndex, BlockSize};
use crate::device::{first_line, last_line};
use crate::ops::blocks::Report;
use crate::render::json::{self, Frame};
use crate::render::ranges::Cbt;
use crate::render::{Format, Printer, Render};
use serde::{Serialize, Serializer};
use std::io::{self, Write};

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        Some(match format {
            Format::Text => text,
            Format::Json => as_json,
            Format::Jsonl => jsonl,
            Format::Csv => csv,
            Format::Cbt => cbt,
            Format::Junit | Format::Metrics => return None,
        })
    }
}

#[derive(Serialize)]
struct View<'a> {
    snapshot_id: &'a str,
    volume_size_gib: u32,
    block_size: u32,
    allocated_blocks: u64,
    blocks: BlocksView<'a>,
}

struct BlocksView<'a>(&'a Report);

#[derive(Serialize)]
struct BlockView {
    block_index: u32,
    byte_offset: u64,
}

impl BlockView {
    fn new(index: BlockIndex, size: BlockSize) -> Self {
        Self { block_index: index.get(), byte_offset: index.byte_offset(size) }
    }
}

impl Serialize for BlocksView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(walk(self.0))
    }
}

fn walk(report: &Report) -> impl Iterator<Item = BlockView> {
    report.blocks.iter().map(|index| BlockView::new(index, report.geometry.block_size))
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let size = report.geometry.size();
    writeln!(out, "{}", first_line(&report.snapshot_id, size))?;
    walk(report).try_for_each(|block| writeln!(out, "{} {}", block.block_index, block.byte_offset))?;
    // Comes last: a text that ends before it is known to be cut.
    writeln!(out, "{}", last_line(report.blocks.len(), size))
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let view = View {
        snapshot_id: report.snapshot_id.as_str(),
        volume_size_gib: report.geometry.volume_size.get(),
        block_size: report.geometry.block_size.bytes(),
        allocated_blocks: report.blocks.len(),
        blocks: BlocksView(report),
    };
    json::object(out, "blocks", Frame::complete(report.requests), &view)
}

fn jsonl(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    walk(report).try_for_each(|block| json::line(out, &block))
}

fn csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "block_index,byte_offset")?;
    walk(report).try_for_each(|block| writeln!(out, "{},{}", block.block_index, block.byte_offset))
}

fn cbt(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let capacity = report.geometry.size().bytes();
    json::line(out, &Cbt::new(&report.blocks, report.geometry.block_size, Some(capacity)))
}

//! `icecore show`: facts, and a picture of the block map.

use crate::ops::show::Report;
use crate::render::escape::escaped;
use crate::render::json::{self, Frame};
use crate::render::list::{FactsView, started};
use crate::render::numbers::{blocks, count};
use crate::render::ranges::Pairs;
use crate::render::{Format, Printer, Render, map, table, text_or_json};
use crate::snapshot::SnapshotInfo;
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
    volume_size_gib: u32,
    block_size: u32,
    total_blocks: u32,
    allocated_blocks: u64,
    allocated_bytes: u64,
    /// What the control plane says; null where it was not asked.
    snapshot: Option<FactsView<'a>>,
    ranges: Pairs<'a>,
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let view = View {
        snapshot_id: report.snapshot_id.as_str(),
        volume_size_gib: report.geometry.volume_size.get(),
        block_size: report.geometry.block_size.bytes(),
        total_blocks: report.geometry.n_blocks(),
        allocated_blocks: report.allocated.len(),
        allocated_bytes: report.allocated_size().bytes(),
        snapshot: report.info.as_ref().map(FactsView::new),
        ranges: Pairs(&report.allocated),
    };
    json::object(out, "show", Frame::complete(report.requests), &view)
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let total = u64::from(report.geometry.n_blocks());
    let allocated = report.allocated.len();
    writeln!(out, "{}", report.snapshot_id)?;
    let mut facts = vec![
        ("volume", format!("{}, {} of {}", report.geometry.volume_size, blocks(total), block_size(report))),
        (
            "allocated",
            format!("{}, {} ({})", report.allocated_size(), blocks(allocated), percent(allocated, total)),
        ),
        ("runs", count(report.allocated.ranges().count() as u64)),
    ];
    if let Some(info) = &report.info {
        facts.extend(described(info));
    }
    table::facts(out, &facts)?;
    writeln!(out)?;
    map::draw(out, report.geometry, &report.allocated)
}

fn block_size(report: &Report) -> String {
    report.geometry.block_size.of(1).to_string()
}

fn described(info: &SnapshotInfo) -> Vec<(&'static str, String)> {
    let mut facts = vec![("started", started(info)), ("state", info.state.to_string())];
    facts.extend(info.volume_id.iter().map(|id| ("taken of", id.to_string())));
    facts.extend(info.parent.iter().map(|id| ("parent", id.to_string())));
    if info.encrypted {
        // The one fact about absent blocks that people get wrong.
        facts
            .push(("encrypted", "yes: blocks that are absent read as random bytes once restored".to_owned()));
    } else {
        facts.push(("encrypted", "no: blocks that are absent read as zeros once restored".to_owned()));
    }
    if !info.description.is_empty() {
        facts.push(("description", escaped(&info.description)));
    }
    let tags = info.tags.iter().map(|(key, value)| format!("{}={}", escaped(key), escaped(value)));
    facts.extend(tags.enumerate().map(|(at, tag)| (if at == 0 { "tags" } else { "" }, tag)));
    facts
}

/// A share in per cent, one decimal; never 0 % of something, nor 100 % of less than all.
fn percent(part: u64, whole: u64) -> String {
    match part * 1000 / whole.max(1) {
        0 if part > 0 => "under 0.1 %".to_owned(),
        tenths => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_to_nothing_or_to_all() {
        assert_eq!(percent(0, 2048), "0.0 %");
        assert_eq!(percent(1, 1 << 27), "under 0.1 %");
        assert_eq!(percent((1 << 27) - 1, 1 << 27), "99.9 %");
        assert_eq!(percent(2048, 2048), "100.0 %");
    }
}

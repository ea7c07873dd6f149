//! `icecore demo`: the main job told to somebody who sees it for the first time.

use crate::block::{BlockRange, BlockSize, ByteSize};
use crate::ops::diff::Step;
use crate::orchestrate::demo::{FIRST_TOUCH, Report};
use crate::render::json::{self, Frame};
use crate::render::numbers::{blocks, count, millis, span};
use crate::render::{Format, Printer, Render, text_or_json};
use serde::Serialize;
use std::io::{self, Write};

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        text_or_json(format, text, as_json)
    }
}

/// Ranges shown for each step; the rest is counted.
const RANGES_SHOWN: usize = 8;

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let volume = report.geometry.volume_size;
    writeln!(
        out,
        "Three nights of one {volume} ext4 volume went into a store through the AWS SDK and HTTP.\n"
    )?;
    writeln!(out, "IMPORTED")?;
    for (number, night) in report.nights.iter().enumerate() {
        let import = &night.import;
        let inherited = match import.blocks_inherited {
            0 => String::new(),
            same => format!(", {} inherited", count(same)),
        };
        let sent = blocks(import.blocks_written);
        writeln!(out, "  night {number}  {}  {sent} sent{inherited}", import.snapshot_id)?;
        writeln!(out, "           {}", night.story)?;
    }
    writeln!(out, "\nCHANGED")?;
    for (number, step) in report.diff.steps.iter().enumerate() {
        changed(out, number, step)?;
    }
    if let Some(churn) = report.diff.churn.first() {
        writeln!(
            out,
            "  most often: blocks {}, in {} of {} nights",
            churn.range,
            churn.times,
            report.diff.steps.len()
        )?;
    }
    billed(report, out)?;
    writeln!(out, "\nEXPORTED")?;
    let export = &report.export;
    let (written, holes) = (export.bytes_written, blocks(export.holes));
    writeln!(out, "  {} as a sparse image: {written} written, {holes} left as holes", export.snapshot_id)?;
    writeln!(out, "\nVERIFIED")?;
    match report.differing.len() {
        0 => writeln!(
            out,
            "  byte for byte the image that was imported: {}, {}",
            blocks(report.blocks_verified),
            report.size_verified()
        )?,
        n => writeln!(out, "  FAILED: {} differ from the image that was imported", blocks(n))?,
    }
    let verified = &report.verified;
    writeln!(
        out,
        "  icecore verify says {}, level {}: {} of {}",
        verified.state().as_str(),
        verified.level,
        count(verified.coverage.read),
        blocks(verified.coverage.total)
    )?;
    writeln!(out, "\nDAMAGED ON PURPOSE")?;
    let found: Vec<_> = report.damaged.wrong().iter().map(|index| index.to_string()).collect();
    let found = if found.is_empty() { "nothing".to_owned() } else { format!("block {}", found.join(", ")) };
    let state = report.damaged.state().as_str();
    writeln!(
        out,
        "  one bit flipped in block {}: icecore verify says {state} and finds {found}",
        report.flipped
    )?;
    evidence(report, out)?;
    warmed(report, out)?;
    drilled(report, out)?;
    let requests = report.requests;
    writeln!(out, "\n{} requests in {}.", count(requests.sent()), span(report.elapsed))
}

fn evidence(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Some(kept) = &report.evidence else { return Ok(()) };
    let state = |is_whole: bool| if is_whole { "pass" } else { "fail" };
    writeln!(out, "\nKEPT AS EVIDENCE, signed, each bundle chained to the one before")?;
    writeln!(
        out,
        "  both verdicts: icecore evidence verify says {}, {} bundles",
        state(kept.whole.findings.is_empty()),
        kept.whole.bundles.len()
    )?;
    let found: Vec<_> = kept.forged.findings.iter().map(|finding| finding.what.as_str()).collect();
    let found = if found.is_empty() { "nothing wrong".to_owned() } else { found.join(", ") };
    let said = state(kept.forged.findings.is_empty());
    writeln!(out, "  the bad verdict rewritten to a good one: it says {said}, {found}")
}

fn warmed(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let warmed = &report.warmed;
    writeln!(
        out,
        "\nWARMED, played by this program: each first touch of a block takes {}",
        millis(FIRST_TOUCH)
    )?;
    let one_by_one = FIRST_TOUCH * u32::try_from(warmed.read).unwrap_or(u32::MAX);
    writeln!(
        out,
        "  {} of {} read, what changed last first, in {}; one after the other they take {}",
        blocks(warmed.read),
        count(u64::from(report.geometry.n_blocks())),
        span(warmed.reading),
        span(one_by_one)
    )?;
    let p99 = warmed.proof.as_ref().and_then(|proof| proof.latencies.quantile(0.99));
    let sample = p99.map(|p99| format!(": 99 of 100 reads of a sample within {}", millis(p99)));
    writeln!(out, "  icecore warm says {}{}", warmed.state().as_str(), sample.unwrap_or_default())
}

fn drilled(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Some(drills) = &report.drills else { return Ok(()) };
    writeln!(out, "\nDRILLED, on volumes of the store")?;
    for drill in &drills.good.drills {
        let volume = drill.volume_id.as_ref().map(ToString::to_string).unwrap_or_default();
        let read = drill.verified.as_ref().map_or(0, |found| found.coverage.read);
        let left = if drill.left().next().is_none() { "deleted again" } else { "LEFT" };
        writeln!(
            out,
            "  {volume} made, attached, {}, {left}: icecore drill says {}",
            blocks(read),
            drill.state()
        )?;
    }
    for drill in &drills.bad.drills {
        let volume = drill.volume_id.as_ref().map(ToString::to_string).unwrap_or_default();
        let told = drill.validation();
        writeln!(out, "  {volume} restored by somebody else, one bit flipped in block {}:", report.flipped)?;
        writeln!(out, "  icecore drill --restored-volume says {}, {}", told.status, told.message)?;
    }
    Ok(())
}

fn billed(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let bill = &report.bill;
    writeln!(out, "\nCOSTS, by what only a block map tells ({} prices)", bill.prices.region)?;
    for (number, night) in report.nights.iter().enumerate() {
        let row = bill.rows.iter().find(|row| row.info.id == night.import.snapshot_id);
        let Some((row, full, billed)) = row.and_then(|row| Some((row, row.full?, row.attributed?))) else {
            continue;
        };
        let usd = row.usd.map_or_else(String::new, |usd| format!(", {} USD a month", usd.rounded(4)));
        writeln!(out, "  night {number}  {full} in full, {billed} billed{usd}")?;
    }
    writeln!(out, "  together {} and {} USD a month", bill.totals.stored, bill.totals.usd.rounded(4))?;
    let Some(answer) = &bill.what_if else { return Ok(()) };
    let moved: u64 = answer.moved.iter().map(|(_, size)| size.bytes()).sum();
    writeln!(
        out,
        "  deleting night 1 would free {}; {} stay, billed to night 2, which needs them",
        answer.freed,
        ByteSize::from_bytes(moved)
    )
}

fn changed(out: &mut dyn Write, number: usize, step: &Step) -> io::Result<()> {
    let delta = &step.delta;
    let (n, size) = (blocks(delta.len()), step.changed_size());
    let changed = delta.changed();
    let ranges: Vec<BlockRange> = changed.ranges().collect();
    let runs = if ranges.len() == 1 {
        "1 range".to_owned()
    } else {
        format!("{} ranges", count(ranges.len() as u64))
    };
    writeln!(out, "  night {number} to {}: {n}, {size}, in {runs}", number + 1)?;
    let shown: Vec<_> = ranges.iter().take(RANGES_SHOWN).map(ToString::to_string).collect();
    let rest = ranges.len().saturating_sub(RANGES_SHOWN);
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    writeln!(out, "           blocks {}{more}", shown.join(" "))
}

#[derive(Serialize)]
struct View<'a> {
    store: String,
    volume_size_gib: u32,
    snapshots: Vec<&'a str>,
    steps: Vec<StepView>,
    /// Billed to each, and what deleting the middle one would free.
    billed_bytes: Vec<Option<u64>>,
    freed_by_deleting_the_middle: Option<u64>,
    blocks_verified: u64,
    bytes_verified: u64,
    verified: bool,
    verify_state: &'a str,
    flipped_block: u32,
    flipped_state: &'a str,
    flipped_found: Vec<u32>,
    /// Whether evidence of both verdicts was whole, and a rewritten verdict found; null where none was kept.
    evidence_told_apart: Option<bool>,
    warm_state: &'a str,
    warm_blocks_read: u64,
    /// Null in a build that cannot ask for volumes.
    drill_state: Option<&'a str>,
    drill_damaged_state: Option<&'a str>,
}

#[derive(Serialize)]
struct StepView {
    changed_blocks: u64,
    changed_bytes: u64,
    ranges: Vec<[u32; 2]>,
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let steps = report.diff.steps.iter().map(|step| StepView {
        changed_blocks: step.delta.len(),
        changed_bytes: BlockSize::EBS.of(step.delta.len()).bytes(),
        ranges: step.delta.changed().ranges().map(|range| [range.start().get(), range.len()]).collect(),
    });
    let view = View {
        store: report.store.display().to_string(),
        volume_size_gib: report.geometry.volume_size.get(),
        snapshots: report.nights.iter().map(|night| night.import.snapshot_id.as_str()).collect(),
        steps: steps.collect(),
        billed_bytes: report
            .nights
            .iter()
            .map(|night| report.bill.rows.iter().find(|row| row.info.id == night.import.snapshot_id))
            .map(|row| row.and_then(|row| row.attributed).map(ByteSize::bytes))
            .collect(),
        freed_by_deleting_the_middle: report.bill.what_if.as_ref().map(|answer| answer.freed.bytes()),
        blocks_verified: report.blocks_verified,
        bytes_verified: report.size_verified().bytes(),
        verified: report.is_verified(),
        verify_state: report.verified.state().as_str(),
        flipped_block: report.flipped.get(),
        flipped_state: report.damaged.state().as_str(),
        evidence_told_apart: report.evidence.as_ref().map(|kept| kept.is_told_apart()),
        warm_state: report.warmed.state().as_str(),
        warm_blocks_read: report.warmed.read,
        drill_state: report.drills.as_ref().map(|drills| drills.good.state().as_str()),
        drill_damaged_state: report.drills.as_ref().map(|drills| drills.bad.state().as_str()),
        flipped_found: report.damaged.wrong().iter().map(|index| index.get()).collect(),
    };
    let frame = Frame { complete: true, requests: Some(report.requests), elapsed: Some(report.elapsed) };
    json::object(out, "demo", frame, &view)
}

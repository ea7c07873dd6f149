//! `icecore diff`: what was written between snapshots.
//!
//! In JSON every element of `steps` has the same fields. With two snapshots there is one step, and its fields stand
//! at the top as well: a script that compares two never looks into `steps`.

use crate::block::{BlockRange, BlockSet, BlockSize, ByteSize};
use crate::delta::Churn;
use crate::ops::diff::{Report, Step};
use crate::render::json::{self, Frame};
use crate::render::numbers::{blocks, count};
use crate::render::ranges::{Cbt, Pairs};
use crate::render::{Format, Printer, Render, table};
use serde::Serialize;
use std::io::{self, Write};

/// Runs shown to people; programs get all of them.
const SHOWN_RUNS: usize = 16;

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(text),
            Format::Json => Some(as_json),
            Format::Csv => Some(csv),
            Format::Cbt => Some(cbt),
            Format::Jsonl | Format::Junit | Format::Metrics => None,
        }
    }
}

#[derive(Serialize)]
struct StepView<'a> {
    first: &'a str,
    second: &'a str,
    changed_blocks: u64,
    changed_bytes: u64,
    only_in_first: u64,
    only_in_second: u64,
    in_both: u64,
    /// Null unless contents were compared.
    identical: Option<u64>,
    ranges: Pairs<'a>,
}

#[derive(Serialize)]
struct View<'a> {
    #[serde(flatten)]
    only: Option<&'a StepView<'a>>,
    steps: &'a [StepView<'a>],
    churn: Vec<ChurnView>,
}

#[derive(Serialize)]
struct ChurnView {
    start: u32,
    len: u32,
    times: u32,
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let changed: Vec<BlockSet> = report.steps.iter().map(|step| step.delta.changed()).collect();
    let steps: Vec<_> = report.steps.iter().zip(&changed).map(|(step, set)| step_view(step, set)).collect();
    let churn =
        |run: &Churn| ChurnView { start: run.range.start().get(), len: run.range.len(), times: run.times };
    let view = View {
        only: if let [only] = steps.as_slice() { Some(only) } else { None },
        steps: &steps,
        churn: report.churn.iter().map(churn).collect(),
    };
    json::object(out, "diff", Frame::complete(report.requests), &view)
}

fn step_view<'a>(step: &'a Step, changed: &'a BlockSet) -> StepView<'a> {
    StepView {
        first: step.first.as_str(),
        second: step.second.as_str(),
        changed_blocks: step.delta.len(),
        changed_bytes: step.changed_size().bytes(),
        only_in_first: step.delta.only_in_first.len(),
        only_in_second: step.delta.only_in_second.len(),
        in_both: step.delta.in_both.len(),
        identical: step.identical,
        ranges: Pairs(changed),
    }
}

fn csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "first,second,block_index,blocks,byte_offset,bytes")?;
    for step in &report.steps {
        for range in step.delta.changed().ranges() {
            let (offset, size) = (range.byte_offset(BlockSize::EBS), range.size(BlockSize::EBS).bytes());
            let (start, len) = (range.start(), range.len());
            writeln!(out, "{},{},{start},{len},{offset},{size}", step.first, step.second)?;
        }
    }
    Ok(())
}

/// One object a step: two snapshots give one.
fn cbt(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    report.steps.iter().try_for_each(|step| {
        let capacity = step.volume_size.map(|size| size.size().bytes());
        json::line(out, &Cbt::new(&step.delta.changed(), BlockSize::EBS, capacity))
    })
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for (at, step) in report.steps.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        text_of(step, out)?;
    }
    if report.churn.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nchanged most often")?;
    let cells = |run: &Churn| {
        let times = format!("in {} of {} steps", run.times, report.steps.len());
        let mut cells = run_cells(run.range);
        cells.push(times);
        cells
    };
    table::rows(out, &["  BLOCKS", "AT", "SIZE", ""], &[], report.churn.iter().map(cells))
}

fn text_of(step: &Step, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} -> {}", step.first, step.second)?;
    if step.delta.is_empty() {
        return writeln!(out, "  nothing was written between them");
    }
    let amount = |n: u64| match n {
        0 => "none".to_owned(),
        n => format!("{}, {}", BlockSize::EBS.of(n), blocks(n)),
    };
    let changed = step.delta.changed();
    let both = step.delta.in_both.len();
    let mut facts = vec![
        ("changed", amount(step.delta.len())),
        ("rewritten", amount(both)),
        ("only in second", amount(step.delta.only_in_second.len())),
        ("only in first", amount(step.delta.only_in_first.len())),
    ];
    if let Some(same) = step.identical {
        facts.push((
            "identical",
            format!("{} of the {} rewritten, same bytes in both", count(same), count(both)),
        ));
    }
    table::facts(out, &facts)?;
    writeln!(out)?;
    let runs = changed.ranges().take(SHOWN_RUNS).map(run_cells);
    table::rows(out, &["  BLOCKS", "AT", "SIZE"], &[], runs)?;
    let more = (changed.ranges().count() as u64).saturating_sub(SHOWN_RUNS as u64);
    if more > 0 {
        writeln!(out, "  .. and {} more runs; --format json lists all", count(more))?;
    }
    Ok(())
}

fn run_cells(range: BlockRange) -> Vec<String> {
    let offset = ByteSize::from_bytes(range.byte_offset(BlockSize::EBS));
    vec![format!("  {range}"), offset.to_string(), range.size(BlockSize::EBS).to_string()]
}

//! `icecore store check`: what was read, and what is damaged.

use crate::block::BlockSet;
use crate::ops::store_check::Report;
use crate::render::json::{self, Frame};
use crate::render::numbers::count;
use crate::render::ranges::Pairs;
use crate::render::{Format, Printer, Render, table, text_or_json};
use crate::store::{Damage, Hurt, Part};
use serde::Serialize;
use std::io::{self, Write};

/// Runs of hurt blocks shown to people; programs get all of them.
const SHOWN_RUNS: usize = 8;

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        text_or_json(format, text, as_json)
    }
}

#[derive(Serialize)]
struct View<'a> {
    dir: String,
    clean: bool,
    snapshots: u64,
    pending: u64,
    layers: u64,
    blocks: u64,
    damages: Vec<DamageView<'a>>,
    /// Files that nothing names; null where damage hides which they are.
    unnamed: Option<u64>,
}

#[derive(Serialize)]
struct DamageView<'a> {
    file: String,
    part: &'static str,
    what: &'a str,
    hurts: Vec<HurtView<'a>>,
}

#[derive(Serialize)]
struct HurtView<'a> {
    snapshot_id: &'a str,
    /// Null where the damage hides which blocks are lost.
    ranges: Option<Pairs<'a>>,
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let found = &report.found;
    let view = View {
        dir: report.dir.display().to_string(),
        clean: found.is_clean(),
        snapshots: found.snapshots,
        pending: found.pending,
        layers: found.layers,
        blocks: found.blocks,
        damages: found.damages.iter().map(damage).collect(),
        unnamed: found.unnamed.as_ref().map(|files| files.len() as u64),
    };
    json::object(
        out,
        "store-check",
        Frame { complete: !found.is_empty(), requests: None, elapsed: None },
        &view,
    )
}

fn damage(damage: &Damage) -> DamageView<'_> {
    DamageView {
        file: damage.file.display().to_string(),
        part: part(damage.part),
        what: &damage.what,
        hurts: damage.hurts.iter().map(hurt).collect(),
    }
}

fn hurt(hurt: &Hurt) -> HurtView<'_> {
    HurtView { snapshot_id: hurt.snapshot.as_str(), ranges: hurt.blocks.as_ref().map(Pairs) }
}

fn part(part: Part) -> &'static str {
    match part {
        Part::Record => "record",
        Part::Layer => "layer",
        Part::Block(_) => "block",
        Part::Clock => "clock",
        Part::Account => "account",
    }
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let found = &report.found;
    let verdict = match found.damages.len() as u64 {
        0 if found.is_empty() => "no snapshot is in it, so nothing was checked".to_owned(),
        0 => "whole".to_owned(),
        1 => "1 file is damaged".to_owned(),
        n => format!("{} files are damaged", count(n)),
    };
    writeln!(out, "{}: {verdict}", report.dir.display())?;
    let pending =
        if found.pending > 0 { format!(", {} of them pending", found.pending) } else { String::new() };
    let mut facts = vec![
        ("snapshots", format!("{}{pending}", count(found.snapshots))),
        ("layers", count(found.layers)),
        ("blocks", format!("{}, each read and hashed", count(found.blocks))),
    ];
    match found.unnamed.as_deref() {
        Some([]) => {}
        Some(files) => {
            let n = count(files.len() as u64);
            facts
                .push(("unnamed", format!("{n} files that nothing names: left over, or just being written")));
        }
        None => facts.push(("unnamed", "unknown: a damaged file hides what it names".to_owned())),
    }
    table::facts(out, &facts)?;
    for damage in &found.damages {
        writeln!(out, "\n{}: {}", damage.file.display(), damage.what)?;
        match damage.part {
            Part::Account => {
                writeln!(out, "  volumes, images and locks of the account are lost, no snapshot is")?
            }
            _ if damage.hurts.is_empty() => writeln!(out, "  no snapshot needs it")?,
            _ => {}
        }
        for hurt in &damage.hurts {
            let lost = hurt.blocks.as_ref().map_or_else(|| "unknown blocks".to_owned(), lost);
            writeln!(out, "  {} loses {lost}", hurt.snapshot)?;
        }
    }
    Ok(())
}

/// `blocks 3-7, 12 and 40 more runs`.
fn lost(blocks: &BlockSet) -> String {
    let shown: Vec<_> = blocks.ranges().take(SHOWN_RUNS).map(|range| range.to_string()).collect();
    let more = blocks.ranges().count().saturating_sub(SHOWN_RUNS) as u64;
    let rest = if more > 0 { format!(" and {} more runs", count(more)) } else { String::new() };
    let noun = if blocks.len() == 1 { "block" } else { "blocks" };
    format!("{noun} {}{rest}", shown.join(", "))
}

//! A verification on one screen.

use crate::block::{BlockRange, BlockSize, ByteSize};
use crate::ops::verify::{Class, Level, Mismatch, Report, State};
use crate::render::escape::escaped;
use crate::render::numbers::{blocks, count, span};
use crate::render::table::{self, wrapped};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Ranges of wrong blocks shown; programs get every block.
const SHOWN: usize = 10;

pub(in crate::render) fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", escaped(&verdict(report)))?;
    let mut facts: Vec<(&str, String)> = Vec::new();
    let level = report.level;
    let claim = match report.state() {
        State::Pass => level.shows().to_owned(),
        _ => format!("Not shown here; a pass says: {}", level.shows()),
    };
    wrapped(&mut facts, "level", &format!("{level} {}. {claim}", level.as_str()));
    let disclaimers = report.disclaimers();
    wrapped(&mut facts, "not shown", &disclaimers.join(" "));
    facts.push(("checked", checked(report)));
    if let Some(bound) = report.upper_bound_95.filter(|bound| *bound > 0.0) {
        let share = format!("with 95 % confidence at most {:.3} % of the blocks are damaged", 100.0 * bound);
        wrapped(&mut facts, "bound", &share);
    }
    if let Some(baseline) = &report.baseline {
        facts.push(("baseline", format!("{}, {}", escaped(&baseline.name), baseline.origin.as_str())));
    }
    facts.extend(target(report));
    if !report.mismatches.is_empty() {
        wrapped(&mut facts, "wrong", &wrong(report));
    }
    for exception in &report.exceptions {
        wrapped(&mut facts, "trouble", &escaped(&exception.what));
    }
    if !report.unreadable.is_empty() {
        facts.push(("unreadable", blocks(report.unreadable.len())));
    }
    if let Some(root) = report.content_root {
        facts.push(("content root", root.to_string()));
    }
    facts.push(("took", took(report)));
    table::facts(out, &facts)?;
    ranges(report, out)
}

/// The same as a string.
pub(super) fn as_text(report: &Report) -> String {
    let mut bytes = Vec::new();
    // A vector takes everything.
    let _ = text(report, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `PASS  snap-0.. against /dev/nvme1n1`.
fn verdict(report: &Report) -> String {
    let state = match report.state() {
        State::Pass => "PASS",
        State::Fail => "FAIL",
        State::Incomplete => "INCOMPLETE",
        State::ChangedSinceRestore => "CHANGED SINCE RESTORE",
    };
    let target = report.target.as_ref().map(|target| format!(" against {}", target.name)).unwrap_or_default();
    let why = match (report.state(), report.stopped_by) {
        (State::Incomplete, Some(budget)) => match budget {
            crate::ops::verify::Budget::Usd => ": the budget is used up; the same command goes on from here",
            crate::ops::verify::Budget::Deadline => ": the time is up; the same command goes on from here",
        },
        _ => "",
    };
    format!("{state}  {}{target}{why}", report.subject.name)
}

fn checked(report: &Report) -> String {
    let coverage = &report.coverage;
    match report.level {
        Level::Inventory => return "no block was listed or read".to_owned(),
        Level::BlockMap => return format!("{} listed, none read", blocks(coverage.total)),
        _ => {}
    }
    let size = BlockSize::EBS.of(coverage.read);
    let percent = 100.0 * coverage.ratio();
    let mut text = format!(
        "{} of {}, {size}, {percent:.1} % ({})",
        count(coverage.read),
        blocks(coverage.total),
        report.mode_name()
    );
    if coverage.read < coverage.planned {
        text += &format!("; {} were to be checked", count(coverage.planned));
    }
    if let Some(seed) = report.mode.seed {
        text += &format!("; --seed {seed} draws the same");
    }
    text
}

fn target(report: &Report) -> Vec<(&'static str, String)> {
    let Some(target) = &report.target else { return Vec::new() };
    let mut facts = Vec::new();
    if let Some(volume) = &target.volume_id {
        facts.push(("volume", volume.to_string()));
    }
    for fs in target.file_systems.iter().filter(|_| report.level == Level::FileSystem) {
        let state = match fs.is_clean {
            Some(true) => "clean",
            Some(false) => "not clean",
            None => "nobody tells whether clean",
        };
        facts.push((
            "file system",
            format!("{} at byte {}, {}: {state}", fs.kind.as_str(), fs.offset, fs.size),
        ));
    }
    if target.short_by > ByteSize::ZERO {
        facts.push(("too short", format!("the target ends {} before the volume does", target.short_by)));
    }
    if target.tail > ByteSize::ZERO {
        facts.push(("tail", format!("{} of the target lie beyond the volume; not looked at", target.tail)));
    }
    facts
}

/// `4 blocks: 3 content, 1 zeros; 1 of them right when read again`.
fn wrong(report: &Report) -> String {
    let mut classes: BTreeMap<&str, u64> = BTreeMap::new();
    for mismatch in &report.mismatches {
        *classes.entry(mismatch.class.as_str()).or_default() += 1;
    }
    let classes: Vec<_> = classes.into_iter().map(|(class, n)| format!("{} {class}", count(n))).collect();
    let mut text = format!("{}: {}", blocks(report.mismatches.len() as u64), classes.join(", "));
    let of = |which: fn(&Mismatch) -> bool| {
        report.mismatches.iter().filter(|mismatch| which(mismatch)).count() as u64
    };
    let transient = of(|mismatch| mismatch.is_persistent == Some(false));
    if transient > 0 {
        text += &format!("; {} right when read again", count(transient));
    }
    let explained = of(|mismatch| mismatch.is_explained);
    if explained > 0 {
        text += &format!("; {} in a file system mounted since the restore", count(explained));
    }
    text
}

fn took(report: &Report) -> String {
    let requests = report.requests;
    let mut text = span(report.elapsed);
    if requests.sent() > 0 {
        text += &format!(", {} requests", count(requests.sent()));
    }
    if requests.throttled > 0 {
        text += &format!(", {} throttled", count(requests.throttled));
    }
    if let Some(usd) = report.usd {
        text += &format!(", {} USD", usd.exact());
    }
    text
}

/// Adjacent blocks of one class, as one line.
struct Run {
    range: BlockRange,
    class: Class,
    first: Mismatch,
}

fn ranges(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.mismatches.is_empty() {
        return Ok(());
    }
    let runs = runs(&report.mismatches);
    writeln!(out)?;
    let digest = |digest: Option<crate::block::Digest>| {
        digest.map_or("-".to_owned(), |digest| digest.to_string()[..12].to_owned())
    };
    let rows = runs.iter().take(SHOWN).map(|run| {
        let class = match run.class {
            Class::Misdirected(home) => format!("bytes of block {home}"),
            ref other => other.as_str().to_owned(),
        };
        let at = ByteSize::from_bytes(run.range.byte_offset(BlockSize::EBS));
        vec![
            format!("  {}", run.range),
            at.to_string(),
            class,
            digest(run.first.expected),
            digest(run.first.actual),
        ]
    });
    table::rows(out, &["  BLOCKS", "AT", "CLASS", "EXPECTED", "FOUND"], &[], rows)?;
    match runs.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  .. and {} more runs; --format json lists every block", count(more as u64)),
    }
}

fn runs(mismatches: &[Mismatch]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for mismatch in mismatches {
        match runs.last_mut() {
            Some(run) if run.range.end() == mismatch.index.get() && run.class == mismatch.class => {
                run.range = BlockRange::new(run.range.start(), run.range.len() + 1);
            }
            _ => runs.push(Run {
                range: BlockRange::new(mismatch.index, 1),
                class: mismatch.class.clone(),
                first: mismatch.clone(),
            }),
        }
    }
    runs
}

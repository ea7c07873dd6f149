//! A warming on one screen.

use crate::block::{BlockSet, BlockSize, ByteSize};
use crate::ops::warm::{Bound, Latencies, Ordered, Proof, Report, Skip, State};
use crate::render::escape::escaped;
use crate::render::numbers::{blocks, count, millis, span};
use crate::render::table;
use std::io::{self, Write};
use std::time::Duration;

/// Ranges of blocks shown; programs get every one.
const SHOWN: usize = 8;

pub(super) fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", escaped(&verdict(report)))?;
    let mut facts: Vec<(&str, String)> = Vec::new();
    if let Some(skip) = report.skipped {
        table::wrapped(&mut facts, "skipped", skipped(skip));
    } else {
        if !report.is_probe {
            table::wrapped(&mut facts, "read", &read(report));
            facts.push(("order", order(report)));
        }
        if let Some(latencies) = latencies(&report.latencies) {
            facts.push(("first touch", latencies));
        }
        if report.is_counted == Some(false) {
            table::wrapped(
                &mut facts,
                "map",
                "it does not say how many blocks it lists: nothing shows whether it was cut",
            );
        }
        if let Some(proof) = report.proof.as_ref().filter(|_| report.allocated > 0) {
            table::wrapped(&mut facts, "proof", &proof_of(proof, report.is_probe));
        }
    }
    if let Some(share) = report.predicted {
        facts.push(("foretold", format!("{:.0} % warm by the deadline", 100.0 * share)));
    }
    facts.extend(initialization(report));
    if let Some(exceeded) = report.exceeded {
        facts.push(("slo", format!("the gauge was too high {} times", count(exceeded))));
    }
    if !report.cold.is_empty() && !report.is_probe {
        table::wrapped(&mut facts, "cold", &some_of(&report.cold));
    }
    if !report.unreadable.is_empty() {
        table::wrapped(&mut facts, "unreadable", &some_of(&report.unreadable));
    }
    for warning in &report.warnings {
        table::wrapped(&mut facts, "warning", &escaped(warning));
    }
    for exception in &report.exceptions {
        table::wrapped(&mut facts, "trouble", &escaped(&exception.what));
    }
    facts.push(("took", span(report.elapsed)));
    table::facts(out, &facts)?;
    match &report.verified {
        Some(verified) => {
            writeln!(out)?;
            crate::render::verify::text(verified, out)
        }
        None => Ok(()),
    }
}

/// `WARM  /dev/nvme1n1, by snap-..`.
fn verdict(report: &Report) -> String {
    let state = match report.state() {
        State::Warm => "WARM",
        State::Partial => "PARTIAL",
        State::Incomplete => "INCOMPLETE",
    };
    let why = match (report.state(), report.stopped_by) {
        (State::Warm, _) if report.allocated == 0 => ": the snapshot has no blocks, and nothing was read",
        (State::Incomplete, _) if report.allocated == 0 && report.exceptions.is_empty() => {
            ": the snapshot has no blocks, so nothing was read; --allow-empty accepts that"
        }
        (State::Partial, Some(Bound::Deadline)) => ": the time is up; the same command goes on from here",
        (State::Partial, Some(Bound::Limit)) => ": no more was asked for; without --hottest the rest is read",
        (State::Partial, None) if report.cold.is_empty() => ": all was read, but a sample was slow",
        (State::Partial, None) if report.is_probe => ": the sample was slow",
        _ => "",
    };
    format!("{state}  {}, by {}{why}", report.device.path.display(), report.source)
}

fn skipped(skip: Skip) -> &'static str {
    match skip {
        Skip::FastRestored => {
            "the volume came whole from a fast snapshot restore, says AWS; nothing was read (--force reads it)"
        }
        Skip::Initialized => "AWS says that the volume is initialized; nothing was read (--force reads it)",
    }
}

fn read(report: &Report) -> String {
    let of = match report.planned == report.allocated {
        true => format!("{} allocated", blocks(report.allocated)),
        false => format!("{} wanted, {} allocated", count(report.planned), blocks(report.allocated)),
    };
    let mut text = format!("{} of {of}, {}", count(report.read), BlockSize::EBS.of(report.read));
    if let Some(geometry) = report.geometry {
        text += &format!(" of a volume of {}", geometry.volume_size);
    }
    if report.resumed > 0 {
        text += &format!("; {} by an earlier run", count(report.resumed));
    }
    let millis = u64::try_from(report.reading.as_millis()).unwrap_or(u64::MAX).max(1);
    let bytes = report.bytes_read.bytes() - report.bytes_of_proof.bytes();
    if bytes > 0 {
        let speed = ByteSize::from_bytes(bytes.saturating_mul(1000) / millis);
        text += &format!("; in {}, {speed}/s", span(report.reading));
    }
    text
}

fn order(report: &Report) -> String {
    match &report.order {
        Ordered::Index => "by index".to_owned(),
        Ordered::Recency(ids) => {
            let s = if ids.len() == 1 { "" } else { "s" };
            format!("what changed last first, by {} older snapshot{s}", ids.len())
        }
        Ordered::Ranges(path) => format!("the ranges of {} first", escaped(&path.display().to_string())),
    }
}

fn latencies(latencies: &Latencies) -> Option<String> {
    let shown = |part: Option<Duration>| part.map(millis);
    let (p50, p99) = (shown(latencies.quantile(0.5))?, shown(latencies.quantile(0.99))?);
    Some(format!("p50 {p50}, p99 {p99}, longest {}", shown(latencies.max())?))
}

fn proof_of(proof: &Proof, is_probe: bool) -> String {
    let took = latencies(&proof.latencies).unwrap_or_else(|| "none could be read".to_owned());
    let mut text = format!(
        "{} drawn at random over all {} allocated, 4 KiB each, one at a time: {took}. ",
        blocks(proof.sample),
        count(proof.population)
    );
    if proof.was_never_slow {
        text += "First touch was never slow, so the volume was warm already.";
    } else {
        let verdict = if proof.is_warm() { "under" } else { "not under" };
        text += &format!("p99 is {verdict} {}; {} took longer.", millis(proof.threshold), count(proof.slow));
    }
    let bound = 100.0 * proof.upper_bound_95;
    text += &format!(" With 95 % confidence at most {bound:.2} % of the blocks are cold.");
    if is_probe {
        text += " The blocks of the sample are warm now.";
    }
    text
}

fn initialization(report: &Report) -> Option<(&'static str, String)> {
    let shown = |percent: Option<u8>| percent.map_or("?".to_owned(), |percent| percent.to_string());
    let (first, last) = (report.initialization.first()?, report.initialization.last()?);
    let text = match report.initialization.len() {
        1 => format!("its own initialization is at {} %", shown(first.progress)),
        _ => format!(
            "its own initialization was at {} %, and is at {} %",
            shown(first.progress),
            shown(last.progress)
        ),
    };
    Some(("AWS", text))
}

/// `12 blocks: 3-5 7 ..`.
fn some_of(set: &BlockSet) -> String {
    let ranges: Vec<_> = set.ranges().take(SHOWN).map(|range| range.to_string()).collect();
    let n_ranges = set.ranges().count();
    let more = match n_ranges.saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {} more runs", count(more as u64)),
    };
    format!("{}: {}{more}", blocks(set.len()), ranges.join(" "))
}

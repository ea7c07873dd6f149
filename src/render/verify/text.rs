//! A verification on one screen.

use crate::block::{BlockIndex, BlockRange, BlockSize, ByteSize, Digest};
use crate::ops::verify::{Class, Finding, Level, Mismatch, Mismatches, Mode, Report, State};
use crate::ops::verify::{age, in_words};
use crate::render::escape::escaped;
use crate::render::numbers::{blocks, count, span, to_the_second};
use crate::render::table::{self, wrapped};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Ranges of wrong blocks shown, so that all of it fits 25 lines; programs get every block.
const SHOWN: usize = 7;

/// Partitions shown; programs get every one.
const SHOWN_PARTITIONS: usize = 12;

pub(in crate::render) fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", escaped(&verdict(report)))?;
    let mut facts: Vec<(&str, String)> = Vec::new();
    let level = report.level;
    let claim = match report.state() {
        State::Pass => report.claim().to_owned(),
        _ => format!("Not shown here; a pass says: {}", level.shows()),
    };
    for finding in &report.findings {
        wrapped(&mut facts, "finding", &escaped(&shown(finding)));
    }
    wrapped(&mut facts, "level", &format!("{level} {}. {claim}", level.as_str()));
    let disclaimers = report.disclaimers();
    wrapped(&mut facts, "not shown", &disclaimers.join(" "));
    facts.push(("checked", checked(report)));
    if let Some(bound) = report.upper_bound_95.filter(|bound| *bound > 0.0) {
        let share = format!("with 95 % confidence at most {:.3} % of the blocks are damaged", 100.0 * bound);
        wrapped(&mut facts, "bound", &share);
    }
    // Wrong blocks take the room on the screen.
    if let Some(info) = report.subject.info.as_ref().filter(|_| report.mismatches.is_empty()) {
        let old = in_words(age(info.start_time, report.started));
        facts.push(("taken", format!("{}, {old} before the run", to_the_second(info.start_time))));
    }
    if let Some(baseline) = &report.baseline {
        facts.push(("baseline", format!("{}, {}", escaped(&baseline.name), baseline.origin.as_str())));
    }
    facts.extend(target(report));
    let wrong = Wrong::of(&report.mismatches)?;
    if !report.mismatches.is_empty() {
        wrapped(&mut facts, "wrong", &wrong.in_words(report.mismatches.len()));
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
    wrong.list(out)
}

/// `rpo-exceeded: snap-0a: the newest readable snapshot ..; take a snapshot now`.
pub(super) fn shown(finding: &Finding) -> String {
    format!("{}: {}: {}; {}", finding.rule, finding.resource, finding.what, finding.fix)
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
    let state = match report.verdict() {
        State::Pass => "PASS",
        State::Fail => "FAIL",
        State::Incomplete => "INCOMPLETE",
        State::ChangedSinceRestore => "CHANGED SINCE RESTORE",
    };
    let target = report.target.as_ref().map(|target| {
        let place = target.place.as_ref().map(|place| format!(" of {place}")).unwrap_or_default();
        format!(" against {}{place}", target.name)
    });
    let target = target.unwrap_or_default();
    let why = match (report.state(), report.stopped_by) {
        (State::Incomplete, Some(budget)) => match budget {
            crate::ops::verify::Budget::Usd => ": the budget is used up; the same command goes on from here",
            crate::ops::verify::Budget::Deadline => ": the time is up; the same command goes on from here",
        },
        (State::Incomplete, None) if report.is_whole() && report.void().is_some() => ": nothing was read",
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
        chosen(&report.mode)
    );
    if coverage.read < coverage.planned {
        text += &format!("; {} were to be checked", count(coverage.planned));
    }
    if report.mode.is_resumed {
        text += &format!("; {} of them resumed, on trust", count(coverage.resumed));
    }
    if let Some(seed) = report.mode.seed {
        text += &format!("; --seed {seed} draws the same");
    }
    text
}

/// `full`, or what was chosen: `30-day cycle, part 4/30`, `delta + sample for 99%/0.1%`.
fn chosen(mode: &Mode) -> String {
    let parts = match mode.parts.as_slice() {
        [] => None,
        [part] => Some(format!("part {part}")),
        [first, ..] => Some(format!("{} of {} parts", mode.parts.len(), first.of())),
    };
    let cycle = mode.cycle_days.map(|days| format!("{days}-day cycle"));
    let all = [
        mode.delta_from.as_ref().map(|_| "delta".to_owned()),
        Some([cycle, parts].into_iter().flatten().collect::<Vec<_>>().join(", ")),
        mode.sample.map(|aim| format!("sample for {aim}")),
    ];
    let chosen: Vec<_> = all.into_iter().flatten().filter(|one| !one.is_empty()).collect();
    if chosen.is_empty() { mode.name() } else { chosen.join(" + ") }
}

fn target(report: &Report) -> Vec<(&'static str, String)> {
    let Some(target) = &report.target else { return Vec::new() };
    let mut facts = Vec::new();
    if let Some(volume) = &target.volume_id {
        facts.push(("volume", volume.to_string()));
    }
    // The reasons are among what is not shown.
    let partitions = if report.level == Level::FileSystem { &target.layout.partitions[..] } else { &[] };
    for one in partitions.iter().take(SHOWN_PARTITIONS) {
        let allowed = if target.is_allowed(one) { ", allowed" } else { "" };
        let state = one.condition.in_words();
        facts.push(("on it", escaped(&format!("{one}, {}: {state}{allowed}", one.size))));
    }
    if let more @ 1.. = partitions.len().saturating_sub(SHOWN_PARTITIONS) {
        facts.push(("on it", format!("{more} more partitions; --format json lists every one")));
    }
    if target.short_by > ByteSize::ZERO {
        facts.push(("too short", format!("the target ends {} before the volume does", target.short_by)));
    }
    if target.tail > ByteSize::ZERO {
        facts.push(("tail", format!("{} of the target lie beyond the volume; not looked at", target.tail)));
    }
    facts
}

fn took(report: &Report) -> String {
    let requests = report.requests;
    let mut text = span(report.elapsed);
    if requests.sent() > 0 {
        let sent = requests.sent();
        text += &format!(", {} request{}", count(sent), if sent == 1 { "" } else { "s" });
    }
    if requests.throttled > 0 {
        text += &format!(", {} throttled", count(requests.throttled));
    }
    if let Some(usd) = report.usd {
        text += &format!(", {} USD", usd.exact());
    }
    text
}

/// What is wrong, as far as it fits a screen: counted as it is walked, for there may be millions.
#[derive(Default)]
struct Wrong {
    classes: BTreeMap<&'static str, u64>,
    transient: u64,
    explained: u64,
    runs: u64,
    /// The first runs that nothing explains, and the first of those that a mount does.
    shown: [Vec<Run>; 2],
}

/// Adjacent blocks of one class, as one line.
struct Run {
    range: BlockRange,
    first: Mismatch,
}

impl Wrong {
    fn of(mismatches: &Mismatches) -> io::Result<Self> {
        let mut wrong = Self::default();
        let mut last: Option<(BlockIndex, Class, bool)> = None;
        let mut is_shown = false;
        for mismatch in mismatches.iter() {
            let mismatch = mismatch.map_err(io::Error::other)?;
            *wrong.classes.entry(mismatch.class.as_str()).or_default() += 1;
            wrong.transient += u64::from(mismatch.is_persistent == Some(false));
            wrong.explained += u64::from(mismatch.is_explained);
            let this = (mismatch.index, mismatch.class.clone(), mismatch.is_explained);
            let goes_on = last.is_some_and(|(index, class, is_explained)| {
                index.next() == Some(this.0) && (&class, is_explained) == (&this.1, this.2)
            });
            let shown = &mut wrong.shown[usize::from(mismatch.is_explained)];
            if !goes_on {
                wrong.runs += 1;
                is_shown = shown.len() < SHOWN;
                if is_shown {
                    shown.push(Run { range: BlockRange::new(mismatch.index, 1), first: mismatch });
                }
            } else if let (true, Some(Run { range, .. })) = (is_shown, shown.last_mut()) {
                *range = BlockRange::new(range.start(), range.len() + 1);
            }
            last = Some(this);
        }
        Ok(wrong)
    }

    /// `4 blocks: 3 content, 1 zeros; 1 of them right when read again`.
    fn in_words(&self, n: u64) -> String {
        let classes: Vec<_> =
            self.classes.iter().map(|(class, n)| format!("{} {class}", count(*n))).collect();
        let mut text = format!("{}: {}", blocks(n), classes.join(", "));
        if self.transient > 0 {
            text += &format!("; {} right when read again", count(self.transient));
        }
        if self.explained > 0 {
            text += &format!("; {} in a file system mounted since the restore", count(self.explained));
        }
        text
    }

    fn list(&self, out: &mut dyn Write) -> io::Result<()> {
        let shown = || self.shown.iter().flatten().take(SHOWN);
        let more = self.runs - shown().count() as u64;
        if self.runs == 0 {
            return Ok(());
        }
        writeln!(out)?;
        let digest = |digest: Option<Digest>| {
            digest.map_or("-".to_owned(), |digest| digest.to_string()[..12].to_owned())
        };
        let rows = shown().map(|Run { range, first }| {
            let mut class = match first.class {
                Class::Misdirected(home) => format!("bytes of block {home}"),
                ref other => other.as_str().to_owned(),
            };
            if first.is_explained {
                class += ", mounted";
            }
            let at = ByteSize::from_bytes(range.byte_offset(BlockSize::EBS));
            vec![format!("  {range}"), at.to_string(), class, digest(first.expected), digest(first.actual)]
        });
        table::rows(out, &["  BLOCKS", "AT", "CLASS", "EXPECTED", "FOUND"], &[], rows)?;
        match more {
            0 => Ok(()),
            more => writeln!(out, "  .. and {} more runs; --format json lists every block", count(more)),
        }
    }
}

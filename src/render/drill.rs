//! `icecore drill`: the verdicts first, then what they rest upon, and what was left.

use crate::control::Known;
use crate::fault::Kind;
use crate::ops::verify::{Budget, Exception, State};
use crate::orchestrate::drill::{Drill, Goal, Missed, Mounted, Report};
use crate::orchestrate::{Outcome, Taken, Undoing};
use crate::render::escape::escaped;
use crate::render::json::{self, Frame};
use crate::render::numbers::{blocks, count, rfc3339, span, to_the_second};
use crate::render::ranges::shown;
use crate::render::sheet::{self, maybe};
use crate::render::verify::View as Verified;
use crate::render::{Format, Printer, Render, table};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(text),
            Format::Json => Some(as_json),
            Format::Csv => Some(csv),
            Format::Jsonl | Format::Cbt | Format::Junit | Format::Metrics => None,
        }
    }
}

#[derive(Serialize)]
struct View<'a> {
    run_id: &'a str,
    tool: &'a str,
    version: &'a str,
    place: &'a str,
    instance_id: &'a str,
    started: Option<String>,
    ended: Option<String>,
    rto_seconds: Option<f64>,
    rpo_seconds: Option<f64>,
    volumes_deleted: usize,
    /// Deleted volumes that the Recycle Bin keeps, billed as before; null where nobody could tell.
    volumes_in_recycle_bin: Option<Vec<&'a str>>,
    drills: Vec<DrillView<'a>>,
}

#[derive(Serialize)]
struct DrillView<'a> {
    state: &'static str,
    snapshot_id: &'a str,
    taken_at: Option<String>,
    volume_size_gib: Option<u32>,
    volume_id: Option<&'a str>,
    volume_type: Option<&'a str>,
    encrypted: Option<bool>,
    restored_by_others: bool,
    device: Option<String>,
    /// From asking for the volume until its device could be read; null where that is not known.
    restore_seconds: Option<f64>,
    age_seconds: Option<f64>,
    missed: Vec<&'static str>,
    /// Goals of which nobody can tell whether they were reached.
    unknown: Vec<&'static str>,
    /// Null where it was not run.
    hook: Option<HookView<'a>>,
    /// Null where nothing was to be warmed.
    warm: Option<WarmView>,
    /// File systems that were mounted, read-only, once the blocks were proved.
    mounted: Vec<MountedView<'a>>,
    validation: ValidationView,
    steps: Vec<StepView<'a>>,
    left: Vec<LeftView<'a>>,
    exceptions: Vec<ExceptionView<'a>>,
    notes: &'a [String],
    /// Null where nothing was verified, or by a process that died; `verdict` tells then.
    verification: Option<Verified<'a>>,
    verdict: Option<&'static str>,
}

#[derive(Serialize)]
struct HookView<'a> {
    /// Null where a signal ended it, or its time was up.
    exit_code: Option<i32>,
    /// The end of its output.
    said: &'a str,
    /// Whether there was more output.
    said_is_cut: bool,
    /// Whether it got the AWS credentials in the program's environment.
    got_credentials: bool,
}

#[derive(Serialize)]
struct WarmView {
    state: &'static str,
    blocks_planned: u64,
    blocks_read: u64,
    seconds: f64,
}

#[derive(Serialize)]
struct MountedView<'a> {
    path: String,
    file_system: &'static str,
    uuid: &'a str,
    /// Null where it has the whole device.
    partition: Option<u32>,
    /// Null where it does not tell.
    journal_clean: Option<bool>,
}

#[derive(Serialize)]
struct ValidationView {
    status: &'static str,
    message: String,
}

#[derive(Serialize)]
struct StepView<'a> {
    step: &'a str,
    outcome: &'static str,
    undone: &'static str,
    seconds: f64,
}

#[derive(Serialize)]
struct LeftView<'a> {
    step: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct ExceptionView<'a> {
    kind: &'static str,
    what: &'a str,
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let view = View {
        run_id: report.run.as_str(),
        tool: "icecore",
        version: env!("CARGO_PKG_VERSION"),
        place: &report.place,
        instance_id: report.instance.as_str(),
        started: rfc3339(report.started),
        ended: rfc3339(report.ended),
        rto_seconds: report.rto.map(|rto| rto.as_secs_f64()),
        rpo_seconds: report.rpo.map(|rpo| rpo.as_secs_f64()),
        volumes_deleted: report.deleted(),
        volumes_in_recycle_bin: report
            .binned
            .get()
            .map(|binned| binned.iter().map(|volume| volume.id.as_str()).collect()),
        drills: report.drills.iter().map(drill_view).collect(),
    };
    let frame = Frame { complete: true, requests: Some(report.requests), elapsed: Some(report.elapsed) };
    json::stated(out, "drill", report.state().as_str(), frame, &view)
}

fn drill_view(drill: &Drill) -> DrillView<'_> {
    let validation = drill.validation();
    DrillView {
        state: drill.state().as_str(),
        snapshot_id: drill.snapshot_id.as_str(),
        taken_at: drill.taken.and_then(rfc3339),
        volume_size_gib: drill.size.map(|size| size.get()),
        volume_id: drill.volume_id.as_ref().map(|id| id.as_str()),
        volume_type: drill.kind.as_ref().map(|kind| kind.as_str()),
        encrypted: drill.is_encrypted,
        restored_by_others: drill.is_restored,
        device: drill.device.as_ref().map(|path| path.display().to_string()),
        restore_seconds: drill.restore.map(|took| took.as_secs_f64()),
        age_seconds: drill.age.map(|age| age.as_secs_f64()),
        missed: drill.missed.iter().map(goal).collect(),
        unknown: drill.unknown.iter().map(|goal| goal.as_str()).collect(),
        hook: drill.hooked.as_ref().map(|hooked| HookView {
            exit_code: hooked.code,
            said: &hooked.said,
            said_is_cut: hooked.is_cut,
            got_credentials: hooked.got_credentials,
        }),
        warm: drill.warmed.as_ref().map(|warmed| WarmView {
            state: warmed.state().as_str(),
            blocks_planned: warmed.planned,
            blocks_read: warmed.read,
            seconds: warmed.elapsed.as_secs_f64(),
        }),
        mounted: drill.mounted.iter().map(mounted).collect(),
        validation: ValidationView { status: validation.status, message: validation.message },
        steps: drill.steps.iter().map(step).collect(),
        left: drill.left().map(|(step, why)| LeftView { step, why: &why.what }).collect(),
        exceptions: drill.exceptions.iter().map(exception).collect(),
        notes: &drill.notes,
        verification: drill.verified.as_ref().map(Verified::of),
        verdict: drill.verdict.map(State::as_str),
    }
}

fn mounted(mounted: &Mounted) -> MountedView<'_> {
    MountedView {
        path: mounted.at.display().to_string(),
        file_system: mounted.kind.as_str(),
        uuid: &mounted.uuid,
        partition: mounted.partition,
        journal_clean: mounted.is_clean,
    }
}

const fn goal(missed: &Missed) -> &'static str {
    match missed {
        Missed::Rto { .. } => "rto",
        Missed::Rpo { .. } => "rpo",
        Missed::Hook(_) => "hook",
        Missed::NewestInError => "newest-in-error",
        Missed::EmptySnapshot => "empty-snapshot",
    }
}

fn step(step: &Taken) -> StepView<'_> {
    StepView {
        step: step.name,
        outcome: match step.outcome {
            Outcome::NotReached => "not_reached",
            Outcome::Done => "done",
            Outcome::Failed(_) => "failed",
        },
        undone: match step.undoing {
            Undoing::Nothing => "nothing_to_undo",
            Undoing::Undone => "undone",
            Undoing::Left(_) => "left",
        },
        seconds: step.took.as_secs_f64(),
    }
}

fn exception(exception: &Exception) -> ExceptionView<'_> {
    ExceptionView { kind: exception.kind.as_str(), what: &exception.what }
}

fn csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "snapshot_id,volume_id,state,restore_seconds,age_seconds,blocks_total,blocks_read,mismatches,left,error"
    )?;
    for drill in &report.drills {
        let seconds = |span: Option<Duration>| maybe(span.map(|span| span.as_secs_f64()));
        let found = drill.verified.as_ref();
        let cells: [&dyn Display; 10] = [
            &drill.snapshot_id,
            &maybe(drill.volume_id.as_ref()),
            &drill.state(),
            &seconds(drill.restore),
            &seconds(drill.age),
            &maybe(found.map(|found| found.coverage.total)),
            &maybe(found.map(|found| found.coverage.read)),
            &maybe(found.map(|found| found.mismatches.len())),
            &drill.left().count(),
            &maybe(drill.exceptions.first().map(|first| &first.what)),
        ];
        sheet::row(out, &cells)?;
    }
    Ok(())
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let passed = report.drills.iter().filter(|drill| drill.state() == State::Pass).count() as u64;
    let (all, state) = (report.drills.len() as u64, loud(report.state()));
    let noun = if all == 1 { "drill" } else { "drills" };
    writeln!(
        out,
        "{state}  {} of {} {noun} passed in {}\n",
        count(passed),
        count(all),
        span(report.elapsed)
    )?;
    let rows = report.drills.iter().map(|drill| {
        let unknown = || "-".to_owned();
        let checked = drill.verified.as_ref().map_or_else(unknown, |found| {
            format!("{} of {}", count(found.coverage.read), count(found.coverage.total))
        });
        vec![
            format!("  {}", drill.state()),
            drill.snapshot_id.to_string(),
            drill.volume_id.as_ref().map_or_else(unknown, ToString::to_string),
            drill.restore.map_or_else(unknown, span),
            drill.age.map_or_else(unknown, span),
            checked,
        ]
    });
    table::rows(out, &["  STATE", "SNAPSHOT", "VOLUME", "RESTORED IN", "AGE", "BLOCKS READ"], &[], rows)?;
    for drill in &report.drills {
        particulars(drill, out)?;
    }
    writeln!(out)?;
    let mut facts = vec![("run", report.run.to_string()), ("instance", report.instance.to_string())];
    let rto = report.rto.map(|rto| format!("there within {}", span(rto)));
    let rpo = report.rpo.map(|rpo| format!("at most {} old", span(rpo)));
    let goals: Vec<String> = rto.into_iter().chain(rpo).collect();
    if !goals.is_empty() {
        facts.push(("goals", goals.join(", ")));
    }
    if let Some(sentence) = recycle_bin(report) {
        facts.push(("recycle bin", sentence));
    }
    if report.drills.iter().any(|drill| drill.left().next().is_some()) {
        facts.push((
            "next",
            "icecore cleanup takes away what is left; a volume is billed until then".to_owned(),
        ));
    }
    table::facts(out, &facts)
}

/// What deleting the volumes did not end: the Recycle Bin may keep them, billed as before.
fn recycle_bin(report: &Report) -> Option<String> {
    let deleted = report.deleted();
    let these =
        |n: usize| if n == 1 { "1 volume".to_owned() } else { format!("{} volumes", count(n as u64)) };
    match &report.binned {
        _ if deleted == 0 => None,
        Known::Known(binned) if binned.is_empty() => None,
        Known::Known(binned) => {
            let last = binned.iter().filter_map(|volume| volume.leaves).max();
            let until =
                last.map(|last| format!(", the last until {}", to_the_second(last))).unwrap_or_default();
            Some(format!("a rule keeps {} of {}, billed as before{until}", binned.len(), these(deleted)))
        }
        Known::Unknown(why) => Some(escaped(&format!(
            "whether a rule keeps and bills {} that {} deleted is not known: {why}",
            these(deleted),
            if deleted == 1 { "was" } else { "were" },
        ))),
    }
}

/// The end of what a hook said, as far as it is for people; programs get more of it.
const LINES_OF_HOOK: usize = 10;

/// What a table has no room for: nothing, where all went well.
fn particulars(drill: &Drill, out: &mut dyn Write) -> io::Result<()> {
    let mut facts: Vec<(&str, String)> = Vec::new();
    if let Some(found) = drill.verified.as_ref().filter(|found| !found.mismatches.is_empty()) {
        let wrong = found.wrong();
        facts.push(("wrong", format!("{}: {}", blocks(wrong.len()), shown(wrong, 10))));
    }
    if let (None, Some(verdict)) = (&drill.verified, drill.verdict) {
        facts.push(("verified", format!("{verdict}, by the process that died")));
    }
    if let Some(warmed) = &drill.warmed {
        let read = format!("{}: {} read in {}", warmed.state(), blocks(warmed.read), span(warmed.elapsed));
        facts.push(("warm", read));
    }
    for mounted in &drill.mounted {
        let place = mounted.partition.map(|number| format!(" of partition {number}")).unwrap_or_default();
        let doubt = match mounted.is_clean {
            Some(false) => "; it is not clean: what its journal holds was not replayed",
            Some(true) | None => "",
        };
        facts.push((
            "mounted",
            format!("{}{place}, read-only: {}{doubt}", mounted.kind.as_str(), mounted.uuid),
        ));
    }
    for missed in &drill.missed {
        facts.push(match missed {
            Missed::Rto { took, allowed } => {
                ("rto missed", format!("there after {}, {} are allowed", span(*took), span(*allowed)))
            }
            Missed::Rpo { age, allowed } => {
                ("rpo missed", format!("{} old, {} are allowed", span(*age), span(*allowed)))
            }
            Missed::NewestInError => {
                let old = drill.age.map(|age| format!(", taken {} before the run", span(age)));
                let old = old.unwrap_or_default();
                ("newest in error", format!("the newest snapshot of its volume failed{old}"))
            }
            Missed::EmptySnapshot => {
                ("empty", "the snapshot has no blocks; --allow-empty accepts that".to_owned())
            }
            Missed::Hook(hooked) => {
                let ended = hooked
                    .code
                    .map_or("was ended before it did".to_owned(), |code| format!("ended with {code}"));
                ("hook", format!("it {ended}{}", if hooked.said.is_empty() { "" } else { ":" }))
            }
        });
        if let Missed::Hook(hooked) = missed {
            let lines: Vec<&str> = hooked.said.lines().collect();
            let last = lines.len().saturating_sub(LINES_OF_HOOK);
            facts.extend(lines[last..].iter().map(|line| ("", format!("  {}", escaped(line)))));
            if hooked.is_cut {
                facts.push(("", "the output was longer: its last 64 KiB are kept".to_owned()));
            }
            if !hooked.got_credentials {
                facts.push(("", "credentials were not passed; --hook-credentials passes them".to_owned()));
            }
        }
    }
    for goal in &drill.unknown {
        facts.push(match goal {
            Goal::Rto => ("rto unknown", "an earlier process began the restore".to_owned()),
            Goal::Rpo => ("rpo unknown", "nobody tells when the snapshot was taken".to_owned()),
        });
    }
    match drill.verified.as_ref().and_then(|found| found.stopped_by) {
        Some(Budget::Deadline) => facts.push(("stopped", "the time for the verification was up".to_owned())),
        Some(Budget::Usd) => facts.push(("stopped", "the budget of the verification was used up".to_owned())),
        None => {}
    }
    let verified = drill.verified.iter().flat_map(|found| &found.exceptions);
    let rest = drill.exceptions.iter().filter(|one| drill.left().all(|(_, left)| left != *one));
    for exception in verified.chain(rest) {
        let label = if exception.kind == Kind::Interrupted { "stopped" } else { "trouble" };
        facts.push((label, escaped(&exception.what)));
    }
    for (step, why) in drill.left() {
        facts.push(("left", format!("{step}: {}", escaped(&why.what))));
    }
    if drill.is_restored {
        let validation = drill.validation();
        facts.push(("validation", format!("{}: {}", validation.status, escaped(&validation.message))));
    }
    facts.extend(drill.notes.iter().map(|note| ("note", escaped(note))));
    if facts.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", drill.snapshot_id)?;
    table::facts(out, &facts)
}

fn loud(state: State) -> String {
    state.as_str().to_uppercase().replace('_', " ")
}

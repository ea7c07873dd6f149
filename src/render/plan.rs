//! A plan: what `--dry-run` prints, and a run does.

use crate::orchestrate::{Line, Plan};
use crate::render::escape::escaped;
use crate::render::json::{self, Frame};
use crate::render::numbers::count;
use crate::render::{Format, Printer, Render, table, text_or_json};
use serde::Serialize;
use serde_json::value::RawValue;
use std::io::{self, Write};
use std::time::Duration;

impl Render for Plan {
    fn printer(format: Format) -> Option<Printer<Self>> {
        text_or_json(format, text, as_json)
    }
}

#[derive(Serialize)]
struct View {
    parts: Vec<PartView>,
    at_once: usize,
    permissions: Vec<&'static str>,
    usd: Option<Box<RawValue>>,
    minutes: u64,
}

#[derive(Serialize)]
struct PartView {
    name: String,
    /// Why nothing can be done for it; null where something can.
    unfit: Option<String>,
    steps: Vec<StepView>,
}

#[derive(Serialize)]
struct StepView {
    step: &'static str,
    /// Whether it takes back what the step of this name did.
    undo: bool,
    what: String,
    calls: &'static [&'static str],
    permissions: &'static [&'static str],
    usd: Option<Box<RawValue>>,
    seconds: u64,
}

fn as_json(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let money = |usd: crate::cost::Usd| RawValue::from_string(usd.exact()).ok();
    let step = |(step, undo, line): (&'static str, bool, &Line)| StepView {
        step,
        undo,
        what: line.what.clone(),
        calls: line.calls,
        permissions: line.permissions,
        usd: (!plan.is_free).then(|| money(line.usd)).flatten(),
        seconds: line.takes.as_secs(),
    };
    let part = |at: usize| PartView {
        name: plan.parts[at].name.clone(),
        unfit: plan.parts[at].unfit.clone(),
        steps: plan.in_order(at).map(step).collect(),
    };
    let view = View {
        parts: (0..plan.parts.len()).map(part).collect(),
        at_once: plan.at_once,
        permissions: plan.permissions().into_iter().collect(),
        usd: (!plan.is_free).then(|| money(plan.usd())).flatten(),
        minutes: minutes(plan.takes()),
    };
    json::object(out, "plan", Frame { complete: true, requests: None, elapsed: None }, &view)
}

fn text(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let n = plan.parts.len() as u64;
    let each = if n == 1 {
        String::new()
    } else {
        format!(", {} at once", count(plan.at_once.min(plan.parts.len()) as u64))
    };
    let drills = if n == 1 { "1 drill".to_owned() } else { format!("{} drills", count(n)) };
    let usd =
        if plan.is_free { "free".to_owned() } else { format!("at most {} at us-east-1 prices", plan.usd()) };
    writeln!(out, "PLAN  {drills}{each}, about {} min, {usd}; nothing is done yet", minutes(plan.takes()))?;
    for at in 0..plan.parts.len() {
        let part = &plan.parts[at];
        match &part.unfit {
            None => writeln!(out, "\n{}", escaped(&part.name))?,
            Some(why) => {
                writeln!(out, "\n{}: cannot be drilled: {}", escaped(&part.name), escaped(why))?;
                continue;
            }
        }
        let rows = plan.in_order(at).zip(1..).map(|((name, undo, line), number): (_, u64)| {
            let usd = if plan.is_free || line.usd == crate::cost::Usd::ZERO {
                String::new()
            } else {
                format!("{} USD", line.usd.exact())
            };
            let step = if undo { format!("undo {name}") } else { name.to_owned() };
            vec![format!("  {number}"), step, escaped(&line.what), line.calls.join(" "), usd]
        });
        table::rows(out, &["  #", "STEP", "WHAT", "CALLS THAT CHANGE", ""], &[0], rows)?;
    }
    writeln!(out)?;
    let mut facts = Vec::new();
    table::wrapped(&mut facts, "permissions", &plan.permissions().into_iter().collect::<Vec<_>>().join(" "));
    table::facts(out, &facts)
}

fn minutes(span: Duration) -> u64 {
    span.as_secs().div_ceil(60)
}

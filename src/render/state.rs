//! `icecore state push` and `pull`: what was carried.

use crate::block::ByteSize;
use crate::ops::state::{Direction, Report};
use crate::render::json::{self, Frame};
use crate::render::numbers::count;
use crate::render::{Format, Printer, Render, escaped, text_or_json};
use serde::Serialize;
use std::io::{self, Write};

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        text_or_json(format, text, as_json)
    }
}

#[derive(Serialize)]
struct View<'a> {
    direction: &'static str,
    state_dir: String,
    dir: String,
    copied: u64,
    bytes: u64,
    already: u64,
    mended: u64,
    damaged: Vec<DamagedView<'a>>,
}

#[derive(Serialize)]
struct DamagedView<'a> {
    file: String,
    what: &'a str,
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let carried = &report.carried;
    let view = View {
        direction: match report.direction {
            Direction::Push => "push",
            Direction::Pull => "pull",
        },
        state_dir: report.state_dir.display().to_string(),
        dir: report.dir.display().to_string(),
        copied: carried.copied,
        bytes: carried.bytes,
        already: carried.already,
        mended: carried.mended,
        damaged: carried
            .damaged
            .iter()
            .map(|damaged| DamagedView { file: damaged.path.display().to_string(), what: &damaged.what })
            .collect(),
    };
    let frame = Frame { complete: carried.damaged.is_empty(), requests: None, elapsed: None };
    json::object(out, "state", frame, &view)
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let (state, dir) = (report.state_dir.display(), report.dir.display());
    let carried = &report.carried;
    let way = match report.direction {
        Direction::Push => format!("{state} -> {dir}"),
        Direction::Pull => format!("{dir} -> {state}"),
    };
    let size = ByteSize::from_bytes(carried.bytes);
    write!(out, "{way}: {} copied, {size}; {} there already", count(carried.copied), count(carried.already))?;
    match carried.mended {
        0 => writeln!(out)?,
        mended => writeln!(out, "; {} damaged ones mended", count(mended))?,
    }
    for damaged in &carried.damaged {
        let path = damaged.path.display().to_string();
        writeln!(out, "damaged, left alone: {}: {}", escaped(&path), escaped(&damaged.what))?;
    }
    Ok(())
}

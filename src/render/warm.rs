//! `icecore warm`: the verdict first, then what it rests upon.

mod job;
mod text;
mod view;

use crate::ops::warm::Report;
use crate::render::json::{self, Frame};
use crate::render::{Format, Printer, Render, text_or_json};
use std::io::{self, Write};
use view::View;

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        text_or_json(format, text::text, as_json)
    }
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let requests = report.place.is_some().then_some(report.requests);
    let frame = Frame { complete: true, requests, elapsed: Some(report.elapsed) };
    json::stated(out, "warm", report.state().as_str(), frame, &View::of(report))
}

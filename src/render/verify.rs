//! `icecore verify`: the verdict first, then what it rests upon.

mod job;
mod junit;
mod metrics;
mod run;
mod text;
mod view;

use crate::block::BlockSize;
use crate::ops::verify::{Class, Report};
use crate::render::json::{self, Frame};
use crate::render::sheet::{self, maybe};
use crate::render::{Format, Printer, Render};
use std::fmt::Display;
use std::io::{self, Write};

pub(super) use text::text;
pub(super) use view::View;

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(text),
            Format::Json => Some(as_json),
            Format::Csv => Some(csv),
            Format::Junit => Some(junit::of_report),
            Format::Metrics => Some(metrics::of_report),
            Format::Jsonl | Format::Cbt => None,
        }
    }
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let frame = Frame { complete: true, requests: Some(report.requests), elapsed: Some(report.elapsed) };
    json::stated(out, "verify", report.verdict().as_str(), frame, &View::of(report))
}

/// One row for each wrong block: an empty table is what one hopes for.
fn csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "block_index,byte_offset,expected,actual,class,belongs_to_block,persistent,explained")?;
    for mismatch in report.mismatches.iter() {
        let mismatch = mismatch.map_err(io::Error::other)?;
        let home = match mismatch.class {
            Class::Misdirected(home) => home.to_string(),
            _ => String::new(),
        };
        let cells: [&dyn Display; 8] = [
            &mismatch.index,
            &mismatch.index.byte_offset(BlockSize::EBS),
            &maybe(mismatch.expected),
            &maybe(mismatch.actual),
            &mismatch.class.as_str(),
            &home,
            &maybe(mismatch.is_persistent),
            &mismatch.is_explained,
        ];
        sheet::row(out, &cells)?;
    }
    Ok(())
}

//! Reports as people and programs read them.
//!
//! Each report has one file here: a private view (the fields that scripts rely on) and a printer per format. A
//! format that does not suit a report has no printer, so that nobody can ask for one that is not there. JSON is one
//! object that names its schema; fields are only ever added to it. Text is for people who see it for the first time.

mod blocks;
mod cleanup;
pub mod cost;
mod demo;
mod diff;
mod drill;
mod escape;
mod evidence;
mod export;
mod format;
mod iam;
mod import;
mod json;
mod ledger;
mod list;
mod manifest;
mod map;
mod numbers;
mod openmetrics;
mod plan;
mod ranges;
mod sheet;
mod show;
mod state;
mod store_check;
mod table;
mod unfinished;
mod verify;
mod warm;

pub(crate) use escape::EscapeWriter;
pub use escape::{escaped, escaped_lines};
pub use evidence::NewKey;
pub use format::{Format, FormatError};
pub use numbers::{blocks, count, parse_time, span};
pub use unfinished::Unfinished;

use std::io::{self, Write};

/// Writes one report in one format.
pub type Printer<R> = fn(&R, &mut dyn Write) -> io::Result<()>;

/// The printers of a report that suits people and programs, and no table.
fn text_or_json<R>(format: Format, text: Printer<R>, json: Printer<R>) -> Option<Printer<R>> {
    match format {
        Format::Text => Some(text),
        Format::Json => Some(json),
        Format::Jsonl | Format::Csv | Format::Cbt | Format::Junit | Format::Metrics => None,
    }
}

/// A report that can be shown.
pub trait Render: Sized {
    /// The printer for a format; `None` where the format does not suit the report.
    fn printer(format: Format) -> Option<Printer<Self>>;

    /// The formats that do suit it.
    fn formats() -> Vec<Format> {
        Format::ALL.into_iter().filter(|format| Self::printer(*format).is_some()).collect()
    }
}

//! Standard error: one line for each thing said, as text or as JSON.
//!
//! Everything that is not a result comes through here as a `tracing` event, so that `--log-format json` covers it
//! all. Targets decide what is shown: [`ALWAYS`] whatever was asked for, [`NOTE`] unless quiet, [`PROGRESS`] where
//! progress is wanted, the library's own events from `-v` on. Other crates' events stay below their debug level:
//! requests with their tokens are logged there.

use crate::cli::args::{Global, LogFormat};
use crate::render::escaped_lines;
use indicatif::ProgressBar;
use std::fmt;
use std::io::{self, Write};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt as tracing_fmt};

/// What must be said even when quiet: the id of a snapshot that now exists.
pub(crate) const ALWAYS: &str = "icecore::always";
/// What a person wants to know.
pub(crate) const NOTE: &str = "icecore::note";
/// How far the work is.
pub(crate) const PROGRESS: &str = "icecore::progress";

/// Whose log the endpoint's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// The program is the endpoint.
    Itself,
    /// It runs beside a command, which hears of every refusal and says it once, in its own words.
    Beside,
}

/// Sends everything said from now on to standard error, around the bar if there is one.
pub(crate) fn start(global: &Global, endpoint: Endpoint, bar: &ProgressBar) {
    let writer = AroundBar(bar.clone());
    let layer = match global.log_format {
        LogFormat::Text => tracing_fmt::layer().event_format(Line).with_writer(writer).boxed(),
        LogFormat::Json => tracing_fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter(global, endpoint)));
    // Fails only where one is set already: in tests that run several command lines in one process.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Says one line when nothing is set up yet.
pub(crate) fn last_words(what: &str) {
    let _ = writeln!(io::stderr(), "icecore: {what}");
}

fn filter(global: &Global, endpoint: Endpoint) -> Targets {
    let (ours, others) = match (global.quiet, global.verbose) {
        (true, _) => (LevelFilter::ERROR, LevelFilter::OFF),
        (false, 0) => (LevelFilter::WARN, LevelFilter::OFF),
        (false, 1) => (LevelFilter::DEBUG, LevelFilter::WARN),
        (false, _) => (LevelFilter::TRACE, LevelFilter::INFO),
    };
    let notes = if global.quiet { LevelFilter::ERROR } else { LevelFilter::INFO };
    let endpoint = match (endpoint, global.verbose) {
        (Endpoint::Beside, 0) => LevelFilter::OFF,
        _ => ours,
    };
    Targets::new()
        .with_default(others)
        .with_target("icecore", ours)
        .with_target("icecore::endpoint", endpoint)
        .with_target(NOTE, notes)
        // Both are only ever sent when they are wanted.
        .with_targets([(ALWAYS, LevelFilter::INFO), (PROGRESS, LevelFilter::INFO)])
}

/// `icecore: message key=value`, with the level where it is one for the curious.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        out.write_str("icecore: ")?;
        match *event.metadata().level() {
            Level::DEBUG => out.write_str("debug: ")?,
            Level::TRACE => out.write_str("trace: ")?,
            Level::ERROR | Level::WARN | Level::INFO => {}
        }
        // Paths and what services say stand in it.
        let mut fields = String::new();
        cx.field_format().format_fields(Writer::new(&mut fields), event)?;
        writeln!(out, "{}", escaped_lines(&fields))
    }
}

/// Standard error, with the bar out of the way while a line is written.
#[derive(Clone)]
struct AroundBar(ProgressBar);

impl Write for AroundBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AroundBar {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

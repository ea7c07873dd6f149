//! JSON: one object, its schema first.

use crate::pipeline::Requests;
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;

/// What every report has beside its own fields.
#[derive(Serialize)]
struct Enveloped<'a, V> {
    schema: String,
    state: &'static str,
    #[serde(flatten)]
    view: &'a V,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<RequestsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_ms: Option<u64>,
}

#[derive(Serialize)]
struct RequestsView {
    list: u64,
    get: u64,
    put: u64,
    control: u64,
    throttled: u64,
    retried: u64,
}

impl From<Requests> for RequestsView {
    fn from(requests: Requests) -> Self {
        let Requests { list, get, put, control, throttled, retried } = requests;
        Self { list, get, put, control, throttled, retried }
    }
}

/// What comes with a view: whether the work was completed, and what it took.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub complete: bool,
    /// `None` where no service is asked.
    pub requests: Option<Requests>,
    pub elapsed: Option<Duration>,
}

impl Frame {
    /// Of work that is completed when it returns, and whose time is of no interest.
    pub(super) fn complete(requests: Requests) -> Self {
        Self { complete: true, requests: Some(requests), elapsed: None }
    }
}

/// Writes a report whose state is one of its own: `pass`, `fail`.
pub(super) fn stated<V: Serialize>(
    out: &mut dyn Write,
    schema: &str,
    state: &'static str,
    frame: Frame,
    view: &V,
) -> io::Result<()> {
    let Frame { requests, elapsed, .. } = frame;
    line(
        out,
        &Enveloped {
            schema: format!("icecore/{schema}/1"),
            state,
            view,
            requests: requests.map(RequestsView::from),
            elapsed_ms: elapsed.map(|elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
        },
    )
}

/// Writes the report named `schema` as one object on one line.
pub(super) fn object<V: Serialize>(
    out: &mut dyn Write,
    schema: &str,
    frame: Frame,
    view: &V,
) -> io::Result<()> {
    stated(out, schema, if frame.complete { "complete" } else { "incomplete" }, frame, view)
}

/// Writes one value on a line of its own.
pub(super) fn line<V: Serialize>(out: &mut dyn Write, value: &V) -> io::Result<()> {
    // serde_json hands an I/O error of the writer through with its kind, which is what tells a closed pipe.
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

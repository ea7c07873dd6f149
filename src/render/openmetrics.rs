//! OpenMetrics text, from values that are already known.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::io::{self, Write};
use std::sync::atomic::AtomicU64;

/// Names and values.
pub(super) type Labels = Vec<(String, String)>;

/// Metrics under one prefix.
pub(super) struct Page(Registry);

impl Page {
    pub(super) fn new(prefix: &str) -> Self {
        Self(Registry::with_prefix(prefix))
    }

    /// A metric with these values; one without any is left out.
    pub(super) fn gauge(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        let mut is_empty = true;
        for (labels, value) in values {
            family.get_or_create(&labels).set(value);
            is_empty = false;
        }
        if !is_empty {
            self.0.register(name, help, family);
        }
    }

    /// Writes the page, its values in order.
    pub(super) fn write(self, out: &mut dyn Write) -> io::Result<()> {
        let mut text = String::new();
        encode(&mut text, &self.0).map_err(io::Error::other)?;
        out.write_all(sorted(&text).as_bytes())
    }
}

/// A family's values come in the order of a hash map: within each run of values, the order of their lines is as good.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for values in lines.chunk_by_mut(|one, other| one.starts_with('#') == other.starts_with('#')) {
        if values.first().is_some_and(|line| !line.starts_with('#')) {
            values.sort_unstable();
        }
    }
    lines.into_iter().flat_map(|line| [line, "\n"]).collect()
}

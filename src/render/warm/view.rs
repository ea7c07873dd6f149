//! The fields of a warming's JSON.

use crate::estate::Initialization;
use crate::ops::verify;
use crate::ops::warm::{Latencies, Ordered, Proof, Report};
use crate::render::numbers::rfc3339;
use crate::render::ranges::Pairs;
use crate::render::verify::View as VerifyView;
use serde::{Serialize, Serializer};
use std::time::Duration;

#[derive(Serialize)]
pub(super) struct View<'a> {
    device: String,
    is_block_device: bool,
    volume_id: Option<&'a str>,
    source: &'a str,
    snapshot_id: Option<&'a str>,
    volume_size_gib: Option<u32>,
    blocks_allocated: u64,
    /// Whether the map states how many blocks it lists, and lists as many; null where no map was given.
    map_counted: Option<bool>,
    blocks_planned: u64,
    blocks_read: u64,
    blocks_resumed: u64,
    /// Whether these were counted without proof that the device is unchanged since.
    resumed: bool,
    bytes_read: u64,
    bytes_of_proof: u64,
    /// Of reading, without listing and proof.
    seconds: Millis,
    order: &'a str,
    recency_of: Vec<&'a str>,
    /// Null where no block was read.
    latency_ms: Option<LatencyView>,
    proof: Option<ProofView>,
    probe: bool,
    cold_blocks: u64,
    cold_ranges: Pairs<'a>,
    unreadable_count: u64,
    unreadable_ranges: Pairs<'a>,
    stopped_by: Option<&'a str>,
    skipped: Option<&'a str>,
    /// The part of the planned blocks that was expected to be warm by the deadline.
    predicted: Option<f64>,
    slo_exceeded: Option<u64>,
    initialization: Vec<InitializationView<'a>>,
    warnings: &'a [String],
    exceptions: Vec<ExceptionView<'a>>,
    started: Option<String>,
    ended: Option<String>,
    /// The fields of a verification by itself; null where none was asked for.
    verified: Option<VerifiedView<'a>>,
}

/// A span, in seconds to the millisecond.
struct Millis(Duration);

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0.as_secs_f64() * 1e3).round() / 1e3)
    }
}

#[derive(Serialize)]
struct LatencyView {
    p50: f64,
    p99: f64,
    max: f64,
    count: u64,
}

impl LatencyView {
    fn of(latencies: &Latencies) -> Option<Self> {
        Some(Self {
            p50: in_millis(latencies.quantile(0.5)?),
            p99: in_millis(latencies.quantile(0.99)?),
            max: in_millis(latencies.max()?),
            count: latencies.len(),
        })
    }
}

#[derive(Serialize)]
struct ProofView {
    warm: bool,
    blocks_drawn_over: u64,
    sample: u64,
    seed: u64,
    latency_ms: Option<LatencyView>,
    threshold_ms: f64,
    slow: u64,
    /// With 95 % confidence no more than this part of the allocated blocks was cold.
    cold_upper_bound_95: f64,
    never_slow: bool,
}

impl ProofView {
    fn of(proof: &Proof) -> Self {
        Self {
            warm: proof.is_warm(),
            blocks_drawn_over: proof.population,
            sample: proof.sample,
            seed: proof.seed,
            latency_ms: LatencyView::of(&proof.latencies),
            threshold_ms: in_millis(proof.threshold),
            slow: proof.slow,
            cold_upper_bound_95: proof.upper_bound_95,
            never_slow: proof.was_never_slow,
        }
    }
}

/// What AWS said; null what it did not.
#[derive(Serialize)]
struct InitializationView<'a> {
    complete: Option<bool>,
    progress: Option<u8>,
    seconds_left: Option<u64>,
    health: &'a str,
}

impl<'a> InitializationView<'a> {
    fn of(told: &'a Initialization) -> Self {
        Self {
            complete: told.is_complete,
            progress: told.progress,
            seconds_left: told.seconds_left,
            health: &told.health,
        }
    }
}

#[derive(Serialize)]
struct ExceptionView<'a> {
    kind: &'static str,
    what: &'a str,
}

#[derive(Serialize)]
struct VerifiedView<'a> {
    state: &'static str,
    #[serde(flatten)]
    view: VerifyView<'a>,
}

impl<'a> VerifiedView<'a> {
    fn of(report: &'a verify::Report) -> Self {
        Self { state: report.state().as_str(), view: VerifyView::of(report) }
    }
}

impl<'a> View<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        let exception = |exception: &'a verify::Exception| ExceptionView {
            kind: exception.kind.as_str(),
            what: &exception.what,
        };
        Self {
            device: report.device.path.display().to_string(),
            is_block_device: report.device.is_device,
            volume_id: report.device.volume_id.as_ref().map(|id| id.as_str()),
            source: &report.source,
            snapshot_id: report.snapshot_id.as_ref().map(|id| id.as_str()),
            volume_size_gib: report.geometry.map(|geometry| geometry.volume_size.get()),
            blocks_allocated: report.allocated,
            map_counted: report.is_counted,
            blocks_planned: report.planned,
            blocks_read: report.read,
            blocks_resumed: report.resumed,
            resumed: report.is_resumed,
            bytes_read: report.bytes_read.bytes(),
            bytes_of_proof: report.bytes_of_proof.bytes(),
            seconds: Millis(report.reading),
            order: report.order.as_str(),
            recency_of: match &report.order {
                Ordered::Recency(ids) => ids.iter().map(|id| id.as_str()).collect(),
                Ordered::Index | Ordered::Ranges(_) => Vec::new(),
            },
            latency_ms: LatencyView::of(&report.latencies),
            proof: report.proof.as_ref().map(ProofView::of),
            probe: report.is_probe,
            cold_blocks: report.cold.len(),
            cold_ranges: Pairs(&report.cold),
            unreadable_count: report.unreadable.len(),
            unreadable_ranges: Pairs(&report.unreadable),
            stopped_by: report.stopped_by.map(|bound| bound.as_str()),
            skipped: report.skipped.map(|skip| skip.as_str()),
            predicted: report.predicted,
            slo_exceeded: report.exceeded,
            initialization: report.initialization.iter().map(InitializationView::of).collect(),
            warnings: &report.warnings,
            exceptions: report.exceptions.iter().map(exception).collect(),
            started: rfc3339(report.started),
            ended: rfc3339(report.ended),
            verified: report.verified.as_ref().map(VerifiedView::of),
        }
    }
}

fn in_millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

//! What a warming is told, and what is made of it.

use crate::block::BlockSize;
use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::open::{self, Access, Opened};
use crate::cli::spelled::{Moment, PerSecond, Span, id_of};
use crate::device::System;
use crate::manifest::Manifest;
use crate::ops::Engine;
use crate::ops::warm::{Amount, Bounds, Gauge, Options, Order, Rate, Sharing, Slo, What, Where};
use crate::snapshot::{Arn, SnapshotId, VolumeId};
use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser, ValueParserFactory};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Bytes a second that are read however slow others find the volume.
const LEAST: f64 = 4_194_304.0;

/// One run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Typed {
    /// The volume: a device, the id of an attached volume, or a file that stands for one
    #[arg(value_name = "DEVICE", required_unless_present = "pair")]
    device: Option<Device>,

    /// The snapshot that the volume was made of
    #[arg(long, value_name = "SNAPSHOT", group = "what")]
    snapshot: Option<SnapshotId>,

    /// A manifest of that snapshot
    #[arg(long, value_name = "FILE", group = "what")]
    manifest: Option<PathBuf>,

    /// What icecore blocks printed of that snapshot, in any format
    #[arg(long, value_name = "FILE", group = "what")]
    map: Option<PathBuf>,

    /// Warm several volumes in one run: DEVICE=SNAPSHOT, or a manifest or map in its place
    #[arg(long, value_name = "DEVICE=SNAPSHOT", conflicts_with_all = ["device", "what"])]
    pair: Vec<Pair>,

    /// With --pair: the first volume gets what it can take, the next what that leaves; else all get as much
    #[arg(long, requires = "pair")]
    in_turn: bool,

    /// The device has to be this EBS volume
    #[arg(long, value_name = "VOLUME", conflicts_with = "pair")]
    volume_id: Option<VolumeId>,

    /// Ask the system whose root directory is DIR about devices: in a container its host's
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,

    /// Hold what is read against the manifest or the snapshot, in the same pass
    #[arg(long)]
    verify: bool,

    /// Read a volume that needs none of it, as AWS says
    #[arg(long)]
    force: bool,

    /// Accept a snapshot that has no blocks; without it the run is incomplete, for nothing was read
    #[arg(long)]
    allow_empty: bool,

    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    pacing: Pacing,
}

/// Which blocks, and when it is enough.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "What comes first")]
struct Selection {
    /// recency (what changed last first), index, or ranges:FILE; by default recency where older snapshots are known
    #[arg(long, value_name = "ORDER")]
    order: Option<Typing>,

    /// An older snapshot of the lineage, to tell what changed last; repeat it, the oldest first
    #[arg(long, value_name = "SNAPSHOT")]
    older: Vec<SnapshotId>,

    /// Read so many blocks, the first of their order, and stop
    #[arg(long, value_name = "N", conflicts_with = "probe")]
    hottest: Option<u64>,

    /// Read only the proof's sample, which that warms
    #[arg(long, conflicts_with = "verify")]
    probe: bool,

    /// What the slowest hundredth of the sample has to stay under, as in 5ms; by default a quarter of what first touch
    /// took, from 4ms to 10ms
    #[arg(long, value_name = "TIME")]
    threshold: Option<Moment>,

    /// Draw the sample that an earlier run with this seed drew
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// How fast, and for how long.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "How fast")]
struct Pacing {
    /// Read at most so much, as in 200MiB/s
    #[arg(long, value_name = "RATE")]
    rate: Option<PerSecond>,

    /// Read at most so many I/Os a second, of 256 KiB each as EBS counts them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    iops: Option<u32>,

    /// Back off while a small read of a warm block takes longer than this, as in 20ms; 4 MiB/s are read in any case
    #[arg(long, value_name = "TIME")]
    slo: Option<Moment>,

    /// Back off while this command fails, or with --slo while the time that it prints, as in 12.5ms, is longer; it is
    /// run five times a second at most
    #[arg(long, value_name = "COMMAND")]
    slo_cmd: Option<String>,

    /// Give the command the AWS credentials in this program's environment
    #[arg(long, requires = "slo_cmd")]
    hook_credentials: bool,

    /// End the run after this time, as in 20m; the same command goes on from there
    #[arg(long, value_name = "SPAN")]
    deadline: Option<Span>,
}

/// A device as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Device(Where);

impl Device {
    fn parse(text: &OsStr) -> Result<Self, String> {
        let is_id = |text: &&str| text.starts_with("vol-") || Arn::parse(text).is_some();
        match text.to_str().filter(is_id).filter(|text| !Path::new(text).exists()) {
            Some(id) => id_of(id, "volume").map(|id| Self(Where::Volume(id))),
            None => Ok(Self(Where::Path(PathBuf::from(text)))),
        }
    }
}

impl ValueParserFactory for Device {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        ValueParser::new(OsStringValueParser::new().try_map(|text| Self::parse(&text)))
    }
}

/// A volume and what tells its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair(Device, What);

impl Pair {
    fn parse(text: &OsStr) -> Result<Self, String> {
        let refused = || format!("'{}': expected DEVICE=SNAPSHOT", text.display());
        // Names of devices may hold the sign, ids of snapshots cannot.
        let bytes = text.as_bytes();
        let at = bytes.iter().rposition(|byte| *byte == b'=').ok_or_else(refused)?;
        let (device, what) = (OsStr::from_bytes(&bytes[..at]), OsStr::from_bytes(&bytes[at + 1..]));
        if device.is_empty() || what.is_empty() {
            return Err(refused());
        }
        let what = match what.to_str().filter(|what| what.starts_with("snap-")) {
            Some(id) => What::Snapshot(id_of(id, "snapshot")?),
            None => file(PathBuf::from(what)),
        };
        Ok(Self(Device::parse(device)?, what))
    }
}

impl ValueParserFactory for Pair {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        ValueParser::new(OsStringValueParser::new().try_map(|text| Self::parse(&text)))
    }
}

/// A manifest, or else a map.
fn file(path: PathBuf) -> What {
    if Manifest::is_at(&path) { What::Manifest(path) } else { What::Map(path) }
}

/// An order as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Typing(Order);

impl Typing {
    fn parse(text: &OsStr) -> Result<Self, &'static str> {
        match (text.to_str(), text.as_bytes().strip_prefix(b"ranges:")) {
            (Some("recency"), _) => Ok(Self(Order::Recency)),
            (Some("index"), _) => Ok(Self(Order::Index)),
            (_, Some(path)) if !path.is_empty() => Ok(Self(Order::Ranges(OsStr::from_bytes(path).into()))),
            _ => Err("expected recency, index or ranges:FILE"),
        }
    }
}

impl ValueParserFactory for Typing {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        ValueParser::new(OsStringValueParser::new().try_map(|text| Self::parse(&text)))
    }
}

/// What was typed, with the place open that it names.
pub(super) struct Resolved {
    pub(super) options: Vec<Options>,
    pub(super) bounds: Bounds,
    pub(super) engine: Engine,
    /// Where snapshots are; `None` where nothing is asked.
    pub(super) place: Option<Opened>,
}

impl Typed {
    /// What the run is called.
    pub(super) fn name(&self) -> String {
        let devices = self.device.iter().chain(self.pair.iter().map(|Pair(device, _)| device));
        devices.map(|device| device.0.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// The volumes of a run of several.
    pub(super) fn pairs(&self) -> &[Pair] {
        &self.pair
    }

    pub(super) async fn resolve(self, cx: &Context) -> Result<Resolved, Complaint> {
        let pairs = match &self.device {
            Some(device) => vec![(device.0.clone(), self.what()?)],
            None => self.pair.iter().map(|Pair(device, what)| (device.0.clone(), what.clone())).collect(),
        };
        let is_asked = pairs.iter().any(|(_, what)| matches!(what, What::Snapshot(_)));
        let place = if is_asked { Some(open::open(cx, Access::Read).await?) } else { None };
        let engine = match &place {
            Some(place) => place.engine.clone(),
            None => open::resumable_engine(cx)?,
        };
        if let Some(root) = &self.sysroot {
            System::at(root).look()?;
        }
        let options = pairs.into_iter().map(|(device, what)| self.options(device, what)).collect();
        Ok(Resolved { options, bounds: self.bounds(cx), engine, place })
    }

    fn what(&self) -> Result<What, Complaint> {
        match (&self.snapshot, &self.manifest, &self.map) {
            (Some(id), ..) => Ok(What::Snapshot(id.clone())),
            (_, Some(path), _) => Ok(What::Manifest(path.clone())),
            (.., Some(path)) => Ok(What::Map(path.clone())),
            (None, None, None) => Err(Complaint::Usage(
                "nothing tells which blocks are allocated; give --snapshot, --manifest or --map".into(),
            )),
        }
    }

    fn options(&self, device: Where, what: What) -> Options {
        let selection = &self.selection;
        Options {
            order: selection.order.clone().map(|order| order.0).unwrap_or_default(),
            older: selection.older.clone(),
            amount: match (selection.probe, selection.hottest) {
                (true, _) => Amount::Probe,
                (false, Some(most)) => Amount::Hottest(most),
                (false, None) => Amount::All,
            },
            threshold: selection.threshold.map(|threshold| threshold.0),
            seed: selection.seed,
            verify: self.verify,
            force: self.force,
            allow_empty: self.allow_empty,
            volume_id: self.volume_id.clone(),
            system: self.sysroot.as_ref().map_or_else(System::default, System::at),
            ..Options::of(device, what)
        }
    }

    fn bounds(&self, cx: &Context) -> Bounds {
        let pacing = &self.pacing;
        let gauge = match (pacing.slo, &pacing.slo_cmd) {
            (Some(most), Some(command)) => Some(Gauge::Printed(command.clone(), most.0)),
            (Some(most), None) => Some(Gauge::Reads(most.0)),
            (None, Some(command)) => Some(Gauge::Command(command.clone())),
            (None, None) => None,
        };
        Bounds {
            rate: Rate { bytes: pacing.rate.map(|rate| rate.0.bytes()), iops: pacing.iops },
            slo: gauge.map(|gauge| Slo {
                gauge,
                least: LEAST / f64::from(BlockSize::EBS.bytes()),
                gets_credentials: pacing.hook_credentials,
            }),
            deadline: pacing.deadline.map(|span| span.0),
            depth: cx.global().concurrency.0.map(usize::from),
            sharing: if self.in_turn { Sharing::InTurn } else { Sharing::Fair },
        }
    }
}

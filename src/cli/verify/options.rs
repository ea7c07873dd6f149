//! What one verification is told, and what is made of it.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::open::{self, Access, Opened};
use crate::cli::spelled::{Days, Elsewhere, Span};
use crate::device::PartitionName;
use crate::ops::Engine;
use crate::ops::verify::{Against, Level, Options, What};
use crate::sample::{Aim, Partition};
use crate::snapshot::{UnixMillis, VolumeId};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One verification.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Typed {
    /// The snapshot, or a manifest to hold a target against
    #[arg(value_name = "SNAPSHOT|MANIFEST")]
    subject: Option<OsString>,

    /// A restored device, an image file, or another snapshot: snap-..[@region[#profile]]
    #[arg(value_name = "TARGET")]
    target: Option<OsString>,

    /// Hold the snapshot's blocks against this manifest
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// Tell blocks that are those of an older snapshot, by its manifest
    #[arg(long, value_name = "FILE")]
    older: Vec<PathBuf>,

    /// Snapshot and volume are not encrypted: blocks that are absent have to read as zeros
    #[arg(long)]
    unencrypted: bool,

    /// An image that ends before the volume goes on with zeros
    #[arg(long)]
    pad: bool,

    /// Take the bytes as they are where TARGET is a qcow2, VMDK, VHD, gzip or other file that holds a disk in another form
    #[arg(long)]
    raw: bool,

    /// Look no deeper than 0 (inventory) or 1 (block map), or at file systems as well: 5; else the level follows from what
    /// is given
    #[arg(long, value_name = "LEVEL")]
    level: Option<Level>,

    /// With --level 5: pass although this partition cannot be looked at, as 2, or disk where there are no partitions; repeat
    /// for several
    #[arg(long, value_name = "PARTITION")]
    allow_unchecked: Vec<PartitionName>,

    /// The target has to be this EBS volume
    #[arg(long, value_name = "VOLUME")]
    volume_id: Option<VolumeId>,

    /// When the target was made of the snapshot, as in 2026-01-31T04:00:00Z
    #[arg(long, value_name = "TIME", value_parser = crate::render::parse_time)]
    restored_at: Option<UnixMillis>,

    /// Fail where the snapshot is older than this, as in 26h; with --tag the newest readable one of each volume
    #[arg(long, value_name = "SPAN")]
    rpo: Option<Span>,

    #[command(flatten)]
    pub(super) selection: Selection,
}

/// How much of it. Without any of these every block is read.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "How much")]
pub(crate) struct Selection {
    /// Read what changed since this manifest's snapshot, and some blocks that did not
    #[arg(long, value_name = "MANIFEST")]
    delta_from: Option<PathBuf>,

    /// Unchanged blocks to read at random with --delta-from
    #[arg(long, value_name = "N", default_value_t = 100, requires = "delta_from")]
    audit: u64,

    /// Read one part of several, as in 3/30; all of them are everything
    #[arg(long, value_name = "I/N", conflicts_with = "cycle")]
    part: Option<Partition>,

    /// Read every block at least once in so many days, as in 30d; what was read is remembered
    #[arg(long, value_name = "DAYS")]
    cycle: Option<Days>,

    /// Read as many random blocks as notice damage with this confidence, as in 99%/0.1%
    #[arg(long, value_name = "CONFIDENCE/DAMAGED")]
    sample: Option<Aim>,

    /// Accept a snapshot that has no blocks; without it nothing read is no pass
    #[arg(long)]
    allow_empty: bool,

    /// Draw the blocks that an earlier run with this seed drew
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// End the run after this time, incomplete, as in 20m
    #[arg(long, value_name = "SPAN")]
    pub(super) deadline: Option<Span>,
}

/// What was typed, with the places open that it names.
pub(super) struct Resolved {
    pub(super) options: Options,
    pub(super) engine: Engine,
    /// Where the subject is.
    pub(super) place: Option<Opened>,
    /// Where the second snapshot is; kept open for as long as it is read.
    pub(super) other: Option<Opened>,
}

impl Typed {
    /// A line of a job: what the job says of time and amount holds where the line says nothing.
    pub(super) fn within(mut self, job: &Self) -> Self {
        self.rpo = self.rpo.or(job.rpo);
        let job = &job.selection;
        let own = &mut self.selection;
        let is_bare =
            own.delta_from.is_none() && own.part.is_none() && own.cycle.is_none() && own.sample.is_none();
        if is_bare {
            let allow_empty = own.allow_empty;
            *own =
                Selection { deadline: own.deadline, seed: own.seed.or(job.seed), allow_empty, ..job.clone() };
        }
        own.allow_empty |= job.allow_empty;
        self
    }

    /// The options without a subject that fits: for jobs, which find their subjects.
    pub(super) fn model(&self, cx: &Context) -> Result<Options, Complaint> {
        if self.manifest.is_some() || self.target.is_some() {
            return Err(Complaint::Usage(
                "--tag verifies snapshots alone; a --plan can name targets and manifests".into(),
            ));
        }
        // Of a job by tag, ages are judged volume by volume.
        Ok(Options { rpo: None, ..self.options(What::Manifest(PathBuf::new()), Against::Nothing, cx) })
    }

    /// How old snapshots may be.
    pub(super) fn rpo(&self) -> Option<Duration> {
        self.rpo.map(|span| span.0)
    }

    /// What it is called: the subject, and what that is held against.
    pub(super) fn name(&self) -> String {
        let words = [self.subject.as_deref(), self.target.as_deref()].into_iter().flatten();
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }

    pub(super) async fn resolve(self, cx: &Context) -> Result<Resolved, Complaint> {
        let Some(subject) = &self.subject else {
            return Err(Complaint::Usage("no snapshot or manifest is given".to_owned()));
        };
        let usage = |why: String| Complaint::Usage(why);
        let parsed = |text: &OsStr| text.to_str().and_then(Elsewhere::parse);
        if self.target.is_none() && parsed(subject).is_none() && !Path::new(subject).exists() {
            return Err(usage(format!(
                "'{}' is neither a snapshot's id, as in snap-0123456789abcdef0, nor a manifest's file",
                subject.display()
            )));
        }
        let mut other = None;
        let against = match &self.target {
            None => Against::Nothing,
            Some(text) => match parsed(text) {
                None => Against::Image(PathBuf::from(text)),
                Some(place) => {
                    let place = place.map_err(usage)?;
                    let opened =
                        open::open_elsewhere(cx, place.region.as_deref(), place.profile.as_deref()).await?;
                    let (services, engine) = (opened.services.clone(), opened.engine.clone());
                    other = Some(opened);
                    Against::Snapshot { snapshot_id: place.id, services, engine: Box::new(engine) }
                }
            },
        };
        let (what, place) = match parsed(subject) {
            None => (What::Manifest(PathBuf::from(subject)), None),
            Some(place) => {
                let place = place.map_err(usage)?;
                let opened = match (&place.region, &place.profile) {
                    (None, None) => open::open(cx, Access::Read).await?,
                    (region, profile) => {
                        open::open_elsewhere(cx, region.as_deref(), profile.as_deref()).await?
                    }
                };
                (What::Snapshot(place.id), Some(opened))
            }
        };
        let engine = match &place {
            Some(place) => place.engine.clone(),
            None => open::resumable_engine(cx)?,
        };
        Ok(Resolved { options: self.options(what, against, cx), engine, place, other })
    }

    fn options(&self, what: What, against: Against, cx: &Context) -> Options {
        let options = self.selection.within(Options::of(what));
        Options {
            against,
            manifest: self.manifest.clone(),
            level: self.level,
            rpo: self.rpo(),
            older: self.older.clone(),
            max_usd: cx.global().max_usd,
            is_unencrypted: self.unencrypted,
            pads: self.pad,
            is_raw: self.raw,
            volume_id: self.volume_id.clone(),
            restored_at: self.restored_at,
            allow_unchecked: self.allow_unchecked.clone(),
            ..options
        }
    }
}

impl Selection {
    /// The options, of so many blocks.
    pub(crate) fn within(&self, options: Options) -> Options {
        Options {
            delta_from: self.delta_from.clone(),
            audit: self.audit,
            part: self.part,
            cycle_days: self.cycle.map(|days| days.0),
            sample: self.sample,
            seed: self.seed,
            allow_empty: self.allow_empty,
            deadline: self.deadline.map(|span| span.0),
            ..options
        }
    }

    /// What random draws follow from, where that was said.
    pub(crate) fn seed(&self) -> Option<u64> {
        self.seed
    }
}

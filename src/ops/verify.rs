//! Proving that a restore is the data that was backed up.
//!
//! ```text
//! options -> sides (opened, listed) -> plan (which blocks) -> judge (each block as it comes)
//!         -> judged again where wrong -> classes and explanations -> report
//! ```
//!
//! A pass is claimed only when every block that was chosen was read to a verdict and each was right; whatever keeps a
//! block from being read makes the run incomplete. Findings are values of the [`Report`]; once blocks are read, faults
//! are as well, so that evidence is kept of what went wrong.

mod begin;
mod classify;
mod conclude;
mod cycle;
mod explain;
mod extent;
mod finding;
mod job;
mod judge;
mod leash;
mod level;
mod mismatches;
mod pass;
mod plan;
mod record;
mod report;
mod shallow;
mod sides;
mod spending;
mod void;
mod work;

pub use extent::{CycleProgress, Extent};
pub use finding::{Finding, Rule};
pub(crate) use finding::{age, in_words};
pub use job::{Item, Job, Newer, Outcome, Planned, Ready, Tagged, run_all, tagged};
pub(crate) use job::{newest, readable};
pub use level::Level;
pub use mismatches::Mismatches;
pub use record::name_bundle;
pub use report::{
    Baseline, Budget, Class, Coverage, Drift, Exception, Mismatch, Mode, Origin, Report, State, Subject,
    SubjectKind, Target, TargetKind,
};

use crate::block::BlockSet;
use crate::cost::Usd;
use crate::device::{Image, PartitionName, System};
use crate::evidence::Key;
use crate::fault::{Fault, Kind, Place};
use crate::manifest::Draft;
use crate::monitor::{Clock, Event, SystemClock};
use crate::ops::verify::leash::in_time;
use crate::ops::{Engine, Services, random, seed};
use crate::sample::{Aim, Partition};
use crate::snapshot::{SnapshotId, UnixMillis, VolumeId};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What is verified.
#[derive(Clone, Debug)]
pub enum What {
    /// A snapshot.
    Snapshot(SnapshotId),
    /// What a manifest says, without asking for the snapshot.
    Manifest(PathBuf),
}

impl What {
    fn place(&self) -> Place {
        match self {
            Self::Snapshot(id) => Place::Snapshot(id.clone()),
            Self::Manifest(path) => Place::File(path.clone()),
        }
    }
}

/// What it is held against.
#[derive(Clone, Debug)]
pub enum Against {
    /// Checksums, and the manifest of [`Options::manifest`].
    Nothing,
    /// A restored volume, or an image.
    Image(PathBuf),
    /// Another snapshot, possibly of another place.
    Snapshot {
        /// Which one.
        snapshot_id: SnapshotId,
        /// Where it is.
        services: Services,
        /// How that place is asked.
        engine: Box<Engine>,
    },
}

/// Blocks of an image that were read, and what they hash to.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The blocks.
    pub blocks: BlockSet,
    /// Their digests.
    pub digests: Arc<Draft>,
    /// The image, open since before the first of them was read.
    pub image: Arc<Image>,
    /// When the first of them was read; `None` where that is not known.
    pub began: Option<UnixMillis>,
}

/// What to verify, how deep and how much of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is verified.
    pub what: What,
    /// What it is held against.
    pub against: Against,
    /// What somebody has read of the image already: those blocks are not read again, and no others at all.
    pub taken: Option<Taken>,
    /// How deep to look, where that does not follow from the rest: no deeper than the block map, or at file systems too.
    pub level: Option<Level>,
    /// A manifest that the snapshot's blocks are held against.
    pub manifest: Option<PathBuf>,
    /// Manifests of older snapshots, to tell stale blocks.
    pub older: Vec<PathBuf>,
    /// Read what changed since this manifest's snapshot, and `audit` blocks that did not.
    pub delta_from: Option<PathBuf>,
    /// Unchanged blocks to read in a delta run.
    pub audit: u64,
    /// Read this part.
    pub part: Option<Partition>,
    /// Read the parts that a cycle of so many days owes.
    pub cycle_days: Option<u32>,
    /// Names the cycle, so that a volume's snapshots share one; by default the subject and the target.
    pub cycle_of: Option<String>,
    /// Read a random sample.
    pub sample: Option<Aim>,
    /// Draw what an earlier run drew.
    pub seed: Option<u64>,
    /// Most that the requests may cost; then the run ends incomplete. `None` follows the services.
    pub max_usd: Option<Usd>,
    /// How old the snapshot may be: an older one is a finding.
    pub rpo: Option<Duration>,
    /// How long the run may take; then it ends incomplete.
    pub deadline: Option<Duration>,
    /// Whether snapshot and volume are known not to be encrypted, whatever is told of them.
    pub is_unencrypted: bool,
    /// Whether what an image lacks at its end counts as zeros.
    pub pads: bool,
    /// Whether an image's bytes are taken as they are, also where they are those of another format than a disk's.
    pub is_raw: bool,
    /// Accept a snapshot without blocks, of which nothing can be read.
    pub allow_empty: bool,
    /// The EBS volume that the target has to be.
    pub volume_id: Option<VolumeId>,
    /// When the target was made of the snapshot; by default when the snapshot was taken.
    pub restored_at: Option<UnixMillis>,
    /// Partitions that level 5 need not look at.
    pub allow_unchecked: Vec<PartitionName>,
    /// The system that tells of devices.
    pub system: System,
    /// The key that signs the entry in the ledger.
    pub sign_key: Option<Key>,
    /// The id of this run; a new one where none is given.
    pub run_id: Option<String>,
}

impl Options {
    /// All blocks of this, against nothing but their checksums.
    pub fn of(what: What) -> Self {
        Self {
            what,
            against: Against::Nothing,
            taken: None,
            level: None,
            manifest: None,
            older: Vec::new(),
            delta_from: None,
            audit: 0,
            part: None,
            cycle_days: None,
            cycle_of: None,
            sample: None,
            seed: None,
            max_usd: None,
            rpo: None,
            deadline: None,
            is_unencrypted: false,
            pads: false,
            is_raw: false,
            allow_empty: false,
            volume_id: None,
            restored_at: None,
            allow_unchecked: Vec::new(),
            system: System::default(),
            sign_key: None,
            run_id: None,
        }
    }

    /// How deep this goes.
    pub fn level(&self) -> Level {
        self.level.unwrap_or_else(|| self.usual_level())
    }

    /// What it is held against leads so deep.
    fn usual_level(&self) -> Level {
        match (&self.against, &self.manifest) {
            (Against::Image(_), _) => Level::Restored,
            (Against::Snapshot { .. }, _) | (Against::Nothing, Some(_)) => Level::Content,
            (Against::Nothing, None) => Level::Transport,
        }
    }

    /// What does not fit together.
    fn check(&self) -> Result<(), Fault> {
        let refused =
            |what: &str, hint: &str| Err(Fault::new(Kind::Unsuitable, self.what.place(), what).hint(hint));
        match (&self.what, &self.against) {
            (What::Manifest(_), Against::Nothing) => {
                return refused("a manifest alone proves nothing", "give a target to hold against it");
            }
            (What::Manifest(_), Against::Snapshot { .. }) => {
                return refused(
                    "a manifest comes second to a snapshot",
                    "give it as verify SNAPSHOT --manifest FILE",
                );
            }
            _ => {}
        }
        let of_volume = [
            (self.volume_id.is_some(), "--volume-id"),
            (self.restored_at.is_some(), "--restored-at"),
            (self.pads, "--pad"),
            (self.is_raw, "--raw"),
        ];
        let has_volume = matches!(self.against, Against::Image(_));
        if let Some((_, option)) = of_volume.into_iter().find(|(is_given, _)| *is_given && !has_volume) {
            return refused(
                &format!("{option} is about a restored volume or image, and none is given"),
                "give it as TARGET",
            );
        }
        if self.manifest.is_some() && !matches!(self.against, Against::Nothing) {
            return refused(
                "--manifest is for a snapshot alone",
                "hold the manifest against the target instead",
            );
        }
        if !self.allow_unchecked.is_empty() && self.level != Some(Level::FileSystem) {
            return refused(
                "--allow-unchecked is about the partitions that level 5 looks at",
                "give --level 5 as well",
            );
        }
        let usual = self.usual_level();
        match self.level {
            None => Ok(()),
            Some(Level::Inventory | Level::BlockMap) if usual != Level::Transport || self.is_partial() => {
                refused(
                    "L0 and L1 look at a snapshot by itself and read no block",
                    "leave out what is to be read",
                )
            }
            Some(Level::Inventory | Level::BlockMap) => Ok(()),
            Some(Level::FileSystem) if usual != Level::Restored => {
                refused("L5 looks at the file systems of a restored volume or image", "give a TARGET")
            }
            Some(Level::FileSystem) => Ok(()),
            Some(level) if level == usual => Ok(()),
            Some(level) => refused(
                &format!("what is given here is verified at {usual}, not {level}"),
                "leave --level out, or give what that level is held against",
            ),
        }
    }

    /// The id of the run.
    fn run_id(&self) -> Result<String, Fault> {
        self.run_id.clone().map_or_else(run_id, Ok)
    }

    /// Whether only some blocks are to be read.
    fn is_partial(&self) -> bool {
        self.delta_from.is_some() || self.part.is_some() || self.cycle_days.is_some() || self.sample.is_some()
    }
}

/// Verifies. Without services only a manifest can be held against an image.
///
/// # Errors
/// What keeps the first block from being read. From then on faults are in the report.
pub async fn run(options: &Options, services: Option<&Services>, engine: &Engine) -> Result<Report, Fault> {
    let (start, started) = (Instant::now(), SystemClock.now());
    options.check()?;
    void::refuse(options, services).await?;
    let deadline = options.deadline.map(|span| start + span);
    if let (What::Snapshot(id), true) = (&options.what, options.level() <= Level::BlockMap) {
        let nobody = || Fault::new(Kind::Refused, Place::Snapshot(id.clone()), "there is no account to ask");
        let looked = shallow::run(id, options, services.ok_or_else(nobody)?, engine);
        return in_time(deadline, options.what.place(), looked).await;
    }
    let before = engine.requests();
    engine.monitor.on(Event::Stage { verb: "listing", total: None });
    let opened = sides::sides(options, services, engine);
    let sides = in_time(deadline, options.what.place(), opened).await?;
    let findings = aged(&sides.subject, options, started)?;
    let seed = match options.seed {
        Some(seed) => seed,
        None => seed()?,
    };
    let cycle = cycle::Remembered::take(options, &sides, services, engine, started)?;
    let parts = match &cycle {
        Some(cycle) => cycle.due().to_vec(),
        None => options.part.into_iter().collect(),
    };
    // Whatever is read from here on is later than these.
    let known = record::Known::of(&sides.subject, started, options.taken.as_ref(), engine);
    let work = work::Work { options, sides: &sides, services, engine, parts, deadline, before, seed, known };
    let done = work.run().await?;
    let (known, read) = (done.known, done.read_blocks);
    let mut report = Report {
        run_id: options.run_id()?,
        place: services.map_or_else(|| "this machine".to_owned(), |services| services.label.clone()),
        started,
        ended: SystemClock.now(),
        elapsed: start.elapsed(),
        subject: sides.subject.clone(),
        target: sides.target.clone(),
        baseline: done.baseline,
        level: options.level(),
        mode: done.mode,
        cycle: None,
        coverage: done.coverage,
        upper_bound_95: done.bound,
        mismatches: done.mismatches,
        unreadable: done.unreadable,
        exceptions: done.exceptions,
        stopped_by: done.stopped_by,
        map_root: done.roots.map(|roots| roots.map),
        content_root: done.roots.map(|roots| roots.content),
        remarks: done.remarks,
        allows_empty: options.allow_empty,
        findings,
        drift: done.drift,
        requests: done.requests,
        usd: done.usd,
        usd_estimated: done.usd_estimated,
    };
    // Parts of which nothing was read are not done.
    let finished = match cycle {
        Some(cycle) if report.is_whole() && report.coverage.read > 0 && !report.mode.is_resumed => {
            cycle.finish().map(Some)
        }
        _ => Ok(None),
    };
    match finished {
        Ok(progress) => report.cycle = progress,
        // What nobody will remember was not verified.
        Err(fault) => report.exceptions.push(Exception::from(&fault)),
    }
    let kept = known.enter(&report, &read, options, engine);
    report.exceptions.extend(kept.err().as_ref().map(Exception::from));
    Ok(report)
}

/// Whether the subject is older than allowed.
fn aged(subject: &Subject, options: &Options, now: UnixMillis) -> Result<Vec<Finding>, Fault> {
    let Some(allowed) = options.rpo else { return Ok(Vec::new()) };
    let unknown = || {
        let what = "nothing says when its snapshot was taken, so --rpo cannot be judged";
        Fault::new(Kind::Refused, options.what.place(), what).hint(
            "leave --rpo out, or name the snapshot to a build with the feature ec2 that may describe it",
        )
    };
    let info = subject.info.as_ref().ok_or_else(unknown)?;
    Ok(Finding::rpo(info, allowed, now).into_iter().collect())
}

/// Returns an id that no other run has.
pub fn run_id() -> Result<String, Fault> {
    Ok(crate::block::Digest::from_bytes(random()?).to_string()[..32].to_owned())
}

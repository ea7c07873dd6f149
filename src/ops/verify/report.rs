//! What a verification found, complete enough to be kept as evidence.

use crate::block::{BlockIndex, BlockSet, ByteSize, Digest, Geometry};
use crate::cost::Usd;
use crate::device::{Condition, DiskPartition, Layout, PartitionName};
use crate::fault::{Fault, Kind};
use crate::ops::verify::{CycleProgress, Finding, Level, Mismatches};
use crate::pipeline::Requests;
use crate::sample::{Aim, Partition};
use crate::snapshot::{SnapshotId, SnapshotInfo, UnixMillis, VolumeId};
use std::fmt;
use std::time::Duration;

/// How a verification ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Everything that was to be checked was checked and is right, and that was something.
    Pass,
    /// Something is wrong.
    Fail,
    /// Nothing wrong was seen, but not everything was checked, or nothing was.
    Incomplete,
    /// The target differs, as a volume does that was mounted after its restore. Never counted as verified.
    ChangedSinceRestore,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::Incomplete, Self::ChangedSinceRestore];

    /// As it stands in reports: `changed_since_restore`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Incomplete => "incomplete",
            Self::ChangedSinceRestore => "changed_since_restore",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What kind of wrong a block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// Its bytes never matched the checksum sent with them.
    Transport,
    /// Other bytes than expected, of unknown origin.
    Content,
    /// The bytes that belong to this other block.
    Misdirected(BlockIndex),
    /// The bytes that an older snapshot has at this block.
    Stale,
    /// Zeros where there should be data.
    Zeros,
    /// No block, or no device, where there should be data.
    Missing,
    /// Data where the snapshot has no block.
    Unexpected,
}

impl Class {
    /// As it stands in reports.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Content => "content",
            Self::Misdirected(_) => "misdirected",
            Self::Stale => "stale",
            Self::Zeros => "zeros",
            Self::Missing => "missing",
            Self::Unexpected => "unexpected",
        }
    }
}

/// One block that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Where in the volume.
    pub index: BlockIndex,
    /// What it should hash to; `None` where nothing was expected there.
    pub expected: Option<Digest>,
    /// What it hashes to; `None` where there is nothing, or nothing that can be read.
    pub actual: Option<Digest>,
    /// What kind of wrong it is.
    pub class: Class,
    /// Whether it was wrong a second time: `false` means that the second reading was right, `None` that there was none.
    pub is_persistent: Option<bool>,
    /// Whether it lies in a file system that was written to after the restore.
    pub is_explained: bool,
}

/// Where the digests came from that blocks were held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The volume that was backed up, or an image of it.
    Source,
    /// The same snapshot, read earlier: trusted on first use.
    EarlierRead,
    /// Another snapshot.
    Copy,
}

impl Origin {
    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::EarlierRead => "earlier_read",
            Self::Copy => "copy",
        }
    }
}

/// What blocks were held against, beside the checksums sent with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// The manifest's file, or the snapshot.
    pub name: String,
    /// Where it came from.
    pub origin: Origin,
    /// Its map root, where it is a manifest.
    pub map_root: Option<Digest>,
    /// Its content root, where it is a manifest.
    pub content_root: Option<Digest>,
}

/// What was verified: a snapshot, or what a manifest says of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The snapshot's id, or the manifest's file.
    pub name: String,
    /// What it is.
    pub kind: SubjectKind,
    /// The snapshot, where there is one behind it.
    pub snapshot_id: Option<SnapshotId>,
    /// Its volume.
    pub geometry: Geometry,
    /// What the control plane says of the snapshot; `None` where it does not tell.
    pub info: Option<SnapshotInfo>,
    /// Number of blocks that it lists; `None` where they were not listed.
    pub blocks: Option<u64>,
}

impl Subject {
    /// Whether it is known to have no block: an empty backup.
    pub fn is_empty(&self) -> bool {
        self.blocks == Some(0)
    }
}

/// The kinds of subject there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// A snapshot, read from the service.
    Snapshot,
    /// What a manifest says.
    Manifest,
}

impl SubjectKind {
    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Manifest => "manifest",
        }
    }
}

/// What the subject was held against, where that is more than a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its path, or the snapshot's id.
    pub name: String,
    /// Where a snapshot is, if not where the subject is: the account's label.
    pub place: Option<String>,
    /// What it is.
    pub kind: TargetKind,
    /// Its size.
    pub size: ByteSize,
    /// What lies beyond the subject's volume, and was not looked at.
    pub tail: ByteSize,
    /// How much it is smaller than the subject's volume, or than the image that a manifest is of: never a pass, unless
    /// that was allowed beforehand.
    pub short_by: ByteSize,
    /// The EBS volume that it says it is.
    pub volume_id: Option<VolumeId>,
    /// Its partitions and what is in them; nothing of a snapshot.
    pub layout: Layout,
    /// Partitions that need not be looked at.
    pub allow_unchecked: Vec<PartitionName>,
}

impl Target {
    /// Returns whether nothing is expected to be known of a partition.
    pub fn is_allowed(&self, partition: &DiskPartition) -> bool {
        partition.condition == Condition::NotLookedAt && self.allow_unchecked.contains(&partition.name)
    }

    /// Returns whether any of its partitions is in this condition and has to be in a better one.
    fn has(&self, condition: Condition) -> bool {
        self.layout.partitions.iter().any(|one| one.condition == condition && !self.is_allowed(one))
    }

    /// Returns whether there is anything by which level 5 can be reached: a clean file system, or a partition that is
    /// allowed not to be looked at.
    fn has_something_to_show(&self) -> bool {
        self.layout.partitions.iter().any(|one| one.condition == Condition::Clean || self.is_allowed(one))
    }

    /// Returns what keeps its file systems from being shown to be clean, in sentences.
    pub(super) fn of_file_systems(&self) -> Vec<String> {
        let of = |one: &DiskPartition| {
            let condition = match one.condition {
                Condition::Clean | Condition::NothingToCheck => return None,
                _ if self.is_allowed(one) => "not looked at, as --allow-unchecked says".to_owned(),
                condition => condition.in_words().to_owned(),
            };
            let why = one.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            Some(format!("{}: {condition}{why}.", capitalised(&one.to_string())))
        };
        let mut sentences: Vec<_> = self.layout.partitions.iter().filter_map(of).collect();
        if self.layout.file_systems().next().is_none() {
            sentences.push("No file system of a known kind was found on the target.".to_owned());
        }
        sentences.extend(self.layout.remarks.iter().cloned());
        sentences
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// A block list that is not as long as the control plane says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    /// What the control plane says that the snapshot holds.
    pub told: ByteSize,
    /// What its block list adds up to.
    pub listed: ByteSize,
}

impl Drift {
    /// Where the two differ; 0 has been told of full snapshots and tells nothing.
    pub(super) fn of(info: Option<&SnapshotInfo>, listed: ByteSize) -> Option<Self> {
        let told = info?.full_size.filter(|told| told.bytes() > 0 && *told != listed)?;
        Some(Self { told, listed })
    }
}

/// The kinds of target there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// A block device.
    Device,
    /// An image file.
    File,
    /// Another snapshot.
    Snapshot,
}

impl TargetKind {
    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::File => "file",
            Self::Snapshot => "snapshot",
        }
    }
}

/// Which blocks were to be read. With no field set it is all of them; with several, what any of them names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mode {
    /// All blocks changed since this manifest's snapshot.
    pub delta_from: Option<String>,
    /// So many random blocks that the change feed says are unchanged, to audit that feed.
    pub audit: Option<u64>,
    /// These parts of the whole.
    pub parts: Vec<Partition>,
    /// Days of the cycle that chose the parts.
    pub cycle_days: Option<u32>,
    /// A random sample to this end.
    pub sample: Option<Aim>,
    /// What random draws follow from; `None` where nothing was drawn.
    pub seed: Option<u64>,
    /// Whether blocks that an interrupted run read were counted without proof that the target is unchanged since.
    pub is_resumed: bool,
}

impl Mode {
    /// `full`, or the parts it is made of: `delta+sample`.
    pub fn name(&self) -> String {
        let parts = [
            self.delta_from.as_ref().map(|_| "delta"),
            self.cycle_days.map(|_| "cycle").or((!self.parts.is_empty()).then_some("part")),
            self.sample.map(|_| "sample"),
        ];
        let mut names: Vec<&str> = parts.into_iter().flatten().collect();
        if names.is_empty() {
            names.push("full");
        }
        names.extend(self.is_resumed.then_some("resumed"));
        names.join("+")
    }
}

/// How much was looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// Blocks that the level speaks of.
    pub total: u64,
    /// Of these, blocks chosen by the mode.
    pub planned: u64,
    /// Of the planned, blocks read to a verdict, right or wrong; those of an interrupted earlier run included.
    pub read: u64,
    /// Of these, read by an interrupted earlier run.
    pub resumed: u64,
    /// Absent blocks that nobody can verify: of an encrypted volume they read as random bytes.
    pub unverifiable: u64,
    /// Blocks of the delta audit that were drawn at random.
    pub audited: u64,
    /// Blocks that the list of changes says are unchanged: the audit was drawn among these.
    pub unchanged: u64,
}

impl Coverage {
    /// The part of all blocks that was read: of none, none.
    pub fn ratio(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.read as f64 / self.total as f64 }
    }
}

/// What kept a block, or the rest of them, from being checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// What, for machines.
    pub kind: Kind,
    /// In one line, with the place and what to do next.
    pub what: String,
}

impl From<&Fault> for Exception {
    fn from(fault: &Fault) -> Self {
        let advice = fault.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
        Self { kind: fault.kind, what: format!("{fault}{advice}") }
    }
}

/// Why a run ended before everything was read, where that was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Budget {
    /// The requests would have cost more.
    Usd,
    /// The time was up.
    Deadline,
}

impl Budget {
    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Deadline => "deadline",
        }
    }
}

/// What `icecore verify` found.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// Names this run and no other: 32 hexadecimal digits.
    pub run_id: String,
    /// Where the subject is: the account's label.
    pub place: String,
    /// When it began.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: UnixMillis,
    /// How long it took, by a clock that is never set.
    pub elapsed: Duration,
    /// What was verified.
    pub subject: Subject,
    /// What it was held against.
    pub target: Option<Target>,
    /// Where the expected digests came from; `None` where the snapshot itself was the only judge.
    pub baseline: Option<Baseline>,
    /// How deep.
    pub level: Level,
    /// Which blocks.
    pub mode: Mode,
    /// The cycle that it belongs to, as it stands after the run; `None` where it belongs to none, or read nothing of it.
    pub cycle: Option<CycleProgress>,
    /// How much.
    pub coverage: Coverage,
    /// With 95 % confidence not more than this part of the blocks is damaged; `None` where the blocks read were not
    /// chosen at random, or damage was found.
    pub upper_bound_95: Option<f64>,
    /// Every block that is wrong, ascending.
    pub mismatches: Mismatches,
    /// Planned blocks that could not be read.
    pub unreadable: BlockSet,
    /// What else went wrong.
    pub exceptions: Vec<Exception>,
    /// What ended the run early.
    pub stopped_by: Option<Budget>,
    /// Merkle root over index and digest of every allocated block, where all were read.
    pub map_root: Option<Digest>,
    /// The same over blocks that are not zero.
    pub content_root: Option<Digest>,
    /// Particulars of this run that the level's sentences do not say.
    pub remarks: Vec<String>,
    /// What is wrong with the backup beside its blocks.
    pub findings: Vec<Finding>,
    /// Whether a snapshot without blocks was accepted beforehand.
    pub allows_empty: bool,
    /// Whether the control plane and the block list disagree. At L1 that is what fails; deeper it is only said.
    pub drift: Option<Drift>,
    /// What was asked.
    pub requests: Requests,
    /// What the requests cost at list prices; `None` where they are free.
    pub usd: Option<Usd>,
    /// The same as estimated beforehand.
    pub usd_estimated: Option<Usd>,
}

impl Report {
    /// How it ended, findings beside the blocks included: a backup that is too old fails, whatever it holds.
    pub fn verdict(&self) -> State {
        match self.findings.is_empty() {
            true => self.state(),
            false => State::Fail,
        }
    }

    /// What the blocks show: this goes into the ledger.
    pub fn state(&self) -> State {
        let is_short = self.target.as_ref().is_some_and(|target| target.short_by > ByteSize::ZERO);
        let is_other = self.level == Level::BlockMap && self.drift.is_some();
        if self.is_changed() {
            State::Incomplete
        } else if is_short || is_other || self.is_dirty() || !self.mismatches.are_explained() {
            State::Fail
        } else if !self.mismatches.is_empty() {
            State::ChangedSinceRestore
        } else if self.is_whole() && !self.is_untold() && self.void().is_none() {
            State::Pass
        } else {
            State::Incomplete
        }
    }

    /// Returns whether the target changed while it was read: what was found then is of no one time, right or wrong.
    fn is_changed(&self) -> bool {
        self.exceptions.iter().any(|exception| exception.kind == Kind::Changed)
    }

    /// Returns the target whose file systems count: at level 5.
    fn judged(&self) -> Option<&Target> {
        self.target.as_ref().filter(|_| self.level == Level::FileSystem)
    }

    /// Returns whether a file system of the target says that it is not clean, at the level that looks at them.
    pub fn is_dirty(&self) -> bool {
        self.judged().is_some_and(|target| target.has(Condition::Dirty))
    }

    /// Returns in one line what level 5 needs and could not see; `None` where it saw all, and below that level.
    pub fn unlooked(&self) -> Option<String> {
        let target = self.judged().filter(|_| self.is_untold())?;
        let is_open =
            |one: &&DiskPartition| one.condition == Condition::NotLookedAt && !target.is_allowed(one);
        Some(match target.layout.partitions.iter().find(is_open) {
            Some(one) => {
                let why = one.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                format!("{one} was not looked at{why}; --allow-unchecked {} accepts that", one.name)
            }
            None => "there is no file system to look at".to_owned(),
        })
    }

    /// Returns whether something was to be seen at this level that was not: a partition that was not looked at, or no
    /// file system at all.
    fn is_untold(&self) -> bool {
        self.judged()
            .is_some_and(|target| target.has(Condition::NotLookedAt) || !target.has_something_to_show())
    }

    /// What was read, in a word: `full`, `delta+sample`, `none`.
    pub fn mode_name(&self) -> String {
        if self.level <= Level::BlockMap { "none".to_owned() } else { self.mode.name() }
    }

    /// Whether everything planned was read to a verdict, and nothing else went wrong.
    pub fn is_whole(&self) -> bool {
        self.coverage.read == self.coverage.planned
            && self.unreadable.is_empty()
            && self.exceptions.is_empty()
            && self.stopped_by.is_none()
    }

    /// The blocks that are wrong.
    pub fn wrong(&self) -> &BlockSet {
        self.mismatches.blocks()
    }

    /// What this report does not claim, in whole sentences; the level's own come first.
    pub fn disclaimers(&self) -> Vec<String> {
        let mut sentences = vec![self.level.does_not_show().to_owned()];
        match self.void() {
            Some(why) if self.is_whole() => sentences.push(why),
            _ if self.subject.is_empty() => {
                sentences.push(format!("{} has no blocks.", self.subject.words()))
            }
            _ => {}
        }
        if self.coverage.unverifiable > 0 {
            sentences.push(format!(
                "{} blocks that the snapshot does not have were not checked: only an unencrypted volume reads as zeros \
                 there, and that is not known of this one.",
                self.coverage.unverifiable
            ));
        }
        let earlier = self.baseline.as_ref().filter(|baseline| baseline.origin == Origin::EarlierRead);
        if let Some(baseline) = earlier {
            let is_older = self.mode.delta_from.as_ref() == Some(&baseline.name);
            let whose = if is_older { "an older snapshot" } else { "the same snapshot" };
            sentences.push(format!(
                "The baseline is an earlier read of {whose}, trusted on first use: damage older than that read does not \
                 show."
            ));
        }
        if let Some(Drift { told, listed }) = self.drift {
            sentences.push(format!(
                "The control plane says that the snapshot holds {told}, its block list {listed}."
            ));
        }
        sentences.extend(self.remarks.iter().cloned());
        sentences
    }
}

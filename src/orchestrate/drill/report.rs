//! What drills found, and what they left.

use crate::block::GiB;
use crate::control::Known;
use crate::device::FileSystemKind;
use crate::estate::{BinnedVolume, VolumeKind};
use crate::ops::verify::{self, Exception, State};
use crate::ops::warm;
use crate::orchestrate::RunId;
use crate::orchestrate::drill::{Options, Subject, Way, age};
use crate::orchestrate::step::{Outcome, Taken, Undoing, Walked};
use crate::pipeline::Requests;
use crate::snapshot::{InstanceId, SnapshotId, UnixMillis, VolumeId};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What the steps of a drill saw that is too large for a journal.
#[derive(Debug, Default)]
pub(super) struct Seen {
    verified: Mutex<Option<verify::Report>>,
    notes: Mutex<Vec<String>>,
    hooked: Mutex<Option<Hooked>>,
    warmed: Mutex<Option<warm::Report>>,
    mounted: Mutex<Vec<Mounted>>,
}

/// What became of the user's own command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooked {
    /// Its exit code; `None` where a signal ended it, or its time was up.
    pub code: Option<i32>,
    /// The end of its output.
    pub said: String,
    /// Whether there was more output.
    pub is_cut: bool,
    /// Whether it got the AWS credentials in this program's environment.
    pub got_credentials: bool,
}

/// A file system of the volume that was mounted, read-only, while the user's own command ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Where.
    pub at: PathBuf,
    /// Which one.
    pub kind: FileSystemKind,
    /// The number of its partition; `None` where it has the whole device.
    pub partition: Option<u32>,
    /// Its UUID.
    pub uuid: String,
    /// Whether its journal held nothing that was still to be done; `None` where it does not tell.
    pub is_clean: Option<bool>,
}

impl Seen {
    pub(super) fn mounted(&self, mounted: Vec<Mounted>) {
        *self.mounted.lock().unwrap_or_else(PoisonError::into_inner) = mounted;
    }

    /// How the verification ended, where it did.
    pub(super) fn state(&self) -> Option<State> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(verify::Report::state)
    }

    pub(super) fn warmed(&self, report: warm::Report) {
        *self.warmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }

    pub(super) fn hooked(&self, hooked: Hooked) {
        *self.hooked.lock().unwrap_or_else(PoisonError::into_inner) = Some(hooked);
    }

    pub(super) fn verified(&self, report: verify::Report) {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }

    pub(super) fn note(&self, sentence: &str) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(sentence.to_owned());
    }
}

/// A goal that a drill may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// How soon a volume has to be there.
    Rto,
    /// How old a snapshot may be.
    Rpo,
}

impl Goal {
    /// As it stands in reports: `rto`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rto => "rto",
            Self::Rpo => "rpo",
        }
    }
}

/// A goal that was not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The volume was there too late.
    Rto {
        /// How long it took.
        took: Duration,
        /// How long it may take.
        allowed: Duration,
    },
    /// The snapshot is too old.
    Rpo {
        /// How old it is.
        age: Duration,
        /// How old it may be.
        allowed: Duration,
    },
    /// The user's own command was not content.
    Hook(Hooked),
    /// The newest snapshot of its volume failed, so that there was nothing to drill.
    NewestInError,
    /// The snapshot has no blocks, and that was not accepted beforehand.
    EmptySnapshot,
}

/// One drill.
#[derive(Clone, Debug)]
pub struct Drill {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// When it was taken; `None` where nobody tells.
    pub taken: Option<UnixMillis>,
    /// The size of its volume; `None` where nobody tells.
    pub size: Option<GiB>,
    /// The volume.
    pub volume_id: Option<VolumeId>,
    /// Whether the volume was restored by somebody else.
    pub is_restored: bool,
    /// What the volume was made of; `None` of one that was not made here.
    pub kind: Option<VolumeKind>,
    /// Whether the volume was encrypted; `None` where it never was there.
    pub is_encrypted: Option<bool>,
    /// Its device.
    pub device: Option<PathBuf>,
    /// How far each step came, and what became of it.
    pub steps: Vec<Taken>,
    /// What warming came to; `None` where there was none, or an earlier process did it.
    pub warmed: Option<warm::Report>,
    /// What the verification found; `None` where there was none, or an earlier process made it.
    pub verified: Option<verify::Report>,
    /// What was mounted; empty where nothing was.
    pub mounted: Vec<Mounted>,
    /// How it ended, also where an earlier process made it.
    pub verdict: Option<State>,
    /// From asking for the volume until its device was there to be read, and warm where that was asked for; `None` where that was not reached, or an
    /// earlier process began it.
    pub restore: Option<Duration>,
    /// How old the snapshot was when the drill began; `None` where nobody tells.
    pub age: Option<Duration>,
    /// What became of the user's own command; `None` where it was not run.
    pub hooked: Option<Hooked>,
    /// Goals that were not reached.
    pub missed: Vec<Missed>,
    /// Goals of which nobody can tell whether they were: then the drill is no pass.
    pub unknown: Vec<Goal>,
    /// What kept it from being done or from being cleared away.
    pub exceptions: Vec<Exception>,
    /// What else is to be said, in whole sentences.
    pub notes: Vec<String>,
}

impl Drill {
    /// A drill that cannot be begun.
    pub(super) fn unfit(subject: &Subject, started: UnixMillis) -> Self {
        let mut drill = Self::bare(subject);
        if let Way::Unfit(why) = &subject.way {
            drill.exceptions.push(why.clone());
        }
        drill.age = subject.taken.map(|taken| age(taken, started));
        if subject.is_newest_in_error {
            drill.missed.push(Missed::NewestInError);
        }
        drill
    }

    pub(super) fn of(
        subject: &Subject,
        walked: Walked,
        seen: &Seen,
        options: &Options,
        started: UnixMillis,
        is_resumed: bool,
    ) -> Self {
        let fact = |key: &str| walked.facts.get(key);
        let took = |name: &str| {
            let step = walked.steps.iter().find(|step| step.name == name && step.outcome == Outcome::Done)?;
            Some(step.took)
        };
        let mut drill = Self::bare(subject);
        drill.volume_id = fact("volume").and_then(|id| id.parse().ok());
        drill.is_encrypted = fact("encrypted").and_then(|is| is.parse().ok()).or(drill.is_encrypted);
        drill.device = fact("device").map(PathBuf::from);
        drill.kind = (!drill.is_restored).then(|| options.made.kind.clone());
        drill.warmed = seen.warmed.lock().unwrap_or_else(PoisonError::into_inner).take();
        drill.verified = seen.verified.lock().unwrap_or_else(PoisonError::into_inner).take();
        drill.mounted = std::mem::take(&mut *seen.mounted.lock().unwrap_or_else(PoisonError::into_inner));
        drill.verdict = match &drill.verified {
            Some(report) => Some(report.state()),
            None => {
                fact("verified").and_then(|state| State::ALL.into_iter().find(|one| one.as_str() == state))
            }
        };
        if !is_resumed && !drill.is_restored {
            let parts = [took("create"), took("attach"), took("device")];
            let there: Option<Duration> = parts.into_iter().sum();
            drill.restore = match options.warm {
                Some(_) => there.zip(took("warm")).map(|(there, warm)| there + warm),
                None => there,
            };
        }
        drill.age = subject.taken.map(|taken| age(taken, started));
        drill.notes.extend(seen.notes.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        let is_empty = drill.verified.as_ref().is_some_and(|report| report.subject.is_empty());
        if is_empty && !options.verify.allow_empty {
            drill.missed.push(Missed::EmptySnapshot);
        }
        if let (Some(took), Some(allowed)) = (drill.restore, options.rto)
            && took > allowed
        {
            drill.missed.push(Missed::Rto { took, allowed });
        }
        if let (Some(age), Some(allowed)) = (drill.age, options.rpo)
            && age > allowed
        {
            drill.missed.push(Missed::Rpo { age, allowed });
        }
        drill.hooked = seen.hooked.lock().unwrap_or_else(PoisonError::into_inner).take();
        drill.missed.extend(drill.hooked.clone().filter(|hooked| hooked.code != Some(0)).map(Missed::Hook));
        if options.rto.is_some() && drill.restore.is_none() && drill.verdict.is_some() {
            drill.unknown.push(Goal::Rto);
        }
        if options.rpo.is_some() && drill.age.is_none() {
            drill.unknown.push(Goal::Rpo);
        }
        drill.exceptions.extend(walked.failure().cloned());
        drill.steps = walked.steps;
        let left: Vec<_> = drill.left().map(|(_, exception)| exception.clone()).collect();
        drill.exceptions.extend(left);
        drill
    }

    fn bare(subject: &Subject) -> Self {
        let (is_restored, is_encrypted) = match subject.way {
            Way::Restored { is_encrypted, .. } => (true, Some(is_encrypted)),
            Way::Made | Way::Unfit(_) => (false, None),
        };
        Self {
            snapshot_id: subject.snapshot.clone(),
            taken: subject.taken,
            size: subject.size,
            volume_id: None,
            is_restored,
            kind: None,
            is_encrypted,
            device: None,
            steps: Vec::new(),
            warmed: None,
            verified: None,
            mounted: Vec::new(),
            verdict: None,
            restore: None,
            age: None,
            hooked: None,
            missed: Vec::new(),
            unknown: Vec::new(),
            exceptions: Vec::new(),
            notes: subject.notes.clone(),
        }
    }

    /// What is still there of what it made, and why; in the order in which it was to be undone.
    pub fn left(&self) -> impl Iterator<Item = (&'static str, &Exception)> {
        self.steps.iter().rev().filter_map(|step| match &step.undoing {
            Undoing::Left(exception) => Some((step.name, exception)),
            _ => None,
        })
    }

    /// Whether a volume was made and deleted.
    pub(super) fn is_deleted(&self) -> bool {
        let deleted = |step: &Taken| step.name == "create" && step.undoing == Undoing::Undone;
        self.volume_id.is_some() && self.steps.iter().any(deleted)
    }

    /// How it ended: a pass says that the data is right, the goals were reached, and nothing is left.
    pub fn state(&self) -> State {
        match self.verdict {
            Some(verdict @ (State::Fail | State::ChangedSinceRestore)) => verdict,
            _ if !self.missed.is_empty() => State::Fail,
            Some(State::Pass) if self.exceptions.is_empty() && self.unknown.is_empty() => State::Pass,
            _ => State::Incomplete,
        }
    }

    /// What AWS Backup is told of a restore that it made (AWS Backup API, PutRestoreValidationResult).
    pub fn validation(&self) -> Validation {
        let wrong = self.verified.as_ref().map_or(0, |report| report.mismatches.len());
        let unknown = || {
            self.unknown
                .first()
                .map(|goal| format!(": whether the {} was reached is not known", goal.as_str()))
        };
        let why = self.exceptions.first().map(|exception| format!(": {}", exception.what));
        let why = why.or_else(unknown).unwrap_or_default();
        let checked = match &self.verified {
            Some(report) => format!(
                "{} of {} blocks held against {}",
                report.coverage.read, report.coverage.total, self.snapshot_id
            ),
            None => format!("not held against {}", self.snapshot_id),
        };
        let is_late = self.verified.as_ref().is_some_and(|report| report.stopped_by.is_some());
        let (status, message) = match self.state() {
            State::Pass => ("SUCCESSFUL", format!("{checked}: all are right")),
            State::Fail if self.verdict == Some(State::Pass) => {
                ("FAILED", format!("{checked}: all are right, but a goal was missed"))
            }
            State::Fail if wrong == 0 && self.verified.as_ref().is_some_and(verify::Report::is_dirty) => {
                ("FAILED", format!("{checked}: all are right, but a file system is not clean"))
            }
            State::Fail => ("FAILED", format!("{checked}: {wrong} are wrong")),
            State::ChangedSinceRestore => {
                ("FAILED", format!("{checked}: {wrong} differ; the volume was written to since its restore"))
            }
            State::Incomplete if is_late => {
                ("TIMED_OUT", format!("{checked}: the time or the budget was up"))
            }
            State::Incomplete => ("VALIDATING", format!("{checked}: no verdict yet{why}")),
        };
        Validation { status, message }
    }
}

/// Status and message for PutRestoreValidationResult.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// `SUCCESSFUL`, `FAILED`, `TIMED_OUT` or, where nobody can tell yet, `VALIDATING`.
    pub status: &'static str,
    /// In one sentence.
    pub message: String,
}

/// What `icecore drill` found.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// The run.
    pub run: RunId,
    /// Where it was: the account's label.
    pub place: String,
    /// The instance that volumes were attached to.
    pub instance: InstanceId,
    /// How soon a volume had to be there.
    pub rto: Option<Duration>,
    /// How old a snapshot might be.
    pub rpo: Option<Duration>,
    /// When it began.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: UnixMillis,
    /// How long it took; of a resumed run, this process.
    pub elapsed: Duration,
    /// The drills, in order.
    pub drills: Vec<Drill>,
    /// Deleted volumes that the Recycle Bin keeps: they are billed as before.
    pub binned: Known<Vec<BinnedVolume>>,
    /// What was asked.
    pub requests: Requests,
}

impl Report {
    /// The worst of the drills; without any, nothing was drilled.
    pub fn state(&self) -> State {
        let has = |state| self.drills.iter().any(|drill| drill.state() == state);
        let worst =
            [State::Fail, State::ChangedSinceRestore, State::Incomplete].into_iter().find(|one| has(*one));
        match worst {
            Some(state) => state,
            None if self.drills.is_empty() => State::Incomplete,
            None => State::Pass,
        }
    }

    /// How many volumes were deleted.
    pub fn deleted(&self) -> usize {
        self.drills.iter().filter(|drill| drill.is_deleted()).count()
    }
}

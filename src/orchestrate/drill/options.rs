//! What to drill, where, and what the volumes are made like.

use crate::device::BY_ID;
use crate::estate::VolumeKind;
use crate::ops::verify as ops_verify;
use crate::ops::warm::Amount;
use crate::orchestrate::RunId;
use crate::orchestrate::desk::Waits;
use crate::orchestrate::drill::Choice;
use crate::snapshot::{InstanceId, SnapshotId, Tags, VolumeId};
use std::path::PathBuf;
use std::time::Duration;

/// What is drilled.
#[derive(Clone, Debug)]
pub enum What {
    /// Snapshots: a volume is made of each, and deleted.
    Snapshots(Choice),
    /// A volume that somebody restored: it is attached and detached, and otherwise left as it is.
    Restored {
        /// The volume.
        volume: VolumeId,
        /// What it has to hold; `None` is the snapshot that it was made of.
        snapshot: Option<SnapshotId>,
    },
}

/// Where volumes are attached: this machine.
#[derive(Clone, Debug)]
pub struct Here {
    /// The instance that this is.
    pub instance: InstanceId,
    /// Its Availability Zone; `None` asks EC2.
    pub zone: Option<String>,
    /// Where devices of attached volumes appear, by name.
    pub devices: PathBuf,
}

impl Here {
    /// An instance with its devices where Linux has them.
    pub fn is(instance: InstanceId) -> Self {
        Self { instance, zone: None, devices: PathBuf::from(BY_ID) }
    }
}

/// What volumes are made like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// What they are made of.
    pub kind: VolumeKind,
    /// I/O operations a second; `None` is the kind's own.
    pub iops: Option<u32>,
    /// MiB a second; `None` is the kind's own.
    pub throughput: Option<u32>,
    /// MiB a second at which the snapshot's data is fetched; `None` is as AWS likes.
    pub initialization_rate: Option<u32>,
    /// The key to encrypt with; `None` follows the snapshot.
    pub kms_key_id: Option<String>,
    /// Tags beside the run's own.
    pub tags: Tags,
}

impl Default for Made {
    /// As AWS's console makes them.
    fn default() -> Self {
        Self {
            kind: VolumeKind::Gp3,
            iops: None,
            throughput: None,
            initialization_rate: None,
            kms_key_id: None,
            tags: Tags::new(),
        }
    }
}

/// A command of the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// For the shell.
    pub command: String,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether it gets the AWS credentials in this program's environment.
    pub gets_credentials: bool,
}

/// What to drill, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// What.
    pub what: What,
    /// Where.
    pub here: Here,
    /// What volumes are made like.
    pub made: Made,
    /// How volumes are verified; what, and against what, is put in.
    pub verify: ops_verify::Options,
    /// How much is read before anything else, so that the volume is fast.
    pub warm: Option<Amount>,
    /// Whether its file systems are mounted once the volume was verified.
    pub mount: bool,
    /// What is run once the volume was verified.
    pub hook: Option<Hook>,
    /// How soon a volume has to be there.
    pub rto: Option<Duration>,
    /// How old a snapshot may be.
    pub rpo: Option<Duration>,
    /// Drills at once.
    pub at_once: usize,
    /// Who drills, for the tags.
    pub owner: String,
    /// After how long the run is surely over: then anybody's cleanup takes away what it left.
    pub lifetime: Duration,
    /// How long states are waited for.
    pub waits: Waits,
    /// The id of the run; a new one where none is given.
    pub run: Option<RunId>,
}

impl Options {
    /// A drill as it is without further ado.
    pub fn of(what: What, here: Here) -> Self {
        let nothing = ops_verify::What::Manifest(PathBuf::new());
        Self {
            what,
            here,
            made: Made::default(),
            verify: ops_verify::Options::of(nothing),
            warm: None,
            mount: false,
            hook: None,
            rto: None,
            rpo: None,
            at_once: 4,
            owner: String::new(),
            lifetime: Duration::from_secs(24 * 60 * 60),
            waits: Waits::default(),
            run: None,
        }
    }
}

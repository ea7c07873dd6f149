//! What was asked for, as the journal keeps it: enough for another process to go on.

use crate::block::{ByteSize, GiB};
use crate::estate::VolumeKind;
use crate::fault::{Fault, Kind, Place};
use crate::ops::verify::{self as ops_verify, Exception};
use crate::ops::warm::Amount;
use crate::orchestrate::desk::Waits;
use crate::orchestrate::drill::{Choice, Here, Hook, Made, Options, Shop, Subject, Way, What};
use crate::orchestrate::mark::{Mark, RunId};
use crate::snapshot::{Tags, UnixMillis};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A run of drills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    procedure: String,
    place: String,
    owner: String,
    expires: i64,
    instance: String,
    zone: String,
    devices: PathBuf,
    kind: String,
    iops: Option<u32>,
    throughput: Option<u32>,
    initialization_rate: Option<u32>,
    kms_key_id: Option<String>,
    tags: Tags,
    /// Blocks to warm, all of them for 0.
    warm: Option<u64>,
    mount: bool,
    hook: Option<(String, Duration)>,
    /// Absent in journals of earlier versions, whose hooks got whatever the environment held.
    #[serde(default)]
    hook_gets_credentials: bool,
    rto: Option<Duration>,
    rpo: Option<Duration>,
    at_once: usize,
    how_much: HowMuch,
    targets: Vec<Target>,
}

/// Which blocks are verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HowMuch {
    delta_from: Option<PathBuf>,
    audit: u64,
    part: Option<String>,
    cycle_days: Option<u32>,
    sample: Option<String>,
    seed: Option<u64>,
    deadline: Option<Duration>,
    older: Vec<PathBuf>,
    is_unencrypted: bool,
    /// Of orders before it was asked for: as deep as a target allows.
    #[serde(default)]
    level: Option<u8>,
    #[serde(default)]
    allow_unchecked: Vec<String>,
}

/// What one drill is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Target {
    snapshot: String,
    gib: Option<u32>,
    full_bytes: Option<u64>,
    taken: Option<i64>,
    restored: Option<Volume>,
    /// Why nothing can be made of the snapshot.
    unfit: Option<String>,
    #[serde(default)]
    is_newest_in_error: bool,
    #[serde(default)]
    notes: Vec<String>,
}

/// A volume that somebody restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Volume {
    id: String,
    is_encrypted: bool,
    is_here: bool,
}

const PROCEDURE: &str = "drill";

impl Order {
    pub(super) fn of(shop: &Shop, subjects: &[Subject], zone: &str) -> Self {
        let Options { here, made, verify, warm, mount, hook, rto, rpo, at_once, .. } = shop.options.clone();
        let text = |shown: &dyn Display| shown.to_string();
        Self {
            procedure: PROCEDURE.to_owned(),
            place: shop.services.label.clone(),
            owner: shop.mark.owner.clone(),
            expires: shop.mark.expires.0,
            instance: here.instance.to_string(),
            zone: zone.to_owned(),
            devices: here.devices,
            kind: made.kind.to_string(),
            iops: made.iops,
            throughput: made.throughput,
            initialization_rate: made.initialization_rate,
            kms_key_id: made.kms_key_id,
            tags: made.tags,
            warm: warm.map(|amount| match amount {
                Amount::Hottest(blocks) => blocks,
                Amount::All | Amount::Probe => 0,
            }),
            mount,
            hook_gets_credentials: hook.as_ref().is_some_and(|hook| hook.gets_credentials),
            hook: hook.map(|hook| (hook.command, hook.timeout)),
            rto,
            rpo,
            at_once,
            how_much: HowMuch {
                delta_from: verify.delta_from,
                audit: verify.audit,
                part: verify.part.map(|part| text(&part)),
                cycle_days: verify.cycle_days,
                sample: verify.sample.map(|sample| text(&sample)),
                seed: verify.seed,
                deadline: verify.deadline,
                older: verify.older,
                is_unencrypted: verify.is_unencrypted,
                level: verify.level.map(ops_verify::Level::number),
                allow_unchecked: verify.allow_unchecked.iter().map(|name| text(name)).collect(),
            },
            targets: subjects.iter().map(Target::of).collect(),
        }
    }

    /// Refuses another place than the run was begun at.
    pub(super) fn is_of(&self, label: &str) -> Result<(), Fault> {
        if self.place == label {
            return Ok(());
        }
        let what = format!("the run was begun at {}, not at {label}", self.place);
        Err(Fault::new(Kind::Refused, Place::Program, what)
            .hint("give --region, --profile, --endpoint-url or --local as then"))
    }

    /// What was asked for, as it was.
    pub(super) fn again(
        self,
        run: &RunId,
        waits: Waits,
    ) -> Result<(Options, Mark, Vec<Subject>, String), Fault> {
        let mark = Mark { run: run.clone(), owner: self.owner.clone(), expires: UnixMillis(self.expires) };
        let here =
            Here { instance: read(&self.instance)?, zone: Some(self.zone.clone()), devices: self.devices };
        let nothing = ops_verify::What::Manifest(PathBuf::new());
        let how_much = self.how_much;
        let verify = ops_verify::Options {
            delta_from: how_much.delta_from,
            audit: how_much.audit,
            part: how_much.part.as_deref().map(read).transpose()?,
            cycle_days: how_much.cycle_days,
            sample: how_much.sample.as_deref().map(read).transpose()?,
            seed: how_much.seed,
            deadline: how_much.deadline,
            older: how_much.older,
            is_unencrypted: how_much.is_unencrypted,
            level: how_much.level.map(|number| read(&number.to_string())).transpose()?,
            allow_unchecked: how_much
                .allow_unchecked
                .iter()
                .map(|name| read(name))
                .collect::<Result<_, _>>()?,
            ..ops_verify::Options::of(nothing)
        };
        let made = Made {
            kind: VolumeKind::from(self.kind.as_str()),
            iops: self.iops,
            throughput: self.throughput,
            initialization_rate: self.initialization_rate,
            kms_key_id: self.kms_key_id,
            tags: self.tags,
        };
        let what = What::Snapshots(Choice::Named(Vec::new()));
        let options = Options {
            made,
            verify,
            warm: self.warm.map(|blocks| if blocks == 0 { Amount::All } else { Amount::Hottest(blocks) }),
            mount: self.mount,
            hook: self.hook.map(|(command, timeout)| Hook {
                command,
                timeout,
                gets_credentials: self.hook_gets_credentials,
            }),
            rto: self.rto,
            rpo: self.rpo,
            at_once: self.at_once,
            owner: self.owner,
            waits,
            ..Options::of(what, here)
        };
        let subjects = self.targets.into_iter().map(Target::again).collect::<Result<_, _>>()?;
        Ok((options, mark, subjects, self.zone))
    }
}

impl Target {
    fn of(subject: &Subject) -> Self {
        let Subject { snapshot, size, full_size, taken, way, is_newest_in_error, notes } = subject;
        let (restored, unfit) = match way {
            Way::Made => (None, None),
            Way::Restored { volume, is_encrypted, is_here } => {
                let (id, is_encrypted, is_here) = (volume.to_string(), *is_encrypted, *is_here);
                (Some(Volume { id, is_encrypted, is_here }), None)
            }
            Way::Unfit(why) => (None, Some(why.what.clone())),
        };
        Self {
            snapshot: snapshot.to_string(),
            gib: size.map(GiB::get),
            full_bytes: full_size.map(ByteSize::bytes),
            taken: taken.map(|taken| taken.0),
            restored,
            unfit,
            is_newest_in_error: *is_newest_in_error,
            notes: notes.clone(),
        }
    }

    fn again(self) -> Result<Subject, Fault> {
        let way = match (self.restored, self.unfit) {
            (Some(Volume { id, is_encrypted, is_here }), _) => {
                Way::Restored { volume: read(&id)?, is_encrypted, is_here }
            }
            (None, Some(what)) => Way::Unfit(Exception { kind: Kind::NotReadable, what }),
            (None, None) => Way::Made,
        };
        Ok(Subject {
            snapshot: read(&self.snapshot)?,
            size: self.gib.and_then(|gib| GiB::try_from(i64::from(gib)).ok()),
            full_size: self.full_bytes.map(ByteSize::from_bytes),
            taken: self.taken.map(UnixMillis),
            way,
            is_newest_in_error: self.is_newest_in_error,
            notes: self.notes,
        })
    }
}

fn read<T: FromStr<Err: Display>>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|error: T::Err| {
        Fault::new(Kind::Unsuitable, Place::Program, format!("the journal's order cannot be read: {error}"))
    })
}

//! `icecore drill`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::evidence::{KeepArgs, Keeper, keep};
use crate::cli::exit::Exit;
use crate::cli::open::{self, Access, Opened};
use crate::cli::settings;
use crate::cli::spelled::Span;
use crate::cli::verify::{Selection, exit_of_exception, exit_of_state};
use crate::control::InstanceQuery;
use crate::device::PartitionName;
use crate::estate::VolumeKind;
use crate::fault::{Fault, Kind, Place};
use crate::ops::verify::Level;
use crate::ops::warm::Amount;
use crate::ops::{self, verify as ops_verify};
use crate::orchestrate::Waits;
use crate::orchestrate::drill::{self, Choice, Here, Hook, Made, Options, Report, What};
use crate::snapshot::{InstanceId, SnapshotId, Tag, VolumeId};
use std::path::PathBuf;

/// Restore snapshots to volumes, verify those here, take them away again
///
/// Makes a volume of each snapshot, attaches it to this instance, sets its device read-only, holds every chosen block
/// against the snapshot, detaches and deletes the volume. --dry-run shows all of it beforehand. Whatever ends the
/// program, icecore resume RUN or icecore cleanup ends the run: what it makes is tagged, and in its journal.
#[derive(Debug, clap::Args)]
#[group(id = "which", multiple = false)]
pub(crate) struct Args {
    /// The snapshots
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<SnapshotId>,

    /// The newest snapshot that can be read of this volume
    #[arg(long, requires = "volume", conflicts_with_all = ["snapshots", "tag", "random"])]
    latest: bool,

    /// The volume that --latest is about
    #[arg(long, value_name = "VOLUME", requires = "latest")]
    volume: Option<VolumeId>,

    /// All snapshots with this tag; repeat to ask for several at once
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "snapshots")]
    tag: Vec<Tag>,

    /// Of each volume, only the newest of them
    #[arg(long, requires = "tag")]
    latest_per_volume: bool,

    /// One of them, or of all, drawn at random; --seed draws the same again
    #[arg(long, conflicts_with_all = ["snapshots", "latest_per_volume"])]
    random: bool,

    /// Verify this volume, which was restored before: it is neither made nor deleted
    #[arg(long, value_name = "VOLUME", conflicts_with_all = ["latest", "tag", "random"])]
    restored_volume: Option<VolumeId>,

    /// AWS Backup's restore job: say what to tell it of the outcome
    #[arg(long, value_name = "JOB", requires = "restored_volume")]
    restore_job: Option<String>,

    /// Drills at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=25))]
    at_once: u64,

    /// Who drills, for the tags; by default USER
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,

    /// When the run is surely over: from then on anybody's cleanup takes away what it left
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    expires: Span,

    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    there: There,

    #[command(flatten)]
    volumes: Volumes,

    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    evidence: KeepArgs,

    /// How deep to verify: 4, the restored volume, or 5, its file systems as well
    #[arg(long, value_name = "LEVEL", value_parser = depth, help_heading = "Goals")]
    level: Option<Level>,

    /// With --level 5: pass although this partition cannot be looked at, as 2, or disk where there are no partitions; repeat
    /// for several
    #[arg(long, value_name = "PARTITION", requires = "level", help_heading = "Goals")]
    allow_unchecked: Vec<PartitionName>,

    /// Once verified, mount its ext2 to ext4 and XFS, read-only and without replaying journals; refused where anything of
    /// its UUIDs is in use here
    #[arg(long, help_heading = "Goals")]
    mount: bool,

    /// Once verified, run this in a shell; ICECORE_DEVICE, ICECORE_VOLUME and ICECORE_SNAPSHOT are set, with --mount
    /// ICECORE_MOUNT as well: the file system, or in it p1, p2, .. for those of partitions. It has to end with 0
    #[arg(long, value_name = "COMMAND", help_heading = "Goals")]
    hook: Option<String>,

    /// How long the hook may take
    #[arg(long, value_name = "SPAN", default_value = "10m", requires = "hook", help_heading = "Goals")]
    hook_timeout: Span,

    /// Give the hook the AWS credentials in this program's environment
    #[arg(long, requires = "hook", help_heading = "Goals")]
    hook_credentials: bool,

    /// Make it fast first: read all allocated blocks, or so many of the hottest; counts as part of the restore
    #[arg(long, value_name = "all|BLOCKS", value_parser = amount, help_heading = "Goals")]
    warm: Option<Amount>,

    /// Fail where it takes longer until a volume can be read, as in 15m
    #[arg(long, value_name = "SPAN", conflicts_with = "restored_volume", help_heading = "Goals")]
    rto: Option<Span>,

    /// Fail where a snapshot is older, as in 24h
    #[arg(long, value_name = "SPAN", help_heading = "Goals")]
    rpo: Option<Span>,
}

/// Where volumes are attached.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Where volumes are attached")]
pub(crate) struct There {
    /// This instance; by default the instance metadata service says, or the store of --local
    #[arg(long, value_name = "INSTANCE")]
    instance: Option<InstanceId>,

    /// Its Availability Zone; by default whoever says which instance it is, or EC2
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,

    /// Where devices of attached volumes appear by their ids; by default /dev/disk/by-id, or the store of --local
    #[arg(long, value_name = "DIR")]
    devices: Option<PathBuf>,
}

/// What volumes are made like.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "What volumes are made like")]
struct Volumes {
    /// Their type
    #[arg(long, value_name = "TYPE", default_value = "gp3", value_parser = kind)]
    volume_type: VolumeKind,

    /// I/O operations a second; by default the type's own
    #[arg(long, value_name = "N")]
    iops: Option<u32>,

    /// MiB a second, gp3 only; by default its own
    #[arg(long, value_name = "N")]
    throughput: Option<u32>,

    /// MiB a second at which AWS fetches the data, 100 to 300; paid for by the GiB
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=300))]
    initialization_rate: Option<u32>,

    /// Encrypt them with this key; by default as the snapshot is
    #[arg(long, value_name = "KEY")]
    kms_key_id: Option<String>,

    /// Tag them with this as well; repeat for several
    #[arg(long, value_name = "KEY=VALUE")]
    add_tag: Vec<Tag>,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let what = args.what(cx)?;
    let keeper = args.evidence.open("drill")?;
    let key = args.evidence.key()?;
    // A rehearsal shows a plan, a run its report; what cannot be shown is refused before either.
    let (plan, output) = match args.dry_run {
        true => (Some(cx.output()?), None),
        false => (None, Some(cx.output()?)),
    };
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let place = open::open(cx, access).await?;
    let here = args.there.resolve(&place, cx).await?;
    let mut options = args.options(what, here, cx);
    options.verify.sign_key = key;
    let ready = drill::prepare(options, &place.services, &place.engine).await?;
    if let Some(plan) = plan {
        plan.show(&ready.plan())?;
        return Ok(Exit::Clean);
    }
    let mut report = ready.run().await?;
    kept(keeper.as_ref(), &mut report, cx).await;
    let exit = exit_of(&report, cx);
    if let Some(output) = output {
        output.show(&report)?;
    }
    if let (Some(job), Some(drill)) = (&args.restore_job, report.drills.first()) {
        told(job, drill, cx);
    }
    Ok(exit)
}

impl Args {
    /// Whether only the plan is shown.
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.dry_run
    }

    fn what(&self, cx: &Context) -> Result<What, Complaint> {
        if !self.allow_unchecked.is_empty() && self.level != Some(Level::FileSystem) {
            return Err(Complaint::Usage("--allow-unchecked is about --level 5".to_owned()));
        }
        if let Some(volume) = &self.restored_volume {
            return match &self.snapshots[..] {
                [] => Ok(What::Restored { volume: volume.clone(), snapshot: None }),
                [snapshot] => Ok(What::Restored { volume: volume.clone(), snapshot: Some(snapshot.clone()) }),
                _ => Err(Complaint::Usage("a restored volume is held against one snapshot".to_owned())),
            };
        }
        let choice = if let Some(volume) = &self.volume {
            Choice::Latest(volume.clone())
        } else if self.random {
            let seed = self.selection.seed().map_or_else(|| fresh_seed(cx), Ok)?;
            Choice::Random { seed, tags: self.tag.clone() }
        } else if !self.tag.is_empty() {
            Choice::Tagged { tags: self.tag.clone(), latest_per_volume: self.latest_per_volume }
        } else if !self.snapshots.is_empty() {
            Choice::Named(self.snapshots.clone())
        } else {
            let what =
                "no snapshot is given; name some, or ask for --latest, --tag, --random or --restored-volume";
            return Err(Complaint::Usage(what.to_owned()));
        };
        Ok(What::Snapshots(choice))
    }

    fn options(&self, what: What, here: Here, cx: &Context) -> Options {
        let verify = ops_verify::Options::of(ops_verify::What::Manifest(PathBuf::new()));
        let verify = ops_verify::Options {
            max_usd: cx.global().max_usd,
            level: self.level.filter(|level| *level == Level::FileSystem),
            allow_unchecked: self.allow_unchecked.clone(),
            ..self.selection.within(verify)
        };
        let volumes = self.volumes.clone();
        Options {
            made: Made {
                kind: volumes.volume_type,
                iops: volumes.iops,
                throughput: volumes.throughput,
                initialization_rate: volumes.initialization_rate,
                kms_key_id: volumes.kms_key_id,
                tags: volumes.add_tag.into_iter().map(|tag| (tag.key, tag.value)).collect(),
            },
            verify,
            warm: self.warm,
            mount: self.mount,
            hook: self.hook.clone().map(|command| Hook {
                command,
                timeout: self.hook_timeout.0,
                gets_credentials: self.hook_credentials,
            }),
            rto: self.rto.map(|span| span.0),
            rpo: self.rpo.map(|span| span.0),
            at_once: usize::try_from(self.at_once).unwrap_or(usize::MAX),
            owner: self.owner.clone().unwrap_or_else(settings::user),
            lifetime: self.expires.0,
            waits: Waits::default(),
            run: cx.run_id().and_then(|id| id.parse().ok()),
            ..Options::of(what, here)
        }
    }
}

impl There {
    /// The instance that this is, and where its devices are.
    async fn resolve(&self, place: &Opened, cx: &Context) -> Result<Here, Complaint> {
        let (instance, zone) = match (self.instance.clone(), &place.local) {
            (Some(instance), _) => (instance, None),
            // A store has no metadata service: its first instance is this machine.
            (None, Some(_)) => (first_instance(place).await?, None),
            (None, None) => {
                let this = settings::this_instance(cx.stop()).await?;
                (this.id, Some(this.zone))
            }
        };
        let devices = match (self.devices.clone(), &place.local) {
            (Some(devices), _) => devices,
            (None, Some(store)) => store.join("devices").join(instance.as_str()),
            (None, None) => PathBuf::from(crate::device::BY_ID),
        };
        Ok(Here { instance, zone: self.zone.clone().or(zone), devices })
    }
}

async fn first_instance(place: &Opened) -> Result<InstanceId, Complaint> {
    let Some(control) = &place.services.control else {
        return Err(Fault::new(Kind::Refused, Place::Program, "this build cannot ask EC2 for instances")
            .hint("build icecore with its feature ec2, which is on by default")
            .into());
    };
    let found = control.instances.instances(&InstanceQuery::default()).await?;
    let first = found.into_iter().find(|instance| instance.takes_volumes()).map(|instance| instance.id);
    first.ok_or_else(|| Complaint::Usage("the store has no instance to attach volumes to".to_owned()))
}

fn depth(text: &str) -> Result<Level, String> {
    match text.parse() {
        Ok(level @ (Level::Restored | Level::FileSystem)) => Ok(level),
        _ => Err("expected 4 (restored) or 5 (file-system): a drill verifies a restored volume".to_owned()),
    }
}

fn amount(text: &str) -> Result<Amount, String> {
    match (text, text.parse()) {
        ("all", _) => Ok(Amount::All),
        (_, Ok(blocks @ 1..)) => Ok(Amount::Hottest(blocks)),
        _ => Err("expected all, or a number of blocks from 1 on".to_owned()),
    }
}

fn kind(text: &str) -> Result<VolumeKind, String> {
    match VolumeKind::from(text) {
        VolumeKind::Other(_) => Err("expected gp2, gp3, io1, io2, st1, sc1 or standard".to_owned()),
        kind => Ok(kind),
    }
}

fn fresh_seed(cx: &Context) -> Result<u64, Fault> {
    let seed = ops::seed()?;
    cx.note(format!("--seed {seed} draws the same snapshot again"));
    Ok(seed)
}

/// Keeps the report as evidence, where that is asked for. What was to be evidence and is none was not drilled.
pub(crate) async fn kept(keeper: Option<&Keeper>, report: &mut Report, cx: &Context) {
    if let Err(complaint) = keep(keeper, report, &[], cx).await {
        complaint.say();
        let exception = complaint.to_exception();
        report.drills.iter_mut().for_each(|drill| drill.exceptions.push(exception.clone()));
    }
}

/// How a run of drills ends the program.
pub(crate) fn exit_of(report: &Report, cx: &Context) -> Exit {
    let exits = report.drills.iter().flat_map(|drill| {
        let verified = drill.verified.iter().flat_map(|found| &found.exceptions);
        let exceptions = drill.exceptions.iter().chain(verified).map(|one| exit_of_exception(one, cx));
        exceptions.chain([exit_of_state(drill.state())])
    });
    exits.fold(Exit::Clean, Exit::worst)
}

/// The command that tells AWS Backup.
fn told(job: &str, drill: &drill::Drill, cx: &Context) {
    let validation = drill.validation();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    cx.note(format!(
        "aws backup put-restore-validation-result --restore-job-id {} --validation-status {} \
         --validation-status-message {}",
        quoted(job),
        validation.status,
        quoted(&validation.message)
    ));
}

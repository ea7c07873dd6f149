//! Restore tests: a volume from a snapshot, attached here, read and held against the snapshot, and taken away again.
//!
//! ```text
//! create -> attach -> device -> protect -> warm -> verify -> mount -> hook -> (mount) -> (attach) -> (create)
//! ```
//!
//! What stands in brackets is undone. Several snapshots are drilled side by side; one that fails stops no other. A
//! volume that AWS Backup restored goes the same way, but is neither made nor deleted here: it is tagged first, since
//! an attachment has no tags of its own.

mod attach;
mod choose;
mod create;
mod device;
mod hook;
mod mount;
mod options;
mod order;
mod report;
mod sign;
mod verify;
mod warm;

pub use choose::Choice;
pub(super) use mount::all_unmounted;
pub use options::{Here, Hook, Made, Options, What};
pub use report::{Drill, Goal, Hooked, Missed, Mounted, Report, Validation};

use crate::block::{BlockSize, ByteSize, GiB};
use crate::control::{Known, SnapshotQuery};
use crate::cost::Usd;
use crate::disk::Machine;
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, SystemClock};
use crate::ops::verify::{Exception, readable};
use crate::ops::{Engine, Services, list};
use crate::orchestrate::desk::{Desk, Waits, at_instance};
use crate::orchestrate::journal::{Journal, Past};
use crate::orchestrate::mark::{Mark, RunId};
use crate::orchestrate::plan::{Part, Plan};
use crate::orchestrate::step::{Facts, Step, walk};
use crate::snapshot::{InstanceId, SnapshotId, SnapshotInfo, UnixMillis, VolumeId};
use attach::Names;
use futures_util::stream::{self, StreamExt};
use order::Order;
use report::Seen;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A drill that is ready to be begun: what it is of is known, nothing has been done for it.
#[derive(Debug)]
#[must_use]
pub struct Ready {
    shop: Arc<Shop>,
    subjects: Vec<Subject>,
    zone: String,
}

/// What all drills of a run have in common.
#[derive(Debug)]
struct Shop {
    options: Options,
    mark: Mark,
    services: Services,
    engine: Engine,
    desk: Desk,
    /// The same, for clearing away.
    undoing: Desk,
    names: Names,
}

/// What one drill is of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subject {
    snapshot: SnapshotId,
    /// The size of its volume; `None` where nobody tells.
    size: Option<GiB>,
    /// What it holds; `None` where nobody tells.
    full_size: Option<ByteSize>,
    /// When it was taken; `None` where nobody tells.
    taken: Option<UnixMillis>,
    way: Way,
    /// Whether it is the newest of its volume and failed: then it is not drilled, and a finding.
    is_newest_in_error: bool,
    /// What is known beforehand that is to be said, in whole sentences.
    notes: Vec<String>,
}

/// How a drill goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// A volume is made of the snapshot.
    Made,
    /// A volume that somebody restored has to hold what the snapshot does.
    Restored {
        volume: VolumeId,
        is_encrypted: bool,
        /// Somebody attached it to this instance: then it stays so.
        is_here: bool,
    },
    /// Not at all: nothing can be made of the snapshot.
    Unfit(Exception),
}

/// Looks up what is to be drilled and where. Changes nothing.
///
/// # Errors
/// What keeps every drill from being begun; a snapshot that cannot be drilled fails alone.
pub async fn prepare(options: Options, services: &Services, engine: &Engine) -> Result<Ready, Fault> {
    let run = options.run.clone().map_or_else(RunId::random, Ok)?;
    let lifetime = i64::try_from(options.lifetime.as_millis()).unwrap_or(i64::MAX);
    let expires = SystemClock.now().plus_millis(lifetime);
    let mark = Mark { run, owner: options.owner.clone(), expires };
    let shop = Shop::open(options, mark, services, engine)?;
    let subjects = match &shop.options.what {
        What::Snapshots(choice) => choose::chosen(choice, services, engine).await?,
        What::Restored { volume, snapshot } => {
            vec![
                restored(&shop.desk, &shop.options.here.instance, volume, snapshot.clone(), services, engine)
                    .await?,
            ]
        }
    };
    if subjects.is_empty() {
        let what = "no snapshot is as asked for";
        return Err(Fault::new(Kind::NotFound, Place::Service, what).hint("icecore list shows what there is"));
    }
    let zone = shop.zone().await?;
    Ok(Ready { shop: Arc::new(shop), subjects, zone })
}

impl Ready {
    /// What is going to be done.
    pub fn plan(&self) -> Plan {
        let part = |(subject, part): (&Subject, u32)| {
            let steps = self.shop.steps(part, subject, &self.zone, &Past::default(), &Arc::default());
            let unfit = match &subject.way {
                Way::Unfit(why) => Some(why.what.clone()),
                Way::Made | Way::Restored { .. } => None,
            };
            Part::of(subject.name(), &steps, unfit)
        };
        Plan {
            parts: self.subjects.iter().zip(0..).map(part).collect(),
            at_once: self.shop.options.at_once.max(1),
            is_free: self.shop.services.max_usd.is_none(),
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// `Refused` where it would cost more than allowed, `Local` where no journal can be written: nothing has been done
    /// then. Everything else is in the report.
    pub async fn run(self) -> Result<Report, Fault> {
        allowed(self.plan().usd(), self.shop.services.max_usd)?;
        let Self { shop, subjects, zone } = self;
        let order = Order::of(&shop, &subjects, &zone);
        let journal = Journal::begin(shop.engine.machine(), &shop.mark.run, &order)?;
        shop.engine.note(format!(
            "{}: icecore resume or icecore cleanup ends it, should this process die",
            shop.mark.run
        ));
        worked(shop, subjects, zone, journal, Past::default()).await
    }
}

/// Goes on with a run whose process died.
pub(super) async fn resumed(
    run: &RunId,
    services: &Services,
    engine: &Engine,
    waits: Waits,
) -> Result<Report, Fault> {
    let (journal, order, past) = Journal::take::<Order>(engine.machine(), run)?;
    order.is_of(&services.label)?;
    let (options, mark, subjects, zone) = order.again(run, waits)?;
    let shop = Shop::open(options, mark, services, engine)?;
    worked(Arc::new(shop), subjects, zone, journal, past).await
}

/// Takes over the journal of a run that died, if it was begun at this place.
pub(super) fn journal(run: &RunId, machine: &Machine, services: &Services) -> Result<(Journal, Past), Fault> {
    let (journal, order, past) = Journal::take::<Order>(machine, run)?;
    order.is_of(&services.label)?;
    Ok((journal, past))
}

/// Walks every drill, several at once, and ends the journal where nothing is left.
async fn worked(
    shop: Arc<Shop>,
    subjects: Vec<Subject>,
    zone: String,
    journal: Journal,
    past: Past,
) -> Result<Report, Fault> {
    let (start, started) = (Instant::now(), past.begun.unwrap_or_else(|| SystemClock.now()));
    let at_once = shop.options.at_once.max(1);
    let work = subjects.iter().zip(0..).map(|(subject, part)| {
        let (shop, zone, journal, past) = (&shop, &zone, &journal, &past);
        async move {
            let seen = Arc::<Seen>::default();
            if let Way::Unfit(_) = subject.way {
                return Drill::unfit(subject, started);
            }
            let steps = shop.steps(part, subject, zone, past, &seen);
            let walked =
                walk(part, &steps, subject.facts(), past, journal, shop.engine.monitor.as_ref()).await;
            Drill::of(subject, walked, &seen, &shop.options, started, past.begun.is_some())
        }
    });
    let drills: Vec<Drill> = stream::iter(work).buffered(at_once).collect().await;
    if drills.iter().all(|drill| drill.left().next().is_none()) {
        journal.remove()?;
    }
    let made: Vec<VolumeId> = drills
        .iter()
        .filter(|drill| drill.is_deleted())
        .filter_map(|drill| drill.volume_id.clone())
        .collect();
    let binned = if made.is_empty() { Known::Known(Vec::new()) } else { shop.undoing.binned(&made).await };
    Ok(Report {
        binned,
        run: shop.mark.run.clone(),
        place: shop.services.label.clone(),
        instance: shop.options.here.instance.clone(),
        rto: shop.options.rto,
        rpo: shop.options.rpo,
        started,
        ended: SystemClock.now(),
        elapsed: start.elapsed(),
        drills,
        requests: shop.engine.requests(),
    })
}

fn allowed(usd: Usd, max: Option<Usd>) -> Result<(), Fault> {
    match max {
        Some(max) if usd > max => {
            let what = format!("it may take {usd}, more than {max}");
            Err(Fault::new(Kind::Refused, Place::Program, what)
                .hint("see --dry-run, and raise --max-usd if that is intended"))
        }
        _ => Ok(()),
    }
}

/// A restored volume and what it has to hold.
async fn restored(
    desk: &Desk,
    here: &InstanceId,
    id: &VolumeId,
    snapshot: Option<SnapshotId>,
    services: &Services,
    engine: &Engine,
) -> Result<Subject, Fault> {
    let at = || Place::Volume(id.clone());
    let Some(volume) = desk.volume(id).await? else {
        return Err(
            Fault::new(Kind::NotFound, at(), "there is no such volume").hint("check the id and the Region")
        );
    };
    let Some(snapshot) = snapshot.or_else(|| volume.snapshot.clone()) else {
        let what = "EC2 does not tell which snapshot it was made of";
        return Err(Fault::new(Kind::Refused, at(), what).hint("name the snapshot it has to hold"));
    };
    // Its facts are welcome; that it cannot be read is found out by reading it.
    let query = SnapshotQuery::one(&snapshot);
    let found =
        list::run(&query, services, engine).await.ok().and_then(|found| found.snapshots.into_iter().next());
    let way = Way::Restored {
        volume: id.clone(),
        is_encrypted: volume.encrypted,
        is_here: at_instance(&volume, here).is_some(),
    };
    Ok(match found {
        Some(row) => Subject { way, ..Subject::of(row.info) },
        None => Subject { way, ..Subject::bare(snapshot) },
    })
}

impl Subject {
    /// A snapshot, if it can be drilled.
    fn of(info: SnapshotInfo) -> Self {
        let way = readable(&info).map_or_else(|fault| Way::Unfit(Exception::from(&fault)), |()| Way::Made);
        Self {
            size: Some(info.volume_size),
            full_size: info.full_size,
            taken: Some(info.start_time),
            way,
            ..Self::bare(info.id)
        }
    }

    /// A snapshot of which nothing is known but that it cannot be drilled.
    fn unfit(snapshot: SnapshotId, why: Exception) -> Self {
        Self { way: Way::Unfit(why), ..Self::bare(snapshot) }
    }

    /// A snapshot of which nothing is known.
    fn bare(snapshot: SnapshotId) -> Self {
        Self {
            snapshot,
            size: None,
            full_size: None,
            taken: None,
            way: Way::Made,
            is_newest_in_error: false,
            notes: Vec::new(),
        }
    }

    /// Blocks that it has, at most.
    fn blocks(&self) -> Option<u64> {
        let bytes = self.full_size.map(ByteSize::bytes).or_else(|| Some(u64::from(self.size?.get()) << 30));
        bytes.map(|bytes| bytes.div_ceil(u64::from(BlockSize::EBS.bytes())))
    }

    /// What is known before the first step.
    fn facts(&self) -> Facts {
        let mut facts = Facts::from([("snapshot".to_owned(), self.snapshot.to_string())]);
        if let Way::Restored { volume, .. } = &self.way {
            facts.insert("volume".to_owned(), volume.to_string());
        }
        facts
    }

    fn name(&self) -> String {
        match &self.way {
            Way::Restored { volume, .. } => volume.to_string(),
            Way::Made | Way::Unfit(_) => self.snapshot.to_string(),
        }
    }
}

impl Shop {
    fn open(options: Options, mark: Mark, services: &Services, engine: &Engine) -> Result<Self, Fault> {
        let Some(control) = services.control.clone() else {
            return Err(Fault::new(Kind::Refused, Place::Program, "this build cannot ask EC2 for volumes")
                .hint("build icecore with its feature ec2, which is on by default"));
        };
        let desk = Desk::new(control, engine.clone(), options.waits);
        let undoing = desk.undoing();
        let (services, engine) = (services.clone(), engine.clone());
        Ok(Self { options, mark, services, engine, desk, undoing, names: Names::default() })
    }

    /// The zone in which volumes are made.
    async fn zone(&self) -> Result<String, Fault> {
        let here = &self.options.here;
        if let Some(zone) = &here.zone {
            return Ok(zone.clone());
        }
        let instance = self.desk.instance(&here.instance).await?;
        if !instance.takes_volumes() {
            let what = format!("{} is {}: volumes cannot be attached to it", instance.id, instance.state);
            return Err(Fault::new(Kind::Refused, Place::Service, what));
        }
        Ok(instance.zone)
    }

    /// The steps of one drill.
    fn steps(
        self: &Arc<Self>,
        part: u32,
        subject: &Subject,
        zone: &str,
        past: &Past,
        seen: &Arc<Seen>,
    ) -> Vec<Box<dyn Step>> {
        let mut steps: Vec<Box<dyn Step>> = Vec::new();
        match &subject.way {
            Way::Unfit(_) => return steps,
            Way::Made => {
                let asked = past.begun_at(part, "create");
                steps.push(Box::new(create::Create::new(self, part, subject, zone, asked)));
                steps.push(Box::new(attach::Attach::new(self, subject)));
            }
            Way::Restored { is_here: true, .. } => {}
            Way::Restored { volume, .. } => {
                steps.push(Box::new(sign::Sign::new(self, part, volume)));
                steps.push(Box::new(attach::Attach::new(self, subject)));
            }
        }
        steps.push(Box::new(device::Find::new(self)));
        steps.push(Box::new(device::Protect::new(self, seen)));
        if let Some(amount) = self.options.warm {
            steps.push(Box::new(warm::Warm::new(self, subject, amount, seen)));
        }
        steps.push(Box::new(verify::Verify::new(self, subject, seen)));
        if self.options.mount {
            steps.push(Box::new(mount::Mount::new(self, part, seen)));
        }
        if let Some(hook) = &self.options.hook {
            steps.push(Box::new(hook::Run::new(self, hook, seen)));
        }
        steps
    }
}

/// The volume that the steps before found or made.
fn volume_of(facts: &Facts) -> Result<VolumeId, Fault> {
    let id = facts.get("volume").and_then(|id| id.parse().ok());
    id.ok_or_else(|| Fault::new(Kind::Local, Place::Program, "no volume is known to this drill"))
}

/// The device that the steps before found.
fn device_of(facts: &Facts) -> Result<PathBuf, Fault> {
    let path = facts.get("device").map(PathBuf::from);
    path.ok_or_else(|| Fault::new(Kind::Local, Place::Program, "no device is known to this drill"))
}

/// How long ago, as far as the clocks agree.
pub(super) fn age(then: UnixMillis, now: UnixMillis) -> Duration {
    Duration::from_millis(u64::try_from(now.0.saturating_sub(then.0)).unwrap_or_default())
}

//! Taking away what dead runs left, found by their journals and by their tags.
//!
//! A run is dead when nobody holds the lock of its journal here; of a run without a journal here only its tags tell:
//! it is taken to be over when its expiry has passed, or when what it made is older than asked for. What a run made is
//! deleted; what it only attached is detached and keeps everything but the run's tags.

use crate::estate::Volume;
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, SystemClock};
use crate::ops::verify::Exception;
use crate::ops::{Engine, Services};
use crate::orchestrate::desk::{Desk, Waits};
use crate::orchestrate::drill;
use crate::orchestrate::journal::{Journal, Past};
use crate::orchestrate::mark::{KEYS, Purpose, RunId, Signed};
use crate::pipeline::Requests;
use crate::snapshot::{SnapshotId, UnixMillis, VolumeId};
use futures_util::stream::{self, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// What to take away.
#[derive(Clone, Debug)]
pub struct Options {
    /// What was made longer ago than this, by runs of other machines as well; `None` waits for their expiry.
    pub older_than: Option<Duration>,
    /// Only look.
    pub dry_run: bool,
    /// How long states are waited for.
    pub waits: Waits,
}

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The journal of a dead run names it, or its run.
    Journal,
    /// Its tags say that it is over.
    Tags,
}

/// What was done about something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A volume that a run made was deleted, or would be.
    Deleted,
    /// A volume that a run attached was detached, or would be.
    Detached,
    /// It is not over yet, as far as anybody can tell: when it will be, where its tags say.
    Spared(Option<UnixMillis>),
    /// It could not be taken away.
    Left(Exception),
}

/// Something that a run left.
#[derive(Clone, Debug)]
pub struct Item {
    /// The volume.
    pub volume_id: VolumeId,
    /// The run.
    pub run: RunId,
    /// Who began it; empty where nobody tells.
    pub owner: String,
    /// What it was made of.
    pub snapshot_id: Option<SnapshotId>,
    /// When it was made; `None` where nobody tells.
    pub made: Option<UnixMillis>,
    /// How it was found.
    pub found: Found,
    /// What was done about it.
    pub done: Done,
}

/// What `icecore cleanup` found and did.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// Where.
    pub place: String,
    /// Whether it only looked.
    pub dry_run: bool,
    /// What there was.
    pub items: Vec<Item>,
    /// Runs that are at work, and are left alone.
    pub at_work: Vec<RunId>,
    /// Runs whose journals were ended.
    pub ended: Vec<RunId>,
    /// Journals of other places, and what could not be read.
    pub exceptions: Vec<Exception>,
    /// What was asked.
    pub requests: Requests,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    /// Whether nothing is left that is over.
    pub fn is_clean(&self) -> bool {
        self.exceptions.is_empty() && !self.items.iter().any(|item| matches!(item.done, Done::Left(_)))
    }
}

/// What is known of a dead run of this machine.
struct Dead {
    journal: Journal,
    past: Past,
}

/// Looks for what dead runs left and takes it away.
pub async fn run(options: &Options, services: &Services, engine: &Engine) -> Result<Report, Fault> {
    let start = Instant::now();
    let Some(control) = services.control.clone() else {
        return Err(Fault::new(Kind::Refused, Place::Program, "this build cannot ask EC2 for volumes")
            .hint("build icecore with its feature ec2, which is on by default"));
    };
    let desk = Desk::new(control, engine.clone(), options.waits);
    let now = SystemClock.now();
    let mut report = Report {
        place: services.label.clone(),
        dry_run: options.dry_run,
        items: Vec::new(),
        at_work: Vec::new(),
        ended: Vec::new(),
        exceptions: Vec::new(),
        requests: Requests::default(),
        elapsed: Duration::ZERO,
    };
    let mut dead = dead(options, services, engine, now, &mut report)?;
    let mut found = BTreeMap::new();
    if !options.dry_run {
        for volume in on_their_way(&dead, &desk, engine).await? {
            found.insert(volume.id.clone(), volume);
        }
    }
    for purpose in [Purpose::Volume, Purpose::Attachment] {
        for volume in desk.signed(purpose).await? {
            found.insert(volume.id.clone(), volume);
        }
    }
    let mut doomed = Vec::new();
    for volume in found.values() {
        let Some(signed) = Signed::on(volume) else { continue };
        if report.at_work.contains(&signed.run) {
            continue;
        }
        let by = if dead.contains_key(&signed.run) { Found::Journal } else { Found::Tags };
        doomed.push((item(volume, &signed, by, options.older_than, now), signed.purpose));
    }
    for (run, Dead { past, .. }) in &dead {
        for id in made_by(past).difference(&found.keys().cloned().collect()) {
            // Its tags are gone, or not seen: the journal knows that the run made it.
            if let Some(volume) = desk.volume(id).await? {
                doomed.push((by_journal(&volume, run), Purpose::Volume));
            }
        }
    }
    let pinned = match options.dry_run {
        true => BTreeMap::new(),
        false => {
            let over = doomed.iter().filter(|(item, _)| !matches!(item.done, Done::Spared(_)));
            unmounted(dead.keys().chain(over.map(|(item, _)| &item.run)), engine, &mut report).await
        }
    };
    let work = doomed.into_iter().map(|(mut item, purpose)| {
        let (desk, pinned) = (&desk, &pinned);
        async move {
            if options.dry_run || matches!(item.done, Done::Spared(_)) {
                return item;
            }
            if let Some(why) = pinned.get(&item.run) {
                item.done = Done::Left(why.clone());
                return item;
            }
            if let Err(fault) = taken_away(desk, &item.volume_id, purpose).await {
                item.done = Done::Left(Exception::from(&fault));
            }
            item
        }
    });
    report.items = stream::iter(work).buffered(AT_ONCE).collect().await;
    if !options.dry_run {
        let is_left = |run: &RunId| {
            let is_left = |item: &Item| item.run == *run && matches!(item.done, Done::Left(_));
            pinned.contains_key(run) || report.items.iter().any(is_left)
        };
        let over: Vec<RunId> = dead.keys().filter(|run| !is_left(run)).cloned().collect();
        for run in over {
            if let Some(Dead { journal, .. }) = dead.remove(&run) {
                journal.remove()?;
                report.ended.push(run);
            }
        }
    }
    (report.requests, report.elapsed) = (engine.requests(), start.elapsed());
    Ok(report)
}

/// Unmounts what these runs have mounted on this machine; gives those of which something stays mounted, and why.
async fn unmounted(
    runs: impl Iterator<Item = &RunId>,
    engine: &Engine,
    report: &mut Report,
) -> BTreeMap<RunId, Exception> {
    let mut pinned = BTreeMap::new();
    for run in runs.collect::<BTreeSet<_>>() {
        if let Err(fault) = drill::all_unmounted(engine.machine(), run).await {
            let why = Exception::from(&fault);
            report.exceptions.push(why.clone());
            pinned.insert(run.clone(), why);
        }
    }
    pinned
}

/// Volumes worked on at once.
const AT_ONCE: usize = 8;

/// The runs that died on this machine and worked at this place.
fn dead(
    options: &Options,
    services: &Services,
    engine: &Engine,
    now: UnixMillis,
    report: &mut Report,
) -> Result<BTreeMap<RunId, Dead>, Fault> {
    let mut dead = BTreeMap::new();
    for run in Journal::runs(engine.machine())? {
        match drill::journal(&run, engine.machine(), services) {
            Ok((journal, past)) => {
                let is_young = past.begun.is_some_and(|begun| !is_older(begun, options.older_than, now));
                if is_young {
                    continue;
                }
                dead.insert(run, Dead { journal, past });
            }
            Err(fault) if fault.kind == Kind::Unsuitable && fault.what().contains(Journal::AT_WORK) => {
                report.at_work.push(run);
            }
            Err(fault) if fault.kind == Kind::Refused => {
                engine.note(format!("{run} is left alone: {}", fault.what()));
            }
            Err(fault) => report.exceptions.push(Exception::from(&fault)),
        }
    }
    Ok(dead)
}

fn is_older(then: UnixMillis, than: Option<Duration>, now: UnixMillis) -> bool {
    than.is_none_or(|than| drill::age(then, now) >= than)
}

/// The volumes that dead runs had asked for when they died, without hearing of them. What was asked for a moment ago
/// may come yet, after the journal that knows of it is gone: so it is waited for.
async fn on_their_way(
    dead: &BTreeMap<RunId, Dead>,
    desk: &Desk,
    engine: &Engine,
) -> Result<Vec<Volume>, Fault> {
    let mut found = Vec::new();
    for (run, Dead { past, .. }) in dead {
        let unheard = |part: &u32| !past.is_done(*part, "create") && !past.is_undone(*part, "create");
        for part in past.parts().into_iter().filter(unheard) {
            let Some(asked) = past.begun_at(part, "create") else { continue };
            if desk.is_new(Some(asked)) {
                engine.note(format!("{run} died a moment ago: waiting for a volume that may still come"));
            }
            found.extend(desk.made(run, part, Some(asked)).await?);
        }
    }
    Ok(found)
}

/// The volumes that a run wrote down as made.
fn made_by(past: &Past) -> BTreeSet<VolumeId> {
    let made = past.parts().into_iter().filter(|part| past.is_done(*part, "create"));
    made.filter_map(|part| past.facts(part).get("volume")?.parse().ok()).collect()
}

fn item(
    volume: &Volume,
    signed: &Signed,
    found: Found,
    older_than: Option<Duration>,
    now: UnixMillis,
) -> Item {
    let is_over = match (found, older_than) {
        (Found::Journal, _) => true,
        (Found::Tags, None) => signed.expires.is_some_and(|expires| expires <= now),
        // Without a time of its making nobody knows how old it is; its expiry may tell.
        (Found::Tags, Some(_)) => match volume.created {
            Some(created) => is_older(created, older_than, now),
            None => signed.expires.is_some_and(|expires| expires <= now),
        },
    };
    let done = match (is_over, signed.purpose) {
        (false, _) => Done::Spared(signed.expires),
        (true, Purpose::Volume) => Done::Deleted,
        (true, Purpose::Attachment) => Done::Detached,
    };
    Item {
        volume_id: volume.id.clone(),
        run: signed.run.clone(),
        owner: signed.owner.clone(),
        snapshot_id: volume.snapshot.clone(),
        made: volume.created,
        found,
        done,
    }
}

fn by_journal(volume: &Volume, run: &RunId) -> Item {
    Item {
        volume_id: volume.id.clone(),
        run: run.clone(),
        owner: String::new(),
        snapshot_id: volume.snapshot.clone(),
        made: volume.created,
        found: Found::Journal,
        done: Done::Deleted,
    }
}

async fn taken_away(desk: &Desk, id: &VolumeId, purpose: Purpose) -> Result<(), Fault> {
    match purpose {
        Purpose::Volume => desk.delete(id, None).await,
        Purpose::Attachment => {
            let volume = desk.volume(id).await?;
            for attachment in volume.iter().flat_map(|volume| &volume.attachments) {
                if let Some(instance) = &attachment.instance {
                    desk.detach(id, instance).await?;
                }
            }
            desk.untag(id, &KEYS.map(str::to_owned)).await
        }
    }
}

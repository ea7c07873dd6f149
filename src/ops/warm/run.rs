//! From opened volumes to their reports.

use crate::block::{BlockSet, BlockSize, ByteSize};
use crate::fault::{Fault, Kind, Place};
use crate::manifest::Draft;
use crate::monitor::{Clock, Event, SystemClock};
use crate::ops::preflight::suspended;
use crate::ops::progress::Progress;
use crate::ops::verify::{self, Against, Exception, Taken};
use crate::ops::warm::depth::{Depth, MOST, MOST_HELD};
use crate::ops::warm::order::Ranked;
use crate::ops::warm::pace::Pace;
use crate::ops::warm::proof::{self, TOUCH};
use crate::ops::warm::read::{self, Got, Orders, Source, lost};
use crate::ops::warm::schedule::Schedule;
use crate::ops::warm::target::{self, Target, initialization};
use crate::ops::warm::{Amount, Bound, Bounds, Options, Proof, Report, State, What};
use crate::ops::{Engine, Services};
use crate::pipeline::Requests;
use crate::snapshot::{UnixMillis, VolumeId};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often AWS is asked how far it is; it tells what was so up to five minutes ago.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// What became of one volume of several.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful of them, and nearly all are reports")]
pub enum Outcome {
    /// It was warmed, as far as that went.
    Done(Report),
    /// It could not be begun.
    Failed(Exception),
}

/// One volume of several.
#[derive(Debug)]
pub struct Item {
    /// What it was called: its device.
    pub name: String,
    /// Its report, or why there is none.
    pub outcome: Outcome,
}

impl Item {
    /// How it ended.
    pub fn state(&self) -> State {
        match &self.outcome {
            Outcome::Done(report) => report.state(),
            Outcome::Failed(_) => State::Incomplete,
        }
    }
}

/// What `icecore warm` did to several volumes.
#[derive(Debug)]
#[must_use]
pub struct Job {
    /// In the order in which they were given.
    pub items: Vec<Item>,
    /// When it began.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: UnixMillis,
    /// How long it took.
    pub elapsed: Duration,
}

impl Job {
    /// One that could not even be begun.
    pub fn not_begun(name: String, why: Exception) -> Self {
        let now = SystemClock.now();
        let items = vec![Item { name, outcome: Outcome::Failed(why) }];
        Self { items, started: now, ended: now, elapsed: Duration::ZERO }
    }

    /// The worst of its items; one without any has warmed nothing.
    pub fn state(&self) -> State {
        let has = |state| self.items.iter().any(|item| item.state() == state);
        match (has(State::Incomplete) || self.items.is_empty(), has(State::Partial)) {
            (true, _) => State::Incomplete,
            (false, true) => State::Partial,
            (false, false) => State::Warm,
        }
    }
}

/// Warms several volumes at once, within common bounds. One that cannot be begun, or fails, does not stop the others.
pub async fn run_all(
    options: &[Options],
    bounds: &Bounds,
    services: Option<&Services>,
    engine: &Engine,
) -> Result<Job, Fault> {
    let (start, started) = (Instant::now(), SystemClock.now());
    engine.monitor.on(Event::Stage { verb: "listing", total: None });
    let (mut items, mut targets) = (Vec::new(), Vec::new());
    for (place, options) in options.iter().enumerate() {
        let name = options.device.to_string();
        match target::open(options, services, engine).await {
            Ok(target) => targets.push((place, name, target)),
            Err(fault) => {
                items.push((place, Item { name, outcome: Outcome::Failed(Exception::from(&fault)) }));
            }
        }
    }
    let (names, targets): (Vec<_>, Vec<_>) =
        targets.into_iter().map(|(place, name, target)| ((place, name), target)).unzip();
    let reports = warmed(targets, bounds, services, engine, start).await?;
    for ((place, name), report) in names.into_iter().zip(reports) {
        items.push((place, Item { name, outcome: Outcome::Done(report) }));
    }
    items.sort_by_key(|(place, _)| *place);
    let items = items.into_iter().map(|(_, item)| item).collect();
    Ok(Job { items, started, ended: SystemClock.now(), elapsed: start.elapsed() })
}

/// Reads, proves and reports. `start` is when the run began: the deadline counts from there.
pub(super) async fn warmed(
    mut targets: Vec<Target>,
    bounds: &Bounds,
    services: Option<&Services>,
    engine: &Engine,
    start: Instant,
) -> Result<Vec<Report>, Fault> {
    let started = SystemClock.now().plus_millis(-i64::try_from(start.elapsed().as_millis()).unwrap_or(0));
    let watch = watch(&targets, services, engine);
    let end = bounds.deadline.map(|deadline| start + deadline);
    let read = read_all(&mut targets, bounds, end, engine).await?;
    let exceptions = read.fault.as_ref().map(Exception::from);
    let is_stopped = read.fault.is_some();
    let proving: Vec<_> = targets
        .iter()
        .zip(&read.lanes)
        .map(|(target, got)| (!is_stopped && target.skip.is_none()).then(|| prove(target, got, end, engine)))
        .collect();
    let mut reports = Vec::new();
    let mut progress = read.progress.into_iter();
    for ((mut target, got), proving) in targets.into_iter().zip(read.lanes).zip(proving) {
        let proof = match proving {
            Some(proving) => Some(proving.await.map_err(|_| lost())?),
            None => None,
        };
        if let Some(id) = &target.device.volume_id
            && !target.initialization.is_empty()
        {
            // What it said at first stands in the report anyway.
            let told = initialization(id, services, engine).await;
            target.initialization.extend(told.unwrap_or_default());
        }
        let mut failed = None;
        let verified = match verified(&target, &got, started, end, services, engine).await {
            Ok(verified) => verified,
            Err(fault) => {
                failed = Some(Exception::from(&fault));
                None
            }
        };
        // What only warms makes nothing of the bytes; what is held against them is checked by the verification.
        let has_gone = got.exceptions.iter().any(|exception| exception.kind == Kind::Vanished);
        if let Err(fault) = target.image.is_same()
            && !has_gone
        {
            failed = Some(Exception::from(&fault));
        }
        let ending = Ending {
            failed,
            verified,
            progress: progress.next().flatten(),
            is_late: read.is_late,
            interrupted: exceptions.clone(),
            predicted: read.predicted,
            exceeded: read.exceeded,
            reading: read.took,
            requests: engine.requests(),
            place: services.map(|services| services.label.clone()),
        };
        let mut report = ending.report(target, got, proof)?;
        (report.started, report.ended, report.elapsed) = (started, SystemClock.now(), start.elapsed());
        reports.push(report);
    }
    drop(watch);
    Ok(reports)
}

async fn read_all(
    targets: &mut [Target],
    bounds: &Bounds,
    end: Option<Instant>,
    engine: &Engine,
) -> Result<read::Read, Fault> {
    let orders: Vec<Ranked> = targets
        .iter()
        .map(|target| match target.skip {
            Some(_) => Ranked::default(),
            None => target.ranked.without(&target.resumed),
        })
        .collect();
    let resumed: u64 =
        targets.iter().map(|target| (target.ranked.all().as_ref() & &target.resumed).len()).sum();
    let planned: u64 = orders.iter().map(Ranked::len).sum();
    engine.monitor.on(Event::Stage { verb: "warming", total: Some(planned + resumed) });
    engine.monitor.on(Event::Resumed { blocks: resumed, size: BlockSize::EBS.of(resumed) });
    for target in targets.iter() {
        target.warnings.iter().for_each(|warning| {
            engine.note(format!("{}: {warning}", target.device.path.display()));
        });
    }
    let end = end.map(|end| end.saturating_duration_since(Instant::now()));
    let until = end.map(|end| proof::begins(end, None));
    let is_looked_at = targets.iter().any(|target| target.digests.is_some());
    let depth = Depth::new(bounds.depth, if is_looked_at { MOST_HELD } else { MOST });
    let schedule = Schedule::new(orders, &depth, Pace::new(bounds.rate), bounds.sharing, until);
    let sources = targets
        .iter()
        .map(|target| Source { image: target.image.clone(), digests: target.digests.clone() })
        .collect();
    let allocated = targets.iter().map(|target| target.allocated.len()).sum();
    let warm = targets.iter().map(|target| target.resumed.len()).sum();
    let progress = targets.iter_mut().map(|target| target.progress.take()).collect();
    let orders =
        Orders { sources, schedule, progress, slo: bounds.slo.clone(), end, planned, allocated, warm };
    let engine = engine.clone();
    tokio::task::spawn_blocking(move || read::read(orders, &engine)).await.map_err(|_| lost())
}

fn prove(target: &Target, got: &Got, end: Option<Instant>, engine: &Engine) -> JoinHandle<Proof> {
    let (image, allocated, stop) = (target.image.clone(), target.allocated.clone(), engine.stop.clone());
    let (seed, asked, first) = (target.seed, target.options.threshold, got.latencies.clone());
    tokio::task::spawn_blocking(move || proof::prove(&image, &allocated, seed, asked, &first, end, &stop))
}

/// Says every minute how far AWS's own initialization is, until it is dropped.
fn watch(targets: &[Target], services: Option<&Services>, engine: &Engine) -> Option<Watch> {
    let ids: Vec<VolumeId> = targets
        .iter()
        .filter(|target| target.skip.is_none() && !target.initialization.is_empty())
        .filter_map(|target| target.device.volume_id.clone())
        .collect();
    let (services, engine) = (services?.clone(), engine.clone());
    if ids.is_empty() {
        return None;
    }
    Some(Watch(tokio::spawn(async move {
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for id in &ids {
                let told = initialization(id, Some(&services), &engine).await.unwrap_or_default();
                for told in told.iter().filter(|told| told.volume == *id) {
                    let progress = told.progress.map_or("?".to_owned(), |percent| percent.to_string());
                    engine.note(format!("AWS's own initialization of {id} is at {progress} %"));
                }
            }
        }
    })))
}

#[derive(Debug)]
struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Holds what was read against what it should be.
async fn verified(
    target: &Target,
    got: &Got,
    started: UnixMillis,
    end: Option<Instant>,
    services: Option<&Services>,
    engine: &Engine,
) -> Result<Option<verify::Report>, Fault> {
    let (Some(digests), false) = (&target.digests, engine.stop.is_requested()) else { return Ok(None) };
    let what = match &target.options.what {
        What::Snapshot(id) => verify::What::Snapshot(id.clone()),
        What::Manifest(path) => verify::What::Manifest(path.clone()),
        // It is refused before anything is read.
        What::Map(_) => return Ok(None),
    };
    let options = verify::Options {
        against: Against::Image(target.device.path.clone()),
        taken: Some(Taken {
            blocks: &got.done | &target.resumed,
            digests: digests.clone(),
            image: target.image.clone(),
            // What an interrupted run has read came earlier.
            began: target.resumed.is_empty().then_some(started),
        }),
        deadline: end.map(|end| end.saturating_duration_since(Instant::now())),
        system: target.options.system.clone(),
        allow_empty: target.options.allow_empty,
        sign_key: target.options.sign_key.clone(),
        ..verify::Options::of(what)
    };
    verify::run(&options, services, engine).await.map(Some)
}

/// How the reading of one volume ended.
struct Ending {
    failed: Option<Exception>,
    verified: Option<verify::Report>,
    progress: Option<Progress>,
    is_late: bool,
    interrupted: Option<Exception>,
    predicted: Option<f64>,
    exceeded: Option<u64>,
    reading: Duration,
    requests: Requests,
    place: Option<String>,
}

impl Ending {
    fn report(self, target: Target, got: Got, proof: Option<Proof>) -> Result<Report, Fault> {
        let planned = target.ranked.all();
        let resumed = &target.resumed & planned.as_ref();
        // Blocks that an earlier run read beyond what this one was to read are warm as well.
        let warm = &got.done | &target.resumed;
        let is_skipped = target.skip.is_some();
        let cold = if is_skipped { BlockSet::new() } else { target.allocated.as_ref() - &warm };
        let is_done = (planned.as_ref() - &warm).is_empty();
        let stopped_by = match target.options.amount {
            _ if is_skipped => None,
            _ if !is_done && self.is_late && got.exceptions.is_empty() => Some(Bound::Deadline),
            Amount::Hottest(_) if is_done && !cold.is_empty() => Some(Bound::Limit),
            Amount::All | Amount::Hottest(_) | Amount::Probe => None,
        };
        let mut exceptions = got.exceptions;
        exceptions.extend(self.failed);
        if !is_done && let Some(interrupted) = self.interrupted {
            exceptions.push(interrupted);
        }
        if let Some(progress) = self.progress {
            let is_changed = exceptions.iter().any(|exception| exception.kind == Kind::Changed);
            let is_kept = !cold.is_empty() && !is_changed && progress.n_recorded() > 0;
            match is_kept {
                true => exceptions.iter_mut().for_each(|exception| *exception = kept(exception)),
                false => {
                    progress.remove()?;
                    // A reader that its device does not let go of may hold on to them; the next run uses them again.
                    target.digests.as_deref().map_or(Ok(()), Draft::remove)?;
                }
            }
        }
        let of_proof = proof.as_ref().map_or(0, |proof| proof.sample * TOUCH as u64);
        let bytes_read = BlockSize::EBS.of(got.done.len()).bytes() + of_proof;
        Ok(Report {
            place: self.place,
            started: UnixMillis(0),
            ended: UnixMillis(0),
            elapsed: Duration::ZERO,
            reading: self.reading,
            device: target.device,
            source: target.source,
            snapshot_id: target.snapshot_id,
            geometry: target.geometry,
            order: target.order,
            allocated: target.allocated.len(),
            is_counted: target.is_counted,
            allows_empty: target.options.allow_empty,
            planned: planned.len(),
            read: (planned.as_ref() & &warm).len(),
            is_resumed: target.is_trusted && !resumed.is_empty(),
            resumed: resumed.len(),
            bytes_read: ByteSize::from_bytes(bytes_read),
            bytes_of_proof: ByteSize::from_bytes(of_proof),
            cold,
            unreadable: got.unreadable,
            latencies: got.latencies,
            proof,
            is_probe: target.options.amount == Amount::Probe,
            predicted: self.predicted,
            stopped_by,
            skipped: target.skip,
            initialization: target.initialization,
            exceeded: self.exceeded,
            warnings: target.warnings,
            exceptions,
            verified: self.verified,
            requests: self.requests,
        })
    }
}

/// What interrupted a run that left a checkpoint.
fn kept(exception: &Exception) -> Exception {
    match exception.kind {
        Kind::Interrupted => {
            let fault = Fault::new(Kind::Interrupted, Place::Program, "interrupted");
            Exception::from(&suspended(fault))
        }
        _ => exception.clone(),
    }
}

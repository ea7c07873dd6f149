//! Reading: owned threads that take their turns from the schedule.
//!
//! A thread has one read in flight, so that the depth is the number of threads at work; what a block holds is hashed
//! where it was read, and the buffer used again, or goes nowhere at all. The coordinator records what is done, tells the
//! monitor, and returns when reading is over: at the deadline without those whose device does not answer.

use crate::block::{BlockIndex, BlockSet, BlockSize, Buffers, Digest};
use crate::device::Image;
use crate::fault::{Fault, Kind, Place};
use crate::manifest::Draft;
use crate::monitor::Event;
use crate::ops::Engine;
use crate::ops::progress::Progress;
use crate::ops::verify::Exception;
use crate::ops::warm::guard::{self, Gauge, Guard, Reading, Slo};
use crate::ops::warm::proof::{self, TOUCH};
use crate::ops::warm::schedule::{Next, Outcome, Schedule, Turn};
use crate::ops::warm::{Forecast, Latencies};
use crate::pipeline::interrupted;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::time::Instant;

/// How often the coordinator looks.
const TICK: Duration = Duration::from_millis(10);
/// How long reads that are in flight are waited for once somebody asked to stop.
const GRACE: Duration = Duration::from_secs(1);
/// Nobody waits longer without looking again.
const LONG: Duration = Duration::from_secs(1);
/// Blocks read last that the gauge draws from.
const RECENT: usize = 1024;

/// One device to be read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) image: Arc<Image>,
    /// Keeps what the blocks hash to.
    pub(super) digests: Option<Arc<Draft>>,
}

/// What was read of one device.
#[derive(Debug, Default)]
pub(super) struct Got {
    pub(super) done: BlockSet,
    pub(super) unreadable: BlockSet,
    pub(super) latencies: Latencies,
    pub(super) exceptions: Vec<Exception>,
    /// Done and not told yet.
    fresh: Vec<BlockIndex>,
    recent: Vec<BlockIndex>,
}

/// What came of all of it.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) lanes: Vec<Got>,
    pub(super) progress: Vec<Option<Progress>>,
    /// Whether the time was up before the blocks were.
    pub(super) is_late: bool,
    pub(super) fault: Option<Fault>,
    pub(super) predicted: Option<f64>,
    pub(super) exceeded: Option<u64>,
    pub(super) took: Duration,
}

#[derive(Debug)]
struct Shared {
    sources: Vec<Source>,
    start: Instant,
    buffers: Buffers,
    state: Mutex<State>,
    /// There may be a turn.
    turn: Condvar,
    /// Something came back, or it is over.
    news: Condvar,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    lanes: Vec<Got>,
    guard: Option<Guard>,
    /// Blocks a second, of late.
    rate: f64,
    /// Whether a thread watches the clock for the next slot; the others need not.
    is_watched: bool,
    is_over: bool,
}

/// What a reading is told.
pub(super) struct Orders {
    pub(super) sources: Vec<Source>,
    pub(super) schedule: Schedule,
    /// One for each source; `None` keeps no record.
    pub(super) progress: Vec<Option<Progress>>,
    pub(super) slo: Option<Slo>,
    /// When the run has to be over, the proof included.
    pub(super) end: Option<Duration>,
    /// Blocks to be read in all.
    pub(super) planned: u64,
    /// Blocks that the proof is drawn over, and those of them that are warm before anything is read.
    pub(super) allocated: u64,
    pub(super) warm: u64,
}

/// Reads. Blocks the thread it is called on.
pub(super) fn read(orders: Orders, engine: &Engine) -> Read {
    let Orders { sources, schedule, progress, slo, end, planned, allocated, warm } = orders;
    let state = State {
        lanes: sources.iter().map(|_| Got::default()).collect(),
        guard: slo.clone().map(Guard::new),
        schedule,
        rate: 0.0,
        is_watched: false,
        is_over: false,
    };
    let shared = Arc::new(Shared {
        sources,
        start: Instant::now(),
        buffers: Buffers::default(),
        state: Mutex::new(state),
        turn: Condvar::new(),
        news: Condvar::new(),
    });
    if let Some(slo) = slo {
        let gauged = Arc::clone(&shared);
        thread::spawn(move || gauged.gauge(&slo));
    }
    let until = end.map(|end| proof::begins(end, None));
    let forecast = Forecast::new(planned, until);
    let coordinator = Coordinator {
        shared,
        engine,
        progress,
        forecast,
        planned,
        allocated,
        warm,
        end,
        until,
        crew: 0,
        fault: None,
        stopped: None,
    };
    coordinator.read()
}

/// Whoever hires the readers, and writes down what they did.
struct Coordinator<'a> {
    shared: Arc<Shared>,
    engine: &'a Engine,
    progress: Vec<Option<Progress>>,
    forecast: Forecast,
    planned: u64,
    allocated: u64,
    warm: u64,
    end: Option<Duration>,
    /// When reading has to be over: the proof needs the more time the more is cold.
    until: Option<Duration>,
    /// Readers hired.
    crew: usize,
    fault: Option<Fault>,
    /// When somebody asked to stop.
    stopped: Option<Duration>,
}

impl Coordinator<'_> {
    fn read(mut self) -> Read {
        loop {
            self.hire();
            let is_over = self.news();
            if is_over || self.is_stopped() || self.is_late() {
                break;
            }
        }
        let took = self.shared.start.elapsed();
        self.shared.close();
        let mut state = self.shared.lock();
        let exceeded = state.guard.as_ref().map(Guard::exceeded);
        let lanes: Vec<_> = state.lanes.iter_mut().map(std::mem::take).collect();
        drop(state);
        // What came back since is done as well.
        let fresh: Vec<_> = lanes.iter().map(|lane| lane.fresh.clone()).collect();
        self.record(&fresh);
        self.save();
        let n_ended: u64 = lanes.iter().map(|lane| lane.done.len() + lane.unreadable.len()).sum();
        let is_late = self.until.is_some() && n_ended < self.planned && self.fault.is_none();
        let Self { progress, fault, forecast, .. } = self;
        Read { lanes, progress, is_late, fault, predicted: forecast.share(), exceeded, took }
    }

    /// As many readers as there may be reads in flight.
    fn hire(&mut self) {
        let mut state = self.shared.lock();
        while self.crew < state.schedule.depth() && !state.is_over {
            let reader = Arc::clone(&self.shared);
            match thread::Builder::new().name("warm".to_owned()).spawn(move || reader.work()) {
                Ok(_) => self.crew += 1,
                // With those that there are it takes longer.
                Err(_) if self.crew > 0 => break,
                Err(error) => {
                    self.fault = Some(Fault::local("threads", "start", error));
                    state.is_over = true;
                }
            }
        }
    }

    /// Waits for what readers have to tell, writes it down and tells it on; whether they are through.
    fn news(&mut self) -> bool {
        let mut state = self.shared.lock();
        if !state.is_over {
            state = self.shared.wait(&self.shared.news, state, TICK);
        }
        let fresh: Vec<_> = state.lanes.iter_mut().map(|lane| std::mem::take(&mut lane.fresh)).collect();
        let (is_over, limit) = (state.is_over, state.schedule.pace.rate());
        let n_done: u64 = state.lanes.iter().map(|lane| lane.done.len()).sum();
        drop(state);
        self.forecast.update(n_done, limit, self.shared.start.elapsed(), self.engine);
        self.tell(n_done);
        self.record(&fresh);
        let blocks: u64 = fresh.iter().map(|fresh| fresh.len() as u64).sum();
        if blocks > 0 {
            self.engine.monitor.on(Event::Done { blocks, size: BlockSize::EBS.of(blocks) });
        }
        // Without a record nothing can be gone on with, and that is worth stopping for.
        is_over || (self.fault.is_some() && self.stopped.is_none())
    }

    /// Tells readers and gauge what follows from so many blocks being done.
    fn tell(&mut self, n_done: u64) {
        let mut state = self.shared.lock();
        state.rate = self.forecast.rate();
        if let (Some(end), Some(slowest)) = (self.end, state.schedule.slowest()) {
            let cold = 1.0 - (self.warm + n_done) as f64 / self.allocated.max(1) as f64;
            let until = proof::begins(end, Some((cold, slowest)));
            state.schedule.end_by(until);
            self.until = Some(until);
        }
    }

    /// Whether somebody has asked to stop, and what was in flight then is back or waited for long enough.
    fn is_stopped(&mut self) -> bool {
        if !self.engine.stop.is_requested() {
            return false;
        }
        let now = self.shared.start.elapsed();
        let since = *self.stopped.get_or_insert(now);
        self.fault.get_or_insert_with(interrupted);
        self.shared.lock().schedule.stop();
        self.shared.turn.notify_all();
        now.saturating_sub(since) > GRACE
    }

    fn is_late(&self) -> bool {
        self.until.is_some_and(|until| self.shared.start.elapsed() >= until)
    }

    /// Puts what is done where the next run finds it.
    fn record(&mut self, fresh: &[Vec<BlockIndex>]) {
        for ((fresh, source), progress) in fresh.iter().zip(&self.shared.sources).zip(&mut self.progress) {
            let Some(progress) = progress else { continue };
            fresh.iter().for_each(|index| progress.note(*index));
            if let Err(full) = progress.tick(source.digests.as_deref()) {
                self.fault.get_or_insert(full);
            }
        }
    }

    /// Leaves nothing unrecorded.
    fn save(&mut self) {
        for (source, progress) in self.shared.sources.iter().zip(&mut self.progress) {
            let Some(progress) = progress else { continue };
            if let Err(full) = progress.save(source.digests.as_deref()) {
                self.fault.get_or_insert(full);
            }
        }
    }
}

impl Shared {
    /// One reader, until nothing is left.
    fn work(&self) {
        while let Some(turn) = self.turn() {
            let source = &self.sources[turn.lane];
            let (read, took) = match &source.digests {
                Some(digests) => self.looked_at(source, digests, turn.index),
                None => timed(|| source.image.touch(turn.index)),
            };
            self.finish(turn, read, took);
        }
    }

    /// Reads a block and keeps what it hashes to; the time is that of reading.
    fn looked_at(
        &self,
        source: &Source,
        digests: &Draft,
        index: BlockIndex,
    ) -> (Result<(), Fault>, Duration) {
        let mut buffer = self.buffers.take();
        let bytes = buffer.as_mut_slice();
        let (read, took) = timed(|| source.image.read_at(index.byte_offset(BlockSize::EBS), bytes));
        (read.and_then(|()| digests.put(index, &Digest::of(bytes))), took)
    }

    fn turn(&self) -> Option<Turn> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return None;
            }
            let now = self.start.elapsed();
            match state.schedule.next(now) {
                Next::Read(turn) => {
                    // Another one takes the next turn, or watches the clock for it.
                    self.turn.notify_one();
                    return Some(turn);
                }
                Next::At(slot) if !state.is_watched => {
                    state.is_watched = true;
                    state = self.wait(&self.turn, state, slot.saturating_sub(now));
                    state.is_watched = false;
                }
                Next::At(_) | Next::Later => state = self.wait(&self.turn, state, LONG),
                Next::Over => {
                    state.is_over = true;
                    self.turn.notify_all();
                    self.news.notify_all();
                }
            }
        }
    }

    fn finish(&self, turn: Turn, read: Result<(), Fault>, took: Duration) {
        let mut state = self.lock();
        let outcome = match &read {
            Ok(()) => Outcome::Done,
            Err(fault) if fault.kind == Kind::Vanished => Outcome::Gone,
            Err(_) => Outcome::Failed,
        };
        let is_last = state.schedule.finish(turn, outcome, took, self.start.elapsed());
        let lane = &mut state.lanes[turn.lane];
        match read {
            Ok(()) => {
                lane.done.insert(turn.index);
                lane.latencies.record(took);
                lane.fresh.push(turn.index);
                match lane.recent.len() < RECENT {
                    true => lane.recent.push(turn.index),
                    false => lane.recent[took.subsec_micros() as usize % RECENT] = turn.index,
                }
            }
            Err(fault) if is_last => {
                if outcome == Outcome::Failed {
                    lane.unreadable.insert(turn.index);
                }
                // A device full of bad blocks is told once for each kind of trouble, with its first block.
                if lane.exceptions.iter().all(|exception| exception.kind != fault.kind) {
                    lane.exceptions.push(Exception::from(&fault));
                }
            }
            Err(_) => {}
        }
        self.turn.notify_one();
    }

    /// Reads the gauge until it is over.
    fn gauge(&self, slo: &Slo) {
        let gauge = &slo.gauge;
        let mut numbers = fastrand::Rng::with_seed(0);
        loop {
            let mut state = self.lock();
            if !state.is_over {
                state = self.wait(&self.news, state, guard::EVERY);
            }
            if state.is_over {
                return;
            }
            let lane = numbers.usize(..state.lanes.len());
            let index = numbers.choice(&state.lanes[lane].recent).copied();
            drop(state);
            let reading = match (gauge, index) {
                (Gauge::Command(line) | Gauge::Printed(line, _), _) => {
                    let (is_success, printed) = guard::asked(line, slo.gets_credentials, guard::PATIENCE);
                    Some(gauge.heard(is_success, &printed))
                }
                (Gauge::Reads(_), Some(index)) => self.touched(lane, index),
                (Gauge::Reads(_), None) => None,
            };
            let mut state = self.lock();
            let rate = state.rate;
            if let (Some(reading), Some(guard)) = (reading, &mut state.guard) {
                let limit = guard.read(reading, rate);
                state.schedule.pace.guard(limit);
            }
        }
    }

    /// How long a small read of a warm block takes now.
    fn touched(&self, lane: usize, index: BlockIndex) -> Option<Reading> {
        let mut buffer = self.buffers.take();
        let bytes = &mut buffer.as_mut_slice()[..TOUCH];
        let image = &self.sources[lane].image;
        let (read, took) = timed(|| image.read_at(index.byte_offset(BlockSize::EBS), bytes));
        read.is_ok().then_some(Reading::Took(took))
    }

    fn close(&self) {
        self.lock().is_over = true;
        self.turn.notify_all();
        self.news.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        for_what: &Condvar,
        state: MutexGuard<'a, State>,
        most: Duration,
    ) -> MutexGuard<'a, State> {
        for_what.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
    }
}

fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let made = call();
    (made, begun.elapsed())
}

/// What was lost with the thread that read.
pub(super) fn lost() -> Fault {
    Fault::new(Kind::Local, Place::Program, "a worker of this program failed")
}

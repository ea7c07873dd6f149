//! How far the work is: a bar on a terminal, a line every ten seconds elsewhere.
//!
//! The lines come from a clock of their own, not from the work: when nothing moves, they say so. Nothing ever looks
//! hung.

use crate::block::ByteSize;
use crate::cli::args::{Global, LogFormat, ProgressWhen};
use crate::cli::log::{ALWAYS, NOTE, PROGRESS};
use crate::monitor::{Event, Monitor};
use crate::render::{blocks as counted, count, escaped, span};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often a line is said where there is no bar.
const EVERY: Duration = Duration::from_secs(10);
/// Often enough for the eye.
const REDRAW: Duration = Duration::from_millis(120);

/// What of the line is given up, one after the other, until it fits a terminal: a bar that is as long, and facts that
/// matter as much.
const LAYOUTS: [Layout; 7] = [
    Layout { bar: 30, facts: Weight::Size },
    Layout { bar: 20, facts: Weight::Size },
    Layout { bar: 10, facts: Weight::Size },
    Layout { bar: 10, facts: Weight::Rate },
    Layout { bar: 0, facts: Weight::Rate },
    Layout { bar: 0, facts: Weight::Throttled },
    Layout { bar: 0, facts: Weight::Left },
];

/// What is shown in any case, cut where even that is too long.
const LEAST: Layout = Layout { bar: 0, facts: Weight::Always };

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Columns within the brackets; none without a bar.
    bar: usize,
    /// Facts up to this weight.
    facts: Weight,
}

/// What a fact is worth where there is no room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Always,
    Left,
    Throttled,
    Rate,
    Size,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Bar,
    Lines,
    Off,
}

/// Draws what the work reports.
#[derive(Debug)]
pub(crate) struct Progress {
    mode: Mode,
    bar: ProgressBar,
    state: Mutex<State>,
}

/// How far, and since when.
#[derive(Clone, Debug)]
struct State {
    verb: &'static str,
    total: Option<u64>,
    blocks: u64,
    size: ByteSize,
    /// Of these, what an earlier run has done.
    resumed: (u64, ByteSize),
    wrong: u64,
    throttled: u64,
    since: Instant,
    /// What the last line said: its time, and the size done by then.
    last: (Instant, ByteSize),
    /// The columns that the terminal had, and those of the bar: on the same terminal it does not grow again, or it would
    /// flicker.
    shape: (usize, usize),
}

impl State {
    fn new(verb: &'static str, total: Option<u64>) -> Self {
        let now = Instant::now();
        Self {
            verb,
            total,
            blocks: 0,
            size: ByteSize::ZERO,
            resumed: (0, ByteSize::ZERO),
            wrong: 0,
            throttled: 0,
            since: now,
            last: (now, ByteSize::ZERO),
            shape: (0, usize::MAX),
        }
    }

    /// `1,200 of 4,096 blocks (29 %), 600 MiB, 58.3 MiB/s, 25s left`; the rate is the one since `from`.
    fn describe(&self, now: Instant, from: (Instant, ByteSize)) -> String {
        joined(&self.facts(now, from), Weight::Size)
    }

    fn facts(&self, now: Instant, from: (Instant, ByteSize)) -> Vec<(Weight, String)> {
        if self.total.is_none() && self.blocks == 0 {
            return vec![(Weight::Always, format!("{} so far", span(now - self.since)))];
        }
        let blocks = match self.total {
            Some(total) => {
                let percent = self.blocks.min(total) * 100 / total.max(1);
                format!("{} of {} blocks ({percent} %)", count(self.blocks), count(total))
            }
            None => counted(self.blocks),
        };
        let mut facts = vec![(Weight::Always, blocks), (Weight::Size, self.size.to_string())];
        let moved = self.size.bytes() - from.1.bytes().max(self.resumed.1.bytes());
        let millis = u64::try_from((now - from.0).as_millis()).unwrap_or(u64::MAX).max(1);
        if moved == 0 {
            facts.push((Weight::Left, format!("nothing moved for {}", span(now - from.0))));
        } else {
            let rate = ByteSize::from_bytes(moved.saturating_mul(1000) / millis);
            facts.push((Weight::Rate, format!("{rate}/s")));
            facts.extend(self.left(now).map(|left| (Weight::Left, format!("{} left", span(left)))));
        }
        if self.wrong > 0 {
            facts.push((Weight::Always, format!("{} wrong", count(self.wrong))));
        }
        if self.throttled > 0 {
            facts.push((Weight::Throttled, format!("{} throttled", count(self.throttled))));
        }
        facts
    }

    /// The line beside the bar, and how long that is, on a terminal of so many columns.
    fn fitting(&mut self, now: Instant, columns: usize) -> (usize, String) {
        let facts = self.facts(now, (self.since, ByteSize::ZERO));
        let longest = if self.shape.0 == columns { self.shape.1 } else { usize::MAX };
        let fits = |layout: &&Layout| {
            // A bar has brackets and a space, a spinner a space.
            let drawn = match (self.total, layout.bar) {
                (None, _) => 2,
                (Some(_), 0) => 0,
                (Some(_), bar) => bar + 3,
            };
            self.verb.len() + 1 + drawn + joined(&facts, layout.facts).len() <= columns
        };
        let layout = LAYOUTS.iter().filter(|layout| layout.bar <= longest).find(fits).unwrap_or(&LEAST);
        self.shape = (columns, layout.bar);
        (layout.bar, joined(&facts, layout.facts))
    }

    /// How long the rest takes if it goes on as it went so far; `None` before anything was done.
    fn left(&self, now: Instant) -> Option<Duration> {
        let left = self.total?.checked_sub(self.blocks).filter(|left| *left > 0)?;
        let done = self.blocks.checked_sub(self.resumed.0).filter(|done| *done > 0)?;
        let per_block = (now - self.since).as_secs_f64() / done as f64;
        Duration::try_from_secs_f64(per_block * left as f64).ok()
    }
}

/// The facts up to this weight, in their order.
fn joined(facts: &[(Weight, String)], most: Weight) -> String {
    let kept: Vec<_> =
        facts.iter().filter(|(weight, _)| *weight <= most).map(|(_, fact)| fact.as_str()).collect();
    kept.join(", ")
}

/// Columns of the terminal that the bar is drawn on.
fn columns() -> usize {
    let told = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
    if told == 0 { 80 } else { told }
}

impl Progress {
    /// Chooses bar, lines or silence; nothing is shown before the first event.
    pub(crate) fn new(global: &Global) -> Self {
        let mode = match global.progress {
            ProgressWhen::Never => Mode::Off,
            ProgressWhen::Auto if global.quiet => Mode::Off,
            // A bar and JSON lines would spoil each other.
            ProgressWhen::Auto | ProgressWhen::Always => {
                let bar = io::stderr().is_terminal() && global.log_format == LogFormat::Text;
                if bar { Mode::Bar } else { Mode::Lines }
            }
        };
        Self { mode, bar: ProgressBar::hidden(), state: Mutex::new(State::new("working", None)) }
    }

    /// The bar, for whoever writes to the same terminal.
    pub(crate) fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Says a line every ten seconds for as long as somebody holds on to this.
    pub(crate) fn keep_saying(self: &Arc<Self>) {
        if self.mode != Mode::Lines {
            return;
        }
        let progress = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(progress) = progress.upgrade() else { return };
                let line = progress.next_line();
                tracing::info!(target: PROGRESS, "{line}");
            }
        });
    }

    /// Takes the bar away: the result comes next.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// The line for now; the next one counts from here.
    fn next_line(&self) -> String {
        let mut state = self.state();
        let now = Instant::now();
        let line = format!("{}: {}", state.verb, state.describe(now, state.last));
        state.last = (now, state.size);
        line
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        if self.mode == Mode::Bar {
            if self.bar.is_hidden() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
                self.bar.enable_steady_tick(REDRAW);
            }
            let (bar, line) = state.fitting(Instant::now(), columns());
            // What is too long even so is cut: a line that wraps leaves pieces of itself behind.
            let style = match (state.total, bar) {
                (None, _) => "{prefix} {spinner} {wide_msg}".to_owned(),
                (Some(_), 0) => "{prefix} {wide_msg}".to_owned(),
                (Some(_), bar) => format!("{{prefix}} [{{bar:{bar}}}] {{wide_msg}}"),
            };
            if let Ok(style) = ProgressStyle::with_template(&style) {
                self.bar.set_style(style.progress_chars("=> "));
            }
            self.bar.set_prefix(state.verb);
            self.bar.set_length(state.total.unwrap_or(0));
            self.bar.set_position(state.blocks);
            self.bar.set_message(line);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Monitor for Progress {
    fn on(&self, event: Event) {
        match event {
            Event::Stage { verb, total } => self.update(|state| *state = State::new(verb, total)),
            Event::Total(total) => self.update(|state| state.total = Some(total)),
            Event::Done { blocks, size } => self.update(|state| {
                state.blocks += blocks;
                state.size += size;
            }),
            Event::Resumed { blocks, size } => self.update(|state| {
                state.blocks += blocks;
                state.size += size;
                state.resumed.0 += blocks;
                state.resumed.1 += size;
            }),
            Event::SnapshotStarted(id) => tracing::info!(target: ALWAYS, "started {id}"),
            Event::Retry { reason, attempt, wait } => {
                tracing::debug!(target: "icecore", attempt, wait = %span(wait), "retry: {}", escaped(&reason));
            }
            Event::Throttled => self.update(|state| state.throttled += 1),
            Event::Mismatch(_) => self.update(|state| state.wrong += 1),
            Event::Note(note) => tracing::info!(target: NOTE, "{}", escaped(&note)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockIndex;

    const SOME: Duration = Duration::from_secs(8);

    fn after(blocks: u64, total: Option<u64>) -> State {
        let mut state = State::new("exporting", total);
        (state.blocks, state.size) = (blocks, ByteSize::from_bytes(blocks * 524_288));
        state
    }

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long_yet() {
        let state = after(1024, Some(4096));
        assert_eq!(
            state.describe(state.since + SOME, state.last),
            "1,024 of 4,096 blocks (25 %), 512 MiB, 64 MiB/s, 24.0s left"
        );
    }

    #[test]
    fn from_a_tenth_of_the_work_on_the_time_left_is_right_within_a_fifth() {
        // Blocks come in waves, those of a volume's first hundreds slower; an earlier run may have done as many before.
        for resumed in [0, 20_000] {
            let total = resumed + 20_000;
            let mut state = State::new("warming", Some(total));
            (state.blocks, state.resumed) = (resumed, (resumed, ByteSize::from_bytes(resumed * 524_288)));
            let mut now = state.since;
            let mut told = Vec::new();
            assert_eq!(state.left(now), None, "nothing is known of this run yet");
            while state.blocks < total {
                let done = state.blocks - resumed;
                let took = 20 + done * 37 % 23 + if done < 500 { 20 } else { 0 };
                now += Duration::from_millis(took);
                state.blocks = (state.blocks + 128).min(total);
                if done * 10 >= total - resumed {
                    told.extend(state.left(now).map(|left| (now, left)));
                }
            }
            assert!(told.len() > 50);
            for (at, left) in told {
                let (left, is) = (left.as_secs_f64(), (now - at).as_secs_f64());
                // Blocks come in waves: of the last few nobody can tell how much of one is through.
                assert!(
                    (left - is).abs() <= (0.2 * is).max(0.1),
                    "{left} s told, {is} s left, {resumed} resumed"
                );
            }
        }
    }

    #[test]
    fn what_an_earlier_run_did_is_not_this_ones_speed() {
        let mut state = after(1024, Some(4096));
        state.resumed = (512, ByteSize::from_mib(256));
        assert_eq!(
            state.describe(state.since + SOME, state.last),
            "1,024 of 4,096 blocks (25 %), 512 MiB, 32 MiB/s, 48.0s left"
        );
    }

    #[test]
    fn a_standstill_is_said() {
        let mut state = after(1, None);
        assert_eq!(state.describe(state.since + SOME, state.last), "1 block, 512 KiB, 64 KiB/s");
        state.last = (state.since + SOME, state.size);
        let line = state.describe(state.since + 3 * SOME, state.last);
        assert_eq!(line, "1 block, 512 KiB, nothing moved for 16.0s");
    }

    #[test]
    fn work_that_reports_nothing_still_shows_life() {
        let state = State::new("listing", None);
        assert_eq!(state.describe(state.since + SOME, state.last), "8.0s so far");
    }

    #[test]
    fn the_bar_fits_its_terminal_and_what_is_wrong_is_never_left_out() {
        let mut state = after(1_021_000, Some(2_097_152));
        (state.wrong, state.throttled) = (3, 12);
        let now = state.since + 180 * SOME;
        let mut line = |columns| state.fitting(now, columns);
        let whole = "1,021,000 of 2,097,152 blocks (48 %), 498.5 GiB, 354.5 MiB/s, 25m17s left, 3 wrong, 12 throttled";
        assert_eq!(line(160), (30, whole.to_owned()));
        assert_eq!(line(130), (20, whole.to_owned()));
        let short = "1,021,000 of 2,097,152 blocks (48 %), 25m17s left, 3 wrong, 12 throttled";
        assert_eq!(line(82), (0, short.to_owned()));
        assert_eq!(line(80), (0, "1,021,000 of 2,097,152 blocks (48 %), 25m17s left, 3 wrong".to_owned()));
        assert_eq!(line(20), (0, "1,021,000 of 2,097,152 blocks (48 %), 3 wrong".to_owned()));
        for columns in 60..200 {
            let (bar, facts) = line(columns);
            let beside = if bar > 0 { bar + 3 } else { 0 };
            assert!("exporting ".len() + beside + facts.len() <= columns, "{columns}: {facts}");
        }
    }

    #[test]
    fn a_bar_that_gave_something_up_does_not_take_it_back_until_the_terminal_changes() {
        let mut state = after(1000, Some(4096));
        let now = state.since + SOME;
        assert_eq!(state.fitting(now, 90).0, 10);
        state.wrong = 1_000_000;
        assert_eq!(state.fitting(now, 90).0, 0);
        state.wrong = 0;
        let facts = "1,000 of 4,096 blocks (24 %), 62.5 MiB/s, 24.7s left".to_owned();
        assert_eq!(state.fitting(now, 90), (0, facts), "the bar would flicker");
        assert_eq!(state.fitting(now, 120).0, 30);
        assert_eq!(state.fitting(now, 90).0, 10);
    }

    #[test]
    fn events_add_up_and_a_stage_starts_anew() {
        let progress = Progress {
            mode: Mode::Lines,
            bar: ProgressBar::hidden(),
            state: Mutex::new(State::new("working", None)),
        };
        progress.on(Event::Stage { verb: "exporting", total: None });
        progress.on(Event::Total(4));
        progress.on(Event::Done { blocks: 2, size: ByteSize::from_mib(1) });
        progress.on(Event::Done { blocks: 1, size: ByteSize::from_mib(1) });
        assert!(progress.next_line().starts_with("exporting: 3 of 4 blocks (75 %), 2 MiB"));
        assert!(progress.next_line().contains("nothing moved"));
        progress.on(Event::Mismatch(BlockIndex::ZERO));
        progress.on(Event::Throttled);
        assert!(progress.next_line().ends_with("1 wrong, 1 throttled"));
        progress.on(Event::Stage { verb: "checking", total: Some(7) });
        assert!(progress.next_line().starts_with("checking: 0 of 7 blocks (0 %), 0 B"));
    }
}

//! Killed anywhere and begun again: the schedule and the record of it, in virtual time.

use super::*;
use crate::block::{BlockIndex, BlockRange, BlockSet};
use crate::disk::{Disk, RealDisk};
use crate::ops::progress::Progress;
use crate::ops::warm::depth::{Depth, MOST};
use crate::ops::warm::order::Ranked;
use crate::ops::warm::pace::Pace;
use crate::ops::warm::schedule::{Next, Outcome, Schedule, Turn};
use crate::pipeline::{Earlier, Slot};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

const BLOCKS: u32 = 80_000;
const LATENCY: Duration = Duration::from_millis(20);
/// As often as the coordinator looks.
const TICK: Duration = Duration::from_millis(10);

/// One run, killed at a time or not at all: every read that was begun, by block. What a kill leaves is the checkpoint.
fn run(path: &Path, killed_at: Option<Duration>, reads: &mut BTreeMap<BlockIndex, u32>) -> u64 {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
    let slot = Slot::take(&disk, path).unwrap();
    let (checkpoint, done) = match slot.earlier("one").unwrap() {
        Earlier::Same(found) => {
            let done = found.done.clone();
            (slot.resume(found).unwrap(), done)
        }
        _ => (slot.begin("one", BTreeMap::new()).unwrap(), BlockSet::new()),
    };
    let mut progress = Progress::new(checkpoint, &done, Duration::ZERO);
    let all = BlockSet::from(BlockRange::new(BlockIndex::ZERO, BLOCKS));
    let orders = vec![Ranked::by_index(Arc::new(all)).without(&done)];
    let mut schedule =
        Schedule::new(orders, &Depth::new(None, MOST), Pace::new(Rate::default()), Sharing::Fair, None);
    let mut in_flight: VecDeque<(Duration, Turn)> = VecDeque::new();
    let (mut now, mut ticked, mut fresh) = (Duration::ZERO, Duration::ZERO, Vec::new());
    loop {
        match schedule.next(now) {
            Next::Read(turn) => {
                *reads.entry(turn.index).or_default() += 1;
                in_flight.push_back((now + LATENCY, turn));
                continue;
            }
            Next::Over => break,
            Next::At(_) | Next::Later => {}
        }
        let (back, turn) = in_flight.pop_front().unwrap();
        while ticked + TICK <= back {
            ticked += TICK;
            if killed_at.is_some_and(|at| ticked > at) {
                return done.len();
            }
            fresh.drain(..).try_for_each(|index| progress.done(index, None)).unwrap();
        }
        now = back;
        schedule.finish(turn, Outcome::Done, LATENCY, now);
        fresh.push(turn.index);
    }
    fresh.drain(..).try_for_each(|index| progress.done(index, None)).unwrap();
    done.len()
}

/// Kills in a full count are 100; 1 in 50 by default.
fn kills() -> u32 {
    crate::block::tests::cases(2).cases
}

#[test]
fn killed_anywhere_every_block_is_read_and_under_one_in_a_hundred_twice() {
    for kill in 0..kills() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("warm.ckpt");
        let mut reads = BTreeMap::new();
        // The whole takes some six seconds.
        let at = Duration::from_millis(u64::from(kill * 7_919 % 5_700 + 137));
        run(&path, Some(at), &mut reads);
        let before = reads.len();
        let resumed = run(&path, None, &mut reads);
        assert!(resumed > 0 && before < BLOCKS as usize, "killed at {at:?}");
        assert_eq!(reads.len(), BLOCKS as usize);
        let twice = reads.values().filter(|times| **times > 1).count();
        assert!(twice * 100 < BLOCKS as usize, "{twice} twice, killed at {at:?}");
    }
}

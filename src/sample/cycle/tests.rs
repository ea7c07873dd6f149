//! Cycles against what they promise: every block once a cycle, and no run that reads nothing.

use super::*;
use crate::block::{BlockIndex, BlockRange, BlockSet};
use std::collections::{BTreeMap, BTreeSet};

const ALL: [bool; 12] = [true; 12];

fn parts(due: &[Partition]) -> Vec<u32> {
    due.iter().map(|part| part.part()).collect()
}

/// One run, to its end.
fn run(cycle: Cycle, now_ms: i64, has_blocks: &[bool]) -> (Cycle, Vec<u32>) {
    let (mut cycle, due) = cycle.run(now_ms, has_blocks);
    cycle.read(&due);
    (cycle, parts(&due))
}

fn occupied(blocks: &BlockSet, of: u32) -> Vec<bool> {
    Partition::occupied(blocks, of)
}

#[test]
fn after_as_many_daily_runs_as_days_every_block_was_read_also_with_churn() {
    let mut cycle = Cycle::beginning(7, 0).unwrap();
    let always = BlockSet::from(BlockRange::new(BlockIndex::ZERO, 3_000));
    let mut read = BlockSet::new();
    for day in 0..7 {
        let come_and_gone =
            BlockSet::from(BlockRange::new(BlockIndex::new(3_000), 100 * u32::try_from(day).unwrap()));
        let blocks = &always | &come_and_gone;
        let (now, due) = cycle.run(day * DAY_MS, &occupied(&blocks, 7));
        cycle = now;
        for part in &due {
            read = &read | &part.within(&blocks);
        }
        cycle.read(&due);
    }
    assert!((&always - &read).is_empty());
    assert_eq!(cycle.run(7 * DAY_MS, &ALL[..7]).0.done().count(), 0, "the next one begins");
}

#[test]
fn a_day_without_a_run_is_made_up_for() {
    let mut cycle = Cycle::beginning(5, 0).unwrap();
    let mut runs = Vec::new();
    for day in [0, 1, 3, 4] {
        let due;
        (cycle, due) = run(cycle, day * DAY_MS + 5_000, &ALL[..5]);
        runs.push(due);
    }
    assert_eq!(runs, [vec![1], vec![2], vec![3, 4], vec![5]]);
}

#[test]
fn a_run_that_failed_owes_its_part_to_the_next_one() {
    let cycle = Cycle::beginning(3, 0).unwrap();
    let (cycle, due) = cycle.run(0, &ALL[..3]);
    assert_eq!(parts(&due), [1]);
    let (cycle, due) = run(cycle, DAY_MS, &ALL[..3]);
    assert_eq!(due, [1, 2]);
    assert_eq!(parts(&cycle.run(DAY_MS, &ALL[..3]).1), [3], "more runs than days read ahead");
}

#[test]
fn a_part_without_blocks_is_done_at_once_and_the_run_reads_the_next_that_has_some() {
    let has_blocks = [false, true, false, false, true, false];
    let cycle = Cycle::beginning(6, 0).unwrap();
    let (cycle, first) = run(cycle, 0, &has_blocks);
    let (cycle, second) = run(cycle, DAY_MS, &has_blocks);
    assert_eq!((first, second), (vec![1, 2], vec![3, 4, 5, 6]), "and what is left without blocks is done");
    let (next, third) = run(cycle, 2 * DAY_MS, &has_blocks);
    assert_eq!((third, next.started_ms()), (vec![1, 2], 2 * DAY_MS), "a cycle that is through begins anew");
}

#[test]
fn a_cycle_whose_last_blocks_went_away_begins_anew_and_reads_what_there_is() {
    let cycle = Cycle::beginning(3, 0).unwrap();
    let (cycle, _) = run(cycle, 0, &[true, true, true]);
    let (cycle, due) = run(cycle, DAY_MS, &[true, false, false]);
    assert_eq!((due, cycle.started_ms()), (vec![1, 2, 3], DAY_MS));
    let (cycle, due) = cycle.run(2 * DAY_MS, &[false, false, false]);
    assert_eq!(
        (parts(&due), cycle.started_ms()),
        (vec![1, 2, 3], 2 * DAY_MS),
        "of nothing nothing can be read"
    );
}

#[test]
fn a_cycle_is_remembered_as_it_was() {
    let mut cycle = Cycle::beginning(4, 99).unwrap();
    cycle.read(&[Partition::new(2, 4).unwrap()]);
    let remembered = Cycle::remembered(cycle.days(), cycle.started_ms(), cycle.done()).unwrap();
    assert_eq!(remembered, cycle);
    assert!(Cycle::remembered(4, 0, [5]).is_none() && Cycle::remembered(4, 0, [0]).is_none());
    assert!(Cycle::beginning(0, 0).is_none());
}

/// The stripes of 16 blocks that a naive run reads: of the open parts in their order as many as are owed, passing over
/// those without blocks.
fn naive(open: &BTreeSet<u32>, owed: usize, stripes: &BTreeSet<u32>, of: u32) -> BTreeSet<u32> {
    let has = |part: u32| stripes.iter().any(|stripe| stripe % of == part - 1);
    let mut chosen = BTreeSet::new();
    for part in open {
        if chosen.len() >= owed && chosen.iter().any(|part| has(*part)) {
            break;
        }
        chosen.insert(*part);
    }
    chosen.retain(|part| has(*part));
    chosen
}

#[test]
fn every_cycle_covers_every_block_and_no_run_reads_nothing_while_there_are_blocks() {
    for seed in 0..u64::from(crate::block::tests::cases(20).cases) * 10 {
        let mut numbers = fastrand::Rng::with_seed(seed);
        let of = numbers.u32(1..12);
        let mut cycle = Cycle::beginning(of, 0).unwrap();
        // Blocks that are always there, by stripe, and those that come and go.
        let always: BTreeSet<u32> = (0..numbers.u32(0..6)).map(|_| numbers.u32(0..40)).collect();
        let comes_and_goes = numbers.bool();
        let (mut now, mut read) = (0, BTreeSet::new());
        let mut runs_of: BTreeMap<i64, u32> = BTreeMap::new();
        for _ in 0..40 {
            let mut stripes = always.clone();
            if comes_and_goes {
                stripes.extend((0..numbers.u32(0..4)).map(|_| numbers.u32(0..40)));
            }
            let blocks: BlockSet =
                stripes.iter().map(|stripe| BlockIndex::new(stripe * 16 + numbers.u32(0..16))).collect();
            let before = cycle.clone();
            let (after, due) = cycle.run(now, &occupied(&blocks, of));
            let fresh: BTreeSet<u32> = (1..=of).collect();
            if after.started_ms() != before.started_ms() {
                // What was there all the time was read in the cycle that ends here.
                assert!(before.done().count() == 0 || always.is_subset(&read), "seed {seed}");
                read.clear();
            }
            let done: BTreeSet<u32> = after.done().collect();
            let open: BTreeSet<u32> = fresh.difference(&done).copied().collect();
            let day = u32::try_from((now - after.started_ms()) / DAY_MS).unwrap();
            let owed = open.iter().filter(|part| **part <= day + 1).count().max(1);
            let chosen: BTreeSet<u32> =
                due.iter().filter(|part| !part.within(&blocks).is_empty()).map(|part| part.part()).collect();
            assert_eq!(chosen, naive(&open, owed, &stripes, of), "seed {seed}");
            assert_eq!(chosen.is_empty(), stripes.is_empty(), "a run that reads nothing, seed {seed}");
            cycle = after;
            // Some runs are cut off, and remember nothing.
            if numbers.u32(0..5) > 0 {
                read.extend(stripes.iter().filter(|stripe| chosen.contains(&(*stripe % of + 1))));
                cycle.read(&due);
                *runs_of.entry(cycle.started_ms()).or_default() += 1;
            }
            now += DAY_MS * i64::from(numbers.u32(0..3)) + 5_000;
        }
        assert!(runs_of.values().all(|runs| *runs <= of), "no cycle takes more runs than days, seed {seed}");
    }
}

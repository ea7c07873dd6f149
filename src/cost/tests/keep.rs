//! The cheapest set against all sets.

use super::world::{World, compare, map};
use crate::cost::keep::{Wanted, cheapest};
use crate::cost::{Survey, Versions};
use proptest::collection::vec;
use proptest::prelude::*;

/// A chain of snapshots: before each of them some blocks are written and some are freed.
fn chain(steps: &[Vec<(bool, u32, u32)>]) -> Versions {
    let mut world = World::default();
    let volume = world.blank_volume();
    for step in steps {
        for (frees, at, len) in step {
            if *frees { world.free(volume, *at, *len) } else { world.write(volume, *at, *len) }
        }
        world.snapshot(volume);
    }
    versions(&world)
}

fn versions(world: &World) -> Versions {
    let seen = world.seen();
    let all = seen.iter().map(|taken| taken.kin.clone()).collect();
    let holdings =
        Survey::all(all, 100).run(|first, second| compare(&seen[first], &seen[second]), |at| map(&seen[at]));
    holdings.lineages.into_iter().next().unwrap().versions
}

fn fulfils(set: &[usize], times: &[i64], must: &[bool], wanted: &Wanted) -> bool {
    let last = times.len() - 1;
    let near = |gap: i64| {
        let mut before = 0;
        set.iter().all(|at| {
            let is_near = times[*at] - times[before] <= gap;
            before = *at;
            is_near
        })
    };
    set.last() == Some(&last)
        && (0..times.len()).all(|at| !must[at] || set.contains(&at))
        && wanted.count.is_none_or(|count| set.len() == count.clamp(1, times.len()))
        && wanted.max_gap.is_none_or(near)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..crate::block::tests::cases(200) })]

    #[test]
    fn no_set_costs_less(
        steps in vec(vec((any::<bool>(), 0..12_u32, 1..6_u32), 0..4), 1..=9),
        gaps in vec(1..5_i64, 9), must in vec(0..6_u8, 9),
        count in proptest::option::of(1..10_usize), max_gap in proptest::option::of(1..12_i64),
        most_blocks in proptest::option::of(0..40_u64),
    ) {
        let versions = chain(&steps);
        prop_assert!(versions.is_chain());
        let n = versions.len();
        let times: Vec<i64> = gaps[..n].iter().scan(0, |time, gap| { *time += gap; Some(*time) }).collect();
        let must: Vec<bool> = must[..n].iter().map(|must| *must == 0).collect();
        let wanted = Wanted { count, max_gap, most_blocks };
        let sets = (1..1_usize << n).map(|mask| (0..n).filter(|at| mask >> at & 1 == 1).collect::<Vec<_>>());
        let fitting: Vec<(u64, Vec<usize>)> = sets
            .filter(|set| fulfils(set, &times, &must, &wanted))
            .map(|set| (versions.stored(&set), set))
            .filter(|(blocks, _)| most_blocks.is_none_or(|most| *blocks <= most))
            .collect();
        let longest = fitting.iter().map(|(_, set)| set.len()).max();
        let by_size = most_blocks.is_some() && count.is_none();
        let best = fitting.iter().filter(|(_, set)| !by_size || Some(set.len()) == longest).map(|(b, _)| *b).min();
        let found = cheapest(&versions, &times, &must, &wanted);
        prop_assert_eq!(found.as_ref().map(|kept| kept.blocks), best);
        if let Some(kept) = found {
            prop_assert!(kept.is_exact && fulfils(&kept.snapshots, &times, &must, &wanted), "{:?}", kept);
            prop_assert_eq!(versions.stored(&kept.snapshots), kept.blocks);
        }
    }
}

#[test]
fn a_tree_says_that_its_answer_is_a_guess_and_keeps_what_it_must() {
    let mut world = World::default();
    let first = world.blank_volume();
    world.write(first, 0, 10);
    world.snapshot(first);
    let second = world.volume_from(0);
    for at in 0..3 {
        world.write(first, at, 1);
        world.snapshot(first);
        world.write(second, at, 5);
        world.snapshot(second);
    }
    let versions = versions(&world);
    assert!(!versions.is_chain());
    let times: Vec<i64> = (0..7).collect();
    let mut must = vec![false; 7];
    must[2] = true;
    let kept = cheapest(&versions, &times, &must, &Wanted { count: Some(3), ..Wanted::default() }).unwrap();
    assert!(!kept.is_exact && kept.snapshots.len() == 3, "{kept:?}");
    assert!(kept.snapshots.contains(&2) && kept.snapshots.contains(&6), "{kept:?}");
    let impossible = Wanted { most_blocks: Some(1), ..Wanted::default() };
    assert_eq!(cheapest(&versions, &times, &must, &impossible), None);
}

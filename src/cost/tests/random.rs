//! Random worlds: trees, growth, frees, rewrites, copies, deletions.

use super::world::{Taken, World, compare, holders, map};
use crate::cost::{Holdings, Quality, Sight, Standing, Survey};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Act = (u8, u8, u8, u8);

/// Two to sixty snapshots, most of them of few volumes.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    vec((0..20_u8, any::<u8>(), 0..40_u8, 1..8_u8), 2..140)
}

fn world(acts: &[Act]) -> World {
    let mut world = World::default();
    let first = world.blank_volume();
    world.write(first, 0, 12);
    world.snapshot(first);
    for (act, whom, at, len) in acts {
        let (at, len) = (u32::from(*at), u32::from(*len));
        let left = world.left();
        let volume = usize::from(*whom) % world.n_volumes();
        let snapshot = (!left.is_empty()).then(|| left[usize::from(*whom) % left.len()]);
        match (act, snapshot) {
            (0..=4, _) => world.write(volume, at, len),
            (5, _) => world.free(volume, at, len),
            // Growth: blocks that were beyond the end.
            (6, _) => world.write(volume, at + 40, len),
            (7..=12, _) => drop(world.snapshot(volume)),
            (13, Some(snapshot)) => drop(world.volume_from(snapshot)),
            (14, Some(snapshot)) => drop(world.upon(snapshot, at, len)),
            (15, Some(snapshot)) => drop(world.copy(snapshot)),
            (16, _) => drop(world.blank_volume()),
            (17, _) => world.forget(volume),
            (18 | 19, Some(snapshot)) => world.delete(snapshot),
            _ => {}
        }
    }
    world
}

fn surveyed(seen: &[Taken], most: usize) -> Holdings {
    let all = seen.iter().map(|taken| taken.kin.clone()).collect();
    Survey::all(all, most).run(|first, second| compare(&seen[first], &seen[second]), |at| map(&seen[at]))
}

/// Attributed and unique blocks, one version at a time.
fn naive(seen: &[Taken]) -> Vec<(u64, u64)> {
    let mut figures = vec![(0, 0); seen.len()];
    for holders in holders(seen) {
        let first = *holders.first().unwrap();
        figures[first].0 += 1;
        figures[first].1 += u64::from(holders.len() == 1);
    }
    figures
}

/// The same as the model has it, with how sure it is; `None` where it is unknown.
fn figures(holdings: &Holdings) -> Vec<Option<(u64, u64, Quality)>> {
    let figure = |standing: &Standing| match *standing {
        Standing::Known { lineage, member, quality } => {
            let versions = &holdings.lineages[lineage].versions;
            Some((versions.attributed()[member], versions.unique()[member], quality))
        }
        Standing::Unknown(_) => None,
    };
    holdings.standing.iter().map(figure).collect()
}

/// Freed, moved and left over, for snapshots of any lineages.
fn freed(holdings: &Holdings, deleted: &BTreeSet<usize>) -> (u64, BTreeMap<usize, u64>, u64) {
    let (mut freed, mut moved, mut stored) = (0, BTreeMap::new(), 0);
    for lineage in &holdings.lineages {
        let (gone, kept): (Vec<_>, Vec<_>) =
            (0..lineage.members.len()).partition(|nth| deleted.contains(&lineage.members[*nth]));
        freed += lineage.versions.freed(&gone);
        stored += lineage.versions.stored(&kept);
        moved.extend(lineage.versions.moved(&gone).into_iter().map(|(nth, n)| (lineage.members[nth], n)));
    }
    (freed, moved, stored)
}

fn cases() -> ProptestConfig {
    // Counterexamples become examples here, not files.
    ProptestConfig { failure_persistence: None, ..crate::block::tests::cases(200) }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_model_is_the_naive_one(acts in acts(), deleted in vec(any::<u8>(), 0..12)) {
        let seen = world(&acts).seen();
        prop_assume!(!seen.is_empty());
        let holdings = surveyed(&seen, 1000);
        let (expected, holders) = (naive(&seen), holders(&seen));
        for (at, found) in figures(&holdings).into_iter().enumerate() {
            let (attributed, unique) = expected[at];
            prop_assert_eq!(found, Some((attributed, unique, Quality::Exact)), "snapshot {}", at);
        }
        let total: u64 = holdings.lineages.iter().map(|lineage| lineage.versions.total()).sum();
        prop_assert_eq!(total, holders.len() as u64);
        for (at, taken) in seen.iter().enumerate() {
            let Standing::Known { lineage, member, .. } = holdings.standing[at] else { unreachable!() };
            prop_assert_eq!(holdings.lineages[lineage].versions.full(member), taken.blocks.len() as u64);
        }

        let deleted: BTreeSet<usize> = deleted.iter().map(|at| usize::from(*at) % seen.len()).collect();
        let mut expected = (0, BTreeMap::new(), 0);
        for holders in &holders {
            let next = holders.iter().find(|holder| !deleted.contains(holder));
            expected.2 += u64::from(next.is_some());
            match next {
                None => expected.0 += 1,
                Some(next) if deleted.contains(holders.first().unwrap()) => {
                    *expected.1.entry(*next).or_insert(0) += 1;
                }
                Some(_) => {}
            }
        }
        prop_assert_eq!(freed(&holdings, &deleted), expected);
    }

    #[test]
    fn deleting_together_frees_no_less_than_one_by_one(acts in acts(), a in vec(any::<u8>(), 0..6), b in vec(any::<u8>(), 0..6)) {
        let seen = world(&acts).seen();
        prop_assume!(!seen.is_empty());
        let holdings = surveyed(&seen, 1000);
        let pick = |from: &[u8]| from.iter().map(|at| usize::from(*at) % seen.len()).collect::<BTreeSet<_>>();
        let (a, b) = (pick(&a), pick(&b));
        let b: BTreeSet<usize> = b.difference(&a).copied().collect();
        let both: BTreeSet<usize> = a.union(&b).copied().collect();
        let freed = |deleted| freed(&holdings, deleted).0;
        prop_assert!(freed(&both) >= freed(&a) + freed(&b));
        let bill: u64 = holdings.lineages.iter().map(|lineage| lineage.versions.total()).sum();
        prop_assert!(freed(&both) <= bill);
    }

    /// Deleted is as if it had never been surveyed: the figures that were predicted are those that are then found,
    /// and survivors have the blocks that they had.
    #[test]
    fn what_is_predicted_comes_true(acts in acts(), deleted in vec(any::<u8>(), 1..8)) {
        let mut world = world(&acts);
        let before = world.left();
        prop_assume!(!before.is_empty());
        let holdings = surveyed(&world.seen(), 1000);
        let gone: BTreeSet<usize> = deleted.iter().map(|at| usize::from(*at) % before.len()).collect();
        let (_, moved, stored) = freed(&holdings, &gone);
        gone.iter().for_each(|at| world.delete(before[*at]));
        let after = surveyed(&world.seen(), 1000);
        let total: u64 = after.lineages.iter().map(|lineage| lineage.versions.total()).sum();
        prop_assert_eq!(total, stored);
        let full = |holdings: &Holdings, at: usize| match holdings.standing[at] {
            Standing::Known { lineage, member, .. } => holdings.lineages[lineage].versions.full(member),
            Standing::Unknown(_) => unreachable!(),
        };
        let billed = |holdings: &Holdings, at: usize| figures(holdings)[at].unwrap().0;
        let survivors = (0..before.len()).filter(|at| !gone.contains(at));
        for (now, was) in survivors.enumerate() {
            prop_assert_eq!(full(&after, now), full(&holdings, was));
            let expected = billed(&holdings, was) + moved.get(&was).copied().unwrap_or(0);
            prop_assert_eq!(billed(&after, now), expected);
        }
    }

    /// Whatever is asked for, the figures are those of the whole account.
    #[test]
    fn a_part_is_modelled_as_the_whole_is(acts in acts(), wanted in vec(any::<bool>(), 1..8)) {
        let seen = world(&acts).seen();
        let all: Vec<_> = seen.iter().map(|taken| taken.kin.clone()).collect();
        let wanted: Vec<bool> = (0..all.len()).map(|at| wanted[at % wanted.len()]).collect();
        let survey = Survey::new(all, wanted.clone(), 1000);
        let holdings =
            survey.run(|first, second| compare(&seen[first], &seen[second]), |at| map(&seen[at]));
        let expected = naive(&seen);
        for (at, found) in figures(&holdings).into_iter().enumerate().filter(|(at, _)| wanted[*at]) {
            let (attributed, unique) = expected[at];
            prop_assert_eq!(found, Some((attributed, unique, Quality::Exact)), "snapshot {}", at);
        }
    }

    /// With few comparisons, hidden snapshots and refused listings: what is called exact is, what is called at
    /// most is no less than it is, and the rest is unknown.
    #[test]
    fn doubt_never_understates(
        acts in acts(), most in 1..4_usize, hidden in vec(any::<u8>(), 0..3), refused in vec(any::<u8>(), 0..3),
    ) {
        let mut world = world(&acts);
        let left = world.left();
        prop_assume!(!left.is_empty());
        refused.iter().for_each(|at| world.refuse(left[usize::from(*at) % left.len()]));
        hidden.iter().for_each(|at| world.hide(left[usize::from(*at) % left.len()]));
        let seen = world.seen();
        let holdings = surveyed(&seen, most);
        for (at, (found, (attributed, unique))) in figures(&holdings).into_iter().zip(naive(&seen)).enumerate() {
            match found {
                None => {}
                Some((a, u, Quality::Exact)) => prop_assert_eq!((a, u), (attributed, unique), "snapshot {}", at),
                Some((a, u, _)) => prop_assert!(a >= attributed && u >= unique, "snapshot {}", at),
            }
            prop_assert!(found.is_none() || seen[at].kin.sight == Sight::Open);
        }
    }
}

//! `BlockSet` against a `BTreeSet`, over runs that cross words and chunks.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

type Naive = BTreeSet<u32>;

/// Starts near the borders of words and chunks, where mistakes live, as well as anywhere.
fn run() -> impl Strategy<Value = (u32, u32)> {
    let start = prop_oneof![0..200_u32, 32_700..32_900_u32, 65_500..65_600_u32, 0..140_000_u32];
    let len = prop_oneof![1..70_u32, 1..3_u32, Just(32_768_u32), 30_000..40_000_u32];
    (start, len)
}

fn sets(runs: &[(u32, u32)]) -> (BlockSet, Naive) {
    let (mut set, mut naive) = (BlockSet::new(), Naive::new());
    for (start, len) in runs {
        set.insert_range(BlockRange::new(BlockIndex::new(*start), *len));
        naive.extend(*start..start + len);
    }
    (set, naive)
}

#[track_caller]
fn assert_same(set: &BlockSet, naive: &Naive) {
    assert_eq!(set.len(), naive.len() as u64);
    assert!(set.iter().map(BlockIndex::get).eq(naive.iter().copied()));
    assert_eq!(set.last().map(BlockIndex::get), naive.last().copied());
    // Built one by one, it is the same value: the representation is canonical.
    assert_eq!(*set, naive.iter().map(|index| BlockIndex::new(*index)).collect());
}

proptest! {
    #![proptest_config(crate::block::tests::cases(24))]

    #[test]
    fn algebra_is_that_of_a_plain_set(a in vec(run(), 0..5), b in vec(run(), 0..5)) {
        let ((a, plain_a), (b, plain_b)) = (sets(&a), sets(&b));
        assert_same(&a, &plain_a);
        assert_same(&(&a | &b), &(&plain_a | &plain_b));
        assert_same(&(&a & &b), &(&plain_a & &plain_b));
        assert_same(&(&a - &b), &(&plain_a - &plain_b));
    }

    #[test]
    fn runs_in_a_range_are_the_runs_cut_to_it(
        runs in vec(run(), 0..5), start in 0..140_000_u32, len in 0..70_000_u32,
    ) {
        let (set, naive) = sets(&runs);
        let range = BlockRange::new(BlockIndex::new(start), len);
        let blocks: Vec<_> = set.ranges_in(range).flat_map(|run| run.iter()).map(BlockIndex::get).collect();
        prop_assert!(blocks.iter().eq(naive.range(start..start + len)));
        prop_assert_eq!(blocks.len() as u64, set.count_in(range));
    }

    #[test]
    fn inserts_and_removals_follow_a_plain_set(
        runs in vec(run(), 0..3),
        edits in vec((any::<bool>(), prop_oneof![0..130_u32, 32_760..32_780_u32, 0..140_000_u32]), 0..60),
    ) {
        let (mut set, mut naive) = sets(&runs);
        for (insert, index) in edits {
            let block = BlockIndex::new(index);
            if insert {
                prop_assert_eq!(set.insert(block), naive.insert(index));
            } else {
                prop_assert_eq!(set.remove(block), naive.remove(&index));
            }
            prop_assert_eq!(set.contains(block), naive.contains(&index));
        }
        assert_same(&set, &naive);
    }

    #[test]
    fn runs_are_maximal_and_searches_agree(
        runs in vec(run(), 0..5), from in 0..150_000_u32, len in 0..70_000_u32,
    ) {
        let (set, naive) = sets(&runs);
        let found: Vec<_> = set.ranges().collect();
        prop_assert!(found.windows(2).all(|pair| pair[0].end() < pair[1].start().get()));
        prop_assert_eq!(found.iter().map(|range| u64::from(range.len())).sum::<u64>(), set.len());
        let at = BlockIndex::new(from);
        prop_assert_eq!(set.next_from(at).map(BlockIndex::get), naive.range(from..).next().copied());
        let range = BlockRange::new(at, len);
        prop_assert_eq!(set.count_in(range), naive.range(from..from + len).count() as u64);
    }
}

#[test]
fn the_worst_64_tib_set_takes_16_mib() {
    let bitmaps = (1_u64 << 27) / u64::from(CHUNK_BLOCKS) * size_of::<[u64; WORDS]>() as u64;
    assert_eq!(bitmaps, 16 << 20);
}

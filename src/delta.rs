//! What differs between block maps.
//!
//! Pure set work: a [`Delta`] is three disjoint sets, built from a change listing or from two maps, and
//! [`churn`] tells which blocks a chain of deltas touches most. "Changed" means *written* (recorded live): a block
//! rewritten with the same bytes is in the delta; whether bytes differ is a second question, for those who read.

use crate::block::{BlockIndex, BlockRange, BlockSet};
use std::cmp::Ordering;
use std::iter::Peekable;

/// Blocks that differ between a first and a second snapshot. The three sets are disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Allocated in the first, absent from the second.
    pub only_in_first: BlockSet,
    /// Absent from the first, allocated in the second.
    pub only_in_second: BlockSet,
    /// Allocated in both, written in between.
    pub in_both: BlockSet,
}

impl Delta {
    /// Adds one changed block; `first` and `second` say where it is allocated.
    ///
    /// # Panics
    /// When it is in neither: such a block has not changed.
    pub fn insert(&mut self, index: BlockIndex, first: bool, second: bool) {
        let set = match (first, second) {
            (true, true) => &mut self.in_both,
            (true, false) => &mut self.only_in_first,
            (false, true) => &mut self.only_in_second,
            (false, false) => panic!("block {index} is in neither snapshot"),
        };
        set.insert(index);
    }

    /// Number of changed blocks.
    pub fn len(&self) -> u64 {
        self.only_in_first.len() + self.only_in_second.len() + self.in_both.len()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All changed blocks.
    pub fn changed(&self) -> BlockSet {
        &(&self.only_in_first | &self.only_in_second) | &self.in_both
    }
}

/// One index of two ascending maps put side by side: what each of them has there, at least one of them something.
pub type Pair<V> = (BlockIndex, Option<V>, Option<V>);

/// Walks two ascending block maps side by side: every index that either has, once, ascending.
pub fn side_by_side<V>(
    first: impl IntoIterator<Item = (BlockIndex, V)>,
    second: impl IntoIterator<Item = (BlockIndex, V)>,
) -> impl Iterator<Item = Pair<V>> {
    SideBySide { first: first.into_iter().peekable(), second: second.into_iter().peekable() }
}

struct SideBySide<A: Iterator, B: Iterator> {
    first: Peekable<A>,
    second: Peekable<B>,
}

impl<V, A, B> Iterator for SideBySide<A, B>
where
    A: Iterator<Item = (BlockIndex, V)>,
    B: Iterator<Item = (BlockIndex, V)>,
{
    type Item = Pair<V>;

    fn next(&mut self) -> Option<Pair<V>> {
        let order = match (self.first.peek(), self.second.peek()) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let first = if order.is_le() { self.first.next() } else { None };
        let second = if order.is_ge() { self.second.next() } else { None };
        let index = first.as_ref().or(second.as_ref())?.0;
        Some((index, first.map(|(_, value)| value), second.map(|(_, value)| value)))
    }
}

/// A run of blocks that a chain of deltas changed equally often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Churn {
    /// The blocks.
    pub range: BlockRange,
    /// In how many steps of the chain each of them changed.
    pub times: u32,
}

/// The runs changed most often over the steps of a chain: by times changed, then length, then position.
/// Runs changed once are left out: over one step everything is.
pub fn churn(steps: &[BlockSet], most: usize) -> Vec<Churn> {
    // at_least[k] holds the blocks seen in k + 1 of the steps so far.
    let mut at_least: Vec<BlockSet> = Vec::new();
    for step in steps {
        at_least.push(BlockSet::new());
        for k in (1..at_least.len()).rev() {
            at_least[k] = &at_least[k] | &(&at_least[k - 1] & step);
        }
        at_least[0] = &at_least[0] | step;
    }
    at_least.push(BlockSet::new());
    let mut runs = Vec::new();
    for (k, pair) in at_least.windows(2).enumerate().skip(1).rev() {
        let times = u32::try_from(k + 1).unwrap_or(u32::MAX);
        let exactly = &pair[0] - &pair[1];
        let mut level: Vec<_> = exactly.ranges().map(|range| Churn { range, times }).collect();
        level.sort_by_key(|churn| (std::cmp::Reverse(churn.range.len()), churn.range.start()));
        runs.append(&mut level);
        if runs.len() >= most {
            break;
        }
    }
    runs.truncate(most);
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn set(indexes: &[u32]) -> BlockSet {
        indexes.iter().map(|index| BlockIndex::new(*index)).collect()
    }

    proptest! {
        #![proptest_config(crate::block::tests::cases(64))]

        #[test]
        fn side_by_side_is_the_outer_join(
            a in btree_map(0..40_u32, 0..3_u8, 0..30), b in btree_map(0..40_u32, 0..3_u8, 0..30),
        ) {
            let walk = |map: &BTreeMap<u32, u8>| {
                map.iter().map(|(index, value)| (BlockIndex::new(*index), *value)).collect::<Vec<_>>()
            };
            let joined: Vec<_> = side_by_side(walk(&a), walk(&b)).collect();
            let naive: Vec<_> = (0..40)
                .filter(|index| a.contains_key(index) || b.contains_key(index))
                .map(|index| (BlockIndex::new(index), a.get(&index).copied(), b.get(&index).copied()))
                .collect();
            prop_assert_eq!(joined, naive);
        }

        #[test]
        fn churn_counts_like_a_tally(steps in vec(vec(0..30_u32, 0..12), 0..6)) {
            let sets: Vec<_> = steps.iter().map(|step| set(step)).collect();
            let found = churn(&sets, usize::MAX);
            for index in 0..30 {
                let block = BlockIndex::new(index);
                let times = sets.iter().filter(|set| set.contains(block)).count();
                let run = found.iter().find(|run| run.range.contains(block));
                prop_assert_eq!(run.map_or(0, |run| run.times as usize), if times > 1 { times } else { 0 });
            }
            prop_assert!(found.is_sorted_by_key(|run| std::cmp::Reverse(run.times)));
        }
    }

    #[test]
    fn a_delta_sorts_blocks_by_where_they_are_allocated() {
        let mut delta = Delta::default();
        delta.insert(BlockIndex::new(1), true, false);
        delta.insert(BlockIndex::new(2), false, true);
        delta.insert(BlockIndex::new(3), true, true);
        assert_eq!((delta.only_in_first.clone(), delta.only_in_second.clone()), (set(&[1]), set(&[2])));
        assert_eq!((delta.in_both.clone(), delta.changed(), delta.len()), (set(&[3]), set(&[1, 2, 3]), 3));
    }
}

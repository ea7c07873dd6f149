//! In which order blocks are read: the hottest first.
//!
//! Blocks come in ranks. All of a rank are read before any of the next, and within a rank in order of their index, so
//! that what a budget of b blocks reads is known beforehand: the first b of [`Ranked`].

use crate::block::{BlockIndex, BlockRange, BlockSet};
use std::sync::Arc;

/// Blocks in the order in which they are to be read, each once. Cloning shares them: of the largest volumes a set may
/// take 16 MiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranked {
    ranks: Vec<Arc<BlockSet>>,
}

impl Ranked {
    /// All in order of their index.
    pub(super) fn by_index(blocks: Arc<BlockSet>) -> Self {
        Self { ranks: vec![blocks] }
    }

    /// First what the newest change wrote, then what the one before it did; last what none of them did. `changes`
    /// are the newest first.
    pub(super) fn by_recency(blocks: &BlockSet, changes: &[BlockSet]) -> Self {
        Self::first(blocks, changes.iter().cloned())
    }

    /// First the blocks of these ranges, in their order; then the rest.
    pub(super) fn by_ranges(blocks: &BlockSet, ranges: &[BlockRange]) -> Self {
        Self::first(blocks, joined(ranges))
    }

    fn first(blocks: &BlockSet, wanted: impl Iterator<Item = BlockSet>) -> Self {
        let (mut ranks, mut left) = (Vec::new(), blocks.clone());
        for wanted in wanted {
            let rank = &wanted & &left;
            if !rank.is_empty() {
                left = &left - &rank;
                ranks.push(Arc::new(rank));
            }
        }
        ranks.push(Arc::new(left));
        Self { ranks }
    }

    /// All of them.
    pub(super) fn all(&self) -> Arc<BlockSet> {
        match &self.ranks[..] {
            [all] => all.clone(),
            ranks => Arc::new(ranks.iter().fold(BlockSet::new(), |all, rank| &all | rank)),
        }
    }

    /// How many.
    pub(super) fn len(&self) -> u64 {
        self.ranks.iter().map(|rank| rank.len()).sum()
    }

    /// The first so many of them.
    pub(super) fn hottest(self, most: u64) -> Self {
        let mut left = most;
        let ranks = self.ranks.into_iter().map(|rank| {
            let kept = if rank.len() <= left { rank } else { Arc::new(first_of(&rank, left)) };
            left -= kept.len();
            kept
        });
        Self { ranks: ranks.collect() }
    }

    /// Those that are not in the set, in the same order.
    pub(super) fn without(&self, done: &BlockSet) -> Self {
        if done.is_empty() {
            return self.clone();
        }
        Self { ranks: self.ranks.iter().map(|rank| Arc::new(rank.as_ref() - done)).collect() }
    }

    /// One after the other.
    pub(super) fn into_iter(self) -> impl Iterator<Item = BlockIndex> + Send {
        self.ranks.into_iter().flat_map(|rank| {
            let mut from = Some(BlockIndex::ZERO);
            std::iter::from_fn(move || {
                let index = rank.next_from(from?)?;
                from = index.next();
                Some(index)
            })
        })
    }
}

/// Ranges as sets, neighbours in ascending order as one: a file of single blocks must not become a million ranks.
fn joined(ranges: &[BlockRange]) -> impl Iterator<Item = BlockSet> {
    let mut ranges = ranges.iter().peekable();
    std::iter::from_fn(move || {
        let first = ranges.next()?;
        let (mut set, mut end) = (BlockSet::from(*first), first.end());
        while let Some(next) = ranges.next_if(|next| next.start().get() >= end) {
            set.insert_range(*next);
            end = next.end();
        }
        Some(set)
    })
}

fn first_of(set: &BlockSet, mut n: u64) -> BlockSet {
    let mut first = BlockSet::new();
    for range in set.ranges() {
        let take = u32::try_from(n).unwrap_or(u32::MAX).min(range.len());
        first.insert_range(BlockRange::new(range.start(), take));
        n -= u64::from(take);
        if n == 0 {
            break;
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn set(indexes: &[u32]) -> BlockSet {
        indexes.iter().map(|index| BlockIndex::new(*index)).collect()
    }

    fn numbers(ranked: Ranked) -> Vec<u32> {
        ranked.into_iter().map(BlockIndex::get).collect()
    }

    #[test]
    fn what_changed_last_comes_first_and_nothing_twice() {
        let changes = [set(&[7, 9, 100]), set(&[2, 9])];
        let ranked = Ranked::by_recency(&set(&[1, 2, 7, 8, 9]), &changes);
        assert_eq!(numbers(ranked.clone()), [7, 9, 2, 1, 8]);
        assert_eq!(numbers(ranked.without(&set(&[9, 1]))), [7, 2, 8]);
    }

    #[test]
    fn ranges_come_as_they_are_written_and_the_rest_after_them() {
        let range = |start, len| BlockRange::new(BlockIndex::new(start), len);
        let ranges = [range(50, 3), range(60, 1), range(10, 2), range(51, 1)];
        let ranked = Ranked::by_ranges(&set(&[0, 10, 11, 50, 51, 60, 70]), &ranges);
        assert_eq!(numbers(ranked), [50, 51, 60, 10, 11, 0, 70]);
    }

    proptest! {
        #![proptest_config(crate::block::tests::cases(64))]

        #[test]
        fn a_budget_reads_exactly_the_hottest(
            blocks in vec(0..200_u32, 0..100), changes in vec(vec(0..200_u32, 0..60), 0..4), budget in 0..120_u64,
        ) {
            let blocks = set(&blocks);
            let changes: Vec<_> = changes.iter().map(|change| set(change)).collect();
            // Naively: how many changes ago each block was written, and then its index.
            let heat = |index: &BlockIndex| {
                let ago = changes.iter().position(|change| change.contains(*index));
                (ago.unwrap_or(usize::MAX), index.get())
            };
            let mut hottest: Vec<_> = blocks.iter().collect();
            hottest.sort_by_key(heat);
            hottest.truncate(usize::try_from(budget).unwrap());
            let ranked = Ranked::by_recency(&blocks, &changes).hottest(budget);
            prop_assert_eq!(ranked.len(), hottest.len() as u64);
            let all: BlockSet = hottest.iter().copied().collect();
            prop_assert_eq!(BlockSet::clone(&ranked.all()), all);
            prop_assert_eq!(ranked.into_iter().collect::<Vec<_>>(), hottest);
        }
    }
}

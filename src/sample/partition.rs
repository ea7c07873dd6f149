//! Covering everything in so many runs.

use crate::block::{BlockIndex, BlockRange, BlockSet};
use std::fmt;
use std::str::FromStr;

/// Adjacent blocks that are always in one part: 8 MiB, so that a part is still read in long strides.
const STRIPE: u32 = 16;

/// One of several parts of a volume. A block's part depends on its index alone, so parts stay what they are while
/// blocks come and go, and together they are everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    part: u32,
    of: u32,
}

/// A text that names no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a part: expected PART/PARTS from 1/1 on, as in 3/30, at most 10000 parts")]
pub struct PartitionError(String);

impl Partition {
    /// Most parts there are: more would leave less than a stripe of a small volume for each.
    pub const MOST: u32 = 10_000;

    /// The `part`-th of `of`, counted from 1.
    pub fn new(part: u32, of: u32) -> Option<Self> {
        (part >= 1 && part <= of && of <= Self::MOST).then_some(Self { part, of })
    }

    /// Which one, from 1.
    pub fn part(self) -> u32 {
        self.part
    }

    /// Of how many.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Whether the block is in this part.
    pub fn contains(self, index: BlockIndex) -> bool {
        index.get() / STRIPE % self.of == self.part - 1
    }

    /// The part that a block is in, of so many; `None` where there cannot be so many.
    pub fn holding(index: BlockIndex, of: u32) -> Option<Self> {
        Self::new((index.get() / STRIPE).checked_rem(of)? + 1, of)
    }

    /// One block of each stripe that a range of blocks touches: which parts it is in follows from these. Parts come again
    /// after [`MOST`](Self::MOST) stripes at the latest, so there are never more.
    pub fn stripes(start: u32, len: u32) -> impl Iterator<Item = u32> {
        let end = u64::from(start) + u64::from(len);
        let stripes = u64::from(start) / u64::from(STRIPE)..end.div_ceil(u64::from(STRIPE));
        let first =
            move |stripe: u64| u32::try_from(stripe * u64::from(STRIPE)).unwrap_or(u32::MAX).max(start);
        stripes.take(Self::MOST as usize).map(first)
    }

    /// Returns of each of so many parts, from the first on, whether it has blocks of the population.
    pub fn occupied(population: &BlockSet, of: u32) -> Vec<bool> {
        let mut occupied = vec![false; of as usize];
        let mut n_empty = occupied.len();
        for range in population.ranges() {
            let (first, last) = (range.start().get() / STRIPE, (range.end() - 1) / STRIPE);
            // More stripes than parts name every part.
            for stripe in (first..=last).take(of as usize) {
                n_empty -= usize::from(!std::mem::replace(&mut occupied[(stripe % of) as usize], true));
            }
            if n_empty == 0 {
                break;
            }
        }
        occupied
    }

    /// The blocks of the population that are in this part.
    pub fn within(self, population: &BlockSet) -> BlockSet {
        let Some(last) = population.last() else { return BlockSet::new() };
        let mut stripes = BlockSet::new();
        for stripe in (self.part - 1..=last.get() / STRIPE).step_by(self.of as usize) {
            stripes.insert_range(BlockRange::new(BlockIndex::new(stripe * STRIPE), STRIPE));
        }
        &stripes & population
    }
}

impl FromStr for Partition {
    type Err = PartitionError;

    fn from_str(text: &str) -> Result<Self, PartitionError> {
        text.split_once('/')
            .and_then(|(part, of)| Self::new(part.parse().ok()?, of.parse().ok()?))
            .ok_or_else(|| PartitionError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::block::tests::cases(24))]

        #[test]
        fn parts_are_disjoint_and_together_everything(
            indexes in proptest::collection::btree_set(0..4_000_u32, 0..200), of in 1..40_u32,
        ) {
            let population: BlockSet = indexes.iter().map(|index| BlockIndex::new(*index)).collect();
            let mut seen = BlockSet::new();
            for part in 1..=of {
                let partition = Partition::new(part, of).unwrap();
                let within = partition.within(&population);
                prop_assert!((&within & &seen).is_empty());
                prop_assert!(within.iter().all(|index| partition.contains(index)));
                let occupied = Partition::occupied(&population, of);
                prop_assert_eq!((occupied.len(), occupied[part as usize - 1]), (of as usize, !within.is_empty()));
                seen = &seen | &within;
            }
            prop_assert_eq!(seen, population);
        }
    }

    #[test]
    fn parts_are_typed_from_one_on() {
        assert_eq!("3/30".parse::<Partition>().unwrap().to_string(), "3/30");
        for bad in ["", "3", "0/3", "4/3", "1/0", "1/10001", "a/b", "1/2/3", "-1/3"] {
            assert!(bad.parse::<Partition>().is_err(), "{bad}");
        }
    }
}

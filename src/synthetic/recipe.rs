//! What a volume made of numbers holds.
//!
//! A generation cuts the volume into strata of so many blocks and writes one block of each, chosen by the seed. So
//! the next block that it wrote is found at once, however far away. A block is never taken back: whatever one
//! generation has, the later ones have.

use crate::block::{BlockIndex, BlockSize, Geometry, GiB};
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

/// Of eight writes one is of zeros.
const ZEROS: u64 = 8;

/// Of four rewrites one changes nothing.
const IDENTICAL: u64 = 4;

/// A volume and its generations, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// Makes volumes differ.
    pub seed: u64,
    /// Size of the volume.
    pub size: GiB,
    /// Generation 0 writes one block of every so many; 1 fills the volume.
    pub first: NonZeroU32,
    /// Every later generation writes one block of every so many, present or not.
    pub edits: NonZeroU32,
}

/// A write of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    /// The block.
    pub index: BlockIndex,
    /// The generation that wrote it.
    pub generation: u32,
}

impl Recipe {
    /// The volume in blocks.
    pub fn geometry(&self) -> Geometry {
        Geometry::ebs(self.size)
    }

    /// The first block at or after `from` that this very generation wrote.
    pub fn written(&self, generation: u32, from: BlockIndex) -> Option<BlockIndex> {
        let (every, n_blocks) = (self.every(generation), self.geometry().n_blocks());
        let mut start = from.get() / every * every;
        while start < n_blocks {
            // The last stratum may be cut short: it has its one block all the same.
            let len = every.min(n_blocks - start);
            let index = start + self.dice(generation, start, u64::MAX).below(len);
            if index >= from.get() {
                return Some(BlockIndex::new(index));
            }
            start = start.checked_add(every)?;
        }
        None
    }

    /// The write that a generation shows of a block; `None` where the block is absent.
    pub fn last_write(&self, generation: u32, index: BlockIndex) -> Option<Write> {
        let found = (0..=generation).rev().find(|at| self.written(*at, index) == Some(index));
        found.map(|generation| Write { index, generation })
    }

    /// The blocks of a generation at or after `from`, ascending, each as it was written last.
    pub fn blocks(&self, generation: u32, from: BlockIndex) -> impl Iterator<Item = Write> + use<> {
        let recipe = *self;
        let mut next: BinaryHeap<_> =
            (0..=generation).filter_map(|at| Some((Reverse(recipe.written(at, from)?), at))).collect();
        std::iter::from_fn(move || {
            let (Reverse(index), generation) = *next.peek()?;
            while let Some(&(Reverse(same), at)) = next.peek()
                && same == index
            {
                next.pop();
                let following = index.next().and_then(|from| recipe.written(at, from));
                next.extend(following.map(|following| (Reverse(following), at)));
            }
            Some(Write { index, generation })
        })
    }

    /// What a block holds in a generation; `None` where it is absent.
    pub fn content(&self, generation: u32, index: BlockIndex) -> Option<Bytes> {
        let mut write = self.last_write(generation, index)?;
        // A rewrite that changes nothing shows what was there before.
        while self.dice(write.generation, index.get(), 0).below_u64(IDENTICAL) == 0
            && let Some(before) = write.generation.checked_sub(1).and_then(|at| self.last_write(at, index))
        {
            write = before;
        }
        let mut bytes = vec![0; BlockSize::EBS.buffer_len()];
        if self.dice(write.generation, index.get(), 1).below_u64(ZEROS) != 0 {
            let base = self.dice(write.generation, index.get(), 2).0;
            for (word, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(0..) {
                *word = mixed(base.wrapping_add(number)).to_le_bytes();
            }
        }
        Some(bytes.into())
    }

    fn every(&self, generation: u32) -> u32 {
        if generation == 0 { self.first.get() } else { self.edits.get() }
    }

    /// A number that depends on everything and on nothing else.
    fn dice(&self, generation: u32, index: u32, purpose: u64) -> Dice {
        let place = u64::from(generation) << 32 | u64::from(index);
        Dice(mixed(mixed(mixed(self.seed) ^ place).wrapping_add(purpose)))
    }
}

struct Dice(u64);

impl Dice {
    /// A number below `end`, which is not 0.
    fn below(&self, end: u32) -> u32 {
        // The upper half of the product is below `end`.
        u32::try_from((u128::from(self.0) * u128::from(end)) >> 64).unwrap_or_default()
    }

    fn below_u64(&self, end: u64) -> u64 {
        self.0 % end
    }
}

/// SplitMix64's output function (Steele, Lea and Flood, 2014): every bit of the argument reaches every bit.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Digest, is_zero};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn recipe(seed: u64, gib: i64, first: u32, edits: u32) -> Recipe {
        let every = |every| NonZeroU32::new(every).unwrap();
        Recipe { seed, size: GiB::try_from(gib).unwrap(), first: every(first), edits: every(edits) }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_generation_is_the_one_before_with_its_writes_applied(
            seed in any::<u64>(), first in 1..3000_u32, edits in 1..3000_u32, from in 0..2048_u32,
        ) {
            let recipe = recipe(seed, 1, first, edits);
            let mut naive: BTreeMap<BlockIndex, u32> = BTreeMap::new();
            for generation in 0..4 {
                let writes: Vec<_> = recipe
                    .geometry()
                    .range()
                    .iter()
                    .filter(|index| recipe.written(generation, *index) == Some(*index))
                    .collect();
                let every = recipe.every(generation);
                prop_assert_eq!(writes.len(), 2048_u32.div_ceil(every) as usize, "one of every {}", every);
                naive.extend(writes.into_iter().map(|index| (index, generation)));
                let from = BlockIndex::new(from);
                let expected: Vec<_> =
                    naive.range(from..).map(|(index, generation)| Write { index: *index, generation: *generation }).collect();
                prop_assert_eq!(recipe.blocks(generation, from).collect::<Vec<_>>(), expected);
                for index in recipe.geometry().range().iter() {
                    let write = naive.get(&index).map(|generation| Write { index, generation: *generation });
                    prop_assert_eq!(recipe.last_write(generation, index), write);
                }
            }
        }
    }

    #[test]
    fn contents_are_zeros_changed_and_sometimes_rewritten_identically() {
        let recipe = recipe(7, 1, 16, 4);
        let (mut zeros, mut same, mut changed) = (0, 0, 0);
        for write in recipe.blocks(1, BlockIndex::ZERO).filter(|write| write.generation == 1).take(300) {
            let now = recipe.content(1, write.index).unwrap();
            zeros += u32::from(is_zero(&now));
            match recipe.content(0, write.index) {
                Some(before) if before == now => same += 1,
                Some(_) => changed += 1,
                None => {}
            }
        }
        assert!(zeros > 10 && same > 1 && changed > same, "{zeros} {same} {changed}");
    }

    #[test]
    fn the_numbers_mean_the_same_bytes_in_every_build() {
        let recipe = recipe(1, 1, 3, 5);
        let indexes: Vec<_> =
            recipe.blocks(2, BlockIndex::ZERO).take(6).map(|write| write.index.get()).collect();
        let write = recipe.blocks(2, BlockIndex::ZERO).next().unwrap();
        let digest = Digest::of(&recipe.content(2, write.index).unwrap()).to_string();
        assert_eq!((indexes.as_slice(), &digest[..16]), ([1, 2, 4, 8, 9, 11].as_slice(), "df3de825c256c609"));
    }

    #[test]
    fn a_volume_of_64_tib_is_looked_through_at_once() {
        let recipe = recipe(3, 65_536, 1 << 26, 1 << 25);
        assert_eq!(recipe.blocks(0, BlockIndex::ZERO).count(), 2);
        assert!((5..=10).contains(&recipe.blocks(2, BlockIndex::ZERO).count()));
        assert!(recipe.blocks(2, BlockIndex::new((1 << 27) - 1)).count() <= 1);
    }
}

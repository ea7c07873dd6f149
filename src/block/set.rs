//! Sets of blocks.
//!
//! A set is cut into chunks of 32,768 blocks (16 GiB of volume), each empty, full, or a bitmap of 4 KiB. A full
//! 64 TiB volume has 4,096 chunks, so the worst set of all takes 16 MiB, whatever its pattern; an empty or
//! contiguous one next to nothing. Algebra works on 64 blocks at a time.

use crate::block::{BlockIndex, BlockRange};
use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};

const CHUNK_BLOCKS: u32 = 32_768;
const WORDS: usize = CHUNK_BLOCKS as usize / 64;

type Bitmap = Box<[u64; WORDS]>;

/// Any set of block indexes.
#[derive(Clone, Default)]
pub struct BlockSet {
    /// Chunk `k` covers blocks `[k * CHUNK_BLOCKS, (k + 1) * CHUNK_BLOCKS)`; never a trailing empty one.
    chunks: Vec<Chunk>,
    len: u64,
}

/// A bitmap that is all zeros or all ones is always written as `Empty` or `Full`, so that equal sets are equal
/// chunk by chunk.
#[derive(Clone, PartialEq, Eq)]
enum Chunk {
    Empty,
    Full,
    Some(Bitmap),
}

impl Chunk {
    fn word(&self, word: usize) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Full => u64::MAX,
            Self::Some(bits) => bits[word],
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Full => u64::from(CHUNK_BLOCKS),
            Self::Some(bits) => bits.iter().map(|word| u64::from(word.count_ones())).sum(),
        }
    }

    fn bits(&mut self) -> &mut Bitmap {
        match self {
            Self::Empty => *self = Self::Some(Box::new([0; WORDS])),
            Self::Full => *self = Self::Some(Box::new([u64::MAX; WORDS])),
            Self::Some(_) => {}
        }
        let Self::Some(bits) = self else { unreachable!("made a bitmap above") };
        bits
    }

    fn normalise(&mut self) {
        if let Self::Some(bits) = self {
            if bits.iter().all(|word| *word == 0) {
                *self = Self::Empty;
            } else if bits.iter().all(|word| *word == u64::MAX) {
                *self = Self::Full;
            }
        }
    }
}

impl BlockSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of blocks.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it holds no block.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the block is in the set.
    pub fn contains(&self, index: BlockIndex) -> bool {
        let (chunk, word, bit) = locate(index);
        self.chunks.get(chunk).is_some_and(|chunk| chunk.word(word) & bit != 0)
    }

    /// Adds a block; says whether it is new.
    pub fn insert(&mut self, index: BlockIndex) -> bool {
        if self.contains(index) {
            return false;
        }
        let (chunk, word, bit) = locate(index);
        self.reach(chunk);
        let bits = self.chunks[chunk].bits();
        bits[word] |= bit;
        // Only a word that has become full can have completed the chunk: the full scan is rare.
        if bits[word] == u64::MAX {
            self.chunks[chunk].normalise();
        }
        self.len += 1;
        true
    }

    /// Adds adjacent blocks.
    pub fn insert_range(&mut self, range: BlockRange) {
        let (mut at, end) = (range.start().get(), range.end());
        while at < end {
            let chunk = (at / CHUNK_BLOCKS) as usize;
            let stop = end.min((at / CHUNK_BLOCKS + 1) * CHUNK_BLOCKS);
            self.reach(chunk);
            let part = BlockRange::new(BlockIndex::new(at), stop - at);
            let n_new = u64::from(part.len()) - self.count_in(part);
            if stop - at == CHUNK_BLOCKS {
                self.chunks[chunk] = Chunk::Full;
            } else {
                let bits = self.chunks[chunk].bits();
                for block in at..stop {
                    bits[(block % CHUNK_BLOCKS / 64) as usize] |= 1 << (block % 64);
                }
                self.chunks[chunk].normalise();
            }
            self.len += n_new;
            at = stop;
        }
    }

    /// Takes a block out; says whether it was in.
    pub fn remove(&mut self, index: BlockIndex) -> bool {
        if !self.contains(index) {
            return false;
        }
        let (chunk, word, bit) = locate(index);
        self.chunks[chunk].bits()[word] &= !bit;
        self.chunks[chunk].normalise();
        self.trim();
        self.len -= 1;
        true
    }

    /// The smallest block at or after `from`.
    pub fn next_from(&self, from: BlockIndex) -> Option<BlockIndex> {
        self.find(from.get(), false).map(BlockIndex::new)
    }

    /// The largest block.
    pub fn last(&self) -> Option<BlockIndex> {
        let chunk = self.chunks.len().checked_sub(1)?;
        let word = (0..WORDS).rev().find(|word| self.chunks[chunk].word(*word) != 0)?;
        let bit = 63 - self.chunks[chunk].word(word).leading_zeros();
        Some(BlockIndex::new(block_number(chunk, word) + bit))
    }

    /// How many of its blocks lie in the range.
    pub fn count_in(&self, range: BlockRange) -> u64 {
        let mut count = 0;
        let mut at = range.start().get();
        while at < range.end() {
            let stop = range.end().min((at / 64 + 1) * 64);
            let (chunk, word, _) = locate(BlockIndex::new(at));
            let bits = self.chunks.get(chunk).map_or(0, |chunk| chunk.word(word));
            // Bits from `at` on, of which `stop - at` count.
            count += u64::from(((bits >> (at % 64)) & (u64::MAX >> (64 - (stop - at)))).count_ones());
            at = stop;
        }
        count
    }

    /// Its blocks, ascending.
    pub fn iter(&self) -> impl Iterator<Item = BlockIndex> {
        self.ranges().flat_map(BlockRange::iter)
    }

    /// Its blocks as maximal runs, ascending: two of them never touch.
    pub fn ranges(&self) -> Ranges<'_> {
        Ranges { set: self, at: 0 }
    }

    /// Its runs within a range, cut off at the range's ends.
    pub fn ranges_in(&self, range: BlockRange) -> impl Iterator<Item = BlockRange> {
        let (start, end) = (range.start().get(), range.end());
        let runs = Ranges { set: self, at: start }.take_while(move |run| run.start().get() < end);
        runs.map(move |run| BlockRange::new(run.start(), run.end().min(end) - run.start().get()))
    }

    /// The smallest number at or after `from` whose membership is `not absent`, or with `absent` the smallest
    /// that is missing. Past the last chunk everything is missing.
    fn find(&self, from: u32, absent: bool) -> Option<u32> {
        let flip = if absent { u64::MAX } else { 0 };
        let (mut chunk, mut word) = ((from / CHUNK_BLOCKS) as usize, (from % CHUNK_BLOCKS / 64) as usize);
        let mut mask = u64::MAX << (from % 64);
        while let Some(bits) = self.chunks.get(chunk) {
            let skip = if absent { Chunk::Full } else { Chunk::Empty };
            if *bits != skip || word != 0 {
                while word < WORDS {
                    let found = (bits.word(word) ^ flip) & mask;
                    if found != 0 {
                        return Some(block_number(chunk, word) + found.trailing_zeros());
                    }
                    (word, mask) = (word + 1, u64::MAX);
                }
            }
            (chunk, word, mask) = (chunk + 1, 0, u64::MAX);
        }
        absent.then(|| from.max(block_number(chunk, 0)))
    }

    fn reach(&mut self, chunk: usize) {
        if self.chunks.len() <= chunk {
            self.chunks.resize(chunk + 1, Chunk::Empty);
        }
    }

    fn trim(&mut self) {
        while self.chunks.last() == Some(&Chunk::Empty) {
            self.chunks.pop();
        }
    }

    fn combine(&self, other: &Self, op: impl Fn(u64, u64) -> u64) -> Self {
        let n = self.chunks.len().max(other.chunks.len());
        let mut chunks = Vec::with_capacity(n);
        for k in 0..n {
            let (a, b) =
                (self.chunks.get(k).unwrap_or(&Chunk::Empty), other.chunks.get(k).unwrap_or(&Chunk::Empty));
            chunks.push(match (a, b) {
                (Chunk::Some(_), _) | (_, Chunk::Some(_)) => {
                    let mut bits: Bitmap = Box::new([0; WORDS]);
                    for (word, slot) in bits.iter_mut().enumerate() {
                        *slot = op(a.word(word), b.word(word));
                    }
                    let mut chunk = Chunk::Some(bits);
                    chunk.normalise();
                    chunk
                }
                // Both uniform: one word decides all.
                _ if op(a.word(0), b.word(0)) == 0 => Chunk::Empty,
                _ => Chunk::Full,
            });
        }
        let len = chunks.iter().map(Chunk::len).sum();
        let mut set = Self { chunks, len };
        set.trim();
        set
    }
}

/// The runs of a [`BlockSet`].
#[derive(Clone, Debug)]
pub struct Ranges<'a> {
    set: &'a BlockSet,
    at: u32,
}

impl Iterator for Ranges<'_> {
    type Item = BlockRange;

    fn next(&mut self) -> Option<BlockRange> {
        let start = self.set.find(self.at, false)?;
        self.at = self.set.find(start, true)?;
        Some(BlockRange::new(BlockIndex::new(start), self.at - start))
    }
}

fn locate(index: BlockIndex) -> (usize, usize, u64) {
    let index = index.get();
    ((index / CHUNK_BLOCKS) as usize, (index % CHUNK_BLOCKS / 64) as usize, 1 << (index % 64))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the inverse of locate: chunks and words come from a u32"
)]
fn block_number(chunk: usize, word: usize) -> u32 {
    chunk as u32 * CHUNK_BLOCKS + word as u32 * 64
}

impl PartialEq for BlockSet {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.chunks == other.chunks
    }
}

impl Eq for BlockSet {}

impl fmt::Debug for BlockSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.ranges().map(|range| range.to_string())).finish()
    }
}

impl BitOr for &BlockSet {
    type Output = BlockSet;

    /// Blocks in either.
    fn bitor(self, other: Self) -> BlockSet {
        self.combine(other, |a, b| a | b)
    }
}

impl BitAnd for &BlockSet {
    type Output = BlockSet;

    /// Blocks in both.
    fn bitand(self, other: Self) -> BlockSet {
        self.combine(other, |a, b| a & b)
    }
}

impl Sub for &BlockSet {
    type Output = BlockSet;

    /// Blocks in the first but not in the second.
    fn sub(self, other: Self) -> BlockSet {
        self.combine(other, |a, b| a & !b)
    }
}

impl Extend<BlockIndex> for BlockSet {
    fn extend<I: IntoIterator<Item = BlockIndex>>(&mut self, indexes: I) {
        for index in indexes {
            self.insert(index);
        }
    }
}

impl FromIterator<BlockIndex> for BlockSet {
    fn from_iter<I: IntoIterator<Item = BlockIndex>>(indexes: I) -> Self {
        let mut set = Self::new();
        set.extend(indexes);
        set
    }
}

impl From<BlockRange> for BlockSet {
    fn from(range: BlockRange) -> Self {
        let mut set = Self::new();
        set.insert_range(range);
        set
    }
}

#[cfg(test)]
mod tests;

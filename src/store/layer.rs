//! Layers: what one Complete wrote, as a file and in memory.
//!
//! A layer never changes. In memory it takes 36 bytes a block, the indexes apart from the digests, so that a
//! search touches little.

use crate::block::{BlockIndex, Digest};
use std::collections::BTreeMap;

const MAGIC: &[u8; 8] = b"icelayer";
const FORMAT: u32 = 1;
const HEAD: usize = 24;
const RECORD: usize = 4 + Digest::LEN;

/// The blocks that one Complete wrote, and their version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) version: u64,
    indexes: Vec<u32>,
    digests: Vec<Digest>,
}

impl Layer {
    /// The file of a layer with these blocks.
    pub(crate) fn encode(version: u64, blocks: &BTreeMap<BlockIndex, Digest>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + blocks.len() * RECORD + 4);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        // A volume has at most 2^27 blocks.
        bytes.extend(u32::try_from(blocks.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(version.to_le_bytes());
        for (index, digest) in blocks {
            bytes.extend(index.get().to_le_bytes());
            bytes.extend(digest.as_bytes());
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// Reads a layer's file; the error says what is wrong with it.
    pub(crate) fn decode(version: u64, bytes: &[u8]) -> Result<Self, &'static str> {
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or("it is too short")?;
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return Err("its checksum does not match");
        }
        let (head, records) = body.split_at_checked(HEAD).ok_or("it is too short")?;
        let mut expected = Vec::from(MAGIC);
        expected.extend(FORMAT.to_le_bytes());
        expected.extend(u32::try_from(records.len() / RECORD).unwrap_or(u32::MAX).to_le_bytes());
        expected.extend(version.to_le_bytes());
        let (records, rest) = records.as_chunks::<RECORD>();
        if head != expected || !rest.is_empty() {
            return Err("its header is not this layer's");
        }
        let mut layer = Self {
            version,
            indexes: Vec::with_capacity(records.len()),
            digests: Vec::with_capacity(records.len()),
        };
        for record in records {
            let [a, b, c, d, digest @ ..] = *record;
            layer.indexes.push(u32::from_le_bytes([a, b, c, d]));
            layer.digests.push(Digest::from_bytes(digest));
        }
        let within = layer.indexes.last().is_none_or(|last| BlockIndex::try_from(i64::from(*last)).is_ok());
        if !within || !layer.indexes.is_sorted_by(|a, b| a < b) {
            return Err("its blocks are out of order");
        }
        Ok(layer)
    }

    /// Where the first block at or after the index stands.
    pub(crate) fn position(&self, from: BlockIndex) -> usize {
        self.indexes.partition_point(|index| *index < from.get())
    }

    /// The block at a position.
    pub(crate) fn at(&self, position: usize) -> Option<(BlockIndex, Digest)> {
        Some((BlockIndex::new(*self.indexes.get(position)?), *self.digests.get(position)?))
    }

    /// The digest of a block, if the layer wrote it.
    pub(crate) fn find(&self, index: BlockIndex) -> Option<Digest> {
        let position = self.indexes.binary_search(&index.get()).ok()?;
        self.digests.get(position).copied()
    }

    /// The digests of its blocks, in the order of their indexes.
    pub(crate) fn digests(&self) -> &[Digest] {
        &self.digests
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks(indexes: &[u32]) -> BTreeMap<BlockIndex, Digest> {
        indexes.iter().map(|index| (BlockIndex::new(*index), Digest::of(&index.to_le_bytes()))).collect()
    }

    proptest! {
        #[test]
        fn a_layer_reads_back(indexes in proptest::collection::vec(0..i32::MAX.cast_unsigned(), 0..40)) {
            let blocks = blocks(&indexes);
            let layer = Layer::decode(7, &Layer::encode(7, &blocks)).unwrap();
            let read: BTreeMap<_, _> = (0..).map_while(|position| layer.at(position)).collect();
            prop_assert_eq!(&read, &blocks);
            for (index, digest) in &blocks {
                prop_assert_eq!(layer.find(*index), Some(*digest));
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let whole = Layer::encode(7, &blocks(&[3, 5]));
        for bit in 0..whole.len() * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Layer::decode(7, &bad).is_err(), "bit {bit}");
        }
        for len in 0..whole.len() {
            assert!(Layer::decode(7, &whole[..len]).is_err(), "length {len}");
        }
        assert!(Layer::decode(8, &whole).is_err(), "another layer's file under this name");
    }
}

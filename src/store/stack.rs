//! A snapshot's blocks: its layers laid upon each other, the newest on top.

use crate::block::{BlockIndex, BlockSet, Digest};
use crate::shelf::{Entry, Version};
use crate::store::layer::Layer;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Layers, oldest first.
#[derive(Debug)]
pub(crate) struct Stack(Vec<Arc<Layer>>);

impl Stack {
    pub(crate) fn new(layers: Vec<Arc<Layer>>) -> Self {
        Self(layers)
    }

    /// The digest of a block; `None` where it is absent.
    pub(crate) fn find(&self, index: BlockIndex) -> Option<Digest> {
        self.0.iter().rev().find_map(|layer| layer.find(index))
    }

    /// The blocks at or after `from`, ascending, each from the newest layer that wrote it.
    pub(crate) fn walk(&self, from: BlockIndex) -> Walk<'_> {
        let mut walk = Walk { stack: self, next: BinaryHeap::with_capacity(self.0.len()) };
        for (height, layer) in self.0.iter().enumerate() {
            walk.offer(height, layer.position(from));
        }
        walk
    }

    /// How many blocks there are.
    pub(crate) fn count(&self) -> u64 {
        let mut all = BlockSet::new();
        for layer in &self.0 {
            all.extend((0..).map_while(|position| layer.at(position)).map(|(index, _)| index));
        }
        all.len()
    }
}

/// The blocks of a stack. Every layer offers its next block; the lowest index comes out, of equals the highest.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    stack: &'a Stack,
    next: BinaryHeap<(Reverse<BlockIndex>, usize, usize)>,
}

impl Walk<'_> {
    fn offer(&mut self, height: usize, position: usize) {
        if let Some((index, _)) = self.stack.0[height].at(position) {
            self.next.push((Reverse(index), height, position));
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = (Entry, Digest);

    fn next(&mut self) -> Option<Self::Item> {
        let (Reverse(index), top, position) = self.next.pop()?;
        self.offer(top, position + 1);
        while let Some((Reverse(below), height, position)) = self.next.peek().copied()
            && below == index
        {
            self.next.pop();
            self.offer(height, position + 1);
        }
        let layer = &self.stack.0[top];
        let (_, digest) = layer.at(position)?;
        Some((Entry { index, version: Version(layer.version) }, digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_stack_is_its_layers_applied_in_order(
            layers in vec(btree_map(0..60_u32, 0..9_u8, 0..30), 0..7), from in 0..70_u32,
        ) {
            let mut naive = BTreeMap::new();
            let mut stack = Vec::new();
            for (version, layer) in (1..).zip(&layers) {
                let blocks: BTreeMap<_, _> = layer
                    .iter()
                    .map(|(index, fill)| (BlockIndex::new(*index), Digest::of(&[*fill])))
                    .collect();
                naive.extend(blocks.iter().map(|(index, digest)| (*index, (version, *digest))));
                stack.push(Arc::new(Layer::decode(version, &Layer::encode(version, &blocks)).unwrap()));
            }
            let stack = Stack::new(stack);
            let walked: Vec<_> = stack
                .walk(BlockIndex::new(from))
                .map(|(entry, digest)| (entry.index, (entry.version.0, digest)))
                .collect();
            let expected: Vec<_> =
                naive.range(BlockIndex::new(from)..).map(|(index, value)| (*index, *value)).collect();
            prop_assert_eq!(walked, expected);
            prop_assert_eq!(stack.count(), naive.len() as u64);
            for index in (0..70).map(BlockIndex::new) {
                prop_assert_eq!(stack.find(index), naive.get(&index).map(|(_, digest)| *digest));
            }
        }
    }
}

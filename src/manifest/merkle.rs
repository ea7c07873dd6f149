//! Merkle roots of a block map, computed as the blocks go by.

use crate::block::{BlockIndex, Digest};

/// The two roots of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Over every listed block: two block maps with the same contents have the same.
    pub map: Digest,
    /// Over the blocks that are not zeros: whatever reads the same has the same.
    pub content: Digest,
}

/// Both trees at once. Holds one digest for each level of a tree: 28 for 64 TiB.
#[derive(Clone, Debug, Default)]
pub struct Merkle {
    map: Tree,
    content: Tree,
    last: Option<BlockIndex>,
}

impl Merkle {
    /// No block yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next block.
    ///
    /// # Panics
    /// In builds with debug assertions, where the index does not ascend.
    pub fn push(&mut self, index: BlockIndex, digest: &Digest) {
        debug_assert!(self.last.replace(index).is_none_or(|last| last < index), "blocks come ascending");
        let leaf = leaf(index, digest);
        self.map.push(leaf);
        if *digest != Digest::ZERO_BLOCK {
            self.content.push(leaf);
        }
    }

    /// The roots over all blocks pushed.
    pub fn finish(self) -> Roots {
        Roots { map: self.map.root(), content: self.content.root() }
    }
}

/// The whole subtrees to the left of the next leaf, largest first, each with its height.
#[derive(Clone, Debug, Default)]
struct Tree(Vec<(u32, Digest)>);

impl Tree {
    fn push(&mut self, leaf: Digest) {
        let (mut height, mut digest) = (0, leaf);
        while let Some((_, left)) = self.0.pop_if(|(top, _)| *top == height) {
            digest = node(&left, &digest);
            height += 1;
        }
        self.0.push((height, digest));
    }

    fn root(self) -> Digest {
        let whole = self.0.into_iter().map(|(_, digest)| digest);
        whole.rev().reduce(|right, left| node(&left, &right)).unwrap_or_else(|| Digest::of(&[]))
    }
}

fn leaf(index: BlockIndex, digest: &Digest) -> Digest {
    let mut bytes = [0; 37];
    bytes[1..5].copy_from_slice(&index.get().to_le_bytes());
    bytes[5..].copy_from_slice(digest.as_bytes());
    Digest::of(&bytes)
}

fn node(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left.as_bytes());
    bytes[33..].copy_from_slice(right.as_bytes());
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962's definition, word for word.
    fn by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [one] => *one,
            many => {
                let left = many.len().next_power_of_two() / 2;
                node(&by_definition(&many[..left]), &by_definition(&many[left..]))
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_definition() {
        for n in 0..40_u32 {
            let blocks: Vec<_> = (0..n)
                .map(|k| {
                    let digest = if k % 5 == 2 { Digest::ZERO_BLOCK } else { Digest::of(&k.to_le_bytes()) };
                    (BlockIndex::new(k * 3), digest)
                })
                .collect();
            let mut merkle = Merkle::new();
            blocks.iter().for_each(|(index, digest)| merkle.push(*index, digest));
            let leaves = |zeros: bool| -> Vec<_> {
                let kept = blocks.iter().filter(|(_, digest)| zeros || *digest != Digest::ZERO_BLOCK);
                kept.map(|(index, digest)| leaf(*index, digest)).collect()
            };
            let roots = Roots { map: by_definition(&leaves(true)), content: by_definition(&leaves(false)) };
            assert_eq!(merkle.finish(), roots, "{n} blocks");
        }
    }
}

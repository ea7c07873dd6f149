//! What a snapshot wrote, beside what it took over from earlier ones.

use crate::block::BlockSet;
use std::collections::BTreeMap;

/// A snapshot's blocks, told against earlier snapshots: as the layers of a drill core, each is known by what it adds.
///
/// Snapshots are numbered in the order of their start. A layer names only lower numbers than its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// The earlier snapshot that the rest is told against; `None` for one that took over nothing.
    pub(super) upon: Option<usize>,
    /// Blocks it has, in a version that no earlier snapshot has.
    pub(super) new: BlockSet,
    /// Blocks that `upon` has and it has not.
    pub(super) freed: BlockSet,
    /// Blocks it has in the version of another earlier snapshot than `upon`, which has another version or none.
    pub(super) shared: Vec<(usize, BlockSet)>,
}

impl Layer {
    /// A snapshot that shares nothing with earlier ones: all its blocks are new.
    pub fn first(blocks: BlockSet) -> Self {
        Self { new: blocks, ..Self::default() }
    }

    /// A snapshot compared with an earlier one: the blocks it has that differ there, and the blocks it lacks that
    /// are there.
    pub fn upon(earlier: usize, written: BlockSet, freed: BlockSet) -> Self {
        Self { upon: Some(earlier), new: written, freed, shared: Vec::new() }
    }

    /// Explains more of it by one more earlier snapshot, given all that differs between the two: what does not
    /// differ is no new version, but that one's.
    pub fn explain(&mut self, earlier: usize, differs: &BlockSet) {
        let shared = &self.new - differs;
        if !shared.is_empty() {
            self.new = &self.new - &shared;
            self.shared.push((earlier, shared));
        }
    }

    /// Whether every block is known to come from an earlier snapshot: further comparisons can tell nothing.
    pub fn is_explained(&self) -> bool {
        self.new.is_empty()
    }

    /// The earlier snapshot that it is told against first of all.
    pub fn stands_upon(&self) -> Option<usize> {
        self.upon
    }

    /// The earlier snapshots that it is told against.
    pub fn relatives(&self) -> impl Iterator<Item = usize> {
        self.upon.into_iter().chain(self.shared.iter().map(|(earlier, _)| *earlier))
    }

    /// The same with other numbers; all that it names must have one.
    pub(super) fn renumbered(mut self, number: &BTreeMap<usize, usize>) -> Self {
        self.upon = self.upon.map(|upon| number[&upon]);
        self.shared.iter_mut().for_each(|(earlier, _)| *earlier = number[earlier]);
        self
    }

    /// Blocks written since the snapshot it is told against.
    pub fn churned(&self) -> BlockSet {
        self.shared.iter().fold(self.new.clone(), |all, (_, shared)| &all | shared)
    }
}

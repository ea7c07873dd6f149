//! Layers in, versions by their holders out.
//!
//! The volume is cut into index ranges that are worked on side by side. Within one, snapshots are taken in order;
//! the *row* of a snapshot tells for each block which version it has. A row is its predecessor's, edited where the
//! layer says so, and is given up when nobody is told against it any more: along a chain there is one row.
//!
//! Versions with the same history are one *class*: born with a snapshot, then held by exactly its descendants, but
//! for exceptions that the class lists. At one snapshot, all versions of one class that it overwrites go over to one
//! new class, so that an event costs two table look-ups.

use super::number;
use crate::block::{BlockIndex, BlockRange, BlockSet};
use crate::cost::Layer;
use rayon::prelude::*;
use std::collections::HashMap;

/// No version, no class.
const NONE: u32 = u32::MAX;
/// The longest index range: its row takes 4 MiB.
const LONGEST: u32 = 1 << 20;
/// Below this, starting on a range costs more than the range.
const SHORTEST: u32 = 1 << 12;
/// Rows of one range that are alive at the same time take no more than this.
const ROWS: u64 = 64 << 20;

/// First holder, and the places of all holders.
type Key = (u32, Box<[u32]>);

/// What was counted.
#[derive(Default)]
pub(super) struct Counted {
    /// Versions by who holds them.
    pub(super) groups: HashMap<Key, u64>,
    /// What each layer did to the block map it stands upon.
    pub(super) layers: Vec<Counts>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) added: u64,
    pub(super) removed: u64,
    pub(super) contradictions: u64,
}

pub(super) fn fold(layers: &[Layer], place: &[u32], ends: &[u32]) -> Counted {
    let sets =
        |layer: &Layer| layer.new.last().max(layer.shared.iter().filter_map(|(_, set)| set.last()).max());
    let n_blocks = layers.iter().filter_map(sets).max().map_or(0, |last| last.get() + 1);
    let range = range_length(layers, n_blocks);
    let starts: Vec<u32> = (0..n_blocks).step_by(range as usize).collect();
    let uses = uses(layers);
    let mut counted = starts
        .into_par_iter()
        .map(|start| {
            let range = BlockRange::new(BlockIndex::new(start), range.min(n_blocks - start));
            match is_chain(layers) {
                true => chain(layers, range),
                false => Range::new(range, uses.clone()).fold(layers).counted(place, ends),
            }
        })
        .reduce(Counted::default, merged);
    counted.layers.resize(layers.len(), Counts::default());
    counted
}

/// Whether each snapshot stands upon the one before it, and upon nothing else.
pub(super) fn is_chain(layers: &[Layer]) -> bool {
    let stands = |(at, layer): (usize, &Layer)| layer.upon == at.checked_sub(1) && layer.shared.is_empty();
    layers.iter().enumerate().all(stands)
}

/// The same for a chain, several times as fast: a version ends for good where it is overwritten, so the row holds
/// who wrote each block and nothing else has to be remembered of a version.
fn chain(layers: &[Layer], range: BlockRange) -> Counted {
    let mut row = vec![NONE; range.len() as usize];
    let mut counted = Counted { groups: HashMap::new(), layers: vec![Counts::default(); layers.len()] };
    // Versions that end at the layer at hand, by who wrote them.
    let mut ended = vec![0_u64; layers.len() + 1];
    let mut close = |ended: &mut [u64], at: usize| {
        for (first, blocks) in ended[..at].iter_mut().enumerate().filter(|(_, blocks)| **blocks > 0) {
            let holders = Box::new([number(first), number(at)]);
            counted.groups.insert((number(first), holders), std::mem::take(blocks));
        }
    };
    for (at, layer) in layers.iter().enumerate() {
        let counts = &mut counted.layers[at];
        for block in blocks(&layer.freed, range) {
            match std::mem::replace(&mut row[block], NONE) {
                NONE => counts.contradictions += 1,
                first => {
                    counts.removed += 1;
                    ended[first as usize] += 1;
                }
            }
        }
        for block in blocks(&layer.new, range) {
            match std::mem::replace(&mut row[block], number(at)) {
                NONE => counts.added += 1,
                first => ended[first as usize] += 1,
            }
        }
        close(&mut ended, at);
    }
    row.iter().filter(|first| **first != NONE).for_each(|first| ended[*first as usize] += 1);
    close(&mut ended, layers.len());
    counted
}

/// How often each snapshot's row is needed after its own turn.
fn uses(layers: &[Layer]) -> Vec<u32> {
    let mut uses = vec![0; layers.len()];
    layers.iter().flat_map(Layer::relatives).for_each(|earlier| uses[earlier] += 1);
    uses
}

/// As long as rows allow, but short enough for every core to have one.
fn range_length(layers: &[Layer], n_blocks: u32) -> u32 {
    let (mut left, mut alive, mut most) = (uses(layers), 0_u64, 1_u64);
    for (at, layer) in layers.iter().enumerate() {
        alive += 1;
        most = most.max(alive);
        for earlier in layer.relatives() {
            left[earlier] -= 1;
            alive -= u64::from(left[earlier] == 0);
        }
        alive -= u64::from(left[at] == 0);
    }
    let for_rows = u32::try_from(ROWS / 4 / most).unwrap_or(LONGEST);
    let for_cores = n_blocks.div_ceil(number(rayon::current_num_threads()).max(1));
    for_rows.min(for_cores).clamp(SHORTEST, LONGEST)
}

fn merged(mut all: Counted, more: Counted) -> Counted {
    if all.groups.len() < more.groups.len() {
        return merged(more, all);
    }
    for (key, blocks) in more.groups {
        *all.groups.entry(key).or_insert(0) += blocks;
    }
    all.layers.resize(all.layers.len().max(more.layers.len()), Counts::default());
    for (sum, counts) in all.layers.iter_mut().zip(more.layers) {
        sum.added += counts.added;
        sum.removed += counts.removed;
        sum.contradictions += counts.contradictions;
    }
    all
}

/// Versions with the same history.
#[derive(Clone, Copy)]
struct Class {
    /// The history before this event; `NONE` at birth.
    before: u32,
    /// The snapshot of the event.
    at: u32,
    /// The class that its versions go over to at the snapshot `stamp`, when overwritten or held again there.
    next: u32,
    stamp: u32,
}

/// An index range on its way through the layers.
struct Range {
    range: BlockRange,
    rows: Vec<Option<Box<[u32]>>>,
    uses: Vec<u32>,
    /// The class of each version.
    versions: Vec<u32>,
    classes: Vec<Class>,
    counts: Vec<Counts>,
}

impl Range {
    fn new(range: BlockRange, uses: Vec<u32>) -> Self {
        let counts = vec![Counts::default(); uses.len()];
        let rows = uses.iter().map(|_| None).collect();
        Self { range, rows, uses, versions: Vec::new(), classes: Vec::new(), counts }
    }

    fn fold(mut self, layers: &[Layer]) -> Self {
        for (at, layer) in layers.iter().enumerate() {
            let mut row = match layer.upon {
                Some(upon) => self.taken(upon),
                None => vec![NONE; self.range.len() as usize].into_boxed_slice(),
            };
            for block in blocks(&layer.freed, self.range) {
                self.left(&mut row[block], at);
            }
            self.born(&layer.new, &mut row, at);
            for (earlier, shared) in &layer.shared {
                let theirs = self.taken(*earlier);
                for block in blocks(shared, self.range) {
                    self.joined(theirs[block], &mut row[block], at);
                }
                self.given_back(*earlier, theirs);
            }
            self.given_back(at, row);
        }
        self
    }

    /// A row that is told against: the row itself where this is the last time.
    fn taken(&mut self, earlier: usize) -> Box<[u32]> {
        self.uses[earlier] -= 1;
        let row = &mut self.rows[earlier];
        let row = if self.uses[earlier] == 0 { row.take() } else { row.clone() };
        row.unwrap_or_else(|| unreachable!("rows are kept until their last use"))
    }

    fn given_back(&mut self, at: usize, row: Box<[u32]>) {
        if self.uses[at] > 0 {
            self.rows[at] = Some(row);
        }
    }

    fn born(&mut self, new: &BlockSet, row: &mut [u32], at: usize) {
        let mut class = NONE;
        for block in blocks(new, self.range) {
            self.overwritten(row[block], at);
            if class == NONE {
                class = number(self.classes.len());
                self.classes.push(Class { before: NONE, at: number(at), next: NONE, stamp: NONE });
            }
            row[block] = number(self.versions.len());
            self.versions.push(class);
        }
    }

    /// The version here, if there is one, is not held by this snapshot, which has another.
    fn overwritten(&mut self, version: u32, at: usize) {
        if version == NONE {
            self.counts[at].added += 1;
        } else {
            self.exception(version, at);
        }
    }

    /// The snapshot has no block here.
    fn left(&mut self, version: &mut u32, at: usize) {
        if *version == NONE {
            self.counts[at].contradictions += 1;
        } else {
            self.counts[at].removed += 1;
            self.exception(*version, at);
            *version = NONE;
        }
    }

    /// The snapshot has the version of another one here.
    fn joined(&mut self, theirs: u32, version: &mut u32, at: usize) {
        if theirs == NONE || theirs == *version {
            self.counts[at].contradictions += 1;
            return;
        }
        self.overwritten(*version, at);
        self.exception(theirs, at);
        *version = theirs;
    }

    /// From here on down the tree it is the other way round with this version.
    fn exception(&mut self, version: u32, at: usize) {
        let class = self.versions[version as usize] as usize;
        let at = number(at);
        if self.classes[class].stamp != at {
            let next = number(self.classes.len());
            self.classes.push(Class { before: number(class), at, next: NONE, stamp: NONE });
            self.classes[class].next = next;
            self.classes[class].stamp = at;
        }
        self.versions[version as usize] = self.classes[class].next;
    }

    fn counted(self, place: &[u32], ends: &[u32]) -> Counted {
        let mut sizes = vec![0_u64; self.classes.len()];
        self.versions.iter().for_each(|class| sizes[*class as usize] += 1);
        let mut groups = HashMap::new();
        for (class, blocks) in sizes.into_iter().enumerate().filter(|(_, blocks)| *blocks > 0) {
            *groups.entry(self.key(class, place, ends)).or_insert(0) += blocks;
        }
        Counted { groups, layers: self.counts }
    }

    /// Who holds the versions of a class. At each snapshot of its history holding turns round, until the last
    /// descendant of that snapshot; where two turns meet, nothing turns.
    fn key(&self, class: usize, place: &[u32], ends: &[u32]) -> Key {
        let mut turns = Vec::with_capacity(4);
        let mut class = class;
        let first = loop {
            let Class { before, at, .. } = self.classes[class];
            turns.extend([place[at as usize], ends[at as usize]]);
            match before {
                NONE => break at,
                before => class = before as usize,
            }
        };
        turns.sort_unstable();
        let mut holders: Vec<u32> = Vec::with_capacity(turns.len());
        for turn in turns {
            if holders.last() == Some(&turn) {
                holders.pop();
            } else {
                holders.push(turn);
            }
        }
        (first, holders.into_boxed_slice())
    }
}

/// The blocks of a set within a range, counted from its start.
fn blocks(set: &BlockSet, range: BlockRange) -> impl Iterator<Item = usize> {
    let start = range.start().get();
    set.ranges_in(range)
        .flat_map(move |run| (run.start().get() - start) as usize..(run.end() - start) as usize)
}

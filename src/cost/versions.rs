//! Block versions: who holds them, and how many there are.
//!
//! A *version* is a block as one snapshot wrote it. AWS stores and bills it once, as long as any snapshot holds it.
//! [`Versions`] counts the versions of a lineage by the set of snapshots that hold them: from these counts alone
//! every question of cost is answered, about any set of snapshots, without looking at a block again.
//!
//! Snapshots are numbered as in [`Layer`]: by start. Underneath they stand in the order of a walk down the tree, in
//! which a snapshot and its descendants are neighbours, so that the holders of a version are a few runs: along one
//! volume exactly one.

mod fold;

use crate::cost::Layer;
use std::collections::BTreeMap;

/// The versions of one lineage.
#[derive(Clone, Debug)]
pub struct Versions {
    /// Snapshots by their place in the walk.
    by_place: Vec<u32>,
    /// Places by number.
    place: Vec<u32>,
    /// Blocks of each snapshot, inherited ones included.
    full: Vec<u64>,
    contradicted: Vec<bool>,
    groups: Vec<Group>,
    is_chain: bool,
}

/// Versions that the same snapshots hold.
#[derive(Clone, Debug)]
struct Group {
    /// The earliest holder: who wrote them, or the earliest that is left.
    first: u32,
    /// All holders: places `[a, b)`, alternating.
    holders: Box<[u32]>,
    blocks: u64,
}

impl Group {
    fn runs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.holders.chunks_exact(2).map(|run| (run[0] as usize, run[1] as usize))
    }

    fn n_holders(&self) -> usize {
        self.runs().map(|(from, to)| to - from).sum()
    }
}

/// A set of a lineage's snapshots, ready to be asked how many of them stand in a run.
struct Chosen {
    /// Chosen ones before each place.
    before: Vec<u32>,
}

impl Chosen {
    fn n_of(&self, group: &Group) -> usize {
        group.runs().map(|(from, to)| (self.before[to] - self.before[from]) as usize).sum()
    }
}

impl Versions {
    /// Counts the versions of a lineage. Time and memory follow the changes, not the snapshots times the blocks;
    /// index ranges are worked on side by side.
    ///
    /// # Panics
    /// When a layer names a snapshot that is not earlier than itself.
    pub fn of(layers: &[Layer]) -> Self {
        let (by_place, place, ends) = walk(layers);
        let counted = fold::fold(layers, &place, &ends);
        let mut full: Vec<u64> = Vec::with_capacity(layers.len());
        for (layer, counts) in layers.iter().zip(&counted.layers) {
            let inherited = layer.upon.map_or(0, |upon| full[upon]);
            full.push(inherited + counts.added - counts.removed);
        }
        let contradicted = counted.layers.iter().map(|counts| counts.contradictions > 0).collect();
        let groups = counted.groups.into_iter();
        let groups = groups.map(|((first, holders), blocks)| Group { first, holders, blocks }).collect();
        let is_chain = fold::is_chain(layers);
        Self { by_place, place, full, contradicted, groups, is_chain }
    }

    /// Number of snapshots.
    pub fn len(&self) -> usize {
        self.full.len()
    }

    /// Whether there is no snapshot.
    pub fn is_empty(&self) -> bool {
        self.full.is_empty()
    }

    /// Whether each snapshot stands on the one before it, and on nothing else.
    pub fn is_chain(&self) -> bool {
        self.is_chain
    }

    /// Blocks of a snapshot, inherited ones included: what it takes in the archive tier.
    pub fn full(&self, snapshot: usize) -> u64 {
        self.full[snapshot]
    }

    /// Whether what was told of a snapshot does not fit what was told of earlier ones: a block is said to be gone
    /// from where there was none, or shared with one that does not have it.
    pub fn is_contradicted(&self, snapshot: usize) -> bool {
        self.contradicted[snapshot]
    }

    /// All versions: what the lineage is billed for.
    pub fn total(&self) -> u64 {
        self.groups.iter().map(|group| group.blocks).sum()
    }

    /// For each snapshot the versions whose earliest holder it is: what AWS bills to it.
    pub fn attributed(&self) -> Vec<u64> {
        self.by_snapshot(|_| true)
    }

    /// For each snapshot the versions that only it holds: what deleting it alone frees.
    pub fn unique(&self) -> Vec<u64> {
        self.by_snapshot(|group| group.n_holders() == 1)
    }

    fn by_snapshot(&self, counts: impl Fn(&Group) -> bool) -> Vec<u64> {
        let mut blocks = vec![0; self.len()];
        for group in self.groups.iter().filter(|group| counts(group)) {
            blocks[group.first as usize] += group.blocks;
        }
        blocks
    }

    /// Versions that only these snapshots hold: what deleting all of them frees.
    pub fn freed(&self, deleted: &[usize]) -> u64 {
        let chosen = self.choose(deleted);
        let freed = self.groups.iter().filter(|group| chosen.n_of(group) == group.n_holders());
        freed.map(|group| group.blocks).sum()
    }

    /// The same by when it comes free, given for each deleted snapshot when it is really gone: a version is freed
    /// with the last of its holders.
    pub fn freed_by_time<T: Ord + Copy>(&self, deleted: &[(usize, T)]) -> BTreeMap<T, u64> {
        let all: Vec<usize> = deleted.iter().map(|(snapshot, _)| *snapshot).collect();
        let gone: BTreeMap<usize, T> = deleted.iter().copied().collect();
        let chosen = self.choose(&all);
        let mut freed = BTreeMap::new();
        for group in self.groups.iter().filter(|group| chosen.n_of(group) == group.n_holders()) {
            if let Some(last) = self.holders(group).filter_map(|snapshot| gone.get(&snapshot)).max() {
                *freed.entry(*last).or_insert(0) += group.blocks;
            }
        }
        freed
    }

    /// Versions billed to these snapshots that others hold too, by the snapshot they will be billed to: the earliest
    /// holder that is left.
    pub fn moved(&self, deleted: &[usize]) -> BTreeMap<usize, u64> {
        let chosen = self.choose(deleted);
        let is_deleted = self.mask(deleted);
        let mut moved = BTreeMap::new();
        for group in self.groups.iter().filter(|group| is_deleted[group.first as usize]) {
            if chosen.n_of(group) < group.n_holders()
                && let Some(next) = self.holders(group).filter(|snapshot| !is_deleted[*snapshot]).min()
            {
                *moved.entry(next).or_insert(0) += group.blocks;
            }
        }
        moved
    }

    /// What the lineage takes when only these snapshots are left.
    pub fn stored(&self, kept: &[usize]) -> u64 {
        let chosen = self.choose(kept);
        self.groups.iter().filter(|group| chosen.n_of(group) > 0).map(|group| group.blocks).sum()
    }

    /// Of the snapshots that are left, what deleting each one alone would free.
    pub(super) fn unique_among(&self, kept: &[usize]) -> Vec<u64> {
        let chosen = self.choose(kept);
        let mut blocks = vec![0; self.len()];
        for group in self.groups.iter().filter(|group| chosen.n_of(group) == 1) {
            let run = group.runs().find(|(from, to)| chosen.before[*to] > chosen.before[*from]);
            if let Some((from, to)) = run {
                let place = chosen.before[from..=to].partition_point(|n| *n == chosen.before[from]);
                blocks[self.by_place[from + place - 1] as usize] += group.blocks;
            }
        }
        blocks
    }

    /// Of a chain: each group as first holder, last holder and blocks.
    pub(super) fn spans(&self) -> impl Iterator<Item = (usize, usize, u64)> {
        self.groups.iter().filter_map(|group| {
            let (from, to) = group.runs().next()?;
            Some((from, to - 1, group.blocks))
        })
    }

    fn holders(&self, group: &Group) -> impl Iterator<Item = usize> {
        group.runs().flat_map(|(from, to)| from..to).map(|place| self.by_place[place] as usize)
    }

    fn mask(&self, snapshots: &[usize]) -> Vec<bool> {
        let mut mask = vec![false; self.len()];
        snapshots.iter().for_each(|snapshot| mask[*snapshot] = true);
        mask
    }

    fn choose(&self, snapshots: &[usize]) -> Chosen {
        let mut before = vec![0; self.len() + 1];
        snapshots.iter().for_each(|snapshot| before[self.place[*snapshot] as usize + 1] = 1);
        (1..before.len()).for_each(|place| before[place] += before[place - 1]);
        Chosen { before }
    }
}

/// Walks down the tree: snapshots by place, places by number, and for each number the place after its last
/// descendant.
fn walk(layers: &[Layer]) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); layers.len()];
    let mut open: Vec<(usize, bool)> = Vec::new();
    for (at, layer) in layers.iter().enumerate() {
        assert!(layer.relatives().all(|earlier| earlier < at), "a layer is told against earlier ones");
        match layer.upon {
            Some(upon) => children[upon].push(at),
            None => open.push((at, false)),
        }
    }
    open.reverse();
    let (mut by_place, mut place, mut ends) = (Vec::new(), vec![0; layers.len()], vec![0; layers.len()]);
    while let Some((at, is_left)) = open.pop() {
        if is_left {
            ends[at] = number(by_place.len());
            continue;
        }
        place[at] = number(by_place.len());
        by_place.push(number(at));
        open.push((at, true));
        open.extend(children[at].iter().rev().map(|child| (*child, false)));
    }
    (by_place, place, ends)
}

/// Snapshots are counted in 32 bits: an account may have 100,000 in a Region (EBS user guide, "ebs-resource-quotas").
#[expect(clippy::cast_possible_truncation, reason = "there are fewer snapshots than that")]
fn number(at: usize) -> u32 {
    at as u32
}

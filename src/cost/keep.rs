//! Which snapshots to keep so that what is kept costs least.
//!
//! Along one volume every version is held by a run of snapshots, and what a kept snapshot adds depends on the kept
//! one before it alone: `stored(R) = full(r1) + changed(r1, r2) + ..`. The cheapest set is then a shortest path with
//! a given number of edges, found exactly. In a tree that does not hold, and snapshots are dropped one after the
//! other, the one that frees most first.

use crate::cost::Versions;

/// What the kept set must fulfil. Everything that is set holds at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// So many snapshots; those that must be kept count.
    pub count: Option<usize>,
    /// No more than this between one kept snapshot and the next, nor before the first, in the unit of the times.
    pub max_gap: Option<i64>,
    /// No more blocks than this.
    pub most_blocks: Option<u64>,
}

/// A set that fulfils it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// By number.
    pub snapshots: Vec<usize>,
    /// Blocks that are stored then.
    pub blocks: u64,
    /// Whether no set costs less; a tree's may.
    pub is_exact: bool,
}

/// The set that costs least: of the wanted number, or with only a gap to keep; with only a size to keep, the largest
/// number that fits. The last snapshot is always kept, and those that `must` names. `None` where nothing fulfils it.
///
/// # Panics
/// When there are not as many times, or musts, as snapshots.
pub fn cheapest(versions: &Versions, times: &[i64], must: &[bool], wanted: &Wanted) -> Option<Kept> {
    assert!(times.len() == versions.len() && must.len() == versions.len(), "one for each snapshot");
    if versions.is_empty() {
        return None;
    }
    let mut must = must.to_vec();
    must[versions.len() - 1] = true;
    let case = Case { versions, times, must: &must, wanted };
    if versions.is_chain() { case.exact() } else { case.heuristic() }
}

struct Case<'a> {
    versions: &'a Versions,
    times: &'a [i64],
    must: &'a [bool],
    wanted: &'a Wanted,
}

/// Blocks and the snapshot before on the way there; none where there is no way.
type Step = Option<(u64, usize)>;

impl Case<'_> {
    fn exact(&self) -> Option<Kept> {
        let n = self.versions.len();
        let added = Added::of(self.versions);
        // best[k][j]: k + 1 snapshots, the last of them j.
        let mut best: Vec<Vec<Step>> = Vec::new();
        let most = self.wanted.count.unwrap_or(n).clamp(1, n);
        best.push((0..n).map(|j| self.may_begin(j).then(|| (added.full(j), j))).collect());
        for k in 1..most {
            let step = |j: usize| {
                let from = (0..j).rev().take_while(|i| i + 1 == j || !self.must[i + 1]);
                let near = from.take_while(|i| self.is_near(*i, j));
                near.filter_map(|i| Some((best[k - 1][i]?.0 + added.between(i, j), i))).min()
            };
            best.push((0..n).map(step).collect());
        }
        let ends: Vec<Option<u64>> = best.iter().map(|row| row[n - 1].map(|(blocks, _)| blocks)).collect();
        let fits = |k: &usize| {
            ends[*k].is_some_and(|blocks| self.wanted.most_blocks.is_none_or(|most| blocks <= most))
        };
        let k = match self.wanted {
            Wanted { count: Some(_), .. } => Some(most - 1).filter(fits),
            Wanted { most_blocks: Some(_), .. } => (0..most).rev().find(fits),
            _ => (0..most).filter(fits).min_by_key(|k| ends[*k]),
        }?;
        let mut snapshots = vec![n - 1];
        for k in (1..=k).rev() {
            let (_, before) = best[k][*snapshots.last()?]?;
            snapshots.push(before);
        }
        snapshots.reverse();
        Some(Kept { snapshots, blocks: ends[k]?, is_exact: true })
    }

    fn may_begin(&self, first: usize) -> bool {
        !self.must[..first].contains(&true) && self.is_near(0, first)
    }

    fn is_near(&self, one: usize, next: usize) -> bool {
        self.wanted.max_gap.is_none_or(|gap| self.times[next] - self.times[one] <= gap)
    }

    fn heuristic(&self) -> Option<Kept> {
        let mut kept: Vec<usize> = (0..self.versions.len()).collect();
        let Wanted { count, most_blocks, .. } = *self.wanted;
        loop {
            let blocks = self.versions.stored(&kept);
            let is_enough = match (count, most_blocks) {
                (Some(count), _) => kept.len() <= count,
                (None, Some(most)) => blocks <= most,
                (None, None) => false,
            };
            let next = if is_enough { None } else { self.next_to_drop(&kept) };
            let Some(drop) = next else {
                let fits = count.is_none_or(|count| kept.len() <= count)
                    && most_blocks.is_none_or(|most| blocks <= most);
                return fits.then_some(Kept { snapshots: kept, blocks, is_exact: false });
            };
            kept.remove(drop);
        }
    }

    /// Where in the kept ones is the one that frees most, if any may go.
    fn next_to_drop(&self, kept: &[usize]) -> Option<usize> {
        let unique = self.versions.unique_among(kept);
        let gap_stays = |at: usize| {
            let before = if at == 0 { 0 } else { kept[at - 1] };
            kept.get(at + 1).is_some_and(|after| self.is_near(before, *after))
        };
        let may_go = (0..kept.len()).filter(|at| !self.must[kept[*at]] && gap_stays(*at));
        may_go.max_by_key(|at| (unique[kept[*at]], std::cmp::Reverse(*at)))
    }
}

/// What a snapshot adds to one before it, for all pairs of a chain.
struct Added {
    n: usize,
    /// Versions born after `i`, not after `j`, and held by `j`, at `i * n + j`.
    between: Vec<u64>,
    full: Vec<u64>,
}

impl Added {
    fn of(versions: &Versions) -> Self {
        let n = versions.len();
        // held[b * n + j]: versions born at b that j holds.
        let mut held = vec![0_u64; n * n];
        for (first, last, blocks) in versions.spans() {
            held[first * n + last] += blocks;
        }
        for first in 0..n {
            for j in (first..n - 1).rev() {
                held[first * n + j] += held[first * n + j + 1];
            }
        }
        // Summed over b from j down to i + 1.
        let mut between = vec![0_u64; n * n];
        for j in 0..n {
            let mut sum = 0;
            for i in (0..j).rev() {
                sum += held[(i + 1) * n + j];
                between[i * n + j] = sum;
            }
        }
        Self { n, between, full: (0..n).map(|at| versions.full(at)).collect() }
    }

    fn full(&self, j: usize) -> u64 {
        self.full[j]
    }

    fn between(&self, i: usize, j: usize) -> u64 {
        self.between[i * self.n + j]
    }
}

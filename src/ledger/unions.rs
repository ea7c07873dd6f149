//! Runs that each read a part of one content, taken together.

use crate::ledger::{CounterpartKind, Entry, Record, ReferenceKind};
use std::collections::BTreeMap;

/// Passes that read parts of one content, at a level or deeper.
pub(super) struct Union {
    pub(super) level: u8,
    /// The runs, oldest first.
    pub(super) runs: Vec<usize>,
    pub(super) blocks_read: u64,
    pub(super) blocks_total: u64,
    /// When the oldest of them ended.
    pub(super) since_ms: i64,
}

impl Union {
    pub(super) fn is_complete(&self) -> bool {
        self.blocks_total > 0 && self.blocks_read == self.blocks_total
    }
}

/// What parts have to have in common to be parts of one whole.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Whole<'a> {
    parts_of: u32,
    blocks_total: u64,
    reads_snapshot: bool,
    reference: ReferenceKind,
    /// Of a manifest. A snapshot has one content for good.
    content_root: Option<&'a str>,
    counterpart: Option<CounterpartKind>,
}

fn whole(entry: &Entry) -> Option<Whole<'_>> {
    let details = entry.details.as_ref()?;
    let is_of_parts = !details.parts.is_empty() && !details.resumed_on_trust;
    let reference = &details.reference;
    let content_root = match reference.kind {
        ReferenceKind::Snapshot => None,
        ReferenceKind::Manifest => Some(reference.content_root.as_deref()?),
    };
    Some(Whole {
        parts_of: details.parts_of.filter(|_| is_of_parts)?,
        blocks_total: entry.blocks_total,
        reads_snapshot: details.reads_snapshot,
        reference: reference.kind,
        content_root,
        counterpart: entry.counterpart(),
    })
}

/// Unions of these passes: of each whole, at each level, the newest pass of every part.
pub(super) fn unions(runs: &[Record], passes: &[usize]) -> Vec<Union> {
    let mut wholes: BTreeMap<Whole<'_>, Vec<usize>> = BTreeMap::new();
    for at in passes {
        if let Some(whole) = whole(&runs[*at].entry) {
            wholes.entry(whole).or_default().push(*at);
        }
    }
    let mut unions = Vec::new();
    for (whole, passes) in wholes {
        let levels: std::collections::BTreeSet<u8> = passes.iter().map(|at| runs[*at].entry.level).collect();
        unions.extend(levels.into_iter().filter_map(|level| union(runs, &passes, level, &whole)));
    }
    unions
}

fn union(runs: &[Record], passes: &[usize], level: u8, whole: &Whole<'_>) -> Option<Union> {
    let mut newest: BTreeMap<u32, usize> = BTreeMap::new();
    for at in passes.iter().filter(|at| runs[**at].entry.level >= level) {
        for part in runs[*at].entry.details.iter().flat_map(|details| &details.parts) {
            let of = newest.entry(*part).or_insert(*at);
            if runs[*of].entry.ended_ms < runs[*at].entry.ended_ms {
                *of = *at;
            }
        }
    }
    let mut members: Vec<usize> = newest.values().copied().collect();
    members.sort_unstable_by_key(|at| (runs[*at].entry.ended_ms, *at));
    members.dedup();
    let details = || members.iter().filter_map(|at| runs[*at].entry.details.as_ref());
    let is_disjoint = details().map(|details| details.parts.len()).sum::<usize>() == newest.len();
    let is_of_parts_alone =
        details().all(|details| ["part", "cycle", "completed_cycle", "all"].contains(&&*details.extent));
    // Parts without blocks are read by no run: where the others add up to everything, there is no more.
    let sum = members.iter().map(|at| runs[*at].entry.blocks_read).fold(0, u64::saturating_add);
    let blocks_read = match newest.len() == whole.parts_of as usize {
        true => whole.blocks_total,
        false if is_disjoint && is_of_parts_alone => sum.min(whole.blocks_total),
        // Which of the blocks are the same is not known.
        false => members.iter().map(|at| runs[*at].entry.blocks_read).max()?,
    };
    let since_ms = runs[*members.first()?].entry.ended_ms;
    Some(Union { level, runs: members, blocks_read, blocks_total: whole.blocks_total, since_ms })
}

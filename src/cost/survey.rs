//! From what is known of an account's snapshots to the model of what they share.
//!
//! A [`Survey`] says what to compare, in rounds: what a round finds out (a stranger that is kin, a snapshot that
//! cannot be read) may change what is to be compared in the next. It does no I/O.

use crate::block::BlockSet;
use crate::cost::{
    Against, Compared, Descended, Descent, Doubt, Kin, Kinship, Layer, Quality, Sight, Versions,
};
use std::collections::BTreeMap;

/// A survey under way.
#[derive(Clone, Debug)]
pub struct Survey {
    all: Vec<Kin>,
    /// Whose families are to be modelled.
    wanted: Vec<bool>,
    most: usize,
    kinship: Kinship,
    /// Those of other families that were asked whether they belong to a wanted one.
    probed: Vec<bool>,
    not_asked: Vec<usize>,
    related: Vec<(usize, usize)>,
    doubts: BTreeMap<usize, Doubt>,
    settled: Vec<Option<Settled>>,
}

#[derive(Clone, Debug)]
struct Settled {
    against: Against,
    layer: Layer,
    /// What could share with it and was not compared.
    open: Vec<usize>,
}

impl Survey {
    /// Of these snapshots, in order of their start, with at most so many comparisons for each. Modelled are the
    /// families of those that are wanted, whole.
    ///
    /// # Panics
    /// When they are in another order, or not as many.
    pub fn new(all: Vec<Kin>, wanted: Vec<bool>, most: usize) -> Self {
        assert!(all.is_sorted_by_key(|kin| kin.started), "snapshots are numbered by their start");
        assert!(all.len() == wanted.len(), "each is wanted or not");
        let kinship = Kinship::of(&all, &[]);
        let settled = all.iter().map(|_| None).collect();
        let probed = vec![false; all.len()];
        let (related, not_asked, doubts) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { all, wanted, most, kinship, probed, not_asked, related, doubts, settled }
    }

    /// Of all of them.
    pub fn all(all: Vec<Kin>, most: usize) -> Self {
        let wanted = vec![true; all.len()];
        Self::new(all, wanted, most)
    }

    /// What is known of their kinship so far.
    pub fn kinship(&self) -> &Kinship {
        &self.kinship
    }

    /// The descents of the next round; none when all is settled. They do not depend on each other.
    pub fn round(&mut self) -> Vec<(usize, Descent)> {
        let mut round = Vec::new();
        let is_wanted = self.wanted_families();
        let families = self.kinship.families();
        for at in 0..self.all.len() {
            if !is_wanted[families[at]] {
                round.extend(self.probe(at, &is_wanted).map(|probe| (at, probe)));
                self.probed[at] = true;
                continue;
            }
            let Some(against) = self.kinship.against(at) else {
                self.settled[at] = None;
                continue;
            };
            let descent = match (self.settled[at].take(), against) {
                (Some(settled), against) if settled.against == *against => {
                    self.settled[at] = Some(settled);
                    continue;
                }
                (Some(Settled { against: Against::One(one), layer, .. }), Against::Any { kin, .. })
                    if kin.first() == Some(&one) =>
                {
                    Descent::resumed(layer, &kin[1..], self.most)
                }
                _ => Descent::new(against, self.most),
            };
            round.push((at, descent));
        }
        round
    }

    fn wanted_families(&self) -> Vec<bool> {
        let mut is_wanted = vec![false; self.all.len()];
        let wanted = self.kinship.families().iter().zip(&self.wanted).filter(|(_, wanted)| **wanted);
        wanted.for_each(|(family, _)| is_wanted[*family] = true);
        is_wanted
    }

    /// One of another family, that may continue a wanted one without anybody knowing.
    fn probe(&self, at: usize, is_wanted: &[bool]) -> Option<Descent> {
        let families = self.kinship.families();
        let Some(Against::Any { strangers, .. }) = self.kinship.against(at) else { return None };
        let wanted = strangers.iter().filter(|family| is_wanted[families[family[0]]]);
        let wanted: Vec<Vec<usize>> = wanted.cloned().collect();
        (!self.probed[at] && !wanted.is_empty()).then(|| Descent::probe(wanted, self.most))
    }

    /// Takes the end of a descent of this round, and its own block map where it needs one.
    pub fn settle(&mut self, at: usize, descent: Descent, map: Option<BlockSet>) {
        self.related.extend(descent.found().iter().map(|other| (*other, at)));
        if !self.wanted_families()[self.kinship.families()[at]] {
            // One that turned out to be kin is looked at whole in the next round.
            if descent.found().is_empty() {
                self.not_asked.extend(descent.not_asked());
            }
            return;
        }
        let against = self.kinship.against(at).cloned();
        match (descent.finish(map), against) {
            (Descended::Known(layer, open), Some(against)) => {
                self.settled[at] = Some(Settled { against, layer, open });
            }
            (Descended::Unknown(doubt), _) => {
                self.doubts.insert(at, doubt);
                self.all[at].sight = Sight::Hidden;
            }
            (Descended::Known(..), None) => {}
        }
    }

    /// Ends a round: what it found out may call for another.
    pub fn end_round(&mut self) {
        self.kinship = Kinship::of(&self.all, &self.related);
    }

    /// Does it all at once, with somebody who answers.
    pub fn run(
        mut self,
        mut compare: impl FnMut(usize, usize) -> Compared,
        mut map: impl FnMut(usize) -> Option<BlockSet>,
    ) -> Holdings {
        loop {
            let round = self.round();
            if round.is_empty() {
                return self.finish();
            }
            for (at, mut descent) in round {
                while let Some(with) = descent.next() {
                    descent.told(compare(with, at));
                }
                let map = if descent.needs_map() { map(at) } else { None };
                self.settle(at, descent, map);
            }
            self.end_round();
        }
    }

    /// The model.
    pub fn finish(mut self) -> Holdings {
        let families = self.kinship.families();
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut in_doubt: BTreeMap<usize, Doubt> = BTreeMap::new();
        for (at, settled) in self.settled.iter().enumerate() {
            let Some(settled) = settled else { continue };
            members.entry(families[at]).or_default().push(at);
            if self.kinship.doubt(at).is_some() {
                in_doubt.entry(at).or_insert(Doubt::Neighbour);
            }
            let not_asked = |other: &usize| families[*other] == families[at];
            if self.not_asked.iter().any(not_asked) {
                in_doubt.insert(at, Doubt::NotCompared);
            }
            if settled.open.is_empty() {
                continue;
            }
            // It may hold what others seem to hold alone, and so may they.
            let others = (0..self.all.len())
                .filter(|other| settled.open.iter().any(|open| families[*open] == families[*other]));
            others.chain([at]).for_each(|at| {
                in_doubt.insert(at, Doubt::NotCompared);
            });
        }
        let mut standing: Vec<Standing> = (0..self.all.len())
            .map(|at| Standing::Unknown(self.doubts.get(&at).copied().unwrap_or(Doubt::NotListed)))
            .collect();
        let mut lineages = Vec::new();
        for members in members.into_values() {
            let number: BTreeMap<usize, usize> =
                members.iter().enumerate().map(|(nth, at)| (*at, nth)).collect();
            let layers: Vec<Layer> = members
                .iter()
                .filter_map(|at| self.settled[*at].take())
                .map(|settled| settled.layer.renumbered(&number))
                .collect();
            let versions = Versions::of(&layers);
            for (nth, at) in members.iter().enumerate() {
                let quality = match in_doubt.get(at) {
                    _ if versions.is_contradicted(nth) => Quality::Unknown(Doubt::Contradicted),
                    Some(doubt) => Quality::AtMost(*doubt),
                    None => Quality::Exact,
                };
                standing[*at] = Standing::Known { lineage: lineages.len(), member: nth, quality };
            }
            lineages.push(Lineage { members, versions, layers });
        }
        Holdings { lineages, standing, families: families.to_vec() }
    }
}

/// What snapshots hold together: each lineage's versions, and where each snapshot stands in it.
#[derive(Clone, Debug)]
pub struct Holdings {
    /// Lineages that hold something in the standard tier.
    pub lineages: Vec<Lineage>,
    /// For each snapshot, by number.
    pub standing: Vec<Standing>,
    /// The family of each snapshot, numbered by their first members; also of those that cannot be read.
    pub families: Vec<usize>,
}

/// Snapshots that share blocks.
#[derive(Clone, Debug)]
pub struct Lineage {
    /// Numbers of its snapshots, by start.
    pub members: Vec<usize>,
    /// Their versions, numbered within the lineage.
    pub versions: Versions,
    /// What each has that earlier ones have not.
    pub layers: Vec<Layer>,
}

/// Where a snapshot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In a lineage.
    Known {
        /// Which.
        lineage: usize,
        /// Its number within that.
        member: usize,
        /// How sure its figures are.
        quality: Quality,
    },
    /// Nothing is known of its blocks.
    Unknown(Doubt),
}

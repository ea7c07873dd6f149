//! Finding out what a snapshot took over: whom to compare it with next, and what is known in the end.
//!
//! A [`Descent`] asks for one comparison after the other and makes a [`Layer`] of the answers. It does no I/O: who
//! drives it lists changes, or takes them from where they are kept.

use crate::block::BlockSet;
use crate::cost::{Against, Doubt, Layer};
use std::collections::VecDeque;

/// What a comparison of an earlier snapshot with this one told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// They share a lineage.
    Related {
        /// Blocks that this one has and the earlier has not, or in another version.
        written: BlockSet,
        /// Blocks that the earlier has and this one has not.
        freed: BlockSet,
    },
    /// They share no lineage.
    Unrelated,
    /// It could not be told.
    Failed(Doubt),
}

/// A snapshot's descent, as far as it is known.
#[derive(Clone, Debug)]
pub struct Descent {
    layer: Option<Layer>,
    kin: VecDeque<usize>,
    strangers: VecDeque<Vec<usize>>,
    failed: Option<Doubt>,
    left: usize,
    found: Vec<usize>,
    is_probe: bool,
}

/// What became of a descent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descended {
    /// The layer, and what was not compared although it could share: where that is not empty, what is new in the
    /// layer may be less.
    Known(Layer, Vec<usize>),
    /// Nothing is known.
    Unknown(Doubt),
}

impl Descent {
    /// The beginning: at most so many comparisons will be asked for.
    pub fn new(against: &Against, most: usize) -> Self {
        let (kin, strangers) = match against {
            Against::Nothing => (VecDeque::new(), VecDeque::new()),
            Against::One(one) => (VecDeque::from([*one]), VecDeque::new()),
            Against::Any { kin, strangers } => (kin.clone().into(), strangers.clone().into()),
        };
        Self {
            layer: None,
            kin,
            strangers,
            failed: None,
            left: most.max(1),
            found: Vec::new(),
            is_probe: false,
        }
    }

    /// One that has been explained in part goes on with more that could share.
    pub fn resumed(layer: Layer, more: &[usize], most: usize) -> Self {
        let kin =
            more.iter().copied().filter(|more| !layer.relatives().any(|known| known == *more)).collect();
        let left = most.saturating_sub(1).max(1);
        Self {
            layer: Some(layer),
            kin,
            strangers: VecDeque::new(),
            failed: None,
            left,
            found: Vec::new(),
            is_probe: false,
        }
    }

    /// Only asks whether one of these families is its own; nothing else is to be found out.
    pub fn probe(strangers: Vec<Vec<usize>>, most: usize) -> Self {
        Self { is_probe: true, ..Self::new(&Against::Any { kin: Vec::new(), strangers }, most) }
    }

    /// Whether it only asks whose kin it is.
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Strangers that it may ask whether it is of their family, one of each.
    pub fn nearest_strangers(&self) -> impl Iterator<Item = usize> {
        self.strangers.iter().filter_map(|family| family.first().copied())
    }

    /// Strangers that were not asked for.
    pub fn not_asked(&self) -> impl Iterator<Item = usize> {
        self.strangers.iter().flatten().copied()
    }

    /// Strangers that turned out to be related.
    pub fn found(&self) -> &[usize] {
        &self.found
    }

    /// The earlier snapshot to compare with next; `None` when there is nothing left to ask.
    pub fn next(&self) -> Option<usize> {
        // A relation that was found is followed up in the next round.
        let is_done = self.failed.is_some() || self.left == 0 || (self.is_probe && self.layer.is_some());
        let is_explained = self.layer.as_ref().is_some_and(Layer::is_explained);
        let next = || self.kin.front().or_else(|| self.strangers.front()?.first()).copied();
        if is_done || is_explained { None } else { next() }
    }

    /// Takes the answer to what was asked for with `next`.
    pub fn told(&mut self, answer: Compared) {
        self.left = self.left.saturating_sub(1);
        let (with, family) = match self.kin.pop_front() {
            Some(kin) => (kin, None),
            None => match self.strangers.pop_front() {
                Some(family) => (family[0], Some(family)),
                None => return,
            },
        };
        match (answer, family) {
            (Compared::Related { written, freed }, family) => {
                match &mut self.layer {
                    None => self.layer = Some(Layer::upon(with, written, freed)),
                    Some(layer) => layer.explain(with, &(&written | &freed)),
                }
                self.found.extend(family.as_ref().map(|_| with));
                // One stranger that turns out to be kin brings its family.
                self.kin.extend(family.into_iter().flatten().skip(1));
            }
            (Compared::Unrelated, Some(_)) => {}
            (Compared::Unrelated, None) => self.failed = Some(Doubt::Unrelated),
            (Compared::Failed(doubt), _) => self.failed = Some(doubt),
        }
    }

    /// Whether its own block map is needed: there is nobody to tell it against.
    pub fn needs_map(&self) -> bool {
        self.failed.is_none() && self.layer.is_none() && !self.is_probe
    }

    /// Its own block map could not be listed.
    pub fn failed(&mut self, doubt: Doubt) {
        self.failed = Some(doubt);
    }

    /// The end; with its block map where that is needed.
    pub fn finish(self, map: Option<BlockSet>) -> Descended {
        if let Some(doubt) = self.failed {
            return Descended::Unknown(doubt);
        }
        let Some(layer) = self.layer.or_else(|| map.map(Layer::first)) else {
            return Descended::Unknown(Doubt::NotListed);
        };
        let open = match layer.is_explained() {
            true => Vec::new(),
            false => self.kin.into_iter().chain(self.strangers.into_iter().flatten()).collect(),
        };
        Descended::Known(layer, open)
    }
}

//! Which snapshots could share blocks, as far as that is known before they are compared.
//!
//! AWS shows no parent. What ties snapshots together is their volume, the snapshot that a volume was made from, and
//! our own tag; never the volume id that copies carry. Blocks are shared only within one owner and encryption key
//! (EBS user guide, "how_snapshots_work"), and not with the archive tier.
//!
//! Where the predecessor is known, one comparison tells everything: whatever a snapshot has not taken over from it
//! was written since, on a volume that nobody else writes to. Elsewhere every earlier snapshot that could share has
//! to be looked at: where the predecessor is gone, and where a snapshot between the two is gone that somebody else
//! continues.

use crate::snapshot::{SnapshotId, UnixMillis, VolumeId};
use std::collections::HashMap;

/// What can be seen of a snapshot's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// They can be listed.
    Open,
    /// It may share blocks with others, but cannot be looked at: pending, in the Recycle Bin, refused.
    Hidden,
    /// It shares nothing: archived.
    Apart,
}

/// What a volume was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing.
    Blank,
    /// A snapshot, which may be gone.
    Snapshot(SnapshotId),
    /// Nobody tells: the volume is gone, or was not asked for.
    Unknown,
}

/// What is known of a snapshot's descent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kin {
    /// Its name.
    pub id: SnapshotId,
    /// When it was started.
    pub started: UnixMillis,
    /// Blocks are shared within one realm only: an owner and a key.
    pub realm: String,
    /// Its volume, if a real one stands behind it.
    pub volume: Option<VolumeId>,
    /// What that volume was made from.
    pub origin: Origin,
    /// The snapshot it was started upon, where our tag tells.
    pub parent: Option<SnapshotId>,
    /// Whether it can be looked at.
    pub sight: Sight,
}

/// What to compare a snapshot with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Against {
    /// Nothing: it shares with no earlier snapshot.
    Nothing,
    /// This one, and no other.
    One(usize),
    /// Those of its own family, then the others', each family nearest first.
    Any {
        /// Known to belong together with it.
        kin: Vec<usize>,
        /// Families that it may belong to.
        strangers: Vec<Vec<usize>>,
    },
}

/// The kinship of snapshots, numbered by start.
#[derive(Clone, Debug)]
pub struct Kinship {
    families: Vec<usize>,
    against: Vec<Option<Against>>,
    in_doubt: Vec<Option<usize>>,
    rootless: Vec<bool>,
}

impl Kinship {
    /// Of these snapshots, in order of their start, some of which have been found to be related.
    pub fn of(all: &[Kin], related: &[(usize, usize)]) -> Self {
        let found = |at: usize| related.iter().enumerate().filter(move |(_, (a, b))| *a == at || *b == at);
        let ties =
            |at| ties(&all[at]).into_iter().chain(found(at).map(|(nth, _)| format!("found {nth}"))).collect();
        let families = families((0..all.len()).map(ties));
        let seer = Seer { all, families: &families, predecessors: predecessors(all) };
        let against: Vec<_> =
            (0..all.len()).map(|at| (all[at].sight == Sight::Open).then(|| seer.against(at))).collect();
        let in_doubt = seer.in_doubt();
        let rootless = seer.predecessors.iter().map(|own| matches!(own, Predecessor::Unknown)).collect();
        Self { families, against, in_doubt, rootless }
    }

    /// Whether nobody knows what the snapshot continues.
    pub fn is_rootless(&self, snapshot: usize) -> bool {
        self.rootless[snapshot]
    }

    /// The family of each snapshot, numbered by their first members.
    pub fn families(&self) -> &[usize] {
        &self.families
    }

    /// What to compare a snapshot with; `None` where it cannot be looked at, or shares with nobody.
    pub fn against(&self, snapshot: usize) -> Option<&Against> {
        self.against[snapshot].as_ref()
    }

    /// A hidden snapshot that may hold blocks which seem to be this one's alone, or may have written blocks which
    /// seem to be this one's own.
    pub fn doubt(&self, snapshot: usize) -> Option<usize> {
        self.in_doubt[snapshot]
    }
}

struct Seer<'a> {
    all: &'a [Kin],
    families: &'a [usize],
    predecessors: Vec<Predecessor>,
}

impl Seer<'_> {
    fn against(&self, at: usize) -> Against {
        let (one, earlier): (Option<usize>, Vec<usize>) = match self.predecessors[at] {
            Predecessor::None => (None, self.rootless(0, at).collect()),
            Predecessor::One(one) => {
                let family = self.families[at];
                (
                    Some(one),
                    self.rootless(one + 1, at).filter(|other| self.families[*other] == family).collect(),
                )
            }
            Predecessor::Unknown => {
                (None, (0..at).rev().filter(|other| self.could_share(*other, at)).collect())
            }
        };
        let mut kin: Vec<usize> = one.into_iter().collect();
        // Families by their members nearest to it.
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut strangers: Vec<Vec<usize>> = Vec::new();
        for other in earlier {
            let family = self.families[other];
            if family == self.families[at] {
                kin.push(other);
                continue;
            }
            let place = *places.entry(family).or_insert(strangers.len());
            match strangers.get_mut(place) {
                Some(members) => members.push(other),
                None => strangers.push(vec![other]),
            }
        }
        match (one, kin.len(), strangers.is_empty()) {
            (Some(one), 1, true) => Against::One(one),
            (None, 0, true) => Against::Nothing,
            _ => Against::Any { kin, strangers },
        }
    }

    /// Snapshots from a number on and before this one that may continue one which is gone, nearest first. What is
    /// gone may have been a predecessor of this one.
    fn rootless(&self, from: usize, at: usize) -> impl Iterator<Item = usize> {
        let is_rootless = |other: usize| matches!(self.predecessors[other], Predecessor::Unknown);
        (from..at).rev().filter(move |other| is_rootless(*other) && self.could_share(*other, at))
    }

    fn could_share(&self, earlier: usize, at: usize) -> bool {
        let (one, other) = (&self.all[earlier], &self.all[at]);
        one.sight == Sight::Open && one.realm == other.realm
    }

    /// Whom each hidden snapshot makes doubtful: the one it stands upon, which may share with it what seems to be
    /// its alone; those told over its head, which may have taken over what it wrote; and where nobody knows what
    /// continues what, all of them.
    fn in_doubt(&self) -> Vec<Option<usize>> {
        let mut doubts = vec![None; self.all.len()];
        for hidden in (0..self.all.len()).filter(|at| self.all[*at].sight == Sight::Hidden) {
            let is_rootless = |at: usize| matches!(self.predecessors[at], Predecessor::Unknown);
            let concerns = |at: usize| {
                is_rootless(hidden)
                    || is_rootless(at)
                    || matches!(self.predecessors[hidden], Predecessor::One(one) if one == at)
                    || (hidden < at && self.succeeds(at, hidden) && !self.stands_later(at, hidden))
            };
            for (at, doubt) in doubts.iter_mut().enumerate() {
                if self.all[at].realm == self.all[hidden].realm && concerns(at) {
                    *doubt = Some(hidden);
                }
            }
        }
        doubts
    }

    fn stands_later(&self, at: usize, hidden: usize) -> bool {
        matches!(self.predecessors[at], Predecessor::One(one) if one > hidden)
    }

    /// Whether one was made of the volume of the other, or of it.
    fn succeeds(&self, at: usize, hidden: usize) -> bool {
        let (own, hidden) = (&self.all[at], &self.all[hidden]);
        let on_volume = own.volume.is_some() && own.volume == hidden.volume;
        let made_from =
            own.parent.as_ref() == Some(&hidden.id) || own.origin == Origin::Snapshot(hidden.id.clone());
        on_volume || made_from
    }
}

#[derive(Clone, Copy)]
enum Predecessor {
    None,
    One(usize),
    Unknown,
}

/// Whom each stands upon, hidden ones left out.
fn predecessors(all: &[Kin]) -> Vec<Predecessor> {
    let numbers: HashMap<&SnapshotId, usize> =
        all.iter().enumerate().map(|(at, kin)| (&kin.id, at)).collect();
    let mut newest: HashMap<(&VolumeId, &str), usize> = HashMap::new();
    let mut predecessors = Vec::with_capacity(all.len());
    for (at, own) in all.iter().enumerate() {
        let named = |id: &SnapshotId| match numbers.get(id).filter(|known| **known < at) {
            // Blocks are copied when they are encrypted anew.
            Some(known) if all[*known].realm != own.realm => Predecessor::None,
            Some(known) if all[*known].sight == Sight::Open => Predecessor::One(*known),
            _ => Predecessor::Unknown,
        };
        let on_volume = own.volume.as_ref().map(|volume| (volume, own.realm.as_str()));
        predecessors.push(match (&own.parent, on_volume) {
            (Some(parent), _) => named(parent),
            (None, None) => Predecessor::Unknown,
            (None, Some(volume)) => match (newest.get(&volume), &own.origin) {
                (Some(previous), _) => Predecessor::One(*previous),
                (None, Origin::Blank) => Predecessor::None,
                (None, Origin::Snapshot(source)) => named(source),
                (None, Origin::Unknown) => Predecessor::Unknown,
            },
        });
        if own.sight == Sight::Open {
            newest.extend(on_volume.map(|volume| (volume, at)));
        }
    }
    predecessors
}

/// What a snapshot is tied to: things that it has in common with its family.
fn ties(kin: &Kin) -> Vec<String> {
    let source = match &kin.origin {
        Origin::Snapshot(id) => Some(id),
        _ => None,
    };
    let snapshots =
        [Some(&kin.id), kin.parent.as_ref(), source].into_iter().flatten().map(ToString::to_string);
    snapshots.chain(kin.volume.iter().map(ToString::to_string)).collect()
}

/// Groups what has a tie in common, directly or through others. Groups are numbered by their first members.
pub fn families<T: Into<String>>(all: impl IntoIterator<Item = Vec<T>>) -> Vec<usize> {
    let mut family_of: HashMap<String, usize> = HashMap::new();
    // Each family's elder: itself, or one it has been merged into.
    let mut elders: Vec<usize> = Vec::new();
    let mut members = Vec::new();
    for ties in all {
        let ties: Vec<String> = ties.into_iter().map(Into::into).collect();
        let mut known: Vec<usize> =
            ties.iter().filter_map(|tie| family_of.get(tie)).map(|family| elder(&elders, *family)).collect();
        known.sort_unstable();
        let family = known.first().copied().unwrap_or(elders.len());
        if family == elders.len() {
            elders.push(family);
        }
        known.into_iter().for_each(|merged| elders[merged] = family);
        family_of.extend(ties.into_iter().map(|tie| (tie, family)));
        members.push(family);
    }
    members.into_iter().map(|family| elder(&elders, family)).collect()
}

fn elder(elders: &[usize], mut family: usize) -> usize {
    while elders[family] != family {
        family = elders[family];
    }
    family
}

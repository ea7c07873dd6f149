//! What deleting, archiving or keeping would change.

use crate::block::{BlockSize, ByteSize};
use crate::cost::archive::{Archiving, Use};
use crate::cost::keep::{Wanted, cheapest};
use crate::cost::protection::{Blocker, NotAsked, SET_TAG, blockers};
use crate::cost::retention::Retention;
use crate::cost::{Amount, Doubt, Quality, Standing, Usd, orphan};
use crate::fault::{Fault, Kind, Place};
use crate::ops::cost::facts::Holders;
use crate::ops::cost::measured::{Measured, Row};
use crate::ops::{Engine, Services};
use crate::snapshot::{SnapshotId, StorageTier, UnixMillis, VolumeId};
use std::collections::{BTreeMap, BTreeSet};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Deleting these.
    Delete(Vec<SnapshotId>),
    /// Moving these to the archive tier.
    Archive(Vec<SnapshotId>, Use),
    /// Keeping of each lineage shown what costs least.
    Keep {
        /// So many of each lineage.
        count: Option<usize>,
        /// No longer than this between two, in milliseconds.
        max_gap: Option<i64>,
        /// Saving so much a month, in all.
        save: Option<Usd>,
    },
    /// Keeping what a policy keeps of each volume.
    Retain(Retention),
}

/// When what is deleted is free: in the Recycle Bin it can be had back, and is billed as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// Nobody told whether a rule keeps it.
    Unknown,
    /// At once: no rule keeps it.
    Now,
    /// When it leaves the bin.
    At(UnixMillis),
}

/// What becomes of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It goes.
    Gone,
    /// It moves to the archive tier.
    Archived,
    /// What others held as well is billed to it.
    TakesOver,
    /// Nothing.
    Stays,
}

/// What becomes of a snapshot's bill. What is not known is `None`.
#[derive(Clone, Debug)]
pub struct Effect {
    /// Which one.
    pub id: SnapshotId,
    /// What becomes of it.
    pub change: Change,
    /// What it is billed now, and what that costs a month.
    pub before: Option<(ByteSize, Amount)>,
    /// The same then.
    pub after: Option<(ByteSize, Amount)>,
    /// How sure that is.
    pub quality: Quality,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct WhatIf {
    /// The question.
    pub what: What,
    /// The snapshots that would go, or move; by start.
    pub snapshots: Vec<SnapshotId>,
    /// Those that would stay, of the lineages concerned.
    pub kept: Vec<SnapshotId>,
    /// What leaves the tier.
    pub freed: ByteSize,
    /// When it is freed, where it is deleted.
    pub when: Option<Freed>,
    /// What the archive tier takes instead, where it does.
    pub archiving: Option<Archiving>,
    /// Saved a month: negative where it costs more.
    pub saved: Amount,
    /// What the lineages concerned cost a month then, as far as that is known.
    pub left: Amount,
    /// When the first and the last of those that would go were taken: recovery points that are lost.
    pub lost: Option<(UnixMillis, UnixMillis)>,
    /// What others hold of it, by whom it will be billed to.
    pub moved: Vec<(SnapshotId, ByteSize)>,
    /// Of each snapshot of the lineages concerned, by start: the sums of what they are billed before and after differ by
    /// what is freed and saved.
    pub effects: Vec<Effect>,
    /// How sure that is.
    pub quality: Quality,
    /// Whether no other choice costs less; `None` where nothing was chosen.
    pub is_exact_choice: Option<bool>,
    /// What stands against it.
    pub blockers: Vec<(SnapshotId, Blocker)>,
    /// What could stand against it as well, and was not looked at.
    pub not_asked: Vec<NotAsked>,
}

impl Measured {
    /// Answers a question, asking the account what stands against it.
    pub async fn what_if(&self, what: What, services: &Services, engine: &Engine) -> Result<WhatIf, Fault> {
        let (gone, is_exact_choice) = match &what {
            What::Delete(ids) | What::Archive(ids, _) => (self.places(ids)?, None),
            What::Keep { count, max_gap, save } => {
                let held = Holders::ask(services, engine, &[]).await?;
                let (gone, is_exact) = self.cheapest(*count, *max_gap, *save, &held)?;
                (gone, Some(is_exact))
            }
            What::Retain(policy) => (self.dropped(policy), None),
        };
        let ids: Vec<SnapshotId> = gone.iter().map(|at| self.facts.snapshots[*at].id.clone()).collect();
        let holders = Holders::ask(services, engine, &ids).await?;
        let mut answer = self.change(what, &gone);
        answer.is_exact_choice = is_exact_choice;
        answer.blockers = self.against(&gone, &holders, matches!(answer.what, What::Archive(..)));
        Ok(answer)
    }

    fn places(&self, ids: &[SnapshotId]) -> Result<Vec<usize>, Fault> {
        let place = |id: &SnapshotId| {
            self.facts.snapshots.iter().position(|info| info.id == *id).ok_or_else(|| {
                Fault::new(Kind::NotFound, Place::Snapshot(id.clone()), "the snapshot is not one of ours")
                    .hint("check the id with icecore list, and the Region")
            })
        };
        let mut places: Vec<usize> = ids.iter().map(place).collect::<Result<_, _>>()?;
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }

    /// What deleting these would change; nothing is asked.
    pub fn deletion(&self, ids: &[SnapshotId]) -> Result<WhatIf, Fault> {
        Ok(self.change(What::Delete(ids.to_vec()), &self.places(ids)?))
    }

    /// What changes when these leave the standard tier, deleted or archived.
    fn change(&self, what: What, gone: &[usize]) -> WhatIf {
        let id = |at: usize| self.facts.snapshots[at].id.clone();
        let is_archiving = matches!(what, What::Archive(..));
        let (mut freed, mut archived, mut saved) = (0_u64, 0_u64, Amount::ZERO);
        let mut moved = Vec::new();
        let mut quality = Quality::Exact;
        let rows = self.rows();
        for at in gone {
            quality = quality.max(rows[*at].quality);
            let info = &self.facts.snapshots[*at];
            let full = rows[*at].full.map_or(0, ByteSize::bytes);
            if info.tier == StorageTier::Archive {
                freed += if is_archiving { 0 } else { full };
                saved += if is_archiving { Amount::ZERO } else { rows[*at].usd.unwrap_or_default() };
            } else if is_archiving {
                archived += full;
                if rows[*at].full.is_none() {
                    quality = Quality::Unknown(Doubt::SizeUntold);
                }
            }
        }
        for lineage in &self.holdings.lineages {
            let of: Vec<usize> = (0..lineage.members.len())
                .filter(|nth| gone.binary_search(&lineage.members[*nth]).is_ok())
                .collect();
            let size = BlockSize::EBS.of(lineage.versions.freed(&of));
            freed += size.bytes();
            saved += Amount::of(size, self.prices.standard);
            let to = lineage.versions.moved(&of).into_iter();
            moved.extend(to.map(|(nth, blocks)| (id(lineage.members[nth]), BlockSize::EBS.of(blocks))));
        }
        let freed = ByteSize::from_bytes(freed);
        let mut archiving = None;
        if let What::Archive(_, expected) = &what {
            let all = Archiving::of(freed, ByteSize::from_bytes(archived), *expected, &self.prices);
            saved = all.saved - all.added - all.restores.unwrap_or_default();
            archiving = Some(all);
        }
        let families: BTreeSet<usize> = gone.iter().map(|at| self.holdings.families[*at]).collect();
        let stays =
            |at: &usize| families.contains(&self.holdings.families[*at]) && gone.binary_search(at).is_err();
        let kept = (0..rows.len()).filter(stays).map(id).collect();
        let concerned = || (0..rows.len()).filter(|at| families.contains(&self.holdings.families[*at]));
        let effect = |at| self.effect(&rows[at], gone.binary_search(&at).is_ok(), is_archiving, &moved);
        let effects = concerned().map(effect).collect();
        let billed: Amount = concerned().filter_map(|at| rows[at].usd).sum();
        let taken = |at: &usize| self.facts.snapshots[*at].start_time;
        let lost = gone.first().map(taken).zip(gone.last().map(taken));
        WhatIf {
            what,
            snapshots: gone.iter().map(|at| id(*at)).collect(),
            kept,
            freed,
            when: (!is_archiving).then(|| self.freed_when()),
            archiving,
            saved,
            left: billed - saved,
            lost: lost.filter(|_| !is_archiving),
            moved,
            effects,
            quality,
            is_exact_choice: None,
            blockers: Vec::new(),
            not_asked: self.not_asked(),
        }
    }

    fn effect(
        &self,
        row: &Row,
        is_gone: bool,
        is_archiving: bool,
        moved: &[(SnapshotId, ByteSize)],
    ) -> Effect {
        let before = row.attributed.zip(row.usd);
        let taken = moved.iter().find(|(id, _)| *id == row.info.id).map(|(_, size)| *size);
        let (change, after) = match (is_gone, taken) {
            // What is in the archive already stays as it is.
            (true, _) if is_archiving && row.info.tier == StorageTier::Archive => (Change::Stays, before),
            (true, _) if is_archiving => {
                let archived = row.full.map(|full| (full, Amount::of(full, self.prices.archive)));
                (Change::Archived, archived)
            }
            (true, _) => (Change::Gone, Some((ByteSize::from_bytes(0), Amount::ZERO))),
            (false, Some(more)) => {
                let after = before.map(|(size, usd)| {
                    let size = ByteSize::from_bytes(size.bytes() + more.bytes());
                    (size, usd + Amount::of(more, self.prices.standard))
                });
                (Change::TakesOver, after)
            }
            (false, None) => (Change::Stays, before),
        };
        Effect { id: row.info.id.clone(), change, before, after, quality: row.quality }
    }

    pub(super) fn not_asked(&self) -> Vec<NotAsked> {
        let verifications = self.verified.is_none().then_some(NotAsked::Verifications);
        [NotAsked::OlderLaunches].into_iter().chain(verifications).collect()
    }

    fn freed_when(&self) -> Freed {
        match self.bin_days {
            None => Freed::Unknown,
            Some(0) => Freed::Now,
            Some(days) => Freed::At(self.now.plus_millis(i64::from(days) * 86_400_000)),
        }
    }

    /// What stands against these going.
    pub(super) fn against(
        &self,
        gone: &[usize],
        holders: &Holders,
        is_archiving: bool,
    ) -> Vec<(SnapshotId, Blocker)> {
        let mut found = Vec::new();
        for at in gone {
            let info = &self.facts.snapshots[*at];
            let mut own = blockers(&holders.of(info, self.now), &info.tags);
            if is_archiving {
                // Locked, and fast while it is there, it may still be archived; a newest one only costs time.
                own.retain(|blocker| {
                    !matches!(blocker, Blocker::Locked | Blocker::LockUnknown | Blocker::ImageDisabled)
                });
            }
            own.extend(self.last_of_its_kind(*at, gone));
            own.extend(self.is_last_verified(*at, gone).then_some(Blocker::LastVerified));
            own.extend((!is_archiving && self.breaks_a_set(*at, gone)).then_some(Blocker::IncompleteSet));
            found.extend(own.into_iter().map(|blocker| (info.id.clone(), blocker)));
        }
        found
    }

    fn last_of_its_kind(&self, at: usize, gone: &[usize]) -> Option<Blocker> {
        let info = &self.facts.snapshots[at];
        let is_gone = |other: usize| gone.binary_search(&other).is_ok();
        let others = |same: &dyn Fn(usize) -> bool| {
            let left: Vec<usize> =
                (0..self.facts.snapshots.len()).filter(|other| same(*other) && !is_gone(*other)).collect();
            (left.is_empty(), left.iter().all(|other| *other < at))
        };
        if let Some(volume) = info.volume_id.as_ref().filter(|id| id.is_real()) {
            let same = |other: usize| self.facts.snapshots[other].volume_id.as_ref() == Some(volume);
            return match others(&same) {
                (true, _) => Some(Blocker::LastOfVolume),
                (false, true) => Some(Blocker::NewestOfVolume),
                (false, false) => None,
            };
        }
        orphan::copied_from(&info.description)?;
        let same = |other: usize| {
            self.holdings.families[other] == self.holdings.families[at]
                && orphan::copied_from(&self.facts.snapshots[other].description).is_some()
        };
        others(&same).1.then_some(Blocker::NewestCopy)
    }

    /// Whether it was verified, wholly or in part, and of those that are newer and stay none was verified as much.
    fn is_last_verified(&self, at: usize, gone: &[usize]) -> bool {
        let proved = |at: usize| self.verified.as_ref()?.get(&self.facts.snapshots[at].id).copied();
        let newer = at + 1..self.facts.snapshots.len();
        proved(at).is_some_and(|own| {
            !newer.into_iter().any(|other| {
                self.is_same_line(at, other)
                    && proved(other).is_some_and(|others| others >= own)
                    && gone.binary_search(&other).is_err()
            })
        })
    }

    /// Of one volume, or where none is told, of one family.
    fn is_same_line(&self, one: usize, other: usize) -> bool {
        let volume = |at: usize| self.facts.snapshots[at].volume_id.as_ref().filter(|id| id.is_real());
        match (volume(one), volume(other)) {
            (Some(one), Some(other)) => one == other,
            _ => self.holdings.families[one] == self.holdings.families[other],
        }
    }

    /// Whether others of its set stay, which are worth less without it.
    fn breaks_a_set(&self, at: usize, gone: &[usize]) -> bool {
        let set = |at: usize| self.facts.snapshots[at].tags.get(SET_TAG);
        let stays = |other: &usize| gone.binary_search(other).is_err();
        set(at).is_some_and(|own| {
            (0..self.facts.snapshots.len()).filter(stays).any(|other| set(other) == Some(own))
        })
    }

    /// What a policy drops, volume by volume. What cannot be looked at is kept.
    fn dropped(&self, policy: &Retention) -> Vec<usize> {
        let mut by_volume: BTreeMap<(Option<&VolumeId>, usize), Vec<usize>> = BTreeMap::new();
        for at in self.shown.iter().filter(|at| self.lineage(**at).is_some()) {
            let volume = self.facts.snapshots[*at].volume_id.as_ref().filter(|id| id.is_real());
            let family = if volume.is_some() { 0 } else { self.holdings.families[*at] };
            by_volume.entry((volume, family)).or_default().push(*at);
        }
        let mut dropped = Vec::new();
        for places in by_volume.into_values() {
            let times: Vec<UnixMillis> =
                places.iter().map(|at| self.facts.snapshots[*at].start_time).collect();
            let keeps = policy.keeps(&times);
            dropped.extend(places.into_iter().zip(keeps).filter(|(_, keep)| !keep).map(|(at, _)| at));
        }
        dropped.sort_unstable();
        dropped
    }

    /// What goes when of each lineage the cheapest set is kept, and whether none costs less.
    fn cheapest(
        &self,
        count: Option<usize>,
        max_gap: Option<i64>,
        save: Option<Usd>,
        held: &Holders,
    ) -> Result<(Vec<usize>, bool), Fault> {
        let lineages: BTreeSet<usize> = self
            .shown
            .iter()
            .filter_map(|at| match self.holdings.standing[*at] {
                Standing::Known { lineage, .. } => Some(lineage),
                Standing::Unknown(_) => None,
            })
            .collect();
        let impossible = |what: &str| Fault::new(Kind::Unsuitable, Place::Program, what.to_owned());
        if save.is_some() && lineages.len() > 1 {
            return Err(impossible("--save chooses within one lineage, and several are shown")
                .hint("name one of them with --volume, or a snapshot of it"));
        }
        let (mut gone, mut is_exact) = (Vec::new(), true);
        for lineage in lineages.into_iter().map(|number| &self.holdings.lineages[number]) {
            let info = |nth: usize| &self.facts.snapshots[lineage.members[nth]];
            let n = lineage.members.len();
            let times: Vec<i64> = (0..n).map(|nth| info(nth).start_time.0).collect();
            let newest: BTreeMap<Option<&VolumeId>, usize> =
                (0..n).map(|nth| (info(nth).volume_id.as_ref(), nth)).collect();
            let must = |nth: usize| {
                let protection = held.of(info(nth), self.now);
                let is_held = protection.is_locked == Some(true)
                    || protection.is_in_template == Some(true)
                    || protection.images.is_some_and(|images| !images.is_empty())
                    || self.is_last_verified(lineage.members[nth], &[]);
                is_held || newest.get(&info(nth).volume_id.as_ref()) == Some(&nth)
            };
            let must: Vec<bool> = (0..n).map(must).collect();
            let most_blocks = save.map(|save| {
                // A block costs a 2,048th of a GiB; saving less than asked for is not saving it.
                let per_gib = u128::from(self.prices.standard.nanos().max(1));
                let blocks = (u128::from(save.nanos()) * 2048).div_ceil(per_gib);
                lineage.versions.total().saturating_sub(u64::try_from(blocks).unwrap_or(u64::MAX))
            });
            let wanted = Wanted { count, max_gap, most_blocks };
            let Some(kept) = cheapest(&lineage.versions, &times, &must, &wanted) else {
                return Err(impossible("no choice fulfils that with the snapshots that must be kept")
                    .hint("ask for less: more snapshots, a longer gap, a smaller saving"));
            };
            is_exact &= kept.is_exact;
            let stays: BTreeSet<usize> = kept.snapshots.into_iter().collect();
            gone.extend((0..n).filter(|nth| !stays.contains(nth)).map(|nth| lineage.members[nth]));
        }
        gone.sort_unstable();
        Ok((gone, is_exact))
    }
}

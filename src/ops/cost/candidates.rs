//! Snapshots that could go, and snapshots that could be archived.

use crate::block::ByteSize;
use crate::cost::archive::{Archiving, Use};
use crate::cost::orphan::{self, Reason, Surroundings};
use crate::cost::protection::{Blocker, NotAsked};
use crate::cost::{Amount, Prices, Quality};
use crate::estate::{Manager, image_of, is_vm_import};
use crate::fault::Fault;
use crate::ops::cost::facts::Holders;
use crate::ops::cost::measured::{Measured, Row, Spent};
use crate::ops::{Engine, Services};
use crate::snapshot::{SnapshotId, SnapshotInfo, StorageTier};
use std::time::Duration;

/// A snapshot that nobody seems to need.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// What it costs.
    pub row: Row,
    /// Why it is one.
    pub reasons: Vec<Reason>,
    /// What stands against deleting it.
    pub blockers: Vec<Blocker>,
}

/// What `icecore cost orphans` found.
#[derive(Debug)]
#[must_use]
pub struct OrphansReport {
    /// Most expensive first.
    pub orphans: Vec<Orphan>,
    /// Snapshots looked at.
    pub snapshots: usize,
    /// What deleting all that nothing stands against would free.
    pub freed: ByteSize,
    /// And save a month.
    pub saved: Amount,
    /// How sure that is.
    pub quality: Quality,
    /// What was not told, and why.
    pub untold: Vec<(&'static str, String)>,
    /// What could stand against deleting one as well, and was not looked at.
    pub not_asked: Vec<NotAsked>,
    /// What it took.
    pub spent: Spent,
    /// The worst of what went wrong.
    pub fault: Option<Fault>,
}

/// What archiving one snapshot would change.
#[derive(Clone, Debug)]
pub struct Advice {
    /// What it costs.
    pub row: Row,
    /// What archiving it alone would change; `None` where its size is not known.
    pub archiving: Option<Archiving>,
    /// Whether an older and a newer one of its lineage are kept: AWS advises against archiving the ends.
    pub is_in_the_middle: bool,
}

/// What `icecore cost archive-advice` found.
#[derive(Debug)]
#[must_use]
pub struct AdviceReport {
    /// Largest gain first.
    pub advice: Vec<Advice>,
    /// How often restores are expected.
    pub expected: Use,
    /// The part, in thousandths, that a snapshot must hold alone for archiving to pay.
    pub threshold: Option<u64>,
    /// The Region's prices.
    pub prices: Prices,
    /// What it took.
    pub spent: Spent,
    /// The worst of what went wrong.
    pub fault: Option<Fault>,
}

impl Measured {
    /// Candidates for deletion.
    pub async fn orphans(
        self,
        longest: Option<Duration>,
        services: &Services,
        engine: &Engine,
    ) -> Result<OrphansReport, Fault> {
        let first = Holders::ask(services, engine, &[]).await?;
        let rows = self.rows();
        let suspects: Vec<(usize, Vec<Reason>)> = self
            .shown
            .iter()
            .map(|at| (*at, orphan::reasons(&rows[*at].info, &self.around(*at, &first), self.now, longest)))
            .filter(|(_, reasons)| reasons.iter().any(|reason| reason.suffices()))
            .collect();
        let ids: Vec<SnapshotId> = suspects.iter().map(|(at, _)| rows[*at].info.id.clone()).collect();
        let holders = Holders::ask(services, engine, &ids).await?;
        let blockers = |at: usize| {
            let found = self.against(&[at], &holders, false).into_iter();
            found.map(|(_, blocker)| blocker).collect::<Vec<_>>()
        };
        let mut orphans: Vec<Orphan> = suspects
            .into_iter()
            .map(|(at, reasons)| Orphan { row: rows[at].clone(), reasons, blockers: blockers(at) })
            .collect();
        orphans.sort_by_key(|orphan| std::cmp::Reverse(orphan.row.usd));
        let free = orphans.iter().filter(|orphan| orphan.blockers.is_empty());
        let free: Vec<SnapshotId> = free.map(|orphan| orphan.row.info.id.clone()).collect();
        let change = self.deletion(&free)?;
        let mut untold: Vec<(&'static str, String)> = Vec::new();
        untold.extend(self.facts.volumes.reason().map(|why| ("volumes", why.to_owned())));
        untold.extend((!holders.knows_images()).then(|| ("images", "they were not told".to_owned())));
        Ok(OrphansReport {
            orphans,
            snapshots: self.shown.len(),
            freed: change.freed,
            saved: change.saved,
            quality: change.quality,
            untold,
            not_asked: self.not_asked(),
            spent: self.spent,
            fault: self.fault,
        })
    }

    fn around(&self, at: usize, holders: &Holders) -> Surroundings {
        let info = &self.facts.snapshots[at];
        let volume = info.volume_id.as_ref().filter(|id| id.is_real());
        let written = self.lineage(at).and_then(|(lineage, member)| {
            let layer = &lineage.layers[member];
            let before = &self.facts.snapshots[lineage.members[layer.stands_upon()?]];
            (before.volume_id == info.volume_id).then(|| layer.churned().len())
        });
        let source = orphan::copied_from(&info.description);
        let is_there = |id: &str| self.facts.snapshots.iter().any(|other| other.id.as_str() == id);
        Surroundings {
            volume_exists: volume.and_then(|id| self.facts.volume_exists(id)),
            unattached_since: volume.and_then(|id| self.facts.unattached_since(id)),
            is_managed: Manager::of(info).is_some(),
            image_exists: image_of(info).and_then(|id| holders.image_exists(&id)),
            import_is_used: is_vm_import(info).then(|| self.is_used(info, holders)).flatten(),
            written_since_last: written,
            source_is_kept: source.map(is_there).filter(|kept| *kept),
        }
    }

    /// Whether a volume, an image or a launch template uses a snapshot; `None` where one of them is unknown and no other
    /// does.
    fn is_used(&self, info: &SnapshotInfo, holders: &Holders) -> Option<bool> {
        let volumes = self.facts.volumes.get();
        let by_volume = volumes.map(|all| all.values().any(|one| one.snapshot.as_ref() == Some(&info.id)));
        let uses = [by_volume, holders.is_in_image(info), holders.is_in_template(info)];
        match uses.contains(&Some(true)) {
            true => Some(true),
            false => uses.iter().all(Option::is_some).then_some(false),
        }
    }

    /// What archiving each would change.
    pub fn archive_advice(self, expected: Use) -> AdviceReport {
        let rows = self.rows();
        let prices = self.prices.clone();
        let advice = |at: &usize| {
            let row = rows[*at].clone();
            let archiving =
                row.unique.zip(row.full).map(|(unique, full)| Archiving::of(unique, full, expected, &prices));
            let same = |other: &usize| self.holdings.families[*other] == self.holdings.families[*at];
            let has = |mut others: std::ops::Range<usize>| others.any(|other| same(&other));
            Advice { row, archiving, is_in_the_middle: has(0..*at) && has(*at + 1..rows.len()) }
        };
        let standard = |at: &&usize| rows[**at].info.tier == StorageTier::Standard;
        let mut advice: Vec<Advice> = self.shown.iter().filter(standard).map(advice).collect();
        advice.sort_by_key(|advice| std::cmp::Reverse(advice.archiving.and_then(|change| change.gain())));
        let threshold = Archiving::threshold(expected, &self.prices);
        AdviceReport {
            advice,
            expected,
            threshold,
            prices: self.prices,
            spent: self.spent,
            fault: self.fault,
        }
    }
}

//! What the control plane tells of snapshots, and of what holds them.

use crate::control::{ImageQuery, Known, SnapshotQuery, VolumeQuery, known};
use crate::cost::protection::{Image as Held, Protection};
use crate::cost::{Kin, Origin, Sight};
use crate::disk::Machine;
use crate::estate::{
    BinnedSnapshot, Image, ImageState, Manager, TemplateVersion, TieringState, Volume, VolumeState, image_of,
};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, SystemClock};
use crate::ops::cost::unattached::noted;
use crate::ops::{Control, Engine, Services};
use crate::pipeline::{Action, Ask, Tries};
use crate::snapshot::{ImageId, SnapshotId, SnapshotInfo, SnapshotState, StorageTier, UnixMillis, VolumeId};
use futures_util::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};

/// A snapshot in the Recycle Bin: billed, but not to be looked at.
pub type Binned = BinnedSnapshot;

/// What is known of an account's snapshots beside their blocks.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Our own snapshots, in order of start.
    pub snapshots: Vec<SnapshotInfo>,
    /// Volumes by name.
    pub volumes: Known<BTreeMap<VolumeId, Volume>>,
    /// Since when volumes have been seen unattached, where looks are noted.
    pub unattached: BTreeMap<VolumeId, UnixMillis>,
    /// What lies in the Recycle Bin.
    pub binned: Known<Vec<Binned>>,
}

impl Facts {
    /// Facts of these snapshots alone; nothing else was asked.
    pub fn of(mut snapshots: Vec<SnapshotInfo>) -> Self {
        snapshots.sort_by(|a, b| (a.start_time, &a.id).cmp(&(b.start_time, &b.id)));
        let not_asked = || "it was not asked".to_owned();
        Self {
            snapshots,
            volumes: Known::Unknown(not_asked()),
            unattached: BTreeMap::new(),
            binned: Known::Unknown(not_asked()),
        }
    }

    /// Asks for them.
    pub(super) async fn ask(services: &Services, engine: &Engine) -> Result<Self, Fault> {
        let Some(snapshots) = &services.snapshots else {
            return Err(Fault::new(Kind::Refused, Place::Program, "this build cannot ask EC2 for snapshots")
                .hint("build icecore with its feature ec2, which is on by default"));
        };
        let query = SnapshotQuery::default();
        let mut facts = Self::of(asked(engine, || snapshots.describe(&query)).await?);
        if let Some(control) = &services.control {
            let query = VolumeQuery::default();
            let volumes = known(asked(engine, || control.volumes.volumes(&query)).await)?;
            facts.volumes =
                volumes.map(|all| all.into_iter().map(|volume| (volume.id.clone(), volume)).collect());
            facts.binned = known(asked(engine, || control.holds.binned_snapshots()).await)?;
        }
        Ok(facts)
    }

    /// What is known of each snapshot's descent.
    pub(super) fn kin(&self) -> Vec<Kin> {
        self.snapshots.iter().map(|info| self.kin_of(info)).collect()
    }

    fn kin_of(&self, info: &SnapshotInfo) -> Kin {
        let volume = info.volume_id.clone().filter(VolumeId::is_real);
        let made = volume.as_ref().and_then(|id| self.volumes.get()?.get(id));
        let origin = match made {
            None => Origin::Unknown,
            Some(volume) => volume.snapshot.clone().map_or(Origin::Blank, Origin::Snapshot),
        };
        let key = match (info.encrypted, &info.kms_key_id) {
            (false, _) => "plain",
            (true, None) => "a key that is not told",
            (true, Some(key)) => key,
        };
        let sight = match (info.tier, info.state) {
            (StorageTier::Archive, _) => Sight::Apart,
            (StorageTier::Standard, SnapshotState::Completed) => Sight::Open,
            (StorageTier::Standard, _) => Sight::Hidden,
        };
        Kin {
            id: info.id.clone(),
            started: info.start_time,
            realm: format!("{} {key}", info.owner_id),
            volume,
            origin,
            parent: info.parent.clone(),
            sight,
        }
    }

    /// Whether a volume is there; nobody may tell.
    pub(super) fn volume_exists(&self, id: &VolumeId) -> Option<bool> {
        let gone = |volume: &Volume| matches!(volume.state, VolumeState::Deleting | VolumeState::Deleted);
        Some(self.volumes.get()?.get(id).is_some_and(|volume| !gone(volume)))
    }
}

impl Facts {
    /// Notes which volumes are unattached now, and since when they have been seen so.
    pub(super) fn note_unattached(&mut self, machine: &Machine, place: &str) -> Result<(), Fault> {
        if let Some(volumes) = self.volumes.get() {
            self.unattached = noted(machine, place, volumes.values(), SystemClock.now())?;
        }
        Ok(())
    }

    /// Since when a volume has been unattached, as far as it was looked at; `None` in the fact while it is attached.
    pub(super) fn unattached_since(&self, id: &VolumeId) -> Option<Option<UnixMillis>> {
        let volume = self.volumes.get()?.get(id)?;
        if volume.attachments.is_empty() { self.unattached.get(id).copied().map(Some) } else { Some(None) }
    }
}

/// What holds snapshots: asked for only where something is to be deleted.
#[derive(Clone, Debug, Default)]
pub(super) struct Holders {
    images: Option<Vec<Image>>,
    binned_images: Option<BTreeSet<ImageId>>,
    locked: Option<BTreeSet<SnapshotId>>,
    fast: Option<BTreeSet<SnapshotId>>,
    moving: Option<BTreeSet<SnapshotId>>,
    templates: Option<Vec<TemplateVersion>>,
    shared: BTreeMap<SnapshotId, bool>,
}

impl Holders {
    pub(super) async fn ask(services: &Services, engine: &Engine, ids: &[SnapshotId]) -> Result<Self, Fault> {
        let Some(Control { images, holds, .. }) = &services.control else { return Ok(Self::default()) };
        let query = ImageQuery::default();
        let images = known(asked(engine, || images.images(&query)).await)?;
        let binned = known(asked(engine, || holds.binned_images()).await)?;
        let locks = known(asked(engine, || holds.locks()).await)?;
        let fast = known(asked(engine, || holds.fast_restores()).await)?;
        let tierings = known(asked(engine, || holds.tierings()).await)?;
        let templates = known(asked(engine, || holds.template_versions()).await)?;
        let mut shared = BTreeMap::new();
        for id in ids {
            let shares = match known(asked(engine, || holds.shares(id)).await) {
                Err(fault) if fault.kind == Kind::NotFound => continue,
                shares => shares?,
            };
            shared.extend(shares.get().map(|shares| (id.clone(), shares.is_shared())));
        }
        use TieringState::{Archiving, Lending, Returning};
        let is_moving = |last: &Option<TieringState>| matches!(last, Some(Archiving | Lending | Returning));
        Ok(Self {
            images: images.get().cloned(),
            binned_images: binned.get().map(|all| all.iter().map(|image| image.id.clone()).collect()),
            locked: locks.get().map(|locks| {
                locks.iter().filter(|lock| lock.holds()).map(|lock| lock.snapshot.clone()).collect()
            }),
            fast: fast
                .get()
                .map(|fast| fast.iter().filter(|one| one.is_on()).map(|one| one.snapshot.clone()).collect()),
            moving: tierings.get().map(|all| {
                let moving = all.iter().filter(|tiering| is_moving(&tiering.last));
                moving.map(|tiering| tiering.snapshot.clone()).collect()
            }),
            templates: templates.get().cloned(),
            shared,
        })
    }

    pub(super) fn of(&self, info: &SnapshotInfo, now: UnixMillis) -> Protection {
        let held = |image: &Image| match (&image.state, image.is_deprecated(now)) {
            (ImageState::Disabled, _) => Held::Disabled,
            (_, true) => Held::Deprecated,
            _ => Held::Registered,
        };
        let binds = |image: &&Image| image.binds_snapshots() && image.snapshots.contains(&info.id);
        // What a binned image holds is not told, but most snapshots say for which image they were made.
        let is_binned = match (image_of(info), &self.binned_images) {
            (None, _) => Some(false),
            (Some(id), Some(binned)) => Some(binned.contains(&id)),
            (Some(_), None) => None,
        };
        let images = self.images.as_ref().zip(is_binned).map(|(images, is_binned)| {
            let binned = is_binned.then_some(Held::Binned);
            images.iter().filter(binds).map(held).chain(binned).collect()
        });
        let manager = Manager::of(info);
        Protection {
            images,
            is_locked: self.locked.as_ref().map(|locked| locked.contains(&info.id)),
            is_shared: self.shared.get(&info.id).copied(),
            is_fast: self.fast.as_ref().map(|fast| fast.contains(&info.id)),
            is_in_progress: self.moving.as_ref().map(|moving| moving.contains(&info.id)),
            is_in_template: self.is_in_template(info),
            is_backup_managed: manager == Some(Manager::Backup),
            is_dlm_managed: manager == Some(Manager::Dlm),
        }
    }

    /// Whether a launch template needs it; nobody may tell. Whatever a parameter names is an image that is there: if
    /// it is ours, it holds the snapshot itself.
    pub(super) fn is_in_template(&self, info: &SnapshotInfo) -> Option<bool> {
        let made_for = image_of(info);
        let held_by = self.images.iter().flatten().filter(|image| image.snapshots.contains(&info.id));
        let images: Vec<&ImageId> = held_by.map(|image| &image.id).chain(&made_for).collect();
        let needs = |one: &TemplateVersion| {
            one.snapshots.contains(&info.id) || images.iter().any(|image| one.names(image))
        };
        self.templates.as_ref().map(|all| all.iter().any(needs))
    }

    /// Whether an image needs it. An image in the Recycle Bin may, and does not say which snapshots it has.
    pub(super) fn is_in_image(&self, info: &SnapshotInfo) -> Option<bool> {
        let images = self.images.as_ref()?;
        if images.iter().any(|image| image.binds_snapshots() && image.snapshots.contains(&info.id)) {
            return Some(true);
        }
        self.binned_images.as_ref().filter(|binned| binned.is_empty()).map(|_| false)
    }

    pub(super) fn knows_images(&self) -> bool {
        self.images.is_some()
    }

    /// Whether an image is there; nobody may tell.
    pub(super) fn image_exists(&self, id: &ImageId) -> Option<bool> {
        let is_there = self.images.as_ref()?.iter().any(|image| image.id == *id && image.binds_snapshots());
        if is_there { Some(true) } else { self.binned_images.as_ref().map(|binned| binned.contains(id)) }
    }
}

async fn asked<'a, T>(
    engine: &Engine,
    ask: impl FnMut() -> BoxFuture<'a, Result<T, Fault>>,
) -> Result<T, Fault> {
    engine.ask(&mut Tries::none(), Ask::new(Action::Control, Place::Service), ask).await
}

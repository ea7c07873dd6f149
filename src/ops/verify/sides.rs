//! What is verified and what it is held against, opened and looked at, nothing read yet.

use crate::block::{BlockSet, ByteSize, Geometry};
use crate::control::VolumeQuery;
use crate::device::{Image, Layout, Padded, PartitionName};
use crate::disk::Machine;
use crate::estate::Volume;
use crate::fault::{Fault, Kind, Place};
use crate::manifest::Manifest;
use crate::ops::preflight::{facts, open};
use crate::ops::verify::{
    Against, Baseline, Level, Options, Origin, Subject, SubjectKind, Target, TargetKind, What, void,
};
use crate::ops::{Engine, Services};
use crate::pipeline::{Action, Ask, Tries, block_map};
use crate::snapshot::SnapshotInfo;
use crate::source::BlockSource;
use std::path::Path;
use std::sync::Arc;

/// Where the truth is: the subject.
#[derive(Clone, Debug)]
pub(super) enum Truth {
    /// A snapshot, which is read.
    Snapshot(Arc<dyn BlockSource>),
    /// What a manifest says.
    Manifest(Arc<Manifest>),
}

/// Where it is held against.
#[derive(Clone, Debug)]
pub(super) enum Other {
    /// Nothing, or nothing but a manifest.
    None,
    /// A restored volume or image.
    Image(Arc<Image>),
    /// Another snapshot, and how it is asked for.
    Snapshot(Arc<dyn BlockSource>, Box<Engine>),
}

/// Both sides.
#[derive(Debug)]
pub(super) struct Sides {
    pub(super) truth: Truth,
    pub(super) other: Other,
    pub(super) subject: Subject,
    pub(super) target: Option<Target>,
    /// A manifest beside the subject: its own earlier one, or another's.
    pub(super) baseline: Option<(Arc<Manifest>, Baseline)>,
    /// Manifests of older snapshots.
    pub(super) older: Vec<Arc<Manifest>>,
    /// What the subject lists.
    pub(super) present: BlockSet,
    /// What the other snapshot lists.
    pub(super) in_other: BlockSet,
    /// What the control plane says of the target's volume.
    pub(super) volume: Option<Volume>,
    /// Whether a block that is not there is known to read as zeros, on both sides.
    pub(super) absent_is_zero: bool,
    /// Whether only blocks that the subject lists are spoken of.
    pub(super) is_of_listed: bool,
}

impl Sides {
    pub(super) fn geometry(&self) -> Geometry {
        self.subject.geometry
    }

    /// The blocks that the check speaks of, and how many more nobody can verify.
    pub(super) fn scope(&self) -> (BlockSet, u64) {
        let listed = &self.present | &self.in_other;
        let all = BlockSet::from(self.geometry().range());
        match (&self.other, &self.baseline) {
            (Other::Image(_), _) if self.is_of_listed => (listed, 0),
            (Other::Image(_), _) if self.absent_is_zero => (all, 0),
            (Other::Image(_), _) => {
                let absent = all.len() - listed.len();
                (listed, absent)
            }
            (_, Some((manifest, _))) => (&listed | manifest.present(), 0),
            _ => (listed, 0),
        }
    }
}

/// Opens everything. What does not fit together is refused here.
pub(super) async fn sides(
    options: &Options,
    services: Option<&Services>,
    engine: &Engine,
) -> Result<Sides, Fault> {
    // Before anything is sent.
    let image = match &options.against {
        Against::Image(path) => Some(opened(path, options, engine.machine())?),
        Against::Nothing | Against::Snapshot { .. } => None,
    };
    let (truth, subject, present) = subject(&options.what, services, engine).await?;
    let mut older = Vec::new();
    for path in options.older.iter().chain(&options.delta_from) {
        older.push(manifest(path).await?);
    }
    let baseline = match &options.manifest {
        Some(path) => {
            let manifest = manifest(path).await?;
            let baseline = baseline_of(&manifest, &subject);
            Some((manifest, baseline))
        }
        None => None,
    };
    // The manifest answers where the control plane does not.
    let is_listed_so = match &truth {
        Truth::Manifest(manifest) if subject.info.is_none() => manifest.about().is_encrypted == Some(false),
        Truth::Manifest(_) | Truth::Snapshot(_) => false,
    };
    let absent_is_zero = options.is_unencrypted || is_unencrypted(subject.info.as_ref()) || is_listed_so;
    let mut sides = Sides {
        truth,
        other: Other::None,
        target: None,
        baseline,
        older,
        present,
        in_other: BlockSet::new(),
        volume: None,
        absent_is_zero,
        is_of_listed: options.taken.is_some(),
        subject,
    };
    match (&options.against, image) {
        (Against::Nothing, _) | (Against::Image(_), None) => {}
        (Against::Image(path), Some(image)) => {
            let target = target(path, &image, options, &sides).await?;
            // What is not in the manifest of an image is known to be zero there.
            let is_known =
                sides.absent_is_zero || matches!(&sides.truth, Truth::Manifest(m) if is_of_image(m));
            sides.volume = volume(&target, services, engine).await;
            let is_unencrypted = sides.volume.as_ref().is_some_and(|volume| !volume.encrypted);
            sides.absent_is_zero =
                is_known && (options.is_unencrypted || is_unencrypted || !image.is_device());
            (sides.other, sides.target) = (Other::Image(image), Some(target));
        }
        (Against::Snapshot { snapshot_id, services: there, engine }, _) => {
            let source = open(there, engine, snapshot_id).await?;
            sides.in_other = block_map(engine, source.as_ref()).await?;
            // Another address of the same store is known only after it has answered.
            void::refuse_itself(options, services)?;
            let info = facts(there, engine, snapshot_id).await;
            sides.absent_is_zero &= options.is_unencrypted || is_unencrypted(info.as_ref());
            let (size, volume) = (source.geometry().size().bytes(), sides.geometry().size().bytes());
            let is_elsewhere = services.is_none_or(|here| here.label != there.label);
            sides.target = Some(Target {
                name: snapshot_id.to_string(),
                place: is_elsewhere.then(|| there.label.clone()),
                kind: TargetKind::Snapshot,
                size: ByteSize::from_bytes(size),
                tail: ByteSize::from_bytes(size.saturating_sub(volume)),
                short_by: ByteSize::from_bytes(volume.saturating_sub(size)),
                volume_id: info.and_then(|info| info.volume_id),
                layout: Layout::default(),
                allow_unchecked: Vec::new(),
            });
            sides.other = Other::Snapshot(source, engine.clone());
        }
    }
    if let Some((manifest, _)) = &sides.baseline {
        sides.absent_is_zero |= is_of_image(manifest);
        if manifest.about().geometry != sides.geometry() {
            let what = format!(
                "it is of a volume of {}, the snapshot of one of {}",
                manifest.about().geometry.volume_size,
                sides.geometry().volume_size
            );
            return Err(Fault::new(Kind::Unsuitable, Place::File(manifest.path().to_owned()), what)
                .hint("give the manifest of this snapshot, of its copy or of its volume"));
        }
    }
    Ok(sides)
}

/// What the control plane says of the volume that a device says it is; `None` where nobody tells.
async fn volume(target: &Target, services: Option<&Services>, engine: &Engine) -> Option<Volume> {
    let (id, control) = (target.volume_id.as_ref()?, services?.control.as_ref()?);
    let query = VolumeQuery::one(id);
    let ask = Ask::new(Action::Control, Place::Service);
    let found = engine.ask(&mut Tries::none(), ask, || control.volumes.volumes(&query)).await.ok()?;
    found.into_iter().find(|volume| volume.id == *id)
}

fn is_of_image(manifest: &Manifest) -> bool {
    manifest.about().snapshot_id.is_none()
}

fn is_unencrypted(info: Option<&SnapshotInfo>) -> bool {
    info.is_some_and(|info| !info.encrypted)
}

async fn subject(
    what: &What,
    services: Option<&Services>,
    engine: &Engine,
) -> Result<(Truth, Subject, BlockSet), Fault> {
    match (what, services) {
        (What::Snapshot(id), Some(services)) => {
            let source = open(services, engine, id).await?;
            let present = block_map(engine, source.as_ref()).await?;
            let subject = Subject {
                name: id.to_string(),
                kind: SubjectKind::Snapshot,
                snapshot_id: Some(id.clone()),
                geometry: source.geometry(),
                info: facts(services, engine, id).await,
                blocks: Some(present.len()),
            };
            Ok((Truth::Snapshot(source), subject, present))
        }
        (What::Snapshot(id), None) => {
            Err(Fault::new(Kind::Refused, Place::Snapshot(id.clone()), "there is no account to read it from"))
        }
        (What::Manifest(path), services) => {
            let manifest = manifest(path).await?;
            let about = manifest.about().clone();
            let info = match (services, &about.snapshot_id) {
                (Some(services), Some(id)) => facts(services, engine, id).await,
                _ => None,
            };
            let present = manifest.present().clone();
            let subject = Subject {
                name: path.display().to_string(),
                kind: SubjectKind::Manifest,
                snapshot_id: about.snapshot_id,
                geometry: about.geometry,
                info,
                blocks: Some(present.len()),
            };
            Ok((Truth::Manifest(manifest), subject, present))
        }
    }
}

async fn manifest(path: &Path) -> Result<Arc<Manifest>, Fault> {
    let owned = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || Manifest::open(&owned)).await;
    opened.map_err(|error| Fault::local(path, "read", error.into()))?.map(Arc::new)
}

/// Where a manifest's digests came from, seen from the subject.
pub(super) fn baseline_of(manifest: &Manifest, subject: &Subject) -> Baseline {
    let origin = match &manifest.about().snapshot_id {
        None => Origin::Source,
        Some(id) if subject.snapshot_id.as_ref() == Some(id) => Origin::EarlierRead,
        Some(_) => Origin::Copy,
    };
    let roots = manifest.roots();
    Baseline {
        name: manifest.path().display().to_string(),
        origin,
        map_root: Some(roots.map),
        content_root: Some(roots.content),
    }
}

/// The image or device, where it is one to be verified.
fn opened(path: &Path, options: &Options, machine: &Machine) -> Result<Arc<Image>, Fault> {
    let image = match &options.taken {
        Some(taken) => taken.image.clone(),
        None if options.is_raw => Arc::new(Image::open_raw(path, machine)?),
        None => Arc::new(Image::open(path, machine)?),
    };
    if let Some(meant) = &options.volume_id {
        options.system.is_volume(path, meant)?;
    }
    Ok(image)
}

async fn target(path: &Path, image: &Arc<Image>, options: &Options, sides: &Sides) -> Result<Target, Fault> {
    let layout = {
        let (image, is_judged) = (image.clone(), options.level() == Level::FileSystem);
        let size = if options.pads { sides.geometry().size().bytes() } else { 0 };
        let look = move || {
            let disk = Padded { disk: &*image, size };
            let mut layout = Layout::read(&disk);
            if is_judged {
                layout.look_for_zeros(&disk);
            }
            layout
        };
        tokio::task::spawn_blocking(look).await.map_err(|error| Fault::local(path, "read", error.into()))?
    };
    is_there(path, &layout, &options.allow_unchecked)?;
    let (size, volume) = (image.len(), sides.geometry().size().bytes());
    // An image ends where it ended when its manifest was made, a volume with its last GiB.
    let whole = match &sides.truth {
        Truth::Manifest(manifest) if is_of_image(manifest) => manifest.about().size.bytes(),
        _ => volume,
    };
    let short_by = if options.pads { 0 } else { whole.saturating_sub(size) };
    let target = Target {
        name: path.display().to_string(),
        place: None,
        kind: if image.is_device() { TargetKind::Device } else { TargetKind::File },
        size: ByteSize::from_bytes(size),
        tail: ByteSize::from_bytes(size.saturating_sub(volume)),
        short_by: ByteSize::from_bytes(short_by),
        volume_id: options.system.volume_id(path),
        layout,
        allow_unchecked: options.allow_unchecked.clone(),
    };
    Ok(target)
}

/// Refuses the name of a partition that is not there: a slip of the pen allows nothing.
fn is_there(path: &Path, layout: &Layout, names: &[PartitionName]) -> Result<(), Fault> {
    let missing = names.iter().find(|name| layout.partition(**name).is_none());
    let Some(missing) = missing.filter(|_| layout.fault().is_none()) else { return Ok(()) };
    let there: Vec<_> = layout.partitions.iter().map(|one| one.name.to_string()).collect();
    let what = format!("--allow-unchecked {missing} names nothing on it; there is {}", there.join(", "));
    Err(Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what).hint("name one of these"))
}

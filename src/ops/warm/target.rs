//! One volume about to be warmed: found, checked, its blocks known and in order, nothing read yet.

use crate::block::{BlockRange, BlockSet, BlockSize, ByteSize, Digest, Geometry};
use crate::control::{SnapshotQuery, VolumeQuery};
use crate::device::{BY_ID, BlockMap, Image, attached};
use crate::disk::Machine;
use crate::estate::{Initialization, Volume};
use crate::fault::{Fault, Kind, Place};
use crate::manifest::{Draft, Manifest};
use crate::ops::diff::delta;
use crate::ops::preflight::{facts, open as opened};
use crate::ops::progress::Progress;
use crate::ops::warm::order::Ranked;
use crate::ops::warm::{Amount, Device, Options, Order, Ordered, Skip, What, Where};
use crate::ops::{Engine, Services, seed};
use crate::pipeline::{Action, Ask, Basis, Checkpoint, Earlier, Slot, Stop, Tries, block_map};
use crate::snapshot::{SnapshotId, SnapshotState, StorageTier, VolumeId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Older snapshots that are looked at: what has not changed in so many is not hot.
const MOST_CHANGES: usize = 8;
/// How long the kernel waits for an NVMe device unless it is told otherwise, in seconds.
const DEFAULT_NVME_TIMEOUT: u64 = 30;
/// How often what was read is recorded: at once, nine bytes a block. With digests, which are made durable first, less
/// often.
const RECORD_EVERY: Duration = Duration::ZERO;
const RECORD_DIGESTS_EVERY: Duration = Duration::from_millis(500);

/// Everything that is known of it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) options: Options,
    pub(super) image: Arc<Image>,
    pub(super) device: Device,
    pub(super) source: String,
    pub(super) snapshot_id: Option<SnapshotId>,
    pub(super) geometry: Option<Geometry>,
    pub(super) allocated: Arc<BlockSet>,
    /// Whether the map states how many blocks it lists; `None` where the blocks are not those of a map.
    pub(super) is_counted: Option<bool>,
    /// What is to be read, an earlier run's blocks included.
    pub(super) ranked: Ranked,
    pub(super) order: Ordered,
    pub(super) skip: Option<Skip>,
    pub(super) initialization: Vec<Initialization>,
    pub(super) warnings: Vec<String>,
    /// The record of what is read, and what an interrupted run left in it.
    pub(super) progress: Option<Progress>,
    pub(super) resumed: BlockSet,
    /// Whether nothing proves that these blocks are as they were.
    pub(super) is_trusted: bool,
    /// What blocks hash to, where they are held against something.
    pub(super) digests: Option<Arc<Draft>>,
    pub(super) seed: u64,
}

/// Which blocks there are.
struct Mapped {
    source: String,
    snapshot_id: Option<SnapshotId>,
    size: Option<ByteSize>,
    geometry: Option<Geometry>,
    blocks: Arc<BlockSet>,
    /// Whether a map states how many blocks it lists; `None` where the blocks are not those of a map.
    is_counted: Option<bool>,
}

/// Opens it. What does not fit together is refused here.
pub(super) async fn open(
    options: &Options,
    services: Option<&Services>,
    engine: &Engine,
) -> Result<Target, Fault> {
    if let (What::Map(map), true) = (&options.what, options.verify) {
        let what = "a map tells which blocks there are, not what they hold";
        return Err(Fault::new(Kind::Unsuitable, Place::File(map.clone()), what)
            .hint("verify against --manifest or --snapshot"));
    }
    let path = path(options, engine.machine())?;
    let mapped = mapped(options, services, engine).await?;
    refuse_empty(options, &mapped)?;
    let image = Arc::new(Image::open_uncached(&path, engine.machine())?);
    let device = checked(options, &path, &image, &mapped)?;
    let mut warnings = warnings(options, &device);
    let known = known(&device, services, engine).await.unwrap_or_else(|fault| {
        warnings.push(format!("AWS does not tell how far the volume is: {fault}"));
        Known::default()
    });
    fits(&device, &mapped, known.volume.as_ref())?;
    if mapped.is_counted == Some(false) {
        engine.note(format!(
            "{}: the map does not say how many blocks it lists (it is of an earlier version, written by hand, CSV or \
             JSON lines), so nothing shows whether it was cut",
            mapped.source
        ));
    }
    // A verification that was asked for takes blocks that are read.
    let is_wanted = options.force || options.verify || options.amount == Amount::Probe;
    let skip = known.skip().filter(|_| !is_wanted);
    let (ranked, order) = match skip {
        // Nothing is read, so nobody needs an order.
        Some(_) => (Ranked::by_index(mapped.blocks.clone()), Ordered::Index),
        None => ordered(options, &mapped, services, engine).await?,
    };
    let ranked = match options.amount {
        Amount::All => ranked,
        Amount::Hottest(most) => ranked.hottest(most),
        Amount::Probe => ranked.hottest(0),
    };
    let seed = match options.seed {
        Some(seed) => seed,
        None => seed()?,
    };
    let mut target = Target {
        options: options.clone(),
        image,
        device,
        source: mapped.source,
        snapshot_id: mapped.snapshot_id,
        geometry: mapped.geometry,
        allocated: mapped.blocks,
        is_counted: mapped.is_counted,
        ranked,
        order,
        skip,
        initialization: known.initialization,
        warnings,
        progress: None,
        resumed: BlockSet::new(),
        is_trusted: false,
        digests: None,
        seed,
    };
    if target.skip.is_none() && options.amount != Amount::Probe {
        target.begin(engine)?;
    }
    Ok(target)
}

/// Refuses a file that lists no block: nothing would be read, and a volume of which nothing was read is not warm. A map
/// that does not say that it is whole may have lost all of its lines.
fn refuse_empty(options: &Options, mapped: &Mapped) -> Result<(), Fault> {
    let path = match &options.what {
        // It is listed in the run, which then is incomplete.
        What::Snapshot(_) => return Ok(()),
        What::Manifest(path) | What::Map(path) => path,
    };
    let is_accepted = options.allow_empty && mapped.is_counted != Some(false);
    if !mapped.blocks.is_empty() || is_accepted {
        return Ok(());
    }
    let what = "it lists no block, so nothing would be read and nothing shown";
    let hint = match (&options.what, mapped.is_counted) {
        (What::Map(_), Some(false)) => {
            "make it anew with icecore blocks SNAPSHOT, and see that this ends with 0"
        }
        _ => "give --allow-empty if the snapshot is known to have no blocks",
    };
    Err(Fault::new(Kind::Unsuitable, Place::File(path.clone()), what).hint(hint))
}

/// Where the volume is on this machine.
fn path(options: &Options, machine: &Machine) -> Result<PathBuf, Fault> {
    match &options.device {
        Where::Path(path) => Ok(path.clone()),
        Where::Volume(id) => match options.system.device_of(id) {
            Some(path) => Ok(path),
            None => attached(machine.disk.as_ref(), Path::new(BY_ID), id)?.ok_or_else(|| {
                Fault::new(Kind::Unsuitable, Place::Volume(id.clone()), "no device of this machine is this volume")
                    .hint("attach it here, or check with lsblk -o NAME,SERIAL; on instances without NVMe give the device")
            }),
        },
    }
}

async fn mapped(options: &Options, services: Option<&Services>, engine: &Engine) -> Result<Mapped, Fault> {
    match &options.what {
        What::Snapshot(id) => {
            let services = services.ok_or_else(|| {
                Fault::new(
                    Kind::Refused,
                    Place::Snapshot(id.clone()),
                    "there is no account to read its blocks from",
                )
            })?;
            let source = opened(services, engine, id).await?;
            let geometry = source.geometry();
            Ok(Mapped {
                source: id.to_string(),
                snapshot_id: Some(id.clone()),
                size: Some(geometry.size()),
                geometry: Some(geometry),
                blocks: Arc::new(block_map(engine, source.as_ref()).await?),
                is_counted: None,
            })
        }
        What::Manifest(path) => {
            let manifest = on_a_thread(path, engine, |path, _| Manifest::open(path)).await?;
            let about = manifest.about();
            Ok(Mapped {
                source: path.display().to_string(),
                snapshot_id: about.snapshot_id.clone(),
                size: Some(about.size),
                geometry: Some(about.geometry),
                blocks: Arc::new(manifest.present().clone()),
                is_counted: None,
            })
        }
        What::Map(path) => {
            let map = on_a_thread(path, engine, |path, stop| {
                BlockMap::<BlockSet>::read(path, &|| stop.is_requested())
            })
            .await?;
            Ok(Mapped {
                source: path.display().to_string(),
                blocks: Arc::new(map.blocks),
                snapshot_id: map.snapshot_id,
                size: map.volume_size,
                geometry: None,
                is_counted: Some(map.is_counted),
            })
        }
    }
}

async fn on_a_thread<T: Send + 'static>(
    path: &Path,
    engine: &Engine,
    read: fn(&Path, &Stop) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let (owned, stop) = (path.to_owned(), engine.stop.clone());
    let done = tokio::task::spawn_blocking(move || read(&owned, &stop)).await;
    done.map_err(|error| Fault::local(path, "read", error.into()))?
}

/// The device, where it is the one that is meant.
fn checked(options: &Options, path: &Path, image: &Image, mapped: &Mapped) -> Result<Device, Fault> {
    let system = &options.system;
    let unsuitable = |what: String| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
    if system.is_partition(path) {
        return Err(unsuitable("it is a partition, and snapshots are of whole volumes".to_owned())
            .hint("give the device that it is a part of"));
    }
    let told = system.volume_id(path);
    let named = match &options.device {
        Where::Volume(id) => Some(id),
        Where::Path(_) => options.volume_id.as_ref(),
    };
    // A file stands for whatever volume it is said to be.
    if let Some(meant) = named.filter(|_| image.is_device() || system.has(path)) {
        system.is_volume(path, meant)?;
    }
    let by_name = path.file_name().and_then(|name| VolumeId::of_device(name.to_str()?));
    let volume_id = told.or_else(|| named.cloned()).or(by_name);
    let block = BlockSize::EBS;
    let end = mapped.blocks.last().map_or(0, |last| last.byte_offset(block) + u64::from(block.bytes()));
    let needed = mapped.size.map_or(end, |size| size.bytes().max(end));
    if image.len() < needed {
        let what = format!(
            "it has {}, the volume {}",
            ByteSize::from_bytes(image.len()),
            ByteSize::from_bytes(needed)
        );
        return Err(unsuitable(what).hint("check that it is the volume made of this snapshot"));
    }
    Ok(Device {
        path: path.to_owned(),
        is_device: image.is_device(),
        size: ByteSize::from_bytes(image.len()),
        volume_id,
    })
}

fn warnings(options: &Options, device: &Device) -> Vec<String> {
    let (system, path) = (&options.system, &device.path);
    let mut warnings = Vec::new();
    if system.is_mounted_for_writing(path) {
        warnings.push(
            "it is mounted for writing: whoever uses it waits for cold blocks too, and competes with this run"
                .to_owned(),
        );
    }
    if system.nvme_timeout(path) == Some(DEFAULT_NVME_TIMEOUT) {
        warnings.push(
            "nvme_core.io_timeout is 30 s, and first touch of a block may take longer: the kernel would call that an \
             I/O error; AWS advises 4294967295"
                .to_owned(),
        );
    }
    warnings
}

/// What the control plane says of the volume.
#[derive(Debug, Default)]
struct Known {
    volume: Option<Volume>,
    initialization: Vec<Initialization>,
}

impl Known {
    fn skip(&self) -> Option<Skip> {
        let is_fast = self.volume.as_ref().is_some_and(|volume| volume.fast_restored == Some(true));
        let is_complete = self.initialization.iter().any(|told| told.is_complete == Some(true));
        match (is_fast, is_complete) {
            (true, _) => Some(Skip::FastRestored),
            (false, true) => Some(Skip::Initialized),
            (false, false) => None,
        }
    }
}

/// Nothing where there is nobody to ask, or no volume to ask for.
async fn known(device: &Device, services: Option<&Services>, engine: &Engine) -> Result<Known, Fault> {
    let control = services.and_then(|services| services.control.as_ref());
    let (Some(id), Some(control)) = (&device.volume_id, control) else { return Ok(Known::default()) };
    let ask = || Ask::new(Action::Control, Place::Volume(id.clone()));
    let query = VolumeQuery::one(id);
    let found = engine.ask(&mut Tries::none(), ask(), || control.volumes.volumes(&query)).await?;
    let initialization = initialization(id, services, engine).await?;
    Ok(Known { volume: found.into_iter().find(|volume| volume.id == *id), initialization })
}

/// How far AWS says that the volume is.
pub(super) async fn initialization(
    id: &VolumeId,
    services: Option<&Services>,
    engine: &Engine,
) -> Result<Vec<Initialization>, Fault> {
    let control = services.and_then(|services| services.control.as_ref());
    let Some(control) = control else { return Ok(Vec::new()) };
    let ids = std::slice::from_ref(id);
    let ask = Ask::new(Action::Control, Place::Volume(id.clone()));
    engine.ask(&mut Tries::none(), ask, || control.volumes.initializations(ids)).await
}

/// Refuses a volume that was made of another snapshot.
fn fits(device: &Device, mapped: &Mapped, volume: Option<&Volume>) -> Result<(), Fault> {
    let made_of = volume.and_then(|volume| volume.snapshot.as_ref());
    match (made_of, &mapped.snapshot_id) {
        (Some(made_of), Some(meant)) if made_of != meant => {
            let what = format!("the volume was made of {made_of}, not of {meant}");
            Err(Fault::new(Kind::Unsuitable, Place::File(device.path.clone()), what)
                .hint("give that snapshot, or the device of the volume that you mean"))
        }
        _ => Ok(()),
    }
}

async fn ordered(
    options: &Options,
    mapped: &Mapped,
    services: Option<&Services>,
    engine: &Engine,
) -> Result<(Ranked, Ordered), Fault> {
    let blocks = &mapped.blocks;
    let by_index = || (Ranked::by_index(blocks.clone()), Ordered::Index);
    match &options.order {
        Order::Index => Ok(by_index()),
        Order::Ranges(path) => {
            let map = on_a_thread(path, engine, |path, stop| {
                BlockMap::<Vec<BlockRange>>::read(path, &|| stop.is_requested())
            })
            .await?;
            Ok((Ranked::by_ranges(blocks, &map.blocks), Ordered::Ranges(path.clone())))
        }
        Order::Auto | Order::Recency => {
            let found = match (&mapped.snapshot_id, services) {
                (Some(id), Some(services)) => changes(id, options, services, engine).await,
                _ => Ok(Vec::new()),
            };
            let is_needed = options.order == Order::Recency;
            match found {
                Ok(found) if !found.is_empty() => {
                    let (ids, changes): (Vec<_>, Vec<_>) = found.into_iter().unzip();
                    Ok((Ranked::by_recency(blocks, &changes), Ordered::Recency(ids)))
                }
                Ok(_) if is_needed => {
                    let what =
                        "no older snapshot of its lineage is known, so nobody can tell what changed last";
                    Err(Fault::new(Kind::Refused, Place::File(mapped.source.clone().into()), what)
                        .hint("name one with --older, or leave --order out"))
                }
                Err(fault) if is_needed => Err(fault),
                // Warming in another order is better than none.
                Err(fault) => {
                    engine.note(format!(
                        "older snapshots cannot be asked for, so blocks are read by index: {fault}"
                    ));
                    Ok(by_index())
                }
                Ok(_) => Ok(by_index()),
            }
        }
    }
}

/// What each older snapshot lacks of the next one, the newest change first.
async fn changes(
    id: &SnapshotId,
    options: &Options,
    services: &Services,
    engine: &Engine,
) -> Result<Vec<(SnapshotId, BlockSet)>, Fault> {
    let mut older = options.older.clone();
    older.reverse();
    if older.is_empty() {
        older = ancestors(id, services, engine).await?;
    }
    let (mut found, mut next) = (Vec::new(), id.clone());
    for before in older.into_iter().take(MOST_CHANGES) {
        match delta(services, engine, &before, &next).await {
            Ok((delta, _)) => found.push((before.clone(), delta.changed())),
            // A volume's snapshots need not be of one lineage: a copy begins another.
            Err(fault) if fault.kind == Kind::Unrelated && options.older.is_empty() => break,
            Err(fault) => return Err(fault),
        }
        next = before;
    }
    Ok(found)
}

/// The snapshots before this one, the newest first: its parents where our tag tells, or else its volume's.
async fn ancestors(id: &SnapshotId, services: &Services, engine: &Engine) -> Result<Vec<SnapshotId>, Fault> {
    let Some(snapshots) = services.snapshots.as_ref() else { return Ok(Vec::new()) };
    let Some(info) = facts(services, engine, id).await else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut parent = info.parent.clone();
    while let Some(id) = parent.filter(|_| found.len() < MOST_CHANGES) {
        let Some(info) = facts(services, engine, &id).await else { break };
        found.push(id);
        parent = info.parent;
    }
    let volume = info.volume_id.as_ref().filter(|id| id.is_real());
    if let Some(volume) = volume.filter(|_| found.is_empty()) {
        let query = SnapshotQuery {
            volumes: vec![volume.clone()],
            state: Some(SnapshotState::Completed),
            ..SnapshotQuery::default()
        };
        let ask = Ask::new(Action::Control, Place::Snapshot(id.clone()));
        let mut siblings = engine.ask(&mut Tries::none(), ask, || snapshots.describe(&query)).await?;
        siblings.retain(|one| one.start_time < info.start_time && one.tier == StorageTier::Standard);
        found = siblings.into_iter().rev().map(|one| one.id).collect();
    }
    Ok(found)
}

impl Target {
    /// Takes the right to warm this, and what an interrupted run left.
    fn begin(&mut self, engine: &Engine) -> Result<(), Fault> {
        let path = std::path::absolute(&self.device.path).unwrap_or_else(|_| self.device.path.clone());
        let name = format!("{} of {}", path.display(), self.options.verify);
        let path = Checkpoint::path(&engine.settings.state_dir, "warm", &name);
        let slot = Slot::take(&engine.machine().disk, &path)?;
        let path = slot.path().to_owned();
        let identity = self.identity(engine)?;
        let basis = self.basis(engine);
        let earlier = match &basis {
            Some(basis) => slot.earlier_upon(&identity, basis)?,
            None => slot.earlier(&identity)?,
        };
        if let Earlier::Unproven(_) = earlier {
            engine.note(
                "nothing proves that the device is unchanged since an interrupted run: all blocks are read again \
                 (--trust-resumed counts what was read)",
            );
        }
        let facts = basis.unwrap_or_default().among(BTreeMap::new());
        let checkpoint = match earlier {
            Earlier::Same(found) => {
                self.is_trusted = found.is_trusted();
                self.resumed = &found.done & self.allocated.as_ref();
                engine.note(format!(
                    "going on with an interrupted run: {} blocks are done",
                    self.resumed.len()
                ));
                slot.resume(found)?
            }
            // Digests of an earlier run are overwritten from now on: no older checkpoint may speak for them.
            _ if self.options.verify => slot.begin(&identity, facts)?,
            _ => slot.begin_later(&identity, facts),
        };
        let (mut every, verify) = (RECORD_EVERY, self.options.verify);
        if let Some(geometry) = self.geometry.filter(|_| verify) {
            let path = path.with_extension("digests");
            let draft = Draft::open(&engine.machine().disk, &path, geometry, checkpoint.seed())?;
            // A digest that was lost is read again.
            self.resumed = draft.known(&self.resumed)?;
            self.digests = Some(Arc::new(draft));
            every = RECORD_DIGESTS_EVERY;
        }
        self.progress = Some(Progress::new(checkpoint, &self.resumed, every));
        Ok(())
    }

    /// The state that the work of an earlier run is held against: what was verified has to hold the same bytes, what was
    /// warmed has to be the same device. `None` for an EBS volume that is only warmed: its id is part of the identity.
    fn basis(&self, engine: &Engine) -> Option<Basis> {
        let is_volume = self.device.is_device && self.device.volume_id.is_some();
        let is_trusted = engine.settings.trusts_resumed;
        match self.options.verify {
            true => Some(Basis { proof: self.image.proof(), is_trusted }),
            false if is_volume => None,
            false => Some(Basis { proof: self.image.identity(), is_trusted }),
        }
    }

    /// What has to be the same for blocks read then to be warm now: an EBS volume stays warm wherever it is attached;
    /// of any other device nobody knows what happened while the machine was off.
    fn identity(&self, engine: &Engine) -> Result<String, Fault> {
        let device = match &self.device.volume_id {
            Some(id) if self.device.is_device => id.to_string(),
            _ if self.device.is_device => {
                format!("{} since {:?}", self.image.stamp()?, engine.machine().disk.boot())
            }
            _ => self.image.stamp()?,
        };
        let runs = self.allocated.ranges();
        let numbers = runs.flat_map(|run| [run.start().get(), run.len()].map(u32::to_le_bytes));
        Ok(format!("warm {device} by {} verify {}", Digest::of_parts(numbers), self.options.verify))
    }
}

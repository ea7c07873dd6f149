//! What the tests of crashes and local faults stand on: snapshots whose contents are known, and targets and stores on
//! a disk in memory.

use crate::lab::{Lab, options, services};
use icecore::account::Settings as Account;
use icecore::block::{BlockIndex, Geometry, GiB};
use icecore::device::{Image, Part};
use icecore::disk::memory::MemoryDisk;
use icecore::disk::{Access, Disk, Machine, Opening};
use icecore::endpoint::{self, Config, Running, Shelves};
use icecore::fault::Fault;
use icecore::monitor::Silent;
use icecore::ops::export::{Options, Since};
use icecore::ops::{Engine, Services, import};
use icecore::pipeline::{Patience, Settings, Stop};
use icecore::shelf::Shelf;
use icecore::snapshot::SnapshotId;
use icecore::store::StoreWriter;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Blocks, each full of one byte.
pub(super) type Model = BTreeMap<u32, u8>;

pub(super) const HOME: &str = "/d";

pub(super) fn disk() -> MemoryDisk {
    MemoryDisk::with_dir(Path::new(HOME))
}

pub(super) fn target() -> PathBuf {
    Path::new(HOME).join("out.img")
}

pub(super) fn engine(disk: &MemoryDisk) -> Engine {
    // Every write is recorded, so that a crash finds checkpoints of every length.
    let patience = Patience {
        failures: 2,
        first_backoff: Duration::from_millis(1),
        longest_backoff: Duration::from_millis(1),
        ..Patience::default()
    };
    let settings = Settings {
        patience,
        checkpoint_every: Duration::ZERO,
        concurrency: Some(4),
        ..Settings::open(Path::new(HOME).join("state"))
    };
    Engine::new(settings, Arc::new(Silent), Stop::new()).on_disk(Arc::new(disk.clone()))
}

pub(super) fn machine(disk: &MemoryDisk) -> Machine {
    engine(disk).machine().clone()
}

/// Whether the target is a volume of this size with these blocks.
pub(super) fn holds(disk: &MemoryDisk, path: &Path, gib: u32, model: &Model) -> Result<(), String> {
    let image = Image::open(path, &machine(disk)).map_err(|fault| fault.to_string())?;
    let geometry = Geometry::ebs(GiB::try_from(i64::from(gib)).unwrap());
    if image.len() != geometry.size().bytes() {
        return Err(format!("it has {} bytes", image.len()));
    }
    for index in geometry.range().iter() {
        let right = match (image.part(index).unwrap(), model.get(&index.get())) {
            (Part::Zero, None | Some(0)) => true,
            (Part::Data(bytes), Some(byte)) => bytes.iter().all(|found| found == byte),
            _ => false,
        };
        if !right {
            return Err(format!("block {index} is wrong"));
        }
    }
    Ok(())
}

/// Snapshots of one lineage, and what each holds.
pub(super) struct World {
    pub(super) lab: Lab,
    pub(super) snapshots: Vec<(SnapshotId, u32, Model)>,
}

impl World {
    pub(super) async fn new() -> Self {
        let account = Account { complete_takes: Duration::ZERO, ..Account::default() };
        let lab = Lab::with(Config { account, ..Config::default() }).await;
        Self { lab, snapshots: Vec::new() }
    }

    /// Generations at random: each upon one before it, so that going from one to another writes, rewrites, frees,
    /// grows and shrinks.
    pub(super) async fn random(seed: u64) -> Self {
        let mut world = Self::new().await;
        let mut chance = fastrand::Rng::with_seed(seed);
        for n in 0..5 {
            let parent = (n > 0).then(|| chance.usize(..n));
            let written: Model = (0..chance.usize(1..7))
                .map(|_| (*chance.choice(&[0, 1, 2, 3, 90, 2047]).unwrap(), chance.u8(..4)))
                .collect();
            world.add(parent, chance.bool(), written).await;
        }
        world
    }

    pub(super) async fn add(&mut self, parent: Option<usize>, grows: bool, mut written: Model) {
        let (parent, gib, mut model) = match parent {
            Some(parent) => {
                let (id, gib, model) = &self.snapshots[parent];
                (Some(id.clone()), (*gib + u32::from(grows)).min(3), model.clone())
            }
            None => (None, 1, Model::new()),
        };
        if gib > 1 {
            written.insert(2048 * (gib - 1) + 5, 7);
        }
        model.extend(&written);
        let id = self.lab.snapshot(parent.as_ref(), gib, &written).await;
        self.snapshots.push((id, gib, model));
    }

    pub(super) fn export(&self, which: usize) -> Options {
        let (snapshot_id, dest) = (self.snapshots[which].0.clone(), Some(target()));
        Options { snapshot_id, dest, force: false, sync: true }
    }

    pub(super) fn since(&self, from: usize, to: usize) -> Since {
        let [base, snapshot_id] = [from, to].map(|which| self.snapshots[which].0.clone());
        Since { snapshot_id, base, dest: target(), assume_base: false }
    }

    pub(super) fn holds(&self, disk: &MemoryDisk, which: usize) -> Result<(), String> {
        let (_, gib, model) = &self.snapshots[which];
        holds(disk, &target(), *gib, model)
    }
}

/// A store behind an endpoint, on a disk that loses its power with everything else.
pub(super) struct Served {
    pub(super) store: Arc<StoreWriter>,
    _running: Running,
    pub(super) services: Services,
}

pub(super) async fn serve(disk: &MemoryDisk) -> Result<Served, Fault> {
    let store = StoreWriter::on_disk(Arc::new(disk.clone()), &Path::new(HOME).join("store"), "a test")?;
    let store = Arc::new(store);
    let account = Account { complete_takes: Duration::ZERO, ..Account::default() };
    let config = Config { account, ..Config::default() };
    let running = endpoint::start(config, Shelves::writable(store.clone())).await?;
    let services = services(&running.url());
    Ok(Served { store, _running: running, services })
}

pub(super) fn imported() -> Model {
    Model::from([(0, 1), (1, 2), (5, 3), (700, 1), (2046, 4), (2047, 5)])
}

/// A disk with an image on it, and room for a store.
pub(super) fn disk_with_image() -> MemoryDisk {
    let disk = disk();
    let image = disk.open(&Path::new(HOME).join("disk.img"), Opening::New(Access::Owner)).unwrap();
    image.set_len(1 << 30).unwrap();
    for (index, byte) in imported() {
        image.write_at(&[byte; 524_288], u64::from(index) * 524_288).unwrap();
    }
    image.sync().unwrap();
    disk.make_dir(&Path::new(HOME).join("store"), Access::Owner).unwrap();
    disk.sync(Path::new(HOME)).unwrap();
    disk
}

pub(super) fn importing() -> import::Options {
    import::Options { omit_zero_blocks: true, ..options(&Path::new(HOME).join("disk.img"), None) }
}

/// Whether a completed snapshot holds just this.
pub(super) fn shelved(store: &StoreWriter, id: &SnapshotId, model: &Model) -> Result<(), String> {
    let entries = store.window(id, BlockIndex::ZERO, 10_000).map_err(|fault| fault.to_string())?;
    let indexes: Vec<_> = entries.iter().map(|entry| entry.index.get()).collect();
    if !indexes.iter().eq(model.keys()) {
        return Err(format!("{id} has blocks {indexes:?}"));
    }
    for (index, byte) in model {
        let content = store.read(id, BlockIndex::new(*index)).map_err(|fault| fault.to_string())?;
        if !content.is_some_and(|content| content.bytes.iter().all(|found| found == byte)) {
            return Err(format!("block {index} of {id} is wrong"));
        }
    }
    Ok(())
}

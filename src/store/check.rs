//! Reading a whole store again, to name everything in it that is damaged.
//!
//! Needs no lock and no whole store. Beside a live writer it may see a snapshot go: what only that one named is
//! then no damage. Files that nothing names yet, or any more, are garbage at worst, and reported apart.

use crate::block::{BlockIndex, BlockSet, BlockSize, Digest};
use crate::disk::RealDisk;
use crate::fault::{Fault, Kind};
use crate::monitor::{Event, Monitor};
use crate::shelf::{Shelf as _, Vault as _};
use crate::snapshot::{SnapshotId, SnapshotState};
use crate::store::blocks::Bad;
use crate::store::collect::Suspects;
use crate::store::files::Files;
use crate::store::record::Record;
use crate::store::writer::Times;
use crate::store::{Store, create};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a file is to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The facts of a snapshot.
    Record,
    /// What one Complete wrote.
    Layer,
    /// The block with this digest.
    Block(Digest),
    /// The latest start time.
    Clock,
    /// The facts of the account beside its snapshots: volumes, images, locks.
    Account,
}

/// What a damaged file takes from a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hurt {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Its blocks that cannot be read; `None` where the damage hides which.
    pub blocks: Option<BlockSet>,
}

/// A damaged or missing file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// What it is.
    pub part: Part,
    /// What is wrong with it, as a clause about the file.
    pub what: String,
    /// Whom it hurts. None, when newer blocks cover the damage in every snapshot.
    pub hurts: Vec<Hurt>,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct CheckReport {
    /// Snapshots with a whole record, in any state.
    pub snapshots: u64,
    /// Those of them that are pending; what was put to them so far is not looked at.
    pub pending: u64,
    /// Whole layers.
    pub layers: u64,
    /// Different blocks that the layers name, all of them read but the zero block, which has no file.
    pub blocks: u64,
    /// Damaged and missing files.
    pub damages: Vec<Damage>,
    /// Files that nothing names: garbage, or just being written. `None` where a damaged file hides what it names.
    pub unnamed: Option<Vec<PathBuf>>,
}

impl CheckReport {
    /// Whether every snapshot is whole.
    pub fn is_clean(&self) -> bool {
        self.damages.is_empty()
    }

    /// Whether there was nothing to check: no damage was found because nothing was read.
    pub fn is_empty(&self) -> bool {
        self.damages.is_empty() && self.snapshots == 0 && self.layers == 0 && self.blocks == 0
    }
}

/// Reads everything in the store of a directory and hashes every block.
///
/// # Errors
/// Those of [`Store::open`]. Damage is no error but in the report.
pub fn check(dir: impl AsRef<Path>, monitor: &dyn Monitor) -> Result<CheckReport, Fault> {
    let dir = dir.as_ref();
    let disk = RealDisk::at(dir).map_err(|error| create::unopened(dir, error))?;
    check_files(Files::new(Arc::new(disk), dir), monitor)
}

/// The same on any disk.
pub(crate) fn check_files(files: Files, monitor: &dyn Monitor) -> Result<CheckReport, Fault> {
    // Before the records are read: what is completed meanwhile is then not taken for garbage.
    let store = Store::on(files)?;
    let found = Suspects::all(&store)?;
    let mut damages = Vec::new();
    let records = records(&store, &mut damages)?;
    if let Err(fault) = Times::of(&store) {
        damages.push(damage(store.files.clock(), Part::Clock, fault)?);
    }
    if let Err(fault) = store.load() {
        damages.push(damage(store.files.account(), Part::Account, fault)?);
    }
    let mut whole = BTreeSet::new();
    let mut digests = Vec::new();
    for version in records.iter().flat_map(|record| &record.layers).collect::<BTreeSet<_>>() {
        match store.layer(*version) {
            Ok(layer) => {
                whole.insert(*version);
                digests.extend_from_slice(layer.digests());
            }
            Err(fault) => {
                let mut damage = damage(store.files.layer(*version), Part::Layer, fault)?;
                let hurt = records.iter().filter(|record| record.layers.contains(version));
                damage.hurts = hurt.map(|record| Hurt { snapshot: id(record), blocks: None }).collect();
                damages.push(damage);
            }
        }
    }
    // In the order of their names a disk finds them soonest.
    digests.sort_unstable();
    digests.dedup();
    let is_all_named = damages.iter().all(|damage| matches!(damage.part, Part::Clock | Part::Account));
    let unnamed = is_all_named.then(|| unnamed(&store, found, &whole, &digests)).transpose()?;
    let bad = damaged_blocks(&store, &digests, monitor);
    damages.extend(hurting(&store, &records, &whole, bad)?);
    let damages = still_named(&store, damages)?;
    let is_pending = |record: &&Record| record.shelved.info.state == SnapshotState::Pending;
    Ok(CheckReport {
        snapshots: records.len() as u64,
        pending: records.iter().filter(is_pending).count() as u64,
        layers: whole.len() as u64,
        blocks: digests.len() as u64,
        damages,
        unnamed,
    })
}

fn records(store: &Store, damages: &mut Vec<Damage>) -> Result<Vec<Record>, Fault> {
    let mut records = Vec::new();
    for id in store.ids()? {
        match store.record(&id) {
            Ok(record) => records.extend(record),
            Err(fault) => {
                let mut damage = damage(store.files.record(&id), Part::Record, fault)?;
                damage.hurts.push(Hurt { snapshot: id, blocks: None });
                damages.push(damage);
            }
        }
    }
    Ok(records)
}

/// Damage is a finding; any other fault stops the check.
fn damage(file: PathBuf, part: Part, fault: Fault) -> Result<Damage, Fault> {
    if fault.kind != Kind::Corrupt {
        return Err(fault);
    }
    Ok(Damage { file, part, what: fault.what().to_owned(), hurts: Vec::new() })
}

/// Reads every block, on all processors: hashing is slower than a good disk.
fn damaged_blocks(store: &Store, digests: &[Digest], monitor: &dyn Monitor) -> BTreeMap<Digest, String> {
    monitor.on(Event::Stage { verb: "checking", total: Some(digests.len() as u64) });
    let next = AtomicUsize::new(0);
    let bad = Mutex::new(BTreeMap::new());
    let read_all = || {
        while let Some(digest) = digests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let what = match store.blocks.read(digest) {
                Ok(_) => None,
                Err(Bad::Missing) => Some("it is missing".to_owned()),
                Err(Bad::Damaged(what)) => Some(what),
                Err(Bad::Failed(fault)) => Some(fault.what().to_owned()),
            };
            if let Some(what) = what {
                bad.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest, what);
            }
            monitor.on(Event::Done { blocks: 1, size: BlockSize::EBS.of(1) });
        }
    };
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        (0..n_threads).for_each(|_| drop(scope.spawn(read_all)));
    });
    bad.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The damaged blocks with the snapshots that show them.
fn hurting(
    store: &Store,
    records: &[Record],
    whole: &BTreeSet<u64>,
    bad: BTreeMap<Digest, String>,
) -> Result<Vec<Damage>, Fault> {
    let mut hurts: BTreeMap<Digest, Vec<Hurt>> = BTreeMap::new();
    if !bad.is_empty() {
        for record in records.iter().filter(|record| record.layers.iter().all(|layer| whole.contains(layer)))
        {
            // Gone meanwhile: it is hurt no more.
            let Ok(stack) = store.stack(&id(record)) else { continue };
            let mut lost: BTreeMap<Digest, BlockSet> = BTreeMap::new();
            for (entry, digest) in stack.walk(BlockIndex::ZERO) {
                if bad.contains_key(&digest) {
                    lost.entry(digest).or_default().insert(entry.index);
                }
            }
            for (digest, blocks) in lost {
                hurts.entry(digest).or_default().push(Hurt { snapshot: id(record), blocks: Some(blocks) });
            }
        }
    }
    Ok(bad
        .into_iter()
        .map(|(digest, what)| Damage {
            file: store.files.block(&digest),
            part: Part::Block(digest),
            what,
            hurts: hurts.remove(&digest).unwrap_or_default(),
        })
        .collect())
}

/// Leaves out what only snapshots named that have gone since.
fn still_named(store: &Store, mut damages: Vec<Damage>) -> Result<Vec<Damage>, Fault> {
    if damages.is_empty() {
        return Ok(damages);
    }
    let mut layers = BTreeSet::new();
    for id in store.ids()? {
        // A damaged record is a finding already; what it names is unknown.
        layers.extend(store.record(&id).ok().flatten().into_iter().flat_map(|record| record.layers));
    }
    let layer_files: HashSet<_> = layers.iter().map(|version| store.files.layer(*version)).collect();
    let mut digests = HashSet::new();
    for version in &layers {
        if let Ok(layer) = store.layer(*version) {
            digests.extend(layer.digests().iter().copied());
        }
    }
    damages.retain(|damage| match damage.part {
        Part::Clock | Part::Account => true,
        Part::Record => store.files.is_there(&damage.file).unwrap_or(true),
        Part::Layer => layer_files.contains(&damage.file),
        Part::Block(digest) => digests.contains(&digest),
    });
    Ok(damages)
}

/// Files that were found and that nothing names.
fn unnamed(
    store: &Store,
    found: Suspects,
    layers: &BTreeSet<u64>,
    digests: &[Digest],
) -> Result<Vec<PathBuf>, Fault> {
    let files = &store.files;
    let mut unnamed: BTreeSet<_> =
        files.names(&files.tmp())?.iter().map(|name| files.tmp().join(name)).collect();
    unnamed.extend(
        found.layers.iter().filter(|version| !layers.contains(version)).map(|version| files.layer(*version)),
    );
    let named: HashSet<_> = digests.iter().collect();
    unnamed.extend(
        found.blocks.iter().filter(|digest| !named.contains(digest)).map(|digest| files.block(digest)),
    );
    for name in files.names(&files.places())? {
        let is_pending = name.parse().is_ok_and(|id| {
            store
                .find(&id)
                .is_ok_and(|found| found.is_some_and(|found| found.info.state == SnapshotState::Pending))
        });
        if !is_pending {
            unnamed.insert(files.places().join(name));
        }
    }
    for name in files.names(&files.records())? {
        if name.parse::<SnapshotId>().is_err() {
            unnamed.insert(files.records().join(name));
        }
    }
    Ok(unnamed.into_iter().collect())
}

fn id(record: &Record) -> SnapshotId {
    record.shelved.info.id.clone()
}

#[cfg(test)]
mod tests;

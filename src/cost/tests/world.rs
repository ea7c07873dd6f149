//! Volumes, snapshots and their block versions, kept one by one: what the model is held against.

use crate::block::{BlockIndex, BlockSet};
use crate::cost::{Compared, Doubt, Kin, Origin, Sight};
use crate::snapshot::{SnapshotId, UnixMillis, VolumeId};
use std::collections::{BTreeMap, BTreeSet};

type Map = BTreeMap<u32, u64>;

#[derive(Clone, Debug)]
struct Volume {
    blocks: Map,
    lineage: usize,
    origin: Option<SnapshotId>,
    /// Nobody can be asked any more.
    is_gone: bool,
}

/// A snapshot and the version of each of its blocks.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) kin: Kin,
    pub(crate) blocks: Map,
    lineage: usize,
    is_deleted: bool,
    is_refused: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    volumes: Vec<Volume>,
    taken: Vec<Taken>,
    versions: u64,
    lineages: usize,
}

impl World {
    pub(crate) fn blank_volume(&mut self) -> usize {
        self.lineages += 1;
        let lineage = self.lineages;
        self.volumes.push(Volume { blocks: Map::new(), lineage, origin: None, is_gone: false });
        self.volumes.len() - 1
    }

    pub(crate) fn volume_from(&mut self, snapshot: usize) -> usize {
        let source = &self.taken[snapshot];
        let (blocks, lineage) = (source.blocks.clone(), source.lineage);
        let origin = Some(source.kin.id.clone());
        self.volumes.push(Volume { blocks, lineage, origin, is_gone: false });
        self.volumes.len() - 1
    }

    pub(crate) fn write(&mut self, volume: usize, start: u32, len: u32) {
        for index in start..start + len {
            self.versions += 1;
            self.volumes[volume].blocks.insert(index, self.versions);
        }
    }

    pub(crate) fn free(&mut self, volume: usize, start: u32, len: u32) {
        self.volumes[volume].blocks.retain(|index, _| !(start..start + len).contains(index));
    }

    /// The volume is deleted: nobody tells any more what it was made from.
    pub(crate) fn forget(&mut self, volume: usize) {
        self.volumes[volume].is_gone = true;
    }

    pub(crate) fn snapshot(&mut self, volume: usize) -> usize {
        let Volume { blocks, lineage, .. } = self.volumes[volume].clone();
        let name = format!("vol-0{volume:x}").parse().ok();
        self.take(name, None, blocks, lineage)
    }

    /// Made through the API upon another, some blocks written.
    pub(crate) fn upon(&mut self, parent: usize, start: u32, len: u32) -> usize {
        let Taken { mut blocks, lineage, kin, .. } = self.taken[parent].clone();
        for index in start..start + len {
            self.versions += 1;
            blocks.insert(index, self.versions);
        }
        self.take(None, Some(kin.id), blocks, lineage)
    }

    /// A copy with the same key: all blocks are shared, and nothing tells of it.
    pub(crate) fn copy(&mut self, source: usize) -> usize {
        let Taken { blocks, lineage, .. } = self.taken[source].clone();
        self.take(None, None, blocks, lineage)
    }

    fn take(
        &mut self,
        volume: Option<VolumeId>,
        parent: Option<SnapshotId>,
        blocks: Map,
        lineage: usize,
    ) -> usize {
        let number = self.taken.len();
        let id = format!("snap-0{number:x}").parse().unwrap();
        let started = UnixMillis(number as i64);
        let (origin, sight, realm) = (Origin::Unknown, Sight::Open, String::new());
        let kin = Kin { id, started, realm, volume, origin, parent, sight };
        self.taken.push(Taken { kin, blocks, lineage, is_deleted: false, is_refused: false });
        number
    }

    pub(crate) fn delete(&mut self, snapshot: usize) {
        self.taken[snapshot].is_deleted = true;
    }

    pub(crate) fn hide(&mut self, snapshot: usize) {
        self.taken[snapshot].kin.sight = Sight::Hidden;
    }

    /// Comparisons with it fail.
    pub(crate) fn refuse(&mut self, snapshot: usize) {
        self.taken[snapshot].is_refused = true;
    }

    pub(crate) fn n_volumes(&self) -> usize {
        self.volumes.len()
    }

    /// Snapshots that are left, by their numbers at birth.
    pub(crate) fn left(&self) -> Vec<usize> {
        (0..self.taken.len()).filter(|at| !self.taken[*at].is_deleted).collect()
    }

    /// What is left, as the naive model sees it.
    pub(crate) fn seen(&self) -> Vec<Taken> {
        let mut seen: Vec<Taken> = self.taken.iter().filter(|taken| !taken.is_deleted).cloned().collect();
        for taken in &mut seen {
            let Some(volume) = &taken.kin.volume else { continue };
            let number = usize::from_str_radix(&volume.as_str()["vol-0".len()..], 16).unwrap();
            taken.kin.origin = match &self.volumes[number] {
                Volume { is_gone: true, .. } => Origin::Unknown,
                Volume { origin: Some(id), .. } => Origin::Snapshot(id.clone()),
                Volume { origin: None, .. } => Origin::Blank,
            };
        }
        seen
    }
}

/// What AWS would answer.
pub(crate) fn compare(first: &Taken, second: &Taken) -> Compared {
    if first.is_refused || second.is_refused {
        return Compared::Failed(Doubt::Denied);
    }
    assert!(first.kin.sight == Sight::Open && second.kin.sight == Sight::Open, "it would not answer");
    if first.lineage != second.lineage {
        return Compared::Unrelated;
    }
    let written = second.blocks.iter().filter(|(index, version)| first.blocks.get(index) != Some(version));
    let freed = first.blocks.keys().filter(|index| !second.blocks.contains_key(index));
    Compared::Related { written: set(written.map(|(index, _)| index)), freed: set(freed) }
}

pub(crate) fn map(taken: &Taken) -> Option<BlockSet> {
    (!taken.is_refused).then(|| set(taken.blocks.keys()))
}

fn set<'a>(indexes: impl Iterator<Item = &'a u32>) -> BlockSet {
    indexes.map(|index| BlockIndex::new(*index)).collect()
}

/// Every version, and who holds it.
pub(crate) fn holders(seen: &[Taken]) -> Vec<BTreeSet<usize>> {
    let mut holders: BTreeMap<(u32, u64), BTreeSet<usize>> = BTreeMap::new();
    for (at, taken) in seen.iter().enumerate() {
        for (index, version) in &taken.blocks {
            holders.entry((*index, *version)).or_default().insert(at);
        }
    }
    holders.into_values().collect()
}

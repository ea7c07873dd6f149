//! Verification and manifests: what is damaged is found, what is not read is not claimed.

mod ages;
mod changed;
pub(crate) mod command;
mod cycles;
mod damage;
#[cfg(feature = "ec2")]
mod drift;
mod evidence;
mod formats;
mod holes;
mod ledger;
mod levels;
mod manifests;
mod modes;
mod nothing;
mod resumed;
mod service;

use bytes::Bytes;
use icecore::block::{BlockIndex, BlockSet, Digest, GiB};
use icecore::monitor::Recorder;
use icecore::ops::verify::{self, Against, Mismatch, Mismatches, Options, Report, What};
use icecore::ops::{Engine, Services, manifest};
use icecore::pipeline::{Settings, Stop};
use icecore::snapshot::SnapshotId;
use icecore::source::Block;
use icecore::source::memory::MemoryService;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const BLOCK: usize = 524_288;

/// An account in memory, and a directory for images, manifests and state.
pub(crate) struct World {
    dir: tempfile::TempDir,
    memory: Arc<MemoryService>,
    pub(crate) services: Services,
}

impl World {
    pub(crate) fn new() -> Self {
        let memory = Arc::new(MemoryService::new(50));
        let services = services(&memory, "memory");
        Self { dir: tempfile::tempdir().unwrap(), memory, services }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn engine(&self) -> Engine {
        self.stoppable(Stop::new())
    }

    pub(crate) fn stoppable(&self, stop: Stop) -> Engine {
        Engine::new(Settings::open(self.path("state")), Arc::new(Recorder::default()), stop)
    }

    /// A snapshot of 1 GiB with these blocks (index, version of its content).
    pub(crate) fn snapshot(&self, parent: Option<&SnapshotId>, blocks: &[(u32, u64)]) -> SnapshotId {
        let blocks =
            blocks.iter().map(|(index, version)| Block::hashed(at(*index), content(*index, *version)));
        self.memory.add(GiB::try_from(1).unwrap(), parent, blocks)
    }

    /// A sparse image of 1 GiB with the same.
    pub(crate) fn image(&self, name: &str, blocks: &[(u32, u64)]) -> PathBuf {
        let path = self.path(name);
        let file = File::create(&path).unwrap();
        file.set_len(1 << 30).unwrap();
        for (index, version) in blocks {
            file.write_all_at(&content(*index, *version), u64::from(*index) * BLOCK as u64).unwrap();
        }
        path
    }

    pub(crate) async fn manifest_of(
        &self,
        id: &SnapshotId,
        base: Option<&Path>,
        name: &str,
    ) -> (PathBuf, manifest::Report) {
        let output = self.path(name);
        let options =
            manifest::Options { base: base.map(Path::to_owned), output: output.clone(), force: true };
        let report = manifest::of_snapshot(id, &options, &self.services, &self.engine()).await.unwrap();
        (output, report)
    }

    /// The manifest of a snapshot with these blocks, where this is known about encryption.
    fn manifest_saying(
        &self,
        id: &SnapshotId,
        blocks: &[(u32, u64)],
        is_encrypted: Option<bool>,
        name: &str,
    ) -> PathBuf {
        use icecore::manifest::{About, write};
        let listed: std::collections::BTreeMap<_, _> =
            blocks.iter().map(|(index, version)| (at(*index), digest(*index, *version))).collect();
        let geometry = icecore::block::Geometry::ebs(GiB::try_from(1).unwrap());
        let about = About { snapshot_id: Some(id.clone()), geometry, size: geometry.size(), is_encrypted };
        let output = self.path(name);
        let present = listed.keys().copied().collect();
        let disk = icecore::disk::RealDisk::default();
        let _ = write(&disk, &output, &about, &present, |index| Ok(listed[&index])).unwrap();
        output
    }

    async fn verify(&self, options: &Options) -> Report {
        verify::run(options, Some(&self.services), &self.engine()).await.unwrap()
    }
}

fn services(memory: &Arc<MemoryService>, label: &str) -> Services {
    Services {
        label: label.to_owned(),
        identity: icecore::aws::Identity::named(label),
        blocks: memory.clone(),
        writer: memory.clone(),
        snapshots: None,
        control: None,
        max_usd: None,
    }
}

pub(crate) fn at(index: u32) -> BlockIndex {
    BlockIndex::new(index)
}

/// A block's content: zeros for version 0, else its own for each index and version.
fn content(index: u32, version: u64) -> Bytes {
    if version == 0 {
        return vec![0; BLOCK].into();
    }
    let word = (u64::from(index) << 32 | version).to_le_bytes();
    word.repeat(BLOCK / 8).into()
}

fn digest(index: u32, version: u64) -> Digest {
    Digest::of(&content(index, version))
}

fn snapshot(id: &SnapshotId) -> Options {
    Options::of(What::Snapshot(id.clone()))
}

/// The snapshot against an image, both known not to be encrypted.
fn restored(id: &SnapshotId, image: &Path) -> Options {
    Options { against: Against::Image(image.to_owned()), is_unencrypted: true, ..snapshot(id) }
}

fn indexes(mismatches: &Mismatches) -> Vec<u32> {
    mismatches.blocks().iter().map(BlockIndex::get).collect()
}

/// All that is wrong, as it is listed.
pub(crate) fn listed(report: &Report) -> Vec<Mismatch> {
    report.mismatches.iter().map(Result::unwrap).collect()
}

fn set(indexes: impl IntoIterator<Item = u32>) -> BlockSet {
    indexes.into_iter().map(at).collect()
}

/// A count that a full run has fifty times of: `ICECORE_SEEDS` says how many.
fn count(few: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how a full run is asked for")]
    let asked = std::env::var("ICECORE_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    asked.unwrap_or(few)
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn index(&mut self) -> u32 {
        u32::try_from(self.below(2048)).unwrap()
    }
}

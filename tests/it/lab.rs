//! A laboratory: a store, an endpoint over it, the AWS clients aimed at that, and the fixture volumes.

use icecore::aws::{Deadlines, Local, Session};
use icecore::block::{BlockSet, Geometry, GiB, LinearDigest};
use icecore::cost::Usd;
use icecore::device::{Image, Part};
use icecore::disk::Machine;
use icecore::endpoint::{self, Config, Running, Shelves};
use icecore::monitor::Recorder;
use icecore::ops::{self, Engine, Services, import};
use icecore::pipeline::{Settings, Stop};
use icecore::snapshot::{NewSnapshot, SnapshotId, Tags, Written};
use icecore::source::conformance::filled;
use icecore::store::StoreWriter;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

/// Everything in one temporary directory, gone with it.
pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Arc<StoreWriter>,
    pub(crate) endpoint: Running,
    pub(crate) services: Services,
    pub(crate) recorder: Arc<Recorder>,
}

impl Lab {
    /// An empty store behind a running endpoint.
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    /// The same, behind an endpoint with these switches.
    pub(crate) async fn with(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(StoreWriter::open_or_create(dir.path().join("store"), "a test").unwrap());
        let shelves = Shelves::kept_in(store.clone());
        let endpoint = endpoint::start(config, shelves).await.unwrap();
        let services = services(&endpoint.url());
        Self { dir, store, endpoint, services, recorder: Arc::default() }
    }

    /// Another endpoint over the same store, and the clients aimed at it.
    pub(crate) async fn beside(&self, config: Config, deadlines: Deadlines) -> (Running, Services) {
        let running = endpoint::start(config, Shelves::kept_in(self.store.clone())).await.unwrap();
        let services = services_within(&running.url(), deadlines);
        (running, services)
    }

    /// A run with nothing asked yet; its state lies in the laboratory.
    pub(crate) fn engine(&self) -> Engine {
        self.stoppable(Stop::new())
    }

    /// The same, to be stopped from outside.
    pub(crate) fn stoppable(&self, stop: Stop) -> Engine {
        Engine::new(Settings::open(self.path("state")), self.recorder.clone(), stop)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Imports an image, on a parent or none.
    pub(crate) async fn import(&self, image: &Path, parent: Option<&SnapshotId>) -> import::Report {
        import::run(&options(image, parent), &self.services, &self.engine()).await.unwrap()
    }

    /// Makes a snapshot that holds these blocks and what it inherits, each block full of one byte.
    pub(crate) async fn snapshot(
        &self,
        parent: Option<&SnapshotId>,
        gib: u32,
        blocks: &BTreeMap<u32, u8>,
    ) -> SnapshotId {
        let new = NewSnapshot {
            volume_size: GiB::try_from(i64::from(gib)).unwrap(),
            parent: parent.cloned(),
            description: None,
            tags: Tags::new(),
            client_token: None,
            encrypted: None,
            kms_key_id: None,
            timeout_minutes: None,
        };
        let (writer, mut aggregate) = (&self.services.writer, LinearDigest::new());
        let id = writer.start(&new).await.unwrap().id;
        for (index, byte) in blocks {
            let block = filled(*index, *byte);
            aggregate.push(&block.digest());
            writer.put(&id, &block).await.unwrap();
        }
        let written = Written { blocks: blocks.len().try_into().unwrap(), checksum: aggregate.finish() };
        writer.complete(&id, written).await.unwrap();
        id
    }

    /// Exports a snapshot and gives the file's bytes' place.
    pub(crate) async fn export(&self, id: &SnapshotId, name: &str) -> (PathBuf, ops::export::Report) {
        let dest = self.path(name);
        let options = ops::export::Options {
            snapshot_id: id.clone(),
            dest: Some(dest.clone()),
            force: false,
            sync: false,
        };
        let report = ops::export::run(&options, &self.services, &self.engine()).await.unwrap();
        (dest, report)
    }
}

/// A loop device over a file; none where the machine gives none to this user.
pub(crate) struct Loop(pub(crate) PathBuf);

impl Loop {
    pub(crate) fn over(file: &Path) -> Option<Self> {
        let found = Command::new("losetup").args(["--find", "--show"]).arg(file).output().ok()?;
        let path = String::from_utf8(found.stdout).ok()?.trim().to_owned();
        (found.status.success() && !path.is_empty()).then(|| Self(path.into()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}

/// The AWS clients, aimed at an endpoint.
pub(crate) fn services(url: &str) -> Services {
    services_within(url, Deadlines::default())
}

/// The same, with their own deadlines.
pub(crate) fn services_within(url: &str, deadlines: Deadlines) -> Services {
    Services::reached(&session(url, deadlines), "lab".to_owned(), Usd::ZERO)
}

/// A session with an endpoint.
pub(crate) fn session(url: &str, deadlines: Deadlines) -> Session {
    let local = Local {
        url: url.to_owned(),
        access_key_id: "AKTEST".to_owned(),
        secret_access_key: "secret".to_owned(),
        region: "us-east-1".to_owned(),
    };
    Session::local(local, deadlines).unwrap()
}

/// A plain import.
pub(crate) fn options(image: &Path, parent: Option<&SnapshotId>) -> import::Options {
    import::Options {
        image: image.to_owned(),
        parent: parent.cloned(),
        tags: Tags::new(),
        description: None,
        omit_zero_blocks: false,
        is_raw: false,
        encrypted: false,
        kms_key_id: None,
        volume_size: None,
        timeout_minutes: None,
        wait: true,
    }
}

/// A generation of the fixture volume, unpacked to a place of the test's own.
pub(crate) fn unpack(n: usize, path: &Path) {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/volumes/gen{n}.img.zst"));
    icecore::device::unpack(&std::fs::read(packed).unwrap(), path).unwrap();
}

/// A generation of the fixture volume, unpacked once per test run: the tests only read it.
pub(crate) fn generation(n: usize) -> PathBuf {
    static EXPANDED: OnceLock<(tempfile::TempDir, Mutex<BTreeMap<usize, PathBuf>>)> = OnceLock::new();
    let (dir, done) = EXPANDED.get_or_init(|| (tempfile::tempdir().unwrap(), Mutex::default()));
    let mut done = done.lock().unwrap();
    done.entry(n)
        .or_insert_with(|| {
            let packed =
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/volumes/gen{n}.img.zst"));
            let path = dir.path().join(format!("gen{n}.img"));
            icecore::device::unpack(&std::fs::read(packed).unwrap(), &path).unwrap();
            path
        })
        .clone()
}

/// The blocks in which two images of the same size differ, and those that are not zero in each. Holes are not read.
pub(crate) fn compare(first: &Path, second: &Path) -> (BlockSet, BlockSet, BlockSet) {
    let machine = Machine::real(PathBuf::new());
    let (first, second) = (Image::open(first, &machine).unwrap(), Image::open(second, &machine).unwrap());
    assert_eq!(first.len(), second.len());
    let geometry = Geometry::ebs(GiB::holding(first.len()).unwrap());
    let mut sets = (BlockSet::new(), BlockSet::new(), BlockSet::new());
    for index in geometry.range().iter() {
        let (a, b) = (first.part(index).unwrap(), second.part(index).unwrap());
        let chosen = [(&mut sets.0, a != b), (&mut sets.1, a != Part::Zero), (&mut sets.2, b != Part::Zero)];
        chosen.into_iter().filter(|(_, is_in)| *is_in).for_each(|(set, _)| {
            set.insert(index);
        });
    }
    sets
}

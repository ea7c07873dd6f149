//! The main job from end to end, on disk images that come with the program.
//!
//! Three nights of one small server's volume (`fixtures/volumes`) go into a store through the AWS SDK and HTTP, are
//! compared, and come out again, to be held against the images they came from, to be warmed, and to be restored to volumes
//! in drills. No account, no network but loopback.

use crate::aws::{Deadlines, Local, Session};
use crate::block::{BlockIndex, BlockSet, BlockSize, ByteSize, Geometry};
use crate::control::InstanceQuery;
use crate::cost::{PriceTable, Usd};
use crate::device::{Image, unpack};
use crate::disk::Machine;
use crate::disk::cold::{Cold, ColdVolume, Model};
use crate::endpoint::{self, Config, Shelves};
use crate::estate::{NewVolume, VolumeKind};
use crate::evidence::{Examined, Wrong};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, Event, Silent, SystemClock};
use crate::ops::verify::{Against, What};
use crate::ops::{Engine, Services, cost, diff, export, import, verify, warm};
use crate::orchestrate::drill::{self, Choice, Here};
use crate::pipeline::Requests;
use crate::shelf::Shelf;
use crate::snapshot::{SnapshotId, Tags};
use crate::store::StoreWriter;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Generations of the fixture volume: what happened to it, and the image, compressed.
const NIGHTS: [(&str, &[u8]); 3] = [
    ("a fresh server: a shop's database, logs, media", include_bytes!("../../fixtures/volumes/gen0.img.zst")),
    ("a day of orders and log lines", include_bytes!("../../fixtures/volumes/gen1.img.zst")),
    ("another day; an old archive is deleted", include_bytes!("../../fixtures/volumes/gen2.img.zst")),
];

/// One image that was imported.
#[derive(Clone, Debug)]
pub struct Night {
    /// What happened to the volume before it.
    pub story: &'static str,
    /// What was made of it.
    pub import: import::Report,
}

/// What the demo did.
#[derive(Debug)]
#[must_use]
pub struct Report {
    /// The store it made.
    pub store: PathBuf,
    /// Size of the volume.
    pub geometry: Geometry,
    /// The images, oldest first.
    pub nights: Vec<Night>,
    /// What changed from each to the next, contents compared.
    pub diff: diff::Report,
    /// What each costs a month.
    pub bill: cost::Report,
    /// The export of the last one.
    pub export: export::Report,
    /// Blocks of the exported image held against the source, byte for byte.
    pub blocks_verified: u64,
    /// Of these, blocks that differ. Anything but empty is a finding.
    pub differing: BlockSet,
    /// The exported image held against the snapshot, as `icecore verify` does it.
    pub verified: verify::Report,
    /// The block in which one bit was flipped then.
    pub flipped: BlockIndex,
    /// What `icecore verify` said of that image.
    pub damaged: verify::Report,
    /// Both verdicts kept as evidence; `None` until somebody has.
    pub evidence: Option<Kept>,
    /// The exported image warmed, as if it were a volume that is slow on first touch.
    pub warmed: warm::Report,
    /// What drills of the last one found; `None` in a build that cannot ask EC2 for volumes.
    pub drills: Option<Drills>,
    /// What was asked in all.
    pub requests: Requests,
    /// How long it took.
    pub elapsed: Duration,
}

/// Two drills: of a volume as it was restored, and of one that was damaged.
#[derive(Debug)]
pub struct Drills {
    /// A volume was made, verified and deleted.
    pub good: drill::Report,
    /// A volume that somebody else restored had one bit flipped, in the same block as the image.
    pub bad: drill::Report,
}

/// Evidence of both verdicts.
#[derive(Debug)]
pub struct Kept {
    /// As it was kept.
    pub whole: Examined,
    /// The same once the bad verdict had been rewritten to a good one.
    pub forged: Examined,
}

impl Kept {
    /// Whether the one is whole, and of the other just that report is named.
    pub fn is_told_apart(&self) -> bool {
        let named: Vec<_> =
            self.forged.findings.iter().map(|finding| (finding.bundle, finding.wrong)).collect();
        self.whole.findings.is_empty()
            && self.whole.bundles.len() == 2
            && named == [(Some(2), Wrong::AlteredFile)]
    }
}

impl Report {
    /// Whether the exported image is the image that was imported, the restored volume as well, and damage was found.
    pub fn is_verified(&self) -> bool {
        let is_it = |found: &verify::Report| found.wrong().iter().eq([self.flipped]);
        let drilled = self.drills.as_ref().is_none_or(|drills| {
            let found = drills.bad.drills.first().and_then(|drill| drill.verified.as_ref());
            drills.good.state() == verify::State::Pass && found.is_some_and(is_it)
        });
        let verified = self.differing.is_empty() && self.verified.state() == verify::State::Pass;
        let kept = self.evidence.as_ref().is_none_or(Kept::is_told_apart);
        verified && is_it(&self.damaged) && kept && drilled
    }

    /// What was held against the source.
    pub fn size_verified(&self) -> ByteSize {
        self.geometry.block_size.of(self.blocks_verified)
    }
}

/// Does it all, in a directory that is empty or not there yet. The store is left in it, to look around in.
pub async fn run(dir: &Path, engine: &Engine) -> Result<Report, Fault> {
    let start = Instant::now();
    let images = unpacked(dir, engine).await?;
    let store_dir = dir.join("store");
    let store = Arc::new(StoreWriter::open_or_create(
        &store_dir,
        &format!("icecore demo, pid {}", std::process::id()),
    )?);
    let access_key = endpoint::random_access_key()?;
    let config = Config { access_key: Some(access_key.clone()), ..Config::default() };
    let endpoint = endpoint::start(config, Shelves::kept_in(store.clone())).await?;
    let services = services(&endpoint.url(), access_key, &store_dir)?;
    let done = async {
        let (nights, diff, export) = main_job(dir, &images, &services, engine).await?;
        let proof = prove(&dir.join("restored.img"), &diff, &export.snapshot_id, &services, engine).await?;
        let warmed = warmed(&dir.join("restored.img"), &diff, &services, engine).await?;
        let drills = drills(&store_dir, &export.snapshot_id, proof.1, &services, engine).await?;
        let bill = bill(store, &services, engine).await?;
        Ok((nights, diff, export, proof, warmed, drills, bill))
    };
    let done = done.await;
    endpoint.stop().await;
    let (nights, diff, export, (verified, flipped, damaged), warmed, drills, bill) = done?;

    let exported = dir.join("restored.img");
    let source = images.last().cloned().unwrap_or_default();
    let machine = engine.machine().clone();
    let (geometry, differing) = blocking(move || compare(&source, &exported, &machine)).await?;
    Ok(Report {
        store: store_dir,
        geometry,
        nights,
        diff,
        bill,
        export,
        blocks_verified: u64::from(geometry.n_blocks()),
        differing,
        verified,
        flipped,
        damaged,
        evidence: None,
        warmed,
        drills,
        requests: engine.requests(),
        elapsed: start.elapsed(),
    })
}

async fn unpacked(dir: &Path, engine: &Engine) -> Result<Vec<PathBuf>, Fault> {
    engine.monitor.on(Event::Stage { verb: "unpacking the disk images", total: None });
    std::fs::create_dir_all(dir).map_err(|error| Fault::local(dir, "make the directory", error))?;
    let mut inside = std::fs::read_dir(dir).map_err(|error| Fault::local(dir, "look into", error))?;
    if inside.next().is_some() {
        return Err(Fault::new(Kind::Unsuitable, Place::File(dir.to_owned()), "the directory is not empty")
            .hint("give an empty or a new one"));
    }
    let mut images = Vec::new();
    for (number, (_, packed)) in NIGHTS.into_iter().enumerate() {
        let image = dir.join(format!("night{number}.img"));
        let path = image.clone();
        blocking(move || unpack(packed, &path)).await?;
        images.push(image);
    }
    Ok(images)
}

fn services(url: &str, access_key_id: String, store: &Path) -> Result<Services, Fault> {
    let local = Local {
        url: url.to_owned(),
        // The endpoint reads signatures but proves none: the key is the secret.
        secret_access_key: access_key_id.clone(),
        access_key_id,
        region: "us-east-1".to_owned(),
    };
    let session = Session::local(local, Deadlines::default())?;
    let label = format!("demo:{}:{}", store.display(), SystemClock.now().0);
    Ok(Services::reached(&session, label, Usd::ZERO))
}

type Done = (Vec<Night>, diff::Report, export::Report);

/// What a user would do: import each night on the one before it, compare, export the last.
async fn main_job(
    dir: &Path,
    images: &[PathBuf],
    services: &Services,
    engine: &Engine,
) -> Result<Done, Fault> {
    let mut nights: Vec<Night> = Vec::new();
    for ((story, _), image) in NIGHTS.into_iter().zip(images) {
        let parent = nights.last().map(|night| night.import.snapshot_id.clone());
        let import = import::run(&import_options(image, parent, story), services, engine).await?;
        nights.push(Night { story, import });
    }
    let snapshots: Vec<SnapshotId> = nights.iter().map(|night| night.import.snapshot_id.clone()).collect();
    let last = snapshots.last().cloned();
    let diff = diff::run(&diff::Options { snapshots, content: true }, services, engine).await?;
    let Some(snapshot_id) = last else { unreachable!("there are nights") };
    let dest = Some(dir.join("restored.img"));
    let export = export::Options { snapshot_id, dest, force: true, sync: true };
    let export = export::run(&export, services, engine).await?;
    Ok((nights, diff, export))
}

/// Verifies the restored image, flips one bit of it, verifies again, and flips it back.
async fn prove(
    image: &Path,
    diff: &diff::Report,
    id: &SnapshotId,
    services: &Services,
    engine: &Engine,
) -> Result<(verify::Report, BlockIndex, verify::Report), Fault> {
    let options = verify::Options {
        against: Against::Image(image.to_owned()),
        is_unencrypted: true,
        ..verify::Options::of(What::Snapshot(id.clone()))
    };
    let verified = verify::run(&options, Some(services), engine).await?;
    // Of what the last night wrote, the first block.
    let changed = diff.steps.last().map(|step| step.delta.changed()).unwrap_or_default();
    let flipped = changed.next_from(BlockIndex::ZERO).unwrap_or(BlockIndex::ZERO);
    flip(image, flipped)?;
    let damaged = verify::run(&options, Some(services), engine).await?;
    flip(image, flipped)?;
    Ok((verified, flipped, damaged))
}

/// How long the first touch of a block takes in the demo: about what restored volumes show.
pub const FIRST_TOUCH: Duration = Duration::from_millis(20);

/// Warms the restored image. A file is never cold, so this one is read through a disk that plays a volume made from a
/// snapshot.
async fn warmed(
    image: &Path,
    diff: &diff::Report,
    services: &Services,
    engine: &Engine,
) -> Result<warm::Report, Fault> {
    let chain = diff.steps.iter().map(|step| step.first.clone());
    let Some(last) = diff.steps.last() else { unreachable!("there are nights") };
    let cold = last.volume_size.map(|size| BlockSet::from(Geometry::ebs(size).range())).unwrap_or_default();
    let model = Model { cold, latency: FIRST_TOUCH, ..Model::default() };
    let disk = Cold::new(engine.machine().disk.clone(), image.to_owned(), ColdVolume::new(model));
    let engine = engine.clone().on_disk(Arc::new(disk));
    let what = warm::What::Snapshot(last.second.clone());
    let options = warm::Options {
        older: chain.collect(),
        ..warm::Options::of(warm::Where::Path(image.to_owned()), what)
    };
    warm::run(&options, &warm::Bounds::default(), Some(services), &engine).await
}

/// Restores the snapshot to a volume that is verified and deleted; then verifies one that somebody else restored and
/// that was damaged since. Volumes of a store are files in it.
async fn drills(
    store: &Path,
    id: &SnapshotId,
    flipped: BlockIndex,
    services: &Services,
    engine: &Engine,
) -> Result<Option<Drills>, Fault> {
    let Some(control) = &services.control else { return Ok(None) };
    engine.monitor.on(Event::Stage { verb: "drilling", total: None });
    let quiet = Engine { monitor: Arc::new(Silent), ..engine.clone() };
    let instances = control.instances.instances(&InstanceQuery::default()).await?;
    let Some(host) = instances.into_iter().find(|instance| instance.takes_volumes()) else { return Ok(None) };
    let devices = store.join("devices").join(host.id.as_str());
    let here = Here { instance: host.id, zone: Some(host.zone.clone()), devices };
    let drill = async |what| {
        let options = drill::Options { owner: "demo".to_owned(), ..drill::Options::of(what, here.clone()) };
        drill::prepare(options, services, &quiet).await?.run().await
    };
    let good = drill(drill::What::Snapshots(Choice::Named(vec![id.clone()]))).await?;

    let volume = control.volumes.create_volume(&restored(id, host.zone)).await?.id;
    flip(&store.join("volumes").join(volume.as_str()), flipped)?;
    let bad = drill(drill::What::Restored { volume: volume.clone(), snapshot: None }).await?;
    control.volumes.delete_volume(&volume).await?;
    Ok(Some(Drills { good, bad }))
}

/// A volume as a backup service restores it.
fn restored(id: &SnapshotId, zone: String) -> NewVolume {
    NewVolume {
        snapshot: Some(id.clone()),
        zone,
        kind: VolumeKind::Gp3,
        size: None,
        iops: None,
        throughput: None,
        initialization_rate: None,
        encrypted: None,
        kms_key_id: None,
        client_token: "restored".to_owned(),
        tags: Tags::from([("Name".to_owned(), "restored by somebody else".to_owned())]),
    }
}

/// Turns one bit in the middle of a block over.
fn flip(image: &Path, index: BlockIndex) -> Result<(), Fault> {
    let failed = |error| Fault::local(image, "flip a bit", error);
    let offset = index.byte_offset(BlockSize::EBS) + u64::from(BlockSize::EBS.bytes()) / 2;
    let file = std::fs::File::options().read(true).write(true).open(image).map_err(failed)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).map_err(failed)?;
    file.write_all_at(&[byte[0] ^ 1], offset).map_err(failed)
}

/// What each night costs, and what deleting the middle one would free.
async fn bill(store: Arc<StoreWriter>, services: &Services, engine: &Engine) -> Result<cost::Report, Fault> {
    engine.monitor.on(Event::Stage { verb: "counting what each costs", total: None });
    // What EC2 would tell, from the store itself: the demo runs in every build.
    let shelved = blocking(move || store.list()).await?;
    let facts = cost::Facts::of(shelved.into_iter().map(|shelved| shelved.info).collect());
    let prices = PriceTable::listed().region("us-east-1");
    let prices = prices.map_err(|error| Fault::new(Kind::Refused, Place::Service, error.to_string()))?;
    let options = cost::Options {
        shown: cost::Selection::default(),
        prices,
        compare: 8,
        keeps_listings: false,
        max_requests: None,
        deadline: None,
        bin_days: None,
        verified: None,
    };
    let measured = cost::measure_these(facts, &options, services, engine).await?;
    let middle: Vec<SnapshotId> =
        measured.facts.snapshots.iter().skip(1).take(1).map(|info| info.id.clone()).collect();
    let what_if = measured.deletion(&middle)?;
    Ok(measured.report(None, Some(what_if)))
}

fn import_options(image: &Path, parent: Option<SnapshotId>, story: &str) -> import::Options {
    import::Options {
        image: image.to_owned(),
        parent,
        tags: Tags::from([("Name".to_owned(), "demo".to_owned())]),
        description: Some(story.to_owned()),
        omit_zero_blocks: false,
        is_raw: false,
        encrypted: false,
        kms_key_id: None,
        volume_size: None,
        timeout_minutes: None,
        wait: true,
    }
}

/// Every block of both images, byte for byte, without any digest: the judge knows nothing of how they were made.
fn compare(source: &Path, exported: &Path, machine: &Machine) -> Result<(Geometry, BlockSet), Fault> {
    let (source, exported) = (Image::open(source, machine)?, Image::open(exported, machine)?);
    if source.len() != exported.len() {
        let what = format!("it has {} bytes, its source {}", exported.len(), source.len());
        return Err(Fault::new(Kind::Unsuitable, Place::File(exported.path().to_owned()), what));
    }
    let size = crate::block::GiB::holding(source.len());
    let geometry = Geometry::ebs(size.map_err(|error| {
        Fault::new(Kind::Unsuitable, Place::File(source.path().to_owned()), error.to_string())
    })?);
    let mut differing = BlockSet::new();
    for index in geometry.range().iter() {
        if source.part(index)? != exported.part(index)? {
            differing.insert(index);
        }
    }
    let _ = (source.unchanged()?, exported.unchanged()?);
    Ok((geometry, differing))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Fault::new(Kind::Local, Place::Program, "a worker of this program failed").because(error)
    })?
}

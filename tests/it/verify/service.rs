//! Faults of the service and of devices: never a pass that is not one, never a failure that is none.

use super::*;
use crate::lab::Lab;
use icecore::aws::Deadlines;
use icecore::disk::RealDisk;
use icecore::disk::faulty::{Act, Faulty as FaultyDisk};
use icecore::endpoint::Config;
use icecore::fault::Kind;
use icecore::ops::import;
use icecore::ops::verify::{Class, State};
use icecore::pipeline::Patience;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A snapshot in a store, its image, and how to reach it through an endpoint with faults.
struct Faulty {
    lab: Lab,
    id: SnapshotId,
    image: PathBuf,
    manifest: PathBuf,
}

impl Faulty {
    async fn new() -> Self {
        let (lab, world) = (Lab::new().await, World::new());
        let image = lab.path("image");
        let blocks: Vec<_> = (0..12).map(|n| (n * 3, 1 + u64::from(n))).collect();
        std::fs::copy(world.image("image", &blocks), &image).unwrap();
        let options = import::Options { omit_zero_blocks: true, ..crate::lab::options(&image, None) };
        let id = import::run(&options, &lab.services, &lab.engine()).await.unwrap().snapshot_id;
        let manifest = lab.path("m");
        let options = manifest::Options { base: None, output: manifest.clone(), force: false };
        let _ = manifest::of_snapshot(&id, &options, &lab.services, &lab.engine()).await.unwrap();
        Self { lab, id, image, manifest }
    }

    async fn verify(
        &self,
        name: &str,
        faults: &str,
        options: Options,
    ) -> Result<Report, icecore::fault::Fault> {
        let config = Config { faults: faults.parse().unwrap(), ..Config::default() };
        let short = Deadlines { attempt: Duration::from_secs(2), ..Deadlines::default() };
        let (_running, services) = self.lab.beside(config, short).await;
        let patience = Patience {
            failures: 3,
            throttled: Duration::from_millis(200),
            first_backoff: Duration::from_millis(1),
            longest_backoff: Duration::from_millis(2),
            ..Patience::default()
        };
        let settings = Settings { patience, ..Settings::open(self.lab.path(name)) };
        let engine = Engine::new(settings, self.lab.recorder.clone(), Stop::new());
        verify::run(&options, Some(&services), &engine).await
    }
}

const EFFECTS: [&str; 14] = [
    "throttle=snapshot",
    "error=404",
    "error=500",
    "error=503",
    "denied",
    "expired=token",
    "reset",
    "slow=1",
    "body=truncated",
    "body=short",
    "body=oversized",
    "body=wrong",
    "checksum=wrong",
    "checksum=missing",
];

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_passing_fail_nothing_and_faults_for_good_never_pass() {
    let faulty = Faulty::new().await;
    let sorts = [
        snapshot(&faulty.id),
        Options { manifest: Some(faulty.manifest.clone()), ..snapshot(&faulty.id) },
        restored(&faulty.id, &faulty.image),
    ];
    for (n, options) in sorts.into_iter().enumerate() {
        for effect in EFFECTS {
            let once = format!("GetSnapshotBlock nth=1 {effect}");
            let report = faulty.verify(&format!("once-{n}-{effect}"), &once, options.clone()).await;
            // What the service says once and means for good is not asked again.
            if matches!(effect, "error=404" | "denied") {
                assert_ne!(report.unwrap().state(), State::Pass, "{once}");
            } else {
                let report = report.unwrap();
                assert_eq!(report.state(), State::Pass, "{once}: {:?}", report.exceptions);
            }
            let always = format!("GetSnapshotBlock block=9 {effect}");
            if effect == "slow=1" {
                continue;
            }
            let report =
                faulty.verify(&format!("always-{n}-{effect}"), &always, options.clone()).await.unwrap();
            assert_ne!(report.state(), State::Pass, "{always}");
            let kinds: Vec<_> = report.exceptions.iter().map(|exception| exception.kind).collect();
            match effect {
                "body=wrong" | "checksum=wrong" => {
                    assert_eq!(report.state(), State::Fail, "{always}: {kinds:?}");
                    assert_eq!(listed(&report)[0].class, Class::Transport, "{always}");
                    assert_eq!(indexes(&report.mismatches), [9]);
                }
                "denied" => assert_eq!(kinds, [Kind::Denied]),
                "error=404" => assert_eq!(kinds, [Kind::Vanished]),
                _ => assert!(!kinds.is_empty() || !report.mismatches.is_empty(), "{always}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misdirected_block_with_its_own_checksum_passes_the_transport_and_nothing_above_it() {
    let faulty = Faulty::new().await;
    let always = "GetSnapshotBlock block=9 body=misdirected";
    let report = faulty.verify("transport", always, snapshot(&faulty.id)).await.unwrap();
    assert_eq!(report.state(), State::Pass, "which is what level 2 does not show");
    let content = Options { manifest: Some(faulty.manifest.clone()), ..snapshot(&faulty.id) };
    let report = faulty.verify("content", always, content.clone()).await.unwrap();
    assert_eq!((report.state(), report.mismatches.len()), (State::Fail, 1));
    assert_eq!(listed(&report)[0].class, Class::Misdirected(at(12)));
    assert_eq!(listed(&report)[0].is_persistent, Some(true));

    let once = "GetSnapshotBlock block=9 nth=1 body=misdirected";
    for (name, options) in [("once", content), ("once-restored", restored(&faulty.id, &faulty.image))] {
        let report = faulty.verify(name, once, options).await.unwrap();
        assert_eq!(report.state(), State::Fail);
        assert_eq!(listed(&report)[0].is_persistent, Some(false), "the second reading was right");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_fails_is_no_verification() {
    let faulty = Faulty::new().await;
    for (effect, kind) in [("denied", Kind::Denied), ("error=500", Kind::Service)] {
        let fault = faulty
            .verify(effect, &format!("ListSnapshotBlocks {effect}"), snapshot(&faulty.id))
            .await
            .unwrap_err();
        assert_eq!(fault.kind, kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_fails_or_vanishes_while_it_is_read_is_never_a_pass() {
    let world = World::new();
    let blocks: Vec<_> = (0..60).map(|n| (n * 10, 1)).collect();
    let id = world.snapshot(None, &blocks);
    let image = world.image("image", &blocks);
    let (manifest, _) = world.manifest_of(&id, None, "m").await;
    let (eio, enxio) = (5, 6);
    for (errno, for_good, kind, unreadable) in
        [(eio, false, Kind::Local, 1), (eio, true, Kind::Local, 2048), (enxio, true, Kind::Vanished, 0)]
    {
        let by_snapshot = restored(&id, &image);
        let by_manifest = Options { what: What::Manifest(manifest.clone()), ..by_snapshot.clone() };
        // Against a manifest the image is first asked where it has data, in some 120 questions, and then read.
        for (options, first) in [(by_snapshot, 30), (by_manifest.clone(), 30), (by_manifest, 150)] {
            // A block whose reading failed among others is read once more by itself, and where a question had no answer
            // everything is read.
            let is_made_up_for = matches!(options.what, What::Manifest(_)) && !for_good;
            let (path, reads) = (image.clone(), AtomicU64::new(0));
            let rule = move |act: Act, at: &Path| {
                let is_read = act == Act::Read && at == path;
                let n = if is_read { reads.fetch_add(1, Ordering::SeqCst) } else { 0 };
                match n == first || (for_good && n > first) {
                    true => Err(std::io::Error::from_raw_os_error(errno)),
                    false => Ok(()),
                }
            };
            let disk = FaultyDisk::new(Arc::new(RealDisk::default()), rule);
            let settings = Settings { concurrency: Some(1), ..Settings::open(world.path("state")) };
            let engine =
                Engine::new(settings, Arc::new(Recorder::default()), Stop::new()).on_disk(Arc::new(disk));
            let report = verify::run(&options, Some(&world.services), &engine).await.unwrap();
            if is_made_up_for && report.unreadable.is_empty() {
                assert_eq!((report.state(), report.coverage.read), (State::Pass, 2048));
                continue;
            }
            assert_eq!(report.state(), State::Incomplete, "{errno} {for_good}: {:?}", report.exceptions);
            assert_eq!(report.exceptions[0].kind, kind);
            if unreadable > 0 {
                assert!((1..=unreadable).contains(&report.unreadable.len()), "{}", report.unreadable.len());
                assert_eq!(report.coverage.read + report.unreadable.len(), 2048, "all others were read");
            }
            let again = world.verify(&options).await;
            assert_eq!((again.state(), again.coverage.read), (State::Pass, 2048), "once it is well again");
        }
    }
}

/// A device mapped by the kernel; none where the machine gives none to this user.
struct Mapped(String);

impl Mapped {
    fn over(name: &str, table: &str) -> Option<Self> {
        let name = format!("icecore-test-{}-{name}", std::process::id());
        let made = Command::new("dmsetup").args(["create", &name, "--table", table]).output().ok()?;
        made.status.success().then_some(Self(name))
    }

    fn path(&self) -> PathBuf {
        Path::new("/dev/mapper").join(&self.0)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let _ = Command::new("dmsetup").args(["remove", &self.0]).output();
    }
}

fn looped(file: &Path) -> Option<PathBuf> {
    let found = Command::new("losetup").args(["--find", "--show"]).arg(file).output().ok()?;
    let path = String::from_utf8(found.stdout).ok()?.trim().to_owned();
    (found.status.success() && !path.is_empty()).then(|| path.into())
}

/// Needs loop devices, hence root: where there are none, it says so and proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_read_past_the_cache_and_its_bad_blocks_are_named() {
    let world = World::new();
    let blocks: Vec<_> = (0..40).map(|n| (n * 10, 1)).collect();
    let id = world.snapshot(None, &blocks);
    let image = world.image("image", &blocks);
    let Some(device) = looped(&image) else {
        eprintln!("no loop device here: verifying a device is not tested");
        return;
    };
    let report = world.verify(&restored(&id, &device)).await;
    let wrong_volume = Options { volume_id: Some("vol-0abc".parse().unwrap()), ..restored(&id, &device) };
    let refused = verify::run(&wrong_volume, Some(&world.services), &world.engine()).await;
    // The first 100 blocks, then one that cannot be read, then the rest.
    let per_block = BLOCK as u64 / 512;
    let (loopback, total) = (device.display(), (1_u64 << 30) / 512);
    let table = format!(
        "0 {at} linear {loopback} 0\n{at} {per_block} error\n{after} {rest} linear {loopback} {after}",
        at = 100 * per_block,
        after = 101 * per_block,
        rest = total - 101 * per_block
    );
    let bad = match Mapped::over("bad", &table) {
        Some(mapped) => Some(world.verify(&restored(&id, &mapped.path())).await),
        None => None,
    };
    let _ = Command::new("losetup").arg("--detach").arg(&device).status();
    assert_eq!((report.state(), report.coverage.read), (State::Pass, 2048));
    assert_eq!(refused.unwrap_err().kind, Kind::Unsuitable, "a loop device is no EBS volume");
    let Some(bad) = bad else {
        eprintln!("no device mapper here: a device with a bad block is not tested");
        return;
    };
    assert_eq!((bad.state(), bad.unreadable.clone()), (State::Incomplete, set([100])));
    assert_eq!(bad.exceptions[0].kind, Kind::Local);
    assert_eq!(bad.coverage.read, 2047, "all others were read");
}

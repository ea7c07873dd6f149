//! Manifests: the same bytes however they came about.

use super::*;
use icecore::control::memory::MemorySnapshots;
use icecore::fault::Kind;
use icecore::manifest::Manifest;
use icecore::monitor::{Event, Monitor};
use icecore::ops::verify::State;
use icecore::snapshot::SnapshotInfo;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_manifests_is_the_same_as_a_fresh_one() {
    let world = World::new();
    let mut numbers = Numbers(5);
    let mut id = world.snapshot(None, &[(0, 1), (77, 1), (2047, 1)]);
    let (mut base, _) = world.manifest_of(&id, None, "0").await;
    for generation in 1..=100 {
        let changed: Vec<_> = (0..1 + numbers.below(8))
            .map(|_| (numbers.index(), if numbers.below(6) == 0 { 0 } else { generation }))
            .collect();
        id = world.snapshot(Some(&id), &changed);
        let (next, report) = world.manifest_of(&id, Some(&base), &generation.to_string()).await;
        assert!(report.blocks_read <= changed.len() as u64, "only what changed is read");
        assert_eq!(report.blocks_from_base + report.blocks_read, report.blocks);
        if generation % 20 == 0 {
            let (fresh, _) = world.manifest_of(&id, None, "fresh").await;
            assert!(bytes(&fresh) == bytes(&next), "generation {generation}");
        }
        base = next;
    }
    let manifest = Manifest::open(&base).unwrap();
    assert!(manifest.present().len() > 300, "{}", manifest.present().len());
    assert_eq!(std::fs::metadata(&base).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_has_the_same_content_has_the_same_content_root() {
    let world = World::new();
    let blocks = [(0, 1), (5, 0), (9, 2), (2047, 3)];
    let id = world.snapshot(None, &blocks);
    let copy = world.snapshot(None, &[(0, 1), (9, 2), (2047, 3)]);
    let image = world.image("image", &blocks);
    let (_, of_snapshot) = world.manifest_of(&id, None, "a").await;
    let (_, of_copy) = world.manifest_of(&copy, None, "b").await;
    let output = world.path("c");
    let options = manifest::Options { base: None, output, force: false };
    let of_image = manifest::of_image(&image, &options, &world.engine()).await.unwrap();
    assert_eq!(of_snapshot.roots.content, of_copy.roots.content);
    assert_eq!(of_snapshot.roots.content, of_image.roots.content);
    assert_ne!(of_snapshot.roots.map, of_copy.roots.map, "block 5 is there as zeros, or not there");
    assert_eq!((of_snapshot.blocks, of_copy.blocks, of_image.blocks), (4, 3, 3));
    let left: Vec<_> =
        std::fs::read_dir(world.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("icecore")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_any_length_passes_against_its_own_manifest_and_cut_off_it_does_not() {
    let world = World::new();
    let image = world.image("image", &[(0, 1), (9, 2), (11, 3)]);
    // Twelve blocks and a half.
    let whole = 25 * BLOCK as u64 / 2;
    let cut = |len: u64| File::options().write(true).open(&image).unwrap().set_len(len).unwrap();
    cut(whole);
    let output = world.path("m");
    let options = manifest::Options { base: None, output: output.clone(), force: false };
    let made = manifest::of_image(&image, &options, &world.engine()).await.unwrap();
    assert_eq!((made.size.bytes(), made.blocks), (whole, 3));
    let held = Options { against: Against::Image(image.clone()), ..Options::of(What::Manifest(output)) };
    let state = async || world.verify(&held).await.state();
    assert_eq!(state().await, State::Pass);
    cut(whole - 1);
    assert_eq!(state().await, State::Fail, "zeros are missing");
    cut(11 * BLOCK as u64);
    assert_eq!(state().await, State::Fail, "a block is missing");
    let file = File::options().write(true).open(&image).unwrap();
    file.write_all_at(&content(11, 3), 11 * BLOCK as u64).unwrap();
    cut(1 << 30);
    assert_eq!(state().await, State::Pass, "the volume that it becomes");
}

/// Asks to stop after so many blocks.
#[derive(Debug)]
struct StopAfter {
    left: AtomicU64,
    stop: Stop,
}

impl Monitor for StopAfter {
    fn on(&self, event: Event) {
        let Event::Done { blocks, .. } = event else { return };
        let left = self.left.load(Ordering::SeqCst).saturating_sub(blocks);
        self.left.store(left, Ordering::SeqCst);
        if left == 0 {
            self.stop.request();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_manifest_has_the_same_bytes_in_the_end() {
    let world = World::new();
    let blocks: Vec<_> = (0..400).map(|n| (n * 5, 1 + u64::from(n % 3))).collect();
    let id = world.snapshot(None, &blocks);
    let (whole, _) = world.manifest_of(&id, None, "whole").await;
    let mut numbers = Numbers(3);
    for round in 0..count(4) {
        let output = world.path(&format!("m{round}"));
        let mut interrupted = 0;
        loop {
            let stop = Stop::new();
            let left = AtomicU64::new(1 + numbers.below(150));
            let monitor = Arc::new(StopAfter { left, stop: stop.clone() });
            let settings = Settings { concurrency: Some(3), ..Settings::open(world.path("state")) };
            let engine = Engine::new(settings, monitor, stop);
            let options = manifest::Options { base: None, output: output.clone(), force: false };
            match manifest::of_snapshot(&id, &options, &world.services, &engine).await {
                Ok(_) => break,
                Err(fault) => assert!(matches!(fault.kind, Kind::Suspended | Kind::Interrupted), "{fault}"),
            }
            assert!(!output.exists(), "nothing half-done under the final name");
            interrupted += 1;
            if interrupted == 3 {
                let engine = world.engine();
                let report = manifest::of_snapshot(&id, &options, &world.services, &engine).await.unwrap();
                assert!(report.blocks_resumed > 0);
                break;
            }
        }
        assert!(bytes(&output) == bytes(&whole), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_does_not_lead_to_the_snapshot_is_of_no_use() {
    let world = World::new();
    let id = world.snapshot(None, &[(0, 1), (9, 1)]);
    let stranger = world.snapshot(None, &[(0, 2), (10, 1)]);
    let (base, _) = world.manifest_of(&stranger, None, "stranger").await;
    let (fresh, _) = world.manifest_of(&id, None, "fresh").await;
    let (upon, report) = world.manifest_of(&id, Some(&base), "upon").await;
    assert!(bytes(&fresh) == bytes(&upon));
    assert_eq!((report.base, report.blocks_read), (None, 2), "not of one lineage: all is read");

    let image = world.image("image", &[(0, 1)]);
    let output = world.path("of-image");
    let options = manifest::Options { base: None, output: output.clone(), force: false };
    let _ = manifest::of_image(&image, &options, &world.engine()).await.unwrap();
    let options = manifest::Options { base: Some(output), output: world.path("x"), force: false };
    let fault = manifest::of_snapshot(&id, &options, &world.services, &world.engine()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Unsuitable);
    let taken = manifest::Options { base: None, output: fresh.clone(), force: false };
    let fault = manifest::of_snapshot(&id, &taken, &world.services, &world.engine()).await.unwrap_err();
    assert!(fault.to_string().ends_with("the file exists already"), "{fault}");
}

/// A frozen manifest of one volume, as the repository keeps it.
fn frozen(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/manifests").join(name)
}

/// The volume of the frozen manifests: block and version of its content.
const FROZEN: [(u32, u64); 4] = [(0, 1), (1, 2), (7, 0), (2047, 3)];

fn is_as_frozen(manifest: &Manifest, id: &SnapshotId) {
    assert_eq!(manifest.about().snapshot_id.as_ref(), Some(id));
    for (index, version) in FROZEN {
        assert_eq!(manifest.digest(at(index)).unwrap(), Some(digest(index, version)));
    }
    assert_eq!(manifest.digest(at(2)).unwrap(), None);
}

/// What format 1 says of one volume, for ever.
#[tokio::test(flavor = "multi_thread")]
async fn format_1_reads_as_it_was_frozen_and_leaves_absent_blocks_unverifiable() {
    let world = World::new();
    let id = world.snapshot(None, &FROZEN);
    let manifest = Manifest::open(&frozen("v1.manifest")).unwrap();
    is_as_frozen(&manifest, &id);
    assert_eq!((manifest.format(), manifest.about().is_encrypted), (1, None));
    let image = world.image("image", &FROZEN);
    let report = offline(&world, &frozen("v1.manifest"), &image).await;
    assert_eq!((report.state(), report.coverage.unverifiable), (State::Pass, 2044));
    let disclaimers = report.disclaimers().join(" ");
    assert!(disclaimers.contains("format 1, which does not say whether"), "{disclaimers}");
}

/// What format 2 says of the same volume, for ever.
#[tokio::test(flavor = "multi_thread")]
async fn format_2_reads_and_writes_as_it_was_frozen() {
    let world = World::new();
    let id = world.snapshot(None, &FROZEN);
    for (name, is_encrypted) in [
        ("v2-unknown.manifest", None),
        ("v2-plain.manifest", Some(false)),
        ("v2-encrypted.manifest", Some(true)),
    ] {
        let written = world.manifest_saying(&id, &FROZEN, is_encrypted, name);
        #[expect(clippy::disallowed_methods, reason = "how golden files are refreshed")]
        if std::env::var_os("ICECORE_BLESS").is_some() && !frozen(name).exists() {
            std::fs::copy(&written, frozen(name)).unwrap();
        }
        assert!(bytes(&frozen(name)) == bytes(&written), "{name}");
        let manifest = Manifest::open(&frozen(name)).unwrap();
        is_as_frozen(&manifest, &id);
        assert_eq!((manifest.format(), manifest.about().is_encrypted), (2, is_encrypted));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_keeps_what_the_account_says_about_encryption() {
    let world = World::new();
    let id = world.snapshot(None, &FROZEN);
    for is_encrypted in [Some(false), Some(true), None] {
        let info = |encrypted| SnapshotInfo { id: id.clone(), encrypted, ..crate::golden::info(1) };
        let services = Services {
            snapshots: is_encrypted.map(|encrypted| {
                let account = MemorySnapshots::new(vec![info(encrypted)]);
                Arc::new(account) as Arc<dyn icecore::control::Snapshots>
            }),
            ..world.services.clone()
        };
        let output = world.path("m");
        let options = manifest::Options { base: None, output: output.clone(), force: true };
        let report = manifest::of_snapshot(&id, &options, &services, &world.engine()).await.unwrap();
        assert_eq!(report.is_encrypted, is_encrypted);
        assert_eq!(Manifest::open(&output).unwrap().about().is_encrypted, is_encrypted);
    }
}

/// Holds an image against a manifest with no account to ask.
async fn offline(world: &World, manifest: &Path, image: &Path) -> verify::Report {
    let options = Options {
        against: Against::Image(image.to_owned()),
        ..Options::of(What::Manifest(manifest.to_owned()))
    };
    verify::run(&options, None, &world.engine()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_blocks_are_judged_offline_where_the_manifest_says_that_nothing_was_encrypted() {
    let world = World::new();
    let _ = world.snapshot(None, &FROZEN);
    let right = world.image("right", &FROZEN);
    let dirty = world.image("dirty", &[&FROZEN[..], &[(5, 9)]].concat());
    for (name, of_right, of_dirty, unverifiable) in [
        ("v2-plain.manifest", State::Pass, State::Fail, 0),
        ("v2-encrypted.manifest", State::Pass, State::Pass, 2044),
        ("v2-unknown.manifest", State::Pass, State::Pass, 2044),
        ("v1.manifest", State::Pass, State::Pass, 2044),
    ] {
        let report = offline(&world, &frozen(name), &right).await;
        assert_eq!((report.state(), report.coverage.unverifiable), (of_right, unverifiable), "{name}");
        let report = offline(&world, &frozen(name), &dirty).await;
        assert_eq!((report.state(), report.coverage.unverifiable), (of_dirty, unverifiable), "{name}");
        let wrong: Vec<_> = report.mismatches.iter().map(|found| found.unwrap().class).collect();
        let expected = if of_dirty == State::Fail { vec![verify::Class::Unexpected] } else { vec![] };
        assert_eq!(wrong, expected, "{name}");
    }
    let said = Options {
        against: Against::Image(dirty),
        is_unencrypted: true,
        ..Options::of(What::Manifest(frozen("v2-unknown.manifest")))
    };
    let report = verify::run(&said, None, &world.engine()).await.unwrap();
    assert_eq!(report.state(), State::Fail, "--unencrypted says what the manifest does not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_another_run_is_writing_is_left_to_it() {
    let world = World::new();
    let id = world.snapshot(None, &[(0, 1), (900, 2)]);
    let image = world.image("image", &[(0, 1), (900, 2)]);
    let output = world.path("m");
    let options = manifest::Options { base: None, output: output.clone(), force: true };
    let disk: Arc<dyn icecore::disk::Disk> = Arc::new(icecore::disk::RealDisk::default());
    let refused = |fault: icecore::fault::Fault| {
        assert_eq!(fault.kind, Kind::Unsuitable);
        assert!(fault.to_string().ends_with("another run is writing it"), "{fault}");
        assert!(fault.advice().unwrap().contains("wait"), "{fault:?}");
    };
    let held = disk.claim(&world.path("m.icecore-part"), icecore::disk::Access::Owner).unwrap().unwrap();
    held.write_at(b"half of it", 0).unwrap();
    refused(manifest::of_snapshot(&id, &options, &world.services, &world.engine()).await.unwrap_err());
    refused(manifest::of_image(&image, &options, &world.engine()).await.unwrap_err());
    assert_eq!(bytes(&world.path("m.icecore-part")), b"half of it");
    drop(held);
    let held = disk.claim(&world.path("m.icecore-digests"), icecore::disk::Access::Owner).unwrap().unwrap();
    refused(manifest::of_image(&image, &options, &world.engine()).await.unwrap_err());
    drop(held);
    let of_image = manifest::of_image(&image, &options, &world.engine()).await.unwrap();
    let of_snapshot = manifest::of_snapshot(&id, &options, &world.services, &world.engine()).await.unwrap();
    assert_eq!(of_image.roots.content, of_snapshot.roots.content);
    let left: Vec<_> =
        std::fs::read_dir(world.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("icecore-")), "{left:?}");
}

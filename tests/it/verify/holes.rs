//! Sparse images: a hole is judged as the zeros that it holds, in time that follows from the extents and not its size.

use super::*;
use crate::lab;
use icecore::block::{BlockRange, ByteSize, Geometry};
use icecore::disk::faulty::{Act, Faulty};
use icecore::disk::{Disk, RealDisk};
use icecore::manifest::{About, write};
use icecore::ops::import;
use icecore::ops::verify::{Class, State};
use std::sync::atomic::{AtomicU64, Ordering};

const TIB_15: u64 = 15 << 40;
/// Blocks of 15 TiB.
const BLOCKS_15_TIB: u32 = 31_457_280;
const DATA: [u32; 3] = [0, 20_000_000, BLOCKS_15_TIB - 1];

/// An image of 15 TiB with three blocks of data; `None` on a file system that has no such files.
fn enormous(world: &World) -> Option<PathBuf> {
    let path = world.path("enormous.img");
    let file = File::create(&path).unwrap();
    file.set_len(TIB_15).ok()?;
    for index in DATA {
        file.write_all_at(&content(index, 1), u64::from(index) * BLOCK as u64).unwrap();
    }
    Some(path)
}

/// An engine that counts how often a file of this name is read or asked for its holes.
fn counting(world: &World, name: &'static str) -> (Engine, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let disk = Faulty::new(Arc::new(RealDisk::default()), move |act, path| {
        let is_counted = act == Act::Read && path.file_name().is_some_and(|file| file == name);
        counted.fetch_add(u64::from(is_counted), Ordering::Relaxed);
        Ok(())
    });
    (world.engine().on_disk(Arc::new(disk)), calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn fifteen_tebibytes_of_holes_cost_a_manifest_and_a_verification_a_few_calls() {
    let world = World::new();
    let Some(image) = enormous(&world) else { return };
    let (engine, calls) = counting(&world, "enormous.img");
    let output = world.path("m");
    let options = manifest::Options { base: None, output: output.clone(), force: false };
    let made = manifest::of_image(&image, &options, &engine).await.unwrap();
    assert_eq!((made.blocks, made.blocks_read), (3, u64::from(BLOCKS_15_TIB)));
    let n_calls = calls.swap(0, Ordering::Relaxed);
    // Two questions an extent, each block once, and what kind of file it is, by its first and last bytes.
    assert!(n_calls <= 2 * 3 + 3 + 8, "{n_calls} calls for the manifest");

    let held = Options { against: Against::Image(image), ..Options::of(What::Manifest(output)) };
    let report = verify::run(&held, None, &engine).await.unwrap();
    assert_eq!(report.state(), State::Pass);
    assert_eq!((report.coverage.total, report.coverage.read), (31_457_280, 31_457_280));
    // The same, and what looking for file systems takes: a look at some places of the three blocks.
    let n_calls = calls.load(Ordering::Relaxed);
    assert!(n_calls <= 2 * 3 + 3 + 8 + 64, "{n_calls} calls for the verification");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_omits_zeros_asks_for_extents_and_not_for_blocks() {
    let world = World::new();
    let Some(image) = enormous(&world) else { return };
    let (engine, calls) = counting(&world, "enormous.img");
    let options = import::Options { omit_zero_blocks: true, ..lab::options(&image, None) };
    let report = import::run(&options, &world.services, &engine).await.unwrap();
    assert_eq!((report.blocks_written, report.blocks_omitted), (3, u64::from(BLOCKS_15_TIB) - 3));
    let n_calls = calls.load(Ordering::Relaxed);
    assert!(n_calls <= 2 * 3 + 3 + 8, "{n_calls} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_over_a_parents_blocks_are_sent_as_zeros_and_the_others_left_out() {
    let world = World::new();
    let parent = world.snapshot(None, &[(1, 1), (5, 1), (9, 0)]);
    let image = world.image("image", &[(1, 1), (7, 2)]);
    let options = import::Options { omit_zero_blocks: true, ..lab::options(&image, Some(&parent)) };
    let report = import::run(&options, &world.services, &world.engine()).await.unwrap();
    // 1 and 9 are the parent's, 5 has become zeros, 7 is new.
    assert_eq!((report.blocks_inherited, report.blocks_written, report.zero_blocks_written), (2, 2, 1));
    assert_eq!(report.blocks_omitted, 2048 - 4);
    let restored = world.verify(&restored(&report.snapshot_id, &image)).await;
    assert_eq!((restored.state(), restored.coverage.read), (State::Pass, 2048));
}

/// A manifest of a volume of 1 GiB in which these blocks have these contents.
fn listed_as(world: &World, blocks: &[(u32, u64)]) -> PathBuf {
    let path = world.path("listed");
    let about = About {
        snapshot_id: Some("snap-0123456789abcdef0".parse().unwrap()),
        geometry: Geometry::ebs(GiB::try_from(1).unwrap()),
        size: ByteSize::from_mib(1024),
        is_encrypted: None,
    };
    let present = set(blocks.iter().map(|(index, _)| *index));
    let version = |index: BlockIndex| blocks.iter().find(|(of, _)| *of == index.get()).unwrap().1;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
    write(disk.as_ref(), &path, &about, &present, |index| Ok(digest(index.get(), version(index)))).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_is_right_for_zeros_and_for_nothing_and_wrong_for_data() {
    let world = World::new();
    // Zeros that are listed, data that is lost, and data that is there.
    let truth = listed_as(&world, &[(3, 0), (4, 1), (5, 1), (1000, 1), (1001, 0)]);
    let image = world.image("image", &[(5, 1)]);
    let options = Options {
        against: Against::Image(image.clone()),
        is_unencrypted: true,
        ..Options::of(What::Manifest(truth))
    };
    let found = |report: &Report| -> Vec<_> {
        listed(report).iter().map(|m| (m.index.get(), m.class.clone(), m.is_persistent)).collect()
    };
    let report = world.verify(&options).await;
    assert_eq!(
        found(&report),
        [(4, Class::Zeros, Some(true)), (1000, Class::Zeros, Some(true))],
        "each is looked at twice"
    );
    assert_eq!((report.state(), report.coverage.read), (State::Fail, 2048));
    // Beyond the end there is no block at all.
    File::options().write(true).open(&image).unwrap().set_len(999 * BLOCK as u64 + 1).unwrap();
    let report = world.verify(&options).await;
    assert_eq!(found(&report)[1], (1000, Class::Missing, Some(true)));
    assert_eq!(report.coverage.read, 2048);
    // Where an absent block may be anything, nothing but what is listed is spoken of.
    let report = world.verify(&Options { is_unencrypted: false, pads: true, ..options }).await;
    assert_eq!((report.coverage.total, report.coverage.read, found(&report).len()), (5, 5, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_image_and_its_dense_copy_get_the_same_verdicts() {
    let world = World::new();
    let mut numbers = Numbers(19);
    for round in 0..count(5) {
        let mut some = |below: u64| -> Vec<(u32, u64)> {
            let chosen = (0..numbers.below(12))
                .map(|_| (u32::try_from(numbers.below(below)).unwrap(), numbers.below(3)));
            chosen.collect::<std::collections::BTreeMap<_, _>>().into_iter().collect()
        };
        let (truth, holds) = (some(80), some(64));
        let truth = listed_as(&world, &truth);
        let sparse = world.image("sparse", &holds);
        File::options().write(true).open(&sparse).unwrap().set_len(64 * BLOCK as u64).unwrap();
        let dense = world.path("dense");
        std::fs::write(&dense, std::fs::read(&sparse).unwrap()).unwrap();
        for pads in [false, true] {
            let verdicts = async |image: &Path| {
                let options = Options {
                    against: Against::Image(image.to_owned()),
                    is_unencrypted: true,
                    pads,
                    ..Options::of(What::Manifest(truth.clone()))
                };
                let report = world.verify(&options).await;
                let found: Vec<_> =
                    listed(&report).iter().map(|m| (m.index, m.class.clone(), m.actual)).collect();
                (report.state(), report.coverage.read, found)
            };
            assert_eq!(verdicts(&sparse).await, verdicts(&dense).await, "round {round}, pads {pads}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshots_absent_blocks_are_found_in_the_holes_of_its_restore() {
    let world = World::new();
    let id = world.snapshot(None, &[(0, 1), (9, 0)]);
    let image = world.image("image", &[(0, 1), (700, 2)]);
    let report = world.verify(&restored(&id, &image)).await;
    assert_eq!((report.state(), indexes(&report.mismatches)), (State::Fail, vec![700]));
    let absent = BlockSet::from(BlockRange::new(at(0), 2048)).len() - 2;
    assert_eq!(report.coverage.read, absent + 2, "holes count as read");
}

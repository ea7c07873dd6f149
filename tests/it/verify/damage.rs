//! Damage of every kind, found and classed.

use super::*;
use icecore::block::BlockSize;
use icecore::ops::verify::{Class, Level, State};
use std::fs::OpenOptions;

const BLOCKS: [(u32, u64); 6] = [(0, 1), (1, 1), (2, 1), (900, 1), (1000, 0), (2047, 1)];

fn rewrite(image: &Path, index: u32, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(image).unwrap();
    file.write_all_at(bytes, u64::from(index) * BLOCK as u64).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flipped_bit_is_found_with_exactly_its_block() {
    let world = World::new();
    let mut numbers = Numbers(11);
    let blocks: Vec<_> = (0..64).map(|n| (n * 31, 1)).collect();
    let id = world.snapshot(None, &blocks);
    let image = world.image("image", &blocks);
    let (manifest, _) = world.manifest_of(&id, None, "m").await;
    let mut left = count(200);
    while left > 0 {
        // A few at once: half of them where the snapshot has data, the others where it has none.
        let flipped: BlockSet = (0..1 + numbers.below(40).min(left - 1))
            .map(|n| {
                if n % 2 == 0 {
                    at(u32::try_from(numbers.below(64)).unwrap() * 31)
                } else {
                    at(numbers.index())
                }
            })
            .collect();
        left = left.saturating_sub(flipped.len());
        let file = OpenOptions::new().read(true).write(true).open(&image).unwrap();
        let flips: Vec<_> = flipped
            .iter()
            .map(|index| {
                (index.byte_offset(BlockSize::EBS) + numbers.below(BLOCK as u64), 1 << numbers.below(8))
            })
            .collect();
        let flip = || {
            for (offset, bit) in &flips {
                let mut byte = [0_u8];
                file.read_exact_at(&mut byte, *offset).unwrap();
                file.write_all_at(&[byte[0] ^ bit], *offset).unwrap();
            }
        };
        flip();
        let by_manifest = Options { what: What::Manifest(manifest.clone()), ..restored(&id, &image) };
        let report = world.verify(&by_manifest).await;
        assert_eq!((report.state(), report.wrong()), (State::Fail, &flipped), "by manifest");
        if left.is_multiple_of(8) {
            let report = world.verify(&restored(&id, &image)).await;
            assert_eq!((report.state(), report.wrong()), (State::Fail, &flipped), "by the snapshot");
        }
        flip();
    }
    assert_eq!(world.verify(&restored(&id, &image)).await.state(), State::Pass);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_damage_has_its_class() {
    let world = World::new();
    let old = world.snapshot(None, &[(0, 7), (900, 8), (1500, 9)]);
    let id = world.snapshot(None, &BLOCKS);
    let (older, _) = world.manifest_of(&old, None, "old").await;
    let image = world.image("image", &BLOCKS);
    for (index, bytes) in [
        (0, content(0, 7)),
        (1, content(2, 1)),
        (2, content(1, 1)),
        (900, content(900, 0)),
        (1000, content(1000, 3)),
        (1200, content(1200, 4)),
        (1500, content(1500, 9)),
        (2047, content(2047, 5)),
    ] {
        rewrite(&image, index, &bytes);
    }
    let (manifest, _) = world.manifest_of(&id, None, "m").await;
    let by_snapshot = Options { older: vec![older], ..restored(&id, &image) };
    let by_manifest = Options { what: What::Manifest(manifest), ..by_snapshot.clone() };
    for options in [by_snapshot, by_manifest] {
        let report = world.verify(&options).await;
        let found: Vec<_> = listed(&report).iter().map(|m| (m.index.get(), m.class.clone())).collect();
        assert_eq!(
            found,
            [
                (0, Class::Stale),
                (1, Class::Misdirected(at(2))),
                (2, Class::Misdirected(at(1))),
                (900, Class::Zeros),
                (1000, Class::Content),
                (1200, Class::Unexpected),
                (1500, Class::Stale),
                (2047, Class::Content),
            ]
        );
        let all = listed(&report);
        assert!(all.iter().all(|m| m.is_persistent == Some(true) && !m.is_explained));
        let last = &all[7];
        assert_eq!((last.expected, last.actual), (Some(digest(2047, 1)), Some(digest(2047, 5))));
        assert_eq!((report.level, report.coverage.read), (Level::Restored, 2048));
        assert_eq!(report.upper_bound_95, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_compared_block_by_block_also_with_a_stranger() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let same = world.snapshot(None, &BLOCKS);
    let other = world.snapshot(None, &[(0, 1), (1, 2), (900, 1), (1000, 0), (2047, 1), (5, 5)]);
    let against = |other: &SnapshotId| Options {
        against: Against::Snapshot {
            snapshot_id: other.clone(),
            services: services(&world.memory, "elsewhere"),
            engine: Box::new(world.engine()),
        },
        ..snapshot(&id)
    };
    let report = world.verify(&against(&same)).await;
    assert_eq!((report.state(), report.level, report.coverage.read), (State::Pass, Level::Content, 6));
    assert_eq!(report.requests.get, 12, "each block once on each side");
    assert_eq!(report.target.unwrap().place.as_deref(), Some("elsewhere"));
    let report = world.verify(&against(&other)).await;
    let found: Vec<_> = listed(&report).iter().map(|m| (m.index.get(), m.class.clone())).collect();
    assert_eq!(found, [(1, Class::Content), (2, Class::Missing), (5, Class::Unexpected)]);
    assert_eq!(report.state(), State::Fail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_the_snapshot_lost_is_missing_and_one_it_gained_unexpected() {
    let world = World::new();
    let whole = world.snapshot(None, &BLOCKS);
    let (manifest, _) = world.manifest_of(&whole, None, "m").await;
    let lost = world.snapshot(None, &[(0, 1), (1, 1), (2, 1), (1000, 0), (1001, 1), (2047, 1)]);
    let report = world.verify(&Options { manifest: Some(manifest), ..snapshot(&lost) }).await;
    let found: Vec<_> = listed(&report).iter().map(|m| (m.index.get(), m.class.clone())).collect();
    assert_eq!(found, [(900, Class::Missing), (1001, Class::Unexpected)]);
    assert_eq!(report.state(), State::Fail);
}

#[tokio::test(flavor = "multi_thread")]
async fn zeros_and_absent_blocks_are_alike_only_where_zeros_are_known() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    // Block 1000 is present as zeros and a hole here; block 1200 is absent and has rubbish, as on an encrypted volume.
    let image = world.image("image", &BLOCKS);
    rewrite(&image, 1200, &content(1200, 9));
    let known = world.verify(&restored(&id, &image)).await;
    assert_eq!((known.state(), indexes(&known.mismatches)), (State::Fail, vec![1200]));
    let unknown = world.verify(&Options { is_unencrypted: false, ..restored(&id, &image) }).await;
    assert_eq!(
        (unknown.state(), unknown.coverage.total, unknown.coverage.unverifiable),
        (State::Pass, 6, 2042)
    );
    assert!(unknown.disclaimers().iter().any(|sentence| sentence.starts_with("2042 blocks")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_too_short_never_passes() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS[..5]);
    let (manifest, _) = world.manifest_of(&id, None, "m").await;
    for cut in [1, BLOCK as u64, 1 << 29] {
        let image = world.image("image", &BLOCKS[..5]);
        OpenOptions::new().write(true).open(&image).unwrap().set_len((1 << 30) - cut).unwrap();
        let options = restored(&id, &image);
        for options in [options.clone(), Options { what: What::Manifest(manifest.clone()), ..options }] {
            let report = world.verify(&options).await;
            assert_eq!(report.state(), State::Fail, "cut off by {cut}");
            assert_eq!(report.target.unwrap().short_by.bytes(), cut);
        }
        let padded = world.verify(&Options { pads: true, ..restored(&id, &image) }).await;
        assert_eq!(padded.state(), State::Pass, "zeros were meant, and zeros are what is missing");
    }
    let image = world.image("image", &BLOCKS[..5]);
    OpenOptions::new().write(true).open(&image).unwrap().set_len(900 * BLOCK as u64).unwrap();
    let report = world.verify(&restored(&id, &image)).await;
    let missing = listed(&report).into_iter().find(|m| m.index == at(900)).unwrap();
    assert_eq!((missing.class.clone(), missing.actual), (Class::Missing, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_beyond_the_volume_is_told_apart() {
    let world = World::new();
    let id = world.snapshot(None, &BLOCKS);
    let image = world.image("image", &BLOCKS);
    OpenOptions::new().write(true).open(&image).unwrap().write_all_at(b"more", (1 << 30) + 100).unwrap();
    let report = world.verify(&restored(&id, &image)).await;
    assert_eq!((report.state(), report.target.unwrap().tail.bytes()), (State::Pass, 104));
}

/// A superblock of ext4 over the first 256 MiB, mounted and written at these seconds.
fn superblock(mut block: Vec<u8>, mounted: u32, written: u32) -> Vec<u8> {
    let mut put = |at: usize, bytes: &[u8]| block[1024 + at..1024 + at + bytes.len()].copy_from_slice(bytes);
    put(0x4, &65_536_u32.to_le_bytes());
    put(0x18, &2_u32.to_le_bytes());
    put(0x2c, &mounted.to_le_bytes());
    put(0x30, &written.to_le_bytes());
    put(0x38, &0xef53_u16.to_le_bytes());
    put(0x60, &[0; 4]);
    put(0x68, b"one file system.");
    block
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_explains_changes_inside_its_file_system_and_nothing_else() {
    let world = World::new();
    let fs = |mounted| Bytes::from(superblock(content(0, 1).to_vec(), mounted, mounted));
    let blocks = [
        Block::hashed(at(0), fs(100)),
        Block::hashed(at(9), content(9, 1)),
        Block::hashed(at(600), content(600, 1)),
    ];
    let id = world.memory.add(GiB::try_from(1).unwrap(), None, blocks);
    let image = world.image("image", &[(9, 1), (600, 1)]);
    rewrite(&image, 0, &fs(100));
    assert_eq!(world.verify(&restored(&id, &image)).await.state(), State::Pass);

    rewrite(&image, 9, &content(9, 2));
    let report = world.verify(&restored(&id, &image)).await;
    assert_eq!(report.state(), State::Fail, "nobody mounted it: it is damaged");

    rewrite(&image, 0, &fs(200));
    let report = world.verify(&restored(&id, &image)).await;
    assert_eq!((report.state(), indexes(&report.mismatches)), (State::ChangedSinceRestore, vec![0, 9]));
    assert!(listed(&report).iter().all(|mismatch| mismatch.is_explained));

    for (restored_at, state) in [(150, State::ChangedSinceRestore), (250, State::Fail)] {
        let restored_at = Some(icecore::snapshot::UnixMillis(restored_at * 1000));
        let report = world.verify(&Options { restored_at, ..restored(&id, &image) }).await;
        assert_eq!(
            report.state(),
            state,
            "mounted before {restored_at:?}, it is the restore of something else"
        );
    }

    // Without the snapshot the time of the restore is what tells.
    let (manifest, _) = world.manifest_of(&id, None, "m").await;
    let by_manifest = Options { what: What::Manifest(manifest), ..restored(&id, &image) };
    assert_eq!(world.verify(&by_manifest).await.state(), State::Fail, "nobody knows when it was restored");
    for (restored_at, state) in [(150, State::ChangedSinceRestore), (250, State::Fail)] {
        let restored_at = Some(icecore::snapshot::UnixMillis(restored_at * 1000));
        let report = world.verify(&Options { restored_at, ..by_manifest.clone() }).await;
        assert_eq!(report.state(), state, "{restored_at:?}");
    }

    rewrite(&image, 600, &content(600, 2));
    let report = world.verify(&restored(&id, &image)).await;
    assert_eq!(report.state(), State::Fail, "block 600 is no block of the file system");
}

//! The rungs of the ladder that read no block, and the one that looks at file systems.

use super::*;
use icecore::fault::Kind;
use icecore::ops::verify::{Level, State};

fn at_level(level: Level, options: Options) -> Options {
    Options { level: Some(level), ..options }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_map_is_looked_at_without_reading_a_block() {
    let world = World::new();
    let id = world.snapshot(None, &[(0, 1), (7, 0), (900, 1)]);
    let engine = world.engine();
    let report =
        verify::run(&at_level(Level::BlockMap, snapshot(&id)), Some(&world.services), &engine).await.unwrap();
    assert_eq!((report.state(), report.level, engine.requests().get), (State::Pass, Level::BlockMap, 0));
    assert_eq!((report.coverage.total, report.coverage.read, report.coverage.ratio()), (3, 0, 0.0));
    assert_eq!(
        (report.upper_bound_95, report.content_root, report.mode_name()),
        (None, None, "none".to_owned())
    );
    assert!(report.disclaimers()[1].contains("held against nothing"), "{:?}", report.disclaimers());
    // Nothing of its data was looked at, and so nothing is remembered of it.
    assert!(!world.path("state/ledger").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_does_not_fit_what_is_given_is_refused() {
    let world = World::new();
    let id = world.snapshot(None, &[(0, 1)]);
    let image = world.image("image", &[(0, 1)]);
    let sampled = Options { sample: Some("99%/1%".parse().unwrap()), ..snapshot(&id) };
    for (level, options, said) in [
        (Level::BlockMap, restored(&id, &image), "read no block"),
        (Level::Inventory, sampled, "read no block"),
        (Level::FileSystem, snapshot(&id), "file systems of a restored volume"),
        (Level::Content, snapshot(&id), "verified at L2, not L3"),
        (Level::Inventory, snapshot(&id), "nobody here tells in what state it is"),
    ] {
        let options = at_level(level, options);
        let fault = verify::run(&options, Some(&world.services), &world.engine()).await.unwrap_err();
        assert!(fault.to_string().contains(said), "{fault}");
        assert!(
            matches!(fault.kind, Kind::Unsuitable | Kind::Refused) && fault.advice().is_some(),
            "{fault:?}"
        );
    }
    let usual = at_level(Level::Restored, restored(&id, &image));
    assert_eq!(world.verify(&usual).await.state(), State::Pass);
}

/// A superblock of ext4 that says whether there is something left to do.
fn superblock(is_clean: bool) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[1024 + at..1024 + at + bytes.len()].copy_from_slice(bytes);
    put(0x4, &65_536_u32.to_le_bytes());
    put(0x18, &2_u32.to_le_bytes());
    put(0x38, &0xef53_u16.to_le_bytes());
    put(0x3a, &1_u16.to_le_bytes());
    put(0x60, &[if is_clean { 0 } else { 4 }]);
    block
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_right_passes_with_a_clean_file_system_and_no_other() {
    for (first, state, said) in [
        (superblock(true), State::Pass, "the rest of the file system"),
        (superblock(false), State::Fail, "has to be replayed"),
        (vec![7; BLOCK], State::Incomplete, "No file system of a known kind"),
    ] {
        let world = World::new();
        let blocks = [Block::hashed(at(0), first.clone().into()), Block::hashed(at(9), content(9, 1))];
        let id = world.memory.add(GiB::try_from(1).unwrap(), None, blocks);
        let image = world.image("image", &[(9, 1)]);
        File::options().write(true).open(&image).unwrap().write_all_at(&first, 0).unwrap();
        let report = world.verify(&at_level(Level::FileSystem, restored(&id, &image))).await;
        assert_eq!((report.state(), report.level), (state, Level::FileSystem), "{said}");
        assert!(report.disclaimers().iter().any(|sentence| sentence.contains(said)), "{said}");
        assert_eq!(world.verify(&restored(&id, &image)).await.state(), State::Pass, "L4 asks for less");
    }
}

/// A frozen disk of `fixtures/disks` as a snapshot of 1 GiB, and restored to a file.
fn restored_disk(world: &World, name: &str) -> (icecore::snapshot::SnapshotId, PathBuf) {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/disks/{name}.zst"));
    let path = world.path(&format!("{name}.img"));
    icecore::device::unpack(&std::fs::read(packed).unwrap(), &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let blocks = (0..).zip(bytes.chunks(BLOCK)).filter(|(_, block)| block.iter().any(|byte| *byte != 0));
    let blocks: Vec<_> = blocks
        .map(|(index, block)| {
            let mut block = block.to_vec();
            block.resize(BLOCK, 0);
            Block::hashed(at(index), block.into())
        })
        .collect();
    let id = world.memory.add(GiB::try_from(1).unwrap(), None, blocks);
    File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    (id, path)
}

fn at_level_5(id: &icecore::snapshot::SnapshotId, path: &Path, allowed: &[&str]) -> Options {
    let allow_unchecked = allowed.iter().map(|name| name.parse().unwrap()).collect();
    Options { allow_unchecked, ..at_level(Level::FileSystem, restored(id, path)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn level_5_passes_what_is_clean_fails_what_is_not_and_does_not_pass_what_it_cannot_judge() {
    for (name, allowed, state, said) in [
        ("ext4", &[][..], State::Pass, ""),
        (
            "ext4-errors",
            &[],
            State::Fail,
            "Whole disk (ext4, root): not clean: it is marked as having errors",
        ),
        ("ext4-error-count", &[], State::Fail, "it has recorded 1 errors"),
        ("mbr-logical", &[], State::Fail, "Partition 5 (ext4, root): not clean"),
        ("mbr-logical", &["5"], State::Fail, "Partition 5 (ext4, root): not clean"),
        ("mbr-over-ext4", &[], State::Fail, "Partition 1 (ext4, root): not clean"),
        (
            "mbr-beside",
            &[],
            State::Incomplete,
            "Partition 2 (LVM physical volume, data): not looked at: the logical",
        ),
        ("mbr-beside", &["2"], State::Incomplete, "Partition 3 (LUKS"),
        ("mbr-beside", &["2", "3"], State::Pass, "not looked at, as --allow-unchecked says: it is encrypted"),
        ("btrfs", &[], State::Incomplete, "the trees of btrfs are not examined"),
        ("btrfs", &["disk"], State::Pass, "as --allow-unchecked says"),
        ("swap", &[], State::Incomplete, "No file system of a known kind"),
        ("gpt", &[], State::Pass, ""),
        ("gpt-primary-damaged", &[], State::Pass, "its backup was used"),
        ("gpt-both-damaged", &[], State::Incomplete, "and so is the table's backup"),
        ("fat32", &[], State::Pass, ""),
    ] {
        let world = World::new();
        let (id, path) = restored_disk(&world, name);
        let report = world.verify(&at_level_5(&id, &path, allowed)).await;
        let disclaimers = report.disclaimers().join("\n");
        assert_eq!(report.state(), state, "{name} {allowed:?}: {disclaimers}");
        assert!(disclaimers.contains(said), "{name} {allowed:?}: {disclaimers}");
        assert_eq!(world.verify(&restored(&id, &path)).await.state(), State::Pass, "L4 asks for less");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_partitions_answer_which_file_system_was_used_since_the_restore() {
    let world = World::new();
    let (id, path) = restored_disk(&world, "mbr-logical");
    // The logical file system is mounted: its journal is replayed, its times and counts change.
    let start = 22_528 * 512 + 1024;
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&2_000_000_000_u32.to_le_bytes(), start + 0x2c).unwrap();
    let report = world.verify(&restored(&id, &path)).await;
    assert_eq!(report.state(), State::ChangedSinceRestore, "{:?}", report.mismatches);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_not_there_cannot_be_allowed_and_nothing_can_below_level_5() {
    let world = World::new();
    let (id, path) = restored_disk(&world, "mbr-beside");
    for (options, said) in [
        (at_level_5(&id, &path, &["7"]), "--allow-unchecked 7 names nothing on it; there is 1, 2, 3"),
        (at_level_5(&id, &path, &["disk"]), "--allow-unchecked disk names nothing on it"),
        (Options { level: None, ..at_level_5(&id, &path, &["2"]) }, "the partitions that level 5 looks at"),
    ] {
        let fault = verify::run(&options, Some(&world.services), &world.engine()).await.unwrap_err();
        assert_eq!(fault.kind, Kind::Unsuitable, "{fault}");
        assert!(fault.to_string().contains(said), "{fault}");
    }
}

/// A volume that ends early and is padded is judged as the whole volume would be.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_padded_is_looked_at_as_a_whole_volume() {
    let world = World::new();
    let (id, path) = restored_disk(&world, "ext4");
    File::options().write(true).open(&path).unwrap().set_len((8 << 20) - 65_536).unwrap();
    let report = world.verify(&at_level_5(&id, &path, &[])).await;
    assert_eq!(report.state(), State::Fail, "it ends before its file system does");
    let padded = Options { pads: true, ..at_level_5(&id, &path, &[]) };
    assert_eq!(world.verify(&padded).await.state(), State::Pass);
}

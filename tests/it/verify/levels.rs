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
        (superblock(false), State::Fail, "still to be done"),
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

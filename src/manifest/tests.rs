//! Manifests written and read again, whole, torn and altered.

use super::*;
use crate::block::{BlockIndex, BlockRange, BlockSet, Digest, GiB};
use crate::disk::{Disk, RealDisk};
use crate::fault::Kind;
use crate::source::BlockSink;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn real() -> Arc<dyn Disk> {
    Arc::new(RealDisk::default())
}

fn about(gib: i64, id: Option<&str>) -> About {
    let geometry = Geometry::ebs(GiB::try_from(gib).unwrap());
    About {
        snapshot_id: id.map(|id| id.parse().unwrap()),
        geometry,
        size: geometry.size(),
        is_encrypted: id.map(|id| id.ends_with('f')),
    }
}

fn digest(index: BlockIndex) -> Digest {
    if index.get() % 7 == 3 { Digest::ZERO_BLOCK } else { Digest::of(&index.get().to_le_bytes()) }
}

fn written(dir: &Path, about: &About, present: &BlockSet) -> (PathBuf, Roots) {
    let path = dir.join("a.manifest");
    let roots = write(real().as_ref(), &path, about, present, |index| Ok(digest(index))).unwrap();
    (path, roots)
}

fn some() -> BlockSet {
    let mut set: BlockSet = [0, 1, 2, 7, 8, 2047, 2048, 9_000].into_iter().map(BlockIndex::new).collect();
    set.insert_range(BlockRange::new(BlockIndex::new(4_000), 500));
    set
}

proptest! {
    #![proptest_config(crate::block::tests::cases(16))]

    #[test]
    fn what_was_written_is_read(
        runs in proptest::collection::vec((0..16_000_u32, 1..300_u32), 0..30), is_snapshot in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let about = about(8, is_snapshot.then_some("snap-0123456789abcdef0"));
        let mut present = BlockSet::new();
        runs.iter().for_each(|(start, len)| present.insert_range(BlockRange::new(BlockIndex::new(*start), *len)));
        let (path, roots) = written(dir.path(), &about, &present);
        let manifest = Manifest::open(&path).unwrap();
        prop_assert_eq!((manifest.about(), manifest.roots()), (&about, roots));
        prop_assert_eq!(manifest.present(), &present);
        for index in about.geometry.range().iter() {
            let expected = present.contains(index).then(|| digest(index));
            prop_assert_eq!(manifest.digest(index).unwrap(), expected);
        }
    }
}

#[test]
fn a_manifest_of_nothing_is_a_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let (path, roots) = written(dir.path(), &about(1, None), &BlockSet::new());
    assert_eq!((roots.map, roots.content), (Digest::of(&[]), Digest::of(&[])));
    assert_eq!(Manifest::open(&path).unwrap().digest(BlockIndex::ZERO).unwrap(), None);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 256 + 256);
}

#[test]
fn only_the_owner_reads_it_and_nothing_else_is_left() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.manifest.icecore-part"), "left by a run that died").unwrap();
    let (path, _) = written(dir.path(), &about(8, None), &some());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn every_flipped_byte_and_every_other_length_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) =
        written(dir.path(), &about(1, Some("snap-0a")), &[5, 9].into_iter().map(BlockIndex::new).collect());
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(whole.len(), 256 + 256 + 64);
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Manifest::open(&path).unwrap_err()
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        assert_eq!(refused(&bytes).kind, Kind::Unsuitable, "byte {at}");
    }
    for len in (0..whole.len()).chain([whole.len() + 1]) {
        let mut bytes = whole.clone();
        bytes.resize(len, 0);
        assert_eq!(refused(&bytes).kind, Kind::Unsuitable, "{len} bytes");
    }
    let mut other = whole.clone();
    other[8] = 3;
    assert!(refused(&other).to_string().ends_with("has format 3; this build reads formats 1 to 2"));
    assert!(refused(b"no manifest at all").to_string().ends_with("it is no manifest"));
    std::fs::write(&path, &whole).unwrap();
    assert!(Manifest::open(&path).is_ok());
}

/// The header's own checksum, made anew after a change.
fn resealed(bytes: &mut [u8]) {
    let own = Digest::of(&bytes[..224]);
    bytes[224..256].copy_from_slice(own.as_bytes());
}

#[test]
fn a_manifest_says_whether_its_snapshot_was_encrypted_and_one_of_format_1_does_not() {
    let dir = tempfile::tempdir().unwrap();
    for is_encrypted in [None, Some(false), Some(true)] {
        let about = About { is_encrypted, ..about(1, Some("snap-0a")) };
        let (path, _) = written(dir.path(), &about, &[3].into_iter().map(BlockIndex::new).collect());
        let manifest = Manifest::open(&path).unwrap();
        assert_eq!((manifest.about().is_encrypted, manifest.format()), (is_encrypted, 2));
    }
    let path = dir.path().join("a.manifest");
    let whole = std::fs::read(&path).unwrap();
    let altered = |format: u8, encryption: u8| {
        let mut bytes = whole.clone();
        (bytes[8], bytes[20]) = (format, encryption);
        resealed(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        Manifest::open(&path)
    };
    let first = altered(1, 0).unwrap();
    assert_eq!((first.about().is_encrypted, first.format()), (None, 1));
    for (format, encryption) in [(1, 1), (1, 2), (2, 3), (0, 0), (3, 0)] {
        let fault = altered(format, encryption).unwrap_err();
        assert_eq!(fault.kind, Kind::Unsuitable, "format {format}, {encryption}: {fault}");
    }
}

#[test]
fn a_digest_that_cannot_be_had_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = written(dir.path(), &about(8, None), &some());
    let before = std::fs::read(&path).unwrap();
    let gone = |_| Err(crate::fault::Fault::new(Kind::Local, crate::fault::Place::Service, "gone"));
    assert!(write(real().as_ref(), &path, &about(8, None), &some(), gone).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let nowhere = dir.path().join("no/such/dir/m");
    let fault = write(real().as_ref(), &nowhere, &about(1, None), &BlockSet::new(), gone).unwrap_err();
    assert_eq!(fault.kind, Kind::Unsuitable);
}

#[test]
fn a_draft_keeps_what_it_was_given_beyond_its_run() {
    let dir = tempfile::tempdir().unwrap();
    let (path, geometry) = (dir.path().join("state/x.digests"), about(1, None).geometry);
    let draft = Draft::open(&real(), &path, geometry, 7).unwrap();
    draft.put(BlockIndex::new(2047), &Digest::ZERO_BLOCK).unwrap();
    draft.sync().unwrap();
    drop(draft);
    let draft = Draft::open(&real(), &path, geometry, 7).unwrap();
    assert_eq!(draft.get(BlockIndex::new(2047)).unwrap(), Digest::ZERO_BLOCK);
    assert_eq!(draft.get(BlockIndex::ZERO).unwrap_err().kind, Kind::Local, "none was kept");
    draft.remove().unwrap();
    assert!(!path.exists());
}

#[test]
fn all_digests_of_a_draft_are_those_of_each_block_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let draft = Draft::open(&real(), &dir.path().join("d"), about(3, None).geometry, 0).unwrap();
    let kept: Vec<_> = [0, 1, 2047, 2048, 5000, 6143].map(BlockIndex::new).into();
    for index in &kept {
        draft.put(*index, &Digest::of(&index.get().to_le_bytes())).unwrap();
    }
    let mut digests = draft.digests();
    for index in (0..6144).chain([5000, 0, 6143]).map(BlockIndex::new) {
        let expected = kept.contains(&index).then(|| Digest::of(&index.get().to_le_bytes()));
        assert_eq!((digests(index).ok(), draft.get(index).ok()), (expected, expected), "block {index}");
    }
}

#[test]
fn a_draft_conforms_as_a_sink() {
    let dir = tempfile::tempdir().unwrap();
    let draft = Draft::open(&real(), &dir.path().join("d"), about(1, None).geometry, 0).unwrap();
    let block = crate::source::conformance::filled(9, 7);
    draft.write(&block).unwrap();
    assert_eq!(draft.get(block.index()).unwrap(), block.digest());
}

#[test]
fn a_manifest_that_is_cut_off_or_altered_while_it_is_in_use_is_an_error_and_no_signal() {
    let dir = tempfile::tempdir().unwrap();
    let about = about(64, Some("snap-0a"));
    let all = BlockSet::from(BlockRange::new(BlockIndex::ZERO, 131_072));
    let opened = |dir: &Path| {
        let (path, _) = written(dir, &about, &all);
        (Manifest::open(&path).unwrap(), path)
    };
    let last = BlockIndex::new(131_071);
    // Another file under its name is no change: what is open is read.
    let (manifest, path) = opened(dir.path());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(manifest.digest(last).unwrap(), Some(digest(last)));

    let (manifest, path) = opened(dir.path());
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    assert_eq!(manifest.digest(BlockIndex::ZERO).unwrap(), Some(digest(BlockIndex::ZERO)));
    let fault = manifest.digest(last).unwrap_err();
    assert_eq!(fault.kind, Kind::Changed);
    assert!(fault.to_string().contains("changed or cut off"), "{fault}");

    std::fs::remove_file(&path).unwrap();
    let (manifest, path) = opened(dir.path());
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(manifest.digest(last).unwrap_err().kind, Kind::Changed);
    assert_eq!(manifest.digest(BlockIndex::ZERO).unwrap(), Some(digest(BlockIndex::ZERO)));
}

#[test]
fn a_digest_that_was_altered_lost_or_left_by_another_run_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (path, geometry) = (dir.path().join("d"), about(1, None).geometry);
    let open = |seed| Draft::open(&real(), &path, geometry, seed).unwrap();
    let all: BlockSet = [0, 5, 2047].map(BlockIndex::new).into_iter().collect();
    let draft = open(7);
    all.iter().for_each(|index| draft.put(index, &Digest::of(b"x")).unwrap());
    assert_eq!(draft.known(&all).unwrap(), all);
    drop(draft);
    assert!(open(8).known(&all).unwrap().is_empty(), "another run's");
    for byte in 0..36 {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[5 * 36 + byte] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let known = open(7).known(&all).unwrap();
        assert_eq!(known.iter().map(BlockIndex::get).collect::<Vec<_>>(), [0, 2047], "byte {byte}");
        bytes[5 * 36 + byte] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(open(7).known(&all).unwrap(), all);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o620)).unwrap();
    assert!(open(7).known(&all).unwrap().is_empty(), "another user could have written it");
    open(7).remove().unwrap();
    assert!(open(7).known(&all).unwrap().is_empty());
}

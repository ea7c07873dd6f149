//! What else may stand in the directories, and what somebody may have put there on purpose.

use super::standing::*;
use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

/// A name that an entry could have.
fn named(byte: &str) -> String {
    format!("{}.json", byte.repeat(32))
}

fn real() -> Arc<dyn Disk> {
    Arc::new(RealDisk::default())
}

/// A ledger with a good entry and one of everything that is none.
fn furnished(dir: &Path) {
    entries_of(dir).put(&entry(1)).unwrap();
    let ledger = dir.join("ledger");
    fs::create_dir(ledger.join(named("01"))).unwrap();
    fs::create_dir(ledger.join("a-directory")).unwrap();
    symlink(named("02"), ledger.join(named("02"))).unwrap();
    symlink("/etc/hostname", ledger.join(named("03"))).unwrap();
    symlink("nowhere", ledger.join("a-link")).unwrap();
    assert!(Command::new("mkfifo").arg(ledger.join(named("04"))).status().unwrap().success());
    fs::File::create(ledger.join(named("05"))).unwrap().set_len(1 << 40).unwrap();
    fs::write(ledger.join(named("06")), b"{}").unwrap();
    fs::write(ledger.join("README"), b"left alone").unwrap();
}

fn entries_of(dir: &Path) -> Contents {
    Contents::below(&real(), dir, Kind::Entries)
}

fn words(damaged: &[Damaged]) -> Vec<(String, String)> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut words: Vec<_> = damaged.iter().map(|one| (name(&one.path), one.what.clone())).collect();
    words.sort();
    words
}

#[track_caller]
fn all_are_named(damaged: &[Damaged]) {
    let expected = [
        (named("01"), "directory"),
        (named("02"), "link"),
        (named("03"), "link"),
        (named("04"), "pipe"),
        (named("05"), "more than any such file"),
        (named("06"), "not those that its name says"),
        ("a-directory".to_owned(), "directory"),
        ("a-link".to_owned(), "link"),
    ];
    let words = words(damaged);
    assert_eq!(words.len(), expected.len(), "{words:?}");
    for ((name, what), (expected, word)) in words.iter().zip(expected) {
        assert!(*name == expected && what.contains(word), "{name}: {what}");
    }
}

#[test]
fn what_is_no_regular_file_is_named_and_the_rest_is_read() {
    let temporary = tempfile::tempdir().unwrap();
    furnished(temporary.path());
    let found = entries_of(temporary.path()).records(None, &|_, _| false).unwrap();
    assert_eq!(found.records.len(), 1);
    all_are_named(&found.damaged);
    assert_eq!(entries_of(temporary.path()).read::<Entry>().unwrap().entries.len(), 1);
}

#[test]
fn what_is_no_regular_file_is_named_and_the_rest_is_carried() {
    let temporary = tempfile::tempdir().unwrap();
    let (from, to) = (temporary.path().join("from"), temporary.path().join("to"));
    furnished(&from);
    let carried = carry(&real(), &from, &to, Access::Owner).unwrap();
    assert_eq!(carried.copied, 1);
    all_are_named(&carried.damaged);
    // What stands in the target is neither followed nor replaced.
    let good = fs::read_dir(to.join("ledger")).unwrap().next().unwrap().unwrap().path();
    let precious = temporary.path().join("precious");
    fs::write(&precious, b"precious").unwrap();
    fs::remove_file(&good).unwrap();
    symlink(&precious, &good).unwrap();
    let carried = carry(&real(), &from, &to, Access::Owner).unwrap();
    assert_eq!((carried.copied, carried.mended, carried.damaged.len()), (0, 0, 9));
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert!(fs::symlink_metadata(&good).unwrap().is_symlink());
}

#[test]
fn a_directory_that_is_a_link_is_named_and_the_others_are_carried() {
    let temporary = tempfile::tempdir().unwrap();
    let (from, to) = (temporary.path().join("from"), temporary.path().join("to"));
    entries_of(&from).put(&entry(1)).unwrap();
    Contents::below(&real(), &from, Kind::Cycles).put(&entry(2)).unwrap();
    let elsewhere = temporary.path().join("elsewhere");
    fs::rename(from.join("ledger"), &elsewhere).unwrap();
    symlink(&elsewhere, from.join("ledger")).unwrap();
    let carried = carry(&real(), &from, &to, Access::Owner).unwrap();
    assert_eq!((carried.copied, carried.damaged.len()), (1, 1));
    assert!(carried.damaged[0].what.contains("link"), "{carried:?}");
    // Nor is one written through.
    let carried = carry(&real(), &to, &from, Access::Owner).unwrap();
    assert_eq!((carried.already, carried.damaged.len()), (1, 1));
    fs::remove_file(from.join("ledger")).unwrap();
    fs::write(from.join("ledger"), b"").unwrap();
    let carried = carry(&real(), &from, &to, Access::Owner).unwrap();
    assert!(carried.damaged[0].what.contains("no directory"), "{carried:?}");
}

#[test]
fn a_file_without_permission_is_named() {
    let temporary = tempfile::tempdir().unwrap();
    let contents = entries_of(temporary.path());
    contents.put(&entry(1)).unwrap();
    contents.put(&entry(2)).unwrap();
    let path = fs::read_dir(temporary.path().join("ledger")).unwrap().next().unwrap().unwrap().path();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o0)).unwrap();
    let is_readable = fs::read(&path).is_ok();
    let found = contents.records(None, &|_, _| false).unwrap();
    // To root every file is readable.
    let expected = if is_readable { (2, 0) } else { (1, 1) };
    assert_eq!((found.records.len(), found.damaged.len()), expected);
}

#[test]
fn impossible_entries_and_false_signatures_are_refused_and_the_rest_is_read() {
    let (disk, _) = here(&MemoryDisk::with_dir(Path::new("/")));
    let contents = entries(&disk, "/a");
    let signed = with(whole(1), |details| details.public_key = Some("ab".repeat(32)));
    let put = |entry: &Entry, signature: Option<u8>| {
        let sign = signature.map(|byte| move |_: &[u8]| [byte; 64]);
        let bytes = encode(entry, sign.as_ref().map(|sign| sign as &dyn Fn(&[u8]) -> [u8; 64]));
        contents.put_bytes(Some(&entry.snapshot_id), &bytes).unwrap();
        bytes
    };
    put(&whole(1), None);
    put(&Entry { level: 255, ..whole(2) }, None);
    let bytes = put(&signed, Some(7));
    put(&Entry { run_id: "other".to_owned(), ..signed.clone() }, Some(8));
    // Signed, but not at its end.
    let torn = [b"{\"note\":1,", &bytes[1..bytes.len() - 1], b",\"later\":2}"].concat();
    contents.put_bytes(None, &torn).unwrap();
    let holds = |key: &str, of: &SignedBytes| {
        assert_eq!(
            (key, &of.bytes),
            (&*"ab".repeat(32), &encode(&Entry { run_id: id(of), ..signed.clone() }, None))
        );
        of.signature == [7; 64]
    };
    let found = contents.records(None, &holds).unwrap();
    let of = |runs: &[Record]| runs.iter().map(|run| run.entry.signature.is_some()).collect::<BTreeSet<_>>();
    assert_eq!((found.records.len(), of(&found.records)), (2, [false, true].into()));
    assert_eq!((found.damaged.len(), found.refused.len()), (0, 3));
    // A field that a later version adds is signed as well, and hinders nobody.
    let later = [b"{\"later\":2,", &bytes[1..]].concat();
    contents.put_bytes(None, &later).unwrap();
    let found = contents.records(None, &|_, of| of.bytes.starts_with(b"{\"later\":2,")).unwrap();
    assert_eq!(found.records.iter().filter(|run| run.entry.signature.is_some()).count(), 1);
}

fn id(of: &SignedBytes) -> String {
    serde_json::from_slice::<Entry>(&of.bytes).unwrap().run_id
}

#[test]
fn a_bundle_that_is_named_later_makes_no_second_run() {
    let (disk, _) = here(&MemoryDisk::with_dir(Path::new("/")));
    let contents = entries(&disk, "/a");
    let put = |entry: &Entry| contents.put_bytes(Some("snap-0a"), &encode(entry, None)).unwrap();
    let fail = failed(whole(1), &[(0, 1)]);
    let bundled = with(fail.clone(), |of| of.bundle = Some(Bundle { number: 7, sha256: "ab".repeat(32) }));
    put(&fail);
    put(&bundled);
    put(&after(whole(0), &[&fail]));
    let found = contents.records(Some("snap-0a"), &|_, _| false).unwrap();
    assert_eq!(found.records.len(), 2);
    let by = Judging {
        now: crate::snapshot::UnixMillis(EPOCH + 5 * DAY),
        outdated_after: std::time::Duration::MAX,
        public_keys: &[],
    };
    let verdict = judge(&found.records, &by);
    assert_eq!(verdict.standing, Standing::Verified, "known by either name");
    assert!(found.records.iter().any(|run| run.entry.details.as_ref().unwrap().bundle.is_some()));
    // Anything else that differs is another run.
    put(&Entry { blocks_total: 97, ..with(fail, |of| of.coverage = 96.0 / 97.0) });
    assert_eq!(contents.records(None, &|_, _| false).unwrap().records.len(), 2);
}

#[test]
fn entries_of_other_snapshots_are_not_opened() {
    let (disk, memory) = here(&MemoryDisk::with_dir(Path::new("/")));
    let contents = entries(&disk, "/a");
    contents
        .put_bytes(Some("snap-0b"), &encode(&Entry { snapshot_id: "snap-0b".to_owned(), ..whole(1) }, None))
        .unwrap();
    memory.damage(&memory.files()[0], 100);
    contents.put_bytes(Some("snap-0a"), &encode(&whole(1), None)).unwrap();
    contents.put(&entry(1)).unwrap();
    let found = contents.records(Some("snap-0a"), &|_, _| false).unwrap();
    assert_eq!((found.records.len(), found.damaged.len()), (2, 0));
    assert_eq!(contents.records(None, &|_, _| false).unwrap().damaged.len(), 1);
}

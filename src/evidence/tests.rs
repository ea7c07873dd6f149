//! Evidence that was altered, cut off, kept by two at once, or by one whose power went.

mod drafts;
mod frozen;
mod odd;

use super::*;
use crate::block::Digest;
use crate::disk::faulty::{Act, Faulty};
use crate::disk::memory::MemoryDisk;
use crate::disk::{Access, Disk, RealDisk};
use crate::snapshot::UnixMillis;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// As `openssl genpkey -algorithm ed25519` wrote it.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";

fn dir() -> &'static Path {
    Path::new("/evidence")
}

fn disk() -> MemoryDisk {
    MemoryDisk::with_dir(Path::new("/"))
}

fn about() -> About {
    About { command: "verify".to_owned(), tool: "icecore test".to_owned(), ..About::default() }
}

fn report(n: u64) -> Vec<u8> {
    format!(r#"{{"schema":"icecore/verify/1","state":"pass","n":{n}}}"#).into_bytes()
}

/// This, as content of a file.
fn text(bytes: impl AsRef<[u8]>) -> impl Fn(&mut dyn Write) -> io::Result<()> {
    move |out| out.write_all(bytes.as_ref())
}

/// A chain of so many bundles, the third with a second file.
fn kept(disk: &MemoryDisk, key: Option<&Key>, n: u64) -> Vec<Kept> {
    let chain = Chain::open(Arc::new(disk.clone()), dir(), key.cloned()).unwrap();
    let keep = |n: u64| {
        let steps = [Attachment { name: "steps.json", content: &text(b"[]") }];
        chain.keep(&about(), &text(report(n)), if n == 3 { &steps } else { &[] }, NOW).unwrap()
    };
    (1..=n).map(keep).collect()
}

fn found(disk: &MemoryDisk, trust: &Trust) -> Vec<(Option<u64>, Wrong)> {
    let examined = examine(disk, dir(), trust, NOW).unwrap();
    examined.findings.into_iter().map(|finding| (finding.bundle, finding.wrong)).collect()
}

fn drafts(disk: &dyn Disk) -> u64 {
    examine(disk, dir(), &Trust::default(), NOW).unwrap().drafts
}

#[test]
fn what_was_kept_is_found_whole_and_says_who_kept_it() {
    let (disk, key) = (disk(), Key::generate().unwrap());
    let kept = kept(&disk, Some(&key), 3);
    let trust = Trust { anchor: Some(kept[1].hash), public_keys: vec![key.public()] };
    let examined = examine(&disk, dir(), &trust, NOW).unwrap();
    assert!(examined.findings.is_empty(), "{:?}", examined.findings);
    assert_eq!((examined.bundles.len(), examined.signed(), examined.anchored), (3, 3, Some(2)));
    let head = examined.head().unwrap();
    assert_eq!((head.hash, head.statement.number), (kept[2].hash, 3));
    assert_eq!(head.statement.previous, Some(kept[1].hash));
    assert_eq!(head.statement.state.as_deref(), Some("pass"));
    assert_eq!(head.statement.report.as_deref(), Some("icecore/verify/1"));
    assert_eq!(head.statement.kept_at, Some(NOW));
    assert_eq!(head.statement.about, about());
    assert_eq!(disk.read(&kept[2].path.join(REPORT), 1 << 20).unwrap(), report(3));
}

#[test]
fn any_bit_of_any_file_shows_and_names_its_bundle() {
    let whole = disk();
    let key = Key::generate().unwrap();
    kept(&whole, Some(&key), 3);
    for path in whole.files() {
        let number: u64 = path.parent().unwrap().file_name().unwrap().to_str().unwrap().parse().unwrap();
        let bits = 8 * whole.read(&path, 1 << 20).unwrap().len();
        for bit in (0..bits).step_by(bits / 40 + 1) {
            let disk = whole.killed();
            disk.damage(&path, bit);
            let found = found(&disk, &Trust::default());
            let named: BTreeSet<_> = found.iter().filter_map(|(bundle, _)| *bundle).collect();
            // A changed statement breaks the link of the bundle behind it as well.
            assert!(named.contains(&number) && named.len() <= 2, "{}, bit {bit}: {found:?}", path.display());
        }
    }
}

#[test]
fn what_is_missing_or_too_much_is_named() {
    let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
    let whole = disk();
    let anchor = kept(&whole, Some(&key), 4)[3].hash;
    let known = Trust { public_keys: vec![key.public()], ..Trust::default() };
    let anchored = Trust { anchor: Some(anchor), ..Trust::default() };
    let remove = |disk: &MemoryDisk, number: u64| {
        for name in disk.names(&bundle(dir(), number)).unwrap() {
            disk.remove(&bundle(dir(), number).join(name)).unwrap();
        }
        disk.remove_dir(&bundle(dir(), number)).unwrap();
    };
    let check = |harm: &dyn Fn(&MemoryDisk), trust: &Trust, expected: &[(Option<u64>, Wrong)]| {
        let disk = whole.killed();
        harm(&disk);
        assert_eq!(found(&disk, trust), expected);
    };
    let at = |number: u64, name: &str| bundle(dir(), number).join(name);
    let put = |disk: &MemoryDisk, path: &Path| disk.write(path, b"{}", Access::Usual).unwrap();

    check(&|_| {}, &known, &[]);
    check(&|disk| remove(disk, 2), &known, &[(Some(2), Wrong::MissingBundle)]);
    check(&|disk| remove(disk, 1), &known, &[(Some(1), Wrong::MissingBundle)]);
    check(&|disk| disk.remove(&at(3, "steps.json")).unwrap(), &known, &[(Some(3), Wrong::MissingFile)]);
    check(&|disk| disk.remove(&at(3, SIGNATURE)).unwrap(), &known, &[(Some(3), Wrong::MissingSignature)]);
    check(&|disk| disk.remove(&at(4, STATEMENT)).unwrap(), &known, &[(Some(4), Wrong::MissingFile)]);
    check(&|disk| put(disk, &at(2, "more.json")), &known, &[(Some(2), Wrong::AddedFile)]);
    check(&|disk| put(disk, &at(4, STATEMENT)), &known, &[(Some(4), Wrong::AlteredStatement)]);
    check(&|disk| put(disk, &at(4, SIGNATURE)), &known, &[(Some(4), Wrong::BadSignature)]);
    // Nothing in a chain tells that it once was longer, but an anchor does.
    check(&|disk| remove(disk, 4), &known, &[]);
    check(&|disk| remove(disk, 4), &anchored, &[(None, Wrong::AnchorMissing)]);
    // Somebody else's chain is whole, and not ours.
    let forge = |disk: &MemoryDisk| {
        (1..=4).for_each(|number| remove(disk, number));
        kept(disk, Some(&other), 4);
    };
    let foreign: Vec<_> = (1..=4).map(|number| (Some(number), Wrong::UnknownKey)).collect();
    check(&forge, &Trust::default(), &[]);
    check(&forge, &known, &foreign);
    check(&forge, &anchored, &[(None, Wrong::AnchorMissing)]);
    // A bundle made anew with the key itself does not fit to what follows it.
    let remade = |disk: &MemoryDisk| {
        (2..=4).for_each(|number| remove(disk, number));
        let chain = Chain::open(Arc::new(disk.clone()), dir(), Some(key.clone())).unwrap();
        chain.keep(&about(), &text(report(7)), &[], NOW).unwrap();
        for name in whole.names(&bundle(dir(), 3)).unwrap() {
            disk.make_dir(&bundle(dir(), 3), Access::Group).unwrap();
            let bytes = whole.read(&at(3, &name), 1 << 20).unwrap();
            disk.write(&at(3, &name), &bytes, Access::Usual).unwrap();
        }
    };
    check(&remade, &known, &[(Some(3), Wrong::BrokenChain)]);
}

#[test]
fn a_signed_chain_does_not_go_on_without_a_key() {
    let (disk, key) = (disk(), Key::generate().unwrap());
    kept(&disk, None, 1);
    kept(&disk, Some(&key), 1);
    let refused = Chain::open(Arc::new(disk.clone()), dir(), None).unwrap_err();
    assert!(refused.to_string().contains("is signed"), "{refused}");
    assert_eq!(found(&disk, &Trust::default()), []);
    // With the key known, the first one says nothing about who made it.
    let known = Trust { public_keys: vec![key.public()], ..Trust::default() };
    assert_eq!(found(&disk, &known), [(Some(1), Wrong::MissingSignature)]);
}

#[test]
fn nothing_is_no_evidence() {
    let disk = disk();
    assert_eq!(examine(&disk, dir(), &Trust::default(), NOW).unwrap_err().kind, crate::fault::Kind::NotFound);
    let anchored = Trust { anchor: Some(Digest::of(b"x")), ..Trust::default() };
    assert_eq!(found(&disk, &anchored), [(None, Wrong::AnchorMissing)]);
}

#[test]
fn runs_that_keep_at_once_make_one_chain() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("evidence");
    let key = Key::generate().unwrap();
    std::thread::scope(|scope| {
        for run in 0..8 {
            let (dir, key) = (&dir, &key);
            scope.spawn(move || {
                let chain = Chain::open(Arc::new(RealDisk::default()), dir, Some(key.clone())).unwrap();
                for n in 0..5 {
                    chain.keep(&about(), &text(report(10 * run + n)), &[], NOW).unwrap();
                }
            });
        }
    });
    let examined = examine(&RealDisk::default(), &dir, &Trust::default(), NOW).unwrap();
    assert!(examined.findings.is_empty(), "{:?}", examined.findings);
    assert_eq!((examined.bundles.len(), examined.drafts), (40, 0));
    let reports: BTreeSet<_> =
        examined.bundles.iter().map(|bundle| bundle.statement.files[0].sha256).collect();
    assert_eq!(reports.len(), 40, "every run's report is there once");
}

/// Keeps three bundles, and tells how many it was told are kept.
fn keep_three(disk: &MemoryDisk, key: &Key) -> u64 {
    let Ok(chain) = Chain::open(Arc::new(disk.clone()), dir(), Some(key.clone())) else { return 0 };
    let keep = |n: u64| chain.keep(&about(), &text(report(n)), &[], NOW).is_ok();
    (1..=3).take_while(|n| keep(*n)).count() as u64
}

#[test]
fn a_power_cut_leaves_whole_bundles_and_all_that_were_reported() {
    let key = Key::generate().unwrap();
    let all = disk();
    assert_eq!(keep_three(&all, &key), 3);
    for operations in 0..all.done() {
        for seed in 0..8 {
            let disk = disk();
            disk.fail_after(operations);
            let told = keep_three(&disk, &key);
            let after = disk.cut(seed);
            let there = match examine(&after, dir(), &Trust::default(), NOW) {
                Ok(examined) => {
                    let findings = &examined.findings;
                    assert!(findings.is_empty(), "operation {operations}, seed {seed}: {findings:?}");
                    examined.bundles.len() as u64
                }
                Err(_) => 0,
            };
            assert!(there >= told, "operation {operations}, seed {seed}: {there} of {told}");
            assert_eq!(keep_three(&after, &key), 3, "and it goes on from there");
            assert_eq!((found(&after, &Trust::default()), drafts(&after)), (vec![], 0));
        }
    }
}

#[test]
fn a_process_killed_at_any_operation_leaves_whole_bundles_and_drafts_that_count_for_nothing() {
    let key = Key::generate().unwrap();
    let all = disk();
    assert_eq!(keep_three(&all, &key), 3);
    let mut n_left = 0;
    for operations in 0..all.done() {
        let disk = disk();
        disk.fail_after(operations);
        let told = keep_three(&disk, &key);
        let after = disk.killed();
        let examined = examine(&after, dir(), &Trust::default(), NOW);
        let (there, left) = examined.map_or((0, 0), |examined| {
            assert_eq!(examined.findings, [], "operation {operations}");
            (examined.bundles.len() as u64, examined.drafts)
        });
        assert!(there >= told && left <= 1, "operation {operations}: {there} of {told}, {left} drafts");
        n_left += left;
        assert_eq!(keep_three(&after, &key), 3, "and it goes on from there");
        assert_eq!((found(&after, &Trust::default()), drafts(&after)), (vec![], 0));
    }
    assert!(n_left > 0, "some were killed in the middle of a bundle");
}

#[test]
fn a_bundle_past_its_time_is_told_apart_and_is_no_finding() {
    let disk = disk();
    let chain = Chain::open(Arc::new(disk.clone()), dir(), None).unwrap();
    for end in [None, Some(UnixMillis(NOW.0 + 1)), Some(UnixMillis(NOW.0 + 1000))] {
        chain.keep(&About { expires_at: end, ..about() }, &text(report(1)), &[], NOW).unwrap();
    }
    for (after, expired) in [(0, 0), (1, 1), (999, 1), (1000, 2), (1 << 50, 2)] {
        let now = UnixMillis(NOW.0 + after);
        let examined = examine(&disk, dir(), &Trust::default(), now).unwrap();
        assert_eq!((examined.expired(), examined.findings.len()), (expired, 0), "{after} ms later");
        assert!(!examined.is_expired(&examined.bundles[0]), "one that names no end has none");
    }
}

#[test]
fn a_disk_that_only_says_it_synced_is_noticed_here() {
    let key = Key::generate().unwrap();
    let lost = (0..50).any(|seed| {
        let disk = disk();
        disk.lie();
        let told = keep_three(&disk, &key);
        let after = disk.cut(seed);
        examine(&after, dir(), &Trust::default(), NOW)
            .map_or(true, |examined| (examined.bundles.len() as u64) < told || !examined.findings.is_empty())
    });
    assert!(lost, "the test above would not notice a missing sync");
}

#[test]
fn every_act_of_the_disk_that_fails_leaves_the_chain_as_it_was() {
    let key = Key::generate().unwrap();
    let all = disk();
    let before = kept(&all, Some(&key), 2);
    for nth in 0.. {
        let disk = all.killed();
        let left = Arc::new(AtomicI64::new(nth));
        let rule = {
            let left = Arc::clone(&left);
            move |_: Act, _: &Path| match left.fetch_sub(1, Ordering::SeqCst) {
                0 => Err(io::ErrorKind::StorageFull.into()),
                _ => Ok(()),
            }
        };
        let faulty = Arc::new(Faulty::new(Arc::new(disk.clone()), rule));
        let outcome = Chain::open(faulty, dir(), Some(key.clone()))
            .and_then(|chain| chain.keep(&about(), &drafts::long(1, |_| {}), &[], NOW));
        let trust = Trust { anchor: Some(before[1].hash), ..Trust::default() };
        let examined = examine(&disk, dir(), &trust, NOW).unwrap();
        assert_eq!(examined.findings, [], "act {nth}");
        assert!(outcome.is_err() || examined.bundles.len() == 3, "act {nth}");
        if left.load(Ordering::SeqCst) > 0 {
            assert!(nth > 10 && outcome.is_ok(), "it takes more than {nth} acts");
            return;
        }
    }
}

#[test]
fn keys_are_files_that_only_their_owner_reads_and_openssl_understands() {
    let temporary = tempfile::tempdir().unwrap();
    let (disk, path) = (RealDisk::default(), temporary.path().join("key.pem"));
    let key = Key::generate().unwrap();
    key.write_new(&disk, &path).unwrap();
    assert_eq!(Key::read(&disk, &path).unwrap().public(), key.public());
    assert!(key.write_new(&disk, &path).is_err(), "a key is never replaced");
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().next(), Some("-----BEGIN PRIVATE KEY-----"));
    let secret = format!("{key:?}");
    assert!(secret.contains(&key.public().to_string()) && secret.len() < 90, "{secret}");

    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Key::read(&disk, &path).unwrap_err().to_string().contains("others"));

    for text in [key.public().to_string(), key.public().to_pem().unwrap()] {
        assert_eq!(text.parse(), Ok(key.public()), "{text}");
    }
    // As `openssl pkey -pubout` wrote its other half.
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                  -----END PUBLIC KEY-----\n";
    let path = temporary.path().join("openssl.pem");
    disk.write(&path, PEM.as_bytes(), Access::Owner).unwrap();
    assert_eq!(Key::read(&disk, &path).unwrap().public(), public.parse().unwrap());
    for bad in ["", "00", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
        assert!(bad.parse::<PublicKey>().is_err());
    }
}

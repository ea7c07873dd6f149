//! Entries of a directory of evidence that no run of the program made.

use super::*;
use crate::fault::Kind;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// Three bundles in files, and the directory that they are in.
fn three() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("evidence");
    let chain = Chain::open(Arc::new(RealDisk::default()), &dir, None).unwrap();
    (1..=3).for_each(|n| drop(chain.keep(&about(), &text(report(n)), &[], NOW).unwrap()));
    (temporary, dir)
}

fn examined(dir: &Path) -> Examined {
    examine(&RealDisk::default(), dir, &Trust::default(), NOW).unwrap()
}

#[track_caller]
fn check(dir: &Path, expected: &[(Option<u64>, Wrong)]) {
    let examined = examined(dir);
    let found: Vec<_> = examined.findings.iter().map(|finding| (finding.bundle, finding.wrong)).collect();
    assert_eq!(found, expected, "{:?}", examined.findings);
    assert!(examined.is_altered());
}

fn keep_one(dir: &Path) -> Result<Kept, crate::fault::Fault> {
    let chain = Chain::open(Arc::new(RealDisk::default()), dir, None)?;
    chain.keep(&about(), &text(report(9)), &[], NOW)
}

fn pipe(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

#[test]
fn no_bundle_follows_the_highest_number_there_is() {
    let (_temporary, dir) = three();
    let last = dir.join(u64::MAX.to_string());
    fs::create_dir(&last).unwrap();
    let third: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("000003/statement.json")).unwrap()).unwrap();
    let mut forged = third.clone();
    forged["number"] = u64::MAX.into();
    fs::write(last.join("statement.json"), serde_json::to_vec(&forged).unwrap()).unwrap();
    fs::copy(dir.join("000003/report.json"), last.join("report.json")).unwrap();
    let refused = keep_one(&dir).unwrap_err();
    assert_eq!(refused.kind, Kind::Unsuitable);
    assert!(refused.to_string().contains("the highest number"), "{refused}");
    assert!(!dir.join("000000").exists());
    // The gap before it shows.
    check(&dir, &[(Some(4), Wrong::MissingBundle)]);

    // The one before the last is followed by the last, and that by none.
    fs::rename(&last, dir.join((u64::MAX - 1).to_string())).unwrap();
    forged["number"] = (u64::MAX - 1).into();
    let path = dir.join((u64::MAX - 1).to_string()).join("statement.json");
    fs::write(path, serde_json::to_vec(&forged).unwrap()).unwrap();
    assert_eq!(keep_one(&dir).unwrap().number, u64::MAX);
    assert!(keep_one(&dir).is_err());
}

#[test]
fn names_that_look_like_numbers_and_are_none_are_found() {
    for name in ["000000", "0000007", "7", "18446744073709551616", "99999999999999999999999999"] {
        let (_temporary, dir) = three();
        fs::rename(dir.join("000003"), dir.join(name)).unwrap();
        check(&dir, &[(None, Wrong::NotABundle)]);
        // By itself it is no directory without evidence either.
        fs::remove_dir_all(dir.join("000001")).unwrap();
        fs::remove_dir_all(dir.join("000002")).unwrap();
        check(&dir, &[(None, Wrong::NotABundle)]);
    }
}

#[test]
fn a_statement_under_another_bundles_number_is_followed_by_none() {
    let (_temporary, dir) = three();
    fs::rename(dir.join("000003"), dir.join("000004")).unwrap();
    assert!(keep_one(&dir).unwrap_err().to_string().contains("is damaged"));
    check(&dir, &[(Some(3), Wrong::MissingBundle), (Some(4), Wrong::AlteredStatement)]);
}

#[test]
fn a_bundle_that_is_no_directory_is_found_and_the_rest_is_looked_at() {
    let (temporary, dir) = three();
    let away = temporary.path().join("away");
    fs::rename(dir.join("000002"), &away).unwrap();
    let second = dir.join("000002");
    let odd: [&dyn Fn(); 4] = [
        &|| symlink(&away, &second).unwrap(),
        &|| symlink("000002", &second).unwrap(),
        &|| fs::write(&second, "x").unwrap(),
        &|| pipe(&second),
    ];
    for make in odd {
        make();
        check(&dir, &[(Some(2), Wrong::NotABundle)]);
        assert_eq!(examined(&dir).bundles.len(), 2);
        fs::remove_file(&second).unwrap();
    }
    // As the newest one it is followed by none.
    fs::rename(&away, &second).unwrap();
    fs::rename(dir.join("000003"), &away).unwrap();
    symlink(&away, dir.join("000003")).unwrap();
    check(&dir, &[(Some(3), Wrong::NotABundle)]);
    assert!(keep_one(&dir).unwrap_err().to_string().contains("is damaged"));
}

#[test]
fn a_file_of_a_bundle_that_is_none_is_found_and_not_followed() {
    for (name, wrong) in [
        ("report.json", Wrong::NotAFile),
        ("statement.json", Wrong::NotAFile),
        ("more.json", Wrong::AddedFile),
    ] {
        let (temporary, dir) = three();
        let (path, away) = (dir.join("000002").join(name), temporary.path().join("away"));
        match fs::rename(&path, &away) {
            Ok(()) => {}
            Err(_) => fs::write(&away, "x").unwrap(),
        }
        let odd: [&dyn Fn(); 4] = [
            &|| symlink(&away, &path).unwrap(),
            &|| symlink(name, &path).unwrap(),
            &|| fs::create_dir(&path).unwrap(),
            &|| pipe(&path),
        ];
        for make in odd {
            make();
            check(&dir, &[(Some(2), wrong)]);
            fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
        }
    }
}

#[test]
fn a_report_of_another_length_is_not_read() {
    let (_temporary, dir) = three();
    let report = fs::File::options().write(true).open(dir.join("000002/report.json")).unwrap();
    // It would take days.
    report.set_len(1 << 42).unwrap();
    let statement = fs::File::options().write(true).open(dir.join("000003/statement.json")).unwrap();
    statement.set_len(1 << 42).unwrap();
    check(&dir, &[(Some(2), Wrong::AlteredFile), (Some(3), Wrong::AlteredStatement)]);
}

#[test]
fn other_names_are_shown_and_are_no_findings() {
    let (_temporary, dir) = three();
    fs::write(dir.join("audit.pem.pub"), "x").unwrap();
    symlink("nowhere", dir.join("000004.bak")).unwrap();
    fs::create_dir(dir.join(".draft-novel")).unwrap();
    let examined = examined(&dir);
    assert_eq!((examined.findings.len(), examined.drafts), (0, 0));
    assert_eq!(examined.others, [".draft-novel", "000004.bak", "audit.pem.pub"]);
}

#[test]
fn what_cannot_be_read_is_named_and_neither_passes_nor_counts_as_altered() {
    let disk = disk();
    kept(&disk, None, 3);
    let report = bundle(dir(), 2).join(REPORT);
    let faulty = Faulty::new(Arc::new(disk), move |act, path| match act {
        Act::Read if path == report => Err(io::ErrorKind::PermissionDenied.into()),
        _ => Ok(()),
    });
    let examined = examine(&faulty, dir(), &Trust::default(), NOW).unwrap();
    let found: Vec<_> = examined.findings.iter().map(|finding| (finding.bundle, finding.wrong)).collect();
    assert_eq!((found, examined.is_altered()), (vec![(Some(2), Wrong::Unreadable)], false));
    assert_eq!(examined.bundles.len(), 3);
}

#[test]
fn a_bundle_names_the_user_by_number_and_an_older_one_need_not() {
    let disk = disk();
    let chain = Chain::open(Arc::new(disk.clone()), dir(), None).unwrap();
    let claimed = About { uid: Some(0), claimed_user: Some("ann".to_owned()), ..about() };
    for about in [about(), claimed] {
        chain.keep(&about, &text(report(1)), &[], NOW).unwrap();
    }
    let statement = |number| {
        let bytes = disk.read(&bundle(dir(), number).join(STATEMENT), 1 << 20).unwrap();
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()
    };
    assert!(["uid", "effective_uid", "claimed_user"].iter().all(|key| statement(1).get(key).is_none()));
    assert_eq!((&statement(2)["uid"], &statement(2)["claimed_user"]), (&0.into(), &"ann".into()));
    assert_eq!(found(&disk, &Trust::default()), []);
}

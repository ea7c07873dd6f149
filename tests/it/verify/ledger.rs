//! `icecore ledger` and `icecore state` as they are typed.

use crate::cli::one_object;
use crate::verify::command::One;
use std::fs;

#[test]
fn every_verification_is_entered_and_moves_to_another_machine() {
    let one = One::new();
    let known = one.here.run(&["ledger", &one.id, "--format", "json"]);
    assert_eq!(known.code, 1, "never verified is a finding");
    assert_eq!(one_object(&known.stdout)["snapshots"][0]["state"], "never");

    assert_eq!(one.run(&["verify", &one.id]).code, 0);
    assert_eq!(one.run(&["verify", &one.id, "a.img", "--unencrypted"]).code, 0);
    let known = one.here.run(&["ledger", "--format", "json"]).json();
    let row = &known["snapshots"][0];
    assert_eq!((&row["state"], &row["level"], &row["runs"]), (&"verified".into(), &4.into(), &2.into()));
    assert_eq!((&row["coverage"], &row["snapshot_id"]), (&1.0.into(), &one.id.as_str().into()));

    let kept = one.run(&["manifest", &one.id, "--format", "json"]).json();
    let again = one.run(&["manifest", &one.id, "--format", "json"]).json();
    assert_eq!(kept["output"], again["output"], "one snapshot has one manifest");
    let name = kept["output"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();

    let pushed = one.here.run(&["state", "push", "shared", "--format", "json"]).json();
    assert_eq!((&pushed["copied"], &pushed["already"]), (&3.into(), &0.into()));
    assert_eq!(one.here.run(&["state", "push", "shared", "--format", "json"]).json()["copied"], 0);
    let elsewhere = ["--state-dir", "other"];
    let pull = ["state", "pull", "shared", "--format", "json"];
    assert_eq!(one.here.run(&[pull.as_slice(), &elsewhere].concat()).json()["copied"], 3);
    let row = &one.here.run(&["ledger", "--format", "json", "--state-dir", "other"]).json()["snapshots"][0];
    assert_eq!((&row["state"], &row["level"]), (&"verified".into(), &4.into()));
    let manifest = format!("other/manifests/{name}");
    assert_eq!(one.run(&["verify", &one.id, "--manifest", &manifest]).code, 0);

    one.flip(1);
    assert_eq!(one.run(&["verify", &one.id, "a.img", "--unencrypted"]).code, 1);
    assert_eq!(one.run(&["verify", &one.id]).code, 0);
    let failed = one.here.run(&["ledger"]);
    assert_eq!(failed.code, 1);
    assert!(failed.stdout.starts_with("0 verified, 1 failed"), "{}", failed.stdout);
    assert!(failed.stdout.contains("L4 failed"), "{}", failed.stdout);
    let csv = one.here.run(&["ledger", "--format", "csv"]).stdout;
    let columns = |line: usize| csv.lines().nth(line).unwrap().split(',').count();
    assert_eq!((csv.lines().count(), columns(0)), (2, columns(1)), "{csv}");
}

#[test]
fn a_damaged_entry_is_named_and_nothing_is_claimed_from_it() {
    let one = One::new();
    assert_eq!(one.run(&["verify", &one.id]).code, 0);
    let path = fs::read_dir(one.here.path("state/ledger")).unwrap().next().unwrap().unwrap().path();
    let forged = fs::read_to_string(&path).unwrap().replace("\"level\":2", "\"level\":4");
    fs::write(&path, forged).unwrap();
    let known = one.here.run(&["ledger", &one.id, "--format", "json"]);
    assert_eq!(known.code, 1);
    let known = one_object(&known.stdout);
    assert_eq!((&known["state"], &known["snapshots"][0]["state"]), (&"incomplete".into(), &"never".into()));
    assert_eq!(known["damaged"].as_array().unwrap().len(), 1);
    let pushed = one.here.run(&["state", "push", "shared"]);
    assert_eq!(pushed.code, 1);
    assert!(pushed.stdout.contains("damaged, left alone"), "{}", pushed.stdout);
    one.here.run(&["state", "pull", "nowhere"]).refused(2, &["no such directory"]);
    one.here.run(&["state", "pull", "a.img"]).refused(2, &["a.img", "no directory"]);
    one.here.run(&["state", "push", "a.img"]).refused(2, &["a.img", "no directory"]);
}

#[test]
fn what_cannot_be_entered_is_no_pass() {
    let one = One::new();
    fs::create_dir_all(one.here.path("state")).unwrap();
    // Nothing can be put where a file stands instead of the directory.
    fs::write(one.here.path("state/ledger"), "").unwrap();
    let report = one.run(&["verify", &one.id, "--format", "json"]);
    assert_eq!(report.code, 7, "{report:?}");
    let report = one_object(&report.stdout);
    assert_eq!((&report["state"], &report["blocks_read"]), (&"incomplete".into(), &3.into()));
    assert_eq!(report["exceptions"][0]["kind"], "local");
}

#[test]
fn runs_at_once_on_one_ledger_are_all_entered() {
    let one = One::new();
    let image = ["verify", &one.id, "a.img", "--unencrypted"];
    let manifest = ["verify", &one.id, "--manifest", "a.manifest"];
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let runs = [image, manifest, image, manifest].map(|words| {
            scope.spawn({
                let one = &one;
                move || one.run(&words)
            })
        });
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    // Two of the same at once: the second is refused, unless the first was through already.
    let passed = outcomes.iter().filter(|outcome| outcome.code == 0).count();
    assert!(passed >= 2, "{outcomes:?}");
    for outcome in outcomes.iter().filter(|outcome| outcome.code != 0) {
        assert!(outcome.code == 2 && outcome.stderr.contains("another run"), "{outcome:?}");
    }
    let row = &one.here.run(&["ledger", "--format", "json"]).json()["snapshots"][0];
    assert_eq!((&row["state"], &row["runs"]), (&"verified".into(), &passed.into()));
}

/// A file system of its own, this large; nothing where one may not be mounted here.
struct Small(std::path::PathBuf);

impl Small {
    fn at(dir: std::path::PathBuf, bytes: u64) -> Option<Self> {
        fs::create_dir_all(&dir).unwrap();
        let size = format!("size={bytes}");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(&dir)
            .stderr(std::process::Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then_some(Self(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_disk_without_room_for_the_ledger_is_no_pass_and_damages_nothing() {
    let one = One::new();
    assert_eq!(one.run(&["verify", &one.id]).code, 0);
    let Some(small) = Small::at(one.here.path("small"), 256 << 10) else { return };
    assert_eq!(one.here.run(&["state", "push", "small"]).code, 0);
    let before = fs::read_dir(small.0.join("ledger")).unwrap().count();
    // What is left to a run is less than its first file takes.
    let filled = fs::write(small.0.join("filler"), vec![7; 1 << 20]);
    assert!(filled.is_err(), "the disk is full");
    let full = one.run(&["verify", &one.id, "--state-dir", "small", "--format", "json"]);
    assert_eq!(full.code, 7, "{full:?}");
    assert!(full.stderr.contains("make room"), "{full:?}");
    let at = fs::read_dir(small.0.join("ledger")).unwrap().count();
    assert_eq!(at, before, "nothing half-written was left");
    let known = one.here.run(&["ledger", "--state-dir", "small", "--format", "json"]);
    assert_eq!((known.code, &known.json()["snapshots"][0]["runs"]), (0, &1.into()), "and what was known is");
    fs::remove_file(small.0.join("filler")).unwrap();
    assert_eq!(one.run(&["verify", &one.id, "--state-dir", "small"]).code, 0);
}

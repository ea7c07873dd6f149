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
        let size = format!("size={bytes},mode=0700");
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

/// The row of the one snapshot that the ledger knows.
fn row(one: &One, words: &[&str]) -> (i32, serde_json::Value) {
    let known = one.here.run(&[&["ledger", "--format", "json"], words].concat());
    let rows = one_object(&known.stdout)["snapshots"].clone();
    (known.code, rows[0].clone())
}

/// Puts bytes into the ledger under the name that they have to have.
fn put(one: &One, bytes: &[u8]) {
    let name = format!("{}.json", icecore::block::Digest::of(bytes));
    fs::create_dir_all(one.here.path("state/ledger")).unwrap();
    fs::write(one.here.path("state/ledger").join(name), bytes).unwrap();
}

/// An entry as version 1 wrote it, changed.
fn first(one: &One, change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let now = icecore::monitor::Clock::now(&icecore::monitor::SystemClock).0;
    let mut entry = serde_json::json!({
        "run_id": "by-hand", "snapshot_id": one.id, "volume_id": null, "target": null, "level": 2, "mode": "full",
        "state": "pass", "blocks_total": 3, "blocks_read": 3, "mismatches": 0,
        "started_ms": now - 1000, "ended_ms": now - 500,
    });
    change(&mut entry);
    entry.to_string().into_bytes()
}

#[test]
fn a_partial_pass_is_sampled_with_its_bound_and_only_accepted_when_asked_for() {
    let one = One::new();
    assert_eq!(one.run(&["verify", &one.id, "--part", "1/2"]).code, 0);
    let (code, part) = row(&one, &[]);
    assert_eq!((code, &part["state"], &part["extent"]), (1, &"sampled".into(), &"part".into()), "{part}");
    assert_eq!(one.run(&["verify", &one.id, "--part", "2/2"]).code, 0);
    let (code, whole) = row(&one, &[]);
    assert_eq!((code, &whole["state"], &whole["proof_runs"]), (0, &"verified".into(), &2.into()), "{whole}");
    assert_eq!((&whole["coverage"], &whole["upper_bound_95"]), (&1.0.into(), &0.0.into()));

    let one = One::new();
    assert_eq!(one.run(&["verify", &one.id, "--sample", "50%/50%", "--seed", "1"]).code, 0);
    let (code, row_of) = row(&one, &[]);
    assert_eq!((code, &row_of["state"]), (1, &"sampled".into()), "{row_of}");
    let (coverage, bound) =
        (row_of["coverage"].as_f64().unwrap(), row_of["upper_bound_95"].as_f64().unwrap());
    assert!(coverage > 0.0 && coverage < 1.0 && bound > 0.0 && bound < 1.0, "{row_of}");
    let (code, row_of) = row(&one, &["--accept", "sampled"]);
    assert_eq!((code, &row_of["state"]), (0, &"sampled".into()));
    let text = one.here.run(&["ledger"]);
    assert!(text.stdout.contains("1 sampled") && text.stdout.contains("--accept sampled"), "{}", text.stdout);
    let other = one.here.run(&["ledger", "--accept", "failed"]);
    assert!(other.code == 2 && other.stderr.contains("possible values: sampled"), "{other:?}");
    assert_eq!(one.run(&["verify", &one.id]).code, 0);
    assert_eq!(row(&one, &[]).1["state"], "verified");
}

#[test]
fn a_partial_pass_or_one_of_another_kind_clears_no_failure() {
    let one = One::new();
    one.flip(1);
    assert_eq!(one.run(&["verify", &one.id, "a.img", "--unencrypted"]).code, 1);
    one.flip(1);
    let image = ["verify", one.id.as_str(), "a.img", "--unencrypted"];
    let sample = ["--sample", "10%/90%", "--seed", "3"];
    assert_eq!(one.run(&[image.as_slice(), &sample].concat()).code, 0);
    assert_eq!(row(&one, &[]).1["state"], "failed");
    assert_eq!(one.run(&["verify", &one.id, "--manifest", "a.manifest"]).code, 0);
    assert_eq!(row(&one, &[]).1["state"], "failed");
    assert_eq!(one.run(&image).code, 0);
    let (code, row) = row(&one, &[]);
    assert_eq!((code, &row["state"], &row["level"]), (0, &"verified".into(), &4.into()), "{row}");
    assert_eq!(row["target_kind"], "file");
    assert_eq!(row["reference"]["kind"], "snapshot");
    assert_eq!(row["reference"]["content_root"].as_str().unwrap().len(), 64);
}

#[test]
fn a_pass_dated_ahead_hides_no_later_failure() {
    let one = One::new();
    let day = 86_400_000;
    let ahead = |entry: &mut serde_json::Value| {
        for key in ["started_ms", "ended_ms"] {
            entry[key] = (entry[key].as_i64().unwrap() + 300 * day).into();
        }
        entry["level"] = 4.into();
    };
    put(&one, &first(&one, ahead));
    let known = one_object(&one.here.run(&["ledger", "--format", "json"]).stdout);
    assert_eq!(
        (&known["snapshots"][0]["state"], &known["dated_ahead"][0]["state"]),
        (&"never".into(), &"pass".into())
    );
    one.flip(1);
    assert_eq!(one.run(&["verify", &one.id, "a.img", "--unencrypted"]).code, 1);
    assert_eq!(row(&one, &[]).1["state"], "failed");
    let text = one.here.run(&["ledger"]).stdout;
    assert!(
        text.contains("dated ahead of this clock") && text.contains("proves and clears nothing"),
        "{text}"
    );
    // A failure counts whatever its date, until a run that knew of it has passed.
    let one = One::new();
    assert_eq!(one.run(&["verify", &one.id]).code, 0);
    put(
        &one,
        &first(&one, |entry| {
            ahead(entry);
            (entry["level"], entry["state"], entry["mismatches"]) = (2.into(), "fail".into(), 1.into());
        }),
    );
    assert_eq!(row(&one, &[]).1["state"], "failed");
    assert_eq!(one.run(&["verify", &one.id]).code, 0);
    assert_eq!(row(&one, &[]).1["state"], "verified");
}

#[test]
fn an_entry_that_no_run_can_have_written_is_refused_and_named() {
    let one = One::new();
    assert_eq!(one.run(&["verify", &one.id]).code, 0);
    let forged = [
        ("level", 255.into()),
        ("blocks_read", 30_000_000_000_000_000_000_u128.to_string().into()),
        ("ended_ms", 5.into()),
    ];
    for (key, value) in forged {
        put(&one, &first(&one, |entry| entry[key] = value));
    }
    put(&one, &first(&one, |entry| entry["blocks_read"] = 4.into()));
    let known = one.here.run(&["ledger", "--format", "json"]);
    assert_eq!(known.code, 1);
    let known = one_object(&known.stdout);
    assert_eq!((&known["state"], &known["snapshots"][0]["level"]), (&"incomplete".into(), &2.into()));
    assert_eq!(known["snapshots"][0]["runs"], 1);
    let (refused, damaged) = (known["refused"].as_array().unwrap(), known["damaged"].as_array().unwrap());
    assert_eq!((refused.len(), damaged.len()), (3, 1), "{known}");
    let text = one.here.run(&["ledger"]).stdout;
    assert!(text.contains("refused: ") && text.contains("level 255"), "{text}");
}

#[test]
fn entries_of_version_1_are_shown_as_such() {
    let one = One::new();
    put(&one, &first(&one, |_| {}));
    let (code, row_of) = row(&one, &[]);
    assert_eq!((code, &row_of["state"], &row_of["format"]), (0, &"verified".into(), &1.into()));
    assert!(one.here.run(&["ledger"]).stdout.contains("entry of format 1"));
    let one = One::new();
    put(&one, &first(&one, |entry| entry["mode"] = "delta".into()));
    assert_eq!(row(&one, &[]).1["state"], "sampled");
}

#[test]
fn signed_entries_prove_and_altered_ones_are_refused() {
    let one = One::new();
    assert_eq!(one.here.run(&["evidence", "key", "k"]).code, 0);
    let words = ["--public-key", "k.pub"];
    assert_eq!(one.run(&["verify", &one.id]).code, 0);
    let (code, row_of) = row(&one, &words);
    assert_eq!((code, &row_of["state"]), (1, &"never".into()), "it is not signed");
    assert_eq!(one.run(&["verify", &one.id, "--sign-key", "k"]).code, 0);
    let (code, row_of) = row(&one, &words);
    assert_eq!((code, &row_of["state"]), (0, &"verified".into()), "{row_of}");
    assert_eq!(row_of["signed_by"].as_str().unwrap().len(), 64);
    // The evidence of the run is named, and makes no run of its own.
    let words_of = ["verify", one.id.as_str(), "--sign-key", "k", "--evidence", "kept"];
    assert_eq!(one.run(&words_of).code, 0);
    let (code, row_of) = row(&one, &words);
    assert_eq!((code, &row_of["bundle"]["number"], &row_of["runs"]), (0, &1.into(), &3.into()), "{row_of}");
    let statement = fs::read(one.here.path("kept/000001/statement.json")).unwrap();
    assert_eq!(row_of["bundle"]["sha256"], icecore::block::Digest::of(&statement).to_string());
    // Another key's signature, and one that is not that of the bytes.
    assert_eq!(one.here.run(&["evidence", "key", "other"]).code, 0);
    assert_eq!(row(&one, &["--public-key", "other.pub"]).1["state"], "never");
    let entries = fs::read_dir(one.here.path("state/ledger")).unwrap();
    let signed = entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let signed = signed.filter(|text| text.contains("signature")).collect::<Vec<_>>();
    assert_eq!(signed.len(), 3, "one and its bundle, and the first");
    put(&one, signed[0].replace("\"mode\":\"full\"", "\"mode\":\"FULL\"").as_bytes());
    let known = one_object(&one.here.run(&["ledger", "--format", "json"]).stdout);
    let what = known["refused"][0]["what"].as_str().unwrap();
    assert!(what.contains("signature is not that of its bytes"), "{known}");
    // A failure counts unsigned, and an unsigned pass clears none.
    one.flip(1);
    assert_eq!(one.run(&["verify", &one.id, "a.img", "--unencrypted"]).code, 1);
    one.flip(1);
    assert_eq!(one.run(&["verify", &one.id, "a.img", "--unencrypted"]).code, 0);
    assert_eq!(row(&one, &words).1["state"], "failed");
    assert_eq!(one.run(&["verify", &one.id, "a.img", "--unencrypted", "--sign-key", "k"]).code, 0);
    assert_eq!(row(&one, &words).1["state"], "verified");
    one.run(&["verify", &one.id, "--sign-key", "nowhere"]).refused(2, &["nowhere", "no such key"]);
}

#[test]
fn odd_entries_are_named_and_the_rest_is_read_and_carried() {
    let one = One::new();
    assert_eq!(one.run(&["verify", &one.id]).code, 0);
    let ledger = one.here.path("state/ledger");
    let named = |byte: &str| ledger.join(format!("{}.json", byte.repeat(32)));
    fs::create_dir(named("01")).unwrap();
    std::os::unix::fs::symlink(named("02"), named("02")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(named("03")).status().unwrap().success());
    let known = one.here.run(&["ledger", "--format", "json"]);
    assert_eq!(known.code, 1);
    let known = one_object(&known.stdout);
    assert_eq!(
        (&known["state"], &known["snapshots"][0]["state"]),
        (&"incomplete".into(), &"verified".into())
    );
    assert_eq!(known["damaged"].as_array().unwrap().len(), 3, "{known}");
    let pushed = one.here.run(&["state", "push", "shared", "--format", "json"]);
    let value = one_object(&pushed.stdout);
    assert_eq!(
        (pushed.code, &value["copied"], value["damaged"].as_array().unwrap().len()),
        (1, &1.into(), 3)
    );
    // A link in the directory of others is not followed.
    fs::write(one.here.path("secret"), "{}").unwrap();
    let name = format!("{}.json", icecore::block::Digest::of(b"{}"));
    std::os::unix::fs::symlink(one.here.path("secret"), one.here.path("shared/ledger").join(&name)).unwrap();
    let pull = ["state", "pull", "shared", "--format", "json", "--state-dir", "other"];
    let pulled = one.here.run(&pull);
    let value = one_object(&pulled.stdout);
    assert_eq!((pulled.code, &value["copied"]), (1, &1.into()), "{value}");
    assert!(value["damaged"][0]["what"].as_str().unwrap().contains("link"), "{value}");
    assert!(!one.here.path("other/ledger").join(&name).exists());
}

#[test]
fn a_run_that_goes_on_clears_only_what_was_known_when_it_began() {
    let one = One::new();
    let stopped = one.run(&["verify", &one.id, "--deadline", "1s", "--rate-get", "1"]);
    assert_eq!(stopped.code, 3, "{stopped:?}");
    put(&one, &first(&one, |entry| (entry["state"], entry["mismatches"]) = ("fail".into(), 1.into())));
    let whole = one.run(&["verify", &one.id, "--format", "json"]).json();
    assert!(whole["blocks_resumed"].as_u64() > Some(0), "{whole}");
    assert_eq!(row(&one, &[]).1["state"], "failed", "some blocks were read before the failure");
    assert_eq!(one.run(&["verify", &one.id]).code, 0);
    assert_eq!(row(&one, &[]).1["state"], "verified");
}

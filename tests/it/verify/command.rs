//! `icecore verify` and `icecore manifest` as they are typed.

use crate::cli::{Here, Outcome};
use crate::together::{Serve, aimed};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 524_288;

/// A store with one snapshot, the image that it was made of, and a manifest of it.
pub(crate) struct One {
    pub(crate) here: Here,
    pub(crate) id: String,
}

impl One {
    pub(crate) fn new() -> Self {
        let here = Here::new();
        let file = File::create(here.path("a.img")).unwrap();
        file.set_len(1 << 30).unwrap();
        for (index, byte) in [(0, 1), (1, 2), (700, 3)] {
            file.write_all_at(&vec![byte; usize::try_from(BLOCK).unwrap()], index * BLOCK).unwrap();
        }
        let import = ["import", "a.img", "--omit-zero-blocks", "--local", "store", "--format", "json"];
        let id = here.run(&import).json()["snapshot_id"].as_str().unwrap().to_owned();
        let one = Self { here, id };
        assert_eq!(one.run(&["manifest", &one.id, "-o", "a.manifest"]).code, 0);
        one
    }

    pub(crate) fn run(&self, words: &[&str]) -> Outcome {
        let words: Vec<_> = words.iter().copied().chain(["--local", "store"]).collect();
        self.here.run(&words)
    }

    pub(crate) fn flip(&self, at: u64) {
        let file = OpenOptions::new().read(true).write(true).open(self.here.path("a.img")).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
    }
}

#[test]
fn every_sort_of_verification_passes_on_a_restore_that_is_right() {
    let one = One::new();
    let import = ["import", "a.img", "--omit-zero-blocks", "--format", "json"];
    let copy = one.run(&import).json()["snapshot_id"].as_str().unwrap().to_owned();
    for (words, level, total) in [
        (vec!["verify", one.id.as_str()], 2, 3),
        (vec!["verify", &one.id, "--manifest", "a.manifest"], 3, 3),
        (vec!["verify", &one.id, &copy], 3, 3),
        (vec!["verify", &one.id, "a.img", "--unencrypted"], 4, 2048),
        (vec!["verify", "a.manifest", "a.img", "--unencrypted"], 4, 2048),
    ] {
        let words: Vec<_> = words.into_iter().chain(["--format", "json"]).collect();
        let report = one.run(&words).json();
        assert_eq!((&report["state"], &report["level"]), (&"pass".into(), &level.into()), "{words:?}");
        assert_eq!(
            (&report["blocks_total"], &report["blocks_read"]),
            (&total.into(), &total.into()),
            "{words:?}"
        );
        assert_eq!((&report["coverage"], &report["upper_bound_95"]), (&1.0.into(), &0.0.into()));
        assert_eq!(report["mismatches"], serde_json::json!([]));
    }
    let text = one.run(&["verify", &one.id, "a.img"]).stdout;
    assert!(text.starts_with("PASS") && text.lines().count() <= 25, "{text}");
}

#[test]
fn a_flipped_bit_is_named_and_the_exit_code_is_1() {
    let one = One::new();
    one.flip(700 * BLOCK + 12_345);
    let failed = one.run(&["verify", &one.id, "a.img", "--format", "json"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    let report = crate::cli::one_object(&failed.stdout);
    let mismatch = &report["mismatches"][0];
    assert_eq!((&report["state"], &mismatch["block_index"]), (&"fail".into(), &700.into()));
    assert_eq!((&mismatch["byte_offset"], &mismatch["class"]), (&(700 * BLOCK).into(), &"content".into()));
    assert_eq!((mismatch["expected"].as_str().unwrap().len(), &mismatch["persistent"]), (64, &true.into()));
    let csv = one.run(&["verify", "a.manifest", "a.img", "--format", "csv"]);
    assert_eq!((csv.code, csv.stdout.lines().count()), (1, 2), "{csv:?}");
    assert!(csv.stdout.lines().nth(1).unwrap().starts_with("700,367001600,"), "{}", csv.stdout);
}

#[test]
fn exit_codes_follow_the_table() {
    let one = One::new();
    let code = |words: &[&str]| one.run(words).code;
    assert_eq!(code(&["verify", &one.id, "--sample", "99%/1%"]), 0);
    assert_eq!(code(&["verify", &one.id, "--max-usd", "0.000005"]), 3, "a budget for one block");
    assert_eq!(code(&["verify", &one.id]), 0, "and what was begun goes on");
    one.run(&["verify", "snap-00"]).refused(2, &["snap-00", "does not exist"]);
    one.run(&["verify", "no.manifest", "a.img"]).refused(2, &["no.manifest", "no such file"]);
    one.run(&["verify", "a.img", "a.img"]).refused(2, &["a.img", "no manifest"]);
    one.run(&["verify", ".", "a.img"]).refused(2, &[".", "it is no regular file"]);
    one.run(&["manifest", "a.img", "-o", "-"]).refused(2, &["give -o a file"]);
    one.run(&["verify", "a.manifest"]).refused(2, &["a manifest alone proves nothing"]);
    one.run(&["verify", &one.id, "no.img"]).refused(2, &["no.img", "no such file"]);
    one.run(&["verify", &one.id, "a.img", "--volume-id", "vol-0abc"])
        .refused(2, &["cannot be shown to be vol-0abc"]);
    assert_eq!(code(&["verify"]), 2);
    assert_eq!(code(&["verify", &one.id, "--part", "0/3"]), 2);
    let mut bytes = fs::read(one.here.path("a.manifest")).unwrap();
    bytes[600] ^= 1;
    fs::write(one.here.path("a.manifest"), bytes).unwrap();
    one.run(&["verify", &one.id, "--manifest", "a.manifest"]).refused(2, &["a.manifest", "altered"]);
    one.flip(BLOCK);
    assert_eq!(code(&["verify", &one.id, "a.img"]), 1);
}

#[test]
fn a_deadline_ends_with_3_and_the_same_command_goes_on() {
    let one = One::new();
    let stopped = one.run(&["verify", &one.id, "--deadline", "1s", "--rate-get", "1", "--format", "json"]);
    assert_eq!(stopped.code, 3, "{stopped:?}");
    let report = crate::cli::one_object(&stopped.stdout);
    assert_eq!((&report["state"], &report["stopped_by"]), (&"incomplete".into(), &"deadline".into()));
    assert_eq!((&report["upper_bound_95"], &report["content_root"]), (&Value::Null, &Value::Null));
    let read = report["blocks_read"].as_u64().unwrap();
    assert!((1..3).contains(&read), "{report}");
    let whole = one.run(&["verify", &one.id, "--format", "json"]).json();
    assert_eq!((&whole["state"], &whole["blocks_resumed"]), (&"pass".into(), &read.into()));
}

#[test]
fn a_deadline_ends_listings_as_well() {
    let One { here, id } = One::new();
    let slow = Serve::with(&here, &["--latency", "5000"]);
    for level in [&[][..], &["--level", "1"]] {
        let words = [&["verify", &id, "--deadline", "1s", "--format", "junit"], level].concat();
        let late = Outcome::of(&aimed(&here, &slow.url, &words).output().unwrap());
        assert_eq!(late.code, 3, "{late:?}");
        assert!(late.stderr.contains("before its blocks were listed"), "{late:?}");
        let case = format!("name=\"{id}\"");
        assert!(late.stdout.contains(&case) && late.stdout.contains("skipped=\"1\""), "{late:?}");
    }
}

#[test]
fn what_would_be_ignored_is_refused() {
    let one = One::new();
    fs::write(one.here.path("plan"), &one.id).unwrap();
    for (option, value) in [("--volume-id", "vol-0abc"), ("--restored-at", "2026-01-31T04:00:00Z")] {
        one.run(&["verify", &one.id, option, value]).refused(2, &[&one.id, option, "TARGET"]);
        one.run(&["verify", &one.id, &one.id, option, value]).refused(2, &[&one.id, option, "TARGET"]);
    }
    one.run(&["verify", &one.id, "--pad"]).refused(2, &[&one.id, "--pad", "TARGET"]);
    for options in [
        &["--manifest", "a.manifest"][..],
        &["--older", "a.manifest"],
        &["--unencrypted"],
        &["--pad"],
        &["--level", "1"],
        &["--volume-id", "vol-0abc"],
    ] {
        let refused = one.run(&[&["verify", "--plan", "plan"], options].concat());
        assert!(refused.code == 2 && refused.stderr.contains("cannot be used with"), "{refused:?}");
    }
    let unused = one.run(&["verify", &one.id, "--audit", "5"]);
    assert!(unused.code == 2 && unused.stderr.contains("--delta-from"), "{unused:?}");
    one.run(&["verify", "vol-0abc"]).refused(2, &["'vol-0abc'", "neither a snapshot's id", "nor a manifest"]);
    one.run(&["verify", "--plan", "a.img"]).refused(2, &["a.img", "is a plan"]);
    one.run(&["verify", "--plan", "store"]).refused(2, &["store", "it is a directory"]);
}

#[test]
fn one_bad_line_of_a_plan_stops_no_other_and_the_worst_code_wins() {
    let one = One::new();
    let plan = |lines: &str| fs::write(one.here.path("plan"), lines).unwrap();
    plan(&format!(
        "# nightly\n{id}\n{id} --manifest a.manifest\n\na.manifest \"a.img\" # the restore\n",
        id = one.id
    ));
    let fine = one.run(&["verify", "--plan", "plan", "--format", "json"]).json();
    assert_eq!((&fine["state"], fine["items"].as_array().unwrap().len()), (&"pass".into(), 3));
    assert_eq!(fine["items"][2]["report"]["level"], 4);

    plan(&format!("snap-00\n{id} --what\n{id}\n", id = one.id));
    let broken = one.run(&["verify", "--plan", "plan", "--format", "json"]);
    assert_eq!(broken.code, 2, "{broken:?}");
    let job = crate::cli::one_object(&broken.stdout);
    let states: Vec<_> =
        job["items"].as_array().unwrap().iter().map(|item| item["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["incomplete", "incomplete", "pass"]);
    assert!(job["items"][1]["error"].as_str().unwrap().contains("line 2"), "{job}");

    one.flip(0);
    plan(&format!("snap-00\na.manifest a.img\n{id}\n", id = one.id));
    assert_eq!(one.run(&["verify", "--plan", "plan"]).code, 1, "a finding counts before a refusal");
    one.run(&["verify", "--plan", "no-plan"]).refused(2, &["no-plan", "no such file"]);
    plan("# nothing\n");
    one.run(&["verify", "--plan", "plan"]).refused(2, &["no line to verify"]);
}

#[cfg(feature = "ec2")]
#[test]
fn tagged_snapshots_are_verified_as_one_job() {
    let one = One::new();
    let import = ["import", "a.img", "--omit-zero-blocks", "--tag", "nightly=yes", "--local", "store"];
    assert_eq!(one.here.run(&import).code, 0);
    let job = one.run(&["verify", "--tag", "nightly=yes", "--latest-per-volume", "--format", "json"]).json();
    assert_eq!((&job["state"], job["items"].as_array().unwrap().len()), (&"pass".into(), 1));
    let none = one.run(&["verify", "--tag", "no=such", "--format", "junit"]);
    assert!(none.code == 2 && none.stderr.contains("no snapshot has the tag no=such"), "{none:?}");
    assert!(none.stdout.contains("errors=\"1\""), "nothing verified is nothing green: {}", none.stdout);
}

#[test]
fn an_image_becomes_a_manifest_without_any_account() {
    let one = One::new();
    let made = one.here.run(&["manifest", "a.img", "-o", "image.manifest", "--format", "json"]).json();
    assert_eq!((&made["snapshot_id"], &made["blocks"]), (&serde_json::Value::Null, &3.into()));
    let report = one.run(&["verify", &one.id, "--manifest", "image.manifest", "--format", "json"]).json();
    assert_eq!((&report["state"], &report["baseline"]["origin"]), (&"pass".into(), &"source".into()));
    assert_eq!(made["content_root"], report["content_root"]);
    one.here
        .run(&["manifest", "a.img", "-o", "image.manifest"])
        .refused(2, &["image.manifest", "exists", "--force"]);
}

#[test]
fn no_image_is_overwritten_with_its_own_manifest() {
    let one = One::new();
    let before = fs::read(one.here.path("a.img")).unwrap();
    std::os::unix::fs::symlink("a.img", one.here.path("link")).unwrap();
    for output in ["a.img", "./a.img", "link"] {
        one.here.run(&["manifest", "a.img", "-o", output, "--force"]).refused(2, &["a.img", "another file"]);
    }
    assert!(fs::read(one.here.path("a.img")).unwrap() == before);
}

#[cfg(feature = "ec2")]
#[test]
fn what_is_told_and_listed_of_a_snapshot_is_a_check_of_its_own() {
    let one = One::new();
    for (level, total) in [("0", 3), ("L1", 3)] {
        let report = one.run(&["verify", &one.id, "--level", level, "--format", "json"]).json();
        assert_eq!((&report["state"], &report["blocks_read"]), (&"pass".into(), &0.into()), "{report}");
        assert_eq!((&report["blocks_total"], &report["coverage"]), (&total.into(), &0.0.into()));
        assert_eq!(
            (&report["plan"]["mode"], &report["size_drift"]),
            (&"none".into(), &serde_json::Value::Null)
        );
    }
    let text = one.run(&["verify", &one.id, "--level", "block-map"]).stdout;
    assert!(text.contains("3 blocks listed, none read"), "{text}");
    let text = one.run(&["verify", &one.id, "--level", "inventory"]).stdout;
    assert!(text.trim_end().ends_with(", 1 request"), "{text}");
    let unknown = one.run(&["verify", &one.id, "--level", "7"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("a level from 0 to 5"), "{unknown:?}");
    one.run(&["verify", "snap-00", "--level", "0"]).refused(2, &["snap-00"]);
    let known = one.run(&["ledger"]);
    assert!(known.code == 1 && known.stdout.contains("Nothing was verified yet"), "{known:?}");
}

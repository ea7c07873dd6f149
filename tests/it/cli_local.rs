//! Commands over a store in a directory, from import to export, as a person types them.

use crate::cli::{Here, Outcome, one_object};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

const BLOCK: u64 = 524_288;
const GIB: u64 = 1 << 30;

/// A sparse image of 1 GiB with these blocks filled.
fn image(path: &Path, blocks: &[(u64, u8)]) {
    let mut file = File::create(path).unwrap();
    file.set_len(GIB).unwrap();
    for (index, byte) in blocks {
        file.seek(SeekFrom::Start(index * BLOCK)).unwrap();
        file.write_all(&vec![*byte; usize::try_from(BLOCK).unwrap()]).unwrap();
    }
}

/// A directory with a store of two snapshots, the second upon the first.
struct Two {
    here: Here,
    first: String,
    second: String,
}

fn two() -> Two {
    let here = Here::new();
    image(&here.path("a.img"), &[(0, 1), (1, 1), (700, 2)]);
    image(&here.path("b.img"), &[(0, 1), (1, 9), (700, 2), (2047, 3)]);
    let first = imported(&here, &["a.img"]);
    let second = imported(&here, &["b.img", "--parent", &first]);
    Two { here, first, second }
}

impl Two {
    fn run(&self, words: &[&str]) -> Outcome {
        let words: Vec<_> = words.iter().copied().chain(["--local", "store"]).collect();
        self.here.run(&words)
    }
}

/// Imports without zeros, which makes it quick, and gives the snapshot's id.
#[track_caller]
fn imported(here: &Here, words: &[&str]) -> String {
    let common = ["--omit-zero-blocks", "--local", "store", "--format", "json"];
    let words: Vec<_> = ["import"].into_iter().chain(words.iter().copied()).chain(common).collect();
    let outcome = here.run(&words);
    let id = outcome.json()["snapshot_id"].as_str().unwrap().to_owned();
    assert!(outcome.stderr.contains(&format!("started {id}")), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("random bytes"), "{}", outcome.stderr);
    id
}

#[test]
fn import_tells_what_was_sent_and_a_child_sends_only_what_differs() {
    let here = Here::new();
    image(&here.path("a.img"), &[(0, 1), (5, 2)]);
    let first = imported(&here, &["a.img"]);
    image(&here.path("b.img"), &[(0, 1), (5, 7)]);
    let child = here
        .run(&[
            "import",
            "b.img",
            "--parent",
            &first,
            "--omit-zero-blocks",
            "--local",
            "store",
            "--format=json",
        ])
        .json();
    assert_eq!((&child["blocks_written"], &child["blocks_total"]), (&1.into(), &2048.into()));
    assert_eq!((&child["volume_size_gib"], &child["state"]), (&1.into(), &"complete".into()));
}

#[test]
fn quiet_still_gives_the_id_of_a_new_snapshot() {
    let here = Here::new();
    image(&here.path("a.img"), &[(0, 1)]);
    let outcome = here.run(&["import", "a.img", "--omit-zero-blocks", "-q", "--local", "store"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.starts_with("icecore: started snap-"), "{}", outcome.stderr);
}

#[test]
fn show_and_blocks_agree() {
    let two = two();
    let shown = two.run(&["show", &two.second, "--format", "json"]).json();
    assert_eq!(shown["snapshot_id"].as_str(), Some(two.second.as_str()));
    assert_eq!((&shown["allocated_blocks"], &shown["block_size"]), (&4.into(), &BLOCK.into()));
    assert_eq!(shown["ranges"], serde_json::json!([[0, 2], [700, 1], [2047, 1]]));
    let blocks = two.run(&["blocks", &two.second]);
    let lines: Vec<_> = blocks.stdout.lines().collect();
    assert_eq!(lines[1..5], ["0 0", "1 524288", "700 367001600", "2047 1073217536"]);
    let (id, size) = (&two.second, "volume_bytes=1073741824");
    assert_eq!(lines[0], format!("# icecore-map format=2 snapshot={id} {size}"));
    assert_eq!(lines[5..], [format!("# icecore-map-end blocks=4 {size}")], "it is whole up to its last line");
    assert_eq!((blocks.code, blocks.stderr.as_str()), (0, ""));
    let picture = two.run(&["show", &two.second]).stdout;
    assert!(picture.contains("4 blocks") && picture.contains("960 MiB"), "{picture}");
}

#[test]
fn diff_has_the_promised_fields_at_the_top_and_in_its_step() {
    let two = two();
    let diff = two.run(&["diff", &two.first, &two.second, "--content", "--format", "json"]).json();
    for place in [&diff, &diff["steps"][0]] {
        assert_eq!(place["first"].as_str(), Some(two.first.as_str()));
        assert_eq!(place["second"].as_str(), Some(two.second.as_str()));
        assert_eq!((&place["changed_blocks"], &place["changed_bytes"]), (&2.into(), &(2 * BLOCK).into()));
        assert_eq!((&place["only_in_first"], &place["only_in_second"]), (&0.into(), &1.into()));
        assert_eq!((&place["in_both"], &place["identical"]), (&1.into(), &0.into()));
        assert_eq!(place["ranges"], serde_json::json!([[1, 1], [2047, 1]]));
    }
    let chain = two.run(&["diff", &two.first, &two.second, &two.first, "--format", "json"]).json();
    assert_eq!(chain["steps"].as_array().unwrap().len(), 2);
    assert!(chain.get("first").is_none());
}

#[test]
fn changed_ranges_come_as_kubernetes_names_them() {
    let two = two();
    let cbt = two.run(&["diff", &two.first, &two.second, "--format", "cbt"]);
    let cbt: serde_json::Value = serde_json::from_str(&cbt.stdout).unwrap();
    assert_eq!(cbt["block_metadata_type"], "VARIABLE_LENGTH");
    let range = serde_json::json!({"byte_offset": BLOCK, "size_bytes": BLOCK});
    assert_eq!(cbt["block_metadata"][0], range);
    let whole = two.run(&["blocks", &two.first, "--format", "cbt"]);
    let whole: serde_json::Value = serde_json::from_str(&whole.stdout).unwrap();
    assert_eq!(whole["volume_capacity_bytes"], GIB);
}

#[test]
fn export_gives_the_image_back() {
    let two = two();
    let report = two.run(&["export", &two.second, "out.img", "--format", "json"]).json();
    assert_eq!((&report["blocks_written"], &report["holes"]), (&4.into(), &2044.into()));
    assert_eq!(report["bytes_written"], 4 * BLOCK);
    let same = fs::read(two.here.path("out.img")).unwrap() == fs::read(two.here.path("b.img")).unwrap();
    assert!(same);
}

#[test]
fn export_spares_a_file_that_is_there_unless_forced() {
    let two = two();
    fs::write(two.here.path("out.img"), "precious").unwrap();
    two.run(&["export", &two.first, "out.img"]).refused(2, &["out.img", "exists", "--force"]);
    assert_eq!(fs::read(two.here.path("out.img")).unwrap(), b"precious");
    assert_eq!(two.run(&["export", &two.first, "out.img", "--force", "--no-sync"]).code, 0);
    assert_eq!(fs::metadata(two.here.path("out.img")).unwrap().len(), GIB);
}

#[test]
fn export_to_null_checks_and_keeps_nothing() {
    let two = two();
    let before = fs::read_dir(two.here.path(".")).unwrap().count();
    let report = two.run(&["export", &two.first, "--to-null", "--format", "json"]).json();
    assert_eq!((&report["dest"], &report["blocks_written"]), (&serde_json::Value::Null, &3.into()));
    assert_eq!(fs::read_dir(two.here.path(".")).unwrap().count(), before);
}

#[test]
fn a_snapshot_that_is_not_there_is_named() {
    let two = two();
    for words in [
        &["show", "snap-00"][..],
        &["blocks", "snap-00"],
        &["export", "snap-00", "out.img"],
        &["diff", &two.first, "snap-00"],
    ] {
        two.run(words).refused(2, &["snap-00", "does not exist"]);
    }
    assert!(!two.here.path("out.img").exists());
}

#[test]
fn unrelated_snapshots_are_not_compared() {
    let two = two();
    let stranger = imported(&two.here, &["a.img"]);
    two.run(&["diff", &two.first, &stranger]).refused(2, &[&two.first, &stranger]);
}

#[test]
fn a_missing_image_is_named_and_no_snapshot_is_started() {
    let here = Here::new();
    here.run(&["import", "no.img", "--local", "store"]).refused(2, &["no.img", "no such file"]);
}

#[test]
fn reading_needs_a_store_and_says_so() {
    let here = Here::new();
    fs::create_dir(here.path("empty")).unwrap();
    for dir in ["nowhere", "empty"] {
        here.run(&["show", "snap-01", "--local", dir]).refused(2, &[dir, "icecore serve --local DIR"]);
    }
    here.run(&["show", "snap-01", "--local", "a", "--endpoint-url", "http://127.0.0.1:1"])
        .refused(2, &["--local", "--endpoint-url"]);
    assert!(!here.path("nowhere").exists());
}

#[test]
fn the_same_results_wherever_global_options_stand_or_come_from() {
    let two = two();
    for command in
        [vec!["show", &two.first], vec!["blocks", &two.first], vec!["diff", &two.first, &two.second]]
    {
        let options = ["--local", "store", "--format", "json", "-q"];
        let before: Vec<_> = options.into_iter().chain(command.iter().copied()).collect();
        let after: Vec<_> = command.iter().copied().chain(options).collect();
        let before = two.here.run(&before);
        let same = two.here.run(&after);
        one_object(&before.stdout);
        assert_eq!((&before.stdout, &before.stderr, before.code), (&same.stdout, &same.stderr, same.code));
        let words: Vec<_> = command.iter().copied().chain(["--format", "json", "-q"]).collect();
        let output = two.here.command(&words).env("ICECORE_LOCAL", "store").output().unwrap();
        assert_eq!(Outcome::of(&output).stdout, before.stdout);
        // What is typed wins over the environment, on either side.
        for words in [[&options[..], &command].concat(), [&command, &options[..]].concat()] {
            let output = two.here.command(&words).env("ICECORE_LOCAL", "elsewhere").output().unwrap();
            assert_eq!(Outcome::of(&output).stdout, before.stdout);
        }
    }
}

#[test]
fn a_report_file_holds_what_standard_output_holds() {
    let two = two();
    let outcome = two.run(&["show", &two.first, "--format", "json", "--report-file", "r.json"]);
    assert_eq!(fs::read_to_string(two.here.path("r.json")).unwrap(), outcome.stdout);
    two.run(&["show", "snap-00", "--report-file", "none.json"]).refused(2, &[]);
    let left = fs::read_dir(two.here.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().contains("report") || name == "none.json"));
}

#[test]
fn store_check_ends_with_1_on_damage_only() {
    let two = two();
    let whole = two.here.run(&["store", "check", "store", "--format", "json"]).json();
    assert_eq!((&whole["clean"], &whole["snapshots"]), (&true.into(), &2.into()));
    let mut blocks = Vec::new();
    let mut waiting = vec![two.here.path("store")];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                waiting.push(entry);
            } else if entry.to_str().unwrap().contains("/blocks/") {
                blocks.push(entry);
            }
        }
    }
    fs::write(blocks.first().unwrap(), "rubbish").unwrap();
    let damaged = two.here.run(&["store", "check", "store", "--format", "json"]);
    assert_eq!(damaged.code, 1, "{damaged:?}");
    let report = one_object(&damaged.stdout);
    assert_eq!((&report["clean"], report["damages"].as_array().unwrap().len()), (&false.into(), 1));
    two.here.run(&["store", "check", "nowhere"]).refused(2, &["nowhere"]);
}

#[test]
fn a_store_without_snapshots_is_not_checked_to_be_whole() {
    let here = Here::new();
    drop(icecore::store::StoreWriter::open_or_create(here.path("empty"), "test").unwrap());
    let empty = here.run(&["store", "check", "empty"]);
    assert!(empty.code == 3 && empty.stdout.contains("nothing was checked"), "{empty:?}");
    let json = here.run(&["store", "check", "empty", "--format", "json"]);
    assert!(json.code == 3 && json.stdout.contains("\"state\":\"incomplete\""), "{json:?}");
}

#[cfg(not(feature = "ec2"))]
#[test]
fn list_says_which_feature_is_missing() {
    two().run(&["list"]).refused(2, &["ec2", "build"]);
}

#[cfg(feature = "ec2")]
#[test]
fn list_shows_both_in_one_lineage() {
    let two = two();
    let list = two.run(&["list", "--format", "json"]).json();
    let rows = list["snapshots"].as_array().unwrap();
    let ids: Vec<_> = rows.iter().map(|row| row["snapshot_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [two.first.as_str(), &two.second]);
    assert_eq!(rows[1]["parent"].as_str(), Some(two.first.as_str()));
    assert_eq!(rows[0]["lineage"], rows[1]["lineage"]);
    let outcome = two.run(&["list", "--state", "pending"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "no snapshots\n"));
}

#[test]
fn a_snapshot_is_found_in_its_region_which_need_not_be_named_while_there_is_one_only() {
    let here = Here::new();
    image(&here.path("a.img"), &[(0, 1)]);
    let there = imported(&here, &["a.img", "--region", "eu-west-1"]);
    let show = |id: &str, more: &[&str]| here.run(&[&["show", id, "--local", "store"], more].concat());
    show(&there, &["--region", "us-east-1"]).refused(2, &[&there, "does not exist"]);
    assert_eq!(show(&there, &[]).code, 0, "it is the only Region");
    let here_too = imported(&here, &["a.img", "--region", "us-east-1"]);
    assert_eq!(show(&here_too, &[]).code, 0);
    show(&there, &[]).refused(2, &[&there, "does not exist"]);
    assert_eq!(show(&there, &["--region", "eu-west-1"]).code, 0);
}

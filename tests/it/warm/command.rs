//! The command line of `icecore warm`, and what it refuses.

use crate::cli::{Here, Outcome, one_object};
use crate::verify::command::One;
use serde_json::Value;
use std::process::Stdio;

#[test]
fn what_cannot_be_warmed_is_refused_before_anything_is_read() {
    let here = Here::new();
    std::fs::write(here.path("map"), "0 0\n4095 2146959360\n").unwrap();
    std::fs::write(here.path("small"), vec![1; 1 << 20]).unwrap();
    std::fs::write(here.path("notes"), "hello\n").unwrap();
    here.run(&["warm", "missing", "--map", "map"]).refused(2, &["missing: there is no such file"]);
    here.run(&["warm", "small", "--map", "map"]).refused(2, &["it has 1 MiB, the volume 2 GiB"]);
    here.run(&["warm", "small", "--map", "notes"]).refused(2, &["line 1 is no block", "icecore blocks"]);
    here.run(&["warm", "small"]).refused(2, &["nothing tells which blocks are allocated"]);
    here.run(&["warm", ".", "--map", "map"]).refused(2, &["neither a file nor a block device"]);
    here.run(&["warm", "vol-0123456789abcdef0", "--map", "map"])
        .refused(2, &["no device of this machine is this volume", "lsblk"]);
    let bad = here.run(&["warm", "small", "--map", "map", "--rate", "fast"]);
    assert!(bad.code == 2 && bad.stderr.contains("200MiB/s"), "{bad:?}");
    assert!(!here.path("state/checkpoints").exists(), "nothing was begun");
}

/// A file of 100 MiB whose 200 blocks are all to be read, and words that no machine is too slow for.
fn two_hundred(here: &Here) -> Vec<&'static str> {
    std::fs::File::create(here.path("disk")).unwrap().set_len(200 * 524_288).unwrap();
    std::fs::write(here.path("map"), "0-199\n").unwrap();
    vec!["warm", "disk", "--map", "map", "--threshold", "20s", "--format", "json"]
}

#[test]
fn the_time_that_is_up_leaves_a_list_of_what_is_cold_and_the_same_command_goes_on() {
    let here = Here::new();
    let warm = two_hundred(&here);
    let slowly = [&warm[..], &["--rate", "25MiB/s", "--deadline", "1s"]].concat();
    let stopped = here.run(&slowly);
    assert_eq!(stopped.code, 3, "{stopped:?}");
    let report = one_object(&stopped.stdout);
    assert_eq!((&report["state"], &report["stopped_by"]), (&"partial".into(), &"deadline".into()));
    let read = report["blocks_read"].as_u64().unwrap();
    // A busy machine may be slower than the rate; none is faster.
    assert!((1..=52).contains(&read), "{report}");
    assert_eq!(report["cold_ranges"], serde_json::json!([[read, 200 - read]]));
    assert!(report["predicted"].as_f64().unwrap() < 0.3, "a quarter, as the rate says: {report}");
    assert!(stopped.stderr.contains("by the deadline about "), "{}", stopped.stderr);
    let rest = here.run(&warm);
    assert!(rest.stderr.contains(&format!("an interrupted run: {read} blocks are done")), "{}", rest.stderr);
    let rest = rest.json();
    assert_eq!((&rest["state"], &rest["blocks_resumed"]), (&"warm".into(), &read.into()));
    assert_eq!(rest["cold_ranges"], serde_json::json!([]));
}

#[test]
fn while_others_wait_too_long_it_backs_off_and_never_stops() {
    let here = Here::new();
    two_hundred(&here);
    // At 32 blocks a second it would be over in 1.3 seconds.
    std::fs::write(here.path("map"), "0-39\n").unwrap();
    let gauges: [(&[&str], bool); 5] = [
        (&["--slo", "1us"], true),
        (&["--slo-cmd", "false"], true),
        (&["--slo", "20ms", "--slo-cmd", "echo 30ms"], true),
        (&["--slo", "20ms", "--slo-cmd", "echo 1.5"], false),
        (&["--slo-cmd", "true"], false),
    ];
    let runs = gauges.iter().enumerate().map(|(at, (gauge, _))| {
        // Each has a file of its own, which nobody else warms meanwhile.
        let disk = format!("disk{at}");
        std::fs::copy(here.path("disk"), here.path(&disk)).unwrap();
        let mut words = vec!["warm", &disk, "--map", "map", "--threshold", "20s", "--format", "json"];
        words.extend(["--rate", "16MiB/s"].iter().chain(*gauge));
        here.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    for (run, (gauge, is_exceeded)) in runs.collect::<Vec<_>>().into_iter().zip(gauges) {
        let report = Outcome::of(&run.wait_with_output().unwrap()).json();
        assert_eq!((&report["state"], &report["blocks_read"]), (&"warm".into(), &40.into()), "{gauge:?}");
        let exceeded = report["slo_exceeded"].as_u64().unwrap();
        assert_eq!(exceeded >= 2, is_exceeded, "{exceeded}, {gauge:?}");
    }
}

#[test]
fn a_host_without_credentials_is_told_the_blocks_by_whatever_format_they_were_printed_in() {
    let one = One::new();
    for format in ["text", "json", "jsonl", "csv", "cbt"] {
        let printed = one.run(&["blocks", &one.id, "--format", format]);
        assert_eq!(printed.code, 0, "{printed:?}");
        std::fs::write(one.here.path("map"), printed.stdout).unwrap();
        // No store, no account, no environment.
        let words = ["warm", "a.img", "--map", "map", "--threshold", "20s", "--format", "json"];
        let report = one.here.run(&words).json();
        assert_eq!((&report["state"], &report["blocks_read"]), (&"warm".into(), &3.into()), "{format}");
        assert_eq!((&report["initialization"], &report["skipped"]), (&serde_json::json!([]), &Value::Null));
    }
}

#[test]
fn a_map_without_blocks_or_cut_anywhere_is_refused_before_anything_is_read() {
    let one = One::new();
    let warm = ["warm", "a.img", "--map", "map", "--threshold", "20s", "--format", "json"];
    let with = |map: &str, more: &[&str]| {
        std::fs::write(one.here.path("map"), map).unwrap();
        one.here.run(&[&warm[..], more].concat())
    };
    let whole = one.run(&["blocks", &one.id]).stdout;
    let lines: Vec<_> = whole.lines().collect();
    assert_eq!(lines.len(), 5, "{whole}");
    let report = with(&whole, &[]).json();
    assert_eq!((&report["state"], &report["map_counted"]), (&"warm".into(), &true.into()));
    for kept in 1..lines.len() {
        with(&(lines[..kept].join("\n") + "\n"), &[]).refused(2, &["map", "it was cut", "icecore blocks"]);
    }
    with(&whole.replace("blocks=3", "blocks=4"), &[]).refused(2, &["lists 3 blocks", "says 4"]);
    with(&whole.replace("700 367001600\n", ""), &[]).refused(2, &["lists 2 blocks", "says 3"]);
    for nothing in ["", "\n", "# nothing\n", "block_index,byte_offset\n"] {
        for more in [&[][..], &["--allow-empty"], &["--probe"]] {
            with(nothing, more).refused(2, &["map", "lists no block"]);
        }
    }
    // The two steps of the README, of which the first failed.
    let failed = one.run(&["blocks", "snap-00"]);
    assert!(failed.code == 2 && failed.stdout.is_empty(), "{failed:?}");
    with(&failed.stdout, &[]).refused(2, &["lists no block"]);
    assert!(!one.here.path("state/checkpoints").join("warm").exists());
}

#[test]
fn a_map_that_cannot_show_that_it_is_whole_is_said_to_be_one() {
    let one = One::new();
    let csv = one.run(&["blocks", &one.id, "--format", "csv"]).stdout;
    for map in ["0 0\n1 524288\n700 367001600\n", "0-1\n700\n", &csv] {
        std::fs::write(one.here.path("map"), map).unwrap();
        let words = ["warm", "a.img", "--map", "map", "--threshold", "20s"];
        let outcome = one.here.run(&[&words[..], &["--format", "json"]].concat());
        assert!(outcome.stderr.contains("nothing shows whether it was cut"), "{outcome:?}");
        let report = outcome.json();
        assert_eq!((&report["state"], &report["map_counted"]), (&"warm".into(), &false.into()));
        assert!(one.here.run(&words).stdout.contains("it does not say how many blocks it lists"));
    }
}

#[test]
fn a_snapshot_without_blocks_leaves_nothing_warm_unless_that_is_accepted() {
    let one = One::new();
    std::fs::File::create(one.here.path("zeros")).unwrap().set_len(1 << 30).unwrap();
    let import = ["import", "zeros", "--omit-zero-blocks", "--format", "json"];
    let id = one.run(&import).json()["snapshot_id"].as_str().unwrap().to_owned();
    let map = one.run(&["blocks", &id]);
    assert!(map.code == 0 && map.stderr.contains("has no blocks"), "{map:?}");
    std::fs::write(one.here.path("map"), map.stdout).unwrap();
    assert_eq!(one.run(&["manifest", &id, "-o", "m"]).code, 0);
    for (what, code) in [(["--snapshot", id.as_str()], 3), (["--map", "map"], 2), (["--manifest", "m"], 2)] {
        for probe in [&[][..], &["--probe"]] {
            let words =
                [&["warm", "zeros", "--threshold", "20s", "--format", "json"], &what[..], probe].concat();
            let nothing = one.run(&words);
            assert_eq!(nothing.code, code, "{words:?} {nothing:?}");
            assert!(code == 2 || one_object(&nothing.stdout)["state"] == "incomplete", "{nothing:?}");
            let accepted = one.run(&[&words[..], &["--allow-empty"]].concat()).json();
            assert_eq!((&accepted["state"], &accepted["blocks_read"]), (&"warm".into(), &0.into()));
        }
    }
    let text = one.run(&["warm", "zeros", "--snapshot", &id]);
    assert!(text.code == 3 && text.stdout.starts_with("INCOMPLETE"), "{text:?}");
    assert!(text.stdout.contains("the snapshot has no blocks"), "{text:?}");
    let several = one.run(&["warm", "--pair", &format!("zeros={id}")]);
    assert!(several.code == 3, "{several:?}");
}

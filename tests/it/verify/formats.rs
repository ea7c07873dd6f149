//! JUnit, metrics, JSON and the exit code say the same of a run, however it ended.

use crate::cli::one_object;
use crate::verify::command::One;
use std::fs;

/// How often a tag begins in some XML.
fn tags(xml: &str, name: &str) -> usize {
    xml.matches(&format!("<{name} ")).count() + xml.matches(&format!("<{name}>")).count()
}

/// The state that a page of metrics gives to the run as a whole.
fn state(metrics: &str) -> Vec<&str> {
    let ones =
        metrics.lines().filter(|line| line.starts_with("icecore_verify_run{") && line.ends_with(" 1.0"));
    ones.map(|line| line.split('"').nth(1).unwrap()).collect()
}

#[test]
fn every_format_and_the_exit_code_agree() {
    let one = One::new();
    let plan = |name: &str, lines: &[&str]| fs::write(one.here.path(name), lines.join("\n")).unwrap();
    let gone = "snap-0123456789abcdef0";
    plan("good", &[&one.id, "a.manifest a.img"]);
    plan("mixed", &[&one.id, gone, "a.manifest b.img"]);
    fs::copy(one.here.path("a.img"), one.here.path("b.img")).unwrap();
    one.flip(1);
    fs::rename(one.here.path("a.img"), one.here.path("swap")).unwrap();
    fs::rename(one.here.path("b.img"), one.here.path("a.img")).unwrap();
    fs::rename(one.here.path("swap"), one.here.path("b.img")).unwrap();
    let id = one.id.as_str();

    // What is typed, its exit code and state, test cases, failures, errors, skipped.
    for (words, code, expected, counts) in [
        (vec![id], 0, "pass", [1, 0, 0, 0]),
        (vec![id, "a.img"], 0, "pass", [1, 0, 0, 0]),
        (vec![id, "b.img"], 1, "fail", [1, 1, 0, 0]),
        (
            vec![id, "--deadline", "1s", "--max-usd", "0.000001", "--state-dir", "s1"],
            3,
            "incomplete",
            [1, 0, 0, 1],
        ),
        (vec![gone], 2, "incomplete", [1, 0, 1, 0]),
        (vec![id, "no-such.img"], 2, "incomplete", [1, 0, 1, 0]),
        (vec!["--plan", "good"], 0, "pass", [2, 0, 0, 0]),
        (vec!["--plan", "mixed"], 1, "fail", [3, 1, 1, 0]),
        (vec!["--plan", "no-such-plan"], 2, "incomplete", [1, 0, 1, 0]),
        (vec![id, "--evidence", "new", "--sign-key", "no-such-key"], 2, "incomplete", [1, 0, 1, 0]),
    ] {
        let run = |format: &str| {
            let words: Vec<_> = ["verify"].into_iter().chain(words.iter().copied()).collect();
            one.run(&[words.as_slice(), &["--format", format, "--report-file", "report"]].concat())
        };
        let junit = run("junit");
        assert_eq!(junit.code, code, "{words:?}: {junit:?}");
        let found = ["testcase", "failure", "error", "skipped"].map(|tag| tags(&junit.stdout, tag));
        assert_eq!(found, counts, "{words:?}: {}", junit.stdout);
        assert_eq!(fs::read_to_string(one.here.path("report")).unwrap(), junit.stdout);

        let metrics = run("metrics");
        assert_eq!((metrics.code, state(&metrics.stdout)), (code, vec![expected]), "{words:?}: {metrics:?}");
        assert!(metrics.stdout.ends_with("# EOF\n"), "{}", metrics.stdout);
        assert_eq!(fs::read_to_string(one.here.path("report")).unwrap(), metrics.stdout);
        let succeeded = metrics.stdout.matches("icecore_verify_last_success_timestamp_seconds{").count();
        assert_eq!(succeeded, counts[0] - counts[1] - counts[2] - counts[3], "{}", metrics.stdout);

        let json = run("json");
        assert_eq!(json.code, code, "{words:?}");
        if !json.stdout.is_empty() {
            assert_eq!(one_object(&json.stdout)["state"], expected, "{words:?}");
        }
        let kept = one_object(&fs::read_to_string(one.here.path("report")).unwrap());
        assert_eq!(kept["state"], expected, "{words:?}: no file says what an earlier run found");
    }
    let known = one.here.run(&["ledger", "--format", "metrics"]);
    assert!(known.stdout.contains("icecore_ledger_snapshots{state=\"failed\"} 1.0"), "{}", known.stdout);
}

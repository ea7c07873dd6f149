//! Evidence of a volume that was warmed and verified in one pass.

use crate::cli::{Outcome, one_object};
use crate::verify::command::One;
use serde_json::Value;
use std::fs;

const BLOCK: u64 = 524_288;

fn warm(one: &One, words: &[&str]) -> Outcome {
    let keep = ["--evidence", "ev", "--sign-key", "key", "--threshold", "20s", "--format", "json"];
    one.run(&["warm"].iter().chain(words).chain(&keep).copied().collect::<Vec<_>>())
}

fn kept(one: &One, number: u32) -> (Value, Value) {
    let read = |name: &str| fs::read_to_string(one.here.path(&format!("ev/{number:06}/{name}"))).unwrap();
    (serde_json::from_str(&read("statement.json")).unwrap(), one_object(&read("report.json")))
}

fn with_key() -> One {
    let one = One::new();
    assert_eq!(one.here.run(&["evidence", "key", "key"]).code, 0);
    one
}

#[test]
fn one_pass_leaves_one_bundle_that_holds_both_verdicts_and_checks_out() {
    let one = with_key();
    let by_snapshot = ["a.img", "--snapshot", &one.id, "--verify", "--evidence-label", "ticket=OPS-7"];
    let warmed = warm(&one, &by_snapshot);
    let report = warmed.json();
    assert!(warmed.stderr.contains("evidence: bundle 1"), "{}", warmed.stderr);
    assert_eq!((&report["state"], &report["verified"]["state"]), (&"warm".into(), &"pass".into()));
    let root = &report["verified"]["content_root"];
    assert!(root.is_string() && report["proof"]["warm"] == true, "{report}");
    let (statement, held) = kept(&one, 1);
    assert_eq!(held, report, "what is kept is what was shown");
    let said = ["command", "state", "verified"].map(|field| statement[field].as_str().unwrap().to_owned());
    assert_eq!(said, ["warm", "warm", "pass"]);
    assert_eq!(statement["labels"]["ticket"], "OPS-7");
    // By its manifest, without an account, the same is proved.
    let by_manifest = warm(&one, &["a.img", "--manifest", "a.manifest", "--verify"]).json();
    assert_eq!(&by_manifest["verified"]["content_root"], root);
    let known = ["evidence", "verify", "ev", "--public-key", "key.pub", "--format", "json"];
    let whole = one.here.run(&known).json();
    assert_eq!((&whole["state"], &whole["bundles_total"]), (&"pass".into(), &2.into()));
}

#[test]
fn a_volume_that_is_warm_and_wrong_leaves_evidence_of_that() {
    let one = with_key();
    one.flip(700 * BLOCK + 12_345);
    let found = warm(&one, &["a.img", "--snapshot", &one.id, "--verify"]);
    assert_eq!(found.code, 1, "{found:?}");
    let (statement, held) = kept(&one, 1);
    assert_eq!(held, one_object(&found.stdout));
    assert_eq!((&statement["state"], &statement["verified"]), (&"warm".into(), &"fail".into()));
    let text = one.here.run(&["evidence", "verify", "ev"]).stdout;
    assert!(text.contains("warm, verified fail"), "nobody takes it for a volume that is well: {text}");
    assert_eq!((&held["state"], &held["verified"]["state"]), (&"warm".into(), &"fail".into()));
    assert_eq!(held["verified"]["mismatches"][0]["block_index"], 700);
}

#[test]
fn a_run_that_cannot_begin_and_one_of_several_leave_evidence() {
    let one = with_key();
    let missing = warm(&one, &["missing", "--manifest", "a.manifest", "--verify"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (2, ""), "{missing:?}");
    let pairs = ["--pair", "a.img=a.manifest", "--pair", "missing=a.manifest", "--verify"];
    assert_eq!(warm(&one, &pairs).code, 2);
    for number in [1, 2] {
        let (statement, held) = kept(&one, number);
        assert_eq!((&statement["state"], &held["state"]), (&"incomplete".into(), &"incomplete".into()));
    }
    let (statement, several) = kept(&one, 2);
    assert_eq!(statement["verified"], "pass", "of those that were read");
    assert_eq!(several["items"][0]["report"]["verified"]["state"], "pass");
    assert!(several["items"][1]["error"].as_str().unwrap().contains("there is no such file"));
}

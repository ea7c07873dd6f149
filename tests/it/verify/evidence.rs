//! `--evidence`, and `icecore evidence` as it is typed.

use crate::cli::{Outcome, one_object};
use crate::verify::command::One;
use serde_json::Value;
use std::fs;

fn kept(one: &One, words: &[&str]) -> Outcome {
    let keep = ["--evidence", "ev", "--sign-key", "key"];
    one.run(&words.iter().copied().chain(keep).collect::<Vec<_>>())
}

fn statement(one: &One, number: u32) -> Value {
    let path = one.here.path(&format!("ev/{number:06}/statement.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn report(one: &One, number: u32) -> Value {
    one_object(&fs::read_to_string(one.here.path(&format!("ev/{number:06}/report.json"))).unwrap())
}

#[test]
fn what_is_kept_is_what_was_shown_and_a_change_is_named() {
    let one = One::new();
    let key = one.here.run(&["evidence", "key", "key", "--format", "json"]).json();
    let passed = kept(&one, &["verify", &one.id, "--format", "json", "--evidence-label", "ticket=OPS-7"]);
    assert_eq!(report(&one, 1), passed.json());
    assert!(passed.stderr.contains("evidence: bundle 1"), "{}", passed.stderr);
    assert_eq!(kept(&one, &["verify", &one.id, "a.img", "--evidence-expires", "90d"]).code, 0);

    let known = ["evidence", "verify", "ev", "--public-key", "key.pub", "--format", "json"];
    let whole = one.here.run(&known).json();
    assert_eq!((&whole["state"], &whole["bundles_total"]), (&"pass".into(), &2.into()));
    assert_eq!(whole["public_keys"], serde_json::json!([key["public_key"]]));
    assert_eq!(whole["bundles"][0]["labels"]["ticket"], "OPS-7");
    assert!(whole["bundles"][1]["expires_at"].is_string() && whole["bundles"][0]["expires_at"].is_null());
    let anchor = whole["head_sha256"].as_str().unwrap();
    let text = one.here.run(&["evidence", "verify", "ev", "--anchor", anchor]);
    assert!(text.stdout.starts_with("PASS") && text.stdout.lines().count() <= 25, "{}", text.stdout);

    let path = one.here.path("ev/000001/report.json");
    let altered = fs::read_to_string(&path).unwrap().replace("pass", "fail");
    fs::write(&path, altered).unwrap();
    fs::remove_dir_all(one.here.path("ev/000002")).unwrap();
    let found = one.here.run(&["evidence", "verify", "ev", "--anchor", anchor, "--format", "json"]);
    assert_eq!(found.code, 1);
    let found = one_object(&found.stdout);
    let wrong: Vec<_> =
        found["findings"].as_array().unwrap().iter().filter_map(|found| found["wrong"].as_str()).collect();
    assert_eq!((&found["state"], wrong), (&"fail".into(), vec!["altered_file", "anchor_missing"]));
}

#[test]
fn a_run_that_fails_or_cannot_begin_leaves_evidence_of_that() {
    let one = One::new();
    assert_eq!(one.here.run(&["evidence", "key", "key"]).code, 0);
    one.flip(1);
    assert_eq!(kept(&one, &["verify", &one.id, "a.img"]).code, 1);
    assert_eq!(kept(&one, &["verify", &one.id, "--max-usd", "0.000001"]).code, 3);
    let gone = kept(&one, &["verify", "snap-0123456789abcdef0", "a.img"]);
    assert_eq!((gone.code, gone.stdout.as_str()), (2, ""), "{gone:?}");
    fs::write(one.here.path("plan"), format!("{}\nsnap-0123456789abcdef0\n", one.id)).unwrap();
    assert_eq!(kept(&one, &["verify", "--plan", "plan"]).code, 2);
    assert_eq!(kept(&one, &["verify", "--plan", "no-such-plan"]).code, 2);
    let states = ["fail", "incomplete", "incomplete", "incomplete", "incomplete"];
    for (number, state) in (1..).zip(states) {
        let (statement, report) = (statement(&one, number), report(&one, number));
        assert_eq!((&statement["state"], &report["state"]), (&state.into(), &state.into()), "{number}");
    }
    let item = &report(&one, 3)["items"][0];
    assert_eq!(item["name"], "snap-0123456789abcdef0 a.img");
    assert!(item["error"].as_str().unwrap().contains("does not exist"), "{item}");
}

#[test]
fn evidence_that_cannot_be_kept_is_said_before_the_work() {
    let one = One::new();
    let refused = |words: &[&str], code: i32, word: &str| {
        let words: Vec<_> = ["verify", &one.id].into_iter().chain(words.iter().copied()).collect();
        one.run(&words).refused(code, &[word]);
    };
    refused(&["--evidence", "a.img/ev"], 7, "keep evidence");
    refused(&["--evidence", "ev", "--sign-key", "none"], 2, "evidence key makes one");
    refused(&["--evidence", "ev", "--sign-key", "a.manifest"], 2, "not an Ed25519 key");
    assert_eq!(one.here.run(&["evidence", "key", "key"]).code, 0);
    one.here.run(&["evidence", "key", "key"]).refused(2, &["key.pub", "choose another"]);
    assert_eq!(kept(&one, &["verify", &one.id]).code, 0);
    refused(&["--evidence", "ev"], 2, "--sign-key");
    one.here.run(&["evidence", "verify", "nowhere"]).refused(2, &["no evidence here"]);
    let bad = one.here.run(&["evidence", "verify", "ev", "--public-key", "a.manifest"]);
    bad.refused(2, &["not an Ed25519 public key"]);
}

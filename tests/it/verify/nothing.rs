//! Nothing read is no pass, and the arguments that lead there are refused.

use super::command::One;
use super::*;
use crate::cli::{Outcome, one_object};
use icecore::ops::verify::{Extent, Level, State};
use icecore::sample::Partition;

impl One {
    /// Imports an image of zeros, so that the snapshot has no block.
    fn empty(&self) -> String {
        File::create(self.here.path("zeros.img")).unwrap().set_len(1 << 30).unwrap();
        self.import("zeros.img")
    }

    fn import(&self, image: &str) -> String {
        let words = ["import", image, "--omit-zero-blocks", "--format", "json"];
        self.run(&words).json()["snapshot_id"].as_str().unwrap().to_owned()
    }
}

/// An incomplete run, for the reason that is given.
#[track_caller]
fn incomplete(outcome: &Outcome, reason: &str) {
    assert_eq!(outcome.code, 3, "{outcome:?}");
    let report = one_object(&outcome.stdout);
    assert_eq!((&report["state"], &report["blocks_read"]), (&"incomplete".into(), &0.into()), "{report}");
    assert_eq!((&report["extent"], &report["reads_everything"]), (&"nothing".into(), &false.into()));
    assert_eq!(
        (&report["claims"], &report["damage_bound"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    assert!(report["reason"].as_str().unwrap().contains(reason), "{report}");
}

#[test]
fn a_snapshot_held_against_itself_is_refused_and_one_against_its_copy_passes() {
    let one = One::new();
    let refused = one.run(&["verify", &one.id, &one.id]);
    refused.refused(2, &[&one.id, "against itself"]);
    one.run(&["verify", &one.id, &one.id, "--sample", "99%/1%"]).refused(2, &["against itself"]);
    one.run(&["diff", &one.id, &one.id, "--content"]).refused(2, &["compared with itself"]);
    let copy = one.import("a.img");
    let report = one.run(&["verify", &one.id, &copy, "--format", "json"]).json();
    assert_eq!((&report["state"], &report["reads_everything"]), (&"pass".into(), &true.into()));
}

#[test]
fn a_delta_from_the_own_manifest_without_an_audit_is_refused_and_with_one_it_is_a_sample() {
    let one = One::new();
    let delta = ["--delta-from", "a.manifest", "--audit"];
    for subject in [&[one.id.as_str()][..], &["a.manifest", "a.img"]] {
        let words = [&["verify"], subject, &delta, &["0"]].concat();
        one.run(&words).refused(2, &["a.manifest", "the subject's own manifest", "--audit above 0"]);
        let words = [&["verify"], subject, &delta, &["2", "--unencrypted", "--format", "json"]].concat();
        let report = one.run(&words).json();
        assert_eq!((&report["state"], &report["blocks_read"]), (&"pass".into(), &2.into()), "{report}");
        assert_eq!((&report["extent"], &report["reads_everything"]), (&"delta".into(), &false.into()));
    }
}

#[test]
fn a_part_without_blocks_is_incomplete_in_every_format() {
    let one = One::new();
    let part = ["verify", one.id.as_str(), "--part", "999/1000"];
    let said = "Part 999/1000 has none of the 3 blocks: nothing was read.";
    incomplete(&one.run(&[&part[..], &["--format", "json"]].concat()), said);
    let text = one.run(&part);
    assert!(
        text.code == 3 && text.stdout.starts_with("INCOMPLETE") && text.stdout.contains("nothing was read")
    );
    let junit = one.run(&[&part[..], &["--format", "junit"]].concat());
    assert!(
        junit.code == 3 && junit.stdout.contains("errors=\"1\"") && junit.stdout.contains(said),
        "{junit:?}"
    );
    let metrics = one.run(&[&part[..], &["--format", "metrics"]].concat());
    assert!(metrics.code == 3 && !metrics.stdout.contains("last_success_timestamp_seconds{"), "{metrics:?}");
}

#[test]
fn an_empty_snapshot_is_no_pass_unless_that_is_accepted_and_then_it_is_said() {
    let one = One::new();
    let (id, again) = (one.empty(), one.empty());
    let noted = one.run(&["manifest", &id, "-o", "empty.manifest"]);
    assert!(noted.code == 0 && noted.stderr.contains("has no blocks"), "{noted:?}");
    for words in [
        vec!["verify", &id],
        vec!["verify", &id, "--sample", "99%/1%"],
        vec!["verify", &id, "--part", "1/3"],
        vec!["verify", &id, "--cycle", "3d"],
        vec!["verify", &id, "--manifest", "empty.manifest"],
        vec!["verify", &id, &again],
    ] {
        let words = [&words[..], &["--format", "json"]].concat();
        incomplete(&one.run(&words), "The snapshot has no blocks");
        let accepted = one.run(&[&words[..], &["--allow-empty"]].concat()).json();
        assert_eq!((&accepted["state"], &accepted["blocks_read"]), (&"pass".into(), &0.into()), "{words:?}");
        assert!(accepted["claims"].as_str().unwrap().contains("The snapshot has no blocks"), "{accepted}");
    }
    let accepted = one.run(&["verify", &id, "--allow-empty"]);
    assert!(accepted.code == 0 && accepted.stdout.contains("The snapshot has no blocks"), "{accepted:?}");
}

#[test]
fn absent_blocks_of_an_image_that_were_judged_are_something() {
    let one = One::new();
    let id = one.empty();
    let judged = one.run(&["verify", &id, "zeros.img", "--unencrypted", "--format", "json"]).json();
    assert_eq!((&judged["state"], &judged["blocks_read"]), (&"pass".into(), &2048.into()));
    let said =
        judged["disclaimers"].as_array().unwrap().iter().any(|one| one == "The snapshot has no blocks.");
    assert!(said, "{judged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_blocks_that_cannot_be_judged_are_nothing_even_where_an_empty_snapshot_is_accepted() {
    let world = World::new();
    let id = world.snapshot(None, &[]);
    // No control plane says whether the volume was encrypted.
    let (manifest, _) = world.manifest_of(&id, None, "empty").await;
    let image = world.image("zeros", &[]);
    for what in [What::Snapshot(id.clone()), What::Manifest(manifest)] {
        for allow_empty in [false, true] {
            let against = Against::Image(image.clone());
            let report = world.verify(&Options { against, allow_empty, ..Options::of(what.clone()) }).await;
            assert_eq!((report.state(), report.coverage.unverifiable), (State::Incomplete, 2048));
            assert!(report.void().unwrap().contains("what the target holds there cannot be judged"));
        }
    }
}

#[test]
fn an_empty_snapshot_in_a_job_is_a_finding_in_every_format_unless_that_is_accepted() {
    let one = One::new();
    let empty = one.empty();
    let plan = |lines: &str| std::fs::write(one.here.path("plan"), lines).unwrap();
    plan(&format!("{}\n{empty}\n", one.id));
    let run = |format: &str, more: &[&str]| {
        one.run(&[&["verify", "--plan", "plan", "--format", format], more].concat())
    };
    let found = run("json", &[]);
    assert_eq!(found.code, 1, "{found:?}");
    let job = one_object(&found.stdout);
    let finding = &job["findings"][0];
    assert_eq!((&job["state"], &finding["rule"]), (&"fail".into(), &"empty-snapshot".into()), "{job}");
    assert_eq!((&finding["resource"], &finding["severity"]), (&empty.as_str().into(), &"error".into()));
    assert!(finding["what"].is_string() && finding["fix"].is_string(), "{finding}");
    assert_eq!((&job["items"][0]["state"], &job["items"][1]["state"]), (&"pass".into(), &"fail".into()));
    let junit = run("junit", &[]).stdout;
    assert!(junit.contains("failures=\"1\"") && junit.contains("empty-snapshot"), "{junit}");
    let metrics = run("metrics", &[]).stdout;
    let line = format!("icecore_verify_finding{{subject=\"{empty}\",rule=\"empty-snapshot\"}} 1.0");
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
    let text = run("text", &[]);
    assert!(text.code == 1 && text.stdout.contains("empty-snapshot"), "{text:?}");
    assert_eq!(run("json", &["--allow-empty"]).json()["findings"], serde_json::json!([]));
    plan(&format!("{}\n{empty} --allow-empty\n", one.id));
    assert_eq!(run("json", &[]).json()["state"], "pass", "a line accepts it for itself");
}

#[cfg(not(feature = "ec2"))]
#[test]
fn an_age_that_nothing_tells_is_not_held_against_rpo() {
    let one = One::new();
    for words in [&["verify", one.id.as_str()][..], &["verify", "a.manifest", "a.img"]] {
        one.run(&[words, &["--rpo", "26h"]].concat()).refused(2, &["--rpo cannot be judged"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_in_which_nothing_changed_reads_nothing_and_is_incomplete() {
    let world = World::new();
    let first = world.snapshot(None, &[(0, 1), (9, 1)]);
    let second = world.snapshot(Some(&first), &[]);
    let (base, _) = world.manifest_of(&first, None, "first").await;
    let delta = |audit| Options { delta_from: Some(base.clone()), audit, ..snapshot(&second) };
    let report = world.verify(&delta(0)).await;
    assert_eq!((report.state(), report.extent()), (State::Incomplete, Extent::Nothing));
    assert!(report.void().unwrap().starts_with("No block was written"), "{:?}", report.void());
    let audited = world.verify(&delta(1)).await;
    assert_eq!((audited.state(), audited.extent()), (State::Pass, Extent::Delta));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_list_of_nothing_is_no_pass_at_level_1() {
    let world = World::new();
    let id = world.snapshot(None, &[]);
    let listed = Options { level: Some(Level::BlockMap), ..snapshot(&id) };
    let report = world.verify(&listed).await;
    assert_eq!((report.state(), report.subject.blocks), (State::Incomplete, Some(0)));
    assert_eq!(world.verify(&Options { allow_empty: true, ..listed }).await.state(), State::Pass);
    let held = world.snapshot(None, &[(5, 1)]);
    let report = world.verify(&Options { level: Some(Level::BlockMap), ..snapshot(&held) }).await;
    assert_eq!((report.state(), report.reads_everything()), (State::Pass, false), "it reads no block");
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_an_empty_snapshot_accepts_no_other_nothing() {
    let world = World::new();
    let id = world.snapshot(None, &[(0, 1)]);
    let part = Options { part: Partition::new(9, 10), allow_empty: true, ..snapshot(&id) };
    assert_eq!(world.verify(&part).await.state(), State::Incomplete);
}

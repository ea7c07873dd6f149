//! Drills against the endpoint: the program itself, and what kills it.

use crate::cli::{Here, Outcome, one_object};
use crate::lab::{Lab, generation};
use icecore::account::Pace;
use icecore::endpoint::{Config, Settings};
use icecore::snapshot::SnapshotId;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(super) const HOST: &str = "i-00000000000000001";

/// The program on its way to a drill against the laboratory's endpoint.
pub(super) fn command(here: &Here, lab: &Lab, words: &[&str]) -> Command {
    let mut command = here.command(words);
    command.args(["--endpoint-url", &lab.endpoint.url(), "--region", "us-east-1"]);
    command.env("AWS_ACCESS_KEY_ID", "AK").env("AWS_SECRET_ACCESS_KEY", "secret");
    command
}

/// The options that say which machine this is.
pub(super) fn at(lab: &Lab) -> Vec<String> {
    let devices = lab.path("store/devices").join(HOST);
    ["--instance", HOST, "--devices", devices.to_str().unwrap()].map(str::to_owned).into()
}

pub(super) async fn run(here: &Here, lab: &Lab, words: &[&str]) -> Outcome {
    let mut command = command(here, lab, words);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Outcome::of(&output)
}

pub(super) async fn drill(here: &Here, lab: &Lab, words: &[&str]) -> Outcome {
    let at = at(lab);
    let words: Vec<&str> =
        ["drill"].into_iter().chain(words.iter().copied()).chain(at.iter().map(String::as_str)).collect();
    run(here, lab, &words).await
}

/// Waits until what was deleted is gone.
pub(super) async fn nothing_left(lab: &Lab) {
    for _ in 0..500 {
        let files = |dir: &Path| std::fs::read_dir(dir).map_or(0, |found| found.count());
        let devices = lab.path("store/devices").join(HOST);
        if files(&lab.path("store/volumes")) + files(&devices) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let left = lab.endpoint.edit("us-east-1", |held| format!("{:?}", held.volumes)).unwrap();
    panic!("left: {left}");
}

pub(super) async fn three() -> (Lab, Vec<SnapshotId>) {
    let lab = Lab::new().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(lab.import(&generation(n), ids.last()).await.snapshot_id);
    }
    (lab, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_volumes_are_drilled_with_evidence_that_verifies_and_nothing_is_left() {
    let (lab, ids) = three().await;
    let here = Here::new();
    let names: Vec<&str> = ids.iter().map(SnapshotId::as_str).collect();
    let rehearsal = [&names[..], &["--dry-run", "--format", "json"]].concat();
    let all = lab.endpoint.counts();
    let before = all.mutating();
    let plan = drill(&here, &lab, &rehearsal).await.json();
    assert_eq!(lab.endpoint.counts().mutating(), before, "a rehearsal changes nothing");
    let calls = |undo: bool| {
        let steps = plan["parts"][0]["steps"].as_array().unwrap().iter();
        steps
            .filter(|step| step["undo"] == undo)
            .flat_map(|step| step["calls"].as_array().unwrap())
            .map(|call| call.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(calls(false), ["ec2:CreateVolume", "ec2:AttachVolume"]);
    assert_eq!(calls(true), ["ec2:DetachVolume", "ec2:DeleteVolume"]);

    assert_eq!(run(&here, &lab, &["evidence", "key", "key"]).await.code, 0);
    let goals = ["--format", "json", "--at-once", "3", "--rto", "10m", "--rpo", "1d"];
    let words = [&names[..], &goals, &["--evidence", "ev", "--sign-key", "key"]].concat();
    let report = drill(&here, &lab, &words).await.json();
    assert_eq!(
        (report["state"].as_str(), report["schema"].as_str()),
        (Some("pass"), Some("icecore/drill/1"))
    );
    for (one, id) in report["drills"].as_array().unwrap().iter().zip(&names) {
        assert_eq!(one["snapshot_id"].as_str(), Some(*id));
        let found = &one["verification"];
        assert_eq!(found["blocks_read"], found["blocks_total"]);
        assert_eq!((one["missed"].as_array().unwrap().len(), one["left"].as_array().unwrap().len()), (0, 0));
    }
    // What it sent is what the plan said, once for each volume.
    let counts = lab.endpoint.counts();
    for call in calls(false).iter().chain(&calls(true)) {
        assert_eq!(counts.of(call.trim_start_matches("ec2:")), 3, "{call}");
    }
    assert_eq!(counts.mutating() - before, 12);
    // And what the policy of icecore iam-policy --for drill allows. Who asks, as evidence tells it, STS says whatever a
    // policy allows.
    let mut asked: std::collections::BTreeSet<_> =
        counts.iter().filter(|(name, count)| *count > all.of(name)).map(|(name, _)| name).collect();
    assert!(asked.remove("GetCallerIdentity"), "evidence names who asked");
    assert_eq!(asked, icecore::iam::Task::named("drill").unwrap().calls());
    assert_eq!(counts.of("DeleteSnapshot"), 0);
    nothing_left(&lab).await;
    let evidence = run(&here, &lab, &["evidence", "verify", "ev", "--public-key", "key.pub"]).await;
    assert_eq!(evidence.code, 0, "{evidence:?}");
}

/// Row 25 of the table of procedures: "test restores". A temporary volume is deleted or named as left over, and
/// damage of the restored volume fails it with the right blocks.
#[tokio::test(flavor = "multi_thread")]
async fn row_25_damage_in_a_restored_volume_fails_the_drill_with_the_right_blocks() {
    let account = Settings {
        pace: Pace { attach: Duration::from_millis(700), ..Pace::default() },
        ..Settings::default()
    };
    let lab = Lab::with(Config { account, ..Config::default() }).await;
    let id = lab.import(&generation(0), None).await.snapshot_id;
    let here = Here::new();
    let damaged = async {
        // While it is on its way to the instance, its device is there already.
        let devices = lab.path("store/devices").join(HOST);
        loop {
            let found = std::fs::read_dir(&devices).ok().and_then(|mut found| found.next());
            if let Some(Ok(entry)) = found {
                use std::os::unix::fs::FileExt;
                let file = std::fs::File::options().write(true).open(entry.path()).unwrap();
                file.write_all_at(b"damage", 5 * 524_288 + 17).unwrap();
                file.write_all_at(b"damage", 9 * 524_288).unwrap();
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let words = [id.as_str(), "--format", "json"];
    let (outcome, ()) = tokio::join!(drill(&here, &lab, &words), damaged);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let report = one_object(&outcome.stdout);
    assert_eq!(report["state"], "fail");
    let wrong: Vec<_> = report["drills"][0]["verification"]["mismatches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["block_index"].as_u64().unwrap())
        .collect();
    assert_eq!(wrong, [5, 9]);
    assert_eq!(report["drills"][0]["validation"]["status"], "FAILED");
    nothing_left(&lab).await;
}

/// A volume that somebody else restored is attached, verified and detached, and otherwise left as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_volume_is_verified_and_left_as_it_was() {
    let lab = Lab::new().await;
    let id = lab.import(&generation(1), None).await.snapshot_id;
    let volumes = lab.services.control.clone().unwrap().volumes;
    let new = icecore::estate::NewVolume {
        snapshot: Some(id),
        zone: "us-east-1a".into(),
        kind: icecore::estate::VolumeKind::Gp3,
        size: None,
        iops: None,
        throughput: None,
        initialization_rate: None,
        encrypted: None,
        kms_key_id: None,
        client_token: "backup".into(),
        tags: [("owner".to_owned(), "backup".to_owned())].into(),
    };
    let volume = volumes.create_volume(&new).await.unwrap().id;
    let here = Here::new();
    let words = ["--restored-volume", volume.as_str(), "--restore-job", "job'7", "--format", "json"];
    let outcome = drill(&here, &lab, &words).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let report = one_object(&outcome.stdout);
    let told = &report["drills"][0];
    assert_eq!(
        (report["state"].as_str(), told["validation"]["status"].as_str()),
        (Some("pass"), Some("SUCCESSFUL"))
    );
    let command = "put-restore-validation-result --restore-job-id 'job'\\''7' --validation-status SUCCESSFUL";
    assert!(outcome.stderr.contains(command), "{}", outcome.stderr);
    let held = lab.endpoint.edit("us-east-1", |held| held.volumes.clone()).unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].tags, new.tags);
    let counts = lab.endpoint.counts();
    assert_eq!((counts.of("CreateVolume"), counts.of("DeleteVolume")), (1, 0), "the one is the test's own");
    assert_eq!((counts.of("AttachVolume"), counts.of("DetachVolume")), (1, 1));
    assert_eq!((counts.of("CreateTags"), counts.of("DeleteTags")), (1, 1), "tagged before it was attached");
}

/// Starts a drill and kills it after a while, as if the machine had gone.
async fn killed(here: &Here, lab: &Lab, snapshot: &str, after: Duration) -> bool {
    let at = at(lab);
    let words: Vec<&str> = ["drill", snapshot].into_iter().chain(at.iter().map(String::as_str)).collect();
    let mut child: Child =
        command(here, lab, &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(after).await;
    let is_over = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    !is_over
}

/// Runs that have a journal here.
pub(super) fn journals(here: &Here) -> Vec<String> {
    let found = std::fs::read_dir(here.path("state").join("runs")).into_iter().flatten().flatten();
    let names = found.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".journal").map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_drill_is_ended_by_resume_or_by_cleanup_wherever_that_runs() {
    let slow = Duration::from_millis(120);
    let pace = Pace { create: slow, attach: slow, detach: slow, delete: slow, ..Pace::default() };
    let account = Settings { pace, ..Settings::default() };
    let lab = Lab::with(Config { account, ..Config::default() }).await;
    let id = lab.import(&generation(0), None).await.snapshot_id;
    let lab = &lab;
    let kills = super::faults::seeds(20 * 50).div_ceil(50).clamp(3, 20);
    let mut died = 0;
    for n in 0..kills {
        let here = Here::new();
        let after = Duration::from_millis(30 + 1200 * n / kills);
        died += u32::from(killed(&here, lab, id.as_str(), after).await);
        let elsewhere = Here::new();
        match n % 3 {
            0 => {
                for run_id in journals(&here) {
                    let outcome = run(&here, lab, &["resume", &run_id]).await;
                    assert!(matches!(outcome.code, 0 | 3), "kill {n}: {outcome:?}");
                }
            }
            1 => assert_eq!(run(&here, lab, &["cleanup"]).await.code, 0),
            // No journal tells there that an order was on its way when the process died: so again until it has come.
            _ => {
                for _ in 0..20 {
                    assert_eq!(run(&elsewhere, lab, &["cleanup", "--older-than", "0s"]).await.code, 0);
                    if lab.endpoint.edit("us-east-1", |held| held.volumes.is_empty()).unwrap() {
                        break;
                    }
                }
            }
        }
        nothing_left(lab).await;
        let ended: Value = run(&here, lab, &["cleanup", "--format", "json"]).await.json();
        assert_eq!(ended["items"], serde_json::json!([]), "kill {n}");
        assert_eq!(journals(&here), [] as [String; 0], "kill {n}");
    }
    assert!(died > 0, "none of the drills was killed in its course");
    assert_eq!(lab.endpoint.counts().of("DeleteSnapshot"), 0);
}

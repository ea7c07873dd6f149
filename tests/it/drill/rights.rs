//! What `iam-policy` allows drills and what clears away after them is what they ask: none missing, none unused.

use super::live::{HOST, drill, nothing_left, run};
use crate::cli::Here;
use crate::lab::{Lab, generation};
use icecore::account::Pace;
use icecore::endpoint::{Config, Counts, Settings};
use icecore::estate::{NewVolume, VolumeKind};
use icecore::iam::{Need, Task};
use icecore::snapshot::{SnapshotId, VolumeId};
use serde_json::Value;
use std::collections::BTreeSet;

/// What was asked since.
fn asked(lab: &Lab, before: &Counts) -> BTreeSet<&'static str> {
    let now = lab.endpoint.counts();
    now.iter().filter(|(name, count)| *count > before.of(name)).map(|(name, _)| name).collect()
}

/// `CreateVolume` of `ec2:CreateVolume`.
fn operation(action: &Value) -> &str {
    action.as_str().unwrap().split_once(':').unwrap().1
}

fn allowed(task: &str) -> BTreeSet<&'static str> {
    Task::named(task).unwrap().calls()
}

/// A volume as somebody makes it, with these tags.
fn new_volume(snapshot: &SnapshotId, token: &str, tags: &[(&str, &str)]) -> NewVolume {
    NewVolume {
        snapshot: Some(snapshot.clone()),
        zone: "us-east-1a".into(),
        kind: VolumeKind::Gp3,
        size: None,
        iops: None,
        throughput: None,
        initialization_rate: None,
        encrypted: None,
        kms_key_id: None,
        client_token: token.into(),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drills_of_every_kind_ask_what_their_policies_allow_and_nothing_else() {
    // So slow that a new volume is worth warming.
    let pace = Pace { initialization: 1, ..Pace::default() };
    let lab =
        Lab::with(Config { account: Settings { pace, ..Settings::default() }, ..Config::default() }).await;
    let first = lab.import(&generation(0), None).await.snapshot_id;
    let second = lab.import(&generation(1), Some(&first)).await.snapshot_id;
    let here = Here::new();
    let manifest = run(&here, &lab, &["manifest", first.as_str(), "-o", "a.manifest"]).await;
    assert_eq!(manifest.code, 0, "{manifest:?}");
    let volumes = lab.services.control.clone().unwrap().volumes;
    let restored = volumes.create_volume(&new_volume(&second, "backup", &[])).await.unwrap().id;
    let lines: [(&str, &[&str]); 4] = [
        ("drill", &[second.as_str()]),
        ("drill --warm", &[second.as_str(), "--warm", "20"]),
        ("drill --delta-from", &[second.as_str(), "--delta-from", "a.manifest"]),
        ("drill --restored-volume", &["--restored-volume", restored.as_str()]),
    ];
    for (task, words) in lines {
        let before = lab.endpoint.counts();
        // Listings are kept in the state directory, so each has its own.
        let elsewhere = Here::new();
        std::fs::copy(here.path("a.manifest"), elsewhere.path("a.manifest")).unwrap();
        let plan =
            drill(&elsewhere, &lab, &[words, &["--dry-run", "--format", "json"]].concat()).await.json();
        let planned: BTreeSet<&str> = plan["permissions"].as_array().unwrap().iter().map(operation).collect();
        let policy: BTreeSet<_> = Task::named(task).unwrap().needs().map(Need::operation).collect();
        assert_eq!(planned, policy, "{task}: the plan and the policy agree");
        let outcome = drill(&elsewhere, &lab, words).await;
        assert_eq!(outcome.code, 0, "{task}: {outcome:?}");
        assert_eq!(asked(&lab, &before), allowed(task), "{task}");
    }
}

/// What dead runs left is a volume, attached, and an attachment of somebody else's volume.
#[tokio::test(flavor = "multi_thread")]
async fn a_cleanup_asks_what_its_policy_allows_and_may_neither_read_nor_make_anything() {
    let lab = Lab::new().await;
    let id = lab.import(&generation(0), None).await.snapshot_id;
    let volumes = lab.services.control.clone().unwrap().volumes;
    let run_id = ("icecore:run", "run-00000000000000aa");
    let made = new_volume(
        &id,
        "made",
        &[run_id, ("icecore:temporary", "volume"), ("icecore:snapshot", id.as_str())],
    );
    let theirs =
        new_volume(&id, "theirs", &[run_id, ("icecore:temporary", "attachment"), ("owner", "backup")]);
    let mut ids: Vec<VolumeId> = Vec::new();
    for (new, device) in [(made, "/dev/sdf"), (theirs, "/dev/sdg")] {
        let id = volumes.create_volume(&new).await.unwrap().id;
        let host = HOST.parse().unwrap();
        while volumes.attach_volume(&id, &host, device).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        ids.push(id);
    }
    let before = lab.endpoint.counts();
    let cleaned =
        run(&Here::new(), &lab, &["cleanup", "--older-than", "0s", "--format", "json"]).await.json();
    assert_eq!(cleaned["items"].as_array().unwrap().len(), 2, "{cleaned}");
    assert_eq!(asked(&lab, &before), allowed("cleanup"));
    for harm in ["GetSnapshotBlock", "CreateVolume", "CreateTags", "AttachVolume", "DeleteSnapshot"] {
        assert!(!allowed("cleanup").contains(harm), "{harm}");
    }
    for harm in ["CreateVolume", "DeleteVolume"] {
        assert!(!allowed("drill --restored-volume").contains(harm), "{harm}");
    }
    let held = lab.endpoint.edit("us-east-1", |held| held.volumes.clone()).unwrap();
    let theirs = held.iter().find(|volume| volume.id == ids[1]).unwrap();
    assert_eq!(theirs.tags.keys().collect::<Vec<_>>(), ["owner"]);
    volumes.delete_volume(&ids[1]).await.unwrap();
    nothing_left(&lab).await;
}

//! Whole commands against the endpoint: what is chosen, which machine this is, and what drills leave on bad days.

use super::live::{HOST, command, drill, journals, nothing_left, run};
use crate::cli::{Here, Outcome, one_object};
use crate::lab::Lab;
use icecore::account::Pace;
use icecore::block::BlockIndex;
use icecore::endpoint::{self, Config, Settings, Shelves};
use icecore::estate::{BinKind, BinRule};
use icecore::fault::Fault;
use icecore::shelf::{Content, Entry, Shelf, ShelfWriter, Shelved};
use icecore::snapshot::{SnapshotId, VolumeId};
use icecore::store::StoreWriter;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// A store whose snapshots were taken of the volumes that their tags name.
#[derive(Debug)]
struct Taken(Arc<StoreWriter>);

fn taken(mut shelved: Shelved) -> Shelved {
    shelved.info.volume_id = shelved.info.tags.get("of").map(|id| id.parse::<VolumeId>().unwrap());
    shelved
}

impl Shelf for Taken {
    fn secret(&self) -> [u8; 32] {
        self.0.secret()
    }

    fn list(&self) -> Result<Vec<Shelved>, Fault> {
        Ok(self.0.list()?.into_iter().map(taken).collect())
    }

    fn find(&self, id: &SnapshotId) -> Result<Option<Shelved>, Fault> {
        Ok(self.0.find(id)?.map(taken))
    }

    fn window(&self, id: &SnapshotId, from: BlockIndex, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.0.window(id, from, limit)
    }

    fn read(&self, id: &SnapshotId, index: BlockIndex) -> Result<Option<Content>, Fault> {
        self.0.read(id, index)
    }
}

/// A laboratory in which snapshots are there at once.
async fn prompt(account: Settings) -> Lab {
    let account = Settings { complete_takes: Duration::ZERO, ..account };
    Lab::with(Config { account, ..Config::default() }).await
}

fn drilled(outcome: &Outcome) -> Vec<String> {
    let report = outcome.json();
    let ids = report["drills"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["snapshot_id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_chosen_by_volume_by_tag_and_at_random() {
    let mut lab = prompt(Settings::default()).await;
    let mut ids: Vec<String> = Vec::new();
    for (byte, volume) in (1..).zip(["vol-0a", "vol-0a", "vol-0b", "vol-0b"]) {
        let id = lab.snapshot(None, 1, &BTreeMap::from([(3, byte)])).await;
        let tags =
            [("of", volume), ("backup", "nightly")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        lab.services.snapshots.as_ref().unwrap().tag(&id, &tags.into()).await.unwrap();
        ids.push(id.to_string());
    }
    let shelves = Shelves::read_only(Arc::new(Taken(lab.store.clone()))).keeping(lab.store.clone());
    lab.endpoint = endpoint::start(Config::default(), shelves).await.unwrap();
    let (here, lab) = (Here::new(), &lab);
    let chosen =
        async |words: &[&str]| drilled(&drill(&here, lab, &[words, &["--format", "json"]].concat()).await);
    assert_eq!(chosen(&["--latest", "--volume", "vol-0a"]).await, [ids[1].as_str()]);
    let mut newest = chosen(&["--tag", "backup=nightly", "--latest-per-volume"]).await;
    newest.sort();
    let mut expected = vec![ids[1].clone(), ids[3].clone()];
    expected.sort();
    assert_eq!(newest, expected);
    let first = chosen(&["--random", "--seed", "7"]).await;
    assert_eq!(chosen(&["--random", "--seed", "7", "--tag", "backup=nightly"]).await, first, "the same draw");
    assert_eq!(first.len(), 1);

    // Without a seed the one that was drawn is told, and draws the same again.
    let words = ["--random", "--format", "json"];
    let drawn = drill(&here, lab, &words).await;
    let seed =
        drawn.stderr.split("--seed ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    assert_eq!(chosen(&["--random", "--seed", &seed]).await, drilled(&drawn));

    drill(&here, lab, &["--latest", "--volume", "vol-0c"]).await.refused(2, &["no snapshot is as asked for"]);
    drill(&here, lab, &["--tag", "backup=weekly"]).await.refused(2, &["icecore list"]);
    drill(&here, lab, &["--latest"]).await.refused_by_clap("--volume");
    drill(&here, lab, &[&ids[0], "--random"]).await.refused_by_clap("--random");
    drill(&here, lab, &[]).await.refused(2, &["no snapshot is given"]);
    nothing_left(lab).await;
}

/// An instance metadata service, version 2, that answers with a status below 400 or refuses everything.
async fn metadata(instance: &'static str, zone: &'static str, status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                loop {
                    let mut head = Vec::new();
                    loop {
                        let mut line = String::new();
                        match stream.read_line(&mut line).await {
                            Ok(1..) if !line.trim().is_empty() => head.push(line.trim().to_ascii_lowercase()),
                            Ok(1..) => break,
                            _ => return,
                        }
                    }
                    let has = |header: &str| head.iter().any(|line| line.starts_with(header));
                    let (status, body) = match head[0].split(' ').nth(1) {
                        _ if status >= 400 => (status, ""),
                        Some("/latest/api/token") if has("x-aws-ec2-metadata-token-ttl-seconds:") => {
                            (200, "token")
                        }
                        _ if !has("x-aws-ec2-metadata-token: token") => (401, ""),
                        Some("/latest/meta-data/instance-id") => (200, instance),
                        Some("/latest/meta-data/placement/availability-zone") => (200, zone),
                        _ => (404, ""),
                    };
                    let answer = format!(
                        "HTTP/1.1 {status} x\r\nx-aws-ec2-metadata-token-ttl-seconds: 60\r\ncontent-length: \
                         {}\r\n\r\n{body}",
                        body.len()
                    );
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// A drill on a machine whose metadata service is there.
async fn asking(here: &Here, lab: &Lab, service: &str, words: &[&str]) -> Outcome {
    let mut command = command(here, lab, words);
    command.env_remove("AWS_EC2_METADATA_DISABLED").env("AWS_EC2_METADATA_SERVICE_ENDPOINT", service);
    Outcome::of(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metadata_service_says_which_instance_this_is_and_in_which_zone() {
    let lab = prompt(Settings::default()).await;
    let id = lab.snapshot(None, 1, &BTreeMap::from([(3, 1)])).await;
    let here = Here::new();
    let service = metadata(HOST, "us-east-1b", 200).await;
    let before = lab.endpoint.counts().of("DescribeInstances");
    let words = ["drill", id.as_str(), "--dry-run"];
    let plan = asking(&here, &lab, &service, &words).await;
    assert_eq!(plan.code, 0, "{plan:?}");
    assert!(plan.stdout.contains("in us-east-1b") && plan.stdout.contains(HOST), "{}", plan.stdout);
    assert_eq!(lab.endpoint.counts().of("DescribeInstances"), before, "EC2 need not be asked for the zone");

    let refusing = metadata(HOST, "us-east-1b", 403).await;
    let absent = {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", gone.local_addr().unwrap())
    };
    let strange = metadata("nobody", "us-east-1b", 200).await;
    for (service, said) in [(&refusing, "gives no token"), (&absent, "does not answer"), (&strange, "nobody")]
    {
        let outcome = asking(&here, &lab, service, &words).await;
        outcome.refused(2, &[said, "give --instance"]);
    }
    // What is typed counts, and nobody is asked.
    let words = ["drill", id.as_str(), "--dry-run", "--instance", HOST, "--zone", "us-east-1a"];
    let plan = asking(&here, &lab, &absent, &words).await;
    assert!(plan.code == 0 && plan.stdout.contains("in us-east-1a"), "{plan:?}");
    drill_without_instance(&here, &lab, &id).await;
}

async fn drill_without_instance(here: &Here, lab: &Lab, id: &SnapshotId) {
    let outcome = run(here, lab, &["drill", id.as_str()]).await;
    outcome.refused(2, &["AWS_EC2_METADATA_DISABLED is set", "give --instance"]);
}

/// Row 20 of the table of procedures: "pre-warm". What `dd` does by hand: what is allocated is read, and nothing else,
/// before the volume is used, and it costs nothing; no fast snapshot restore is switched on for it.
#[tokio::test(flavor = "multi_thread")]
async fn row_20_a_volume_is_warmed_before_it_is_verified_for_nothing() {
    // So slow that AWS would not say that it is there already.
    let pace = Pace { initialization: 1, ..Pace::default() };
    let lab = prompt(Settings { pace, ..Settings::default() }).await;
    let blocks: BTreeMap<u32, u8> = (0..40).map(|n| n * 11).zip(1..).collect();
    let id = lab.snapshot(None, 1, &blocks).await;
    let here = Here::new();
    let plan =
        drill(&here, &lab, &[id.as_str(), "--warm", "all", "--dry-run", "--format", "json"]).await.json();
    let steps = plan["parts"][0]["steps"].as_array().unwrap();
    let order: Vec<_> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(order[..6], ["create", "attach", "device", "protect", "warm", "verify"]);
    let warm = &steps[4];
    assert_eq!(warm["calls"], json!([]), "it changes nothing");
    let report = drill(&here, &lab, &[id.as_str(), "--warm", "all", "--format", "json"]).await.json();
    let told = &report["drills"][0];
    assert_eq!(report["state"], "pass");
    // How fast it is now depends on this machine: that is not claimed here.
    assert!(["warm", "partial"].contains(&told["warm"]["state"].as_str().unwrap()), "{told}");
    assert_eq!((&told["warm"]["blocks_read"], &told["warm"]["blocks_planned"]), (&json!(40), &json!(40)));
    let seconds: f64 = told["steps"].as_array().unwrap()[..5]
        .iter()
        .filter(|step| step["step"] != "protect")
        .map(|step| step["seconds"].as_f64().unwrap())
        .sum();
    assert!((told["restore_seconds"].as_f64().unwrap() - seconds).abs() < 0.001, "warming counts: {told}");
    let few = drill(&here, &lab, &[id.as_str(), "--warm", "7", "--format", "json"]).await.json();
    assert_eq!(few["drills"][0]["warm"]["blocks_read"], 7);
    assert_eq!(lab.endpoint.counts().of("EnableFastSnapshotRestores"), 0);
    drill(&here, &lab, &[id.as_str(), "--warm", "0"]).await.refused_by_clap("from 1 on");
    nothing_left(&lab).await;
}

/// Row 28 of the table of procedures: "deleting a middle snapshot is safe". The block maps of those that stay are the
/// same before and after, and what is restored of them is what they hold.
#[tokio::test(flavor = "multi_thread")]
async fn row_28_a_snapshot_deleted_in_the_middle_changes_neither_the_maps_nor_the_restores_of_the_rest() {
    let lab = prompt(Settings::default()).await;
    let here = Here::new();
    let mut chance = fastrand::Rng::with_seed(28);
    for _ in 0..2 {
        let mut chain: Vec<SnapshotId> = Vec::new();
        for _ in 0..4 {
            let written = (0..chance.u32(1..12)).map(|_| (chance.u32(..64), chance.u8(1..))).collect();
            chain.push(lab.snapshot(chain.last(), 1, &written).await);
        }
        let gone = chain.remove(chance.usize(1..3));
        let maps = async || {
            let mut maps = Vec::new();
            for id in &chain {
                maps.push(run(&Here::new(), &lab, &["blocks", id.as_str()]).await.stdout);
            }
            maps
        };
        let before = maps().await;
        lab.store.delete(&gone).unwrap();
        assert_eq!(maps().await, before);
        let mut words: Vec<&str> = chain.iter().map(SnapshotId::as_str).collect();
        words.extend(["--format", "json"]);
        let report = drill(&here, &lab, &words).await.json();
        assert_eq!((&report["state"], report["drills"].as_array().unwrap().len()), (&json!("pass"), 3));
    }
    nothing_left(&lab).await;
}

/// Several drills at once: two pass, the volume of one may not be made, that of another never comes to life, and one is of
/// a snapshot that is not there. None disturbs another, and nothing is left of any.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_drills_at_once_each_has_its_own_end() {
    let mut lab = prompt(Settings::default()).await;
    let mut ids = Vec::new();
    for byte in 1..=4 {
        ids.push(lab.snapshot(None, 1, &BTreeMap::from([(3, byte)])).await.to_string());
    }
    let plan =
        format!("CreateVolume snapshot={} denied\nCreateVolume snapshot={} ends=error\n", ids[1], ids[2]);
    let config = Config { faults: plan.parse().unwrap(), ..Config::default() };
    lab.endpoint = endpoint::start(config, Shelves::kept_in(lab.store.clone())).await.unwrap();
    let here = Here::new();
    ids.push("snap-0fffffffffffffff0".to_owned());
    let words: Vec<&str> =
        ids.iter().map(String::as_str).chain(["--format", "json", "--at-once", "5"]).collect();
    let outcome = drill(&here, &lab, &words).await;
    let report = one_object(&outcome.stdout);
    let states: Vec<&Value> = report["drills"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["pass", "incomplete", "incomplete", "pass", "incomplete"], "{report}");
    let kinds: Vec<_> =
        report["drills"].as_array().unwrap().iter().map(|one| &one["exceptions"][0]["kind"]).collect();
    assert_eq!(kinds, [&Value::Null, &json!("denied"), &json!("service"), &Value::Null, &json!("not_found")]);
    assert_eq!((&report["state"], outcome.code), (&json!("incomplete"), 4), "what is denied comes first");
    assert_eq!(journals(&here), [] as [String; 0]);
    nothing_left(&lab).await;
}

/// Throttles are waited out, answers that were lost are looked for, and nothing is done twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_waits_out_throttles_and_looks_for_what_was_answered_to_nobody() {
    let mut lab = prompt(Settings::default()).await;
    let id = lab.snapshot(None, 1, &BTreeMap::from([(3, 1)])).await;
    let plan = "CreateVolume nth=1 throttle=account\nCreateVolume nth=2 lost\nAttachVolume nth=1 lost\n\
                DescribeVolumes nth=2-3 error=503\nDetachVolume nth=1 throttle=account\nDetachVolume nth=2 lost\n\
                DeleteVolume nth=1 throttle=account\n";
    let config = Config { faults: plan.parse().unwrap(), ..Config::default() };
    lab.endpoint = endpoint::start(config, Shelves::kept_in(lab.store.clone())).await.unwrap();
    let here = Here::new();
    let report = drill(&here, &lab, &[id.as_str(), "--format", "json"]).await.json();
    assert_eq!((&report["state"], &report["volumes_deleted"]), (&json!("pass"), &json!(1)));
    assert!(lab.endpoint.counts().of("CreateVolume") >= 3);
    nothing_left(&lab).await;
}

/// An encrypted volume has something in every block; what the snapshot does not have is not held against it.
#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_snapshot_is_drilled_and_what_it_does_not_have_is_not_held_against_it() {
    let lab = prompt(Settings { encrypts_by_default: true, ..Settings::default() }).await;
    let id = lab.snapshot(None, 1, &BTreeMap::from([(3, 1)])).await;
    let here = Here::new();
    let report = drill(&here, &lab, &[id.as_str(), "--format", "json"]).await.json();
    let told = &report["drills"][0];
    assert_eq!((&report["state"], &told["encrypted"]), (&json!("pass"), &json!(true)));
    assert_eq!(told["verification"]["blocks_unverifiable"], 2047, "they are random, and that is said");
    nothing_left(&lab).await;
}

/// A rule of the Recycle Bin keeps what is deleted, and bills it: the report says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_the_recycle_bin_keeps_is_said_to_be_billed() {
    let bin_rules = vec![BinRule::all(BinKind::Volume, 2)];
    let lab = prompt(Settings { bin_rules, ..Settings::default() }).await;
    let id = lab.snapshot(None, 1, &BTreeMap::from([(3, 1)])).await;
    let here = Here::new();
    let text = drill(&here, &lab, &[id.as_str()]).await;
    assert_eq!(text.code, 0, "{text:?}");
    assert!(
        text.stdout.contains("a rule keeps 1 of 1 volume, billed as before, the last until "),
        "{}",
        text.stdout
    );
    let report = drill(&here, &lab, &[id.as_str(), "--format", "json"]).await.json();
    assert_eq!(report["volumes_deleted"], 1);
    assert_eq!(report["volumes_in_recycle_bin"], json!([report["drills"][0]["volume_id"]]));
    // It is no volume any more that a cleanup would find.
    let cleaned = run(&here, &lab, &["cleanup", "--older-than", "0s", "--format", "json"]).await.json();
    assert_eq!(cleaned["items"], json!([]));
}

/// Every option that changes what is made, in the plan as in the call.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_volume_is_made_like_is_what_was_asked_for() {
    let lab = prompt(Settings::default()).await;
    let id = lab.snapshot(None, 1, &BTreeMap::from([(3, 1)])).await;
    let here = Here::new();
    let words = [
        id.as_str(),
        "--volume-type",
        "io2",
        "--iops",
        "500",
        "--initialization-rate",
        "200",
        "--add-tag",
        "team=storage",
        "--owner",
        "nightly job",
        "--hook",
        "sleep 3",
    ];
    let drilling = drill(&here, &lab, &words);
    let looking = async {
        loop {
            let held = lab.endpoint.edit("us-east-1", |held| held.volumes.first().cloned()).unwrap();
            if let Some(volume) = held {
                return volume;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (outcome, volume) = tokio::join!(drilling, looking);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!((volume.kind.to_string().as_str(), volume.iops), ("io2", Some(500)));
    assert_eq!(
        (volume.tags["team"].as_str(), volume.tags["icecore:owner"].as_str()),
        ("storage", "nightly job")
    );
    let keys: BTreeSet<_> = volume.tags.keys().filter(|key| key.starts_with("icecore:")).collect();
    assert_eq!(keys.len(), 6, "{keys:?}");
    drill(&here, &lab, &[id.as_str(), "--volume-type", "nvme"]).await.refused_by_clap("expected gp2, gp3");
    drill(&here, &lab, &[id.as_str(), "--initialization-rate", "99"]).await.refused_by_clap("100..=300");
}

//! What `iam-policy` allows is what the commands really ask: none missing, none unused.

use crate::cli::{Here, Outcome};
use crate::lab::{Lab, generation};
use icecore::endpoint::{Config, Settings};
use icecore::iam::TASKS;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

type Asked = BTreeSet<&'static str>;

/// Command lines of a task; together they ask for all that it may ask.
const RUNS: &[(&str, &[&str])] = &[
    ("list", &["list"]),
    ("show", &["show A"]),
    // Of one that is not there it is asked what it is.
    ("blocks", &["blocks A", "blocks NOBODY"]),
    ("diff", &["diff A B", "diff A NOBODY"]),
    ("diff --content", &["diff A B --content", "diff A NOBODY --content"]),
    ("export", &["export A out.img"]),
    ("export --since", &["export B out.img --since A", "export NOBODY out.img --since B"]),
    ("import", &["import GEN0"]),
    ("import --tag", &["import GEN0 --tag k=v"]),
    ("import --parent", &["import GEN1 --parent A"]),
    ("manifest", &["manifest A -o a.manifest", "manifest NOBODY -o n.manifest"]),
    (
        "manifest --base",
        &["manifest B -o b.manifest --base a.manifest", "manifest NOBODY -o n.manifest --base a.manifest"],
    ),
    ("verify", &["verify A"]),
    ("verify --delta-from", &["verify B --delta-from a.manifest"]),
    ("ledger --account", &["ledger --account"]),
    (
        "warm",
        &[
            "warm out.img --snapshot B --older A --threshold 20s",
            "warm out.img --snapshot B --volume-id vol-0123456789abcdef0 --threshold 20s",
        ],
    ),
    (
        "warm --verify",
        &[
            "warm out.img --snapshot B --older A --verify --threshold 20s",
            "warm out.img --snapshot B --verify --threshold 20s",
        ],
    ),
    ("cost", &["cost"]),
    ("cost archive-advice", &["cost archive-advice"]),
    ("cost compare", &["cost compare c.json"]),
    ("cost reconcile", &["cost reconcile bill.csv"]),
    ("cost --delete", &["cost --delete A"]),
    ("cost --archive", &["cost --archive A"]),
    ("cost --keep", &["cost --keep 1"]),
    ("cost --max-gap", &["cost --max-gap 7d"]),
    ("cost --save", &["cost A --save 0.0000001"]),
    ("cost retention", &["cost retention daily=7"]),
    ("cost orphans", &["cost orphans"]),
];

/// Runs a command line, and tells what it asked.
async fn asked(here: &Here, lab: &Lab, words: &[&str]) -> (Outcome, Asked) {
    let before = lab.endpoint.counts();
    let mut command = here.command(words);
    command.args(["--endpoint-url", &lab.endpoint.url(), "--region", "us-east-1"]);
    command.env("AWS_ACCESS_KEY_ID", "AK").env("AWS_SECRET_ACCESS_KEY", "secret");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let after = lab.endpoint.counts();
    let more = after.iter().filter(|(name, count)| *count > before.of(name)).map(|(name, _)| name);
    (Outcome::of(&output), more.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_asks_what_its_policy_allows_and_nothing_else() {
    // So slow that an import has to wait, and looks.
    let account = Settings { complete_takes: Duration::from_secs(1), ..Settings::default() };
    let lab = Lab::with(Config { account, ..Config::default() }).await;
    let images = [generation(0), generation(1)];
    let first = lab.import(&images[0], None).await.snapshot_id;
    let second = lab.import(&images[1], Some(&first)).await.snapshot_id;
    let here = Here::new();
    std::fs::write(here.path("bill.csv"), BILL).unwrap();
    let earlier = asked(&Here::new(), &lab, &["cost", "--format", "json"]).await.0.stdout;
    std::fs::write(here.path("c.json"), earlier).unwrap();

    let mut wrong = Vec::new();
    let mut tested: Vec<_> = TASKS.iter().flat_map(|task| task.names()).collect();
    for (name, lines) in RUNS {
        let task = TASKS.iter().find(|task| task.names().any(|one| one == *name)).unwrap();
        tested.retain(|one| one != name);
        let mut all = Asked::new();
        // Listings are kept in the state directory, so each task has its own.
        let state = here.path(&format!("state of {name}"));
        for line in *lines {
            let words = line.split(' ').map(|word| match word {
                "A" => first.as_str(),
                "B" => second.as_str(),
                "NOBODY" => "snap-0ffffffffffffffff",
                "GEN0" => text(&images[0]),
                "GEN1" => text(&images[1]),
                word => word,
            });
            let words: Vec<_> = words.chain(["--state-dir", text(&state)]).collect();
            let (outcome, asked) = asked(&here, &lab, &words).await;
            let expected = match line {
                line if line.contains("NOBODY") => 2,
                // Nothing is verified in its own state directory.
                line if line.starts_with("ledger") => 1,
                _ => 0,
            };
            assert_eq!(outcome.code, expected, "{line}: {outcome:?}");
            all.extend(asked);
        }
        let mut allowed = task.calls();
        wrong.extend(all.difference(&allowed).map(|call| format!("{name} lacks {call}")));
        OF_DEVICES.iter().filter(|(task, _)| task == name).for_each(|(_, call)| {
            allowed.remove(call);
        });
        // Without the control plane less is asked.
        if cfg!(feature = "ec2") {
            wrong.extend(allowed.difference(&all).map(|call| format!("{name} never asks {call}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    tested.retain(|name| !DRILLS.contains(name));
    assert!(tested.is_empty(), "nobody runs {tested:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const BILL: &str = "line_item_resource_id,line_item_usage_type,line_item_usage_start_date,\
                    line_item_usage_end_date,line_item_usage_amount\n";

/// Held against their calls where drills are tested: they need an instance with devices.
const DRILLS: [&str; 6] =
    ["drill", "drill --delta-from", "drill --warm", "drill --restored-volume", "resume", "cleanup"];

/// Asked of a target that is an NVMe device of EBS, which a machine of tests has not.
const OF_DEVICES: [(&str, &str); 4] = [
    ("verify", "DescribeVolumes"),
    ("warm", "DescribeVolumeStatus"),
    ("warm --verify", "DescribeVolumes"),
    ("warm --verify", "DescribeVolumeStatus"),
];

fn policy(words: &[&str]) -> Outcome {
    Here::new().run(&[&["iam-policy"], words].concat())
}

#[test]
fn a_policy_is_printed_as_iam_takes_it() {
    let place = ["--region", "eu-west-1", "--account", "123456789012"];
    let key = "arn:aws:kms:eu-west-1:123456789012:key/x";
    let outcome = policy(&[&["--for", "import --parent", "--kms-key", key], place.as_slice()].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    crate::cli::golden("iam-policy.json", &outcome.stdout);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document["Version"], "2012-10-17");

    let report = policy(&["--for", "list", "--for", "import --tag", "--format", "json"]);
    let told = report.json();
    assert_eq!(told["for"], serde_json::json!(["list", "import --tag"]));
    let unseen: Vec<_> =
        told["unseen"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert!(unseen.contains(&"ec2:CreateTags") && unseen.contains(&"kms:CreateGrant"), "{unseen:?}");
    assert!(report.stderr.contains("--kms-key"), "{}", report.stderr);
    assert!(!told["policy"].to_string().contains("kms:"), "no key is given");
}

#[test]
fn a_command_that_is_not_known_is_refused_with_those_that_are() {
    for (words, expected) in [
        (&["--for", "fly"][..], "diff --content"),
        (&["--for", "store check"], "needs no policy"),
        (&["--for", "list", "--account", "12"], "12 digits"),
        (&["--for", "list", "--kms-key", "alias/x"], "ARN"),
        (&[], "--for"),
    ] {
        let outcome = policy(words);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{words:?}");
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
}

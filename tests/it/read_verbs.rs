//! What only reads sends nothing that changes the account: counted by the endpoint.

use crate::cli::{Here, Outcome};
use crate::lab::{Lab, generation};

/// Runs a verb against the laboratory's endpoint.
async fn run(here: &Here, lab: &Lab, words: &[&str]) -> Outcome {
    let mut command = here.command(words);
    command.args(["--endpoint-url", &lab.endpoint.url(), "--region", "us-east-1"]);
    command.env("AWS_ACCESS_KEY_ID", "AK").env("AWS_SECRET_ACCESS_KEY", "secret");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Outcome::of(&output)
}

#[tokio::test]
async fn read_verbs_send_no_mutating_call() {
    let lab = Lab::new().await;
    let first = lab.import(&generation(0), None).await.snapshot_id;
    let second = lab.import(&generation(1), Some(&first)).await.snapshot_id;
    let before = lab.endpoint.counts();
    let writes = ["StartSnapshot", "PutSnapshotBlock", "CompleteSnapshot"].map(|name| before.of(name));
    assert!(writes.iter().all(|count| *count > 0), "{before:?}");
    assert_eq!(before.mutating(), writes.iter().sum::<u64>(), "an import is counted as what it is");

    let here = Here::new();
    let (a, b) = (first.as_str(), second.as_str());
    let verbs: &[&[&str]] = &[
        &["show", a],
        &["blocks", b],
        &["diff", a, b],
        &["diff", a, b, "--content"],
        &["export", a, "out.img"],
        &["export", b, "out.img", "--since", a],
        &["manifest", a, "-o", "a.manifest"],
        &["manifest", b, "-o", "b.manifest", "--base", "a.manifest"],
        &["verify", a],
        &["verify", b, "--manifest", "b.manifest"],
        &["verify", b, "out.img"],
        &["warm", "out.img", "--snapshot", b, "--older", a, "--threshold", "20s"],
        &["warm", "out.img", "--snapshot", b, "--verify", "--threshold", "20s"],
        #[cfg(feature = "ec2")]
        &["cost"],
        #[cfg(feature = "ec2")]
        &["list"],
    ];
    for verb in verbs {
        let seen = lab.endpoint.counts();
        let outcome = run(&here, &lab, verb).await;
        assert_eq!(outcome.code, 0, "{verb:?}: {outcome:?}");
        let now = lab.endpoint.counts();
        assert!(now.total() > seen.total(), "{verb:?} asked nothing");
        assert_eq!(now.mutating(), before.mutating(), "{verb:?} sent {now:?}");
    }
    // A check reads the files, past any endpoint.
    let store = lab.path("store");
    let seen = lab.endpoint.counts();
    let checked = run(&here, &lab, &["store", "check", store.to_str().unwrap()]).await;
    assert_eq!((checked.code, lab.endpoint.counts()), (0, seen), "{checked:?}");
}

//! CopySnapshot and locks.

use super::*;

fn copy(bench: &Bench, source: &str, rest: &str) -> String {
    let form = format!("Action=CopySnapshot&SourceRegion={HOME}&SourceSnapshotId={source}&{rest}");
    let made = bench.ec2(&form);
    assert_eq!(made.status, 200, "{}", made.text());
    bench.advance(1);
    of(&made, "snapshotId").unwrap()
}

#[test]
fn a_plain_copy_shares_the_lineage_of_its_source_and_any_other_one_is_full() {
    let bench = Bench::new();
    let source = bench.completed(None, [1, 7]);
    let plain = copy(&bench, &source, "Description=d");
    let encrypted = copy(&bench, &source, "Encrypted=true");
    let changed =
        |copy: &str| bench.get(&format!("/snapshots/{copy}/changedblocks?firstSnapshotId={source}"));
    assert_eq!(indexes(&changed(&plain).json()), Vec::<u64>::new());
    changed(&encrypted).refused(400, "ValidationException", "UNRELATED_SNAPSHOTS");
    for id in [&plain, &encrypted] {
        assert_eq!(bench.state(id).0, "completed");
        assert_eq!(indexes(&bench.get(&format!("/snapshots/{id}/blocks")).json()), [1, 7]);
    }
    let seen = bench.ec2(&format!("Action=DescribeSnapshots&SnapshotId.1={encrypted}"));
    assert_eq!(of(&seen, "encrypted").as_deref(), Some("true"));
    assert!(of(&seen, "kmsKeyId").is_some());

    bench.go_to("eu-west-1");
    let there = copy(&bench, &source, "");
    assert_eq!(bench.state(&there).0, "completed");
    assert_eq!(indexes(&bench.get(&format!("/snapshots/{there}/blocks")).json()), [1, 7]);
    bench.go_to(HOME);
    let gone = bench.ec2(&format!("Action=DescribeSnapshots&SnapshotId.1={there}"));
    assert_eq!(code(&gone), (400, "InvalidSnapshot.NotFound".into()), "it is in the Region that was asked");
}

#[test]
fn a_copy_is_accepted_and_fails_afterwards() {
    let bench = Bench::new();
    let (done, pending) = (bench.completed(None, [1]), bench.started(None));
    for (source, rest, why) in [
        (pending.as_str(), "", "Source snapshot is not complete"),
        ("snap-0ffffffffffffffff", "", "Source snapshot is not found"),
        (&done, "Encrypted=true&KmsKeyId=alias/nobody", "Given key ID is not accessible"),
    ] {
        let id = copy(&bench, source, rest);
        assert_eq!(bench.state(&id), ("error".into(), Some(why.into())));
    }
    let form = format!("Action=CopySnapshot&SourceRegion={HOME}&SourceSnapshotId={done}");
    let refused = |rest: &str| code(&bench.ec2(&format!("{form}&{rest}"))).1;
    assert_eq!(refused("KmsKeyId=x"), "InvalidParameterCombination");
    assert_eq!(refused("CompletionDurationMinutes=20"), "InvalidParameterValue");
    assert_eq!(refused("DryRun=true"), "DryRunOperation");
}

#[test]
fn a_lock_ends_as_its_mode_allows() {
    let bench = Bench::new();
    let id = bench.completed(None, []);
    let lock = |rest: &str| code(&bench.ec2(&format!("Action=LockSnapshot&SnapshotId={id}&{rest}"))).1;
    let unlock = || code(&bench.ec2(&format!("Action=UnlockSnapshot&SnapshotId={id}"))).1;
    let delete = || bench.ec2(&format!("Action=DeleteSnapshot&SnapshotId={id}")).status;
    assert_eq!(unlock(), "IncorrectState");
    assert_eq!(lock("LockMode=governance"), "MissingParameter");
    assert_eq!(lock("LockMode=governance&LockDuration=1&CoolOffPeriod=1"), "InvalidParameterCombination");
    assert_eq!(lock("LockMode=forever&LockDuration=1"), "InvalidParameterValue");
    assert_eq!((lock("LockMode=governance&LockDuration=1").as_str(), delete()), ("-", 400));
    assert_eq!(unlock(), "-");
    assert_eq!(lock("LockMode=compliance&LockDuration=2"), "-");
    assert_eq!((unlock().as_str(), delete()), ("IncorrectState", 400));
    assert_eq!(lock("LockMode=compliance&LockDuration=1"), "InvalidParameterValue", "only extended");
    bench.advance(2 * 24 * 60 * 60);
    assert_eq!(delete(), 200, "expired");
}

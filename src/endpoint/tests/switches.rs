//! Quotas, readiness and faults, before the socket.

use super::*;

fn planned(text: &str) -> Bench {
    Bench::switched(Config { faults: text.parse().unwrap(), ..Config::default() })
}

/// A snapshot of blocks that are what they claim, and the path of each block with its token.
fn filled(bench: &Bench, bytes: &[u8]) -> (String, Vec<String>) {
    let id = bench.started(None);
    for (index, byte) in (0..).zip(bytes) {
        assert_eq!(bench.put(&id, index, &Bytes::from(vec![*byte; 524_288])).status, 201);
    }
    let count = u32::try_from(bytes.len()).unwrap();
    assert_eq!(bench.complete(&id, count, &[]).status, 202);
    bench.advance(1);
    let listed = bench.get(&format!("/snapshots/{id}/blocks")).json();
    let path = |block: &Value| {
        let (index, token) = (&block["BlockIndex"], block["BlockToken"].as_str().unwrap());
        format!("/snapshots/{id}/blocks/{index}?blockToken={token}")
    };
    let paths = listed["Blocks"].as_array().unwrap().iter().map(path).collect();
    (id, paths)
}

#[test]
fn excess_is_refused_in_the_words_of_whose_limit_it_is() {
    let bench = Bench::switched(Config { quotas: Quotas::Aws, ..Config::default() });
    let (id, paths) = filled(&bench, &[1]);
    let list = format!("/snapshots/{id}/blocks");
    let refused = (0..100).map(|_| bench.get(&list)).find(|answer| answer.status != 200).unwrap();
    refused.refused(400, "ThrottlingException", "-");
    let refused = (0..1_100).map(|_| bench.get(&paths[0])).find(|answer| answer.status != 200).unwrap();
    refused.refused(400, "RequestThrottledException", "RESOURCE_LEVEL_THROTTLE");
    let ec2 = (0..101).map(|_| bench.ec2("Action=DescribeSnapshots&MaxResults=5"));
    let refused = ec2.last().unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("<Code>RequestLimitExceeded</Code>"));
    bench.advance(1);
    assert_eq!((bench.get(&list).status, bench.get(&paths[0]).status), (200, 200));
}

#[test]
fn the_hundred_and_first_pending_snapshot_is_one_too_many() {
    let bench = Bench::switched(Config { quotas: Quotas::Aws, ..Config::default() });
    let start = |n: u32| {
        bench.advance(1);
        bench.start(&json!({"VolumeSize": 1, "ClientToken": n.to_string()}))
    };
    for n in 0..100 {
        assert_eq!(start(n).status, 201);
    }
    start(100).refused(400, "ConcurrentLimitExceededException", "-");
    assert_eq!(start(5).status, 201, "one that has been started is no new one");
}

#[test]
fn a_completed_snapshot_can_be_read_when_it_is_ready_and_not_before() {
    let bench = Bench::switched(Config { ready_after: Duration::from_secs(60), ..Config::default() });
    let id = bench.completed(None, [0]);
    let list = || bench.get(&format!("/snapshots/{id}/blocks"));
    let changed = || bench.get(&format!("/snapshots/{id}/changedblocks?firstSnapshotId={id}"));
    assert_eq!(bench.state(&id).0, "completed");
    list().refused(404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND");
    changed().refused(404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND");
    bench.advance(58);
    assert_eq!(list().status, 404);
    bench.advance(2);
    assert_eq!((list().status, changed().status), (200, 200));
}

#[test]
fn a_refusal_by_plan_is_in_the_words_of_aws_and_changes_nothing() {
    let refused = |effect: &str| {
        let bench = planned(&format!("* nth=1 {effect}"));
        let answer = bench.start(&json!({"VolumeSize": 1}));
        assert!(!bench.ec2("Action=CreateTags").text().is_empty());
        assert!(bench.shelf.list().unwrap().is_empty());
        answer.refusal()
    };
    for (effect, status, kind, reason) in [
        ("throttle=account", 400, "ThrottlingException", "-"),
        ("throttle=snapshot", 400, "RequestThrottledException", "RESOURCE_LEVEL_THROTTLE"),
        ("error=404", 404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND"),
        ("error=500", 500, "InternalServerException", "-"),
        ("error=503", 503, "ServiceUnavailableException", "-"),
        ("denied", 403, "AccessDeniedException", "UNAUTHORIZED_ACCOUNT"),
        ("expired=credentials", 403, "ExpiredTokenException", "-"),
    ] {
        assert_eq!(refused(effect), (status, kind.to_owned(), reason.to_owned()));
    }
    let bench = planned("* error=503");
    let answer = bench.ec2("Action=DescribeSnapshots");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("<Code>Unavailable</Code>"), "{}", answer.text());
}

#[test]
fn a_block_goes_wrong_in_the_way_that_is_planned_and_only_then() {
    let bench = planned(
        "GetSnapshotBlock nth=1 body=wrong\nGetSnapshotBlock nth=2 body=short\nGetSnapshotBlock nth=3 body=oversized\n\
         GetSnapshotBlock nth=4 checksum=wrong\nGetSnapshotBlock nth=5 checksum=missing\n\
         GetSnapshotBlock nth=6 expired=token\nGetSnapshotBlock nth=7 body=misdirected",
    );
    let (_, paths) = filled(&bench, &[1, 2]);
    let get = || {
        let answer = bench.get(&paths[0]);
        let (length, checksum) = (answer.body.len(), answer.header("x-amz-checksum").to_owned());
        (length, checksum, Digest::of(&answer.body).to_base64(), answer)
    };
    let right = Digest::of(&[1; 524_288]).to_base64();
    let (length, checksum, computed, answer) = get();
    assert_eq!((length, checksum == right), (524_288, true));
    assert_ne!(computed, right);
    assert_eq!(answer.body.iter().filter(|byte| **byte != 1).count(), 1);
    assert_eq!(get().0, 524_287);
    assert_eq!(get().0, 524_289);
    let (_, checksum, computed, _) = get();
    assert_eq!((checksum == right, computed == right), (false, true));
    assert_eq!(get().1, "");
    get().3.refused(400, "ValidationException", "INVALID_BLOCK_TOKEN");
    let (_, checksum, computed, answer) = get();
    assert_eq!((checksum, answer.body[0]), (computed, 2), "another block, sound in itself");
    let (_, checksum, computed, _) = get();
    assert_eq!((&checksum, &computed), (&right, &right), "the eighth has no rule");
}

#[test]
fn the_last_block_is_misdirected_to_the_first_and_a_lonely_one_to_zeros() {
    let bench = planned("GetSnapshotBlock body=misdirected");
    let (_, paths) = filled(&bench, &[1, 2]);
    assert_eq!(bench.get(&paths[1]).body[0], 1);
    let (_, lonely) = filled(&bench, &[3]);
    assert_eq!(bench.get(&lonely[0]).body[0], 0);
}

#[test]
fn what_no_rule_is_about_goes_well() {
    let bench = planned("PutSnapshotBlock block=7 denied");
    let (id, _) = filled(&bench, &[1]);
    assert_eq!(bench.state(&id).0, "completed");
}

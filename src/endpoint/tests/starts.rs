//! StartSnapshot: what it takes, what it answers, and that it is done once.

use super::*;

#[test]
fn every_member_is_answered_explicit_nulls_included() {
    let bench = Bench::new();
    let started = bench.start(&json!({"VolumeSize": 1}));
    assert_eq!(started.status, 201);
    let expected = r#"{"BlockSize":524288,"Description":null,"KmsKeyArn":null,"OwnerId":"123456789012","ParentSnapshotId":null,"SnapshotId":"snap-00000000000000001","SseType":null,"StartTime":1.790068104246E9,"Status":"pending","Tags":null,"VolumeSize":1}"#;
    assert_eq!(started.text(), expected);
}

#[test]
fn a_start_is_done_once_for_one_client_token() {
    let bench = Bench::new();
    let asked = json!({
        "VolumeSize": 1, "ClientToken": "once", "Description": "d", "Timeout": 60,
        "Tags": [{"Key": "k", "Value": "v"}],
    });
    let first = bench.start(&asked);
    let id = first.json()["SnapshotId"].as_str().unwrap().to_owned();
    bench.complete(&id, 0, &[]);
    bench.advance(1);
    bench.ec2(&format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=k&Tag.1.Value=other"));
    for bench in [&bench, &bench.restarted()] {
        let again = bench.start(&asked);
        assert_eq!((again.status, again.text()), (201, first.text()), "the original answer, still pending");
        let mut other = asked.clone();
        other["VolumeSize"] = json!(2);
        let refused = bench.start(&other);
        refused.refused(409, "ConflictException", "-");
        let message = "Current request does not match request stored with this token.";
        assert_eq!(refused.json()["Message"], json!(message));
        assert_eq!(refused.header("connection"), "", "only a 400 hangs up");
    }
    assert_eq!(bench.shelf.list().unwrap().len(), 1);
}

#[test]
fn many_starts_with_one_token_at_a_time_are_one() {
    let bench = Bench::new();
    let asked = json!({"VolumeSize": 1, "ClientToken": "race"});
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(bench.start(&asked).status, 201));
        }
    });
    assert_eq!(bench.shelf.list().unwrap().len(), 1);
}

#[test]
fn constraints_are_all_told_at_once_before_anything_else() {
    let bench = Bench::new();
    let refused = bench.start(&json!({
        "VolumeSize": 0, "ParentSnapshotId": "foo", "Timeout": 9, "ClientToken": "a b",
        "Description": "d".repeat(256), "KmsKeyArn": "not-an-arn",
    }));
    refused.refused(400, "ValidationException", "-");
    assert!(refused.header("x-amzn-errortype").ends_with("com.amazon.coral.validate/"));
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("6 validation errors detected: Value '0' at 'volumeSize' failed"),
        "{message}"
    );
    for member in ["parentSnapshotId", "timeout", "clientToken", "description", "kmsKeyArn"] {
        assert!(
            message.contains(&format!("at '{member}' failed to satisfy constraint: Member must")),
            "{member}"
        );
    }
    let none = bench.start(&json!({})).text();
    assert!(
        none.contains("Value null at 'volumeSize' failed to satisfy constraint: Member must not be null")
    );
}

#[test]
fn client_tokens_are_taken_up_to_255_characters() {
    let bench = Bench::new();
    let asked = |length: usize| json!({"VolumeSize": 1, "ClientToken": "t".repeat(length)});
    assert_eq!(bench.start(&asked(255)).status, 201);
    bench.start(&asked(256)).refused(400, "ValidationException", "-");
}

#[test]
fn a_parent_must_be_completed_and_no_larger() {
    let bench = Bench::new();
    let upon =
        |parent: &str, size: u32| bench.start(&json!({"VolumeSize": size, "ParentSnapshotId": parent}));
    let pending = bench.started(None);
    let refused = upon(&pending, 1);
    refused.refused(400, "ValidationException", "INVALID_SNAPSHOT_ID");
    assert_eq!(refused.json()["Message"], json!(format!("Source snapshot ({pending}) is not complete.")));
    bench.complete(&pending, 5, &[]);
    bench.advance(1);
    upon(&pending, 1).refused(404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND");
    upon("snap-0ffffffffffffffff", 1).refused(404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND");
    let large = bench.start(&json!({"VolumeSize": 3})).json()["SnapshotId"].as_str().unwrap().to_owned();
    bench.complete(&large, 0, &[]);
    bench.advance(1);
    upon(&large, 2).refused(400, "ValidationException", "INVALID_VOLUME_SIZE");
    assert_eq!(upon(&large, 3).status, 201);
    upon(&large, 65_537).refused(400, "ValidationException", "INVALID_VOLUME_SIZE");
}

#[test]
fn tags_that_ec2_would_not_take_are_refused() {
    let bench = Bench::new();
    let tags: Vec<_> = (0..51).map(|n| json!({"Key": n.to_string(), "Value": ""})).collect();
    for tags in [json!(tags), json!([{"Key": "aws:x", "Value": "y"}]), json!([{"Key": "a"}, {"Key": "a"}])] {
        bench.start(&json!({"VolumeSize": 1, "Tags": tags})).refused(
            400,
            "ValidationException",
            "INVALID_TAG",
        );
    }
}

#[test]
fn encryption_shows_in_the_answer_and_in_ec2() {
    let bench = Bench::new();
    let key = "arn:aws:kms:us-east-1:123456789012:key/1";
    let started = bench.start(&json!({"VolumeSize": 1, "Encrypted": true, "KmsKeyArn": key})).json();
    assert_eq!((&started["SseType"], &started["KmsKeyArn"]), (&json!("sse-kms"), &json!(key)));
    let id = started["SnapshotId"].as_str().unwrap();
    let seen = bench.ec2(&format!("Action=DescribeSnapshots&SnapshotId.1={id}")).text();
    assert!(seen.contains(&format!("<encrypted>true</encrypted><kmsKeyId>{key}</kmsKeyId>")), "{seen}");
    let refused = bench.start(&json!({"VolumeSize": 1, "Encrypted": false, "KmsKeyArn": key}));
    refused.refused(400, "ValidationException", "INVALID_PARAMETER_VALUE");
    assert_eq!(refused.json()["Message"], json!("Encrypt cannot be false when KmsKeyArn is specified"));
}

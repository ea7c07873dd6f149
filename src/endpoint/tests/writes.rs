//! PutSnapshotBlock and CompleteSnapshot, and what becomes of a snapshot nobody writes to.

use super::*;

/// The payloads AWS was sent when it was recorded: a line repeated and cut to one block.
fn recorded(name: &str) -> Bytes {
    let line = format!("stackd-ebs-synthetic-{name}\n");
    line.bytes().cycle().take(524_288).collect::<Vec<_>>().into()
}

fn linear(checksum: &str) -> [(&str, &str); 3] {
    [
        ("x-amz-checksum", checksum),
        ("x-amz-checksum-algorithm", "SHA256"),
        ("x-amz-checksum-aggregation-method", "LINEAR"),
    ]
}

#[test]
fn a_put_is_answered_with_its_checksum_and_an_empty_object() {
    let bench = Bench::new();
    let id = bench.started(None);
    let put = bench.put(&id, 0, &recorded("a"));
    assert_eq!((put.status, put.text().as_str()), (201, "{}"));
    assert_eq!(put.header("x-amz-checksum"), "Qib0wLZSCPxxAsnoZ1mqGTwYYUfxBvjcHbuEUOOwNdw=");
    assert_eq!(put.header("x-amz-checksum-algorithm"), "SHA256");
}

/// Accepted and rejected by AWS in recordings.
#[test]
fn linear_checksums_are_over_raw_digests_by_index() {
    let (a, b, c, zero) = (recorded("a"), recorded("b"), recorded("c"), Bytes::from(vec![0; 524_288]));
    for (blocks, checksum, state) in [
        (vec![&b, &a, &zero, &c], "Pq34jf4xh07iqiQpo/morRl/xL06mqy1ERimH+Hypi8=", "completed"),
        (vec![&zero, &a, &b], "hf4A3LvWy4effbPmcB9iS2uEagRPJ7DdLQQXLJYnpsg=", "completed"),
        (vec![&c], "3QuxqZ8HJaS/3NGrkGu/SIvWC/T/bzQSE0bYb+gLjwU=", "completed"),
        (vec![], "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "completed"),
        (vec![&a, &b], "xKsCRmgUxD/XwebcOgEG4QQ7TRElxCfHnSnsGQDz4pU=", "error"),
    ] {
        let bench = Bench::new();
        let id = bench.started(None);
        // Highest index first: the order of writing does not matter.
        for (index, block) in blocks.iter().enumerate().rev() {
            assert_eq!(bench.put(&id, u32::try_from(index).unwrap() * 3, block).status, 201);
        }
        let count = u32::try_from(blocks.len()).unwrap();
        let answer = bench.complete(&id, count, &linear(checksum));
        assert_eq!((answer.status, answer.text().as_str()), (202, r#"{"Status":"pending"}"#));
        bench.advance(1);
        let message = (state == "error").then(|| "Checksum mismatch for snapshot".to_owned());
        assert_eq!(bench.state(&id), (state.to_owned(), message), "{checksum}");
    }
}

#[test]
fn a_wrong_count_is_accepted_first_and_an_error_later() {
    let bench = Bench::new();
    let id = bench.started(None);
    for index in [0, 1, 0] {
        bench.put(&id, index, &recorded("a"));
    }
    let answer = bench.complete(&id, 3, &[]);
    assert_eq!((answer.status, answer.text().as_str()), (202, r#"{"Status":"pending"}"#));
    assert_eq!(bench.state(&id), ("pending".into(), None), "not yet");
    bench.advance(1);
    assert_eq!(bench.state(&id), ("error".into(), Some("Changed blocks count mismatch for snapshot".into())));
    assert_eq!(bench.complete(&id, 2, &[]).text(), r#"{"Status":"error"}"#);
    bench.get(&format!("/snapshots/{id}/blocks")).refused(
        404,
        "ResourceNotFoundException",
        "SNAPSHOT_NOT_FOUND",
    );
}

#[test]
fn a_complete_shows_within_a_tenth_of_a_second_and_not_at_once() {
    let bench = Bench::new();
    let id = bench.started(None);
    bench.complete(&id, 0, &[]);
    assert_eq!(bench.state(&id).0, "pending");
    assert_eq!(bench.get(&format!("/snapshots/{id}/blocks")).status, 404);
    let late = bench.put(&id, 0, &recorded("a"));
    late.refused(400, "ValidationException", "INVALID_SNAPSHOT_ID");
    assert_eq!(late.json()["Message"], json!("Snapshot is already completed"));
    bench.clock.advance(Duration::from_millis(100));
    assert_eq!(bench.state(&id).0, "completed");
    assert_eq!(bench.get(&format!("/snapshots/{id}/blocks")).status, 200);
    let again = bench.complete(&id, 99, &[]);
    assert_eq!((again.status, again.text().as_str()), (202, r#"{"Status":"completed"}"#));
}

#[test]
fn what_was_answered_survives_a_crash_that_follows() {
    let bench = Bench::new();
    let id = bench.started(None);
    bench.complete(&id, 0, &[]);
    assert_eq!(bench.restarted().state(&id).0, "completed");
}

#[test]
fn a_put_that_does_not_fit_is_refused() {
    let bench = Bench::new();
    let id = bench.started(None);
    let (full, short) = (recorded("a"), Bytes::from_static(b"short"));
    let put = |index: &str, body: &Bytes, length: &str, checksum: &str, algorithm: &str| {
        let request = Request::put(format!("/snapshots/{id}/blocks/{index}"))
            .header("x-amz-data-length", length)
            .header("x-amz-checksum", checksum)
            .header("x-amz-checksum-algorithm", algorithm);
        bench.send("ebs", request, body.clone())
    };
    let sum = "Qib0wLZSCPxxAsnoZ1mqGTwYYUfxBvjcHbuEUOOwNdw=";
    let other = "7MZ7lYcAJrKN1JmUX5CDaVV97bthlt/bgN4AmbQDHTA=";
    for (answer, reason, message) in [
        (put("0", &short, "524288", sum, "SHA256"), "INVALID_PARAMETER_VALUE", "Failed to read block data"),
        (put("0", &short, "5", sum, "SHA256"), "INVALID_PARAMETER_VALUE", "Failed to read block data"),
        (
            put("0", &full, "1", sum, "SHA256"),
            "INVALID_BLOCK",
            "Block data length 1 is not valid, expected 524288",
        ),
        (
            put("2048", &full, "524288", sum, "SHA256"),
            "INVALID_BLOCK",
            "Block index 2048 is beyond the volume size extent",
        ),
        (
            put("0", &full, "524288", sum, "SHA1"),
            "INVALID_PARAMETER_VALUE",
            "Unsupported Checksum Algorithm 'SHA1', supported algorithms are SHA256",
        ),
    ] {
        answer.refused(400, "ValidationException", reason);
        assert_eq!(answer.json()["Message"], json!(message));
        assert_eq!(answer.header("connection"), "close");
    }
    let wrong = put("0", &full, "524288", other, "SHA256");
    wrong.refused(403, "InvalidSignatureException", "-");
    let message = wrong.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains(sum) && message.contains(other), "{message}");
    assert_eq!(wrong.header("connection"), "");
    for request in [
        Request::put(format!("/snapshots/{id}/blocks/0")),
        Request::put(format!("/snapshots/{id}/blocks/-1")).header("x-amz-data-length", "524288"),
        Request::put(format!("/snapshots/{id}/blocks/0")).header("x-amz-progress", "101"),
    ] {
        bench.send("ebs", request, full.clone()).refused(400, "ValidationException", "-");
    }
    let written = bench.shelf.written(&id.parse().unwrap()).unwrap();
    assert_eq!(written.blocks, 0, "nothing of it was written");
}

#[test]
fn a_complete_names_all_three_checksum_headers_or_none() {
    let bench = Bench::new();
    let id = bench.started(None);
    let all = linear("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    for (given, missing) in [(&all[..1], "Checksum algorithm"), (&all[1..2], "Snapshot checksum")] {
        let refused = bench.complete(&id, 0, given);
        refused.refused(400, "ValidationException", "INVALID_PARAMETER_VALUE");
        let message = format!("Invalid parameter combination. {missing} is missing.");
        assert_eq!(refused.json()["Message"], json!(message));
    }
    let other = bench.complete(&id, 0, &[("x-amz-checksum-algorithm", "MD5")]);
    assert!(other.text().contains("Member must satisfy enum value set: [SHA256]"), "{}", other.text());
    let none = bench.send("ebs", Request::post(format!("/snapshots/completion/{id}")), "");
    assert!(none.text().contains("Value null at 'changedBlocksCount'"), "{}", none.text());
    assert_eq!(bench.state(&id).0, "pending", "none of these ended it");
}

#[test]
fn a_snapshot_nobody_writes_to_times_out() {
    let bench = Bench::new();
    let started = bench.start(&json!({"VolumeSize": 1, "Timeout": 10})).json();
    let id = started["SnapshotId"].as_str().unwrap();
    bench.advance(599);
    assert_eq!(bench.state(id).0, "pending");
    assert_eq!(bench.put(id, 0, &recorded("a")).status, 201, "a write starts the time anew");
    bench.advance(599);
    assert_eq!(bench.state(id).0, "pending");
    let restarted = bench.restarted();
    restarted.advance(599);
    assert_eq!(restarted.state(id).0, "pending", "a restart counts from itself");
    restarted.advance(1);
    assert_eq!(restarted.state(id), ("error".into(), Some("Snapshot timed out".into())));
    let late = restarted.put(id, 0, &recorded("a"));
    late.refused(400, "ValidationException", "INVALID_SNAPSHOT_ID");
    assert_eq!(restarted.complete(id, 1, &[]).text(), r#"{"Status":"error"}"#);
}

#[test]
fn a_start_that_names_no_timeout_has_an_hour() {
    let bench = Bench::new();
    let id = bench.started(None);
    bench.advance(3599);
    assert_eq!(bench.state(&id).0, "pending");
    bench.advance(1);
    assert_eq!(bench.state(&id).0, "error");
}

#[test]
fn a_shelf_that_is_only_read_denies_every_write() {
    let bench = Bench::new();
    let id = bench.completed(None, [1]);
    let config = Config { clock: Arc::clone(&bench.clock) as Arc<dyn Clock>, ..Config::default() };
    let service = Service::new(config, Shelves::read_only(Arc::clone(&bench.shelf) as Arc<_>));
    let (shelf, clock) = (Arc::clone(&bench.shelf), Arc::clone(&bench.clock));
    let reader = Bench { shelf, vault: Arc::default(), clock, service, region: HOME.into() };
    assert_eq!(reader.get(&format!("/snapshots/{id}/blocks")).status, 200);
    for denied in [
        reader.start(&json!({"VolumeSize": 1})),
        reader.start(&json!({"VolumeSize": 1, "ClientToken": "t"})),
        reader.put(&id, 0, &recorded("a")),
        reader.complete(&id, 0, &[]),
    ] {
        denied.refused(403, "AccessDeniedException", "UNAUTHORIZED_ACCOUNT");
    }
    let denied = reader.ec2(&format!("Action=DeleteSnapshot&SnapshotId={id}"));
    assert_eq!(denied.status, 403);
    assert!(denied.text().contains("<Code>UnauthorizedOperation</Code>"), "{}", denied.text());
}

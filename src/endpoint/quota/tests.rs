//! Buckets by the clock alone.

use super::*;
use bytes::Bytes;
use http::HeaderMap;

const NOW: UnixMillis = UnixMillis(1_790_068_104_246);

fn call(id: &str, query: &[(&str, &str)]) -> Call {
    Call {
        path: vec![id.to_owned()],
        query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        region: "us-east-1".to_owned(),
        fate: None,
        request_id: String::new(),
    }
}

/// How many of so many requests at this time pass.
fn passed(meter: &Meter, operation: &'static str, region: &str, call: &Call, times: u32, at: i64) -> usize {
    let now = NOW.plus_millis(at);
    (0..times).filter(|_| meter.admit(Dialect::Ebs, operation, region, call, now).is_ok()).count()
}

#[test]
fn a_quota_is_a_seconds_worth_at_once_and_its_rate_from_then_on() {
    for (operation, rate) in [
        ("ListSnapshotBlocks", 50),
        ("ListChangedBlocks", 50),
        ("StartSnapshot", 10),
        ("CompleteSnapshot", 10),
        ("GetSnapshotBlock", 1_000),
        ("PutSnapshotBlock", 1_000),
    ] {
        let meter = Meter::new(Quotas::Aws);
        let call = call("snap-0a", &[]);
        let at = |millis| passed(&meter, operation, "eu-north-1", &call, 3_000, millis);
        assert_eq!(at(0), rate, "{operation}");
        assert_eq!(at(500), rate / 2, "{operation}");
        assert_eq!(at(10_500), rate, "{operation}: no more than one second is saved up");
        assert_eq!(at(9_500), 0, "{operation}: a clock set back gives nothing");
    }
}

#[test]
fn a_snapshots_limit_is_told_apart_from_the_accounts() {
    let (a, b) = (call("snap-0a", &[]), call("snap-0b", &[]));
    let large = Meter::new(Quotas::Aws);
    assert_eq!(passed(&large, "GetSnapshotBlock", "us-east-1", &a, 5_000, 0), 1_000);
    assert_eq!(
        passed(&large, "GetSnapshotBlock", "us-east-1", &b, 5_000, 0),
        1_000,
        "another snapshot has its own"
    );
    assert_eq!(passed(&large, "PutSnapshotBlock", "us-east-1", &a, 5_000, 0), 1_000, "and so do puts");
    let small = Meter::new(Quotas::Aws);
    assert_eq!(passed(&small, "GetSnapshotBlock", "eu-north-1", &a, 600, 0), 600);
    assert_eq!(
        passed(&small, "GetSnapshotBlock", "eu-north-1", &b, 600, 0),
        400,
        "the account's quota is shared"
    );
    assert_eq!(passed(&small, "GetSnapshotBlock", "eu-north-2", &b, 600, 0), 600, "each Region has its own");
}

#[test]
fn describing_everything_has_a_smaller_bucket() {
    let meter = Meter::new(Quotas::Aws);
    let describe = |call: &Call| {
        let admit = || meter.admit(Dialect::Ec2, "DescribeSnapshots", "eu-north-1", call, NOW);
        (0..200).filter(|_| admit().is_ok()).count()
    };
    assert_eq!(describe(&call("", &[("Owner.1", "self")])), 50);
    assert_eq!(describe(&call("", &[("Owner.1", "self"), ("MaxResults", "1000")])), 100);
}

#[test]
fn without_quotas_everything_passes() {
    assert_eq!(passed(&Meter::new(Quotas::None), "StartSnapshot", "eu-north-1", &call("", &[]), 500, 0), 500);
}

#[test]
fn many_snapshots_leave_no_buckets_behind() {
    let meter = Meter::new(Quotas::Aws);
    for n in 0..(3 * MANY) {
        let now = NOW.plus_millis(2 * i64::try_from(n).unwrap());
        let call = call(&format!("snap-{n:017x}"), &[]);
        meter.admit(Dialect::Ebs, "GetSnapshotBlock", "eu-north-1", &call, now).unwrap();
    }
    assert!(meter.buckets.lock().unwrap().len() <= MANY + 2);
}

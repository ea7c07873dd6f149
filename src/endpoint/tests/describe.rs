//! EC2's snapshots and STS.

use super::*;

fn ids(answer: &Answer) -> Vec<String> {
    let text = answer.text();
    let found = text.split("<snapshotId>").skip(1);
    found.map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

#[test]
fn a_snapshot_is_described_as_ec2_does() {
    let bench = Bench::new();
    let id = bench.completed(None, [1, 2]);
    bench.ec2(&format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=a%26b&Tag.1.Value=%3Cc%3E"));
    let seen = bench.ec2(&format!("Action=DescribeSnapshots&SnapshotId.1={id}"));
    assert_eq!((seen.status, seen.header("content-type")), (200, "text/xml;charset=UTF-8"));
    let expected = format!(
        "<snapshotSet><item><snapshotId>{id}</snapshotId><volumeId>vol-ffffffff</volumeId>\
         <status>completed</status><startTime>2026-09-22T09:08:24.246Z</startTime><progress>100%</progress>\
         <ownerId>123456789012</ownerId><volumeSize>1</volumeSize><description></description>\
         <tagSet><item><key>a&amp;b</key><value>&lt;c&gt;</value></item></tagSet><encrypted>false</encrypted>\
         <storageTier>standard</storageTier><completionTime>2026-09-22T09:08:24.296Z</completionTime>\
         <fullSnapshotSizeInBytes>1048576</fullSnapshotSizeInBytes></item></snapshotSet>"
    );
    assert!(seen.text().contains(&expected), "{}", seen.text());
    let id = seen.header("x-amzn-requestid");
    assert!(seen.text().contains(&format!("<requestId>{id}</requestId>")), "{}", seen.text());
}

#[test]
fn ids_that_are_unknown_or_none_are_told_apart() {
    let bench = Bench::new();
    let describe = |id: &str| code(&bench.ec2(&format!("Action=DescribeSnapshots&SnapshotId.1={id}")));
    assert_eq!(describe("snap-0ffffffffffffffff"), (400, "InvalidSnapshot.NotFound".into()));
    assert_eq!(describe("foo"), (400, "InvalidSnapshotID.Malformed".into()));
    let delete = |id: &str| code(&bench.ec2(&format!("Action=DeleteSnapshot&SnapshotId={id}")));
    assert_eq!(delete("snap-0ffffffffffffffff"), (400, "InvalidSnapshot.NotFound".into()));
    assert_eq!(code(&bench.ec2("Action=DeleteSnapshot")), (400, "MissingParameter".into()));
}

#[test]
fn filters_must_all_match_one_of_their_values() {
    let bench = Bench::new();
    let mut made = Vec::new();
    for (description, tag) in [("nightly one", "x"), ("nightly two", "y"), ("weekly", "x")] {
        let asked =
            json!({"VolumeSize": 1, "Description": description, "Tags": [{"Key": "t", "Value": tag}]});
        made.push(bench.start(&asked).json()["SnapshotId"].as_str().unwrap().to_owned());
    }
    bench.complete(&made[0], 0, &[]);
    bench.advance(1);
    let filtered = |filters: &[(&str, &[&str])]| {
        let mut form = "Action=DescribeSnapshots&Owner.1=self".to_owned();
        for (n, (name, values)) in filters.iter().enumerate() {
            form += &format!("&Filter.{}.Name={name}", n + 1);
            for (m, value) in values.iter().enumerate() {
                form += &format!("&Filter.{}.Value.{}={value}", n + 1, m + 1);
            }
        }
        let found = ids(&bench.ec2(&form));
        found.iter().map(|id| made.iter().position(|made| made == id).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(filtered(&[]), [0, 1, 2]);
    assert_eq!(filtered(&[("description", &["nightly*"])]), [0, 1]);
    assert_eq!(filtered(&[("description", &["nightly+t?o", "weekly"])]), [1, 2]);
    assert_eq!(filtered(&[("tag:t", &["x"]), ("status", &["pending"])]), [2]);
    assert_eq!(filtered(&[("tag-key", &["t"])]), [0, 1, 2]);
    assert_eq!(filtered(&[("status", &["completed"])]), [0]);
    assert_eq!(filtered(&[("progress", &["100%25"])]), [0]);
    assert_eq!(filtered(&[("volume-id", &["vol-ffffffff"]), ("volume-size", &["1"])]), [0, 1, 2]);
    assert_eq!(filtered(&[("owner-id", &["999999999999"])]), [0_usize; 0]);
    assert_eq!(filtered(&[("start-time", &["2026-09-22T*"]), ("encrypted", &["false"])]), [0, 1, 2]);
    assert_eq!(filtered(&[("storage-tier", &["archive"])]), [0_usize; 0]);
    let unknown = bench.ec2("Action=DescribeSnapshots&Filter.1.Name=colour&Filter.1.Value.1=red");
    assert_eq!(code(&unknown), (400, "InvalidParameterValue".into()));
    assert_eq!(ids(&bench.ec2("Action=DescribeSnapshots&Owner.1=amazon")).len(), 0);
    assert_eq!(ids(&bench.ec2("Action=DescribeSnapshots&Owner.1=123456789012")).len(), 3);
    assert_eq!(ids(&bench.ec2("Action=DescribeSnapshots")).len(), 3);
}

#[test]
fn pages_of_snapshots_show_each_one_once() {
    let bench = Bench::new();
    let made: Vec<_> = (0..12).map(|_| bench.started(None)).collect();
    let mut found = Vec::new();
    let mut form = "Action=DescribeSnapshots&MaxResults=5".to_owned();
    for expected in [5, 5, 2] {
        let page = bench.ec2(&form);
        assert_eq!(ids(&page).len(), expected);
        found.extend(ids(&page));
        let text = page.text();
        let Some((_, rest)) = text.split_once("<nextToken>") else { break };
        form = format!("Action=DescribeSnapshots&MaxResults=5&NextToken={}", rest.split('<').next().unwrap());
    }
    assert_eq!(found, made);
    for bad in ["MaxResults=4", "MaxResults=1001", "MaxResults=x", "NextToken=garbage"] {
        let refused = bench.ec2(&format!("Action=DescribeSnapshots&{bad}"));
        assert_eq!(code(&refused), (400, "InvalidParameterValue".into()), "{bad}");
    }
    let both = bench.ec2(&format!("Action=DescribeSnapshots&MaxResults=5&SnapshotId.1={}", made[0]));
    assert_eq!(code(&both), (400, "InvalidParameterCombination".into()));
}

#[test]
fn a_dry_run_does_nothing() {
    let bench = Bench::new();
    let id = bench.completed(None, []);
    for action in [
        format!("Action=DeleteSnapshot&SnapshotId={id}"),
        format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=a"),
        "Action=DescribeSnapshots".to_owned(),
    ] {
        let refused = bench.ec2(&format!("{action}&DryRun=true"));
        assert_eq!(code(&refused), (412, "DryRunOperation".into()));
    }
    let left = bench.shelf.find(&id.parse().unwrap()).unwrap().unwrap();
    assert!(left.info.tags.is_empty());
}

#[test]
fn tags_are_all_or_nothing() {
    let bench = Bench::new();
    let id = bench.completed(None, []);
    let tag = |rest: &str| code(&bench.ec2(&format!("Action=CreateTags&ResourceId.1={id}&{rest}")));
    assert_eq!(
        tag("ResourceId.2=snap-0fff&Tag.1.Key=a&Tag.1.Value=b"),
        (400, "InvalidSnapshot.NotFound".into())
    );
    assert_eq!(tag("ResourceId.2=vpc-0fff&Tag.1.Key=a&Tag.1.Value=b"), (400, "InvalidID".into()));
    assert_eq!(tag("Tag.1.Key=aws:a&Tag.1.Value=b"), (400, "InvalidParameterValue".into()));
    assert_eq!(tag(""), (400, "MissingParameter".into()));
    let many: Vec<_> = (1..=51).map(|n| format!("Tag.{n}.Key=k{n}")).collect();
    assert_eq!(tag(&many.join("&")), (400, "TagLimitExceeded".into()));
    assert!(bench.shelf.find(&id.parse().unwrap()).unwrap().unwrap().info.tags.is_empty());
    assert_eq!(tag("Tag.1.Key=a&Tag.1.Value=b"), (200, "-".into()));
}

#[test]
fn a_pending_snapshot_is_deleted_at_once() {
    let bench = Bench::new();
    let id = bench.started(None);
    let deleted = bench.ec2(&format!("Action=DeleteSnapshot&SnapshotId={id}"));
    assert!(deleted.text().contains("<return>true</return>"), "{}", deleted.text());
    let gone = bench.ec2(&format!("Action=DescribeSnapshots&SnapshotId.1={id}"));
    assert_eq!(code(&gone), (400, "InvalidSnapshot.NotFound".into()));
}

#[test]
fn the_caller_is_the_account() {
    let bench = Bench::new();
    let kind = "application/x-www-form-urlencoded";
    let request = Request::post("/").header("content-type", kind);
    let answer = bench.send("sts", request, "Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("<Account>123456789012</Account>"), "{}", answer.text());
}

//! Regions: what is in one is not in another.

use super::*;

const ELSEWHERE: &str = "eu-west-1";

fn snapshots(bench: &Bench) -> usize {
    bench.ec2("Action=DescribeSnapshots&Owner.1=self").text().matches("<snapshotId>").count()
}

#[test]
fn a_snapshot_is_in_the_region_it_was_started_in_and_in_no_other() {
    let bench = Bench::new();
    let id = bench.completed(None, [1]);
    let page = bench.get(&format!("/snapshots/{id}/blocks")).json();
    let token = page["Blocks"][0]["BlockToken"].as_str().unwrap().to_owned();
    assert_eq!(snapshots(&bench), 1);

    bench.go_to(ELSEWHERE);
    assert_eq!(snapshots(&bench), 0);
    let not_there = (400, "InvalidSnapshot.NotFound".to_owned());
    for form in [
        format!("Action=DescribeSnapshots&SnapshotId.1={id}"),
        format!("Action=DescribeSnapshotAttribute&SnapshotId={id}&Attribute=createVolumePermission"),
        format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=k&Tag.1.Value=v"),
        format!("Action=CreateVolume&AvailabilityZone={ELSEWHERE}a&SnapshotId={id}"),
        format!("Action=DeleteSnapshot&SnapshotId={id}"),
    ] {
        assert_eq!(code(&bench.ec2(&form)), not_there, "{form}");
    }
    let changed = format!("/snapshots/{id}/changedblocks?firstSnapshotId={id}");
    let block = format!("/snapshots/{id}/blocks/1?blockToken={token}");
    for target in [format!("/snapshots/{id}/blocks"), changed, block] {
        bench.get(&target).refused(404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND");
    }
    let bytes = vec![0; 524_288].into();
    bench.put(&id, 2, &bytes).refused(404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND");
    let child = bench.start(&json!({"VolumeSize": 1, "ParentSnapshotId": id}));
    child.refused(404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND");

    bench.go_to(HOME);
    assert_eq!(bench.state(&id).0, "completed", "nothing was done to it");
}

#[test]
fn a_client_token_starts_one_snapshot_in_each_region() {
    let bench = Bench::new();
    let start = || {
        let started = bench.start(&json!({"VolumeSize": 1, "ClientToken": "t"}));
        started.json()["SnapshotId"].as_str().unwrap().to_owned()
    };
    let here = start();
    bench.go_to(ELSEWHERE);
    let there = start();
    assert_ne!(here, there);
    assert_eq!(start(), there);
    bench.go_to(HOME);
    assert_eq!(start(), here);
}

#[test]
fn a_snapshot_that_came_to_the_shelf_another_way_is_in_every_region() {
    let bench = Bench::new();
    let grant = crate::shelf::conformance::grant(None);
    bench.shelf.start(&grant).unwrap();
    for region in [ELSEWHERE, HOME] {
        bench.go_to(region);
        assert_eq!(snapshots(&bench), 1, "{region}");
    }
}

#[test]
fn each_region_has_two_availability_zones_and_an_instance_in_each() {
    let bench = Bench::new();
    for region in [HOME, ELSEWHERE] {
        bench.go_to(region);
        let seen = bench.ec2("Action=DescribeInstances").text();
        for zone in ["a", "b"] {
            assert!(seen.contains(&format!("<availabilityZone>{region}{zone}</availabilityZone>")), "{seen}");
            let made = bench.ec2(&format!("Action=CreateVolume&AvailabilityZone={region}{zone}&Size=1"));
            assert_eq!(made.status, 200, "{}", made.text());
        }
        let count = bench.ec2("Action=DescribeVolumes").text().matches("<volumeId>").count();
        assert_eq!(count, 2, "its own, and nobody else's");
    }
}

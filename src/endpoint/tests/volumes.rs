//! Volumes: their states by the clock, what is on them, and EC2's refusals.

use super::*;
use crate::account::Pace;
use crate::estate::Lock;
use crate::estate::LockState;
use std::collections::BTreeMap;

const HERE: &str = "i-00000000000000001";
const ELSEWHERE: &str = "i-00000000000000002";

/// Everything takes ten seconds.
pub(super) fn slow() -> Settings {
    let ten = Duration::from_secs(10);
    let pace = Pace { create: ten, attach: ten, detach: ten, delete: ten, ..Pace::default() };
    Settings { pace, ..Settings::default() }
}

impl Bench {
    pub(super) fn create(&self, rest: &str) -> Answer {
        self.ec2(&format!("Action=CreateVolume&AvailabilityZone=us-east-1a&{rest}"))
    }

    /// The id of a volume that is available.
    pub(super) fn volume(&self, rest: &str) -> String {
        let made = self.create(rest);
        assert_eq!(made.status, 200, "{}", made.text());
        self.advance(60);
        of(&made, "volumeId").unwrap()
    }

    pub(super) fn volume_state(&self, id: &str) -> String {
        let seen = self.ec2(&format!("Action=DescribeVolumes&VolumeId.1={id}"));
        of(&seen, "status").unwrap_or_else(|| code(&seen).1)
    }

    fn attach(&self, id: &str, rest: &str) -> Answer {
        self.ec2(&format!("Action=AttachVolume&VolumeId={id}&{rest}"))
    }

    pub(super) fn device(&self, id: &str) -> BTreeMap<BlockIndex, Bytes> {
        self.vault.device(&id.parse().unwrap()).unwrap()
    }
}

fn here() -> String {
    format!("InstanceId={HERE}&Device=/dev/sdf")
}

#[test]
fn every_change_takes_its_time() {
    let bench = Bench::with(slow());
    let snapshot = bench.completed(None, [1, 2]);
    let made = bench.create(&format!("SnapshotId={snapshot}&ClientToken=t"));
    let id = of(&made, "volumeId").unwrap();
    assert_eq!(of(&made, "status").as_deref(), Some("creating"));
    let detach = format!("Action=DetachVolume&VolumeId={id}");
    let delete = format!("Action=DeleteVolume&VolumeId={id}");
    assert_eq!(code(&bench.attach(&id, &here())), (400, "IncorrectState".into()), "it is still being made");
    assert_eq!(bench.volume_state(&id), "creating");
    bench.advance(10);
    assert_eq!(bench.volume_state(&id), "available");

    assert_eq!(of(&bench.attach(&id, &here()), "status").as_deref(), Some("attaching"));
    let attachment = || {
        let seen = bench.ec2(&format!("Action=DescribeInstances&InstanceId.1={HERE}"));
        of(&seen, "status").unwrap_or_default()
    };
    assert_eq!((bench.volume_state(&id).as_str(), attachment().as_str()), ("in-use", "attaching"));
    bench.advance(10);
    assert_eq!(attachment(), "attached");
    assert_eq!(code(&bench.ec2(&delete)), (400, "VolumeInUse".into()));

    assert_eq!(of(&bench.ec2(&detach), "status").as_deref(), Some("detaching"));
    assert_eq!((bench.volume_state(&id).as_str(), attachment().as_str()), ("in-use", "detaching"));
    assert_eq!(code(&bench.ec2(&detach)), (400, "IncorrectState".into()), "it is being detached");
    bench.advance(10);
    assert_eq!((bench.volume_state(&id).as_str(), attachment().as_str()), ("available", ""));
    assert_eq!(code(&bench.ec2(&detach)), (400, "IncorrectState".into()));

    assert_eq!(bench.ec2(&delete).status, 200);
    assert_eq!(bench.volume_state(&id), "deleting");
    bench.advance(10);
    assert_eq!(bench.volume_state(&id), "InvalidVolume.NotFound");
    assert_eq!(code(&bench.ec2(&delete)), (400, "InvalidVolume.NotFound".into()));
    assert_eq!(bench.vault.device(&id.parse().unwrap()), None, "its bytes go with it");
}

#[test]
fn a_volume_can_be_attached_again() {
    let bench = Bench::with(slow());
    let id = bench.volume("Size=1");
    for _ in 0..2 {
        assert_eq!(bench.attach(&id, &here()).status, 200);
        assert_eq!(bench.vault.plugged(&HERE.parse().unwrap()), [id.parse().unwrap()]);
        bench.advance(10);
        assert_eq!(bench.volume_state(&id), "in-use");
        assert_eq!(bench.ec2(&format!("Action=DetachVolume&VolumeId={id}")).status, 200);
        assert_eq!(bench.vault.plugged(&HERE.parse().unwrap()), []);
        bench.advance(10);
        assert_eq!(bench.volume_state(&id), "available");
    }
}

#[test]
fn a_client_token_makes_one_volume_whatever_happens_to_it() {
    let bench = Bench::new();
    let id = bench.volume("Size=1&ClientToken=t");
    bench.attach(&id, &here());
    let again = bench.create("Size=1&ClientToken=t");
    assert_eq!(of(&again, "volumeId").as_deref(), Some(id.as_str()));
    assert_eq!(code(&bench.create("Size=2&ClientToken=t")), (400, "IdempotentParameterMismatch".into()));
    assert_ne!(bench.volume("Size=1&ClientToken=u"), id);
}

#[test]
fn an_account_with_quotas_has_so_much_storage() {
    let bench = Bench::switched(Config { quotas: Quotas::Aws, account: slow(), ..Config::default() });
    let full = |kind: &str| bench.create(&format!("Size=16384&VolumeType={kind}&Iops=3000"));
    for _ in 0..3 {
        assert_eq!(full("gp3").status, 200);
    }
    assert_eq!(code(&full("gp3")), (400, "VolumeLimitExceeded".into()), "it would be 64 TiB of 50");
    assert_eq!(full("io2").status, 200, "each kind has its own");
    assert_eq!(code(&full("io2")), (400, "VolumeLimitExceeded".into()), "32 TiB of 20");
}

#[test]
fn what_ec2_refuses_is_refused_with_its_codes() {
    let bench = Bench::new();
    let pending = bench.started(None);
    let done = bench.completed(None, []);
    for (rest, expected) in [
        (format!("SnapshotId={pending}"), "IncorrectState"),
        ("SnapshotId=snap-0ffffffffffffffff".into(), "InvalidSnapshot.NotFound"),
        ("SnapshotId=foo".into(), "InvalidSnapshotID.Malformed"),
        (String::new(), "MissingParameter"),
        ("Size=1&VolumeType=floppy".into(), "InvalidParameterValue"),
        ("Size=65537".into(), "InvalidParameterValue"),
        ("Size=1&VolumeType=gp3&Iops=2999".into(), "InvalidParameterValue"),
        ("Size=1&VolumeType=io2".into(), "MissingParameter"),
        ("Size=1&VolumeType=gp2&Throughput=200".into(), "InvalidParameterCombination"),
        (format!("SnapshotId={done}&VolumeInitializationRate=301&DryRun=true"), "InvalidParameterValue"),
        (format!("SnapshotId={done}&VolumeInitializationRate=300&DryRun=true"), "DryRunOperation"),
        (format!("SnapshotId={done}&KmsKeyId=x"), "InvalidParameterCombination"),
        (format!("Size=1&ClientToken={}", "x".repeat(65)), "InvalidParameterValue"),
        ("Size=1&TagSpecification.1.ResourceType=snapshot".into(), "InvalidParameterValue"),
    ] {
        assert_eq!(code(&bench.create(&rest)).1, expected, "{rest}");
    }
    let zone = bench.ec2("Action=CreateVolume&AvailabilityZone=eu-west-1a&Size=1");
    assert_eq!(code(&zone), (400, "InvalidZone.NotFound".into()), "a zone of another Region");

    let id = bench.volume("Size=1");
    let other = bench.volume("Size=1");
    bench.attach(&other, &format!("InstanceId={HERE}&Device=/dev/sdg"));
    for (rest, expected) in [
        (format!("InstanceId={ELSEWHERE}&Device=/dev/sdf"), "InvalidVolume.ZoneMismatch"),
        (format!("InstanceId={HERE}&Device=/dev/sdg"), "InvalidParameterValue"),
        (format!("InstanceId={HERE}&Device=sdf"), "InvalidParameterValue"),
        (format!("InstanceId={HERE}"), "MissingParameter"),
        ("InstanceId=i-0fff&Device=/dev/sdf".into(), "InvalidInstanceID.NotFound"),
        (format!("InstanceId={HERE}&Device=/dev/sdf&DryRun=true"), "DryRunOperation"),
    ] {
        assert_eq!(code(&bench.attach(&id, &rest)).1, expected, "{rest}");
    }
    assert_eq!(code(&bench.attach(&other, &here())), (400, "VolumeInUse".into()));
    let away = bench.ec2(&format!("Action=DetachVolume&VolumeId={other}&InstanceId={ELSEWHERE}"));
    assert_eq!(code(&away), (400, "InvalidAttachment.NotFound".into()));
    assert_eq!(bench.volume_state(&id), "available", "nothing was done");
}

#[test]
fn an_instance_takes_so_many_volumes() {
    let bench = Bench::new();
    let attached = (0..28).map(|n| {
        let id = bench.volume("Size=1");
        code(&bench.attach(&id, &format!("InstanceId={HERE}&Device=/dev/sd{n}"))).1
    });
    let codes: Vec<_> = attached.collect();
    assert!(codes[..27].iter().all(|code| code == "-"), "{codes:?}");
    assert_eq!(codes[27], "AttachmentLimitExceeded");
}

#[test]
fn a_size_below_the_snapshots_is_the_snapshots() {
    let bench = Bench::new();
    let started = bench.start(&json!({"VolumeSize": 3}));
    let id = started.json()["SnapshotId"].as_str().unwrap().to_owned();
    bench.complete(&id, 0, &[]);
    bench.advance(1);
    for (asked, made) in [("1", "3"), ("3", "3"), ("4", "4")] {
        let volume = bench.create(&format!("SnapshotId={id}&Size={asked}"));
        assert_eq!(of(&volume, "size").as_deref(), Some(made));
    }
}

#[test]
fn data_comes_at_the_rate_asked_for() {
    let bench = Bench::new();
    // 2,048 blocks of half a MiB, of which each has one: ten seconds at 100 MiB a second, one at the usual 1,000.
    let snapshot = bench.completed(None, 0..2000);
    let asked = bench.create(&format!("SnapshotId={snapshot}&VolumeInitializationRate=100"));
    let usual = bench.create(&format!("SnapshotId={snapshot}"));
    let status = |made: &Answer| {
        let id = of(made, "volumeId").unwrap();
        bench.ec2(&format!("Action=DescribeVolumeStatus&VolumeId.1={id}"))
    };
    bench.advance(1);
    let seen = status(&asked);
    assert!(seen.text().contains("<name>initialization-state</name><status>initializing</status>"));
    assert_eq!(of(&seen, "progress").as_deref(), Some("10"));
    assert_eq!(of(&seen, "estimatedTimeToCompleteInSeconds").as_deref(), Some("9"));
    assert_eq!(of(&status(&usual), "progress").as_deref(), Some("100"));
    assert_eq!(
        of(&status(&usual), "estimatedTimeToCompleteInSeconds"),
        None,
        "told for a provisioned rate only"
    );
    bench.advance(9);
    assert!(status(&asked).text().contains("<name>initialization-state</name><status>completed</status>"));
    assert_eq!(of(&status(&bench.create("Size=1")), "progress"), None, "nothing has to come");
}

#[test]
fn a_new_volume_may_be_unseen_for_a_while() {
    let pace = Pace { unseen: Duration::from_secs(5), ..slow().pace };
    let bench = Bench::with(Settings { pace, ..Settings::default() });
    let made = bench.create("Size=1&ClientToken=t");
    let id = of(&made, "volumeId").unwrap();
    assert_eq!(bench.volume_state(&id), "InvalidVolume.NotFound");
    assert_eq!(of(&bench.create("Size=1&ClientToken=t"), "volumeId").as_deref(), Some(id.as_str()));
    bench.advance(5);
    assert_eq!(bench.volume_state(&id), "creating");
}

#[test]
fn what_goes_wrong_by_plan_goes_wrong_after_the_answer() {
    let faults = "CreateVolume nth=4 error=VolumeLimitExceeded\nCreateVolume nth=1 ends=error\nCreateVolume nth=2 ends=gone\nAttachVolume ends=never\n\
                  DeleteVolume nth=1 throttle=account\nDetachVolume nth=1 lost";
    let bench =
        Bench::switched(Config { account: slow(), faults: faults.parse().unwrap(), ..Config::default() });
    let [failed, gone, sound] = [(); 3].map(|()| bench.volume("Size=1"));
    assert_eq!(code(&bench.create("Size=1")), (400, "VolumeLimitExceeded".into()));
    assert_eq!(bench.volume_state(&failed), "error");
    assert_eq!(bench.volume_state(&gone), "InvalidVolume.NotFound");
    bench.attach(&sound, &here());
    bench.advance(1000);
    let seen = bench.ec2(&format!("Action=DescribeVolumes&VolumeId.1={sound}")).text();
    assert!(seen.contains("<status>attaching</status>"), "{seen}");
    assert_eq!(bench.vault.plugged(&HERE.parse().unwrap()), [], "it never arrives");
    let throttled = bench.ec2(&format!("Action=DeleteVolume&VolumeId={failed}"));
    assert_eq!(code(&throttled), (503, "RequestLimitExceeded".into()));
    let throttled = bench.ec2(&format!("Action=DeleteVolume&VolumeId={sound}"));
    assert_eq!(code(&throttled), (503, "RequestLimitExceeded".into()), "volumes are counted apart");
    assert_eq!(bench.ec2(&format!("Action=DeleteVolume&VolumeId={failed}")).status, 200);
    bench.ec2(&format!("Action=DetachVolume&VolumeId={sound}"));
    bench.advance(10);
    assert_eq!(bench.volume_state(&sound), "available", "the answer was lost, the work was done");
}

#[test]
fn pages_show_each_thing_once_and_open_nothing_else() {
    let bench = Bench::new();
    let mut made: Vec<_> = (0..12).map(|_| bench.volume("Size=1")).collect();
    made.sort();
    let (mut found, mut rest) = (Vec::new(), String::new());
    for expected in [5, 5, 2] {
        let page = bench.ec2(&format!("Action=DescribeVolumes&MaxResults=5{rest}"));
        let text = page.text();
        let ids: Vec<_> =
            text.split("<volumeId>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), expected);
        found.extend(ids);
        let Some(token) = of(&page, "nextToken") else { break };
        let elsewhere = bench.ec2(&format!("Action=DescribeImages&MaxResults=5&NextToken={token}"));
        assert_eq!(code(&elsewhere), (400, "InvalidParameterValue".into()));
        rest = format!("&NextToken={token}");
    }
    assert_eq!(found, made);
}

#[test]
fn a_snapshot_that_is_held_cannot_be_deleted() {
    let bench = Bench::new();
    let [locked, imaged] = [(); 2].map(|()| bench.completed(None, []));
    let held = crate::control::conformance::held(&[&imaged, &imaged, &imaged].map(|id| id.parse().unwrap()));
    let lock = Lock { snapshot: locked.parse().unwrap(), state: LockState::Governance, expires: None };
    let account = bench.service.account();
    account
        .edit::<_, crate::fault::Fault>("us-east-1", |holdings| {
            (holdings.held.images, holdings.held.locks) = (held.images, vec![lock]);
            Ok(())
        })
        .unwrap();
    let delete = |id: &str| code(&bench.ec2(&format!("Action=DeleteSnapshot&SnapshotId={id}")));
    assert_eq!(delete(&imaged), (400, "InvalidSnapshot.InUse".into()));
    assert_eq!(delete(&locked).0, 400);
    account
        .edit::<_, crate::fault::Fault>("us-east-1", |holdings| {
            (holdings.held.images, holdings.held.locks) = (Vec::new(), Vec::new());
            Ok(())
        })
        .unwrap();
    assert_eq!((delete(&imaged).0, delete(&locked).0), (200, 200));
}

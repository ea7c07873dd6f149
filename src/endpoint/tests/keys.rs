//! What is encrypted, with which key, and what comes of keys that cannot be used.

use super::volumes::slow;
use super::*;
use crate::account::KeyState;
use std::collections::BTreeMap;

#[test]
fn absent_blocks_are_zero_unless_the_volume_is_encrypted() {
    let key = "arn:aws:kms:us-east-1:123456789012:key/x";
    let bench = Bench::new();
    let plain = bench.completed(None, [3, 700]);
    let device = bench.device(&bench.volume(&format!("SnapshotId={plain}")));
    assert_eq!(device.keys().map(|index| index.get()).collect::<Vec<_>>(), [3, 700]);

    let started = bench.start(&json!({"VolumeSize": 1, "Encrypted": true, "KmsKeyArn": key}));
    let id = started.json()["SnapshotId"].as_str().unwrap().to_owned();
    bench.put(&id, 3, &vec![7; 524_288].into());
    bench.complete(&id, 1, &[]);
    bench.advance(1);
    let made = bench.create(&format!("SnapshotId={id}"));
    assert_eq!(
        (of(&made, "encrypted").as_deref(), of(&made, "kmsKeyId").as_deref()),
        (Some("true"), Some(key))
    );
    let device = bench.device(&of(&made, "volumeId").unwrap());
    assert_eq!(device.len(), 2048);
    assert!(device[&BlockIndex::new(3)].iter().all(|byte| *byte == 7));
    assert!(!crate::block::is_zero(&device[&BlockIndex::new(4)]), "chance");
    assert_ne!(device[&BlockIndex::new(4)], device[&BlockIndex::new(5)]);
    let refused = bench.create(&format!("SnapshotId={id}&Encrypted=false"));
    assert_eq!(code(&refused), (400, "InvalidParameterCombination".into()));
}

#[test]
fn a_volume_whose_key_cannot_be_used_is_gone() {
    for state in [KeyState::Disabled, KeyState::PendingDeletion, KeyState::Denied, KeyState::Enabled] {
        let settings = slow();
        let keys = BTreeMap::from([(settings.default_key.clone(), state)]);
        let bench = Bench::with(Settings { keys, ..settings });
        let made = bench.create("Size=1&Encrypted=true");
        let id = of(&made, "volumeId").unwrap();
        assert_eq!(bench.volume_state(&id), "creating");
        bench.advance(10);
        let expected = if state == KeyState::Enabled { "available" } else { "InvalidVolume.NotFound" };
        assert_eq!(bench.volume_state(&id), expected, "{state:?}");
    }
}

#[test]
fn a_key_that_is_not_there_makes_no_volume_and_one_that_is_off_reads_nothing() {
    let bench = Bench::with(slow());
    let elsewhere = "arn:aws:kms:eu-west-1:123456789012:key/x";
    for (key, expected) in [
        ("alias/nobody", "InvalidVolume.NotFound"),
        (elsewhere, "InvalidVolume.NotFound"),
        ("alias/aws/ebs", "available"),
        ("0badcafe-0000-4000-8000-000000000007", "available"),
    ] {
        let made = bench.create(&format!("Size=1&Encrypted=true&KmsKeyId={key}"));
        assert!(of(&made, "kmsKeyId").unwrap().starts_with("arn:aws:kms:"), "{}", made.text());
        bench.advance(10);
        assert_eq!(bench.volume_state(&of(&made, "volumeId").unwrap()), expected, "{key}");
    }

    let key = "arn:aws:kms:us-east-1:123456789012:key/x";
    let started = bench.start(&json!({"VolumeSize": 1, "Encrypted": true, "KmsKeyArn": key}));
    let id = started.json()["SnapshotId"].as_str().unwrap().to_owned();
    bench.put(&id, 3, &vec![7; 524_288].into());
    bench.complete(&id, 1, &[]);
    bench.advance(1);
    let page = bench.get(&format!("/snapshots/{id}/blocks")).json();
    let block =
        format!("/snapshots/{id}/blocks/3?blockToken={}", page["Blocks"][0]["BlockToken"].as_str().unwrap());
    assert_eq!(bench.get(&block).status, 200);
    let keys = BTreeMap::from([(key.to_owned(), KeyState::Denied)]);
    let denied = Bench::over(bench.shelf, bench.clock, Settings { keys, ..Settings::default() });
    denied.get(&block).refused(404, "ResourceNotFoundException", "DEPENDENCY_RESOURCE_NOT_FOUND");
}

#[test]
fn a_region_encrypts_by_default_once_it_is_told_to() {
    let bench = Bench::with(slow());
    let snapshot = bench.completed(None, [1]);
    let encrypted = |bench: &Bench| {
        let zone = bench.region.lock().unwrap().to_string();
        let made = bench.ec2(&format!("Action=CreateVolume&AvailabilityZone={zone}a&Size=1"));
        (of(&made, "encrypted").unwrap(), of(&made, "kmsKeyId"))
    };
    assert_eq!(encrypted(&bench), ("false".into(), None));
    bench.ec2("Action=EnableEbsEncryptionByDefault");
    let told = bench.ec2("Action=GetEbsEncryptionByDefault");
    assert_eq!(of(&told, "ebsEncryptionByDefault").as_deref(), Some("true"));
    let managed = of(&bench.ec2("Action=GetEbsDefaultKmsKeyId"), "kmsKeyId");
    assert_eq!(encrypted(&bench), ("true".into(), managed.clone()));
    let from_plain = bench.create(&format!("SnapshotId={snapshot}&Encrypted=false"));
    assert_eq!(of(&from_plain, "encrypted").as_deref(), Some("true"), "whatever is asked");
    let started = bench.start(&json!({"VolumeSize": 1})).json();
    assert_eq!(started["KmsKeyArn"].as_str(), managed.as_deref());

    bench.ec2("Action=ModifyEbsDefaultKmsKeyId&KmsKeyId=mine");
    assert_eq!(encrypted(&bench).1.as_deref(), Some("arn:aws:kms:us-east-1:123456789012:key/mine"));
    assert_eq!(of(&bench.ec2("Action=ResetEbsDefaultKmsKeyId"), "kmsKeyId"), managed);

    bench.go_to("eu-west-1");
    assert_eq!(encrypted(&bench), ("false".into(), None), "each Region is told by itself");
    bench.go_to(HOME);
    bench.ec2("Action=DisableEbsEncryptionByDefault");
    assert_eq!(encrypted(&bench), ("false".into(), None));
}

//! The Recycle Bin: what rules keep, for how long, and how it comes back.

use super::*;
use crate::estate::{BinKind, BinRule, Held, RuleTag};
use crate::fault::Fault;

const DAY: u64 = 24 * 60 * 60;

fn edit(bench: &Bench, act: impl FnOnce(&mut Held)) {
    let account = bench.service.account();
    let edited = account.edit::<_, Fault>(HOME, |holdings| {
        act(&mut holdings.held);
        Ok(())
    });
    edited.unwrap();
}

/// A bench whose Region keeps snapshots for a week, and volumes with the tag `keep` for two days.
fn kept() -> Bench {
    let bench = Bench::new();
    edit(&bench, |held| {
        let keep = RuleTag { key: "keep".into(), value: None };
        held.bin_rules = vec![
            BinRule::all(BinKind::Snapshot, 7),
            BinRule { tags: vec![keep], ..BinRule::all(BinKind::Volume, 2) },
        ];
    });
    bench
}

fn ids(bench: &Bench, action: &str, name: &str) -> usize {
    bench.ec2(&format!("Action={action}")).text().matches(&format!("<{name}>")).count()
}

fn describe(bench: &Bench, id: &str) -> (u16, String) {
    code(&bench.ec2(&format!("Action=DescribeSnapshots&SnapshotId.1={id}")))
}

#[test]
fn a_deleted_snapshot_lies_in_the_bin_comes_back_whole_and_is_gone_in_the_end() {
    let bench = kept();
    let id = bench.completed(None, [1, 7]);
    let child = bench.completed(Some(&id), [2]);
    let delete = || bench.ec2(&format!("Action=DeleteSnapshot&SnapshotId={id}"));
    let restore = || bench.ec2(&format!("Action=RestoreSnapshotFromRecycleBin&SnapshotId={id}"));
    let not_there = (400, "InvalidSnapshot.NotFound".to_owned());
    assert_eq!(code(&restore()), not_there, "it was not deleted");

    assert_eq!(delete().status, 200);
    assert_eq!((describe(&bench, &id), code(&delete())), (not_there.clone(), not_there.clone()));
    bench.get(&format!("/snapshots/{id}/blocks")).refused(
        404,
        "ResourceNotFoundException",
        "SNAPSHOT_NOT_FOUND",
    );
    assert_eq!(describe(&bench, &child).0, 200);
    let listed = bench.ec2("Action=ListSnapshotsInRecycleBin");
    assert_eq!(of(&listed, "snapshotId").as_deref(), Some(id.as_str()));
    let (entered, leaves) = (of(&listed, "recycleBinEnterTime"), of(&listed, "recycleBinExitTime"));
    assert_eq!(entered.unwrap()[..10], *"2026-09-22");
    assert_eq!(leaves.unwrap()[..10], *"2026-09-29");

    bench.advance(6 * DAY);
    let restored = restore();
    assert_eq!(of(&restored, "status").as_deref(), Some("completed"), "{}", restored.text());
    assert_eq!(ids(&bench, "ListSnapshotsInRecycleBin", "snapshotId"), 0);
    assert_eq!(indexes(&bench.get(&format!("/snapshots/{id}/blocks")).json()), [1, 7]);

    delete();
    bench.advance(7 * DAY);
    assert_eq!(ids(&bench, "ListSnapshotsInRecycleBin", "snapshotId"), 0);
    assert_eq!(code(&restore()), not_there, "too late");
    assert_eq!(bench.shelf.find(&id.parse().unwrap()).unwrap(), None, "its place is free");
}

#[test]
fn a_volume_with_the_rules_tag_keeps_its_bytes_in_the_bin() {
    let bench = kept();
    let make = |tag: &str| {
        let form = format!(
            "Action=CreateVolume&AvailabilityZone=us-east-1a&Size=1&TagSpecification.1.ResourceType=volume\
             &TagSpecification.1.Tag.1.Key={tag}"
        );
        let id = of(&bench.ec2(&form), "volumeId").unwrap();
        bench.advance(1);
        id
    };
    let device = |id: &str| bench.vault.device(&id.parse().unwrap()).is_some();
    let (kept, other) = (make("keep"), make("other"));
    for id in [&kept, &other] {
        assert_eq!(bench.ec2(&format!("Action=DeleteVolume&VolumeId={id}")).status, 200);
    }
    bench.advance(1);
    assert_eq!(ids(&bench, "DescribeVolumes", "volumeId"), 0);
    let listed = bench.ec2("Action=ListVolumesInRecycleBin");
    assert_eq!(of(&listed, "volumeId").as_deref(), Some(kept.as_str()));
    assert_eq!((device(&kept), device(&other)), (true, false));

    let restore = |id: &str| bench.ec2(&format!("Action=RestoreVolumeFromRecycleBin&VolumeId={id}"));
    assert_eq!(code(&restore(&other)), (400, "InvalidVolume.NotFound".into()));
    assert_eq!(restore(&kept).status, 200);
    let seen = bench.ec2(&format!("Action=DescribeVolumes&VolumeId.1={kept}"));
    assert_eq!(of(&seen, "status").as_deref(), Some("available"));
    assert_eq!(of(&seen, "key").as_deref(), Some("keep"));

    bench.ec2(&format!("Action=DeleteVolume&VolumeId={kept}"));
    bench.advance(2 * DAY);
    assert_eq!(ids(&bench, "ListVolumesInRecycleBin", "volumeId"), 0);
    make("keep");
    assert!(!device(&kept), "whatever happens next clears it away");
    assert_eq!(code(&restore(&kept)), (400, "InvalidVolume.NotFound".into()));
}

#[test]
fn a_lock_holds_until_it_expires() {
    let bench = Bench::new();
    let id = bench.completed(None, []);
    edit(&bench, |held| {
        let expires = Some(NOW.plus_millis(10_000_000));
        let state = crate::estate::LockState::Governance;
        held.locks.push(crate::estate::Lock { snapshot: id.parse().unwrap(), state, expires });
    });
    let delete = || bench.ec2(&format!("Action=DeleteSnapshot&SnapshotId={id}")).status;
    assert_eq!(delete(), 400);
    bench.advance(10_000);
    let listed = bench.ec2("Action=DescribeLockedSnapshots");
    assert_eq!(of(&listed, "lockState").as_deref(), Some("expired"));
    assert_eq!(delete(), 200);
}

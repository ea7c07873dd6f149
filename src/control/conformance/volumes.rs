//! The life of a volume.

use crate::control::{VolumeQuery, Volumes};
use crate::estate::{AttachmentState, Instance, NewVolume, Volume, VolumeKind, VolumeState};
use crate::fault::Kind;
use crate::snapshot::{SnapshotId, Tags, VolumeId};
use std::time::Duration;

/// How long a change may take to show.
const PATIENCE: u32 = 500;
const MOMENT: Duration = Duration::from_millis(10);

/// A volume of a completed, unencrypted snapshot of 1 GiB is made, attached, detached and deleted. The first
/// instance takes volumes, the second one too, and is in another zone. There are no volumes before.
pub async fn volumes(account: &dyn Volumes, snapshot: &SnapshotId, instances: &[Instance]) {
    let (here, elsewhere) = (&instances[0], &instances[1]);
    let new = NewVolume {
        snapshot: Some(snapshot.clone()),
        zone: here.zone.clone(),
        kind: VolumeKind::Gp3,
        size: None,
        iops: Some(4000),
        throughput: Some(250),
        initialization_rate: Some(300),
        encrypted: None,
        kms_key_id: None,
        client_token: "run-1/volume".to_owned(),
        tags: Tags::from([("icecore:run".to_owned(), "run-1".to_owned())]),
    };
    let made = account.create_volume(&new).await.expect("create");
    assert_eq!((made.size.get(), &made.zone, &made.tags), (1, &new.zone, &new.tags));
    assert_eq!(account.create_volume(&new).await.expect("again").id, made.id, "one token, one volume");
    let other = NewVolume { iops: Some(5000), ..new.clone() };
    assert_eq!(account.create_volume(&other).await.expect_err("other parameters").kind, Kind::Refused);
    let id = &made.id;

    let seen = until(account, id, |volume| volume.state == VolumeState::Available).await;
    assert_eq!(seen.snapshot.as_ref(), Some(snapshot));
    assert_eq!((seen.kind, seen.iops, seen.throughput), (VolumeKind::Gp3, Some(4000), Some(250)));
    assert_eq!((seen.encrypted, seen.attachments, seen.tags), (false, Vec::new(), new.tags.clone()));
    for (query, found) in [
        (VolumeQuery::default(), true),
        (VolumeQuery { snapshots: vec![snapshot.clone()], ..VolumeQuery::default() }, true),
        (
            VolumeQuery { tags: vec!["icecore:run=run-1".parse().expect("a tag")], ..VolumeQuery::default() },
            true,
        ),
        (
            VolumeQuery { tags: vec!["icecore:run=run-2".parse().expect("a tag")], ..VolumeQuery::default() },
            false,
        ),
        (VolumeQuery { state: Some(VolumeState::InUse), ..VolumeQuery::default() }, false),
    ] {
        let volumes = account.volumes(&query).await.expect("volumes");
        assert_eq!(volumes.iter().any(|volume| volume.id == *id), found, "{query:?}");
    }
    let status = account.initializations(std::slice::from_ref(id)).await.expect("status").remove(0);
    assert_eq!(status.volume, *id);
    assert!(status.progress.is_none_or(|percent| percent <= 100), "{status:?}");

    let far = account.attach_volume(id, &elsewhere.id, "/dev/sdf").await.expect_err("another zone");
    assert_eq!(far.kind, Kind::Refused, "{far}");
    assert_eq!(account.detach_volume(id, &here.id).await.expect_err("nowhere").kind, Kind::Refused);
    let attachment = account.attach_volume(id, &here.id, "/dev/sdf").await.expect("attach");
    assert_eq!((attachment.instance.as_ref(), attachment.device.as_str()), (Some(&here.id), "/dev/sdf"));
    let is_attached = |volume: &Volume| {
        volume.attachments.first().is_some_and(|one| one.state == AttachmentState::Attached)
    };
    assert_eq!(until(account, id, is_attached).await.state, VolumeState::InUse);
    assert_eq!(account.delete_volume(id).await.expect_err("it is in use").kind, Kind::Refused);
    assert!(account.detach_volume(id, &elsewhere.id).await.is_err(), "it is not attached there");
    assert_eq!(until(account, id, is_attached).await.state, VolumeState::InUse);
    account.detach_volume(id, &here.id).await.expect("detach");
    until(account, id, |volume| volume.state == VolumeState::Available).await;
    account.delete_volume(id).await.expect("delete");
    gone(account, id).await;

    let unknown: VolumeId = "vol-0ffffffffffffffff".parse().expect("an id");
    let query = VolumeQuery::one(&unknown);
    assert_eq!(account.volumes(&query).await.expect_err("none such").kind, Kind::NotFound);
    assert_eq!(account.delete_volume(&unknown).await.expect_err("none such").kind, Kind::NotFound);
    assert_eq!(account.detach_volume(&unknown, &here.id).await.expect_err("none such").kind, Kind::NotFound);
    let missing = NewVolume { snapshot: "snap-0ffffffffffffffff".parse().ok(), ..new };
    let missing = NewVolume { client_token: "run-1/other".to_owned(), ..missing };
    assert_eq!(account.create_volume(&missing).await.expect_err("no snapshot").kind, Kind::NotFound);
}

async fn until(account: &dyn Volumes, id: &VolumeId, is_so: impl Fn(&Volume) -> bool) -> Volume {
    for _ in 0..PATIENCE {
        match account.volumes(&VolumeQuery::one(id)).await {
            Ok(mut found) if is_so(&found[0]) => return found.remove(0),
            Ok(_) => {}
            Err(fault) => assert_eq!(fault.kind, Kind::NotFound, "{fault}"),
        }
        tokio::time::sleep(MOMENT).await;
    }
    panic!("{id} never came to be as expected: {:?}", account.volumes(&VolumeQuery::one(id)).await);
}

async fn gone(account: &dyn Volumes, id: &VolumeId) {
    for _ in 0..PATIENCE {
        match account.volumes(&VolumeQuery::one(id)).await {
            Err(fault) => return assert_eq!(fault.kind, Kind::NotFound, "{fault}"),
            Ok(found) => assert!(matches!(found[0].state, VolumeState::Deleting | VolumeState::Deleted)),
        }
        tokio::time::sleep(MOMENT).await;
    }
    panic!("{id} is still there");
}

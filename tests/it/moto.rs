//! Our EC2 client against moto, a simulator by other people, for what both have. `tests/peers/moto.sh` starts one and
//! fills it; where nobody did, there is nothing to compare with, and the test says so.

use icecore::aws::Deadlines;
use icecore::control::{
    Bin, FastRestores, ImageQuery, Images, InstanceQuery, Instances, Sharing, SnapshotQuery, Snapshots,
    Tagging, VolumeQuery, Volumes,
};
use icecore::ec2::Ec2;
use icecore::estate::{NewVolume, Resource, VolumeKind, VolumeState};
use icecore::fault::Kind;
use icecore::snapshot::{SnapshotId, Tags};
use std::collections::BTreeMap;

/// Where moto is, and what it was filled with, by name.
#[expect(clippy::disallowed_methods, reason = "told by the script that starts moto")]
fn moto() -> Option<(String, BTreeMap<String, String>)> {
    let url = std::env::var("ICECORE_MOTO").ok()?;
    let seed = std::fs::read_to_string(std::env::var_os("ICECORE_MOTO_SEED")?).unwrap();
    let pairs = seed.lines().filter_map(|line| line.split_once('='));
    Some((url, pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()))
}

#[tokio::test]
async fn our_client_agrees_with_moto() {
    let Some((url, seed)) = moto() else {
        eprintln!("no moto: tests/peers/moto.sh starts one");
        return;
    };
    let ec2 = Ec2::new(&crate::lab::session(&url, Deadlines::default()));
    let snapshot: SnapshotId = seed["snapshot"].parse().unwrap();
    let described = ec2.describe(&SnapshotQuery::one(&snapshot)).await.unwrap().remove(0);
    assert_eq!((described.volume_size.get(), described.description.as_str()), (3, "peer"));

    // By snapshot it cannot be asked: moto lacks that filter.
    let images = ec2.images(&ImageQuery::default()).await.unwrap();
    let image = images.iter().find(|image| image.id.as_str() == seed["image"]).unwrap();
    assert_eq!((image.name.as_str(), image.binds_snapshots()), ("peer", true));
    // moto makes a snapshot of its own for every image.
    assert_eq!(image.snapshots.len(), 1);

    let shares = ec2.shares(&snapshot).await.unwrap();
    assert_eq!(
        (shares.is_public, shares.accounts),
        (false, vec!["111111111111".into(), "222222222222".into()])
    );

    let tagged = InstanceQuery { tags: vec!["Name=peer".parse().unwrap()], ..InstanceQuery::default() };
    let host = ec2.instances(&tagged).await.unwrap().remove(0);
    assert_eq!((host.id.as_str(), host.zone.as_str()), (seed["instance"].as_str(), "us-east-1a"));
    assert_eq!((host.kind.as_str(), host.takes_volumes()), ("m5.large", true));

    let new = NewVolume {
        snapshot: Some(snapshot.clone()),
        zone: host.zone.clone(),
        kind: VolumeKind::Gp3,
        size: None,
        iops: None,
        throughput: None,
        initialization_rate: None,
        encrypted: None,
        kms_key_id: None,
        client_token: "once".to_owned(),
        tags: Tags::from([("icecore:run".into(), "r-1".into())]),
    };
    let made = ec2.create_volume(&new).await.unwrap();
    assert_eq!((made.size.get(), made.snapshot.as_ref(), &made.tags), (3, Some(&snapshot), &new.tags));
    let run = VolumeQuery { tags: vec!["icecore:run=r-1".parse().unwrap()], ..VolumeQuery::default() };
    let seen = ec2.volumes(&run).await.unwrap();
    assert_eq!((seen.len(), &seen[0].id, &seen[0].state), (1, &made.id, &VolumeState::Available));
    let here = [Resource::from(&made.id)];
    ec2.remove_tags(&here, &["icecore:run".to_owned()]).await.unwrap();
    assert_eq!(ec2.volumes(&run).await.unwrap(), []);

    let attached = ec2.attach_volume(&made.id, &host.id, "/dev/sdf").await.unwrap();
    assert_eq!((attached.instance.as_ref(), attached.device.as_str()), (Some(&host.id), "/dev/sdf"));
    let seen = ec2.volumes(&VolumeQuery::one(&made.id)).await.unwrap().remove(0);
    assert_eq!((seen.state, seen.attachments.len()), (VolumeState::InUse, 1));
    assert_eq!(ec2.delete_volume(&made.id).await.unwrap_err().kind, Kind::Refused, "it is in use");
    ec2.detach_volume(&made.id, &host.id).await.unwrap();
    ec2.delete_volume(&made.id).await.unwrap();
    assert_eq!(ec2.volumes(&VolumeQuery::one(&made.id)).await.unwrap_err().kind, Kind::NotFound);

    // moto knows no such question, and says so with a status that is no answer: it must not be taken for "none".
    assert!(ec2.fast_restores().await.is_err());
    assert!(ec2.binned_volumes().await.is_err());
}

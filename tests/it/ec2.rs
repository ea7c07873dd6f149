//! AWS's EC2 client against the local endpoint.

use crate::ebs::endpoint;
use crate::lab::{Lab, compare, generation};
use icecore::aws::Deadlines;
use icecore::control::{
    Bin, FastRestores, ImageQuery, Images, InstanceQuery, Instances, Known, Locks, SnapshotQuery, Snapshots,
    VolumeQuery, conformance, known,
};
use icecore::device::attached;
use icecore::disk::RealDisk;
use icecore::ebs::Ebs;
use icecore::ec2::Ec2;
use icecore::endpoint::{Config, Shelves, start};
use icecore::estate::{NewVolume, VolumeKind, VolumeState};
use icecore::fault::Kind;
use icecore::shelf::memory::MemoryShelf;
use icecore::snapshot::{SnapshotId, SnapshotState, Tags};
use icecore::source::SnapshotWriter;
use icecore::source::conformance::{filled, request, written};
use std::sync::Arc;

#[tokio::test]
async fn the_account_behind_the_endpoint_conforms() {
    let (_running, session) = endpoint().await;
    let (ebs, ec2) = (Ebs::new(&session), Ec2::new(&session));
    let mut ids = Vec::new();
    for index in 0..3 {
        ids.push(written(&ebs, &ebs, None, &[filled(index, 1)]).await);
    }
    conformance::snapshots(&ec2, &ids).await;
}

/// Three snapshots of one block each.
async fn three(ebs: &Ebs) -> Vec<SnapshotId> {
    let mut ids = Vec::new();
    for index in 0..3 {
        ids.push(written(ebs, ebs, None, &[filled(index, 1)]).await);
    }
    ids
}

#[tokio::test]
async fn what_is_held_beside_snapshots_is_told_as_it_is() {
    let (running, session) = endpoint().await;
    let ec2 = Ec2::new(&session);
    let ids = three(&Ebs::new(&session)).await;
    let held = conformance::held(&ids);
    running.edit("us-east-1", |all| *all = held.clone()).unwrap();
    conformance::holds(&ec2, &held, &ids).await;
    conformance::images(&ec2, &held.images).await;
    conformance::instances(&ec2, &held.instances).await;
}

#[tokio::test]
async fn a_volume_lives_as_on_ec2_and_tags_come_and_go() {
    let (running, session) = endpoint().await;
    let (ebs, ec2) = (Ebs::new(&session), Ec2::new(&session));
    let ids = three(&ebs).await;
    let instances = ec2.instances(&InstanceQuery::default()).await.unwrap();
    conformance::volumes(&ec2, &ids[0], &instances).await;
    conformance::tagging(&ec2, &ec2, &ids[0]).await;
    let counts = running.counts();
    assert_eq!((counts.of("CreateVolume"), counts.of("DeleteVolume")), (4, 3), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_volume_is_found_by_its_id_and_holds_the_image() {
    let lab = Lab::new().await;
    let image = generation(0);
    let snapshot = lab.import(&image, None).await.snapshot_id;
    let control = lab.services.control.clone().unwrap();
    let host = control.instances.instances(&InstanceQuery::default()).await.unwrap().remove(0);
    let new = NewVolume {
        snapshot: Some(snapshot),
        zone: host.zone,
        kind: VolumeKind::Gp3,
        size: None,
        iops: None,
        throughput: None,
        initialization_rate: None,
        encrypted: None,
        kms_key_id: None,
        client_token: "restore".to_owned(),
        tags: Tags::new(),
    };
    let id = control.volumes.create_volume(&new).await.unwrap().id;
    let state = async |wanted: VolumeState| {
        for _ in 0..500 {
            let seen = control.volumes.volumes(&VolumeQuery::one(&id)).await.unwrap().remove(0);
            if seen.state == wanted {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("never {wanted}");
    };
    state(VolumeState::Available).await;
    control.volumes.attach_volume(&id, &host.id, "/dev/sdf").await.unwrap();
    let by_id = lab.path("store/devices").join(host.id.as_str());
    let device = attached(&RealDisk::default(), &by_id, &id).unwrap().expect("it is there");
    let (changed, ..) = compare(&image, &device);
    assert!(changed.is_empty(), "{changed:?}");
    control.volumes.detach_volume(&id, &host.id).await.unwrap();
    assert_eq!(attached(&RealDisk::default(), &by_id, &id).unwrap(), None);
    state(VolumeState::Available).await;
    control.volumes.delete_volume(&id).await.unwrap();
    assert_eq!(std::fs::read_dir(lab.path("store/volumes")).unwrap().count(), 0);
}

#[tokio::test]
async fn each_region_has_its_own() {
    let (running, session) = endpoint().await;
    let image = conformance::held(&three(&Ebs::new(&session)).await).images.remove(0);
    running.edit("eu-west-1", |held| held.images.push(image)).unwrap();
    assert_eq!(Ec2::new(&session).images(&ImageQuery::default()).await.unwrap(), []);
    let instances = Ec2::new(&session).instances(&InstanceQuery::default()).await.unwrap();
    let zones: Vec<_> = instances.iter().map(|instance| instance.zone.as_str()).collect();
    assert_eq!(zones, ["us-east-1a", "us-east-1b"], "where nobody ever was, two instances wait");
}

#[tokio::test]
async fn what_may_not_be_asked_is_not_known_rather_than_nothing() {
    let faults = "DescribeLockedSnapshots denied\nListSnapshotsInRecycleBin denied".parse().unwrap();
    let config = Config { faults, ..Config::default() };
    let running = start(config, Shelves::writable(Arc::new(MemoryShelf::new()))).await.unwrap();
    let ec2 = Ec2::new(&crate::lab::session(&running.url(), Deadlines::default()));
    for why in [
        known(ec2.locks().await).unwrap().reason().map(str::to_owned),
        known(ec2.binned_snapshots().await).unwrap().reason().map(str::to_owned),
    ] {
        assert_eq!(why.as_deref(), Some("you are not authorized to perform this operation"));
    }
    assert_eq!(known(ec2.fast_restores().await).unwrap(), Known::Known(Vec::new()));
}

#[tokio::test]
async fn a_pending_snapshot_is_described_with_what_is_known() {
    let (_running, session) = endpoint().await;
    let (ebs, ec2) = (Ebs::new(&session), Ec2::new(&session));
    let started = ebs.start(&request(None)).await.unwrap();
    let described = ec2.describe(&SnapshotQuery::one(&started.id)).await.unwrap().remove(0);
    assert_eq!(described.state, SnapshotState::Pending);
    assert_eq!(described.full_size, None, "nobody knows before completion");
    assert_eq!(described.start_time, started.start_time, "both APIs tell the same time");
    assert_eq!((&described.tags, &described.description), (&started.tags, &started.description));
    assert_eq!((&described.owner_id, described.volume_id), (&started.owner_id, None));
    ec2.delete(&started.id).await.unwrap();
    let gone = ec2.describe(&SnapshotQuery::one(&started.id)).await.unwrap_err();
    assert_eq!(gone.kind, Kind::NotFound);
}

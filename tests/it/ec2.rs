//! AWS's EC2 client against the local endpoint.

use crate::ebs::endpoint;
use icecore::control::{SnapshotQuery, Snapshots, conformance};
use icecore::ebs::Ebs;
use icecore::ec2::Ec2;
use icecore::fault::Kind;
use icecore::snapshot::SnapshotState;
use icecore::source::SnapshotWriter;
use icecore::source::conformance::{filled, request, written};

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

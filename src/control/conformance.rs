//! What every implementation of the control traits must do, as checks that panic when it does not.

mod beside;
mod volumes;

pub use beside::{held, holds, images, instances, tagging};
pub use volumes::volumes;

use crate::block::GiB;
use crate::control::{SnapshotQuery, Snapshots};
use crate::fault::Kind;
use crate::snapshot::{SnapshotId, SnapshotInfo, SnapshotState, StorageTier, Tag, Tags, UnixMillis};

/// A completed snapshot like many others.
pub fn sample(number: u32) -> SnapshotInfo {
    SnapshotInfo {
        id: format!("snap-{number:017x}").parse().unwrap_or_else(|_| unreachable!("hex digits")),
        volume_id: None,
        owner_id: "123456789012".into(),
        state: SnapshotState::Completed,
        state_message: None,
        start_time: UnixMillis(1_700_000_000_000 + i64::from(number)),
        volume_size: GiB::try_from(1).unwrap_or_else(|_| unreachable!("1 GiB is a volume size")),
        encrypted: false,
        kms_key_id: None,
        description: String::new(),
        tags: Tags::new(),
        tier: StorageTier::Standard,
        full_size: None,
        parent: None,
        lineage: None,
    }
}

/// Describe, tag and delete, on an account that holds exactly these completed snapshots, three or more, in order
/// of their start. The last one is deleted.
pub async fn snapshots(account: &dyn Snapshots, ids: &[SnapshotId]) {
    let all = SnapshotQuery::default();
    assert_eq!(described(account, &all).await, ids, "all, by start time");
    assert_eq!(described(account, &SnapshotQuery::one(&ids[1])).await, [ids[1].clone()]);
    let completed = SnapshotQuery { state: Some(SnapshotState::Completed), ..all.clone() };
    assert_eq!(described(account, &completed).await, ids);
    let pending = SnapshotQuery { state: Some(SnapshotState::Pending), ..all.clone() };
    assert_eq!(described(account, &pending).await, []);

    let tags = Tags::from([("team".into(), "db & co".into()), ("empty".into(), String::new())]);
    account.tag(&ids[0], &tags).await.expect("tag");
    let tagged = |key: &str, value: &str| SnapshotQuery {
        tags: vec![Tag { key: key.into(), value: value.into() }],
        ..SnapshotQuery::default()
    };
    assert_eq!(described(account, &tagged("team", "db & co")).await, [ids[0].clone()]);
    assert_eq!(described(account, &tagged("team", "other")).await, []);
    let facts = account.describe(&SnapshotQuery::one(&ids[0])).await.expect("describe");
    assert!(
        tags.iter().all(|(key, value)| facts[0].tags.get(key) == Some(value)),
        "tags come back unchanged"
    );

    let unknown: SnapshotId = "snap-0ffffffffffffffff".parse().expect("an id");
    let missing =
        account.describe(&SnapshotQuery::one(&unknown)).await.expect_err("there is no such snapshot");
    assert_eq!(missing.kind, Kind::NotFound);
    assert_eq!(account.delete(&unknown).await.expect_err("nothing to delete").kind, Kind::NotFound);
    assert_eq!(account.tag(&unknown, &tags).await.expect_err("nothing to tag").kind, Kind::NotFound);

    let (last, rest) = ids.split_last().expect("three or more");
    account.delete(last).await.expect("delete");
    assert_eq!(described(account, &all).await, rest);
}

async fn described(account: &dyn Snapshots, query: &SnapshotQuery) -> Vec<SnapshotId> {
    account.describe(query).await.expect("describe").into_iter().map(|info| info.id).collect()
}

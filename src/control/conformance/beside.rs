//! Images, instances, holds and tags, on an account that holds what [`held`] says.

use crate::block::GiB;
use crate::control::{
    Holds, ImageQuery, Images, InstanceQuery, Instances, SnapshotQuery, Snapshots, Tagging,
};
use crate::estate::{
    BinnedImage, BinnedSnapshot, BinnedVolume, FastRestore, FastRestoreState, Held, Image, ImageState,
    Instance, InstanceState, Lock, LockState, Resource, Shares, TemplateVersion, Tiering, TieringState,
    VolumeKind, launched,
};
use crate::fault::Kind;
use crate::snapshot::{ImageId, SnapshotId, StorageTier, Tags, UnixMillis};

/// Some of everything beside these snapshots, of which there are three or more: what an account is to be filled
/// with before the checks.
pub fn held(ids: &[SnapshotId]) -> Held {
    let at = |second: i64| Some(UnixMillis(1_790_000_000_000 + second * 1000));
    let image = |n: u32, state, snapshots: &[SnapshotId]| Image {
        id: image_id(n),
        name: format!("golden & {n}"),
        state,
        created: at(i64::from(n)),
        deprecated_from: (n == 2).then_some(UnixMillis(1_790_000_500_000)),
        is_public: n == 3,
        snapshots: snapshots.to_vec(),
        tags: Tags::from([("n".to_owned(), n.to_string())]),
    };
    let instance = |n: u32, zone: &str, state| Instance {
        id: format!("i-0{n:016x}").parse().unwrap_or_else(|_| unreachable!("hexadecimal digits")),
        state,
        zone: zone.to_owned(),
        kind: "m6i.large".to_owned(),
        devices: Vec::new(),
        tags: Tags::from([("Name".to_owned(), format!("host {n}"))]),
    };
    let template =
        |n: u32, version, is_default, image: Option<String>, snapshots: &[SnapshotId]| TemplateVersion {
            template: format!("lt-0{n:016x}").parse().unwrap_or_else(|_| unreachable!("hexadecimal digits")),
            name: format!("fleet-{n}"),
            version,
            is_default,
            made: at(i64::from(n)),
            image,
            snapshots: snapshots.to_vec(),
        };
    let tiering = |n: usize, tier, last, archived, lent_until| Tiering {
        snapshot: ids[n].clone(),
        tier,
        last,
        progress: Some(100),
        began: at(1),
        archived,
        lent_until,
    };
    Held {
        images: vec![
            image(1, ImageState::Available, &ids[..1]),
            image(2, ImageState::Available, &ids[1..2]),
            image(3, ImageState::Disabled, &ids[..2]),
            image(4, ImageState::Available, &[]),
        ],
        instances: vec![
            instance(1, "us-east-1a", InstanceState::Running),
            instance(2, "us-east-1b", InstanceState::Stopped),
            instance(3, "us-east-1a", InstanceState::Terminated),
        ],
        templates: vec![
            template(1, 1, false, None, &ids[2..3]),
            template(1, 2, true, Some(image_id(1).to_string()), &[]),
            template(1, 3, false, None, &ids[..3]),
            template(2, 1, true, Some("resolve:ssm:/golden & new".to_owned()), &ids[1..2]),
        ],
        locks: vec![
            Lock { snapshot: ids[0].clone(), state: LockState::Governance, expires: at(900_000_000) },
            Lock { snapshot: ids[1].clone(), state: LockState::Expired, expires: at(0) },
        ],
        fast_restores: ["us-east-1a", "us-east-1b"]
            .into_iter()
            .map(|zone| FastRestore {
                snapshot: ids[1].clone(),
                zone: zone.to_owned(),
                state: FastRestoreState::Enabled,
            })
            .collect(),
        shares: [
            (
                ids[0].clone(),
                Shares { is_public: false, accounts: vec!["111111111111".into(), "222222222222".into()] },
            ),
            (ids[1].clone(), Shares { is_public: true, accounts: Vec::new() }),
        ]
        .into(),
        tierings: vec![
            tiering(0, StorageTier::Archive, Some(TieringState::Lent), at(100), at(86_400)),
            tiering(1, StorageTier::Archive, Some(TieringState::Archived), at(200), None),
        ],
        binned_snapshots: vec![BinnedSnapshot {
            id: "snap-0b1b".parse().unwrap_or_else(|_| unreachable!("hexadecimal digits")),
            volume_id: Some("vol-0abc".parse().unwrap_or_else(|_| unreachable!("hexadecimal digits"))),
            description: "deleted by mistake".to_owned(),
            entered: at(10),
            leaves: at(700_000_000),
        }],
        binned_images: vec![BinnedImage {
            id: image_id(9),
            name: "old".to_owned(),
            entered: at(20),
            leaves: at(800_000_000),
        }],
        binned_volumes: vec![BinnedVolume {
            id: "vol-0b1b".parse().unwrap_or_else(|_| unreachable!("hexadecimal digits")),
            kind: VolumeKind::Gp3,
            size: GiB::try_from(7).unwrap_or_else(|_| unreachable!("a size that volumes have")),
            zone: "us-east-1b".to_owned(),
            snapshot: Some(ids[2].clone()),
            entered: at(30),
            leaves: at(900_000_000),
        }],
        ..Held::default()
    }
}

fn image_id(n: u32) -> ImageId {
    format!("ami-0{n:016x}").parse().unwrap_or_else(|_| unreachable!("hexadecimal digits"))
}

/// Images by id and by snapshot, whatever their state.
pub async fn images(account: &dyn Images, held: &[Image]) {
    let ask = async |query: ImageQuery| account.images(&query).await.expect("images");
    assert_eq!(ask(ImageQuery::default()).await, held, "all, disabled and deprecated ones too");
    let one = ImageQuery { ids: vec![held[2].id.clone()], ..ImageQuery::default() };
    assert_eq!(ask(one).await, held[2..3]);
    let of = ImageQuery { snapshots: held[1].snapshots.clone(), ..ImageQuery::default() };
    assert_eq!(ask(of).await, held[1..3], "of a snapshot that two images need");
    let nobodys =
        ImageQuery { snapshots: vec!["snap-0fff".parse().expect("an id")], ..ImageQuery::default() };
    assert_eq!(ask(nobodys).await, []);
    let unknown = ImageQuery { ids: vec![image_id(0xfff)], ..ImageQuery::default() };
    assert_eq!(account.images(&unknown).await.expect_err("there is none").kind, Kind::NotFound);
}

/// Instances by id and by tag.
pub async fn instances(account: &dyn Instances, held: &[Instance]) {
    let ask = async |query: InstanceQuery| account.instances(&query).await.expect("instances");
    assert_eq!(ask(InstanceQuery::default()).await, held);
    assert_eq!(ask(InstanceQuery::one(&held[1].id)).await, held[1..2]);
    let tagged =
        InstanceQuery { tags: vec!["Name=host 1".parse().expect("a tag")], ..InstanceQuery::default() };
    assert_eq!(ask(tagged).await, held[..1]);
    let unknown = InstanceQuery::one(&"i-0fffffffffffffff0".parse().expect("an id"));
    assert_eq!(account.instances(&unknown).await.expect_err("there is none").kind, Kind::NotFound);
}

/// Locks, fast restores, shares, tiers, launch templates and the Recycle Bin.
pub async fn holds(account: &dyn Holds, held: &Held, ids: &[SnapshotId]) {
    assert_eq!(account.locks().await.expect("locks"), held.locks);
    assert_eq!(account.fast_restores().await.expect("fast restores"), held.fast_restores);
    for (n, id) in ids.iter().enumerate() {
        let shares = account.shares(id).await.expect("shares");
        assert_eq!(shares, held.shares.get(id).cloned().unwrap_or_default());
        assert_eq!(shares.is_shared(), n < 2);
    }
    let unknown: SnapshotId = "snap-0ffffffffffffffff".parse().expect("an id");
    assert_eq!(account.shares(&unknown).await.expect_err("there is none").kind, Kind::NotFound);
    // Snapshots that were never moved may be told or left out.
    let mut tierings = account.tierings().await.expect("tierings");
    tierings.retain(|tiering| tiering.last.is_some());
    assert_eq!(tierings, held.tierings);
    let told = account.template_versions().await.expect("launch templates");
    let numbers: Vec<_> = told.iter().map(|one| one.version).collect();
    assert_eq!(numbers, [2, 3, 1], "the default and the latest, once where they are one");
    assert_eq!(told, launched(held.templates.clone()));
    assert_eq!(account.binned_snapshots().await.expect("the bin"), held.binned_snapshots);
    assert_eq!(account.binned_volumes().await.expect("the bin"), held.binned_volumes);
    assert_eq!(account.binned_images().await.expect("the bin"), held.binned_images);
}

/// Tags come, are replaced and go, on a snapshot that has none of these; all or nothing.
pub async fn tagging(account: &dyn Tagging, snapshots: &dyn Snapshots, id: &SnapshotId) {
    let of = async || snapshots.describe(&SnapshotQuery::one(id)).await.expect("describe")[0].tags.clone();
    let before = of().await;
    let tags = Tags::from([("icecore:run".into(), "r-1".into()), ("empty".into(), String::new())]);
    let here = [Resource::from(id)];
    account.add_tags(&here, &tags).await.expect("add");
    account.add_tags(&here, &Tags::from([("icecore:run".into(), "r-2".into())])).await.expect("replace");
    let seen = of().await;
    assert_eq!(
        (seen.get("icecore:run").map(String::as_str), seen.get("empty").map(String::as_str)),
        (Some("r-2"), Some(""))
    );
    let unknown: SnapshotId = "snap-0ffffffffffffffff".parse().expect("an id");
    let both = [Resource::from(id), Resource::from(&unknown)];
    let fault = account.add_tags(&both, &Tags::from([("more".into(), String::new())])).await;
    assert_eq!(fault.expect_err("one of them is not there").kind, Kind::NotFound);
    assert!(!of().await.contains_key("more"), "all or nothing");
    let keys = ["icecore:run".to_owned(), "empty".to_owned(), "never there".to_owned()];
    account.remove_tags(&here, &keys).await.expect("remove");
    account.remove_tags(&here, &keys).await.expect("removing again changes nothing");
    assert_eq!(of().await, before);
}

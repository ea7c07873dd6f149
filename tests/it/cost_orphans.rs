//! What makes a candidate, and what stands against it, in an account in memory.

use crate::cost_holds::{Ground, engine, gib};
use icecore::cost::orphan::Reason;
use icecore::cost::protection::Blocker;
use icecore::estate::{Volume, VolumeKind, VolumeState};
use icecore::monitor::Silent;
use icecore::ops::Engine;
use icecore::ops::cost::measure;
use icecore::pipeline::{Settings, Stop};
use icecore::snapshot::Tags;
use std::sync::Arc;

#[tokio::test]
async fn candidates_have_their_reasons_and_what_stands_against_them() {
    let ground = Ground::with(|g| {
        g.infos[1].description = "Created by CreateImage(i-0a) for ami-0b".into();
        g.infos[2].tags.insert("aws:dlm:lifecycle-policy-id".into(), "p".into());
    });
    let report = ground.measured().await.orphans(None, &ground.services(), &engine()).await.unwrap();
    let found =
        |at: usize| report.orphans.iter().find(|orphan| orphan.row.info.id == ground.infos[at].id).unwrap();
    assert_eq!(found(0).reasons, [Reason::VolumeGone, Reason::NoOwner]);
    assert_eq!(found(1).reasons, [Reason::VolumeGone, Reason::ImageGone, Reason::NoOwner]);
    assert_eq!(
        (&found(2).reasons, &found(2).blockers),
        (&vec![Reason::VolumeGone], &vec![Blocker::DlmManaged])
    );
    assert_eq!(found(3).blockers, [Blocker::NewestOfVolume]);
    // The first two together: ten blocks, less eight that the others need; and the two that the second rewrote.
    assert_eq!(report.freed.bytes() / 524_288, 4);

    let denied = Ground::with(|g| g.denied.push("DescribeVolumes"));
    let report = denied.measured().await.orphans(None, &denied.services(), &engine()).await.unwrap();
    assert!(report.orphans.is_empty(), "what is not known is no reason: {report:?}");
    assert_eq!(report.untold.len(), 1);
}

fn volume(id: &str) -> Volume {
    Volume {
        id: id.parse().unwrap(),
        state: VolumeState::Available,
        size: gib(),
        zone: "us-east-1a".into(),
        kind: VolumeKind::Gp3,
        iops: None,
        throughput: None,
        snapshot: None,
        encrypted: false,
        kms_key_id: None,
        created: None,
        attachments: Vec::new(),
        fast_restored: None,
        tags: Tags::new(),
    }
}

#[tokio::test]
async fn a_volume_that_every_look_for_a_month_saw_unattached_makes_candidates() {
    let ground = Ground::with(|g| {
        g.options.keeps_listings = true;
        g.held.volumes.push(volume("vol-0a"));
    });
    let dir = tempfile::tempdir().unwrap();
    let look = async || {
        let engine = Engine::new(Settings::open(dir.path().to_owned()), Arc::new(Silent), Stop::new());
        let measured = measure(&ground.options, &ground.services(), &engine).await.unwrap();
        measured.orphans(None, &ground.services(), &engine).await.unwrap().orphans
    };
    assert!(look().await.is_empty(), "seen unattached for the first time");
    let noted = std::fs::read_dir(dir.path().join("unattached")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&noted).unwrap();
    let since: i64 = text.strip_prefix("vol-0a ").unwrap().trim().parse().unwrap();
    std::fs::write(&noted, format!("vol-0a {}\n", since - 33 * 86_400_000)).unwrap();
    let orphans = look().await;
    assert_eq!(orphans.len(), 4);
    assert_eq!(orphans[0].reasons, [Reason::NoOwner, Reason::VolumeUnattached]);
}

#[tokio::test]
async fn a_snapshot_of_vm_import_that_nothing_uses_is_a_candidate() {
    let found = async |ground: &Ground| {
        let report = ground.measured().await.orphans(None, &ground.services(), &engine()).await.unwrap();
        let ours = report.orphans.into_iter().find(|orphan| orphan.row.info.id == ground.infos[0].id);
        ours.map(|orphan| orphan.reasons).unwrap_or_default()
    };
    let imported = |change: &dyn Fn(&mut Ground)| {
        Ground::with(|g| {
            g.infos[0].description =
                "Created by AWS-VMImport service for import-snap-0041568aab14529ee".into();
            g.infos[0].volume_id = Some("vol-ffffffff".parse().unwrap());
            change(g);
        })
    };
    assert_eq!(found(&imported(&|_| {})).await, [Reason::ImportUnused, Reason::NoOwner]);
    let used = imported(&|g| {
        let snapshot = Some(g.infos[0].id.clone());
        g.held.volumes.push(Volume { snapshot, ..volume("vol-0c") });
    });
    assert_eq!(found(&used).await, [], "a volume was made of it");
    for call in
        ["DescribeVolumes", "DescribeImages", "DescribeLaunchTemplateVersions", "ListImagesInRecycleBin"]
    {
        let denied = imported(&|g| g.denied.push(call));
        assert_eq!(found(&denied).await, [], "without {call} nothing is known");
    }
}

//! What stands against a what-if, and snapshots that cannot be looked at: each fact by itself, in an account in memory.

use crate::cost::options;
use icecore::aws::Identity;
use icecore::block::{ByteSize, GiB};
use icecore::control::conformance::sample;
use icecore::control::memory::{MemoryAccount, MemorySnapshots};
use icecore::cost::archive::Use;
use icecore::cost::protection::{Blocker, NotAsked};
use icecore::cost::{Doubt, Quality};
use icecore::estate::{
    BinnedImage, BinnedSnapshot, FastRestore, FastRestoreState, Held, Image, ImageState, Lock, LockState,
    Shares, TemplateVersion, Tiering, TieringState,
};
use icecore::ledger::{Contents, Entry, Kind};
use icecore::monitor::Silent;
use icecore::ops::cost::{Measured, Options, Proved, What, measure, verified};
use icecore::ops::{Control, Engine, Services};
use icecore::pipeline::{Settings, Stop};
use icecore::snapshot::{SnapshotInfo, SnapshotState, StorageTier, Tags, UnixMillis};
use icecore::source::conformance::filled;
use icecore::source::memory::MemoryService;
use std::sync::Arc;

/// Four snapshots of one volume, each of which rewrites two of ten blocks, and what is beside them.
pub(crate) struct Ground {
    memory: Arc<MemoryService>,
    pub(crate) infos: Vec<SnapshotInfo>,
    pub(crate) held: Held,
    pub(crate) denied: Vec<&'static str>,
    pub(crate) options: Options,
}

impl Ground {
    fn new() -> Self {
        let memory = Arc::new(MemoryService::new(100));
        let mut infos: Vec<SnapshotInfo> = Vec::new();
        for n in 0..4_u8 {
            let indexes = if n == 0 { 0..10 } else { 0..2 };
            let blocks = indexes.map(|index| filled(index, n + 1));
            let id = memory.add(gib(), infos.last().map(|info| &info.id), blocks);
            infos.push(SnapshotInfo {
                id,
                volume_id: Some("vol-0a".parse().unwrap()),
                ..sample(u32::from(n))
            });
        }
        let options = Options { keeps_listings: false, ..options() };
        Self { memory, infos, held: Held::default(), denied: Vec::new(), options }
    }

    pub(crate) fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut ground = Self::new();
        change(&mut ground);
        ground
    }

    pub(crate) fn services(&self) -> Services {
        let account = MemoryAccount::new(MemorySnapshots::new(self.infos.clone()), self.held.clone());
        account.deny(self.denied.iter().copied());
        Services {
            label: "memory".into(),
            identity: Identity::named("memory"),
            blocks: self.memory.clone(),
            writer: self.memory.clone(),
            snapshots: Some(Arc::new(MemorySnapshots::new(self.infos.clone()))),
            control: Some(Control::of(Arc::new(account))),
            max_usd: None,
        }
    }

    pub(crate) async fn measured(&self) -> Measured {
        measure(&self.options, &self.services(), &engine()).await.unwrap()
    }

    /// What stands against deleting the second, which is neither the last nor the newest of anything.
    async fn against(&self) -> Vec<Blocker> {
        let what = What::Delete(vec![self.infos[1].id.clone()]);
        let answer = self.measured().await.what_if(what, &self.services(), &engine()).await.unwrap();
        answer.blockers.into_iter().map(|(_, blocker)| blocker).collect()
    }

    async fn quality(&self, at: usize) -> (Option<u64>, Quality) {
        let rows = self.measured().await.rows();
        (rows[at].attributed.map(|size| size.bytes() / 524_288), rows[at].quality)
    }
}

pub(crate) fn gib() -> GiB {
    GiB::try_from(1).unwrap()
}

pub(crate) fn engine() -> Engine {
    Engine::new(Settings::open("/nonexistent".into()), Arc::new(Silent), Stop::new())
}

fn image(info: &SnapshotInfo, state: ImageState, deprecated_from: Option<UnixMillis>) -> Image {
    Image {
        id: "ami-0a".parse().unwrap(),
        name: "golden".into(),
        state,
        created: None,
        deprecated_from,
        is_public: false,
        snapshots: vec![info.id.clone()],
        tags: Tags::new(),
    }
}

fn template(image: Option<&str>, snapshots: &[&SnapshotInfo]) -> TemplateVersion {
    TemplateVersion {
        template: "lt-0a".parse().unwrap(),
        name: "fleet".into(),
        version: 1,
        is_default: true,
        made: None,
        image: image.map(str::to_owned),
        snapshots: snapshots.iter().map(|info| info.id.clone()).collect(),
    }
}

fn tiering(info: &SnapshotInfo, last: TieringState) -> Tiering {
    Tiering {
        snapshot: info.id.clone(),
        tier: StorageTier::Standard,
        last: Some(last),
        progress: None,
        began: None,
        archived: None,
        lent_until: None,
    }
}

#[tokio::test]
async fn nothing_stands_against_the_middle_of_a_chain_and_what_was_not_asked_is_said() {
    let ground = Ground::new();
    assert_eq!(ground.against().await, []);
    let what = What::Delete(vec![ground.infos[1].id.clone()]);
    let answer = ground.measured().await.what_if(what, &ground.services(), &engine()).await.unwrap();
    assert_eq!(answer.not_asked, [NotAsked::OlderLaunches, NotAsked::Verifications]);
}

#[tokio::test]
async fn each_hold_stands_against_a_deletion_by_its_own_code() {
    type Change = fn(&mut Ground);
    let cases: &[(Change, Blocker)] = &[
        (|g| g.held.images.push(image(&g.infos[1], ImageState::Available, None)), Blocker::ImageRegistered),
        (|g| g.held.images.push(image(&g.infos[1], ImageState::Disabled, None)), Blocker::ImageDisabled),
        (
            |g| g.held.images.push(image(&g.infos[1], ImageState::Available, Some(UnixMillis(0)))),
            Blocker::ImageDeprecated,
        ),
        (
            |g| {
                g.infos[1].description = "Created by CreateImage(i-0a) for ami-0b".into();
                g.held.binned_images.push(BinnedImage {
                    id: "ami-0b".parse().unwrap(),
                    name: "golden".into(),
                    entered: None,
                    leaves: None,
                });
            },
            Blocker::ImageInRecycleBin,
        ),
        (
            |g| {
                let snapshot = g.infos[1].id.clone();
                g.held.locks.push(Lock { snapshot, state: LockState::Compliance, expires: None });
            },
            Blocker::Locked,
        ),
        (
            |g| {
                let shares = Shares { is_public: true, accounts: Vec::new() };
                g.held.shares.insert(g.infos[1].id.clone(), shares);
            },
            Blocker::Shared,
        ),
        (
            |g| {
                let (snapshot, zone) = (g.infos[1].id.clone(), "us-east-1a".to_owned());
                g.held.fast_restores.push(FastRestore { snapshot, zone, state: FastRestoreState::Enabled });
            },
            Blocker::FastRestore,
        ),
        (|g| g.held.tierings.push(tiering(&g.infos[1], TieringState::Archiving)), Blocker::InProgress),
        (
            |g| drop(g.infos[1].tags.insert("aws:backup:source-resource".into(), "x".into())),
            Blocker::BackupManaged,
        ),
        (
            |g| drop(g.infos[1].tags.insert("aws:dlm:lifecycle-policy-id".into(), "p".into())),
            Blocker::DlmManaged,
        ),
        (|g| drop(g.infos[1].tags.insert("legal-hold".into(), "yes".into())), Blocker::LegalHold),
        (
            |g| {
                for at in [1, 3] {
                    g.infos[at].tags.insert("icecore:set".into(), "night 7".into());
                }
            },
            Blocker::IncompleteSet,
        ),
        (
            |g| g.options.verified = Some([(g.infos[1].id.clone(), Proved::Verified)].into()),
            Blocker::LastVerified,
        ),
        (|g| g.infos[2..].iter_mut().for_each(|info| info.volume_id = None), Blocker::NewestOfVolume),
        (|g| [0, 2, 3].iter().for_each(|at| g.infos[*at].volume_id = None), Blocker::LastOfVolume),
        (
            |g| {
                g.infos.iter_mut().for_each(|info| info.volume_id = None);
                g.infos[..2].iter_mut().for_each(|info| {
                    info.description = "[Copied snap-0123 from eu-west-1] nightly".into();
                });
            },
            Blocker::NewestCopy,
        ),
        (|g| g.held.templates.push(template(None, &[&g.infos[1]])), Blocker::LaunchTemplate),
        (
            |g| {
                // The image is gone, and instances are to be launched from it all the same.
                g.infos[1].description = "Created by CreateImage(i-0a) for ami-0b".into();
                g.held.templates.push(template(Some("ami-0b"), &[]));
            },
            Blocker::LaunchTemplate,
        ),
        (|g| g.denied.push("DescribeLaunchTemplateVersions"), Blocker::LaunchTemplatesUnknown),
        (|g| g.denied.push("DescribeImages"), Blocker::ImagesUnknown),
        (|g| g.denied.push("DescribeLockedSnapshots"), Blocker::LockUnknown),
        (|g| g.denied.push("DescribeSnapshotAttribute"), Blocker::SharingUnknown),
        (|g| g.denied.push("DescribeFastSnapshotRestores"), Blocker::FastRestoreUnknown),
        (|g| g.denied.push("DescribeSnapshotTierStatus"), Blocker::InProgressUnknown),
        (
            |g| {
                g.infos[1].description = "Created by CreateImage(i-0a) for ami-0b".into();
                g.denied.push("ListImagesInRecycleBin");
            },
            Blocker::ImagesUnknown,
        ),
    ];
    for (change, blocker) in cases {
        assert_eq!(Ground::with(change).against().await, [*blocker]);
    }
}

#[tokio::test]
async fn what_no_longer_holds_stands_against_nothing() {
    type Change = fn(&mut Ground);
    let cases: &[Change] = &[
        |g| g.held.images.push(image(&g.infos[1], ImageState::Deregistered, None)),
        |g| g.held.images.push(image(&g.infos[2], ImageState::Available, None)),
        |g| g.held.templates.push(template(Some("ami-0b"), &[&g.infos[2]])),
        // Neither its default version nor its latest.
        |g| {
            g.held.templates = vec![
                TemplateVersion { is_default: false, ..template(None, &[&g.infos[1]]) },
                TemplateVersion { version: 2, ..template(None, &[]) },
            ];
        },
        |g| {
            let snapshot = g.infos[1].id.clone();
            g.held.locks.push(Lock { snapshot, state: LockState::Expired, expires: None });
        },
        |g| g.held.tierings.push(tiering(&g.infos[1], TieringState::Returned)),
        |g| drop(g.infos[1].tags.insert("icecore:set".into(), "its own".into())),
        // A newer one was verified, too.
        |g| g.options.verified = Some([1, 2].map(|at| (g.infos[at].id.clone(), Proved::Sampled)).into()),
    ];
    for (at, change) in cases.iter().enumerate() {
        assert_eq!(Ground::with(change).against().await, [], "case {at}");
    }
}

#[tokio::test]
async fn the_cheapest_to_keep_holds_on_to_the_newest_the_locked_and_the_last_verified() {
    let ground = Ground::with(|g| {
        let snapshot = g.infos[0].id.clone();
        g.held.locks.push(Lock { snapshot, state: LockState::Governance, expires: None });
        g.options.verified = Some([(g.infos[1].id.clone(), Proved::Verified)].into());
    });
    let what = What::Keep { count: Some(3), max_gap: None, save: None };
    let answer = ground.measured().await.what_if(what, &ground.services(), &engine()).await.unwrap();
    assert_eq!(answer.kept, [0, 1, 3].map(|at| ground.infos[at].id.clone()));
    assert_eq!(answer.snapshots, [ground.infos[2].id.clone()]);
    assert_eq!((answer.is_exact_choice, answer.blockers.as_slice()), (Some(true), [].as_slice()));
}

#[tokio::test]
async fn an_image_that_a_launch_template_names_holds_its_snapshots_by_both() {
    let ground = Ground::with(|g| {
        g.held.images.push(image(&g.infos[1], ImageState::Disabled, None));
        g.held.templates.push(template(Some("ami-0a"), &[]));
    });
    assert_eq!(ground.against().await, [Blocker::ImageDisabled, Blocker::LaunchTemplate]);
    let what = What::Keep { count: Some(2), max_gap: None, save: None };
    let answer = ground.measured().await.what_if(what, &ground.services(), &engine()).await.unwrap();
    assert_eq!(answer.kept, [1, 3].map(|at| ground.infos[at].id.clone()), "what is launched is kept");
}

#[test]
fn the_ledger_tells_what_was_verified_and_an_empty_one_tells_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::new(Settings::open(dir.path().to_owned()), Arc::new(Silent), Stop::new());
    assert_eq!(verified(&engine).unwrap(), None);
    let ledger = Contents::below(&engine.machine().disk, dir.path(), Kind::Entries);
    for (id, state, mode) in [
        ("snap-0a", "pass", "full"),
        ("snap-0b", "fail", "full"),
        ("snap-0c", "incomplete", "full"),
        ("snap-0d", "pass", "sample"),
    ] {
        let entry = Entry {
            format: 1,
            run_id: "r-1".into(),
            snapshot_id: id.into(),
            volume_id: None,
            target: None,
            level: 3,
            mode: mode.into(),
            state: state.into(),
            blocks_total: 1,
            blocks_read: 1,
            mismatches: 0,
            started_ms: 0,
            ended_ms: 1,
            details: None,
            signature: None,
        };
        ledger.put(&entry).unwrap();
    }
    assert_eq!(
        verified(&engine).unwrap(),
        Some(
            [("snap-0a".parse().unwrap(), Proved::Verified), ("snap-0d".parse().unwrap(), Proved::Sampled),]
                .into()
        )
    );
}

#[tokio::test]
async fn archiving_what_an_image_holds_is_refused_unless_the_image_is_disabled() {
    for (state, expected) in
        [(ImageState::Available, vec![Blocker::ImageRegistered]), (ImageState::Disabled, Vec::new())]
    {
        let ground = Ground::with(|g| g.held.images.push(image(&g.infos[1], state.clone(), None)));
        let what = What::Archive(vec![ground.infos[1].id.clone()], Use::default());
        let answer = ground.measured().await.what_if(what, &ground.services(), &engine()).await.unwrap();
        let found: Vec<_> = answer.blockers.into_iter().map(|(_, blocker)| blocker).collect();
        assert_eq!(found, expected);
        assert_eq!(answer.archiving.unwrap().full, ByteSize::from_bytes(10 * 524_288));
    }
}

#[tokio::test]
async fn snapshots_that_cannot_be_looked_at_are_unknown_and_say_why() {
    for (state, doubt) in [
        (SnapshotState::Pending, Doubt::Pending),
        (SnapshotState::Error, Doubt::Error),
        (SnapshotState::Recoverable, Doubt::Binned),
    ] {
        let ground = Ground::with(|g| g.infos[2].state = state);
        assert_eq!(ground.quality(2).await, (None, Quality::Unknown(doubt)));
        // The next one may have taken over what it wrote, and those before may share with it.
        assert_eq!(ground.quality(3).await.1, Quality::AtMost(Doubt::Neighbour));
        assert_eq!(ground.quality(1).await.1, Quality::AtMost(Doubt::Neighbour));
    }
}

#[tokio::test]
async fn an_archived_snapshot_is_billed_whole_apart_from_its_lineage() {
    let full = Some(ByteSize::from_bytes(10 * 524_288));
    let ground = Ground::with(|g| (g.infos[1].tier, g.infos[1].full_size) = (StorageTier::Archive, full));
    assert_eq!(ground.quality(1).await, (Some(10), Quality::Exact));
    assert_eq!(
        ground.quality(2).await,
        (Some(2), Quality::Exact),
        "told against the one before the archived one"
    );
    let untold = Ground::with(|g| g.infos[1].tier = StorageTier::Archive);
    assert_eq!(untold.quality(1).await, (None, Quality::Unknown(Doubt::SizeUntold)));
}

#[tokio::test]
async fn what_lies_in_the_recycle_bin_makes_its_volume_doubtful_and_is_counted() {
    let ground = Ground::with(|g| {
        g.held.binned_snapshots.push(BinnedSnapshot {
            id: "snap-0b".parse().unwrap(),
            volume_id: Some("vol-0a".parse().unwrap()),
            description: String::new(),
            entered: None,
            leaves: None,
        });
    });
    assert_eq!(ground.quality(3).await.1, Quality::AtMost(Doubt::Neighbour));
    assert_eq!(ground.measured().await.report(None, None).binned.unwrap().len(), 1);
    let untold = Ground::with(|g| g.denied.push("ListSnapshotsInRecycleBin"));
    assert_eq!(untold.measured().await.report(None, None).binned, None);
}

#[tokio::test]
async fn what_aws_calls_unrelated_although_it_must_be_kin_is_unknown_and_not_full() {
    let ground = Ground::with(|g| {
        // On the same volume, as it says, but of another lineage.
        let stranger = g.memory.add(gib(), None, (0..3).map(|index| filled(index, 9)));
        g.infos.push(SnapshotInfo {
            id: stranger,
            start_time: UnixMillis(i64::MAX / 2),
            ..g.infos[3].clone()
        });
    });
    assert_eq!(ground.quality(4).await, (None, Quality::Unknown(Doubt::Unrelated)));
}

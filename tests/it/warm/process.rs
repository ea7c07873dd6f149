//! On a cold volume in this process: order, verdicts, what AWS says, and what is held against digests.

use crate::verify::{World, at, listed};
use crate::warm::cold::a_quarter;
use icecore::block::{BlockIndex, BlockSet, GiB};
use icecore::control::memory::{MemoryAccount, MemorySnapshots};
use icecore::disk::RealDisk;
use icecore::disk::cold::{Cold, ColdVolume, Model};
use icecore::estate::{Held, Volume, VolumeKind, VolumeState};
use icecore::fault::Kind;
use icecore::ops::verify::State as Verified;
use icecore::ops::warm::{self, Amount, Bounds, Options, Order, Ordered, Report, Skip, State, What, Where};
use icecore::ops::{Control, Engine, Services};
use icecore::snapshot::{SnapshotId, Tags};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A world with an image that is cold.
struct ColdWorld {
    world: World,
    image: PathBuf,
    volume: ColdVolume,
}

impl ColdWorld {
    /// These blocks (index, version) of a volume of 1 GiB are allocated, and cold.
    fn new(name: &str, blocks: &[(u32, u64)]) -> Self {
        let world = World::new();
        let image = world.image(name, blocks);
        let cold = blocks.iter().map(|(index, _)| at(*index)).collect();
        let model = Model { cold, latency: Duration::from_millis(1), ..Model::default() };
        Self { world, image, volume: ColdVolume::new(model) }
    }

    fn engine(&self) -> Engine {
        let disk = Cold::new(Arc::new(RealDisk::default()), self.image.clone(), self.volume.clone());
        self.world.engine().on_disk(Arc::new(disk))
    }

    fn options(&self, what: What) -> Options {
        // What is tested here is not how fast this machine is.
        let threshold = Some(Duration::from_secs(20));
        Options { threshold, ..Options::of(Where::Path(self.image.clone()), what) }
    }

    async fn warm(&self, options: &Options) -> Report {
        let services = Some(&self.world.services);
        warm::run(options, &Bounds::default(), services, &self.engine()).await.unwrap()
    }

    /// The blocks that were read whole: none of them twice, but the first, where a verification looks for a superblock.
    fn read(&self) -> BlockSet {
        let mut times = self.volume.counts().times;
        times.entry(0).and_modify(|times| *times = 1);
        assert!(times.values().all(|times| *times == 1), "no block is read twice: {times:?}");
        times.keys().map(|index| BlockIndex::new(*index)).collect()
    }
}

fn blocks(version: impl Fn(u32) -> u64) -> Vec<(u32, u64)> {
    (0..200).map(|index| (index * 3, version(index))).collect()
}

fn set(indexes: impl IntoIterator<Item = u32>) -> BlockSet {
    indexes.into_iter().map(at).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_last_is_read_first_and_a_budget_ends_there() {
    let here = ColdWorld::new("image", &blocks(|_| 1));
    let first = here.world.snapshot(None, &blocks(|_| 1));
    let second = here.world.snapshot(Some(&first), &[(300, 2), (30, 2), (597, 2)]);
    let third = here.world.snapshot(Some(&second), &[(60, 3), (30, 3)]);
    let options = Options {
        older: vec![first.clone(), second.clone()],
        amount: Amount::Hottest(4),
        ..here.options(What::Snapshot(third))
    };
    let report = here.warm(&options).await;
    assert_eq!(report.order, Ordered::Recency(vec![second, first]));
    assert_eq!(here.read(), set([30, 60, 300, 597]));
    assert_eq!((report.state(), report.read, report.cold.len()), (State::Partial, 4, 196));
    // The rest, in the same order, and none of them again.
    let rest = here.warm(&Options { amount: Amount::All, ..options }).await;
    assert_eq!((rest.state(), rest.read, rest.resumed), (State::Warm, 200, 4));
    assert_eq!(here.read().len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_older_snapshots_order_is_by_index_and_recency_is_refused() {
    let here = ColdWorld::new("image", &blocks(|_| 1));
    let id = here.world.snapshot(None, &blocks(|_| 1));
    let options = here.options(What::Snapshot(id));
    let refused = Options { order: Order::Recency, ..options.clone() };
    let refused = warm::run(&refused, &Bounds::default(), Some(&here.world.services), &here.engine()).await;
    assert_eq!(refused.unwrap_err().kind, Kind::Refused);
    assert_eq!(here.volume.counts().reads, 0);
    assert_eq!(here.warm(&options).await.order, Ordered::Index);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_a_file_come_first() {
    let here = ColdWorld::new("image", &blocks(|_| 1));
    let id = here.world.snapshot(None, &blocks(|_| 1));
    let hot = here.world.path("hot");
    std::fs::write(&hot, "590-597 # the log\n0-3\n").unwrap();
    let order = Order::Ranges(hot);
    let options = Options { order, amount: Amount::Hottest(4), ..here.options(What::Snapshot(id)) };
    here.warm(&options).await.state();
    assert_eq!(here.read(), set([591, 594, 597, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pass_warms_and_verifies_against_snapshot_and_manifest() {
    for by_manifest in [false, true] {
        let here = ColdWorld::new("image", &blocks(u64::from));
        let id = here.world.snapshot(None, &blocks(u64::from));
        let what = match by_manifest {
            true => What::Manifest(here.world.manifest_of(&id, None, "m").await.0),
            false => What::Snapshot(id),
        };
        let report = here.warm(&Options { verify: true, ..here.options(what) }).await;
        let verified = report.verified.as_ref().unwrap();
        assert_eq!((report.state(), verified.state()), (State::Warm, Verified::Pass), "{verified:?}");
        assert_eq!((verified.coverage.read, verified.coverage.total), (200, 200));
        assert!(verified.content_root.is_some());
        assert_eq!(here.read().len(), 200, "each was read once for both");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_found_on_the_way() {
    let mut held = blocks(u64::from);
    held[17].1 = 999;
    let here = ColdWorld::new("image", &held);
    let id = here.world.snapshot(None, &blocks(u64::from));
    let report = here.warm(&Options { verify: true, ..here.options(What::Snapshot(id)) }).await;
    let verified = report.verified.as_ref().unwrap();
    assert_eq!((report.state(), verified.state()), (State::Warm, Verified::Fail));
    let wrong = listed(verified);
    assert_eq!(wrong.iter().map(|wrong| wrong.index.get()).collect::<Vec<_>>(), [51]);
    assert_eq!(wrong[0].is_persistent, Some(true), "it was read again from the volume");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_read_is_not_called_verified() {
    let here = ColdWorld::new("image", &blocks(u64::from));
    let id = here.world.snapshot(None, &blocks(u64::from));
    let amount = Amount::Hottest(150);
    let report = here.warm(&Options { verify: true, amount, ..here.options(What::Snapshot(id)) }).await;
    let verified = report.verified.as_ref().unwrap();
    assert_eq!((verified.state(), verified.coverage.read), (Verified::Incomplete, 150));
    assert_eq!(here.read().len(), 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_cannot_be_verified_against() {
    let here = ColdWorld::new("image", &[(1, 1)]);
    let map = here.world.path("map");
    std::fs::write(&map, "1\n").unwrap();
    let options = Options { verify: true, ..here.options(What::Map(map)) };
    let refused = warm::run(&options, &Bounds::default(), None, &here.engine()).await.unwrap_err();
    assert!(refused.to_string().contains("not what they hold"), "{refused}");
}

/// An account with the volume of that name, made of this snapshot.
fn account(here: &ColdWorld, made_of: &SnapshotId, fast: bool) -> Services {
    let volume = Volume {
        id: "vol-0123456789abcdef0".parse().unwrap(),
        state: VolumeState::InUse,
        size: GiB::try_from(1).unwrap(),
        zone: "us-east-1a".into(),
        kind: VolumeKind::Gp3,
        iops: None,
        throughput: None,
        snapshot: Some(made_of.clone()),
        encrypted: false,
        kms_key_id: None,
        created: None,
        attachments: Vec::new(),
        fast_restored: Some(fast),
        tags: Tags::new(),
    };
    let held = Held { volumes: vec![volume], ..Held::default() };
    let account = Arc::new(MemoryAccount::new(MemorySnapshots::new([]), held));
    Services { control: Some(Control::of(account)), ..here.world.services.clone() }
}

const DEVICE: &str = "nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0";

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_needs_none_is_not_read_unless_it_is_forced() {
    let here = ColdWorld::new(DEVICE, &blocks(|_| 1));
    let id = here.world.snapshot(None, &blocks(|_| 1));
    let options = here.options(What::Snapshot(id.clone()));
    for (fast, skip) in [(true, Skip::FastRestored), (false, Skip::Initialized)] {
        let services = account(&here, &id, fast);
        let engine = here.engine();
        let report = warm::run(&options, &Bounds::default(), Some(&services), &engine).await.unwrap();
        assert_eq!(
            (report.skipped, report.state(), here.volume.counts().reads),
            (Some(skip), State::Warm, 0)
        );
        assert_eq!(report.initialization[0].progress, Some(100));
    }
    let (services, forced) = (account(&here, &id, true), Options { force: true, ..options });
    let report = warm::run(&forced, &Bounds::default(), Some(&services), &here.engine()).await.unwrap();
    assert_eq!((report.skipped, report.read), (None, 200));
    assert_eq!(report.initialization.len(), 2, "what AWS said at first and at last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_another_snapshot_is_refused() {
    let here = ColdWorld::new(DEVICE, &blocks(|_| 1));
    let id = here.world.snapshot(None, &blocks(|_| 1));
    let other = here.world.snapshot(None, &blocks(|_| 2));
    let services = account(&here, &other, false);
    let options = here.options(What::Snapshot(id));
    let refused = warm::run(&options, &Bounds::default(), Some(&services), &here.engine()).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Unsuitable);
    assert!(refused.to_string().contains(&format!("was made of {other}")), "{refused}");
    assert_eq!(here.volume.counts().reads, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_sample_is_not_warm_whatever_was_read() {
    // A volume whose first touch is never over: nothing that was read makes it fast.
    let here = ColdWorld::new("image", &blocks(|_| 1));
    let id = here.world.snapshot(None, &blocks(|_| 1));
    let threshold = Some(Duration::from_micros(1));
    let report = here.warm(&Options { threshold, ..here.options(What::Snapshot(id)) }).await;
    assert_eq!((report.state(), report.read, report.cold.len()), (State::Partial, 200, 0));
    assert!(report.proof.unwrap().slow > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_a_checkpoint_to_go_on_from() {
    let here = ColdWorld::new("image", &blocks(|_| 1));
    let id = here.world.snapshot(None, &blocks(|_| 1));
    let stop = icecore::pipeline::Stop::new();
    let disk = Cold::new(Arc::new(RealDisk::default()), here.image.clone(), here.volume.clone());
    let engine = here.world.stoppable(stop.clone()).on_disk(Arc::new(disk));
    // Ten blocks a second, and a stop as soon as some are read.
    let rate = warm::Rate { bytes: Some(100 << 20), iops: None };
    let bounds = Bounds { rate, ..Bounds::default() };
    let volume = here.volume.clone();
    let stopper = std::thread::spawn(move || {
        while volume.counts().reads < 5 {
            std::thread::yield_now();
        }
        stop.request();
    });
    let options = here.options(What::Snapshot(id));
    let report = warm::run(&options, &bounds, Some(&here.world.services), &engine).await.unwrap();
    stopper.join().unwrap();
    assert_eq!((report.state(), report.exceptions[0].kind), (State::Incomplete, Kind::Suspended));
    assert!(report.proof.is_none() && report.read >= 1 && report.read < 200);
    let rest = here.warm(&options).await;
    assert_eq!((rest.state(), rest.resumed), (State::Warm, report.read));
    assert_eq!(here.read().len(), 200, "and nothing twice");
}

#[test]
fn a_quarter_is_a_quarter() {
    assert_eq!(a_quarter(2_048).len(), 512);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_complains_slows_the_run_down_and_never_stops_it() {
    let here = ColdWorld::new("image", &blocks(|_| 1));
    let id = here.world.snapshot(None, &blocks(|_| 1));
    let slo =
        warm::Slo { gauge: warm::Gauge::Command("false".into()), least: 100.0, gets_credentials: false };
    let rate = warm::Rate { bytes: Some(200 * 524_288), iops: None };
    let bounds = Bounds { slo: Some(slo), rate, ..Bounds::default() };
    let (options, services) = (here.options(What::Snapshot(id)), Some(&here.world.services));
    let report = warm::run(&options, &bounds, services, &here.engine()).await.unwrap();
    assert_eq!((report.state(), report.read), (State::Warm, 200));
    assert!(report.exceeded.unwrap() >= 3, "{:?}", report.exceeded);
    // At the rate that was asked for it would have been over in a second.
    assert!(report.reading > Duration::from_millis(1_050), "{:?}", report.reading);
}

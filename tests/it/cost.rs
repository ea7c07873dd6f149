//! The bill of snapshots behind the endpoint, against what was written to them.

use crate::lab::{Lab, services as services_at};
use icecore::block::{BlockIndex, BlockSize, ByteSize};
use icecore::control::memory::MemorySnapshots;
use icecore::cost::{Doubt, PriceTable, Quality, Usd};
use icecore::endpoint::{Config, Shelves, start};
use icecore::fault::{Kind, Scope};
use icecore::monitor::Recorder;
use icecore::ops::cost::{Freed, Measured, Options, Report, Selection, What, measure};
use icecore::ops::{Engine, Services};
use icecore::pipeline::{Patience, Settings, Stop};
use icecore::shelf::memory::MemoryShelf;
use icecore::shelf::{Content, Grant, Shelf, ShelfWriter};
use icecore::snapshot::{NewSnapshot, SnapshotId, Tags, UnixMillis};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn options() -> Options {
    Options {
        shown: Selection::default(),
        prices: PriceTable::listed().region("us-east-1").unwrap(),
        compare: 8,
        keeps_listings: true,
        max_requests: None,
        deadline: None,
        bin_days: None,
        verified: None,
    }
}

/// A snapshot written straight to the store: many blocks, one content.
pub(crate) fn written(
    store: &dyn ShelfWriter,
    gib: i64,
    parent: Option<&SnapshotId>,
    blocks: impl IntoIterator<Item = u32>,
) -> SnapshotId {
    tagged(store, gib, parent, blocks, &[])
}

/// The same with tags.
pub(crate) fn tagged(
    store: &dyn ShelfWriter,
    gib: i64,
    parent: Option<&SnapshotId>,
    blocks: impl IntoIterator<Item = u32>,
    tags: &[(&str, &str)],
) -> SnapshotId {
    // As an import does: EC2 shows no parent.
    let parent_tag = parent.map(|parent| ("icecore:parent".to_owned(), parent.to_string()));
    let bytes: bytes::Bytes = vec![7; BlockSize::EBS.buffer_len()].into();
    let content = Content { digest: icecore::block::Digest::of(&bytes), bytes };
    let asked = NewSnapshot {
        volume_size: gib.try_into().unwrap(),
        parent: parent.cloned(),
        description: None,
        tags: tags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .chain(parent_tag)
            .collect::<Tags>(),
        client_token: None,
        encrypted: None,
        kms_key_id: None,
        timeout_minutes: None,
    };
    let grant = Grant {
        asked,
        owner_id: "123456789012".into(),
        encrypted: false,
        kms_key_id: None,
        now: UnixMillis(1_700_000_000_000),
    };
    let id = store.start(&grant).unwrap().info.id;
    for index in blocks {
        store.put(&id, BlockIndex::new(index), &content).unwrap();
    }
    store.complete(&id).unwrap();
    id
}

/// The account's facts as its store has them: what EC2 would tell.
fn services(lab: &Lab) -> Services {
    let infos = lab.store.list().unwrap().into_iter().map(|shelved| shelved.info);
    let snapshots = Arc::new(MemorySnapshots::new(infos));
    Services { snapshots: Some(snapshots), ..lab.services.clone() }
}

async fn measured(lab: &Lab, options: &Options) -> Measured {
    measure(options, &services(lab), &lab.engine()).await.unwrap()
}

async fn bill(lab: &Lab, options: &Options) -> Report {
    measured(lab, options).await.report(None, None)
}

/// Full, billed and alone, in blocks; `None` where unknown.
fn figures(report: &Report, id: &SnapshotId) -> Option<(u64, u64, u64)> {
    let row = report.rows.iter().find(|row| row.info.id == *id).unwrap();
    let blocks = |size: Option<ByteSize>| size.map(|size| size.bytes() / 524_288);
    Some((blocks(row.full)?, blocks(row.attributed)?, blocks(row.unique)?))
}

#[tokio::test]
async fn a_lineage_is_billed_block_by_block_and_the_second_run_lists_nothing() {
    let lab = Lab::new().await;
    let first = written(lab.store.as_ref(), 1, None, 0..10);
    let second = written(lab.store.as_ref(), 1, Some(&first), (0..4).chain([100]));
    let branch = written(lab.store.as_ref(), 1, Some(&first), 8..12);
    let other = written(lab.store.as_ref(), 1, None, 0..3);
    let report = bill(&lab, &options()).await;
    assert_eq!(
        figures(&report, &first),
        Some((10, 10, 0)),
        "each of its blocks is held by one of the others"
    );
    assert_eq!(figures(&report, &second), Some((11, 5, 5)));
    assert_eq!(figures(&report, &branch), Some((12, 4, 4)));
    assert_eq!(figures(&report, &other), Some((3, 3, 3)));
    assert_eq!(report.totals.quality(), "exact");
    assert_eq!(
        (report.totals.stored.bytes() / 524_288, report.totals.usd.exact().as_str()),
        (22, "0.000537109375")
    );
    assert!(report.is_complete() && report.spent.requests.list > 0);

    let again = bill(&lab, &options()).await;
    assert_eq!((again.spent.requests.list, again.spent.listings), (0, 0), "all of it was kept");
    assert_eq!(figures(&again, &branch), Some((12, 4, 4)));
    let anew = bill(&lab, &Options { keeps_listings: false, ..options() }).await;
    assert_eq!(anew.spent.requests.list, report.spent.requests.list);
}

#[tokio::test]
async fn a_kept_listing_that_was_damaged_is_fetched_again() {
    let lab = Lab::new().await;
    let first = written(lab.store.as_ref(), 1, None, 0..10);
    let second = written(lab.store.as_ref(), 1, Some(&first), 0..4);
    drop(bill(&lab, &options()).await);
    let kept: Vec<_> =
        std::fs::read_dir(lab.path("state/listings")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(kept.len(), 2);
    for path in kept {
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let report = bill(&lab, &options()).await;
    assert_eq!((report.spent.kept, report.spent.listings), (0, 2));
    assert_eq!(figures(&report, &second), Some((10, 4, 4)));
    assert_eq!(bill(&lab, &options()).await.spent.kept, 2);
}

#[tokio::test]
async fn changes_over_pages_with_an_empty_one_between_are_counted_one_by_one() {
    // In memory: the blocks are many, and nothing hangs on where they lie.
    let shelf = Arc::new(MemoryShelf::new());
    let first = written(shelf.as_ref(), 32, None, 0..40_000);
    // Pages are windows of 10,000 blocks: the second window has no change at all.
    let second = written(shelf.as_ref(), 32, Some(&first), (0..8_000).chain(25_000..32_001));
    let infos = shelf.list().unwrap().into_iter().map(|shelved| shelved.info);
    let snapshots = Some(Arc::new(MemorySnapshots::new(infos)) as _);
    let endpoint = start(Config::default(), Shelves::writable(shelf.clone())).await.unwrap();
    let services = Services { snapshots, ..services_at(&endpoint.url()) };
    let dir = tempfile::tempdir().unwrap();
    let engine =
        Engine::new(Settings::open(dir.path().to_owned()), Arc::new(Recorder::default()), Stop::new());
    let report = measure(&options(), &services, &engine).await.unwrap().report(None, None);
    assert_eq!(figures(&report, &second), Some((40_000, 15_001, 15_001)));
    assert_eq!(figures(&report, &first), Some((40_000, 40_000, 15_001)));
    // Four pages list the first, four the changes, one of them empty.
    assert_eq!(report.spent.requests.list, 8);
}

#[tokio::test]
async fn deleting_the_middle_frees_what_is_its_alone_and_is_blocked_by_what_nobody_told() {
    let lab = Lab::new().await;
    let first = written(lab.store.as_ref(), 1, None, 0..10);
    let middle = written(lab.store.as_ref(), 1, Some(&first), 0..4);
    let last = written(lab.store.as_ref(), 1, Some(&middle), 2..6);
    let measured = measured(&lab, &options()).await;
    // Built without the feature ec2, or denied.
    let services = Services { control: None, ..services(&lab) };
    let what = What::Delete(vec![middle.clone()]);
    let answer = measured.what_if(what, &services, &lab.engine()).await.unwrap();
    assert_eq!(answer.freed.bytes() / 524_288, 2);
    assert_eq!(answer.moved, [(last.clone(), BlockSize::EBS.of(2))]);
    assert_eq!(answer.quality, Quality::Exact);
    assert!(answer.blockers.iter().all(|(id, blocker)| *id == middle && blocker.is_unknown()), "{answer:?}");
    assert_eq!(answer.blockers.len(), 6);
    assert_eq!(answer.when, Some(Freed::Unknown), "nobody told whether the Recycle Bin keeps it");

    // It comes true.
    lab.store.delete(&middle).unwrap();
    let report = bill(&lab, &options()).await;
    assert_eq!(figures(&report, &last), Some((10, 6, 6)));
    assert_eq!(report.totals.stored.bytes() / 524_288, 18 - 2);
}

#[tokio::test]
async fn what_the_recycle_bin_keeps_is_freed_when_it_leaves_it() {
    let lab = Lab::new().await;
    let only = written(lab.store.as_ref(), 1, None, 0..10);
    for days in [0, 7] {
        let measured = measured(&lab, &Options { bin_days: Some(days), ..options() }).await;
        let leaves = measured.now.plus_millis(i64::from(days) * 86_400_000);
        let when = if days == 0 { Freed::Now } else { Freed::At(leaves) };
        assert_eq!(measured.deletion(std::slice::from_ref(&only)).unwrap().when, Some(when));
    }
}

#[tokio::test]
async fn a_listing_that_fails_or_is_denied_makes_figures_unknown_and_not_nothing() {
    for (plan, doubt, kind) in [
        ("ListChangedBlocks denied", Doubt::Denied, Kind::Denied),
        ("ListChangedBlocks error=500", Doubt::Failed, Kind::Service),
        ("ListChangedBlocks throttle=account", Doubt::Throttled, Kind::Throttled(Scope::Account)),
    ] {
        let faults = plan.parse().unwrap();
        let lab = Lab::with(Config { faults, ..Config::default() }).await;
        let first = written(lab.store.as_ref(), 1, None, 0..10);
        let second = written(lab.store.as_ref(), 1, Some(&first), 0..4);
        let patience = Patience { failures: 2, throttled: Duration::from_millis(200), ..Patience::default() };
        let settings = Settings { patience, ..Settings::open(lab.path("state")) };
        let engine = Engine::new(settings, lab.recorder.clone(), Stop::new());
        let report = measure(&options(), &services(&lab), &engine).await.unwrap().report(None, None);
        assert_eq!(figures(&report, &second), None, "{plan}");
        let row = report.rows.iter().find(|row| row.info.id == second).unwrap();
        assert_eq!((row.usd, row.quality), (None, Quality::Unknown(doubt)));
        assert_eq!((report.totals.unknown, report.totals.quality()), (1, "unknown"));
        assert_eq!(report.fault.as_ref().unwrap().kind, kind);
        let known = report.rows.iter().find(|row| row.info.id == first).unwrap();
        assert_eq!(
            known.quality,
            Quality::AtMost(Doubt::Neighbour),
            "who knows what the second shares with it"
        );
    }
}

#[tokio::test]
async fn throttles_and_stumbles_are_sat_out() {
    let faults =
        "ListChangedBlocks nth=1-2 throttle=account\nListSnapshotBlocks nth=1 error=500".parse().unwrap();
    let lab = Lab::with(Config { faults, ..Config::default() }).await;
    let first = written(lab.store.as_ref(), 1, None, 0..10);
    let second = written(lab.store.as_ref(), 1, Some(&first), 0..4);
    let report = bill(&lab, &options()).await;
    assert_eq!(figures(&report, &second), Some((10, 4, 4)));
    assert_eq!(report.totals.quality(), "exact");
}

#[tokio::test]
async fn a_run_that_is_stopped_goes_on_where_it_was() {
    let lab = Lab::new().await;
    let mut last = written(lab.store.as_ref(), 1, None, 0..10);
    for n in 0..6 {
        last = written(lab.store.as_ref(), 1, Some(&last), n..n + 2);
    }
    let mut total = 0;
    for run in 0.. {
        let report = bill(&lab, &Options { max_requests: Some(3), ..options() }).await;
        assert!(report.spent.requests.list <= 3, "run {run}: {:?}", report.spent);
        total += report.spent.requests.list;
        if report.is_complete() {
            assert_eq!(report.totals.quality(), "exact");
            break;
        }
        assert_eq!(report.fault.as_ref().unwrap().kind, Kind::Suspended);
        assert!(report.totals.unknown > 0, "what was not listed is unknown");
        assert!(run < 10, "it gets on");
    }
    // Six changes of a page each, and the first one: opened and listed; what is opened just before the end of a run,
    // is opened again.
    assert!(total <= 12, "{total}");
    // Three pages at 0.0006 USD a thousand, and not quite a fourth.
    let paid = Services { max_usd: Some(Usd::from_nanos(2_399)), ..services(&lab) };
    let anew = Options { keeps_listings: false, ..options() };
    let report = measure(&anew, &paid, &lab.engine()).await.unwrap().report(None, None);
    assert_eq!(report.spent.requests.list, 3, "what may not be paid for is not asked");
    assert_eq!(report.fault.as_ref().unwrap().kind, Kind::Suspended);
    let at_once = Some(Duration::ZERO);
    let end = bill(&lab, &Options { deadline: at_once, keeps_listings: false, ..options() }).await;
    assert_eq!(end.totals.unknown, 7);
}

/// Two listings that are each larger than what one run may ask for: a block map and a comparison.
#[tokio::test]
async fn a_listing_larger_than_a_run_may_ask_for_is_finished_by_later_runs() {
    let shelf = Arc::new(MemoryShelf::new());
    let first = written(shelf.as_ref(), 64, None, 0..70_000);
    let second = written(shelf.as_ref(), 64, Some(&first), 5..60_005);
    let infos = shelf.list().unwrap().into_iter().map(|shelved| shelved.info);
    let snapshots = Some(Arc::new(MemorySnapshots::new(infos)) as _);
    let endpoint = start(Config::default(), Shelves::writable(shelf.clone())).await.unwrap();
    let services = Services { snapshots, ..services_at(&endpoint.url()) };
    let dir = tempfile::tempdir().unwrap();
    let (mut asked, mut listed) = (0, 0);
    let report = loop {
        let settings = Settings::open(dir.path().to_owned());
        let engine = Engine::new(settings, Arc::new(Recorder::default()), Stop::new());
        let options = Options { max_requests: Some(3), ..options() };
        let report = measure(&options, &services, &engine).await.unwrap().report(None, None);
        assert!(report.spent.requests.list <= 3, "{:?}", report.spent);
        asked += report.spent.requests.list;
        listed += 1;
        assert!(listed < 20, "it gets on");
        if report.is_complete() {
            break report;
        }
    };
    assert_eq!(figures(&report, &first), Some((70_000, 70_000, 60_000)));
    assert_eq!(figures(&report, &second), Some((70_000, 60_000, 60_000)));
    let counts = endpoint.counts();
    let sent = counts.of("ListSnapshotBlocks") + counts.of("ListChangedBlocks");
    assert_eq!(asked, sent, "each request is counted, and none that was not sent");
    // Seven pages of the one and seven of the other; a block map that goes on is opened anew each time.
    assert!((14..=20).contains(&asked), "{asked}");
    let left: Vec<_> = std::fs::read_dir(dir.path().join("listings")).unwrap().collect();
    assert_eq!(left.len(), 2, "nothing but the two whole listings is kept: {left:?}");
}

/// Two changes, far from each other: a page with nothing on it tells no place to go on from.
#[tokio::test]
async fn a_run_that_ends_amid_empty_pages_says_that_the_same_command_will_not_do() {
    let shelf = Arc::new(MemoryShelf::new());
    let first = written(shelf.as_ref(), 64, None, 0..100_000);
    let second = written(shelf.as_ref(), 64, Some(&first), [5, 95_000]);
    let infos = shelf.list().unwrap().into_iter().map(|shelved| shelved.info);
    let snapshots = Some(Arc::new(MemorySnapshots::new(infos)) as _);
    let endpoint = start(Config::default(), Shelves::writable(shelf.clone())).await.unwrap();
    let services = Services { snapshots, ..services_at(&endpoint.url()) };
    let dir = tempfile::tempdir().unwrap();
    let run = async |most: u64| {
        let settings = Settings::open(dir.path().to_owned());
        let engine = Engine::new(settings, Arc::new(Recorder::default()), Stop::new());
        let options = Options { max_requests: Some(most), ..options() };
        measure(&options, &services, &engine).await.unwrap().report(None, None)
    };
    // The first runs list what they can: the block map, and the changes up to the gap.
    let stuck = async || {
        let fault = run(4).await.fault.unwrap();
        assert_eq!(fault.kind, Kind::Suspended);
        fault.advice().unwrap().ends_with("allow more")
    };
    let mut runs = 0;
    while !stuck().await {
        runs += 1;
        assert!(runs < 10, "it is stuck before long");
    }
    assert!(stuck().await, "and stays so");
    let report = run(20).await;
    assert!(report.is_complete(), "{:?}", report.fault);
    assert_eq!(figures(&report, &first), Some((100_000, 100_000, 2)));
    assert_eq!(figures(&report, &second), Some((100_000, 2, 2)));
}

/// The address is nothing: the store says what it is.
#[cfg(feature = "ec2")]
#[tokio::test(flavor = "multi_thread")]
async fn listings_are_kept_by_the_store_and_not_by_its_address() {
    let lab = Lab::new().await;
    let first = lab.import(&crate::lab::generation(0), None).await.snapshot_id;
    let asked = |services: Services| {
        let engine = lab.engine();
        async move { measure(&options(), &services, &engine).await.unwrap().report(None, None) }
    };
    let report = asked(lab.services.clone()).await;
    let name = lab.services.identity.name();
    assert!(name.starts_with("store ") && !name.contains("127.0.0.1"), "{name}");
    assert!(report.spent.requests.list > 0 && figures(&report, &first).is_some());

    let (_endpoint, elsewhere) = lab.beside(Config::default(), icecore::aws::Deadlines::default()).await;
    let again = asked(elsewhere.clone()).await;
    assert_eq!((again.spent.requests.list, again.spent.kept), (0, 1), "the same store at another port");
    assert_eq!(elsewhere.identity.name(), name);

    let other = Lab::new().await;
    let _ = other.import(&crate::lab::generation(0), None).await;
    let _ = asked(other.services.clone()).await;
    assert_ne!(other.services.identity.name(), name);
}

//! The main job on real disk images, through the AWS SDK and HTTP.

use crate::lab::{Lab, Loop, compare, generation, options, unpack};
use futures_util::future::BoxFuture;
use icecore::block::{BlockIndex, BlockSet};
use icecore::fault::{Fault, Kind, Place};
use icecore::monitor::Event;
use icecore::ops::{Engine, Services, diff, import, show};
use icecore::pipeline::{Settings, Stop};
use icecore::shelf::{Shelf, ShelfWriter};
use icecore::snapshot::{NewSnapshot, SnapshotId, SnapshotInfo, SnapshotState, Written};
use icecore::source::{Block, SnapshotWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

async fn diffed(lab: &Lab, ids: &[&SnapshotId], content: bool) -> diff::Report {
    let options = diff::Options { snapshots: ids.iter().map(|id| (*id).clone()).collect(), content };
    diff::run(&options, &lab.services, &lab.engine()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_generations_are_imported_compared_and_exported_byte_for_byte() {
    let lab = Lab::new().await;
    let (before, after) = (generation(0), generation(1));
    let first = lab.import(&before, None).await;
    assert_eq!((first.blocks_written, first.blocks_total), (2048, 2048), "zeros are sent as such");
    let second = lab.import(&after, Some(&first.snapshot_id)).await;
    let (changed, _, _) = compare(&before, &after);
    assert_eq!(second.blocks_written, changed.len(), "only what differs from the parent is sent");
    assert_eq!(second.blocks_inherited, 2048 - changed.len());

    let report = diffed(&lab, &[&first.snapshot_id, &second.snapshot_id], true).await;
    let step = &report.steps[0];
    assert_eq!((&step.delta.in_both, step.identical), (&changed, Some(0)));
    assert!(step.delta.only_in_first.is_empty() && step.delta.only_in_second.is_empty());

    for (id, image, name) in [(&first.snapshot_id, &before, "a"), (&second.snapshot_id, &after, "b")] {
        let (file, report) = lab.export(id, name).await;
        let (differing, data, _) = compare(image, &file);
        assert!(differing.is_empty(), "{name} differs in {differing:?}");
        assert_eq!((report.blocks_written, report.holes), (data.len(), 2048 - data.len()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn omitted_zero_blocks_are_absent_but_those_over_the_parents_data_are_sent() {
    let lab = Lab::new().await;
    let omitting = |image, parent: Option<&SnapshotId>| import::Options {
        omit_zero_blocks: true,
        ..options(image, parent)
    };
    // Generation 4 wipes blocks that hold data in generation 3.
    let (before, after) = (generation(3), generation(4));
    let (changed, data, data_after) = compare(&before, &after);
    let first = import::run(&omitting(&before, None), &lab.services, &lab.engine()).await.unwrap();
    assert_eq!((first.blocks_written, first.blocks_omitted), (data.len(), 2048 - data.len()));
    let upon = omitting(&after, Some(&first.snapshot_id));
    let second = import::run(&upon, &lab.services, &lab.engine()).await.unwrap();
    assert_eq!(second.blocks_written, changed.len());
    let wiped = &data - &data_after;
    assert_eq!((wiped.len(), second.zero_blocks_written), (8, 8));

    let shown = show::run(&second.snapshot_id, &lab.services, &lab.engine()).await.unwrap();
    assert_eq!(shown.allocated, &data | &data_after, "wiped blocks stay allocated, as zeros");
    let (file, _) = lab.export(&second.snapshot_id, "out").await;
    assert!(compare(&after, &file).0.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_tells_what_changes_most_and_survives_a_deletion_in_the_middle() {
    let lab = Lab::new().await;
    let mut ids: Vec<SnapshotId> = Vec::new();
    for n in 0..3 {
        ids.push(lab.import(&generation(n), ids.last()).await.snapshot_id);
    }
    let chain: Vec<_> = ids.iter().collect();
    let report = diffed(&lab, &chain, false).await;
    let steps: Vec<BlockSet> = report.steps.iter().map(|step| step.delta.changed()).collect();
    for (n, step) in steps.iter().enumerate() {
        assert_eq!(*step, compare(&generation(n), &generation(n + 1)).0);
    }
    let twice: BlockSet = report.churn.iter().flat_map(|churn| churn.range.iter()).collect();
    assert_eq!(twice, &steps[0] & &steps[1]);

    let whole = diffed(&lab, &[&ids[0], &ids[2]], false).await;
    lab.store.delete(&ids[1]).unwrap();
    let after = diffed(&lab, &[&ids[0], &ids[2]], false).await;
    assert_eq!(whole.steps[0].delta, after.steps[0].delta);
    assert_eq!(after.steps[0].delta.changed(), &steps[0] | &steps[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_import_goes_on_into_the_same_snapshot() {
    let lab = Lab::new().await;
    let image = generation(2);
    let stop = Stop::new();
    let engine = lab.stoppable(stop.clone());
    let asking = tokio::spawn({
        let engine = engine.clone();
        async move {
            while engine.requests().put < 200 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            stop.request();
        }
    });
    let fault = import::run(&options(&image, None), &lab.services, &engine).await.unwrap_err();
    asking.await.unwrap();
    assert_eq!(fault.kind, Kind::Suspended);
    let started: Vec<_> = lab.store.list().unwrap();
    assert_eq!(started.len(), 1);

    let resumed = lab.import(&image, None).await;
    assert_eq!(resumed.snapshot_id, started[0].info.id);
    assert!(resumed.blocks_resumed > 100, "{}", resumed.blocks_resumed);
    assert_eq!(resumed.blocks_resumed + resumed.requests.put, 2048);
    let (file, _) = lab.export(&resumed.snapshot_id, "out").await;
    assert!(compare(&image, &file).0.is_empty());

    let again = lab.import(&image, None).await;
    assert_ne!(again.snapshot_id, resumed.snapshot_id, "a finished import leaves nothing to resume");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_changed_between_two_runs_is_imported_anew() {
    let lab = Lab::new().await;
    let image = lab.path("image");
    unpack(0, &image);
    let stop = Stop::new();
    let engine = lab.stoppable(stop.clone());
    stop.request();
    assert!(import::run(&options(&image, None), &lab.services, &engine).await.is_err());
    unpack(1, &image);
    let report = lab.import(&image, None).await;
    assert_eq!(report.blocks_resumed, 0);
    let noted = lab.recorder.events().into_iter().any(|event| match event {
        Event::Note(note) => note.contains("starting anew"),
        _ => false,
    });
    assert!(noted);
    let (file, _) = lab.export(&report.snapshot_id, "out").await;
    assert!(compare(&image, &file).0.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_export_goes_on_where_it_stopped() {
    let lab = Lab::new().await;
    let image = generation(1);
    let id = lab.import(&image, None).await.snapshot_id;
    let dest = lab.path("out");
    interrupted_export(&lab, "state", &id, &dest, true, 300).await;
    assert!(!dest.exists(), "nothing half-done under the final name");
    let report =
        icecore::ops::export::run(&exporting(&id, &dest, true), &lab.services, &lab.engine()).await.unwrap();
    assert!(report.blocks_resumed > 200, "{}", report.blocks_resumed);
    assert_eq!(report.requests.get + report.blocks_resumed, 2048);
    let (differing, data, _) = compare(&image, &dest);
    assert!(differing.is_empty());
    assert_eq!(report.blocks_written, data.len());
}

/// Exports until so many blocks were asked for, then stops.
async fn interrupted_export(lab: &Lab, state: &str, id: &SnapshotId, dest: &Path, sync: bool, gets: u64) {
    let stop = Stop::new();
    let settings = Settings { concurrency: Some(4), ..Settings::open(lab.path(state)) };
    let engine = Engine::new(settings, lab.recorder.clone(), stop.clone());
    let asking = tokio::spawn({
        let engine = engine.clone();
        async move {
            while engine.requests().get < gets {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            stop.request();
        }
    });
    let options = exporting(id, dest, sync);
    let fault = icecore::ops::export::run(&options, &lab.services, &engine).await.unwrap_err();
    asking.await.unwrap();
    assert_eq!(fault.kind, Kind::Suspended);
}

fn exporting(id: &SnapshotId, dest: &Path, sync: bool) -> icecore::ops::export::Options {
    icecore::ops::export::Options { snapshot_id: id.clone(), dest: Some(dest.to_owned()), force: false, sync }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_runs_state_says_of_a_file_since_replaced_is_not_believed() {
    let lab = Lab::new().await;
    let image = generation(1);
    let id = lab.import(&image, None).await.snapshot_id;
    let dest = lab.path("out");
    interrupted_export(&lab, "mine", &id, &dest, true, 1000).await;
    // Another user, with a state of their own, starts the same file anew and does not get far.
    interrupted_export(&lab, "theirs", &id, &dest, true, 300).await;
    let engine = Engine::new(Settings::open(lab.path("mine")), lab.recorder.clone(), Stop::new());
    let report =
        icecore::ops::export::run(&exporting(&id, &dest, true), &lab.services, &engine).await.unwrap();
    assert_eq!(report.blocks_resumed, 0);
    assert!(compare(&image, &dest).0.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_made_durable_is_not_resumed_as_durable() {
    let lab = Lab::new().await;
    let image = generation(1);
    let id = lab.import(&image, None).await.snapshot_id;
    let dest = lab.path("out");
    interrupted_export(&lab, "state", &id, &dest, false, 500).await;
    let durable =
        icecore::ops::export::run(&exporting(&id, &dest, true), &lab.services, &lab.engine()).await.unwrap();
    assert_eq!((durable.blocks_resumed, durable.synced), (0, true));
    assert!(compare(&image, &dest).0.is_empty());
}

#[cfg(feature = "ec2")]
#[tokio::test(flavor = "multi_thread")]
async fn our_own_tag_tells_the_list_who_is_whose_parent() {
    let lab = Lab::new().await;
    let first = lab.import(&generation(0), None).await.snapshot_id;
    let _ = lab.import(&generation(1), Some(&first)).await;
    let all = icecore::control::SnapshotQuery::default();
    let listed = icecore::ops::list::run(&all, &lab.services, &lab.engine()).await.unwrap();
    let lineages: Vec<_> = listed.snapshots.iter().map(|row| (row.parent.clone(), row.lineage)).collect();
    assert_eq!(lineages, [(None, 1), (Some(first), 1)]);
}

/// Needs a loop device, hence root: where there is none, it says so and proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_dirty_device_holds_the_snapshot_and_zeros_everywhere_else() {
    let lab = Lab::new().await;
    let image = generation(2);
    let omitting = import::Options { omit_zero_blocks: true, ..options(&image, None) };
    let id = import::run(&omitting, &lab.services, &lab.engine()).await.unwrap().snapshot_id;
    let backing = lab.path("backing");
    std::fs::write(&backing, vec![0xff; (1 << 30) + (1 << 20)]).unwrap();
    let Some(device) = Loop::over(&backing) else {
        eprintln!("no loop device here: export to a device is not tested");
        return;
    };
    let report = icecore::ops::export::run(&exporting(&id, &device.0, true), &lab.services, &lab.engine())
        .await
        .unwrap();
    let (_, data, _) = compare(&image, &image);
    assert_eq!(report.blocks_written, data.len());
    let written = std::fs::read(&backing).unwrap();
    assert!(written[1 << 30..].iter().all(|byte| *byte == 0xff), "beyond the volume nothing is touched");
    std::fs::write(&backing, &written[..1 << 30]).unwrap();
    assert!(compare(&image, &backing).0.is_empty());

    let held = std::fs::OpenOptions::new().read(true).custom_flags(0o200).open(&device.0).unwrap();
    let fault =
        icecore::ops::export::run(&exporting(&id, &device.0, true), &lab.services, &lab.engine()).await;
    assert!(fault.unwrap_err().to_string().ends_with("the device is mounted or in use"));
    drop(held);
    let small = lab.path("small");
    std::fs::write(&small, vec![0; 1 << 20]).unwrap();
    let small = Loop::over(&small).unwrap();
    let fault =
        icecore::ops::export::run(&exporting(&id, &small.0, true), &lab.services, &lab.engine()).await;
    assert!(fault.unwrap_err().to_string().ends_with("the device has 1 MiB, the volume 1 GiB"));
}

/// A writer whose first answer to a start is lost on the way.
#[derive(Debug)]
struct Forgetful {
    inner: Arc<dyn SnapshotWriter>,
    lost: AtomicBool,
}

impl SnapshotWriter for Forgetful {
    fn start<'a>(&'a self, new: &'a NewSnapshot) -> BoxFuture<'a, Result<SnapshotInfo, Fault>> {
        Box::pin(async move {
            let started = self.inner.start(new).await?;
            match self.lost.swap(true, Ordering::Relaxed) {
                true => Ok(started),
                // A kind that is not tried again, so that the run ends here.
                false => Err(Fault::new(Kind::Interrupted, Place::Service, "the answer was lost")),
            }
        })
    }

    fn put<'a>(&'a self, id: &'a SnapshotId, block: &'a Block) -> BoxFuture<'a, Result<(), Fault>> {
        self.inner.put(id, block)
    }

    fn complete<'a>(
        &'a self,
        id: &'a SnapshotId,
        written: Written,
    ) -> BoxFuture<'a, Result<SnapshotState, Fault>> {
        self.inner.complete(id, written)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_was_lost_starts_no_second_snapshot() {
    let lab = Lab::new().await;
    let writer = Arc::new(Forgetful { inner: lab.services.writer.clone(), lost: AtomicBool::new(false) });
    let services = Services { writer, ..lab.services.clone() };
    let image = generation(0);
    let fault = import::run(&options(&image, None), &services, &lab.engine()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Suspended);
    let report = import::run(&options(&image, None), &services, &lab.engine()).await.unwrap();
    let all: Vec<_> = lab.store.list().unwrap().into_iter().map(|shelved| shelved.info.id).collect();
    assert_eq!(all, [report.snapshot_id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_one_sentence_and_leaves_nothing() {
    let lab = Lab::new().await;
    let id = lab.import(&generation(0), None).await.snapshot_id;
    let other = lab.import(&generation(1), None).await.snapshot_id;
    let pair = diff::Options { snapshots: vec![id.clone(), other], content: false };
    let fault = diff::run(&pair, &lab.services, &lab.engine()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Unrelated);
    assert!(fault.advice().is_some());

    let missing: SnapshotId = "snap-0123456789abcdef0".parse().unwrap();
    let fault = show::run(&missing, &lab.services, &lab.engine()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::NotFound);

    let taken = lab.path("taken");
    std::fs::write(&taken, "mine").unwrap();
    for (dest, said) in [
        (taken.clone(), "exists already"),
        (lab.dir.path().to_owned(), "is a directory"),
        (lab.path("no/such/dir/out"), "does not exist"),
    ] {
        let fault = icecore::ops::export::run(&exporting(&id, &dest, true), &lab.services, &lab.engine())
            .await
            .unwrap_err();
        assert_eq!(fault.kind, Kind::Unsuitable);
        assert!(fault.to_string().contains(said), "{fault}");
    }
    assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
    let left: Vec<_> =
        std::fs::read_dir(lab.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("part")), "{left:?}");

    let small =
        import::Options { volume_size: Some(1.try_into().unwrap()), ..options(&generation(0), Some(&id)) };
    assert!(import::run(&small, &lab.services, &lab.engine()).await.is_ok());
    let at = BlockIndex::ZERO;
    assert!(lab.store.read(&id, at).unwrap().is_some());
}

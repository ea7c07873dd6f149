//! The process is killed, or the power goes, at any request and any operation on the disk: the target has the old
//! state then or the new one or says that it is between, and the same command again makes it right.
//!
//! Targets, checkpoints, notes and stores lie on a disk that forgets what was not synced. A disk that claims to sync
//! and does not is caught by every one of these tests: that is tested too.

use super::process::{At, Loss, stopped};
use super::world::{
    HOME, World, disk, disk_with_image, engine, imported, importing, machine, serve, shelved, target,
};
use icecore::device::{Holding, Image, Sidecar};
use icecore::disk::memory::MemoryDisk;
use icecore::disk::{Disk, Opening};
use icecore::ops::{Engine, Services, export, import, manifest};
use icecore::shelf::{Shelf, ShelfWriter};
use icecore::snapshot::{SnapshotId, SnapshotState};
use std::path::Path;

/// Points to stop at: a fiftieth of a full run of 1,000 power cuts and 200 kills, unless `ICECORE_SEEDS` says how many
/// of each.
#[expect(clippy::disallowed_methods, reason = "how much to test is the caller's")]
fn points(usual: u64) -> u64 {
    std::env::var("ICECORE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(usual / 50)
}

/// A number that looks random and is not.
fn mixed(seed: u64) -> u64 {
    let word = (seed ^ (seed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}

impl World {
    /// Stops an export, looks, and gives the same command again.
    async fn export_stopped(&self, disk: MemoryDisk, at: At, loss: Loss, seed: u64) -> Result<(), String> {
        let options = self.export(0);
        let run = async |services: Services, engine: Engine| export::run(&options, &services, &engine).await;
        let disk = stopped(&disk, &self.lab.services, at, loss, seed, run).await;
        if disk.files().contains(&target()) {
            return self.holds(&disk, 0).map_err(|wrong| format!("under its final name: {wrong}"));
        }
        let recorded = disk.files().iter().any(|file| file.extension().is_some_and(|name| name == "ckpt"));
        let again = export::run(&options, &self.lab.services, &engine(&disk)).await;
        let report = again.map_err(|fault| format!("again: {fault}"))?;
        if report.blocks_resumed > 0 && !recorded {
            return Err("it went on from nothing".to_owned());
        }
        let whole = self.snapshots[0].2.len() as u64;
        if report.blocks_resumed + report.requests.get != whole {
            return Err(format!("{} resumed, {} read", report.blocks_resumed, report.requests.get));
        }
        self.holds(&disk, 0).map_err(|wrong| format!("after the second run: {wrong}"))
    }

    /// Stops a change in place, looks, and gives the same command again.
    async fn since_stopped(
        &self,
        disk: MemoryDisk,
        (from, to): (usize, usize),
        at: At,
        loss: Loss,
        seed: u64,
    ) -> Result<MemoryDisk, String> {
        let options = self.since(from, to);
        let run =
            async |services: Services, engine: Engine| export::since(&options, &services, &engine).await;
        let disk = stopped(&disk, &self.lab.services, at, loss, seed, run).await;
        let note = Sidecar::of(&target(), &machine(&disk)).map_err(|fault| fault.to_string())?;
        match note.map(|note| note.holding) {
            Some(Holding::Snapshot { id, .. }) => {
                let said = if id == options.base { from } else { to };
                self.holds(&disk, said).map_err(|wrong| format!("it says that it holds {said}: {wrong}"))?;
            }
            Some(Holding::Between { .. }) => {
                if Image::open(&target(), &machine(&disk)).is_ok() {
                    return Err("it is half-way and can be read".to_owned());
                }
            }
            None => return Err("nothing is known of it any more".to_owned()),
        }
        let again = export::since(&options, &self.lab.services, &engine(&disk)).await;
        let _ = again.map_err(|fault| format!("again: {fault}"))?;
        self.holds(&disk, to).map_err(|wrong| format!("after the second run: {wrong}"))?;
        Ok(disk)
    }
}

/// Every so many operations of a run that takes `all`.
fn spread(all: u64, points: u64) -> impl Iterator<Item = (u64, At)> {
    (0..points).map(move |n| (n, At::Operation(mixed(n ^ all << 32) % (all + 1))))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_whose_power_goes_leaves_nothing_or_all_of_it() {
    let world = World::random(1).await;
    let disk_of_one_run = disk();
    let whole = export::run(&world.export(0), &world.lab.services, &engine(&disk_of_one_run)).await;
    let _ = whole.unwrap();
    for (n, at) in spread(disk_of_one_run.done(), points(1000)) {
        let ended = world.export_stopped(disk(), at, Loss::Power, n).await;
        assert_eq!(ended, Ok(()), "cut {n} at {at:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_export_goes_on_with_what_was_recorded() {
    let world = World::random(2).await;
    let disk_of_one_run = disk();
    let report = export::run(&world.export(0), &world.lab.services, &engine(&disk_of_one_run)).await.unwrap();
    let requests = i64::try_from(report.requests.get + report.requests.list).unwrap();
    for (n, mut at) in spread(disk_of_one_run.done(), points(200)) {
        if n % 2 == 1 {
            at = At::Request(i64::try_from(mixed(n)).unwrap() % requests);
        }
        let ended = world.export_stopped(disk(), at, Loss::Process, n).await;
        assert_eq!(ended, Ok(()), "kill {n} at {at:?}");
    }
}

/// Stops the making of a manifest, looks, and gives the same command again: these bytes, or nothing, and then these.
async fn manifest_stopped(
    world: &World,
    disk: MemoryDisk,
    at: At,
    seed: u64,
    whole: &[u8],
) -> Result<(), String> {
    let options = manifest::Options { base: None, output: Path::new(HOME).join("m"), force: true };
    let id = &world.snapshots[0].0;
    let is_whole = |disk: &MemoryDisk| disk.read(&options.output, 1 << 20).is_ok_and(|bytes| bytes == whole);
    let run = async |services: Services, engine: Engine| {
        manifest::of_snapshot(id, &options, &services, &engine).await
    };
    let disk = stopped(&disk, &world.lab.services, at, Loss::Power, seed, run).await;
    if disk.files().contains(&options.output) && !is_whole(&disk) {
        return Err("under its final name is no whole manifest".to_owned());
    }
    let again = manifest::of_snapshot(id, &options, &world.lab.services, &engine(&disk)).await;
    let _ = again.map_err(|fault| format!("again: {fault}"))?;
    // What the command said to be made has to be there whatever happens next.
    match is_whole(&disk.cut(seed)) {
        true => Ok(()),
        false => Err("after the second run there are other bytes".to_owned()),
    }
}

/// The manifest that nothing stopped, and the operations that it took.
async fn manifest_of(world: &World) -> (Vec<u8>, u64) {
    let disk = disk();
    let output = Path::new(HOME).join("m");
    let options = manifest::Options { base: None, output: output.clone(), force: false };
    let made =
        manifest::of_snapshot(&world.snapshots[0].0, &options, &world.lab.services, &engine(&disk)).await;
    let _ = made.unwrap();
    (disk.read(&output, 1 << 20).unwrap(), disk.done())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_whose_power_goes_is_nothing_or_whole_and_then_the_same() {
    let world = World::random(3).await;
    let (whole, operations) = manifest_of(&world).await;
    for n in 0..=operations {
        let ended = manifest_stopped(&world, disk(), At::Operation(n), n, &whole).await;
        assert_eq!(ended, Ok(()), "cut at {n} of {operations}");
    }
}

/// Walks a target through random generations, stopping on every step. As many steps as points.
async fn walked(points: u64, lies: bool) -> Result<(), String> {
    let mut n = 0;
    while n < points {
        let world = World::random(n).await;
        let mut chance = fastrand::Rng::with_seed(n);
        let mut now = chance.usize(..5);
        let mut disk = disk();
        let _ = export::run(&world.export(now), &world.lab.services, &engine(&disk)).await.unwrap();
        if lies {
            disk.lie();
        }
        for _ in 0..10 {
            let to = (now + chance.usize(1..5)) % 5;
            let loss = if chance.bool() || lies { Loss::Power } else { Loss::Process };
            let at = match chance.bool() {
                true => At::Operation(chance.u64(..60)),
                false => At::Request(chance.i64(..60)),
            };
            let ended = world.since_stopped(disk, (now, to), at, loss, n).await;
            disk = ended.map_err(|wrong| format!("step {n} from {now} to {to}, {loss:?} {at:?}: {wrong}"))?;
            now = to;
            n += 1;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stops_a_change_in_place_the_target_is_old_or_new_or_says_that_it_is_neither() {
    assert_eq!(walked(points(1000), false).await, Ok(()));
}

/// Stops an import and the endpoint it sends to, looks, and gives the same command again. Says how many blocks were
/// sent in the second run.
async fn import_stopped(disk: MemoryDisk, at: At, loss: Loss, seed: u64) -> Result<(), String> {
    let first = serve(&disk).await.map_err(|fault| fault.to_string())?;
    let run = async |services: Services, engine: Engine| {
        import::run(&importing(), &services, &engine).await.map(|_| ())
    };
    let after = stopped(&disk, &first.services, at, loss, seed, run).await;
    let again = serve(&after).await.map_err(|fault| format!("the store does not open: {fault}"))?;
    let completed = || -> Result<Vec<SnapshotId>, String> {
        let listed = again.store.list().map_err(|fault| fault.to_string())?;
        let done = listed.into_iter().filter(|shelved| shelved.info.state == SnapshotState::Completed);
        Ok(done.map(|shelved| shelved.info.id).collect())
    };
    let before = completed()?;
    for id in &before {
        shelved(&again.store, id, &imported()).map_err(|wrong| format!("after the stop: {wrong}"))?;
    }
    let report = import::run(&importing(), &again.services, &engine(&after)).await;
    let report = report.map_err(|fault| format!("again: {fault}"))?;
    for id in &completed()? {
        shelved(&again.store, id, &imported()).map_err(|wrong| format!("after the second run: {wrong}"))?;
    }
    let all = again.store.list().map_err(|fault| fault.to_string())?.len();
    // One that was complete before the stop was all that the first run should make.
    let is_new = !before.contains(&report.snapshot_id);
    if all != before.len() + usize::from(is_new) || all > 2 {
        return Err(format!("{all} snapshots, {} complete before", before.len()));
    }
    let sent = report.blocks_written - report.blocks_resumed;
    if loss == Loss::Process && report.blocks_resumed > 0 && sent > 6 - report.blocks_resumed {
        return Err(format!("{} resumed and {sent} sent", report.blocks_resumed));
    }
    Ok(())
}

/// What an import takes: operations of the disk, and requests.
async fn one_import() -> (u64, i64) {
    let disk = disk_with_image();
    let served = serve(&disk).await.unwrap();
    let begun = disk.done();
    let report = import::run(&importing(), &served.services, &engine(&disk)).await.unwrap();
    let requests = report.requests;
    (disk.done() - begun, i64::try_from(requests.put + requests.control + requests.list).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_power_goes_is_done_by_the_same_command() {
    let (operations, _) = one_import().await;
    for (n, at) in spread(operations, points(1000)) {
        let ended = import_stopped(disk_with_image(), at, Loss::Power, n).await;
        assert_eq!(ended, Ok(()), "cut {n} at {at:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_import_goes_on_into_the_same_snapshot() {
    let (operations, requests) = one_import().await;
    for (n, mut at) in spread(operations, points(200)) {
        if n % 2 == 1 {
            at = At::Request(i64::try_from(mixed(n)).unwrap() % requests);
        }
        let ended = import_stopped(disk_with_image(), at, Loss::Process, n).await;
        assert_eq!(ended, Ok(()), "kill {n} at {at:?}");
    }
}

/// A chain of two, of which the first is deleted while the power goes: it is there whole or gone, and the second,
/// which inherits from it, is whole.
async fn delete_stopped(operations: u64, seed: u64) -> Result<bool, String> {
    let disk = disk_with_image();
    let served = serve(&disk).await.map_err(|fault| fault.to_string())?;
    let first = import::run(&importing(), &served.services, &engine(&disk)).await.unwrap().snapshot_id;
    let upon = import::Options { parent: Some(first.clone()), ..importing() };
    let image = disk.open(&Path::new(HOME).join("disk.img"), Opening::Change).unwrap();
    image.write_at(&[9; 524_288], 0).unwrap();
    image.sync().unwrap();
    let second = import::run(&upon, &served.services, &engine(&disk)).await.unwrap().snapshot_id;
    disk.fail_after(operations);
    let ended = served.store.delete(&first).is_ok();
    let disk = disk.cut(seed);
    let again = serve(&disk).await.map_err(|fault| fault.to_string())?;
    let is_there = again.store.find(&first).map_err(|fault| fault.to_string())?.is_some();
    if is_there {
        shelved(&again.store, &first, &imported())?;
        again.store.delete(&first).map_err(|fault| format!("again: {fault}"))?;
    }
    let mut model = imported();
    model.insert(0, 9);
    shelved(&again.store, &second, &model)?;
    if is_there && ended { Err("it was deleted, and came back".to_owned()) } else { Ok(ended) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_whose_power_goes_deletes_or_does_not() {
    let mut operations = 0;
    for n in 0..points(1000) {
        let ended = delete_stopped(operations, n).await.unwrap_or_else(|wrong| panic!("{n}: {wrong}"));
        operations = if ended { 0 } else { operations + 1 };
    }
}

/// Points at which a disk that only says that it syncs is found out, of so many.
async fn found_out(
    points: u64,
    stops: impl AsyncFn(At, u64) -> Result<(), String>,
    operations: u64,
) -> usize {
    let mut found = 0;
    for (n, at) in spread(operations, points) {
        found += usize::from(stops(at, n).await.is_err());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_claims_to_sync_and_does_not_is_found_out() {
    let lying = |disk: MemoryDisk| {
        disk.lie();
        disk
    };
    let world = World::random(1).await;
    let exports = async |at, n| world.export_stopped(lying(disk()), at, Loss::Power, n).await;
    // The last operations are those after which it says that it is done.
    assert!(found_out(40, exports, 60).await > 0, "exports");
    let imports = async |at, n| import_stopped(lying(disk_with_image()), at, Loss::Power, n).await;
    assert!(found_out(20, imports, 60).await > 0, "imports");
    let (whole, operations) = manifest_of(&world).await;
    let manifests = async |at, n| manifest_stopped(&world, lying(disk()), at, n, &whole).await;
    assert!(found_out(20, manifests, operations).await > 0, "manifests");
    assert!(walked(60, true).await.is_err(), "changes in place");
}

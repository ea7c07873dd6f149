//! Every operation, every fault, every command that uses it: once in passing and once for good.
//!
//! What fails must fail with the kind that decides the exit code, and the same command must succeed once the
//! service is well again, with the right bytes.

use crate::lab::{Lab, compare, options};
use icecore::account::Settings as Account;
use icecore::aws::Deadlines;
use icecore::block::{BlockIndex, BlockSet, Digest};
use icecore::cli::Exit;
use icecore::delta::Delta;
use icecore::endpoint::{Config, Plan};
use icecore::fault::{Fault, Kind, Scope, TokenKind};
use icecore::ops::{Engine, Services, diff, export, import, show};
use icecore::pipeline::{Patience, Settings, Stop};
use icecore::shelf::Shelf;
use icecore::snapshot::SnapshotId;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const EFFECTS: [&str; 18] = [
    "throttle=account",
    "throttle=snapshot",
    "error=404",
    "error=500",
    "error=503",
    "denied",
    "expired=token",
    "expired=credentials",
    "reset",
    "lost",
    "stall",
    "slow=1",
    "body=truncated",
    "body=short",
    "body=oversized",
    "body=wrong",
    "checksum=wrong",
    "checksum=missing",
];

/// Operations, and how many cells there are of each: all effects twice, but for those it cannot meet.
const LIST: (&str, usize) = ("ListSnapshotBlocks", 32);
const GET: (&str, usize) = ("GetSnapshotBlock", 36);
const DESCRIBE: (&str, usize) = ("DescribeSnapshots", 28);

/// How a cell of the matrix must end.
#[derive(Debug)]
enum End {
    Right,
    Fails(&'static [Kind]),
    /// The answer that is damaged holds nothing that is needed.
    Either(&'static [Kind]),
}

const GONE: &[Kind] = &[Kind::NotFound, Kind::NotReadable, Kind::Vanished];

/// How it ends when the fault meets every request, or the first for each thing only.
fn end(operation: &str, effect: &str, always: bool) -> End {
    use End::{Either, Fails, Right};
    let lists = operation.starts_with("List");
    let puts = operation == "PutSnapshotBlock";
    match effect {
        // Facts from the control plane are welcome, not needed.
        _ if operation == "DescribeSnapshots" => Right,
        "slow=1" => Right,
        "denied" => Fails(&[Kind::Denied]),
        "expired=credentials" => Fails(&[Kind::ExpiredCredentials]),
        "expired=token" if lists => Fails(&[Kind::InvalidToken(TokenKind::Page)]),
        "error=404" if always || !["PutSnapshotBlock", "CompleteSnapshot"].contains(&operation) => {
            Fails(GONE)
        }
        _ if !always => Right,
        "throttle=account" => Fails(&[Kind::Throttled(Scope::Account)]),
        "throttle=snapshot" => Fails(&[Kind::Throttled(Scope::Snapshot)]),
        "error=500" | "error=503" => Fails(&[Kind::Service]),
        "expired=token" => Fails(&[Kind::InvalidToken(TokenKind::Block)]),
        "reset" | "lost" => Fails(&[Kind::Unreachable]),
        "stall" => Fails(&[Kind::Timeout]),
        "checksum=missing" | "body=truncated" | "body=short" | "body=oversized" | "body=wrong" if puts => {
            Either(&[Kind::Corrupt, Kind::Unreachable])
        }
        "body=truncated" => Fails(&[Kind::Unreachable]),
        "body=short" | "body=oversized" | "body=wrong" | "checksum=wrong" | "checksum=missing" => {
            Fails(&[Kind::Corrupt])
        }
        other => unreachable!("{other} has no expected end"),
    }
}

/// The exit code that the README promises for it, whatever the kind: of a thing that is not there, 2 where a run
/// begins with it and 6 where it was there a moment before.
fn exit(operation: &str, effect: &str) -> u8 {
    match effect {
        "denied" | "expired=credentials" => 4,
        "error=404" if operation == "GetSnapshotBlock" => 6,
        "error=404" => 2,
        "throttle=account" | "throttle=snapshot" => 75,
        _ => 5,
    }
}

/// Two generations of a small volume, in a store, and what is right.
struct World {
    lab: Lab,
    images: [PathBuf; 2],
    ids: [SnapshotId; 2],
    delta: Delta,
    allocated: BlockSet,
    contents: BTreeMap<BlockIndex, Digest>,
}

/// An image of a GiB with a few blocks in it.
fn image(path: &Path, blocks: &[(u64, u8)]) {
    let file = File::create(path).unwrap();
    file.set_len(1 << 30).unwrap();
    for (index, byte) in blocks {
        file.write_all_at(&vec![*byte; 524_288], index * 524_288).unwrap();
    }
}

fn omitting(image: &Path, parent: Option<&SnapshotId>) -> import::Options {
    import::Options { omit_zero_blocks: true, ..options(image, parent) }
}

impl World {
    async fn new() -> Self {
        let lab = Lab::new().await;
        let images = ["before.img", "after.img"].map(|name| lab.path(name));
        image(&images[0], &[(0, 1), (3, 2), (7, 3), (2047, 4)]);
        image(&images[1], &[(0, 1), (3, 5), (7, 3), (9, 6), (2047, 4)]);
        let run = |image: &Path, parent: Option<&SnapshotId>| {
            let options = omitting(image, parent);
            let (services, engine) = (lab.services.clone(), lab.engine());
            async move { import::run(&options, &services, &engine).await.unwrap().snapshot_id }
        };
        let before = run(&images[0], None).await;
        let after = run(&images[1], Some(&before)).await;
        let ids = [before, after];
        let both = diff::Options { snapshots: ids.to_vec(), content: true };
        let delta = diff::run(&both, &lab.services, &lab.engine()).await.unwrap().steps.remove(0).delta;
        assert_eq!(delta.len(), 2, "blocks 3 and 9");
        let allocated = show::run(&ids[1], &lab.services, &lab.engine()).await.unwrap().allocated;
        let contents = contents(&lab, &ids[1]);
        assert_eq!((allocated.len(), contents.len()), (5, 5));
        Self { lab, images, ids, delta, allocated, contents }
    }

    /// An engine that gives up soon, with its own state.
    fn engine(&self, state: &str) -> Engine {
        let patience = Patience {
            failures: 4,
            throttled: Duration::from_millis(30),
            invisible: Duration::from_millis(60),
            unreadable: Duration::from_secs(30),
            first_backoff: Duration::from_millis(1),
            longest_backoff: Duration::from_millis(5),
        };
        let settings = Settings { patience, ..Settings::open(self.lab.path(state)) };
        Engine::new(settings, self.lab.recorder.clone(), Stop::new())
    }

    /// Runs a command, and checks what it says if it succeeds.
    async fn run(
        &self,
        command: &str,
        name: &str,
        services: &Services,
        engine: &Engine,
    ) -> Result<(), Fault> {
        match command {
            "export" => {
                let dest = self.lab.path(&format!("{name}.img"));
                let options = export::Options {
                    snapshot_id: self.ids[1].clone(),
                    dest: Some(dest.clone()),
                    force: false,
                    sync: false,
                };
                let exported = export::run(&options, services, engine).await;
                assert_eq!(dest.exists(), exported.is_ok(), "{name}: nothing half-done under the final name");
                let report = exported?;
                assert!(compare(&self.images[1], &dest).0.is_empty(), "{name}: wrong bytes");
                assert_eq!((report.blocks_written, report.holes), (5, 2043), "{name}");
                std::fs::remove_file(&dest).unwrap();
            }
            "since" => {
                let dest = self.lab.path(&format!("{name}.img"));
                if !dest.exists() {
                    let (snapshot_id, dest) = (self.ids[0].clone(), Some(dest.clone()));
                    let options = export::Options { snapshot_id, dest, force: false, sync: true };
                    let _ = export::run(&options, &self.lab.services, &self.engine("base")).await?;
                }
                let [base, snapshot_id] = self.ids.clone();
                let options = export::Since { snapshot_id, base, dest: dest.clone(), assume_base: false };
                let report = export::since(&options, services, engine).await?;
                assert!(compare(&self.images[1], &dest).0.is_empty(), "{name}: wrong bytes");
                assert_eq!((report.blocks_written, report.holes), (2, 0), "{name}");
            }
            "diff" => {
                let options = diff::Options { snapshots: self.ids.to_vec(), content: true };
                let step = diff::run(&options, services, engine).await?.steps.remove(0);
                assert_eq!((&step.delta, step.identical), (&self.delta, Some(0)), "{name}");
            }
            "show" => {
                let report = show::run(&self.ids[1], services, engine).await?;
                assert_eq!(report.allocated, self.allocated, "{name}");
            }
            "import" => {
                let options = omitting(&self.images[1], Some(&self.ids[0]));
                let report = import::run(&options, services, engine).await?;
                assert!(report.completed, "{name}");
                assert_eq!(report.blocks_written, 2, "{name}");
                assert_eq!(contents(&self.lab, &report.snapshot_id), self.contents, "{name}: wrong bytes");
            }
            other => unreachable!("{other} is no command of the matrix"),
        }
        Ok(())
    }

    /// One cell: under the fault, and then, if that failed, the same command on a good day.
    async fn cell(
        &self,
        command: &str,
        operation: &str,
        effect: &str,
        faults: Plan,
        always: bool,
    ) -> Result<(), String> {
        let name = format!("{command}, {operation} {effect}, {}", if always { "always" } else { "once" });
        // Whoever is not meant to run into it has all the time of a slow machine.
        let attempt = Duration::from_millis(if effect == "stall" { 300 } else { 30_000 });
        let deadlines = Deadlines { attempt, ..Deadlines::default() };
        let account = Account { complete_takes: Duration::ZERO, ..Account::default() };
        let config = Config { faults, account, ..Config::default() };
        let (running, services) = self.lab.beside(config, deadlines).await;
        let state = format!("{command} {operation} {effect} {always}");
        let before = self.lab.store.list().unwrap().len();
        let engine = self.engine(&state);
        let run = self.run(command, &name, &services, &engine);
        let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
        running.stop().await;
        let ended = ended.map_err(|_| format!("{name}: hangs"))?;
        let verdict = match (end(operation, effect, always), &ended) {
            (End::Right | End::Either(_), Ok(())) => Ok(()),
            (End::Fails(kinds) | End::Either(kinds), Err(fault)) if kinds.contains(&fault.kind) => {
                let (code, promised) = (Exit::after(fault.kind).code(), exit(operation, effect));
                match code == promised {
                    true => Ok(()),
                    false => Err(format!("{name}: ends with {code}, not {promised}: {fault}")),
                }
            }
            (end, Ok(())) => Err(format!("{name}: succeeded, but {end:?}")),
            (end, Err(fault)) => Err(format!("{name}: {end:?}, but {:?}: {fault}", fault.kind)),
        };
        verdict?;
        if ended.is_err() && command != "diff" && command != "show" {
            let again = self.run(command, &name, &self.lab.services, &self.engine(&state)).await;
            again.map_err(|fault| format!("{name}: and on a good day {:?}: {fault}", fault.kind))?;
        }
        let started = self.lab.store.list().unwrap().len() - before;
        match (command, ended.is_ok()) {
            ("import", true) if started != 1 => Err(format!("{name}: {started} snapshots for one import")),
            ("import", _) => Ok(()),
            _ if started > 0 => Err(format!("{name}: a read made a snapshot")),
            _ => Ok(()),
        }
    }
}

/// What a snapshot holds, past every endpoint.
fn contents(lab: &Lab, id: &SnapshotId) -> BTreeMap<BlockIndex, Digest> {
    let entries = lab.store.window(id, BlockIndex::ZERO, 10_000).unwrap().into_iter();
    entries.map(|entry| (entry.index, lab.store.read(id, entry.index).unwrap().unwrap().digest)).collect()
}

/// The whole matrix of a command: so many cells for each operation, where there is that operation.
async fn matrix(command: &str, operations: &[(&str, usize)]) {
    let world = World::new().await;
    let mut wrong = Vec::new();
    for (operation, n_cells) in operations {
        if *operation == "DescribeSnapshots" && world.lab.services.snapshots.is_none() {
            continue;
        }
        let mut done = 0;
        for effect in EFFECTS {
            for (always, when) in [(false, "nth=1 "), (true, "")] {
                // What an operation cannot meet is refused as a plan.
                let Ok(faults) = format!("{operation} {when}{effect}").parse() else { continue };
                wrong.extend(world.cell(command, operation, effect, faults, always).await.err());
                done += 1;
            }
        }
        assert_eq!(done, *n_cells, "{operation}");
    }
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_an_export_is_right_or_fails_cleanly() {
    matrix("export", &[LIST, GET, DESCRIBE]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_a_change_in_place_is_right_or_is_finished_later() {
    // The rest is what an export asks, too.
    matrix("since", &[("ListChangedBlocks", LIST.1), GET]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_a_diff_is_right_or_fails_cleanly() {
    matrix("diff", &[("ListChangedBlocks", LIST.1), LIST, GET, DESCRIBE]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_a_show_is_right_or_fails_cleanly() {
    matrix("show", &[LIST, DESCRIBE]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_an_import_is_right_or_fails_cleanly() {
    let writing = [("StartSnapshot", 30), ("PutSnapshotBlock", 34), ("CompleteSnapshot", 30)];
    matrix("import", &[[LIST, GET, DESCRIBE].as_slice(), &writing].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misdirected_block_is_content_and_not_a_fault_of_the_transport() {
    let world = World::new().await;
    let faults = "GetSnapshotBlock block=3 body=misdirected".parse().unwrap();
    let (_running, services) =
        world.lab.beside(Config { faults, ..Config::default() }, Deadlines::default()).await;
    let dest = world.lab.path("out");
    let options = export::Options {
        snapshot_id: world.ids[1].clone(),
        dest: Some(dest.clone()),
        force: false,
        sync: false,
    };
    // Length, checksum and body agree with each other, so it is a block like any other: no fault, no second request.
    let report = export::run(&options, &services, &world.engine("misdirected")).await.unwrap();
    assert_eq!((report.requests.get, report.requests.retried), (5, 0));
    let differing: Vec<_> = compare(&world.images[1], &dest).0.iter().collect();
    // What finds it is a comparison with something else.
    assert_eq!(differing, [BlockIndex::new(3)]);
}

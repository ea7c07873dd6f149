//! The power goes, or the process is killed, at every operation of many scripts: the store has the old state then
//! or the new one, and the act that was cut off succeeds when it is done again.

use super::*;
use crate::block::Digest;
use crate::shelf::ShelfWriter;
use crate::shelf::conformance::{filled, grant};
use fastrand::Rng;
use std::collections::BTreeMap;

/// What happens to a store. Snapshots are meant by the order of their start.
#[derive(Clone, Copy, Debug)]
enum Act {
    Start(Option<usize>),
    Put(usize, u32, u8),
    Complete(usize),
    Fail(usize),
    Tag(usize, u8),
    Delete(usize),
}

#[derive(Clone, Debug, PartialEq)]
struct Expected {
    id: SnapshotId,
    state: SnapshotState,
    tag: Option<u8>,
    inherited: BTreeMap<u32, u8>,
    own: BTreeMap<u32, u8>,
}

impl Expected {
    fn view(&self) -> BTreeMap<u32, u8> {
        let mut view = self.inherited.clone();
        view.extend(&self.own);
        view
    }
}

/// The snapshots that there should be, by the order of their start; `None` once deleted.
type Model = Vec<Option<Expected>>;

/// A script in which every act is allowed.
fn script(rng: &mut Rng) -> Vec<Act> {
    let (mut acts, mut pending, mut done) = (Vec::new(), Vec::new(), Vec::new());
    let mut started = 0;
    for _ in 0..rng.usize(6..24) {
        match rng.u8(..11) {
            kind if pending.is_empty() || kind == 10 => {
                let parent = if rng.bool() { rng.choice(&done).copied() } else { None };
                acts.push(Act::Start(parent));
                pending.push(started);
                started += 1;
            }
            0..5 => acts.push(Act::Put(*rng.choice(&pending).unwrap(), rng.u32(..5), rng.u8(..6))),
            5 | 6 => {
                let number = pending.swap_remove(rng.usize(..pending.len()));
                acts.push(Act::Complete(number));
                done.push(number);
            }
            7 => acts.push(Act::Fail(pending.swap_remove(rng.usize(..pending.len())))),
            8 => acts.push(Act::Tag(*rng.choice(&pending).unwrap(), rng.u8(..9))),
            _ => {
                let among = if rng.bool() && !done.is_empty() { &mut done } else { &mut pending };
                acts.push(Act::Delete(among.swap_remove(rng.usize(..among.len()))));
            }
        }
    }
    acts
}

/// What an act makes of the snapshots.
fn expect(model: &mut Model, act: Act, started: Option<SnapshotId>) {
    let known = |number: usize| model[number].clone().unwrap();
    match act {
        Act::Start(parent) => model.push(Some(Expected {
            id: started.unwrap(),
            state: SnapshotState::Pending,
            tag: None,
            inherited: parent.map(|parent| known(parent).view()).unwrap_or_default(),
            own: BTreeMap::new(),
        })),
        Act::Put(number, index, fill) => {
            let mut put = known(number);
            put.own.insert(index, fill);
            model[number] = Some(put);
        }
        Act::Complete(number) => {
            model[number] = Some(Expected { state: SnapshotState::Completed, ..known(number) });
        }
        Act::Fail(number) => model[number] = Some(Expected { state: SnapshotState::Error, ..known(number) }),
        Act::Tag(number, tag) => model[number] = Some(Expected { tag: Some(tag), ..known(number) }),
        Act::Delete(number) => model[number] = None,
    }
}

/// Does it; gives the id of a snapshot that it started.
fn perform(writer: &StoreWriter, model: &Model, act: Act) -> Result<Option<SnapshotId>, Fault> {
    let id = |number: usize| &model[number].as_ref().unwrap().id;
    match act {
        Act::Start(parent) => return Ok(Some(writer.start(&grant(parent.map(id)))?.info.id)),
        Act::Put(number, index, fill) => writer.put(id(number), BlockIndex::new(index), block(fill))?,
        Act::Complete(number) => drop(writer.complete(id(number))?),
        Act::Fail(number) => writer.fail(id(number), "given up")?,
        Act::Tag(number, tag) => {
            writer.retag(id(number), &|tags| drop(tags.insert("t".into(), tag.to_string())))?
        }
        Act::Delete(number) => writer.delete(id(number))?,
    }
    Ok(None)
}

/// Whether the store shows exactly this. What of pending snapshots was put is not shown.
fn shows(store: &dyn Shelf, model: &Model) -> bool {
    let all: Vec<_> = model.iter().flatten().collect();
    let listed = store.list().unwrap();
    listed.len() == all.len()
        && all.iter().all(|expected| {
            let Some(found) = listed.iter().find(|shelved| shelved.info.id == expected.id) else {
                return false;
            };
            let tag = expected.tag.map(|tag| tag.to_string());
            found.info.state == expected.state
                && found.info.tags.get("t") == tag.as_ref()
                && (expected.state != SnapshotState::Completed
                    || holds(store, &expected.id, &expected.view()))
        })
}

fn holds(store: &dyn Shelf, id: &SnapshotId, blocks: &BTreeMap<u32, u8>) -> bool {
    let window = store.window(id, BlockIndex::ZERO, 100).unwrap();
    window.iter().map(|entry| entry.index.get()).eq(blocks.keys().copied())
        && blocks.iter().all(|(index, fill)| {
            let content = store.read(id, BlockIndex::new(*index)).unwrap().unwrap();
            content.bytes == block(*fill).bytes
        })
}

/// Blocks of one byte, made once.
fn block(fill: u8) -> &'static Content {
    static BLOCKS: std::sync::LazyLock<Vec<Content>> =
        std::sync::LazyLock::new(|| (0..6).map(filled).collect());
    &BLOCKS[usize::from(fill)]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    Power,
    Process,
}

/// How many changing operations the script takes.
fn operations(acts: &[Act]) -> u64 {
    let disk = memory_disk();
    let writer = StoreWriter::on(files_on(&disk), "a test").unwrap();
    let mut model = Model::new();
    for act in acts {
        let started = perform(&writer, &model, *act).unwrap();
        expect(&mut model, *act, started);
    }
    disk.done()
}

/// Runs a script until the disk stops after so many operations, looks at what is left, and runs the rest.
fn stopped_at(acts: &[Act], operations: u64, loss: Loss, seed: u64) {
    let disk = memory_disk();
    disk.fail_after(operations);
    let mut model = Model::new();
    let mut rest = acts;
    if let Ok(writer) = StoreWriter::on(files_on(&disk), "a test") {
        while let Some((act, behind)) = rest.split_first() {
            let Ok(started) = perform(&writer, &model, *act) else { break };
            expect(&mut model, *act, started);
            rest = behind;
        }
    }

    let disk = match loss {
        Loss::Power => disk.cut(seed),
        Loss::Process => disk.killed(),
    };
    final_names_are_whole(&disk);
    let writer = StoreWriter::on(files_on(&disk), "the next").expect("it opens again");
    let reader = Store::on(files_on(&disk)).expect("it opens again");
    if let Some((act, behind)) = rest.split_first() {
        let mut after = model.clone();
        let stranger = || {
            let listed = reader.list().unwrap().into_iter().map(|shelved| shelved.info.id);
            listed.into_iter().find(|id| !model.iter().flatten().any(|expected| expected.id == *id))
        };
        // A start that was cut off may have left a snapshot that nobody was told of.
        let unknown = matches!(act, Act::Start(_)).then(stranger);
        let took_effect = match unknown {
            Some(None) => false,
            Some(started) => {
                expect(&mut after, *act, started);
                assert!(shows(&reader, &after), "a start leaves the old state or the new");
                true
            }
            None => {
                expect(&mut after, *act, None);
                // An act that changes nothing to be seen, such as a put, counts as not done.
                !shows(&reader, &model) && shows(&reader, &after)
            }
        };
        if took_effect {
            model = after;
        } else {
            assert!(shows(&reader, &model), "{act:?} leaves the old state or the new");
            resume(&writer, &model, loss, Some(*act));
            let started = perform(&writer, &model, *act).expect("the second run succeeds");
            expect(&mut model, *act, started);
        }
        resume(&writer, &model, loss, None);
        for act in behind {
            let started = perform(&writer, &model, *act).expect("the rest succeeds");
            expect(&mut model, *act, started);
        }
    }
    assert!(shows(&reader, &model), "a reader from before sees everything");

    for expected in model.iter().flatten() {
        writer.delete(&expected.id).expect("delete");
    }
    let garbage: Vec<_> = disk
        .files()
        .into_iter()
        .filter(|path| !path.ends_with("clock") && path.parent() != Some(Path::new("/store")))
        .collect();
    assert!(garbage.is_empty(), "left behind: {garbage:?}");
}

/// Nothing half-done stands under a final name, whether a record names it or not.
fn final_names_are_whole(disk: &MemoryDisk) {
    let blocks = Blocks::new(files_on(disk));
    for path in disk.files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.starts_with("/store/blocks") {
            blocks.verify(&path, &name.parse().unwrap()).expect("a whole block");
        } else if path.starts_with("/store/layers") {
            let version = u64::from_str_radix(name, 16).unwrap();
            Layer::decode(version, &disk.read(&path, usize::MAX).unwrap()).expect("a whole layer");
        }
    }
}

/// A client that goes on: after a kill all it put is there, after a power cut it puts it again.
fn resume(writer: &StoreWriter, model: &Model, loss: Loss, in_doubt: Option<Act>) {
    for (number, expected) in model.iter().enumerate() {
        let Some(expected) = expected else { continue };
        if expected.state != SnapshotState::Pending {
            continue;
        }
        if loss == Loss::Power {
            for (index, fill) in &expected.own {
                writer.put(&expected.id, BlockIndex::new(*index), block(*fill)).expect("put again");
            }
        }
        let tally = |own: &BTreeMap<u32, u8>| {
            let mut linear = crate::block::LinearDigest::new();
            own.values().for_each(|fill| linear.push(&block(*fill).digest));
            (u32::try_from(own.len()).unwrap(), linear.finish())
        };
        let written = writer.written(&expected.id).expect("written");
        let mut allowed = vec![tally(&expected.own)];
        if let Some(Act::Put(put, index, fill)) = in_doubt
            && put == number
        {
            let mut own = expected.own.clone();
            own.insert(index, fill);
            allowed.push(tally(&own));
        }
        let found: (u32, Digest) = (written.blocks, written.checksum);
        assert!(allowed.contains(&found), "what was put to a pending snapshot is kept");
    }
}

/// How many scripts, and how many operations from one cut to the next: a fiftieth of everything, unless
/// ICECORE_SEEDS says how many scripts are to be cut at every operation.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment how long to run")]
fn extent() -> (u64, usize) {
    let seeds = std::env::var("ICECORE_SEEDS").ok().and_then(|count| count.parse().ok());
    seeds.map_or((20, 9), |seeds| (seeds, 1))
}

/// Stops scripts of many seeds at every operation, or at some.
fn stopped_everywhere(loss: Loss) {
    let (seeds, step) = extent();
    for seed in 0..seeds {
        let mut rng = Rng::with_seed(seed);
        let acts = script(&mut rng);
        for operations in (rng.u64(..9) % step as u64..operations(&acts)).step_by(step) {
            let cut = rng.u64(..);
            let what = std::panic::catch_unwind(|| stopped_at(&acts, operations, loss, cut));
            assert!(what.is_ok(), "seed {seed}, cut {cut} after {operations} operations of {acts:?}");
        }
    }
}

#[test]
fn a_power_cut_leaves_the_old_state_or_the_new() {
    stopped_everywhere(Loss::Power);
}

#[test]
fn a_killed_writer_leaves_the_old_state_or_the_new_and_every_put() {
    stopped_everywhere(Loss::Process);
}

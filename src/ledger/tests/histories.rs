//! Random histories of passes, partial passes, failures, wrong clocks and forged entries, held against a model that
//! knows when everything was really read.

use super::standing::*;
use super::*;
use crate::block::{BlockIndex, BlockRange, BlockSet};
use proptest::prelude::*;
use std::time::Duration;

const MINUTE: i64 = 60_000;
const BLOCKS: u32 = 96;

/// What one run does, in draws.
#[derive(Clone, Debug)]
struct Run {
    machine: usize,
    /// Minutes after the run before it began.
    gap: i64,
    lasts: i64,
    kind: u8,
    of: u32,
    is_deep: bool,
    /// Whether the machines exchange their ledgers first.
    is_synced: bool,
}

fn run() -> impl Strategy<Value = Run> {
    (0..3_usize, 0..30_i64, 0..20_i64, 0..8_u8, 0..BLOCKS, any::<bool>(), any::<bool>()).prop_map(
        |(machine, gap, lasts, kind, of, is_deep, is_synced)| Run {
            machine,
            gap,
            lasts,
            kind,
            of,
            is_deep,
            is_synced,
        },
    )
}

/// What a run really did, whatever its entry says.
struct Truth {
    began: i64,
    ended: i64,
    read: BlockSet,
    is_failure: bool,
}

fn set(ranges: &[(u32, u32)]) -> BlockSet {
    let mut set = BlockSet::new();
    ranges.iter().for_each(|(start, len)| set.insert_range(BlockRange::new(BlockIndex::new(*start), *len)));
    set
}

fn all() -> BlockSet {
    set(&[(0, BLOCKS)])
}

/// The blocks of a part of three: stripes of 16.
fn of_part(part: u32) -> BlockSet {
    set(&[(16 * (part - 1), 16), (16 * (part + 2), 16)])
}

/// The entry of a run, and what it read.
fn entry_of(run: &Run, name: usize, clock: (i64, i64)) -> (Entry, BlockSet) {
    let (started_ms, ended_ms) = clock;
    let base = Entry { run_id: format!("run-{name}"), started_ms, ended_ms, ..whole(0) };
    let base = with(base, |details| details.began_ms = started_ms);
    let base = if run.is_deep { against(base, CounterpartKind::File) } else { base };
    let part_of = run.of % 3 + 1;
    let some = [(run.of.min(BLOCKS - 7), 7)];
    match run.kind {
        0 | 1 => (base, all()),
        2 | 3 => (part(base, part_of), of_part(part_of)),
        4 => (of_blocks(base, &some), set(&some)),
        5 => (failed(base, &[(run.of, 1)]), all()),
        6 => (with(base, |details| details.resumed_on_trust = true), BlockSet::new()),
        _ => (Entry { state: "incomplete".to_owned(), ..base }, BlockSet::new()),
    }
}

/// The entries that no other names.
fn newest(entries: &[Entry]) -> Vec<&Entry> {
    let named: BTreeSet<String> =
        entries.iter().flat_map(|entry| entry.details.iter().flat_map(|of| of.known.clone())).collect();
    entries.iter().filter(|entry| !named.contains(&digest(entry).to_string())).collect()
}

/// Three machines: a right clock, one two minutes behind, and one that is far ahead or was never set.
fn played(runs: &[Run], wrong_by: i64) -> (Vec<Entry>, Vec<Truth>, i64) {
    let skews = [0, -2 * MINUTE, wrong_by];
    let mut ledgers: [Vec<Entry>; 3] = Default::default();
    let (mut entries, mut truths) = (Vec::new(), Vec::new());
    let mut now = EPOCH + 50 * DAY;
    for (name, run) in runs.iter().enumerate() {
        now += run.gap * MINUTE;
        if run.is_synced {
            ledgers.fill(entries.clone());
        }
        let (began, ended) = (now, now + run.lasts * MINUTE);
        let clock = |time: i64| (time + skews[run.machine]).max(0);
        let (entry, read) = entry_of(run, name, (clock(began), clock(ended)));
        let own = &mut ledgers[run.machine];
        let entry = after(entry, &newest(own));
        own.push(entry.clone());
        truths.push(Truth { began, ended, read, is_failure: entry.state == "fail" });
        entries.push(entry);
        now = ended;
    }
    (entries, truths, now)
}

/// Whether after every failure every block was read again and was right.
fn is_whole_since(truths: &[Truth]) -> bool {
    let last = truths.iter().filter(|run| run.is_failure).map(|run| run.ended).max().unwrap_or(i64::MIN);
    let passes = truths.iter().filter(|run| !run.is_failure && run.began >= last);
    passes.fold(BlockSet::new(), |read, run| &read | &run.read) == all()
}

proptest! {
    #![proptest_config(crate::block::tests::cases(400))]

    #[test]
    fn nothing_is_verified_without_a_whole_read_after_the_last_failure(
        runs in proptest::collection::vec(run(), 1..12), wrong_by in prop_oneof![Just(40 * DAY), Just(-EPOCH - 60 * DAY)],
    ) {
        let (entries, truths, now) = played(&runs, wrong_by);
        let verdict = judged_at(&entries, now);
        if verdict.standing == Standing::Verified {
            prop_assert!(is_whole_since(&truths), "{verdict:?}");
        }
        if verdict.standing != Standing::Failed {
            // Whatever failed was read again.
            let at = |run: usize| &truths[run];
            for (failure, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.state == "fail") {
                let blocks = set(entry.details.as_ref().unwrap().failed.as_deref().unwrap());
                let later = (0..entries.len()).filter(|run| at(*run).began >= at(failure).ended && !at(*run).is_failure);
                let read = later.fold(BlockSet::new(), |read, run| &read | &at(run).read);
                prop_assert!((&blocks - &read).is_empty(), "{verdict:?}");
            }
        }
    }

    #[test]
    fn a_whole_pass_that_knew_everything_verifies_whatever_was_before(
        runs in proptest::collection::vec(run(), 0..12), wrong_by in prop_oneof![Just(40 * DAY), Just(-EPOCH - 60 * DAY)],
    ) {
        let (mut entries, _, now) = played(&runs, wrong_by);
        let last = Run { machine: 0, gap: 1, lasts: 1, kind: 0, of: 0, is_deep: true, is_synced: true };
        let (entry, _) = entry_of(&last, runs.len(), (now + MINUTE, now + 2 * MINUTE));
        entries.push(after(entry, &newest(&entries)));
        prop_assert_eq!(judged_at(&entries, now + 3 * MINUTE).standing, Standing::Verified);
        // Nobody's order in a directory matters.
        entries.reverse();
        prop_assert_eq!(judged_at(&entries, now + 3 * MINUTE).standing, Standing::Verified);
    }

    #[test]
    fn a_failure_that_is_added_never_makes_a_snapshot_stand_better(
        runs in proptest::collection::vec(run(), 1..12), of in 0..BLOCKS,
    ) {
        let (mut entries, _, now) = played(&runs, 40 * DAY);
        let before = judged_at(&entries, now).standing;
        let fail = Run { machine: 0, gap: 0, lasts: 1, kind: 5, of, is_deep: false, is_synced: false };
        let (entry, _) = entry_of(&fail, runs.len(), (now, now + MINUTE));
        entries.push(entry);
        prop_assert_eq!(judged_at(&entries, now + MINUTE).standing, Standing::Failed);
        prop_assert!(Standing::Failed <= before);
    }

    #[test]
    fn whatever_bytes_an_entry_has_it_is_refused_or_judged(
        level in any::<u8>(), read in any::<u64>(), total in any::<u64>(), mismatches in any::<u64>(),
        started in any::<i64>(), ended in any::<i64>(), coverage in any::<f64>(), state in "pass|fail|incomplete|x",
        ranges in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..4), part in any::<u32>(), of in any::<u32>(),
    ) {
        let forged = Entry {
            level, blocks_read: read, blocks_total: total, mismatches, started_ms: started, ended_ms: ended, state,
            ..whole(90)
        };
        let forged = with(forged, |details| {
            (details.coverage, details.read, details.failed) = (coverage, Some(ranges.clone()), Some(ranges));
            (details.parts, details.parts_of, details.blocks_planned) = (vec![part], Some(of), read);
        });
        if forged.flaw().is_none() {
            let by = Judging {
                now: crate::snapshot::UnixMillis(EPOCH + 100 * DAY),
                outdated_after: Duration::MAX,
                public_keys: &[],
            };
            prop_assert!(forged.level <= 6 && forged.coverage() <= 1.0);
            let _ = judge(&records(&[forged, failed(whole(80), &[(0, 1)])]), &by);
        }
    }
}

//! What runs prove, one claim a test.

use super::*;
use crate::block::Digest;
use crate::snapshot::UnixMillis;
use std::time::Duration;

pub(super) const DAY: i64 = 86_400_000;
/// Day 0 of the tests: 13 September 2020.
pub(super) const EPOCH: i64 = 1_600_000_000_000;
/// The time at which everything is judged.
const NOW: i64 = EPOCH + 100 * DAY;

/// An entry of version 1.
fn first(day: i64, level: u8, state: &str, read: u64) -> Entry {
    Entry {
        run_id: format!("{day}"),
        level,
        state: state.to_owned(),
        blocks_total: 100,
        blocks_read: read,
        started_ms: day * DAY,
        ended_ms: day * DAY,
        ..entry(0)
    }
}

/// A whole pass of this version on this day, of 96 blocks, against nothing but checksums.
pub(super) fn whole(day: i64) -> Entry {
    let time = EPOCH + day * DAY;
    Entry {
        format: FORMAT,
        run_id: format!("run-{day}"),
        blocks_total: 96,
        blocks_read: 96,
        started_ms: time,
        ended_ms: time + 60_000,
        details: Some(Details {
            extent: "all".to_owned(),
            reads_snapshot: true,
            reference: Reference {
                kind: ReferenceKind::Snapshot,
                origin: None,
                name: None,
                map_root: None,
                content_root: None,
            },
            counterpart: None,
            blocks_planned: 96,
            blocks_resumed: 0,
            resumed_on_trust: false,
            coverage: 1.0,
            upper_bound_95: Some(0.0),
            parts: Vec::new(),
            parts_of: None,
            cycle_began_ms: None,
            read: None,
            failed: None,
            began_ms: time,
            known: Vec::new(),
            bundle: None,
            public_key: None,
        }),
        ..entry(0)
    }
}

pub(super) fn with(mut entry: Entry, change: impl FnOnce(&mut Details)) -> Entry {
    change(entry.details.as_mut().unwrap());
    entry
}

/// The same, at level 4, against something.
pub(super) fn against(entry: Entry, kind: CounterpartKind) -> Entry {
    let target = Some("target".to_owned());
    with(Entry { level: 4, target, ..entry }, |details| {
        details.counterpart = Some(Counterpart { kind, id: None })
    })
}

/// The same, of a part of six stripes' three.
pub(super) fn part(entry: Entry, part: u32) -> Entry {
    let entry = Entry { mode: "part".to_owned(), blocks_read: 32, ..entry };
    with(entry, |details| {
        details.extent = "part".to_owned();
        (details.parts, details.parts_of) = (vec![part], Some(3));
        (details.blocks_planned, details.coverage) = (32, 32.0 / 96.0);
        details.upper_bound_95 = Some(64.0 / 96.0);
    })
}

/// The same, of these blocks alone.
pub(super) fn of_blocks(entry: Entry, blocks: &[(u32, u32)]) -> Entry {
    let read = blocks.iter().map(|(_, len)| u64::from(*len)).sum();
    let entry = Entry { mode: "sample".to_owned(), blocks_read: read, ..entry };
    with(entry, |details| {
        details.extent = "sample".to_owned();
        details.read = Some(blocks.to_vec());
        (details.blocks_planned, details.coverage) = (read, read as f64 / 96.0);
        details.upper_bound_95 = Some(0.5);
    })
}

/// The same, as a failure of these blocks.
pub(super) fn failed(entry: Entry, blocks: &[(u32, u32)]) -> Entry {
    let mismatches = blocks.iter().map(|(_, len)| u64::from(*len)).sum();
    let entry = Entry { state: "fail".to_owned(), mismatches, ..entry };
    with(entry, |details| (details.failed, details.upper_bound_95) = (Some(blocks.to_vec()), None))
}

pub(super) fn digest(entry: &Entry) -> Digest {
    Digest::of(&encode(entry, None))
}

/// The same, which knew these.
pub(super) fn after(entry: Entry, known: &[&Entry]) -> Entry {
    with(entry, |details| details.known = known.iter().map(|of| digest(of).to_string()).collect())
}

pub(super) fn records(runs: &[Entry]) -> Vec<Record> {
    let record = |entry: &Entry| {
        assert_eq!(entry.flaw(), None, "{entry:?}");
        Record { path: PathBuf::new(), digests: vec![digest(entry)], entry: entry.clone() }
    };
    runs.iter().map(record).collect()
}

pub(super) fn judged_at(runs: &[Entry], now_ms: i64) -> Verdict {
    let outdated_after = Duration::from_secs(30 * 86_400);
    judge(&records(runs), &Judging { now: UnixMillis(now_ms), outdated_after, public_keys: &[] })
}

#[track_caller]
fn check(runs: &[Entry], standing: Standing, proof: Option<&str>) {
    let verdict = judged_at(runs, NOW);
    let of = verdict.proof.as_ref().map(|proof| proof.entry.run_id.as_str());
    assert_eq!((verdict.standing, of), (standing, proof), "{verdict:?}");
}

#[track_caller]
fn check_first(runs: &[(i64, u8, &str, u64)], standing: Standing, proof: Option<&str>) {
    let runs: Vec<_> =
        runs.iter().map(|(day, level, state, read)| first(*day, *level, state, *read)).collect();
    let outdated_after = Duration::from_secs(30 * 86_400);
    let by = Judging { now: UnixMillis(100 * DAY), outdated_after, public_keys: &[] };
    let verdict = judge(&records(&runs), &by);
    let of = verdict.proof.as_ref().map(|proof| proof.entry.run_id.as_str());
    assert_eq!((verdict.standing, of), (standing, proof), "{verdict:?}");
}

#[test]
fn entries_of_version_1_stay_valid() {
    use Standing::{Failed, Never, Outdated, Sampled, Verified};
    check_first(&[], Never, None);
    check_first(&[(99, 4, "incomplete", 50)], Never, None);
    check_first(&[(99, 4, "changed_since_restore", 100)], Never, None);
    check_first(&[(99, 2, "pass", 100)], Verified, Some("99"));
    check_first(&[(70, 2, "pass", 100)], Verified, Some("70"));
    check_first(&[(69, 2, "pass", 100)], Outdated, Some("69"));
    check_first(&[(60, 4, "pass", 100), (69, 2, "pass", 100)], Outdated, Some("69"));
    check_first(&[(80, 2, "pass", 100), (90, 2, "fail", 100)], Failed, Some("80"));
    check_first(&[(80, 2, "fail", 100), (90, 2, "pass", 100)], Verified, Some("90"));
    check_first(&[(20, 4, "fail", 100)], Failed, None);
    // A shallow pass does not clear a deep failure.
    check_first(&[(80, 4, "fail", 100), (90, 2, "pass", 100)], Failed, Some("90"));
    check_first(&[(80, 3, "fail", 100), (90, 4, "pass", 100)], Verified, Some("90"));
    check_first(&[(80, 2, "pass", 100), (90, 2, "incomplete", 3)], Verified, Some("80"));
    // The strongest proof that counts is shown.
    check_first(&[(80, 4, "pass", 100), (99, 2, "pass", 100)], Verified, Some("80"));
    check_first(&[(80, 2, "pass", 100), (99, 2, "pass", 10)], Verified, Some("80"));
    check_first(&[(80, 2, "pass", 100), (99, 2, "pass", 100)], Verified, Some("99"));
    // A partial one does not say enough to be more than a sample, nor to clear a failure.
    check_first(&[(50, 4, "pass", 100), (99, 2, "pass", 10)], Sampled, Some("99"));
    check_first(&[(80, 2, "fail", 100), (90, 2, "pass", 99)], Failed, Some("90"));
    let cycle = Entry { mode: "cycle".to_owned(), ..first(99, 2, "pass", 100) };
    check(&[cycle], Outdated, Some("99"));
}

#[test]
fn only_a_run_that_read_everything_verifies() {
    check(&[whole(90)], Standing::Verified, Some("run-90"));
    check(&[part(whole(90), 1)], Standing::Sampled, Some("run-90"));
    check(&[of_blocks(whole(90), &[(0, 9)])], Standing::Sampled, Some("run-90"));
    check(&[part(whole(60), 1)], Standing::Outdated, Some("run-60"));
    // The whole pass is too long ago, the sample is not.
    check(&[whole(60), part(whole(90), 1)], Standing::Sampled, Some("run-90"));
    let on_trust = with(whole(90), |details| details.resumed_on_trust = true);
    check(&[on_trust], Standing::Sampled, Some("run-90"));
}

#[test]
fn a_run_that_read_nothing_counts_for_nothing() {
    let nothing = with(Entry { blocks_read: 0, ..whole(90) }, |details| {
        (details.blocks_planned, details.coverage) = (0, 0.0);
        details.extent = "nothing".to_owned();
    });
    check(std::slice::from_ref(&nothing), Standing::Never, None);
    check(&[failed(whole(80), &[(0, 1)]), nothing.clone()], Standing::Failed, None);
    check(&[nothing, whole(80)], Standing::Verified, Some("run-80"));
    let empty =
        with(Entry { blocks_total: 0, blocks_read: 0, ..whole(90) }, |details| details.blocks_planned = 0);
    check(&[empty], Standing::Never, None);
}

#[test]
fn a_sample_is_shown_with_its_bound() {
    let proof = |runs: &[Entry]| judged_at(runs, NOW).proof.unwrap();
    assert_eq!(proof(&[of_blocks(whole(90), &[(0, 9)])]).upper_bound_95, 0.5);
    assert_eq!(proof(&[whole(90)]).upper_bound_95, 0.0);
    let parts = proof(&[part(whole(90), 1), part(whole(91), 3)]);
    assert_eq!((parts.runs, parts.coverage(), parts.is_complete), (2, 64.0 / 96.0, false));
    assert!((parts.upper_bound_95 - 32.0 / 96.0).abs() < 1e-9);
}

#[test]
fn parts_of_one_content_together_verify() {
    let parts = [part(whole(90), 1), part(whole(91), 3), part(whole(92), 2)];
    check(&parts, Standing::Verified, Some("run-92"));
    let proof = judged_at(&parts, NOW).proof.unwrap();
    assert_eq!((proof.runs, proof.since_ms), (3, EPOCH + 90 * DAY + 60_000), "as old as the oldest of them");
    // The oldest is too long ago.
    check(&[part(whole(60), 1), part(whole(91), 3), part(whole(92), 2)], Standing::Sampled, Some("run-92"));
    // Not of one kind of target, not of one number of parts, not of one manifest.
    let file = |entry| against(entry, CounterpartKind::File);
    let device = |entry| against(entry, CounterpartKind::Device);
    let mixed = [file(part(whole(90), 1)), file(part(whole(91), 2)), device(part(whole(92), 3))];
    assert_eq!(judged_at(&mixed, NOW).standing, Standing::Sampled);
    let halves = with(part(whole(92), 2), |details| details.parts_of = Some(2));
    assert_eq!(judged_at(&[parts[0].clone(), parts[1].clone(), halves], NOW).standing, Standing::Sampled);
    let by = |entry, root: &str| {
        let root = Digest::of(root.as_bytes()).to_string();
        with(entry, |details| {
            details.reads_snapshot = false;
            details.reference.kind = ReferenceKind::Manifest;
            details.reference.content_root = Some(root);
        })
    };
    let of = |roots: [&str; 3]| {
        let parts = [(90, 1, roots[0]), (91, 2, roots[1]), (92, 3, roots[2])];
        parts.map(|(day, nth, root)| by(file(part(whole(day), nth)), root))
    };
    assert_eq!(judged_at(&of(["a", "a", "a"]), NOW).standing, Standing::Verified);
    assert_eq!(judged_at(&of(["a", "a", "b"]), NOW).standing, Standing::Sampled);
}

#[test]
fn a_part_without_blocks_needs_no_run() {
    let small = |day, nth, read: u64| {
        with(part(Entry { blocks_total: 20, ..whole(day) }, nth), |details| {
            (details.blocks_planned, details.coverage) = (read, read as f64 / 20.0);
        })
    };
    let runs = [Entry { blocks_read: 16, ..small(90, 1, 16) }, Entry { blocks_read: 4, ..small(91, 2, 4) }];
    assert_eq!(judged_at(&runs, NOW).standing, Standing::Verified);
    assert_eq!(judged_at(&runs[..1], NOW).standing, Standing::Sampled);
}

#[test]
fn a_complete_cycle_counts_from_its_beginning() {
    let cycle = |began: i64| {
        with(part(whole(95), 3), |details| {
            details.extent = "completed_cycle".to_owned();
            details.cycle_began_ms = Some(EPOCH + began * DAY);
        })
    };
    check(&[cycle(80)], Standing::Verified, Some("run-95"));
    check(&[cycle(69)], Standing::Sampled, Some("run-95"));
    // What failed after its beginning may have been read before.
    check(&[failed(whole(85), &[(1, 1)]), cycle(80)], Standing::Failed, Some("run-95"));
    check(&[failed(whole(79), &[(1, 1)]), cycle(80)], Standing::Verified, Some("run-95"));
}

#[test]
fn a_failure_is_cleared_by_what_read_the_failed_blocks_and_verified_by_what_read_all() {
    let fail = failed(whole(80), &[(17, 2)]);
    check(&[fail.clone(), whole(90)], Standing::Verified, Some("run-90"));
    check(&[fail.clone(), part(whole(90), 2)], Standing::Sampled, Some("run-90"));
    check(&[fail.clone(), part(whole(90), 1)], Standing::Failed, Some("run-90"));
    check(&[fail.clone(), of_blocks(whole(90), &[(0, 4), (16, 3)])], Standing::Sampled, Some("run-90"));
    check(&[fail.clone(), of_blocks(whole(90), &[(0, 4), (16, 2)])], Standing::Failed, Some("run-90"));
    let parts = [part(whole(90), 1), part(whole(91), 2), part(whole(92), 3)];
    check(&[vec![fail.clone()], parts.to_vec()].concat(), Standing::Verified, Some("run-92"));
    // A whole pass before the failure does not count any more, cleared or not.
    check(&[whole(79), fail.clone(), part(whole(90), 2)], Standing::Sampled, Some("run-90"));
    // More failed than is listed, or nothing that is a block: everything has to be read.
    let unlisted = with(failed(whole(80), &[(17, 2)]), |details| details.failed = None);
    check(&[unlisted.clone(), part(whole(90), 2)], Standing::Failed, Some("run-90"));
    check(&[unlisted, whole(90)], Standing::Verified, Some("run-90"));
    check(&[failed(whole(80), &[]), part(whole(90), 2)], Standing::Failed, Some("run-90"));
    let on_trust = with(whole(90), |details| details.resumed_on_trust = true);
    check(&[fail, on_trust], Standing::Failed, Some("run-90"));
}

#[test]
fn a_failure_is_cleared_by_the_same_kind_of_target_and_no_shallower_level() {
    use CounterpartKind::{Device, File, Snapshot};
    let fail = failed(against(whole(80), Device), &[(17, 2)]);
    check(&[fail.clone(), against(whole(90), Device)], Standing::Verified, Some("run-90"));
    check(&[fail.clone(), against(whole(90), File)], Standing::Failed, Some("run-90"));
    check(&[fail.clone(), whole(90)], Standing::Failed, Some("run-90"));
    let deeper = Entry { level: 5, ..against(whole(90), Device) };
    check(&[fail.clone(), deeper.clone()], Standing::Verified, Some("run-90"));
    let deep = Entry { level: 5, ..fail };
    check(&[deep, against(whole(90), Device)], Standing::Failed, Some("run-90"));
    // What failed by itself is right where anything is held against it.
    check(&[failed(whole(80), &[(17, 2)]), deeper], Standing::Verified, Some("run-90"));
    let copy = |entry| Entry { level: 3, ..against(entry, Snapshot) };
    check(&[failed(copy(whole(80)), &[(1, 1)]), copy(whole(90))], Standing::Verified, Some("run-90"));
    // A manifest alone does not show that the snapshot is right.
    let by_manifest = with(against(whole(90), Device), |details| {
        details.reads_snapshot = false;
        details.reference.kind = ReferenceKind::Manifest;
        details.reference.content_root = Some(Digest::of(b"m").to_string());
    });
    check(&[failed(whole(80), &[(17, 2)]), by_manifest], Standing::Failed, Some("run-90"));
}

#[test]
fn a_failure_against_a_manifest_is_not_cleared_by_another_manifest() {
    let by = |entry: Entry, root: &[u8]| {
        let root = Digest::of(root).to_string();
        with(Entry { level: 3, ..entry }, |details| {
            details.reference.kind = ReferenceKind::Manifest;
            details.reference.origin = Some(ReferenceOrigin::EarlierRead);
            details.reference.content_root = Some(root);
        })
    };
    let fail = failed(by(whole(80), b"monday"), &[(17, 2)]);
    check(&[fail.clone(), by(whole(90), b"tuesday")], Standing::Failed, Some("run-90"));
    check(&[fail, by(whole(90), b"monday")], Standing::Verified, Some("run-90"));
}

#[test]
fn a_manifest_that_is_not_of_the_snapshot_proves_nothing() {
    let root = |text: &str| Some(Digest::of(text.as_bytes()).to_string());
    let read = with(whole(60), |details| details.reference.content_root = root("as read"));
    let by = |text: &str| {
        with(against(whole(90), CounterpartKind::File), |details| {
            details.reads_snapshot = false;
            details.reference.kind = ReferenceKind::Manifest;
            details.reference.content_root = root(text);
        })
    };
    check(&[read.clone(), by("as read")], Standing::Verified, Some("run-90"));
    let verdict = judged_at(&[read, by("forged")], NOW);
    assert_eq!((verdict.standing, verdict.contradicted), (Standing::Outdated, vec![1]));
}

#[test]
fn a_pass_dated_ahead_proves_and_clears_nothing_and_a_failure_counts() {
    let ahead = whole(101);
    check(std::slice::from_ref(&ahead), Standing::Never, None);
    assert_eq!(judged_at(std::slice::from_ref(&ahead), NOW).dated_ahead, [0]);
    check(&[whole(90), ahead.clone()], Standing::Verified, Some("run-90"));
    check(&[failed(whole(90), &[(0, 1)]), ahead.clone()], Standing::Failed, None);
    let fail = failed(ahead, &[(0, 1)]);
    check(&[whole(90), fail.clone()], Standing::Failed, Some("run-90"));
    assert_eq!(judged_at(&[whole(90), fail.clone()], NOW).dated_ahead, [1]);
    // One that knew it came after it, whatever the clocks say.
    check(&[fail.clone(), after(whole(90), &[&fail])], Standing::Verified, Some("run-90"));
    // Five minutes are nothing.
    let soon = |ms: i64| judged_at(&[whole(100)], NOW + 60_000 - ms).standing;
    assert_eq!((soon(300_000), soon(300_001)), (Standing::Verified, Standing::Never));
}

#[test]
fn runs_are_ordered_by_what_they_knew_before_their_clocks() {
    let fail = failed(whole(95), &[(0, 1)]);
    // A clock that was put back.
    check(&[fail.clone(), after(whole(90), &[&fail])], Standing::Verified, Some("run-90"));
    // A failure that knew the pass came after it.
    let pass = whole(90);
    check(&[after(failed(whole(80), &[(0, 1)]), &[&pass]), pass.clone()], Standing::Failed, Some("run-90"));
    // Over an entry between them.
    let between = after(part(whole(85), 1), &[&pass]);
    let last = after(failed(whole(80), &[(0, 1)]), &[&between]);
    check(&[pass, between, last], Standing::Failed, Some("run-90"));
}

#[test]
fn where_two_runs_cannot_be_ordered_the_failure_wins() {
    let at = |entry: Entry, ms: i64| {
        let (started_ms, ended_ms) = (entry.started_ms + ms, entry.ended_ms + ms);
        with(Entry { started_ms, ended_ms, ..entry }, |details| details.began_ms += ms)
    };
    let fail = failed(whole(80), &[(0, 1)]);
    // The pass begins a minute, and 300 seconds and a bit, after the failure has ended.
    for (ms, standing) in [(120_000, Standing::Failed), (360_001, Standing::Verified)] {
        let pass = Entry { run_id: "pass".to_owned(), ..at(whole(80), ms) };
        assert_eq!(judged_at(&[fail.clone(), pass], NOW).standing, standing, "{ms}");
    }
    // It began before and ended after.
    let long = with(whole(79), |_| {});
    let long = Entry { ended_ms: EPOCH + 90 * DAY, ..long };
    assert_eq!(judged_at(&[fail.clone(), long], NOW).standing, Standing::Failed);
    // It goes on with what was read before.
    let resumed = with(whole(90), |details| details.began_ms = EPOCH + 79 * DAY);
    assert_eq!(judged_at(&[fail, resumed], NOW).standing, Standing::Failed);
    // A clock that was never set, or that contradicts what its run knew, orders nothing.
    let unset = Entry { started_ms: 0, ended_ms: 60_000, ..failed(whole(80), &[(0, 1)]) };
    let unset = with(unset, |details| details.began_ms = 0);
    assert_eq!(judged_at(&[unset, whole(90)], NOW).standing, Standing::Failed);
    let newer = part(whole(95), 1);
    let behind = after(failed(whole(80), &[(0, 1)]), &[&newer]);
    assert_eq!(judged_at(&[newer, behind, whole(90)], NOW).standing, Standing::Failed);
}

#[test]
fn only_signed_entries_prove_where_a_key_is_given_and_failures_need_no_signature() {
    let signed = |entry: Entry, key: &str| {
        let entry = with(entry, |details| details.public_key = Some(key.to_owned()));
        Entry { signature: Some("00".to_owned()), ..entry }
    };
    let (ours, theirs) = ("ab".repeat(32), "cd".repeat(32));
    let by = |runs: &[Entry]| {
        let public_keys = [ours.clone()];
        let outdated_after = Duration::from_secs(30 * 86_400);
        judge(&records(runs), &Judging { now: UnixMillis(NOW), outdated_after, public_keys: &public_keys })
            .standing
    };
    assert_eq!(by(&[whole(90)]), Standing::Never);
    assert_eq!(by(&[signed(whole(90), &theirs)]), Standing::Never);
    assert_eq!(by(&[signed(whole(90), &ours)]), Standing::Verified);
    assert_eq!(by(&[signed(whole(90), &ours), failed(whole(95), &[(0, 1)])]), Standing::Failed);
    assert_eq!(by(&[failed(whole(80), &[(0, 1)]), whole(90)]), Standing::Failed);
    assert_eq!(by(&[failed(whole(80), &[(0, 1)]), signed(whole(90), &ours)]), Standing::Verified);
    assert_eq!(
        judged_at(&[signed(whole(90), &theirs)], NOW).standing,
        Standing::Verified,
        "no key is asked for"
    );
}

#[test]
fn what_no_run_can_have_written_is_refused() {
    let is_refused = |entry: &Entry| entry.flaw().is_some();
    assert!(!is_refused(&whole(1)) && !is_refused(&first(1, 4, "pass", 100)));
    let base = || first(1, 2, "pass", 100);
    let bad = [
        Entry { level: 255, ..base() },
        Entry { level: 7, ..base() },
        Entry { state: "passed".to_owned(), ..base() },
        Entry { blocks_read: u64::MAX, ..base() },
        Entry { blocks_read: 101, ..base() },
        Entry { mismatches: 1, ..base() },
        Entry { mismatches: 101, state: "fail".to_owned(), ..base() },
        Entry { ended_ms: DAY - 1, ..base() },
        Entry { started_ms: i64::MIN, ..base() },
        Entry { started_ms: 0, ended_ms: i64::MAX, ..base() },
        Entry { snapshot_id: "everything".to_owned(), ..base() },
        Entry { run_id: String::new(), ..base() },
        Entry { target: Some("x".repeat(9000)), ..base() },
        Entry { format: 2, ..base() },
        Entry { format: 0, ..base() },
        Entry { format: 3, ..whole(1) },
        Entry { format: 1, ..whole(1) },
        Entry { level: 4, ..whole(1) },
        Entry { level: 3, ..whole(1) },
        Entry { blocks_read: 95, ..whole(1) },
        Entry { signature: Some("00".repeat(64)), ..whole(1) },
        against(whole(1), CounterpartKind::Snapshot),
        with(whole(1), |of| of.coverage = 1e19),
        with(whole(1), |of| of.coverage = -0.5),
        with(whole(1), |of| of.upper_bound_95 = Some(1.5)),
        with(whole(1), |of| of.blocks_planned = 97),
        with(whole(1), |of| of.blocks_resumed = 97),
        with(whole(1), |of| of.began_ms = EPOCH + 2 * DAY),
        with(whole(1), |of| of.known = vec!["x".to_owned()]),
        with(whole(1), |of| of.known = vec!["ab".repeat(32); MAX_KNOWN + 1]),
        with(whole(1), |of| of.reference.content_root = Some("x".to_owned())),
        with(whole(1), |of| of.public_key = Some("ab".repeat(32))),
        with(whole(1), |of| of.bundle = Some(Bundle { number: 0, sha256: "ab".repeat(32) })),
        with(part(whole(1), 1), |of| of.parts = vec![4]),
        with(part(whole(1), 1), |of| of.parts = vec![2, 1]),
        with(part(whole(1), 1), |of| of.parts_of = None),
        of_blocks(whole(1), &[(5, 2), (6, 2)]),
        of_blocks(whole(1), &[(u32::MAX, 2)]),
        with(of_blocks(whole(1), &[(0, 2)]), |of| of.read = Some(vec![(0, 3)])),
        with(failed(whole(1), &[(0, 2)]), |of| of.failed = Some(vec![(0, 3)])),
        with(whole(1), |of| of.read = Some((0..=1024).map(|at| (2 * at, 1)).collect())),
    ];
    for (nth, entry) in bad.iter().enumerate() {
        assert!(is_refused(entry), "{nth}: {entry:?}");
    }
}

//! `verify`: of each state one, and a job of several.

use super::{REQUESTS, check, gib, id, info, set};
use icecore::block::{BlockIndex, BlockSet, ByteSize, Digest, Geometry};
use icecore::cost::Usd;
use icecore::device::{
    Condition, Consistency, Content, DiskPartition, FileSystem, FileSystemKind, Layout, PartitionName,
    PartitionType,
};
use icecore::fault::Kind;
use icecore::ops::verify::{
    self, Baseline, Budget, Class, Coverage, Exception, Finding, Item, Job, Level, Mismatch, Mode, Newer,
    Origin, Outcome, Rule, State, Subject, SubjectKind, Target, TargetKind,
};
use icecore::render::{Format, Render};
use icecore::snapshot::{SnapshotInfo, SnapshotState, StorageTier, UnixMillis};
use std::time::Duration;

fn root() -> DiskPartition {
    let system = FileSystem {
        kind: FileSystemKind::Ext,
        offset: 1 << 20,
        size: ByteSize::from_mib(8_190),
        uuid: [7; 16],
        label: Some("cloudimg-rootfs".into()),
        mounted: Some(UnixMillis(1_690_000_000_000)),
        written: Some(UnixMillis(1_690_000_500_000)),
        sequence: None,
        consistency: Consistency::Clean,
    };
    DiskPartition {
        name: PartitionName::Number(1),
        offset: system.offset,
        size: system.size,
        kind: Some(PartitionType::Mbr(0x83)),
        label: None,
        content: Content::FileSystem(system),
        condition: Condition::Clean,
        why: None,
    }
}

/// Partitions of each condition, as level 5 shows them.
fn partitions() -> Vec<DiskPartition> {
    let partition = |number, content, condition, why: Option<&str>| DiskPartition {
        name: PartitionName::Number(number),
        content,
        condition,
        why: why.map(str::to_owned),
        ..root()
    };
    let volume = Content::PhysicalVolume {
        uuid: "JtFhjP-Umz5-1kzu-aWUl-TXW7-qV1u-Rpg2ZK".into(),
        group: Some(("data".into(), "0Z1kqe-ABCD".into())),
    };
    let unread = Some("the logical volumes in it are not examined");
    vec![
        root(),
        partition(2, volume.clone(), Condition::NotLookedAt, unread),
        partition(3, Content::Zeros, Condition::NothingToCheck, None),
        partition(5, volume, Condition::NotLookedAt, unread),
    ]
}

pub(super) fn verified() -> verify::Report {
    verify::Report {
        run_id: "0123456789abcdef0123456789abcdef".into(),
        place: "us-east-1 as default".into(),
        started: UnixMillis(1_700_000_000_000),
        ended: UnixMillis(1_700_000_075_250),
        elapsed: Duration::from_millis(75_250),
        subject: Subject {
            name: id(1).to_string(),
            kind: SubjectKind::Snapshot,
            snapshot_id: Some(id(1)),
            geometry: Geometry::ebs(gib(8)),
            info: Some(info(1)),
            blocks: Some(3_072),
        },
        target: Some(Target {
            name: "/dev/nvme1n1".into(),
            place: None,
            kind: TargetKind::Device,
            size: ByteSize::from_mib(10_240),
            tail: ByteSize::from_mib(2_048),
            short_by: ByteSize::ZERO,
            volume_id: Some("vol-0123456789abcdef0".parse().unwrap()),
            layout: Layout { partitions: vec![root()], ..Layout::default() },
            allow_unchecked: Vec::new(),
        }),
        baseline: None,
        level: Level::Restored,
        mode: Mode::default(),
        cycle: None,
        coverage: Coverage {
            total: 3_072,
            planned: 3_072,
            read: 3_072,
            resumed: 0,
            unverifiable: 13_312,
            audited: 0,
            unchanged: 0,
        },
        upper_bound_95: Some(0.0),
        mismatches: Default::default(),
        unreadable: BlockSet::new(),
        exceptions: Vec::new(),
        stopped_by: None,
        map_root: Some(Digest::of(b"map")),
        content_root: Some(Digest::of(b"content")),
        remarks: Vec::new(),
        requests: REQUESTS,
        usd: Some(Usd::from_nanos(9_217_800)),
        usd_estimated: Some(Usd::from_nanos(9_218_400)),
        drift: None,
        findings: Vec::new(),
        allows_empty: false,
    }
}

#[test]
fn verify_of_a_restored_volume() {
    check("verify", &verified());
}

#[test]
fn verify_of_file_systems_that_are_clean_unclean_and_not_looked_at() {
    let target = |partitions, allowed: &[u32]| Target {
        layout: Layout { partitions, ..Layout::default() },
        allow_unchecked: allowed.iter().map(|number| PartitionName::Number(*number)).collect(),
        ..verified().target.unwrap()
    };
    let report = |target: Target| verify::Report {
        level: Level::FileSystem,
        remarks: Vec::new(),
        target: Some(target),
        ..verified()
    };
    check("verify-unlooked", &report(target(partitions(), &[5])));
    assert_eq!(report(target(partitions(), &[5])).state(), State::Incomplete);
    assert_eq!(report(target(partitions(), &[2, 5])).state(), State::Pass);
    let mut dirty = partitions();
    dirty[0].condition = Condition::Dirty;
    assert_eq!(report(target(dirty, &[1, 2, 5])).state(), State::Fail, "what is unclean cannot be allowed");
    let nothing = partitions().split_off(2)[..1].to_vec();
    assert_eq!(report(target(nothing, &[])).state(), State::Incomplete, "nothing was looked at");
}

#[test]
fn verify_that_finds_damage_of_every_class() {
    let wrong = |index: u32, class: Class| Mismatch {
        index: BlockIndex::new(index),
        expected: (class != Class::Unexpected).then(|| Digest::of(&index.to_le_bytes())),
        actual: (!matches!(class, Class::Missing | Class::Transport)).then(|| Digest::of(&[])),
        class,
        is_persistent: Some(index != 9),
        is_explained: false,
    };
    let mut mismatches: Vec<_> = (100..140).map(|index| wrong(index * 2, Class::Content)).collect();
    mismatches.splice(
        0..0,
        [
            wrong(0, Class::Content),
            wrong(1, Class::Content),
            wrong(9, Class::Misdirected(BlockIndex::new(10))),
            wrong(20, Class::Stale),
            wrong(30, Class::Zeros),
            wrong(40, Class::Missing),
            wrong(50, Class::Unexpected),
            wrong(60, Class::Transport),
        ],
    );
    let mismatches = mismatches.into_iter().collect();
    let report = verify::Report { mismatches, upper_bound_95: None, ..verified() };
    check("verify-fail", &report);
    let text = text(&report);
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(text.lines().count() <= 25 && widest <= Some(80), "a result fits a screen:\n{text}");
}

#[test]
fn verify_of_a_sample_against_a_first_read() {
    let mode = Mode { sample: Some("99%/0.1%".parse().unwrap()), seed: Some(42), ..Mode::default() };
    let baseline = Baseline {
        name: "/srv/manifests/monday".into(),
        origin: Origin::EarlierRead,
        map_root: Some(Digest::of(b"map")),
        content_root: Some(Digest::of(b"content")),
    };
    let coverage = Coverage { planned: 2_300, read: 2_300, unverifiable: 0, ..verified().coverage };
    let report = verify::Report {
        mode,
        coverage,
        baseline: Some(baseline),
        target: None,
        level: Level::Content,
        upper_bound_95: Some(0.000_65),
        map_root: None,
        content_root: None,
        ..verified()
    };
    check("verify-sample", &report);
}

pub(super) fn stopped() -> verify::Report {
    verify::Report {
        coverage: Coverage { read: 1_000, resumed: 400, ..verified().coverage },
        upper_bound_95: None,
        unreadable: set(&[(5, 2)]),
        exceptions: vec![Exception {
            kind: Kind::Local,
            what: "/dev/nvme1n1: cannot read at byte 2621440: input/output error".into(),
        }],
        stopped_by: Some(Budget::Deadline),
        map_root: None,
        content_root: None,
        remarks: vec!["400 of the blocks were read by an earlier run that was interrupted.".into()],
        ..verified()
    }
}

#[test]
fn verify_that_was_stopped() {
    check("verify-incomplete", &stopped());
}

fn content(index: u32, is_explained: bool) -> Mismatch {
    Mismatch {
        index: BlockIndex::new(index),
        expected: Some(Digest::of(b"before")),
        actual: Some(Digest::of(b"after")),
        class: Class::Content,
        is_persistent: Some(true),
        is_explained,
    }
}

#[test]
fn verify_of_a_volume_that_was_mounted() {
    let mismatches = [2, 3, 700].map(|index| content(index, true)).into_iter().collect();
    check("verify-changed", &verify::Report { mismatches, upper_bound_95: None, ..verified() });
}

#[test]
fn damage_that_no_mount_explains_is_shown_before_what_one_does() {
    let mounted = (0..100).map(|index| content(index * 2, true));
    let damaged = [content(200, true), content(201, false), content(202, false), content(203, true)];
    let mismatches = mounted.chain(damaged).collect();
    let text = text(&verify::Report { mismatches, upper_bound_95: None, ..verified() });
    let (_, list) = text.split_once("BLOCKS").unwrap();
    let lines: Vec<_> = list.lines().skip(1).map(|line| line.split("  ").nth(1).unwrap()).collect();
    assert_eq!(
        lines,
        ["201-202", "0", "2", "4", "6", "8", "10", ".. and 96 more runs; --format json lists every block"]
    );
    assert!(text.contains("102 in a file system mounted since"), "{text}");
    assert_eq!(list.matches("content, mounted").count(), 6, "{text}");
}

fn text(report: &verify::Report) -> String {
    let mut text = Vec::new();
    verify::Report::printer(Format::Text).unwrap()(report, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn verify_of_several_as_one_job() {
    let item = |name: &str, outcome| Item::of(name.to_owned(), outcome);
    let failed = Exception { kind: Kind::NotFound, what: "snap-00: does not exist".into() };
    let items = vec![
        item(id(1).as_str(), Outcome::Done(verified())),
        item("snap-00", Outcome::Failed(failed)),
        item("a.manifest /dev/nvme2n1", Outcome::Done(stopped())),
        item("snap-01", Outcome::Skipped(Budget::Usd)),
        Item {
            taken: Some(UnixMillis(1_699_900_000_000)),
            findings: vec![Finding {
                rule: Rule::NewestInError,
                resource: id(4).to_string(),
                what: "the newest snapshot of vol-0a is in state error, taken 27h46m ago".into(),
                fix: "take a new snapshot, and find out why this one failed",
            }],
            ..item(
                id(4).as_str(),
                Outcome::Failed(Exception {
                    kind: Kind::NotReadable,
                    what: format!("{}: the snapshot is in state error", id(4)),
                }),
            )
        },
    ];
    let pending = SnapshotInfo { state: SnapshotState::Pending, ..info(5) };
    let archived = SnapshotInfo { tier: StorageTier::Archive, ..info(6) };
    let newer = |info, minutes: u64| Newer { info, age: Duration::from_secs(60 * minutes) };
    let job = Job {
        items,
        newer: vec![newer(pending, 12), newer(archived, 3_000)],
        started: UnixMillis(1_700_000_000_000),
        ended: UnixMillis(1_700_000_175_250),
        elapsed: Duration::from_millis(175_250),
    };
    check("verify-job", &job);
}

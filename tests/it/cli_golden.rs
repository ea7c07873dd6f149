//! Fixed reports in every format that suits them.

use crate::cli::{golden, one_object};
use icecore::block::{BlockIndex, BlockRange, BlockSet, ByteSize, Digest, Geometry, GiB};
use icecore::cost::Usd;
use icecore::delta::{Churn, Delta};
use icecore::fault::Kind;
use icecore::manifest::Roots;
use icecore::ops::verify::{
    Baseline, Budget, Class, Coverage, Exception, Item, Job, Level, Mismatch, Mode, Origin, Outcome, Subject,
    SubjectKind, Target, TargetKind,
};
use icecore::ops::warm::{self, Latencies, Ordered, Proof, Skip};
use icecore::ops::{blocks, diff, export, import, list, manifest, show, store_check, verify};
use icecore::pipeline::Requests;
use icecore::render::{Format, Render};
use icecore::snapshot::{SnapshotId, SnapshotInfo, SnapshotState, StorageTier, UnixMillis};
use icecore::store::{CheckReport, Damage, Hurt, Part};
use std::time::Duration;

pub(crate) const REQUESTS: Requests =
    Requests { list: 3, get: 40, put: 0, control: 1, throttled: 2, retried: 4 };

pub(crate) fn id(n: u32) -> SnapshotId {
    format!("snap-0{n:016x}").parse().unwrap()
}

fn gib(n: i64) -> GiB {
    GiB::try_from(n).unwrap()
}

fn set(ranges: &[(u32, u32)]) -> BlockSet {
    let mut set = BlockSet::new();
    ranges.iter().for_each(|(start, len)| set.insert_range(BlockRange::new(BlockIndex::new(*start), *len)));
    set
}

pub(crate) fn info(n: u32) -> SnapshotInfo {
    SnapshotInfo {
        id: id(n),
        volume_id: Some("vol-0123456789abcdef0".parse().unwrap()),
        owner_id: "123456789012".into(),
        state: SnapshotState::Completed,
        state_message: None,
        start_time: UnixMillis(1_700_000_000_123 + 86_400_000 * i64::from(n)),
        volume_size: gib(8),
        encrypted: false,
        kms_key_id: None,
        description: String::new(),
        tags: [("Name".to_owned(), format!("daily-{n}"))].into(),
        tier: StorageTier::Standard,
        full_size: Some(ByteSize::from_mib(1_536)),
        parent: None,
        lineage: None,
    }
}

/// Shows the report in every format there is; those that do not suit it must not have a golden file either.
#[track_caller]
pub(crate) fn check<R: Render>(name: &str, report: &R) {
    for format in Format::ALL {
        let file = format!("{name}.{format}");
        let Some(printer) = R::printer(format) else { continue };
        let mut out = Vec::new();
        printer(report, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        if format == Format::Json {
            let value = one_object(&text);
            let schema = value["schema"].as_str().unwrap();
            assert!(format!("icecore/{name}").starts_with(schema.strip_suffix("/1").unwrap()), "{schema}");
        }
        if matches!(format, Format::Jsonl | Format::Cbt) {
            text.lines().for_each(|line| assert!(serde_json::from_str::<serde_json::Value>(line).is_ok()));
        }
        // CSV carries the bytes as they are: it is for programs.
        let shown = format != Format::Csv;
        assert!(!shown || text.chars().all(|c| c == '\n' || !c.is_control()), "{file} could move a cursor");
        golden(&file, &text);
    }
}

#[test]
fn list_of_two_related_and_one_strange_snapshot() {
    let mut child = info(2);
    child.parent = Some(id(1));
    let mut strange = info(3);
    strange.volume_id = None;
    strange.state = SnapshotState::Pending;
    strange.tier = StorageTier::Archive;
    strange.encrypted = true;
    strange.kms_key_id = Some("arn:aws:kms:eu-west-1:123456789012:key/1".into());
    strange.full_size = None;
    strange.description = "tab\there".into();
    strange.tags = [("Name".to_owned(), "evil\x1b[2Jname, \"quoted\"".to_owned())].into();
    let rows = [(info(1), None, 1), (child, Some(id(1)), 1), (strange, None, 2)];
    let snapshots = rows.map(|(info, parent, lineage)| list::Row { info, parent, lineage }).into();
    check("list", &list::Report { snapshots, requests: REQUESTS });
}

#[test]
fn list_of_nothing() {
    check("list-empty", &list::Report { snapshots: Vec::new(), requests: REQUESTS });
}

#[test]
fn show_of_a_volume_with_everything_told() {
    let mut told = info(1);
    told.description = "before the\nupgrade".into();
    told.parent = Some(id(7));
    told.tags.insert("team".into(), "storage".into());
    let allocated = set(&[(0, 700), (1024, 4096), (9000, 1), (16_383, 1)]);
    let geometry = Geometry::ebs(gib(8));
    let report =
        show::Report { snapshot_id: id(1), geometry, allocated, info: Some(told), requests: REQUESTS };
    check("show", &report);
}

#[test]
fn show_of_an_empty_volume_nobody_tells_of() {
    let geometry = Geometry::ebs(gib(1));
    let report = show::Report {
        snapshot_id: id(1),
        geometry,
        allocated: BlockSet::new(),
        info: None,
        requests: REQUESTS,
    };
    check("show-empty", &report);
}

#[test]
fn blocks_of_three_runs() {
    let blocks = set(&[(0, 2), (5, 1), (2046, 2)]);
    let geometry = Geometry::ebs(gib(1));
    check("blocks", &blocks::Report { snapshot_id: id(1), geometry, blocks, requests: REQUESTS });
}

fn step(n: u32, identical: Option<u64>) -> diff::Step {
    let delta = Delta {
        only_in_first: set(&[(10, 2)]),
        only_in_second: set(&[(100, 40), (500 + n, 1)]),
        in_both: set(&[(0, 3), (12, 1)]),
    };
    diff::Step { first: id(n), second: id(n + 1), volume_size: Some(gib(1)), delta, identical }
}

#[test]
fn diff_of_two_snapshots() {
    let report = diff::Report { steps: vec![step(1, Some(1))], churn: Vec::new(), requests: REQUESTS };
    check("diff", &report);
}

#[test]
fn diff_without_any_change() {
    let same = diff::Step {
        first: id(1),
        second: id(2),
        volume_size: None,
        delta: Delta::default(),
        identical: None,
    };
    check("diff-same", &diff::Report { steps: vec![same], churn: Vec::new(), requests: REQUESTS });
}

#[test]
fn diff_of_many_small_runs_is_cut_for_people_and_whole_for_programs() {
    let mut scattered = step(1, None);
    scattered.delta.in_both = (0..40).map(|n| BlockIndex::new(1000 + 2 * n)).collect();
    check("diff-scattered", &diff::Report { steps: vec![scattered], churn: Vec::new(), requests: REQUESTS });
}

#[test]
fn diff_of_a_chain() {
    let churn = vec![
        Churn { range: BlockRange::new(BlockIndex::new(100), 40), times: 2 },
        Churn { range: BlockRange::new(BlockIndex::new(0), 3), times: 2 },
    ];
    let report = diff::Report { steps: vec![step(1, None), step(2, None)], churn, requests: REQUESTS };
    check("diff-chain", &report);
}

fn exported() -> export::Report {
    export::Report {
        snapshot_id: id(1),
        dest: Some("/srv/images/root.img".into()),
        volume_size: gib(8),
        blocks_written: 3_072,
        bytes_written: ByteSize::from_mib(1_536),
        holes: 13_312,
        blocks_resumed: 0,
        synced: true,
        base: None,
        requests: REQUESTS,
        elapsed: Duration::from_millis(75_250),
    }
}

#[test]
fn export_to_a_file() {
    check("export", &exported());
}

#[test]
fn export_resumed_and_not_durable() {
    check("export-resumed", &export::Report { blocks_resumed: 1_000, synced: false, ..exported() });
}

#[test]
fn export_to_nowhere() {
    check("export-null", &export::Report { dest: None, synced: false, ..exported() });
}

#[test]
fn export_of_what_changed() {
    let base = Some(export::Base { snapshot_id: id(2), known: export::Known::Proved, blocks_compared: 30 });
    let bytes_written = ByteSize::from_bytes(17 * 524_288);
    check(
        "export-since",
        &export::Report { blocks_written: 17, bytes_written, holes: 3, base, ..exported() },
    );
}

fn imported() -> import::Report {
    import::Report {
        snapshot_id: id(1),
        image: "root.img".into(),
        volume_size: gib(1),
        blocks_written: 2_048,
        zero_blocks_written: 1_000,
        blocks_total: 2_048,
        blocks_inherited: 0,
        blocks_omitted: 0,
        blocks_resumed: 0,
        bytes_written: ByteSize::from_mib(1_024),
        completed: true,
        requests: REQUESTS,
        elapsed: Duration::from_millis(3_250),
    }
}

#[test]
fn import_of_a_whole_image() {
    check("import", &imported());
}

#[test]
fn import_upon_a_parent_without_waiting() {
    let report = import::Report {
        blocks_written: 40,
        zero_blocks_written: 0,
        blocks_inherited: 2_000,
        blocks_omitted: 8,
        blocks_resumed: 12,
        bytes_written: ByteSize::from_mib(20),
        completed: false,
        ..imported()
    };
    check("import-pending", &report);
}

fn checked(damages: Vec<Damage>, unnamed: Option<Vec<std::path::PathBuf>>) -> store_check::Report {
    let found = CheckReport { snapshots: 3, pending: 1, layers: 2, blocks: 1_066, damages, unnamed };
    store_check::Report { dir: "/srv/store".into(), found }
}

#[test]
fn store_check_of_a_whole_store() {
    check("store-check", &checked(Vec::new(), Some(vec!["/srv/store/x".into()])));
}

#[test]
fn store_check_of_a_damaged_store() {
    let hurt = |n, blocks| Hurt { snapshot: id(n), blocks };
    let scattered = (0..20).map(|n| BlockIndex::new(2 * n)).collect();
    let damages = vec![
        Damage {
            file: "/srv/store/blocks/00/ff".into(),
            part: Part::Block(icecore::block::Digest::of(b"x")),
            what: "its bytes are not those of its name".into(),
            hurts: vec![hurt(1, Some(set(&[(7, 1)]))), hurt(2, Some(scattered))],
        },
        Damage {
            file: "/srv/store/layers/1".into(),
            part: Part::Layer,
            what: "cut off".into(),
            hurts: vec![hurt(3, None)],
        },
        Damage { file: "/srv/store/clock".into(), part: Part::Clock, what: "gone".into(), hurts: Vec::new() },
    ];
    check("store-check-damaged", &checked(damages, None));
}

fn made() -> manifest::Report {
    manifest::Report {
        name: id(1).to_string(),
        snapshot_id: Some(id(1)),
        geometry: Geometry::ebs(gib(8)),
        size: ByteSize::from_mib(8_192),
        output: "/srv/manifests/monday".into(),
        blocks: 3_072,
        blocks_read: 3_072,
        blocks_resumed: 0,
        blocks_from_base: 0,
        base: None,
        roots: Roots { map: Digest::of(b"map"), content: Digest::of(b"content") },
        requests: Some(REQUESTS),
        elapsed: Duration::from_millis(75_250),
    }
}

#[test]
fn manifest_of_a_first_read() {
    check("manifest", &made());
}

#[test]
fn manifest_upon_a_base() {
    let base = Some("/srv/manifests/sunday".into());
    let report =
        manifest::Report { base, blocks_read: 60, blocks_from_base: 3_000, blocks_resumed: 12, ..made() };
    check("manifest-base", &report);
}

#[test]
fn manifest_of_an_image() {
    let name = "/srv/images/root.img".to_owned();
    check("manifest-image", &manifest::Report { name, snapshot_id: None, requests: None, ..made() });
}

fn verified() -> verify::Report {
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
        },
        target: Some(Target {
            name: "/dev/nvme1n1".into(),
            kind: TargetKind::Device,
            size: ByteSize::from_mib(10_240),
            tail: ByteSize::from_mib(2_048),
            short_by: ByteSize::ZERO,
            volume_id: Some("vol-0123456789abcdef0".parse().unwrap()),
            file_systems: vec![icecore::device::FileSystem {
                kind: icecore::device::FileSystemKind::Ext,
                offset: 1 << 20,
                size: ByteSize::from_mib(8_190),
                uuid: [7; 16],
                mounted: Some(UnixMillis(1_690_000_000_000)),
                written: Some(UnixMillis(1_690_000_500_000)),
                sequence: None,
                is_clean: Some(true),
            }],
        }),
        baseline: None,
        level: Level::Restored,
        mode: Mode::default(),
        coverage: Coverage {
            total: 3_072,
            planned: 3_072,
            read: 3_072,
            resumed: 0,
            unverifiable: 13_312,
            audited: 0,
        },
        upper_bound_95: Some(0.0),
        mismatches: Vec::new(),
        unreadable: BlockSet::new(),
        exceptions: Vec::new(),
        stopped_by: None,
        map_root: Some(Digest::of(b"map")),
        content_root: Some(Digest::of(b"content")),
        remarks: Vec::new(),
        requests: REQUESTS,
        usd: Some(Usd::from_nanos(9_217_800)),
        usd_estimated: Some(Usd::from_nanos(9_218_400)),
    }
}

#[test]
fn verify_of_a_restored_volume() {
    check("verify", &verified());
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
    let report = verify::Report { mismatches, upper_bound_95: None, ..verified() };
    check("verify-fail", &report);
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

fn stopped() -> verify::Report {
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

#[test]
fn verify_of_a_volume_that_was_mounted() {
    let mismatch = |index: u32| Mismatch {
        index: BlockIndex::new(index),
        expected: Some(Digest::of(b"before")),
        actual: Some(Digest::of(b"after")),
        class: Class::Content,
        is_persistent: Some(true),
        is_explained: true,
    };
    let mismatches = vec![mismatch(2), mismatch(3), mismatch(700)];
    check("verify-changed", &verify::Report { mismatches, upper_bound_95: None, ..verified() });
}

#[test]
fn verify_of_several_as_one_job() {
    let item = |name: &str, outcome| Item { name: name.to_owned(), outcome };
    let failed = Exception { kind: Kind::NotFound, what: "snap-00: does not exist".into() };
    let items = vec![
        item(id(1).as_str(), Outcome::Done(verified())),
        item("snap-00", Outcome::Failed(failed)),
        item("a.manifest /dev/nvme2n1", Outcome::Done(stopped())),
        item("snap-01", Outcome::Skipped(Budget::Usd)),
    ];
    let job = Job {
        items,
        started: UnixMillis(1_700_000_000_000),
        ended: UnixMillis(1_700_000_175_250),
        elapsed: Duration::from_millis(175_250),
    };
    check("verify-job", &job);
}

fn latencies(millis: &[u64]) -> Latencies {
    let mut latencies = Latencies::default();
    millis.iter().for_each(|millis| latencies.record(Duration::from_millis(*millis)));
    latencies
}

fn warmed() -> warm::Report {
    warm::Report {
        place: Some("us-east-1 as default".into()),
        started: UnixMillis(1_700_000_000_000),
        ended: UnixMillis(1_700_000_075_250),
        elapsed: Duration::from_millis(75_250),
        reading: Duration::from_millis(72_000),
        device: warm::Device {
            path: "/dev/nvme1n1".into(),
            is_device: true,
            size: ByteSize::from_mib(8_192),
            volume_id: Some("vol-0123456789abcdef0".parse().unwrap()),
        },
        source: id(3).to_string(),
        snapshot_id: Some(id(3)),
        geometry: Some(Geometry::ebs(gib(8))),
        order: Ordered::Recency(vec![id(2), id(1)]),
        allocated: 3_072,
        planned: 3_072,
        read: 3_072,
        resumed: 0,
        bytes_read: ByteSize::from_bytes(3_072 * 524_288 + 300 * 4_096),
        bytes_of_proof: ByteSize::from_bytes(300 * 4_096),
        cold: BlockSet::new(),
        unreadable: BlockSet::new(),
        latencies: latencies(&[18, 20, 20, 21, 40, 90]),
        proof: Some(Proof {
            population: 3_072,
            sample: 300,
            seed: 42,
            latencies: latencies(&[1; 300]),
            threshold: Duration::from_millis(5),
            slow: 0,
            upper_bound_95: 0.009_4,
            was_never_slow: false,
        }),
        is_probe: false,
        predicted: None,
        stopped_by: None,
        skipped: None,
        initialization: vec![told(37), told(41)],
        exceeded: Some(7),
        warnings: Vec::new(),
        exceptions: Vec::new(),
        verified: None,
        requests: REQUESTS,
    }
}

fn told(progress: u8) -> icecore::estate::Initialization {
    icecore::estate::Initialization {
        volume: "vol-0123456789abcdef0".parse().unwrap(),
        is_complete: Some(false),
        progress: Some(progress),
        seconds_left: None,
        health: "ok".into(),
    }
}

#[test]
fn warm_of_a_whole_volume() {
    check("warm", &warmed());
}

fn cut_off() -> warm::Report {
    let mut proof = warmed().proof.unwrap();
    let sample: Vec<_> = (0..300).map(|n| if n % 3 == 0 { 20 } else { 1 }).collect();
    (proof.latencies, proof.slow, proof.upper_bound_95) = (latencies(&sample), 100, 0.381);
    warm::Report {
        read: 2_048,
        resumed: 1_000,
        cold: set(&[(5, 2), (1_024, 512), (4_000, 510)]),
        unreadable: set(&[(5, 2)]),
        proof: Some(proof),
        predicted: Some(0.68),
        stopped_by: Some(warm::Bound::Deadline),
        warnings: vec!["nvme_core.io_timeout is 30 s, and that may be too little".into()],
        exceptions: vec![Exception {
            kind: Kind::Local,
            what: "/dev/nvme1n1: cannot read: input/output error".into(),
        }],
        exceeded: None,
        ..warmed()
    }
}

#[test]
fn warm_that_was_cut_off() {
    check("warm-partial", &cut_off());
}

#[test]
fn warm_of_a_volume_that_needs_none() {
    let report = warm::Report {
        skipped: Some(Skip::FastRestored),
        order: Ordered::Index,
        read: 0,
        planned: 0,
        bytes_read: ByteSize::ZERO,
        bytes_of_proof: ByteSize::ZERO,
        latencies: Latencies::default(),
        proof: None,
        exceeded: None,
        initialization: Vec::new(),
        ..warmed()
    };
    check("warm-skipped", &report);
}

#[test]
fn warm_and_verify_in_one_pass() {
    check("warm-verified", &warm::Report { verified: Some(verified()), ..warmed() });
}

#[test]
fn warm_of_several_volumes() {
    let item = |name: &str, outcome| warm::Item { name: name.to_owned(), outcome };
    let failed =
        Exception { kind: Kind::Unsuitable, what: "/dev/sdx: there is no such file; check the path".into() };
    let items = vec![
        item("/dev/nvme1n1", warm::Outcome::Done(warmed())),
        item("/dev/sdx", warm::Outcome::Failed(failed)),
        item("/dev/nvme2n1", warm::Outcome::Done(cut_off())),
    ];
    let job = warm::Job {
        items,
        started: UnixMillis(1_700_000_000_000),
        ended: UnixMillis(1_700_000_075_250),
        elapsed: Duration::from_millis(75_250),
    };
    check("warm-job", &job);
}

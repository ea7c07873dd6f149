//! Fixed cost reports in every format that suits them: an exact one, and one where much is not known.

use super::{REQUESTS, check, id, info};
use icecore::block::{BlockIndex, BlockRange, ByteSize};
use icecore::cost::archive::{Archiving, Use};
use icecore::cost::orphan::Reason;
use icecore::cost::protection::{Blocker, NotAsked};
use icecore::cost::{Amount, Doubt, PriceTable, Prices, Quality, RequestPrices, Usd};
use icecore::delta::Churn;
use icecore::fault::{Fault, Kind, Place};
use icecore::ops::cost::compare::{CompareReport, Difference, Why};
use icecore::ops::cost::reconcile::{Class, Line, ReconcileReport};
use icecore::ops::cost::{
    Advice, AdviceReport, Change, Effect, EstimateReport, Freed, Group, GroupBy, Groups, LineageRow, Orphan,
    OrphansReport, Report, Row, Selection, Spent, Totals, What, WhatIf,
};
use icecore::snapshot::{SnapshotState, StorageTier, UnixMillis};
use std::time::Duration;

fn prices() -> Prices {
    PriceTable::listed().region("us-east-1").unwrap()
}

fn mib(mib: u64) -> ByteSize {
    ByteSize::from_mib(mib)
}

fn usd(size: ByteSize) -> Amount {
    Amount::of(size, prices().standard)
}

fn spent() -> Spent {
    Spent {
        requests: REQUESTS,
        listings: 3,
        kept: 7,
        elapsed: Duration::from_millis(61_500),
        prices: RequestPrices::LISTED,
        is_billed: true,
    }
}

fn row(n: u32, full: u64, attributed: u64, unique: u64) -> Row {
    Row {
        info: info(n),
        lineage: 1,
        full: Some(mib(full)),
        attributed: Some(mib(attributed)),
        unique: Some(mib(unique)),
        usd: Some(usd(mib(attributed))),
        quality: Quality::Exact,
    }
}

fn totals(snapshots: usize, stored: u64, unknown: usize, at_most: usize) -> Totals {
    Totals { snapshots, stored: mib(stored), usd: usd(mib(stored)), unknown, at_most }
}

fn bill() -> Report {
    let churn = Churn { range: BlockRange::new(BlockIndex::new(257), 4), times: 2 };
    Report {
        selection: Selection::default(),
        hidden: [].into(),
        rows: vec![
            row(1, 819_200, 819_200, 40_960),
            row(2, 829_440, 51_200, 0),
            row(3, 829_440, 10_240, 10_240),
        ],
        totals: totals(3, 880_640, 0, 0),
        lineages: vec![LineageRow {
            number: 1,
            totals: totals(3, 880_640, 0, 0),
            churn: Some(mib(30_720)),
            hottest: vec![churn],
        }],
        groups: None,
        what_if: None,
        binned: Some([].into()),
        prices: prices(),
        spent: spent(),
        fault: None,
        now: UnixMillis(1_700_500_000_000),
    }
}

fn doubtful() -> Report {
    let mut pending = row(4, 0, 0, 0);
    pending.info.state = SnapshotState::Pending;
    pending.info.tags = [("Name".to_owned(), "evil\x1b[2Jname".to_owned())].into();
    (pending.full, pending.attributed, pending.unique, pending.usd) = (None, None, None, None);
    pending.quality = Quality::Unknown(Doubt::Pending);
    let mut archived = row(5, 409_600, 409_600, 409_600);
    archived.info.tier = StorageTier::Archive;
    archived.usd = Some(Amount::of(mib(409_600), prices().archive));
    let mut bounded = row(3, 829_440, 10_240, 10_240);
    bounded.quality = Quality::AtMost(Doubt::Neighbour);
    let denied = Fault::new(Kind::Denied, Place::Snapshot(id(6)), "access denied");
    let groups = vec![
        Group { name: Some("storage".into()), totals: totals(2, 819_200, 0, 0) },
        Group { name: None, totals: totals(2, 10_240, 1, 1) },
    ];
    Report {
        rows: vec![row(1, 819_200, 819_200, 40_960), archived, bounded, pending],
        totals: totals(4, 1_239_040, 1, 1),
        groups: Some(Groups { by: GroupBy::Tag("team".into()), groups }),
        binned: None,
        fault: Some(denied),
        ..bill()
    }
}

fn effect(n: u32, change: Change, before: Option<u64>, after: Option<u64>) -> Effect {
    let billed = |size: Option<u64>| size.map(|size| (mib(size), usd(mib(size))));
    Effect { id: id(n), change, before: billed(before), after: billed(after), quality: Quality::Exact }
}

fn answer(what: What) -> WhatIf {
    WhatIf {
        what,
        snapshots: vec![id(1), id(2)],
        kept: vec![id(3)],
        freed: mib(40_960),
        when: Some(Freed::Unknown),
        archiving: None,
        saved: usd(mib(40_960)),
        left: usd(mib(839_680)),
        lost: Some((info(1).start_time, info(2).start_time)),
        moved: vec![(id(3), mib(819_200))],
        effects: vec![
            effect(1, Change::Gone, Some(819_200), Some(0)),
            effect(2, Change::Gone, Some(51_200), Some(0)),
            effect(3, Change::TakesOver, Some(10_240), Some(829_440)),
        ],
        quality: Quality::Exact,
        is_exact_choice: None,
        blockers: Vec::new(),
        not_asked: vec![NotAsked::OlderLaunches],
    }
}

#[test]
fn a_bill_of_which_all_is_known() {
    check("cost", &bill());
}

#[test]
fn a_bill_of_which_much_is_not_known() {
    check("cost-doubtful", &doubtful());
}

#[test]
fn a_deletion_that_much_stands_against() {
    let blockers = [(1, Blocker::ImageDisabled), (1, Blocker::LockUnknown), (2, Blocker::LockUnknown)];
    let blockers = blockers.map(|(n, blocker)| (id(n), blocker)).into();
    let quality = Quality::AtMost(Doubt::NotCompared);
    let answer = WhatIf { blockers, quality, ..answer(What::Delete(vec![id(1), id(2)])) };
    check("cost-delete", &Report { what_if: Some(answer), ..bill() });
}

#[test]
fn archiving_that_costs_more() {
    let answer = WhatIf {
        when: None,
        archiving: Some(Archiving::of(mib(40_960), mib(1_648_640), Use::default(), &prices())),
        effects: vec![Effect {
            after: Some((mib(829_440), Amount::of(mib(829_440), prices().archive))),
            ..effect(2, Change::Archived, Some(51_200), None)
        }],
        saved: Amount::ZERO - usd(mib(102_400)),
        lost: None,
        ..answer(What::Archive(vec![id(1), id(2)], Use::default()))
    };
    check("cost-archive", &Report { what_if: Some(answer), ..bill() });
}

#[test]
fn the_cheapest_to_keep() {
    let what = What::Keep { count: Some(1), max_gap: None, save: None };
    let when = Some(Freed::At(info(2).start_time.plus_millis(7 * 86_400_000)));
    let answer = WhatIf { is_exact_choice: Some(true), when, ..answer(what) };
    check("cost-keep", &Report { what_if: Some(answer), ..bill() });
}

#[test]
fn a_policy_that_drops_two() {
    let what = What::Retain("daily=7,weekly=4".parse().unwrap());
    let answer = WhatIf { when: Some(Freed::Now), ..answer(what) };
    check("cost-retention", &Report { what_if: Some(answer), ..bill() });
}

#[test]
fn orphans_free_and_blocked() {
    let orphans = vec![
        Orphan {
            row: row(1, 819_200, 819_200, 40_960),
            reasons: vec![Reason::VolumeGone, Reason::NoOwner],
            blockers: vec![Blocker::ImageRegistered, Blocker::LastOfVolume],
        },
        Orphan { row: row(2, 829_440, 51_200, 0), reasons: vec![Reason::Duplicate], blockers: Vec::new() },
    ];
    let report = OrphansReport {
        orphans,
        snapshots: 30,
        freed: mib(0),
        saved: Amount::ZERO,
        quality: Quality::Exact,
        untold: vec![("images", "access denied".into())],
        not_asked: vec![NotAsked::OlderLaunches, NotAsked::Verifications],
        spent: spent(),
        fault: None,
    };
    check("cost-orphans", &report);
}

#[test]
fn advice_to_archive_one_and_keep_the_rest() {
    let expected = Use { restores_a_year: 1, days_restored: 7 };
    let advice = |row: Row, is_in_the_middle| {
        let archiving = row.unique.zip(row.full).map(|(u, f)| Archiving::of(u, f, expected, &prices()));
        Advice { row, archiving, is_in_the_middle }
    };
    let mut unknown = row(3, 1, 1, 1);
    (unknown.unique, unknown.usd, unknown.quality) = (None, None, Quality::Unknown(Doubt::Throttled));
    let report = AdviceReport {
        advice: vec![
            advice(row(2, 829_440, 614_400, 614_400), true),
            advice(row(1, 819_200, 819_200, 40_960), false),
            advice(unknown, false),
        ],
        expected,
        threshold: Archiving::threshold(expected, &prices()),
        prices: prices(),
        spent: spent(),
        fault: None,
    };
    check("cost-archive-advice", &report);
}

#[test]
fn an_estimate_of_a_year_of_a_tib() {
    let report = EstimateReport {
        snapshots: 365,
        listings: 365,
        kept: 10,
        requests: 76_650,
        most_requests: 613_200,
        usd: Usd::from_nanos(600).times(76_650),
        time: Some(Duration::from_secs(1_533)),
    };
    check("cost-estimate", &report);
}

#[test]
fn what_changed_in_a_month() {
    let difference = |n, why, before: Option<u64>, after: Option<u64>| Difference {
        id: id(n),
        why,
        before: before.map(|size| usd(mib(size))),
        after: after.map(|size| usd(mib(size))),
    };
    let report = CompareReport {
        since: Some("2026-10-01T00:00:00Z".into()),
        differences: vec![
            difference(1, Why::Moved, Some(409_600), Some(819_200)),
            difference(9, Why::Deleted, Some(512_000), None),
            difference(3, Why::Churn, None, Some(10_240)),
        ],
        before: usd(mib(921_600)),
        after: usd(mib(880_640)),
        now: bill(),
    };
    check("cost-compare", &report);
}

#[test]
fn a_bill_of_aws_beside_the_model() {
    let line = |n, predicted: Option<u64>, billed: Option<u64>, class| Line {
        id: id(n),
        predicted: predicted.map(mib),
        billed: billed.map(mib),
        class,
    };
    let report = ReconcileReport {
        lines: vec![
            line(1, Some(819_200), Some(820_000), Class::Agrees),
            line(3, Some(10_240), None, Class::Lag),
            line(9, None, Some(5_120), Class::Gone),
        ],
        elsewhere: 2,
        last_day: Some("2026-09-13".into()),
        factor: Some(1_001),
        now: bill(),
    };
    check("cost-reconcile", &report);
}

#[test]
fn text_fits_a_hundred_columns() {
    let all = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/golden")).unwrap();
    let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for name in names.filter(|name| name.starts_with("cost") && name.ends_with(".text")) {
        let path = format!("{}/fixtures/golden/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(long.is_empty(), "{name}: {long:#?}");
    }
}

#[test]
fn a_report_reads_back_and_others_are_refused_in_a_sentence() {
    use icecore::render::{Format, Render, cost::earlier};
    let mut out = Vec::new();
    Report::printer(Format::Json).unwrap()(&doubtful(), &mut out).unwrap();
    let read = earlier(&String::from_utf8(out).unwrap()).unwrap();
    assert_eq!((read.rows.len(), read.region.as_str(), read.standard), (4, "us-east-1", prices().standard));
    assert_eq!(read.rows[&id(1)].attributed, Some(mib(819_200)));
    assert_eq!((read.rows[&id(4)].attributed, read.rows[&id(5)].tier), (None, StorageTier::Archive));
    for (text, said) in [
        (r#"{"schema":"icecore/list/1"}"#, "schema 'icecore/list/1'"),
        ("not json", "no report of icecore cost"),
        (r#"{"schema":"icecore/cost/1"}"#, "no report of icecore cost"),
    ] {
        let error = earlier(text).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

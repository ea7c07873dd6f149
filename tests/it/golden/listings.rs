//! What is only looked at: `list`, `show`, `blocks`, `diff`.

use super::{REQUESTS, check, gib, id, info, set};
use icecore::block::{BlockIndex, BlockRange, BlockSet, Geometry};
use icecore::delta::{Churn, Delta};
use icecore::ops::{blocks, diff, list, show};
use icecore::snapshot::{SnapshotState, StorageTier};

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

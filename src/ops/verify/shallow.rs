//! The lowest rungs of the ladder: what is told of a snapshot, and what is listed. No block is read.

use crate::block::{BlockSize, Geometry};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, Event, SystemClock};
use crate::ops::preflight::{described, open};
use crate::ops::verify::{
    Coverage, Drift, Level, Mode, Options, Report, Subject, SubjectKind, aged, readable,
};
use crate::ops::{Engine, Services};
use crate::pipeline::block_map;
use crate::snapshot::{SnapshotId, SnapshotInfo};
use tokio::time::Instant;

/// Looks at a snapshot no deeper than its block map.
pub(super) async fn run(
    id: &SnapshotId,
    options: &Options,
    services: &Services,
    engine: &Engine,
) -> Result<Report, Fault> {
    let (start, started) = (Instant::now(), SystemClock.now());
    let before = engine.requests();
    let info = described(services, engine, id).await?;
    if let Some(info) = &info {
        readable(info)?;
    }
    let level = options.level();
    let (geometry, blocks, drift) = match level {
        Level::Inventory => {
            let geometry = Geometry::ebs(told(id, info.as_ref())?.volume_size);
            let told = info.as_ref().and_then(told_blocks);
            (geometry, told.unwrap_or(u64::from(geometry.n_blocks())), None)
        }
        _ => {
            engine.monitor.on(Event::Stage { verb: "listing", total: None });
            let source = open(services, engine, id).await?;
            let listed = block_map(engine, source.as_ref()).await?;
            (source.geometry(), listed.len(), Drift::of(info.as_ref(), BlockSize::EBS.of(listed.len())))
        }
    };
    let subject = Subject {
        name: id.to_string(),
        kind: SubjectKind::Snapshot,
        snapshot_id: Some(id.clone()),
        geometry,
        info,
        blocks: (level == Level::BlockMap).then_some(blocks),
    };
    Ok(Report {
        run_id: options.run_id()?,
        place: services.label.clone(),
        started,
        ended: SystemClock.now(),
        elapsed: start.elapsed(),
        remarks: remarks(level, subject.info.as_ref()),
        findings: aged(&subject, options, started)?,
        subject,
        target: None,
        baseline: None,
        level,
        mode: Mode::default(),
        cycle: None,
        coverage: Coverage { total: blocks, ..Coverage::default() },
        upper_bound_95: None,
        mismatches: Default::default(),
        unreadable: Default::default(),
        exceptions: Vec::new(),
        stopped_by: None,
        map_root: None,
        content_root: None,
        drift,
        allows_empty: options.allow_empty,
        requests: engine.requests().since(&before),
        usd: None,
        usd_estimated: None,
    })
}

/// At the lowest level there is nothing but what the control plane tells.
fn told<'a>(id: &SnapshotId, info: Option<&'a SnapshotInfo>) -> Result<&'a SnapshotInfo, Fault> {
    info.ok_or_else(|| {
        let what = "nobody here tells in what state it is";
        Fault::new(Kind::Refused, Place::Snapshot(id.clone()), what)
            .hint("use a build with the feature ec2, or --level 1")
    })
}

fn told_blocks(info: &SnapshotInfo) -> Option<u64> {
    let told = info.full_size?.bytes() / u64::from(BlockSize::EBS.bytes());
    Some(told).filter(|told| *told > 0)
}

fn remarks(level: Level, info: Option<&SnapshotInfo>) -> Vec<String> {
    let mut remarks = Vec::new();
    if info.is_some_and(|info| info.encrypted) {
        remarks.push(
            "Whether its KMS key may be used was not asked; the first block that is read tells.".to_owned(),
        );
    }
    if level == Level::BlockMap && info.and_then(told_blocks).is_none() {
        remarks.push(
            "The control plane does not say how much the snapshot holds, so the number of blocks was held against \
             nothing."
                .to_owned(),
        );
    }
    remarks
}

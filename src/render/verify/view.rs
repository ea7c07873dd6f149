//! The fields of a verification's JSON.

use crate::block::BlockSize;
use crate::device::{DiskPartition, FileSystem, PartitionName};
use crate::ops::verify::age;
use crate::ops::verify::{Class, Exception, Finding, Level, Mismatches, Report, State, Target};
use crate::render::numbers::rfc3339;
use crate::render::ranges::Pairs;
use serde::ser::{Error, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Serialize)]
pub(in crate::render) struct View<'a> {
    level: u8,
    level_name: &'a str,
    blocks_total: u64,
    blocks_planned: u64,
    blocks_read: u64,
    blocks_resumed: u64,
    /// Whether blocks of an interrupted run were counted without proof that the target is unchanged since.
    resumed: bool,
    blocks_unverifiable: u64,
    coverage: f64,
    /// Which blocks were read: `all`, `part`, `sample`, ..
    extent: &'a str,
    /// Whether this run, or the cycle that it completes, read every block: only then is the snapshot verified.
    reads_everything: bool,
    /// The largest share of the blocks that may be damaged; null where none was read, or damage was found.
    damage_bound: Option<f64>,
    /// Null where the blocks were not chosen at random, or damage was found.
    upper_bound_95: Option<f64>,
    mismatch_count: u64,
    mismatch_ranges: Pairs<'a>,
    mismatches: Listed<'a>,
    unreadable_count: u64,
    unreadable_ranges: Pairs<'a>,
    /// Where the control plane and the block list disagree on how much there is; null where they do not.
    size_drift: Option<DriftView>,
    map_root: Option<String>,
    content_root: Option<String>,
    stopped_by: Option<&'a str>,
    exceptions: Vec<ExceptionView<'a>>,
    run: Run<'a>,
    plan: Plan<'a>,
    subject: SubjectView<'a>,
    target: Option<TargetView<'a>>,
    baseline: Option<BaselineView<'a>>,
    cost: Cost,
    /// What is wrong with the backup beside its blocks.
    findings: Vec<FindingView<'a>>,
    /// Why a run that read all that was chosen proves nothing: it read no block. Null otherwise.
    reason: Option<String>,
    /// What was shown; null unless it was a pass.
    claims: Option<&'a str>,
    disclaimers: Vec<String>,
}

#[derive(Serialize)]
struct DriftView {
    told_bytes: u64,
    listed_bytes: u64,
}

#[derive(Serialize)]
struct Run<'a> {
    id: &'a str,
    tool: &'a str,
    version: &'a str,
    place: &'a str,
    started: Option<String>,
    ended: Option<String>,
    seed: Option<u64>,
}

#[derive(Serialize)]
struct Plan<'a> {
    mode: String,
    delta_from: Option<&'a str>,
    audit: Option<u64>,
    audited: u64,
    parts: Vec<String>,
    cycle_days: Option<u32>,
    sample: Option<String>,
}

#[derive(Serialize)]
struct SubjectView<'a> {
    kind: &'a str,
    name: &'a str,
    snapshot_id: Option<&'a str>,
    volume_size_gib: u32,
    /// Null where they were not listed.
    blocks_listed: Option<u64>,
    /// What the control plane says; null where it was not asked or does not tell.
    account: Option<&'a str>,
    volume_id: Option<&'a str>,
    taken_at: Option<String>,
    /// How old it was when the run began.
    age_seconds: Option<u64>,
    encrypted: Option<bool>,
    kms_key_id: Option<&'a str>,
    tags: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct TargetView<'a> {
    kind: &'a str,
    name: &'a str,
    /// Where a snapshot is; null where the subject is.
    place: Option<&'a str>,
    bytes: u64,
    tail_bytes: u64,
    short_by_bytes: u64,
    volume_id: Option<&'a str>,
    file_systems: Vec<FileSystemView>,
    /// Null below level 5, which alone looks at them.
    partitions: Option<Vec<PartitionView<'a>>>,
}

#[derive(Serialize)]
struct PartitionView<'a> {
    /// Null for a disk without partitions.
    partition: Option<u32>,
    /// What `--allow-unchecked` calls it.
    name: String,
    /// Null for a disk without partitions.
    #[serde(rename = "type")]
    kind: Option<String>,
    content: &'static str,
    byte_offset: u64,
    bytes: u64,
    label: Option<&'a str>,
    uuid: Option<String>,
    /// `clean`, `dirty`, `nothing_to_check` or `not_looked_at`.
    state: &'static str,
    why: Option<&'a str>,
    /// Whether the state does not count.
    allowed: bool,
}

#[derive(Serialize)]
struct FileSystemView {
    kind: &'static str,
    byte_offset: u64,
    bytes: u64,
    mounted_at: Option<String>,
    written_at: Option<String>,
    clean: Option<bool>,
}

#[derive(Serialize)]
struct BaselineView<'a> {
    name: &'a str,
    origin: &'a str,
    trust_on_first_use: bool,
    map_root: Option<String>,
    content_root: Option<String>,
}

#[derive(Serialize)]
struct ExceptionView<'a> {
    kind: &'static str,
    what: &'a str,
}

/// At list prices, as exact decimal numbers; null where requests are free.
#[derive(Serialize)]
struct Cost {
    usd: Option<Box<RawValue>>,
    usd_estimated: Option<Box<RawValue>>,
}

/// Written as they are walked: there may be millions.
struct Listed<'a>(&'a Mismatches);

#[derive(Serialize)]
struct MismatchView {
    block_index: u32,
    byte_offset: u64,
    bytes: u32,
    expected: Option<String>,
    actual: Option<String>,
    class: &'static str,
    /// Where a misdirected block's bytes belong.
    #[serde(skip_serializing_if = "Option::is_none")]
    belongs_to_block: Option<u32>,
    persistent: Option<bool>,
    explained: bool,
}

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(usize::try_from(self.0.len()).ok())?;
        for mismatch in self.0.iter() {
            let mismatch = mismatch.map_err(S::Error::custom)?;
            list.serialize_element(&MismatchView {
                block_index: mismatch.index.get(),
                byte_offset: mismatch.index.byte_offset(BlockSize::EBS),
                bytes: BlockSize::EBS.bytes(),
                expected: mismatch.expected.map(|digest| digest.to_string()),
                actual: mismatch.actual.map(|digest| digest.to_string()),
                class: mismatch.class.as_str(),
                belongs_to_block: match mismatch.class {
                    Class::Misdirected(home) => Some(home.get()),
                    _ => None,
                },
                persistent: mismatch.is_persistent,
                explained: mismatch.is_explained,
            })?;
        }
        list.end()
    }
}

impl<'a> View<'a> {
    pub(in crate::render) fn of(report: &'a Report) -> Self {
        let money =
            |usd: Option<crate::cost::Usd>| usd.and_then(|usd| RawValue::from_string(usd.exact()).ok());
        Self {
            level: report.level.number(),
            level_name: report.level.as_str(),
            blocks_total: report.coverage.total,
            blocks_planned: report.coverage.planned,
            blocks_read: report.coverage.read,
            blocks_resumed: report.coverage.resumed,
            resumed: report.mode.is_resumed,
            blocks_unverifiable: report.coverage.unverifiable,
            coverage: report.coverage.ratio(),
            extent: report.extent().as_str(),
            reads_everything: report.reads_everything(),
            damage_bound: report.damage_bound(),
            upper_bound_95: report.upper_bound_95,
            mismatch_count: report.mismatches.len(),
            mismatch_ranges: Pairs(report.wrong()),
            mismatches: Listed(&report.mismatches),
            unreadable_count: report.unreadable.len(),
            unreadable_ranges: Pairs(&report.unreadable),
            size_drift: report.drift.map(|drift| DriftView {
                told_bytes: drift.told.bytes(),
                listed_bytes: drift.listed.bytes(),
            }),
            map_root: report.map_root.map(|root| root.to_string()),
            content_root: report.content_root.map(|root| root.to_string()),
            stopped_by: report.stopped_by.map(|budget| budget.as_str()),
            exceptions: report.exceptions.iter().map(exception).collect(),
            run: Run {
                id: &report.run_id,
                tool: "icecore",
                version: env!("CARGO_PKG_VERSION"),
                place: &report.place,
                started: rfc3339(report.started),
                ended: rfc3339(report.ended),
                seed: report.mode.seed,
            },
            plan: plan(report),
            subject: subject(report),
            target: target(report),
            baseline: baseline(report),
            cost: Cost { usd: money(report.usd), usd_estimated: money(report.usd_estimated) },
            findings: report.findings.iter().map(FindingView::of).collect(),
            reason: reason(report),
            claims: (report.state() == State::Pass).then(|| report.claim()),
            disclaimers: report.disclaimers(),
        }
    }
}

/// A finding, as other reports of findings have it.
#[derive(Serialize)]
pub(super) struct FindingView<'a> {
    rule: &'static str,
    severity: &'static str,
    resource: &'a str,
    what: &'a str,
    fix: &'static str,
}

impl<'a> FindingView<'a> {
    pub(super) fn of(finding: &'a Finding) -> Self {
        Self {
            rule: finding.rule.as_str(),
            severity: Finding::SEVERITY,
            resource: &finding.resource,
            what: &finding.what,
            fix: finding.fix,
        }
    }
}

fn reason(report: &Report) -> Option<String> {
    report.void().filter(|_| report.is_whole())
}

fn exception(exception: &Exception) -> ExceptionView<'_> {
    ExceptionView { kind: exception.kind.as_str(), what: &exception.what }
}

fn plan(report: &Report) -> Plan<'_> {
    let mode = &report.mode;
    Plan {
        mode: report.mode_name(),
        delta_from: mode.delta_from.as_deref(),
        audit: mode.audit,
        audited: report.coverage.audited,
        parts: mode.parts.iter().map(ToString::to_string).collect(),
        cycle_days: mode.cycle_days,
        sample: mode.sample.map(|aim| aim.to_string()),
    }
}

fn subject(report: &Report) -> SubjectView<'_> {
    let subject = &report.subject;
    let info = subject.info.as_ref();
    SubjectView {
        kind: subject.kind.as_str(),
        name: &subject.name,
        snapshot_id: subject.snapshot_id.as_ref().map(|id| id.as_str()),
        volume_size_gib: subject.geometry.volume_size.get(),
        blocks_listed: subject.blocks,
        account: info.map(|info| info.owner_id.as_str()),
        volume_id: info.and_then(|info| info.volume_id.as_ref()).map(|id| id.as_str()),
        taken_at: info.and_then(|info| rfc3339(info.start_time)),
        age_seconds: info.map(|info| age(info.start_time, report.started).as_secs()),
        encrypted: info.map(|info| info.encrypted),
        kms_key_id: info.and_then(|info| info.kms_key_id.as_deref()),
        tags: info.map(|info| &info.tags),
    }
}

fn target(report: &Report) -> Option<TargetView<'_>> {
    report.target.as_ref().map(|target| TargetView {
        kind: target.kind.as_str(),
        name: &target.name,
        place: target.place.as_deref(),
        bytes: target.size.bytes(),
        tail_bytes: target.tail.bytes(),
        short_by_bytes: target.short_by.bytes(),
        volume_id: target.volume_id.as_ref().map(|id| id.as_str()),
        file_systems: target.layout.file_systems().map(file_system).collect(),
        partitions: (report.level == Level::FileSystem)
            .then(|| target.layout.partitions.iter().map(|one| partition(one, target)).collect()),
    })
}

fn partition<'a>(one: &'a DiskPartition, target: &Target) -> PartitionView<'a> {
    PartitionView {
        partition: match one.name {
            PartitionName::Disk => None,
            PartitionName::Number(number) => Some(number),
        },
        name: one.name.to_string(),
        kind: one.kind.map(|kind| kind.to_string()),
        content: one.content.as_str(),
        byte_offset: one.offset,
        bytes: one.size.bytes(),
        label: one.content.label().or(one.label.as_deref()),
        uuid: one.content.uuid(),
        state: one.condition.as_str(),
        why: one.why.as_deref(),
        allowed: target.is_allowed(one),
    }
}

fn file_system(fs: &FileSystem) -> FileSystemView {
    FileSystemView {
        kind: fs.kind.as_str(),
        byte_offset: fs.offset,
        bytes: fs.size.bytes(),
        mounted_at: fs.mounted.and_then(rfc3339),
        written_at: fs.written.and_then(rfc3339),
        clean: fs.is_clean(),
    }
}

fn baseline(report: &Report) -> Option<BaselineView<'_>> {
    report.baseline.as_ref().map(|baseline| BaselineView {
        name: &baseline.name,
        origin: baseline.origin.as_str(),
        trust_on_first_use: baseline.origin == crate::ops::verify::Origin::EarlierRead,
        map_root: baseline.map_root.map(|root| root.to_string()),
        content_root: baseline.content_root.map(|root| root.to_string()),
    })
}

//! `icecore list`: our snapshots, one a line.

use crate::ops::list::{Report, Row};
use crate::render::escape::escaped;
use crate::render::json::{self, Frame};
use crate::render::numbers::{rfc3339, to_the_second};
use crate::render::sheet::{self, maybe};
use crate::render::{Format, Printer, Render, table};
use crate::snapshot::{SnapshotInfo, Tags};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        match format {
            Format::Text => Some(text),
            Format::Json => Some(as_json),
            Format::Jsonl => Some(jsonl),
            Format::Csv => Some(csv),
            Format::Cbt | Format::Junit | Format::Metrics => None,
        }
    }
}

/// The facts of one snapshot.
#[derive(Serialize)]
pub(super) struct FactsView<'a> {
    volume_id: Option<&'a str>,
    start_time: Option<String>,
    volume_size_gib: u32,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_message: Option<&'a str>,
    tier: &'static str,
    encrypted: bool,
    kms_key_id: Option<&'a str>,
    /// Null where nobody says: unknown is never 0.
    full_bytes: Option<u64>,
    owner_id: &'a str,
    description: &'a str,
    tags: &'a Tags,
}

impl<'a> FactsView<'a> {
    pub(super) fn new(info: &'a SnapshotInfo) -> Self {
        Self {
            volume_id: info.volume_id.as_ref().map(|id| id.as_str()),
            start_time: rfc3339(info.start_time),
            volume_size_gib: info.volume_size.get(),
            state: info.state.as_str(),
            state_message: info.state_message.as_deref(),
            tier: info.tier.as_str(),
            encrypted: info.encrypted,
            kms_key_id: info.kms_key_id.as_deref(),
            full_bytes: info.full_size.map(|size| size.bytes()),
            owner_id: &info.owner_id,
            description: &info.description,
            tags: &info.tags,
        }
    }
}

#[derive(Serialize)]
struct RowView<'a> {
    snapshot_id: &'a str,
    #[serde(flatten)]
    facts: FactsView<'a>,
    parent: Option<&'a str>,
    lineage: u32,
}

#[derive(Serialize)]
struct View<'a> {
    snapshots: Vec<RowView<'a>>,
}

fn row(row: &Row) -> RowView<'_> {
    RowView {
        snapshot_id: row.info.id.as_str(),
        facts: FactsView::new(&row.info),
        parent: row.parent.as_ref().map(|id| id.as_str()),
        lineage: row.lineage,
    }
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let view = View { snapshots: report.snapshots.iter().map(row).collect() };
    json::object(out, "list", Frame::complete(report.requests), &view)
}

fn jsonl(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    report.snapshots.iter().try_for_each(|snapshot| json::line(out, &row(snapshot)))
}

fn csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "snapshot_id,volume_id,start_time,volume_size_gib,state,tier,encrypted,full_bytes,parent,lineage,name"
    )?;
    for snapshot in &report.snapshots {
        let RowView { snapshot_id, facts, parent, lineage } = row(snapshot);
        let cells: [&dyn Display; 11] = [
            &snapshot_id,
            &maybe(facts.volume_id),
            &maybe(facts.start_time),
            &facts.volume_size_gib,
            &facts.state,
            &facts.tier,
            &facts.encrypted,
            &maybe(facts.full_bytes),
            &maybe(parent),
            &lineage,
            &maybe(name(&snapshot.info)),
        ];
        sheet::row(out, &cells)?;
    }
    Ok(())
}

const HEADER: [&str; 9] =
    ["SNAPSHOT", "STARTED", "SIZE", "STATE", "FULL", "ENCRYPTED", "PARENT", "LINEAGE", "NAME"];
/// Sizes and numbers stand on their units.
const RIGHT: [usize; 3] = [2, 4, 7];

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.snapshots.is_empty() {
        return writeln!(out, "no snapshots");
    }
    let cells = |row: &Row| {
        let info = &row.info;
        vec![
            info.id.to_string(),
            started(info),
            info.volume_size.to_string(),
            state(info),
            info.full_size.map_or_else(|| "?".to_owned(), |size| size.to_string()),
            if info.encrypted { "yes" } else { "no" }.to_owned(),
            row.parent.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            row.lineage.to_string(),
            name(info).map(escaped).unwrap_or_default(),
        ]
    };
    table::rows(out, &HEADER, &RIGHT, report.snapshots.iter().map(cells))
}

/// The state, or the tier where that is what keeps it from being read.
fn state(info: &SnapshotInfo) -> String {
    match info.tier {
        crate::snapshot::StorageTier::Standard => info.state.to_string(),
        crate::snapshot::StorageTier::Archive => format!("{} (archived)", info.state),
    }
}

/// When it was started, for people.
pub(super) fn started(info: &SnapshotInfo) -> String {
    to_the_second(info.start_time)
}

/// The tag that AWS's console shows as the name.
fn name(info: &SnapshotInfo) -> Option<&str> {
    info.tags.get("Name").map(String::as_str)
}

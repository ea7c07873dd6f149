//! The bill as CSV, one table a file: what was asked last is what it tells.
//!
//! A bill has a row for each snapshot; `--group-by` one for each group; a what-if one for each snapshot of the
//! lineages concerned, with what it is billed before and after: the columns' sums tell what is freed and saved.

use crate::block::ByteSize;
use crate::cost::Amount;
use crate::ops::cost::{Change, Groups, Report, Row, What, WhatIf};
use crate::render::cost::{heading, nameless};
use crate::render::numbers::rfc3339;
use crate::render::sheet::{self, maybe};
use std::fmt::Display;
use std::io::{self, Write};

pub(super) fn as_csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    match (&report.what_if, &report.groups) {
        (Some(answer), _) => what_if(answer, out),
        (None, Some(groups)) => grouped(groups, out),
        (None, None) => bill(&report.rows, out),
    }
}

fn bill(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "snapshot_id,volume_id,start_time,tier,state,lineage,full_bytes,attributed_bytes,unique_bytes,usd_month,quality,reason,name"
    )?;
    rows.iter().try_for_each(|row| {
        let cells: [&dyn Display; 13] = [
            &row.info.id,
            &maybe(row.info.volume_id.as_ref()),
            &maybe(rfc3339(row.info.start_time)),
            &row.info.tier.as_str(),
            &row.info.state,
            &row.lineage,
            &bytes(row.full),
            &bytes(row.attributed),
            &bytes(row.unique),
            &usd(row.usd),
            &row.quality,
            &maybe(row.quality.doubt().map(|doubt| doubt.code())),
            &maybe(row.info.tags.get("Name")),
        ];
        sheet::row(out, &cells)
    })
}

fn grouped(Groups { by, groups }: &Groups, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "group_by,group,snapshots,stored_bytes,usd_month,quality")?;
    groups.iter().try_for_each(|group| {
        let totals = &group.totals;
        let cells: [&dyn Display; 6] = [
            &heading(by),
            &group.name.as_deref().unwrap_or(nameless(by)),
            &totals.snapshots,
            &totals.stored.bytes(),
            &totals.usd.exact(),
            &totals.quality(),
        ];
        sheet::row(out, &cells)
    })
}

fn what_if(answer: &WhatIf, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "snapshot_id,change,bytes_before,bytes_after,usd_month_before,usd_month_after,quality,blockers"
    )?;
    answer.effects.iter().try_for_each(|effect| {
        let change = match (effect.change, &answer.what) {
            (Change::Gone, What::Delete(_)) => "deleted",
            (Change::Gone, _) => "dropped",
            (Change::Archived, _) => "archived",
            (Change::TakesOver, _) => "takes_over",
            (Change::Stays, _) => "stays",
        };
        let own = answer.blockers.iter().filter(|(id, _)| *id == effect.id);
        let cells: [&dyn Display; 8] = [
            &effect.id,
            &change,
            &bytes(effect.before.map(|(size, _)| size)),
            &bytes(effect.after.map(|(size, _)| size)),
            &usd(effect.before.map(|(_, usd)| usd)),
            &usd(effect.after.map(|(_, usd)| usd)),
            &effect.quality,
            &own.map(|(_, blocker)| blocker.code()).collect::<Vec<_>>().join(" "),
        ];
        sheet::row(out, &cells)
    })
}

pub(super) fn bytes(size: Option<ByteSize>) -> String {
    maybe(size.map(ByteSize::bytes))
}

pub(super) fn usd(amount: Option<Amount>) -> String {
    maybe(amount.map(Amount::exact))
}

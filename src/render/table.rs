//! Facts side by side, for people.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::io::{self, Write};

/// Where sentences are broken: beside a label they fit a terminal of 80 columns.
const WIDTH: usize = 64;

/// Writes `label  value` lines, the values one below the other. Empty labels continue the line above.
pub(super) fn facts(out: &mut dyn Write, facts: &[(&str, String)]) -> io::Result<()> {
    let widest = facts.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    facts.iter().try_for_each(|(label, value)| writeln!(out, "  {label:widest$}  {value}"))
}

/// A fact whose text may be longer than a line.
pub(super) fn wrapped(facts: &mut Vec<(&'static str, String)>, label: &'static str, text: &str) {
    let mut line = String::new();
    let mut label = label;
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            facts.push((std::mem::take(&mut label), std::mem::take(&mut line)));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    facts.push((label, line));
}

/// Writes rows under a header, columns aligned; those named in `right` to the right.
pub(super) fn rows(
    out: &mut dyn Write,
    header: &[&str],
    right: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> io::Result<()> {
    let mut table = Table::new();
    // Never wrapped: a line of the table stays one line of the output, for grep as for eyes.
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}

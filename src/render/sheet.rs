//! Rows of CSV, as RFC 4180 has them, that a spreadsheet only reads.
//!
//! Every row of every report that holds words goes through [`row`]. Names and tags are written by whoever may tag a
//! snapshot: a cell that begins as a formula does would be run by the spreadsheet of whoever opens the report (OWASP,
//! "CSV Injection"). Such a cell gets an apostrophe before it, which spreadsheets take for "this is text"; numbers,
//! negative ones too, stay numbers.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes a row of these cells.
pub(super) fn row(out: &mut dyn Write, cells: &[&dyn Display]) -> io::Result<()> {
    let written: Vec<String> = cells.iter().map(|cell| field(&cell.to_string())).collect();
    writeln!(out, "{}", written.join(","))
}

/// What is known, or nothing.
pub(super) fn maybe<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn field(text: &str) -> String {
    let guard = if begins_a_formula(text) && !is_number(text) { "'" } else { "" };
    match text.contains([',', '"', '\n', '\r', '\t']) {
        true => format!("\"{guard}{}\"", text.replace('"', "\"\"")),
        false => format!("{guard}{text}"),
    }
}

/// In the wide forms as well, which some spreadsheets take for the same.
fn begins_a_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// A decimal number as reports write it.
fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        None => digits(unsigned),
        Some((whole, decimals)) => digits(whole) && digits(decimals),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cell: &str, expected: &str) {
        let mut out = Vec::new();
        row(&mut out, &[&cell, &1, &maybe::<u8>(None)]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected},1,\n"));
    }

    #[test]
    fn cells_are_quoted_where_they_would_break_a_row() {
        check("plain", "plain");
        check("a,\"b\"\n", "\"a,\"\"b\"\"\n\"");
    }

    #[test]
    fn what_begins_as_a_formula_is_text_and_numbers_stay_numbers() {
        check("=1+1", "'=1+1");
        check("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
        for cell in ["+1 555", "-cmd", "@SUM(A1)", "－1", "-", "-1-1", "+1"] {
            check(cell, &format!("'{cell}"));
        }
        for cell in ["\t=1", "\r=1", "\n=1"] {
            check(cell, &format!("\"'{cell}\""));
        }
        for cell in ["-10.75", "-3", "0.05", "12", "a=b", "snap-0a"] {
            check(cell, cell);
        }
    }
}

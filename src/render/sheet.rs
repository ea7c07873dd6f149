//! Rows of CSV, as RFC 4180 has them, that a spreadsheet only reads.
//!
//! Every row of every report that holds words goes through [`row`]. Names and tags are written by whoever may tag a
//! snapshot: a cell that begins as a formula does would be run by the spreadsheet that opens the report (OWASP, "CSV
//! Injection"), and so would what follows a semicolon, where the spreadsheet separates cells by semicolons. Such a
//! formula gets an apostrophe before it, which spreadsheets take for "this is text"; numbers, negative ones too, stay
//! numbers.

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
    let guarded = guarded(text);
    match guarded.contains([',', ';', '"', '\n', '\r', '\t']) {
        true => format!("\"{}\"", guarded.replace('"', "\"\"")),
        false => guarded,
    }
}

/// The text with an apostrophe before each formula: at its start, and after each character that some spreadsheet takes
/// for the end of a cell. Blanks and quotes before a formula do not hide it.
fn guarded(text: &str) -> String {
    if is_number(text) {
        return text.to_owned();
    }
    let mut guarded = String::with_capacity(text.len() + 1);
    let mut is_start = true;
    if text.starts_with(['\t', '\r', '\n']) {
        // Spreadsheets drop these, and see what comes after them.
        guarded.push('\'');
        is_start = false;
    }
    for c in text.chars() {
        match c {
            ',' | ';' | '|' | '\t' | '\r' | '\n' => is_start = true,
            ' ' | '"' => {}
            _ => {
                if is_start && begins_a_formula(c) {
                    guarded.push('\'');
                }
                is_start = false;
            }
        }
        guarded.push(c);
    }
    guarded
}

/// In the wide forms as well, which some spreadsheets take for the same.
fn begins_a_formula(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')
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
        check("\t=1", "\"'\t'=1\"");
        check("\r=1", "\"'\r'=1\"");
        check("\n=1", "\"'\n'=1\"");
        check(" =1", " '=1");
        for cell in ["-10.75", "-3", "0.05", "12", "a=b", "snap-0a"] {
            check(cell, cell);
        }
    }

    #[test]
    fn a_formula_after_any_separator_of_cells_is_text() {
        check(";=1+1", "\";'=1+1\"");
        check("a;=1+1", "\"a;'=1+1\"");
        check("a; \"=1+1", "\"a; \"\"'=1+1\"");
        check("a,@b|-c", "\"a,'@b|'-c\"");
        check("a;b=1;c-d", "\"a;b=1;c-d\"");
    }
}

//! Foreign text in reports: tags, descriptions, paths and error messages that others wrote.
//!
//! Every report and every log line passes through [`escaped`] or [`EscapeWriter`]. Shown raw, such text could move the
//! cursor, change colours, forge a line or turn its direction, and some characters break a document of XML.

use crate::render::Format;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Text on one line: every character that is not plainly visible is shown as an escape, `\u{1b}`.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_hidden(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Text of several lines, likewise.
pub fn escaped_lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    escape_lines(text, Escape::Rust, &mut shown);
    shown
}

/// How a character is spelled that is not shown as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    /// `\u{1b}`.
    Rust,
    /// `\u001b`, which a JSON parser reads as the character.
    Json,
}

/// Appends text whose lines and tabs stay.
fn escape_lines(text: &str, escape: Escape, shown: &mut String) {
    for c in text.chars() {
        match (is_hidden(c) && !matches!(c, '\n' | '\t'), escape) {
            (false, _) => shown.push(c),
            (true, Escape::Rust) => shown.extend(c.escape_default()),
            (true, Escape::Json) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(shown, "\\u{unit:04x}");
                }
            }
        }
    }
}

/// Control characters; line separators and bidirectional controls, which make a line look like another one; characters
/// without a width; noncharacters, which XML cannot hold.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fdd0}'..='\u{fdef}')
        || matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff)
}

/// Passes a report on, with hidden characters escaped so that the document of its format stays what it is.
pub(crate) struct EscapeWriter<'a> {
    out: &'a mut dyn Write,
    escape: Escape,
    /// The start of a character whose end has not been written yet.
    rest: Vec<u8>,
}

impl<'a> EscapeWriter<'a> {
    /// Writes a report of this format to `out`.
    pub(crate) fn new(out: &'a mut dyn Write, format: Format) -> Self {
        let escape = match format {
            Format::Json | Format::Jsonl => Escape::Json,
            Format::Text | Format::Csv | Format::Cbt | Format::Junit | Format::Metrics => Escape::Rust,
        };
        Self { out, escape, rest: Vec::new() }
    }

    fn pass(&mut self, text: &str) -> io::Result<()> {
        // Most of every report is plain, and a listing has a million lines.
        let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) || matches!(byte, b'\n' | b'\t');
        if text.bytes().all(is_plain) {
            return self.out.write_all(text.as_bytes());
        }
        let mut shown = String::with_capacity(text.len());
        escape_lines(text, self.escape, &mut shown);
        self.out.write_all(shown.as_bytes())
    }
}

impl Write for EscapeWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let joined;
        let mut left = bytes;
        if !self.rest.is_empty() {
            joined = [self.rest.as_slice(), bytes].concat();
            left = &joined;
        }
        loop {
            match std::str::from_utf8(left) {
                Ok(text) => {
                    self.rest.clear();
                    self.pass(text)?;
                    return Ok(bytes.len());
                }
                Err(error) => {
                    let (text, after) = left.split_at(error.valid_up_to());
                    self.pass(std::str::from_utf8(text).unwrap_or_default())?;
                    match error.error_len() {
                        // The character goes on in the next write.
                        None => {
                            self.rest = after.to_vec();
                            return Ok(bytes.len());
                        }
                        Some(wrong) => {
                            self.pass("\u{fffd}")?;
                            left = &after[wrong..];
                        }
                    }
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(escaped("a\x1b[31mred\n\tb\u{7f}\u{9b}"), r"a\u{1b}[31mred\n\tb\u{7f}\u{9b}");
        assert_eq!(escaped("\u{202e}live\u{feff}"), r"\u{202e}live\u{feff}");
        assert_eq!(escaped("Grüße 日本 \"quoted\""), "Grüße 日本 \"quoted\"");
        assert_eq!(escaped_lines("a\n\tb\r\x1b"), "a\n\tb\\r\\u{1b}");
    }

    #[test]
    fn a_report_is_escaped_whatever_its_pieces_and_stays_a_document_of_its_format() {
        let text = "a\x1b[2Jé\u{fffe}\u{9b}\u{1f600}\n";
        for (format, expected) in [
            (Format::Csv, "a\\u{1b}[2Jé\\u{fffe}\\u{9b}\u{1f600}\n"),
            (Format::Json, "a\\u001b[2Jé\\ufffe\\u009b\u{1f600}\n"),
        ] {
            for piece in 1..=text.len() {
                let mut out = Vec::new();
                let mut writer = EscapeWriter::new(&mut out, format);
                text.as_bytes().chunks(piece).for_each(|bytes| writer.write_all(bytes).unwrap());
                assert_eq!(String::from_utf8(out).unwrap(), expected, "{format} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut out = Vec::new();
        EscapeWriter::new(&mut out, Format::Text).write_all(b"a\xffb\xc3(").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a\u{fffd}b\u{fffd}(");
    }
}

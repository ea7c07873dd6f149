//! Colour for reports on a terminal, and nowhere else.
//!
//! Reports are plain text, so that they are the same in files, pipes and tests. What is painted is known by its look:
//! headings are lines without small letters, bars are made of block elements, and a figure that is not exact begins
//! with `<`, `>` or is `?`. Painting adds colours and changes nothing else.

use std::io::{self, Write};

const PLAIN: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const CYAN: &str = "\x1b[36m";
const YELLOW: &str = "\x1b[33m";

/// Whether to paint: only on a terminal that has colours, and not where `NO_COLOR` is set to something
/// (no-color.org).
pub(crate) fn is_wanted(is_terminal: bool, no_color: Option<&str>, term: Option<&str>) -> bool {
    is_terminal && no_color.is_none_or(str::is_empty) && term != Some("dumb")
}

/// Paints whole lines on their way.
#[derive(Debug)]
pub(crate) struct Painted<W: Write> {
    of: W,
    line: Vec<u8>,
}

impl<W: Write> Painted<W> {
    pub(crate) fn new(of: W) -> Self {
        Self { of, line: Vec::new() }
    }

    fn end_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        match std::str::from_utf8(&line) {
            Ok(text) => self.of.write_all(painted(text).as_bytes()),
            Err(_) => self.of.write_all(&line),
        }
    }
}

impl<W: Write> Write for Painted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend(piece);
            if piece.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.end_line()?;
        self.of.flush()
    }
}

fn painted(line: &str) -> String {
    let text = line.trim_end_matches('\n');
    let end = &line[text.len()..];
    if is_heading(text) {
        return format!("{BOLD}{text}{PLAIN}{end}");
    }
    let words = text.split_inclusive(' ').map(|word| {
        let (bare, spaces) = (word.trim_end_matches(' '), word.len() - word.trim_end_matches(' ').len());
        let colour = match bare.chars().next() {
            Some('\u{2580}'..='\u{259f}') => CYAN,
            Some('<' | '>') if bare[1..].starts_with(|next: char| next.is_ascii_digit()) => YELLOW,
            Some('?') if bare.len() == 1 => YELLOW,
            _ => return word.to_owned(),
        };
        format!("{colour}{bare}{PLAIN}{}", &word[word.len() - spaces..])
    });
    words.collect::<String>() + end
}

/// A line without small letters, but for the unit of a column.
fn is_heading(text: &str) -> bool {
    let letters = text.replace("GiB", "").replace("MiB", "");
    letters.chars().filter(|letter| letter.is_uppercase()).count() > 2
        && !letters.chars().any(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &str, piece: usize) -> String {
        let mut out = Vec::new();
        let mut painter = Painted::new(&mut out);
        text.as_bytes().chunks(piece).for_each(|piece| painter.write_all(piece).unwrap());
        painter.flush().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_painted_is_the_same_text() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/golden");
        for entry in std::fs::read_dir(golden).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let mut bare = through(&text, 7);
            for code in [PLAIN, BOLD, CYAN, YELLOW] {
                bare = bare.replace(code, "");
            }
            assert_eq!(bare, text, "{}", path.display());
        }
    }

    #[test]
    fn headings_bars_and_doubtful_figures_stand_out() {
        for (line, shown) in [
            ("SNAPSHOT  FULL GiB\n", "\x1b[1mSNAPSHOT  FULL GiB\x1b[0m\n"),
            ("snap-0a  <0.50  ▏\n", "snap-0a  \x1b[33m<0.50\x1b[0m  \x1b[36m▏\x1b[0m\n"),
            ("snap-0b  ?", "snap-0b  \x1b[33m?\x1b[0m"),
            ("12 of 30 < more\n", "12 of 30 < more\n"),
        ] {
            assert_eq!(through(line, 3), shown);
        }
    }

    #[test]
    fn only_a_terminal_with_colours_is_painted() {
        for (is_terminal, no_color, term, wanted) in [
            (true, None, Some("xterm"), true),
            (true, Some(""), None, true),
            (true, Some("1"), Some("xterm"), false),
            (true, None, Some("dumb"), false),
            (false, None, Some("xterm"), false),
        ] {
            assert_eq!(is_wanted(is_terminal, no_color, term), wanted);
        }
    }
}

//! A text whose lines and strings are bounded, however long the text is.

use std::cell::RefCell;
use std::io::{self, Read};

/// Bytes of a line, or of a string in it, at most.
const LIMIT: usize = 64 << 10;

/// Reads on while lines and strings stay short, so that no parser behind it has to keep much; remembers the first error
/// of the source, which parsers report as their own.
pub(super) struct Bounded<'a, R> {
    source: R,
    failure: &'a RefCell<Option<io::Error>>,
    run: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl<'a, R> Bounded<'a, R> {
    pub(super) fn new(source: R, failure: &'a RefCell<Option<io::Error>>) -> Self {
        Self { source, failure, run: 0, is_in_string: false, is_escaped: false }
    }

    /// Counts on; false where a line or string got too long.
    fn admits(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            let is_end = match byte {
                // JSON has no line breaks within strings.
                b'\n' => {
                    (self.is_in_string, self.is_escaped) = (false, false);
                    true
                }
                b'\\' if self.is_in_string => {
                    self.is_escaped = !self.is_escaped;
                    false
                }
                b'"' if !self.is_escaped => {
                    self.is_in_string = !self.is_in_string;
                    true
                }
                b',' => !self.is_in_string,
                _ => {
                    self.is_escaped = false;
                    false
                }
            };
            self.run = if is_end { 0 } else { self.run + 1 };
            if self.run > LIMIT {
                return false;
            }
        }
        true
    }
}

fn too_long() -> io::Error {
    let what = format!("a line or string is longer than {LIMIT} bytes");
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.source.read(buffer) {
            Ok(n_bytes) if self.admits(&buffer[..n_bytes]) => return Ok(n_bytes),
            Ok(_) => Err(too_long()),
            Err(error) => Err(error),
        };
        read.map_err(|error| {
            let shown = io::Error::new(error.kind(), error.to_string());
            self.failure.borrow_mut().get_or_insert(error);
            shown
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<usize, String> {
        let failure = RefCell::new(None);
        let read = io::copy(&mut Bounded::new(text.as_bytes(), &failure), &mut io::sink());
        match failure.into_inner() {
            Some(error) => Err(error.to_string()),
            None => Ok(usize::try_from(read.unwrap()).unwrap()),
        }
    }

    #[test]
    fn a_text_may_be_long_and_its_lines_and_strings_may_not() {
        let long = "x".repeat(LIMIT + 1);
        for text in [
            "1 524288\n".repeat(100_000),
            r#"{"a":1,"b":"\\",“:2},"#.repeat(100_000),
            format!("# \"quoted\n{}", "1\n".repeat(LIMIT)),
        ] {
            assert_eq!(read(&text), Ok(text.len()));
        }
        for text in [long.clone(), format!("1\n{long}"), format!("{{\"a\":\"{}", "\\\",".repeat(LIMIT))] {
            assert!(read(&text).unwrap_err().contains("longer than"));
        }
    }
}

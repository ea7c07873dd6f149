//! Filters of EC2's describe actions: one of the values must match, of every filter.

use crate::endpoint::wire::ec2::{bad, numbered};
use crate::endpoint::wire::{Call, Refusal};
use crate::snapshot::Tags;

/// The filters of a request.
#[derive(Debug)]
pub(in crate::endpoint) struct Filters(Vec<Filter>);

/// A field and the patterns of which one must match it.
#[derive(Debug)]
struct Filter {
    field: String,
    patterns: Vec<String>,
}

impl Filters {
    /// Those of a request, all of which are among `fields`; tags can always be asked for.
    pub(in crate::endpoint) fn parse(call: &Call, fields: &[&str]) -> Result<Self, Refusal> {
        let mut filters = Vec::new();
        for n in 1.. {
            let Some(name) = call.query(&format!("Filter.{n}.Name")) else { break };
            if !fields.contains(&name) && name != "tag-key" && !name.starts_with("tag:") {
                return Err(bad("InvalidParameterValue", format!("The filter '{name}' is invalid")));
            }
            let patterns: Vec<_> =
                numbered(call, &format!("Filter.{n}.Value")).into_iter().map(str::to_owned).collect();
            if patterns.is_empty() {
                let message = format!("The filter '{name}' has no value");
                return Err(bad("InvalidParameterValue", message));
            }
            filters.push(Filter { field: name.to_owned(), patterns });
        }
        Ok(Self(filters))
    }

    /// Whether all of them let something through that has these tags, and shows these texts in a field.
    pub(in crate::endpoint) fn admit(&self, tags: &Tags, shown: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|Filter { field, patterns }| {
            let is = |text: &str| patterns.iter().any(|pattern| like(pattern, text));
            match field.strip_prefix("tag:") {
                Some(key) => tags.get(key).is_some_and(|value| is(value)),
                None if field == "tag-key" => tags.keys().any(|key| is(key)),
                None => shown(field).iter().any(|text| is(text)),
            }
        })
    }
}

/// Whether a text matches a pattern: `*` any characters, `?` exactly one, `\` takes the next one as it is.
fn like(pattern: &str, text: &str) -> bool {
    // Where the text would be if the last star took one character more: that is all the way back there is.
    let (pattern, text): (Vec<_>, Vec<_>) = (pieces(pattern), text.chars().collect());
    let (mut p, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(Piece::Any) => {
                back = Some((p, t));
                p += 1;
            }
            Some(piece) if piece.takes(text[t]) => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((star, taken)) = back else { return false };
                back = Some((star, taken + 1));
                (p, t) = (star + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|piece| *piece == Piece::Any)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Any,
    One,
    Char(char),
}

impl Piece {
    fn takes(self, c: char) -> bool {
        self == Self::One || self == Self::Char(c)
    }
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' => Piece::Any,
            '?' => Piece::One,
            '\\' => Piece::Char(chars.next().unwrap_or('\\')),
            c => Piece::Char(c),
        });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_and_a_backslash_takes_them_literally() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*c", "abbbc", true),
            ("a*b*c", "a-b-b-c", true),
            ("*", "", true),
            ("?", "", false),
            ("nightly-??", "nightly-07", true),
            ("*a*a*a*b", &"a".repeat(2000), false),
            ("1\\*2", "1*2", true),
            ("1\\*2", "1x2", false),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
    }
}

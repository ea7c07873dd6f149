//! Filters of DescribeSnapshots: one of the values must match, of every filter.

use crate::endpoint::act::describe_snapshots::{progress, volume_id};
use crate::endpoint::wire::ec2::{self, bad, numbered};
use crate::endpoint::wire::{Call, Refusal};
use crate::snapshot::SnapshotInfo;

/// What a filter looks at (EC2 API reference, DescribeSnapshots).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Description,
    Encrypted,
    OwnerAlias,
    OwnerId,
    Progress,
    SnapshotId,
    StartTime,
    Status,
    StorageTier,
    Tag(String),
    TagKey,
    TransferType,
    VolumeId,
    VolumeSize,
}

/// A field and the patterns of which one must match it.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    field: Field,
    patterns: Vec<String>,
}

/// The request's filters.
pub(super) fn parse(call: &Call) -> Result<Vec<Filter>, Refusal> {
    let mut filters = Vec::new();
    for n in 1.. {
        let Some(name) = call.query(&format!("Filter.{n}.Name")) else { break };
        let field = Field::named(name)
            .ok_or_else(|| bad("InvalidParameterValue", format!("The filter '{name}' is invalid")))?;
        let patterns: Vec<_> =
            numbered(call, &format!("Filter.{n}.Value")).into_iter().map(str::to_owned).collect();
        if patterns.is_empty() {
            let message = format!("The filter '{name}' has no value");
            return Err(bad("InvalidParameterValue", message));
        }
        filters.push(Filter { field, patterns });
    }
    Ok(filters)
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "description" => Self::Description,
            "encrypted" => Self::Encrypted,
            "owner-alias" => Self::OwnerAlias,
            "owner-id" => Self::OwnerId,
            "progress" => Self::Progress,
            "snapshot-id" => Self::SnapshotId,
            "start-time" => Self::StartTime,
            "status" => Self::Status,
            "storage-tier" => Self::StorageTier,
            "tag-key" => Self::TagKey,
            "transfer-type" => Self::TransferType,
            "volume-id" => Self::VolumeId,
            "volume-size" => Self::VolumeSize,
            _ => Self::Tag(name.strip_prefix("tag:")?.to_owned()),
        })
    }
}

impl Filter {
    pub(super) fn matches(&self, info: &SnapshotInfo) -> bool {
        let is = |text: &str| self.patterns.iter().any(|pattern| like(pattern, text));
        match &self.field {
            Field::Description => is(&info.description),
            Field::Encrypted => is(if info.encrypted { "true" } else { "false" }),
            // Neither a marketplace's snapshots nor copies with a duration are on any shelf.
            Field::OwnerAlias | Field::TransferType => false,
            Field::OwnerId => is(&info.owner_id),
            Field::Progress => is(progress(info)),
            Field::SnapshotId => is(info.id.as_str()),
            Field::StartTime => is(&ec2::time(info.start_time)),
            Field::Status => is(info.state.as_str()),
            Field::StorageTier => is(info.tier.as_str()),
            Field::Tag(key) => info.tags.get(key).is_some_and(|value| is(value)),
            Field::TagKey => info.tags.keys().any(|key| is(key)),
            Field::VolumeId => is(volume_id(info)),
            Field::VolumeSize => is(&info.volume_size.get().to_string()),
        }
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

//! The EBS direct APIs' wire: JSON bodies, times, and the constraints of the model.

use crate::block::BlockIndex;
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::{SnapshotId, UnixMillis};
use http::StatusCode;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt::Display;

/// The content type of every body that is not a block.
pub(in crate::endpoint) const JSON: &str = "application/json";

/// JSON with its keys in the order of the struct: alphabetical, as AWS sends them.
pub(in crate::endpoint) fn print(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_else(|_| unreachable!("strings and numbers can be printed"))
}

/// A reply with a JSON body.
pub(in crate::endpoint) fn reply(status: StatusCode, body: &impl Serialize) -> Reply {
    Reply::new(status, JSON, print(body))
}

/// A time as AWS writes it: seconds as Java prints a double, `1.790922504246E9`.
#[derive(Clone, Copy, Debug)]
pub(in crate::endpoint) struct Time(pub(in crate::endpoint) UnixMillis);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = RawValue::from_string(scientific(self.0.0)).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

fn scientific(millis: i64) -> String {
    let digits = millis.to_string();
    // Java turns to an exponent at ten million; no time of ours is below it but those of tests.
    if digits.starts_with('-') || digits.len() < 11 {
        return format!("{}.{:03}", millis / 1000, (millis % 1000).abs());
    }
    let (first, rest) = digits.split_at(1);
    let rest = match rest.trim_end_matches('0') {
        "" => "0",
        rest => rest,
    };
    format!("{first}.{rest}E{}", digits.len() - 4)
}

/// The model's constraints, all of them looked at before anything is refused: AWS lists every one that fails.
#[derive(Debug, Default)]
pub(in crate::endpoint) struct Constraints(Vec<String>);

impl Constraints {
    pub(in crate::endpoint) fn new() -> Self {
        Self::default()
    }

    /// Notes that a member's value must be otherwise.
    pub(in crate::endpoint) fn broken(&mut self, member: &str, value: impl Display, must: &str) {
        self.0
            .push(format!("Value '{value}' at '{member}' failed to satisfy constraint: Member must {must}"));
    }

    /// A member that must be there.
    pub(in crate::endpoint) fn required<T>(&mut self, member: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            let null =
                format!("Value null at '{member}' failed to satisfy constraint: Member must not be null");
            self.0.push(null);
        }
        value
    }

    /// A number with a least and a greatest value.
    pub(in crate::endpoint) fn range(&mut self, member: &str, value: Option<i64>, least: i64, most: i64) {
        match value {
            Some(value) if value < least => {
                self.broken(member, value, &format!("have value greater than or equal to {least}"));
            }
            Some(value) if value > most => {
                self.broken(member, value, &format!("have value less than or equal to {most}"));
            }
            _ => {}
        }
    }

    /// A text with a least and a greatest length.
    pub(in crate::endpoint) fn length(
        &mut self,
        member: &str,
        text: Option<&str>,
        least: usize,
        most: usize,
    ) {
        let Some(text) = text else { return };
        let length = text.chars().count();
        if length < least {
            self.broken(member, text, &format!("have length greater than or equal to {least}"));
        } else if length > most {
            self.broken(member, text, &format!("have length less than or equal to {most}"));
        }
    }

    /// A text whose characters all pass `allowed`.
    pub(in crate::endpoint) fn pattern(
        &mut self,
        member: &str,
        text: Option<&str>,
        pattern: &str,
        allowed: impl Fn(&str) -> bool,
    ) {
        if let Some(text) = text.filter(|text| !allowed(text)) {
            self.broken(member, text, &format!("satisfy regular expression pattern: {pattern}"));
        }
    }

    /// The id of a snapshot.
    pub(in crate::endpoint) fn snapshot_id(
        &mut self,
        member: &str,
        text: Option<&str>,
    ) -> Option<SnapshotId> {
        let text = text?;
        let id = text.parse().ok();
        self.length(member, Some(text), 1, 64);
        if id.is_none() && text.len() <= 64 {
            self.broken(member, text, "satisfy regular expression pattern: ^snap-[0-9a-f]+$");
        }
        id
    }

    /// A token's characters. Live tokens are URL-safe base64, which the published model does not yet say.
    pub(in crate::endpoint) fn token(&mut self, member: &str, token: Option<&str>) {
        self.length(member, token, 1, 256);
        self.pattern(member, token, "^[A-Za-z0-9+/=_-]+$", |text| {
            text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b))
        });
    }

    /// A base64 checksum.
    pub(in crate::endpoint) fn checksum(&mut self, member: &str, checksum: Option<&str>) {
        self.length(member, checksum, 0, 64);
        self.pattern(member, checksum, "^[A-Za-z0-9+/=]+$", |text| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        });
    }

    /// A word of an enumeration.
    pub(in crate::endpoint) fn one_of(&mut self, member: &str, text: Option<&str>, word: &str) {
        if let Some(text) = text.filter(|text| *text != word) {
            self.broken(member, text, &format!("satisfy enum value set: [{word}]"));
        }
    }

    /// A block index that is a number already.
    pub(in crate::endpoint) fn index(&mut self, member: &str, value: Option<i64>) -> Option<BlockIndex> {
        self.range(member, value, 0, i64::from(i32::MAX));
        BlockIndex::try_from(value?).ok()
    }

    /// Nothing was broken, or the refusal that says what was.
    pub(in crate::endpoint) fn check(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(self.refusal()) }
    }

    /// The refusal that lists what was broken.
    pub(in crate::endpoint) fn refusal(self) -> Refusal {
        let errors = if self.0.len() == 1 { "error" } else { "errors" };
        let message = format!("{} validation {errors} detected: {}", self.0.len(), self.0.join("; "));
        Refusal::constraint(message)
    }
}

/// A query parameter that is an integer.
pub(in crate::endpoint) fn query_int(call: &Call, name: &str) -> Result<Option<i64>, Refusal> {
    int(name, call.query(name))
}

/// A header that is an integer.
pub(in crate::endpoint) fn header_int(call: &Call, name: &str) -> Result<Option<i64>, Refusal> {
    int(name, call.header(name))
}

/// An integer of the wire, `int32`: what is none cannot be read at all, which is not a constraint's matter.
pub(in crate::endpoint) fn int(name: &str, text: Option<&str>) -> Result<Option<i64>, Refusal> {
    let number = text.map(|text| text.parse::<i32>().map(i64::from)).transpose();
    number.map_err(|_| unreadable(format!("{name} is not a number of 32 bits")))
}

/// A request that does not have the form of its operation.
pub(in crate::endpoint) fn unreadable(message: String) -> Refusal {
    Refusal::common_with(StatusCode::BAD_REQUEST, "SerializationException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two are from the user guide and a recording.
    #[test]
    fn times_are_printed_as_java_prints_doubles() {
        for (millis, text) in [
            (1_592_983_796_490, "1.59298379649E9"),
            (1_790_922_504_246, "1.790922504246E9"),
            (1_700_000_000_000, "1.7E9"),
            (1_000_000_000_000, "1.0E9"),
            (10_000_000_000, "1.0E7"),
            (9_999_999_999, "9999999.999"),
            (1, "0.001"),
        ] {
            assert_eq!(scientific(millis), text);
            assert_eq!(print(&Time(UnixMillis(millis))), text.as_bytes());
        }
    }
}

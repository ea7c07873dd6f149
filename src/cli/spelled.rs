//! Values as they are typed that more than one command knows.

use crate::block::ByteSize;
use crate::snapshot::{Arn, IdError, SnapshotId, VolumeId};
use clap::builder::{ValueParser, ValueParserFactory};
use std::str::FromStr;
use std::time::Duration;

/// A span of time: `90s`, `20m`, `2h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
        let parsed = units.into_iter().find_map(|(unit, seconds)| {
            let n: u64 = text.strip_suffix(unit)?.parse().ok()?;
            n.checked_mul(seconds)
        });
        match parsed {
            Some(seconds) if seconds > 0 => Ok(Self(Duration::from_secs(seconds))),
            _ => Err("expected a whole number above 0 and s, m, h or d, as in 20m"),
        }
    }
}

/// A short span of time: `500us`, `20ms`, `1s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub Duration);

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let units = [("us", 1), ("ms", 1_000), ("s", 1_000_000)];
        let parsed = units.into_iter().find_map(|(unit, micros)| {
            let n: u64 = text.strip_suffix(unit)?.parse().ok()?;
            n.checked_mul(micros)
        });
        match parsed {
            Some(micros) if micros > 0 => Ok(Self(Duration::from_micros(micros))),
            _ => Err("expected a whole number above 0 and us, ms or s, as in 20ms"),
        }
    }
}

/// Data in a second: `200MiB/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PerSecond(pub ByteSize);

impl FromStr for PerSecond {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let amount = text.strip_suffix("/s").unwrap_or(text);
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("KB", 1_000), ("MB", 1_000_000)];
        let units = units.into_iter().chain([("GB", 1_000_000_000)]);
        let parsed = units.into_iter().find_map(|(unit, bytes)| {
            let n: u64 = amount.strip_suffix(unit)?.parse().ok()?;
            n.checked_mul(bytes)
        });
        match parsed {
            Some(bytes) if bytes > 0 => Ok(Self(ByteSize::from_bytes(bytes))),
            _ => Err("expected a whole number above 0 and KiB/s, MiB/s or GiB/s, as in 200MiB/s"),
        }
    }
}

/// An age: a span of time, or `0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age(pub Duration);

impl FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "0s" => Ok(Self(Duration::ZERO)),
            _ => text.parse().map(|Span(span)| Self(span)),
        }
    }
}

/// The days of a cycle: `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days(pub u32);

impl FromStr for Days {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
        days.filter(|days| (1..=3_650).contains(days))
            .map(Self)
            .ok_or("expected a whole number of days from 1d to 3650d, as in 30d")
    }
}

/// A snapshot, possibly of another place: `snap-..`, `snap-..@region`, `snap-..@region#profile`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    pub id: SnapshotId,
    pub region: Option<String>,
    pub profile: Option<String>,
}

impl Elsewhere {
    /// `None` where it does not look like a snapshot at all: then it is a path.
    pub(crate) fn parse(text: &str) -> Option<Result<Self, String>> {
        (text.starts_with("snap-") || Arn::parse(text).is_some_and(|arn| arn.kind == "snapshot"))
            .then(|| text.parse())
    }
}

impl FromStr for Elsewhere {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, place) = match text.split_once('@') {
            Some((id, place)) => (id, Some(place)),
            None => (text, None),
        };
        let arn = Arn::parse(id);
        let id = id_of(id, "snapshot")?;
        let refused = || format!("'{text}': expected a Region after @ and a profile after #");
        let (region, profile) = match place.map(|place| place.split_once('#').unwrap_or((place, ""))) {
            Some(("", "")) => return Err(refused()),
            Some((region, profile)) => (region, profile),
            None => ("", ""),
        };
        let region = match arn {
            Some(arn) if !region.is_empty() && arn.region != region => {
                return Err(format!("'{text}': the ARN is of Region {}, not of {region}", arn.region));
            }
            Some(arn) => arn.region,
            None => region,
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Self { id, region: some(region), profile: some(profile) })
    }
}

/// Reads an id, or the ARN of a resource of this kind.
pub(crate) fn id_of<T: FromStr<Err = IdError>>(text: &str, kind: &str) -> Result<T, String> {
    let id = match Arn::parse(text) {
        Some(arn) if arn.kind != kind => return Err(format!("'{text}' is the ARN of no {kind}")),
        Some(arn) => arn.id,
        None => text,
    };
    id.parse().map_err(|error: IdError| error.to_string())
}

impl ValueParserFactory for SnapshotId {
    type Parser = ValueParser;

    /// Takes an ARN for the id in it. The Region of the ARN is looked at once all arguments are known.
    fn value_parser() -> ValueParser {
        ValueParser::new(|text: &str| id_of::<Self>(text, "snapshot"))
    }
}

impl ValueParserFactory for VolumeId {
    type Parser = ValueParser;

    /// Takes an ARN for the id in it. The Region of the ARN is looked at once all arguments are known.
    fn value_parser() -> ValueParser {
        ValueParser::new(|text: &str| id_of::<Self>(text, "volume"))
    }
}

/// The words of a line: separated by blanks, kept together by double quotes.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut is_quoted, mut is_word) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (is_quoted, is_word) = (!is_quoted, true),
            c if c.is_whitespace() && !is_quoted => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => {
                is_word = true;
                word.push(c);
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_days_are_numbers_with_a_unit() {
        for (text, seconds) in [("90s", 90), ("20m", 1_200), ("2h", 7_200), ("30d", 2_592_000)] {
            assert_eq!(text.parse::<Span>().unwrap().0.as_secs(), seconds);
        }
        for bad in ["", "20", "m", "0s", "-1s", "1.5h", "99999999999999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        assert_eq!("30d".parse(), Ok(Days(30)));
        assert!("30".parse::<Days>().is_err() && "0d".parse::<Days>().is_err());
    }

    #[test]
    fn moments_and_rates_are_numbers_with_a_unit() {
        for (text, micros) in [("500us", 500), ("20ms", 20_000), ("1s", 1_000_000)] {
            assert_eq!(text.parse::<Moment>().unwrap().0.as_micros(), micros);
        }
        for (text, bytes) in [("200MiB/s", 209_715_200), ("250MB/s", 250_000_000), ("64KiB/s", 65_536)] {
            assert_eq!(text.parse::<PerSecond>().unwrap().0.bytes(), bytes);
        }
        assert!("20".parse::<Moment>().is_err() && "0ms".parse::<Moment>().is_err());
        assert!("200".parse::<PerSecond>().is_err() && "0MiB/s".parse::<PerSecond>().is_err());
    }

    #[test]
    fn a_snapshot_may_name_its_place() {
        let parsed = |text: &str| {
            let place: Elsewhere = text.parse().unwrap();
            (place.id.to_string(), place.region.unwrap_or_default(), place.profile.unwrap_or_default())
        };
        let is =
            |id: &str, region: &str, profile: &str| (id.to_owned(), region.to_owned(), profile.to_owned());
        assert_eq!(parsed("snap-0a"), is("snap-0a", "", ""));
        assert_eq!(parsed("snap-0a@eu-west-1"), is("snap-0a", "eu-west-1", ""));
        assert_eq!(parsed("snap-0a@eu-west-1#audit"), is("snap-0a", "eu-west-1", "audit"));
        assert_eq!(parsed("snap-0a@#audit"), is("snap-0a", "", "audit"));
        assert!("snap-0a@".parse::<Elsewhere>().is_err() && "snap-zz".parse::<Elsewhere>().is_err());
        assert!(Elsewhere::parse("disk.img").is_none());
    }

    #[test]
    fn the_region_of_an_arn_is_the_place_of_the_snapshot() {
        let arn = "arn:aws:ec2:eu-west-1::snapshot/snap-0a";
        let place = Elsewhere::parse(arn).unwrap().unwrap();
        assert_eq!((place.id.as_str(), place.region.as_deref()), ("snap-0a", Some("eu-west-1")));
        let same = format!("{arn}@eu-west-1#audit").parse::<Elsewhere>().unwrap();
        assert_eq!((same.region.as_deref(), same.profile.as_deref()), (Some("eu-west-1"), Some("audit")));
        let error = format!("{arn}@us-east-1").parse::<Elsewhere>().unwrap_err();
        assert!(error.contains("of Region eu-west-1, not of us-east-1"), "{error}");
        assert!(Elsewhere::parse("arn:aws:ec2:eu-west-1:1:volume/vol-0a").is_none());
    }

    #[test]
    fn words_are_kept_together_by_quotes() {
        assert_eq!(words("  a \"b c\" d\"e f\" \"\" "), ["a", "b c", "de f", ""]);
        assert!(words(" \t ").is_empty());
    }
}

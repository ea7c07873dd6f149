//! What a report tells of itself, found in it while it is read once: however long it is, nothing else is held.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::{self, Read};

/// What a statement says of its report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Its schema.
    pub(super) schema: Option<String>,
    /// Its state.
    pub(super) state: Option<String>,
    /// The state of the verification that it holds beside its own work; the worst of several.
    pub(super) verified: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Schema,
    State,
    Verified,
}

/// A text, and the keys that lead to it.
type Wanted = (What, &'static [&'static str]);

/// In place of a key: every element of a list.
const EACH: &str = "[]";

/// A key that holds something else than a text in another report tells nothing there.
const WANTED: [Wanted; 4] = [
    (What::Schema, &["schema"]),
    (What::State, &["state"]),
    (What::Verified, &["verified", "state"]),
    (What::Verified, &["items", EACH, "report", "verified", "state"]),
];

/// A state that nobody knows is worse than any: its position is `None`.
const WORST_FIRST: [&str; 4] = ["fail", "changed_since_restore", "incomplete", "pass"];

impl Told {
    /// By this report. What is no JSON tells nothing.
    pub(super) fn by(report: impl Read) -> io::Result<Self> {
        let mut texts = Vec::new();
        let within = Within { wanted: WANTED.to_vec(), texts: &mut texts };
        match within.deserialize(&mut serde_json::Deserializer::from_reader(report)) {
            Err(error) if error.is_io() => return Err(error.into()),
            Err(_) => return Ok(Self::default()),
            Ok(()) => {}
        }
        let said = |what| texts.iter().filter(move |(of, _)| *of == what).map(|(_, text)| text);
        let badness = |state: &&String| WORST_FIRST.iter().position(|known| known == state);
        Ok(Self {
            schema: said(What::Schema).next().cloned(),
            state: said(What::State).next().cloned(),
            verified: said(What::Verified).min_by_key(badness).cloned(),
        })
    }
}

/// A value of any shape, and what is wanted in it.
struct Within<'a> {
    wanted: Vec<Wanted>,
    texts: &'a mut Vec<(What, String)>,
}

impl Within<'_> {
    /// What is wanted one step further down.
    fn behind(&self, key: &str) -> Vec<Wanted> {
        let rest = |(what, path): &Wanted| match path {
            [first, rest @ ..] if *first == key => Some((*what, rest)),
            _ => None,
        };
        self.wanted.iter().filter_map(rest).collect()
    }
}

impl<'de> DeserializeSeed<'de> for Within<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        match self.wanted.is_empty() {
            true => IgnoredAny::deserialize(input).map(drop),
            false => input.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Within<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let wanted = self.behind(&key);
            map.next_value_seed(Within { wanted, texts: self.texts })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(()) =
            list.next_element_seed(Within { wanted: self.behind(EACH), texts: self.texts })?
        {}
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let here = self.wanted.iter().filter(|(_, path)| path.is_empty());
        self.texts.extend(here.map(|(what, _)| (*what, text.to_owned())));
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(report: &str, schema: Option<&str>, state: Option<&str>, verified: Option<&str>) {
        let told = Told::by(report.as_bytes()).unwrap();
        let found = [&told.schema, &told.state, &told.verified].map(Option::as_deref);
        assert_eq!(found, [schema, state, verified], "{report}");
    }

    #[test]
    fn what_stands_at_the_known_places_is_told_and_nothing_else() {
        check(r#"{"schema":"s","state":"pass"}"#, Some("s"), Some("pass"), None);
        check(
            r#"{"x":[{"state":"no"}],"verified":{"a":{"state":"no"},"state":"pass"}}"#,
            None,
            None,
            Some("pass"),
        );
        check(r#"{"items":[1,{"report":null},{"report":{"state":"no","verified":{}}}]}"#, None, None, None);
        check(r#"{"schema":1,"state":[null,{}],"verified":true,"items":-1.5e3}"#, None, None, None);
        check(r#"["schema","state"]"#, None, None, None);
        check("", None, None, None);
        check(r#"{"schema":"s","state":"cut"#, None, None, None);
    }

    #[test]
    fn of_several_verifications_the_worst_is_told_and_one_that_nobody_knows_is_worse() {
        let items = |states: &[&str]| {
            let item = |state: &&str| format!(r#"{{"report":{{"verified":{{"state":"{state}"}}}}}}"#);
            format!(r#"{{"items":[{}]}}"#, states.iter().map(item).collect::<Vec<_>>().join(","))
        };
        let mut states = WORST_FIRST.to_vec();
        states.insert(0, "odd");
        while let Some((worst, _)) = states.split_first() {
            check(&items(&states), None, None, Some(worst));
            let reversed: Vec<_> = states.iter().rev().copied().collect();
            check(&items(&reversed), None, None, Some(worst));
            states.remove(0);
        }
    }

    #[test]
    fn a_report_that_cannot_be_read_is_an_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
        }
        assert_eq!(Told::by(Broken).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}

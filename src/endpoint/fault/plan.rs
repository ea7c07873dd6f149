//! Fault plans: a rule a line, read once, asked for every request.

use crate::endpoint::act;
use crate::endpoint::fault::Effect;
use crate::endpoint::fault::code::Code;
use crate::fault::Scope;
use crate::shelf::Fate;
use crate::snapshot::SnapshotId;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// What goes wrong with which requests. Empty, nothing does. Parsed from the format that `faults.md` describes.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    rules: Vec<Rule>,
}

/// Why a text is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// Line, from 1.
    pub line: usize,
    /// Column, in characters from 1.
    pub column: usize,
    what: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for PlanError {}

/// One line. `None` where it does not care.
#[derive(Clone, Debug)]
struct Rule {
    operation: Option<&'static str>,
    snapshot: Option<SnapshotId>,
    block: Option<RangeInclusive<u64>>,
    nth: Option<RangeInclusive<u64>>,
    /// Of all requests that the rest of the line is about, in billionths.
    share: Option<u64>,
    seed: u64,
    effect: Effect,
}

const BILLION: u64 = 1_000_000_000;

/// Longest pause between two pieces of a slow body: an hour outlasts every client's patience.
const LONGEST_PAUSE: u64 = 3_600_000;

const EFFECTS: [(&str, Effect); 21] = [
    ("throttle=account", Effect::Throttled(Scope::Account)),
    ("throttle=snapshot", Effect::Throttled(Scope::Snapshot)),
    ("error=404", Effect::NotFound),
    ("error=500", Effect::Fails),
    ("error=503", Effect::Unavailable),
    ("denied", Effect::Denied),
    ("expired=token", Effect::TokenExpired),
    ("expired=credentials", Effect::CredentialsExpired),
    ("reset", Effect::Reset),
    ("lost", Effect::Lost),
    ("stall", Effect::Stalls),
    ("body=truncated", Effect::Truncated),
    ("body=short", Effect::Short),
    ("body=oversized", Effect::Oversized),
    ("body=wrong", Effect::WrongBody),
    ("body=misdirected", Effect::Misdirected),
    ("checksum=wrong", Effect::WrongChecksum),
    ("checksum=missing", Effect::NoChecksum),
    ("ends=error", Effect::Ends(Fate::Fails)),
    ("ends=gone", Effect::Ends(Fate::Vanishes)),
    ("ends=never", Effect::Ends(Fate::Sticks)),
];

/// Every effect that is one word, and that word.
fn words() -> impl Iterator<Item = (&'static str, Effect)> {
    EFFECTS.into_iter().chain(Code::effects())
}

const CONDITIONS: &str = "block=N, block=N-M, nth=N, nth=N-M, nth=N-, share=0.01, seed=N, snapshot=snap-..";

impl Plan {
    /// Whether any rule is about this operation.
    pub(super) fn concerns(&self, operation: &str) -> bool {
        self.rules.iter().any(|rule| rule.concerns(operation))
    }

    /// What the `nth` request for this meets: the first rule that fits says it.
    pub(super) fn effect(
        &self,
        operation: &str,
        snapshot: &str,
        index: Option<u64>,
        nth: u32,
    ) -> Option<Effect> {
        let mut rules = self.rules.iter();
        rules.find(|rule| rule.fits(operation, snapshot, index, nth)).map(|rule| rule.effect)
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut rules = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let line = Line { number: n + 1, text: line.split('#').next().unwrap_or_default() };
            rules.extend(line.rule()?);
        }
        Ok(Self { rules })
    }
}

impl Rule {
    fn concerns(&self, operation: &str) -> bool {
        self.operation.is_none_or(|named| named == operation) && self.effect.suits(operation)
    }

    fn fits(&self, operation: &str, snapshot: &str, index: Option<u64>, nth: u32) -> bool {
        self.concerns(operation)
            && self.snapshot.as_ref().is_none_or(|id| id.as_str() == snapshot)
            && self.block.as_ref().is_none_or(|blocks| index.is_some_and(|index| blocks.contains(&index)))
            && self.nth.as_ref().is_none_or(|range| range.contains(&nth.into()))
            && self.share.is_none_or(|share| self.draw(operation, index, nth) < share)
    }

    /// Below a billion, and the same for the same request: a snapshot's id does not count, since the next run's
    /// snapshots have others.
    fn draw(&self, operation: &str, index: Option<u64>, nth: u32) -> u64 {
        let words = [self.seed, index.map_or(u64::MAX, |index| index), u64::from(nth)];
        let bytes = operation.bytes().map(u64::from).chain(words);
        bytes.fold(0, |mixed, word| mix(mixed ^ word)) % BILLION
    }
}

/// splitmix64's step: every bit of the word reaches every bit of the result.
const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A line without its comment.
#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    text: &'a str,
}

/// A word and where it begins, in characters from 1.
#[derive(Clone, Copy)]
struct Word<'a> {
    line: usize,
    column: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn words(self) -> impl Iterator<Item = Word<'a>> {
        self.text.split_whitespace().map(move |text| {
            // Both are slices of one line.
            let before = text.as_ptr().addr() - self.text.as_ptr().addr();
            let column = self.text[..before].chars().count() + 1;
            Word { line: self.number, column, text }
        })
    }

    /// The rule that stands here; `None` on an empty line.
    fn rule(self) -> Result<Option<Rule>, PlanError> {
        let mut words = self.words();
        let Some(first) = words.next() else { return Ok(None) };
        let operation = first.operation()?;
        // Two lines of one plan draw differently unless they are told not to.
        let seed = u64::try_from(self.number).unwrap_or_default();
        let (mut snapshot, mut block, mut nth, mut share, mut seeded) = (None, None, None, None, None);
        let mut effect: Option<Effect> = None;
        for word in words {
            let (name, value) = word.text.split_once('=').unwrap_or((word.text, ""));
            let repeated = match name {
                "snapshot" => snapshot.replace(word.snapshot(value)?).is_some(),
                "block" => block.replace(word.range(value, 0)?).is_some(),
                "nth" => nth.replace(word.range(value, 1)?).is_some(),
                "share" => share.replace(word.share(value)?).is_some(),
                "seed" => seeded.replace(word.number(value)?).is_some(),
                _ => match effect {
                    None => effect.replace(word.effect(operation)?).is_some(),
                    Some(_) => return Err(word.wrong("a rule has one effect, and one stands before")),
                },
            };
            if repeated {
                return Err(word.wrong(format!("{name}= stands there twice")));
            }
        }
        let Some(effect) = effect else {
            return Err(first.wrong(format!("the rule says not what happens: add {}", effects(operation))));
        };
        Ok(Some(Rule { operation, snapshot, block, nth, share, seed: seeded.unwrap_or(seed), effect }))
    }
}

impl Word<'_> {
    fn wrong(self, what: impl Into<String>) -> PlanError {
        PlanError { line: self.line, column: self.column, what: what.into() }
    }

    /// `None` is every operation.
    fn operation(self) -> Result<Option<&'static str>, PlanError> {
        if self.text == "*" {
            return Ok(None);
        }
        let known = act::names().find(|name| *name == self.text);
        known.map(Some).ok_or_else(|| {
            let names = act::names().collect::<Vec<_>>().join(", ");
            self.wrong(format!("'{}' is no operation; allowed are * and {names}", self.text))
        })
    }

    fn effect(self, operation: Option<&'static str>) -> Result<Effect, PlanError> {
        let effect = match self.text.strip_prefix("slow=") {
            Some(millis) => match self.number(millis)? {
                0..=LONGEST_PAUSE => Some(Effect::Slow(Duration::from_millis(self.number(millis)?))),
                _ => return Err(self.wrong(format!("slow= takes at most {LONGEST_PAUSE} milliseconds"))),
            },
            None => words().find(|(word, _)| *word == self.text).map(|(_, effect)| effect),
        };
        let Some(effect) = effect else {
            let allowed = effects(operation);
            let what =
                format!("'{}' is neither a condition ({CONDITIONS}) nor an effect ({allowed})", self.text);
            return Err(self.wrong(what));
        };
        match operation {
            Some(operation) if !effect.suits(operation) => Err(self.wrong(format!(
                "{operation} cannot meet '{}'; it can meet {}",
                self.text,
                effects(Some(operation))
            ))),
            _ => Ok(effect),
        }
    }

    fn number(self, value: &str) -> Result<u64, PlanError> {
        value.parse().map_err(|_| self.wrong(format!("'{value}' is no whole number")))
    }

    /// `3`, `3-5`, or `3-` for all from 3 on.
    fn range(self, value: &str, least: u64) -> Result<RangeInclusive<u64>, PlanError> {
        let (first, last) = match value.split_once('-') {
            None => (self.number(value)?, self.number(value)?),
            Some((first, "")) => (self.number(first)?, u64::MAX),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
        };
        if first < least || last < first {
            return Err(
                self.wrong(format!("'{value}' is no range; allowed are N, N-M and N-, from {least} on"))
            );
        }
        Ok(first..=last)
    }

    /// In billionths, read digit by digit: what is written is what is meant.
    fn share(self, value: &str) -> Result<u64, PlanError> {
        let wrong = || self.wrong(format!("'{value}' is no share; allowed are decimals above 0, at most 1"));
        let (whole, decimals) = value.split_once('.').unwrap_or((value, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !are_digits(whole) || !are_digits(decimals) || decimals.len() > 9 || whole.len() > 1 {
            return Err(wrong());
        }
        let billionths = format!("{whole}{decimals:0<9}").parse().map_err(|_| wrong())?;
        if (1..=BILLION).contains(&billionths) { Ok(billionths) } else { Err(wrong()) }
    }

    fn snapshot(self, value: &str) -> Result<SnapshotId, PlanError> {
        value.parse().map_err(|_| self.wrong(format!("'{value}' is no snapshot's id, as snap-0abc")))
    }
}

/// The effects that an operation can meet, for a message.
fn effects(operation: Option<&str>) -> String {
    let suits = |effect: &Effect| operation.is_none_or(|operation| effect.suits(operation));
    let words = words().filter(|(_, effect)| suits(effect)).map(|(word, _)| word);
    words.chain(["slow=MS"]).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;

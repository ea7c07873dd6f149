//! Pages of EC2's describe actions.

use crate::endpoint::act::World;
use crate::endpoint::token::Kind;
use crate::endpoint::wire::ec2::bad;
use crate::endpoint::wire::{Call, Refusal};
use crate::snapshot::UnixMillis;
use std::fmt::Display;
use std::ops::RangeInclusive;

/// Which part of a list is asked for. A page ends where the number of its last thing says, so that what is deleted
/// between two pages hides nothing else.
#[derive(Debug)]
pub(super) struct Paging {
    operation: &'static str,
    limit: Option<usize>,
    after: Option<u64>,
    now: UnixMillis,
}

impl Paging {
    /// What the request says, of an operation whose pages hold so many.
    pub(super) fn parse(
        world: &World,
        call: &Call,
        operation: &'static str,
        sizes: RangeInclusive<usize>,
        now: UnixMillis,
    ) -> Result<Self, Refusal> {
        let limit = call.query("MaxResults").map(|text| {
            let size = text.parse::<usize>().ok().filter(|size| sizes.contains(size));
            size.ok_or_else(|| {
                let (least, most) = (sizes.start(), sizes.end());
                let message = format!(
                    "Value ( {text} ) for parameter maxResults is invalid. Expecting a value between {least} and \
                     {most}."
                );
                bad("InvalidParameterValue", message)
            })
        });
        let token = call.query("NextToken").filter(|token| !token.is_empty());
        let after = token.map(|token| {
            let position = world.seal.open(Kind::DescribePage, &[operation], token, now);
            position.ok_or_else(|| bad("InvalidParameterValue", "Unable to parse pagination token"))
        });
        Ok(Self { operation, limit: limit.transpose()?, after: after.transpose()?, now })
    }

    /// Refuses pages of things that are named, in this parameter.
    pub(super) fn without<T>(self, names: &[T], parameter: &str) -> Result<Self, Refusal> {
        if !names.is_empty() && (self.limit.is_some() || self.after.is_some()) {
            let message = format!("The parameter {parameter} cannot be used with the parameter maxResults");
            return Err(bad("InvalidParameterCombination", message));
        }
        Ok(self)
    }

    /// The page, and the token of the next one. `number` grows from each thing to the next.
    pub(super) fn cut<T>(
        self,
        world: &World,
        mut things: Vec<T>,
        number: impl Fn(&T) -> u64,
    ) -> (Vec<T>, Option<String>) {
        things.retain(|thing| self.after.is_none_or(|after| number(thing) > after));
        let limit = self.limit.filter(|limit| things.len() > *limit);
        let next = limit.map(|limit| {
            things.truncate(limit);
            let last = things.last().map_or(0, &number);
            world.seal.page(Kind::DescribePage, &[self.operation], last, self.now)
        });
        (things, next)
    }
}

/// Those of them that are named, or all, in order of their numbers. `missing` is what is said of one that is not there.
pub(super) fn chosen<T>(
    mut things: Vec<T>,
    names: &[impl Display],
    id: impl Fn(&T) -> &str,
    missing: impl Fn(&str) -> Refusal,
) -> Result<Vec<T>, Refusal> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    if let Some(name) = names.iter().find(|name| !things.iter().any(|thing| id(thing) == **name)) {
        return Err(missing(name));
    }
    things.retain(|thing| names.is_empty() || names.iter().any(|name| id(thing) == *name));
    things.sort_by_key(|thing| number(id(thing)));
    Ok(things)
}

/// The number in an id: its last sixteen hexadecimal digits.
pub(super) fn number(id: &str) -> u64 {
    let digits = id.rsplit('-').next().unwrap_or_default();
    let from = digits.len().saturating_sub(16);
    u64::from_str_radix(&digits[from..], 16).unwrap_or(0)
}

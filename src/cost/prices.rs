//! What a Region charges, from a dated table.

use crate::cost::{RequestPrices, Usd};
use std::collections::{BTreeMap, BTreeSet};

/// The table that comes with the program: each number with its source.
const LISTED: &str = include_str!("prices.txt");

const STANDARD: &str = "standard-gb-month";
const ARCHIVE: &str = "archive-gb-month";
const RETRIEVAL: &str = "archive-retrieval";
const FAST_RESTORE: &str = "fast-restore-hour";
const REQUESTS: [&str; 3] = ["list-1000", "get-1000", "put-1000"];
const ITEMS: [&str; 7] = [STANDARD, ARCHIVE, RETRIEVAL, FAST_RESTORE, REQUESTS[0], REQUESTS[1], REQUESTS[2]];

/// Prices of several Regions.
///
/// A table is text: `as-of DATE`, then a line `REGION ITEM PRICE` for each price; `#` begins a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceTable {
    as_of: String,
    prices: BTreeMap<(String, String), Usd>,
}

/// What one Region charges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// The Region.
    pub region: String,
    /// The date of the table.
    pub as_of: String,
    /// A GiB in the standard tier, a month.
    pub standard: Usd,
    /// A GiB in the archive tier, a month.
    pub archive: Usd,
    /// Retrieving a GiB from the archive tier; `None` where the table does not say.
    pub retrieval: Option<Usd>,
    /// A snapshot enabled for fast restore in one zone, an hour; `None` where the table does not say.
    pub fast_restore: Option<Usd>,
    /// Requests: the Region's own prices, or us-east-1's.
    pub requests: RequestPrices,
}

/// Why there are no prices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// A line that is none of a price table.
    #[error("line {line}: {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// No date.
    #[error("the table does not say 'as-of DATE'")]
    Undated,
    /// A Region that the table does not have, or not wholly.
    #[error(
        "no {item} price is known for Region {region} (known: {known}); give a table with its prices: --prices FILE"
    )]
    Unknown {
        /// The Region.
        region: String,
        /// What is missing.
        item: &'static str,
        /// Regions that are there.
        known: String,
    },
}

impl PriceTable {
    /// The table that comes with the program.
    pub fn listed() -> Self {
        LISTED.parse().unwrap_or_else(|error| unreachable!("a test reads it: {error}"))
    }

    /// What a Region charges.
    pub fn region(&self, region: &str) -> Result<Prices, PriceError> {
        let price =
            |region: &str, item: &str| self.prices.get(&(region.to_owned(), item.to_owned())).copied();
        let needed = |item: &'static str| {
            price(region, item).ok_or_else(|| PriceError::Unknown {
                region: region.to_owned(),
                item,
                known: self.regions(),
            })
        };
        let request = |item, listed: Usd| price(region, item).map_or(listed, |usd| usd.divided(1000));
        let listed = RequestPrices::LISTED;
        Ok(Prices {
            region: region.to_owned(),
            as_of: self.as_of.clone(),
            standard: needed(STANDARD)?,
            archive: needed(ARCHIVE)?,
            retrieval: price(region, RETRIEVAL),
            fast_restore: price(region, FAST_RESTORE),
            requests: RequestPrices {
                list: request(REQUESTS[0], listed.list),
                get: request(REQUESTS[1], listed.get),
                put: request(REQUESTS[2], listed.put),
            },
        })
    }

    /// Those of which both monthly prices are there.
    fn regions(&self) -> String {
        let has = |region: &String, item: &str| self.prices.contains_key(&(region.clone(), item.to_owned()));
        let named: BTreeSet<&String> = self.prices.keys().map(|(region, _)| region).collect();
        let whole: Vec<&str> = named
            .into_iter()
            .filter(|region| has(region, STANDARD) && has(region, ARCHIVE))
            .map(String::as_str)
            .collect();
        if whole.is_empty() { "none".to_owned() } else { whole.join(", ") }
    }
}

impl std::str::FromStr for PriceTable {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let (mut as_of, mut prices) = (None, BTreeMap::new());
        for (number, line) in text.lines().enumerate() {
            let refused = |what: String| PriceError::Line { line: number + 1, what };
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                ["as-of", date] => as_of = Some((*date).to_owned()),
                [region, item, price] => {
                    if !ITEMS.contains(item) {
                        return Err(refused(format!("'{item}' is none of {}", ITEMS.join(", "))));
                    }
                    let price = price.parse().map_err(|error| refused(format!("{error}")))?;
                    if prices.insert(((*region).to_owned(), (*item).to_owned()), price).is_some() {
                        return Err(refused(format!("{region} {item} was given before")));
                    }
                }
                _ => return Err(refused("expected REGION ITEM PRICE, or as-of DATE".to_owned())),
            }
        }
        Ok(Self { as_of: as_of.ok_or(PriceError::Undated)?, prices })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_the_listed_table_has_a_source() {
        let is_price = |line: &&str| !line.is_empty() && !line.starts_with('#') && !line.starts_with("as-of");
        let prices: Vec<_> = LISTED.lines().filter(is_price).collect();
        assert!(prices.len() > 10 && prices.iter().all(|line| line.contains("  # ")), "{prices:?}");
        assert_eq!(PriceTable::listed().prices.len(), prices.len());
    }

    #[test]
    fn regions_charge_what_the_table_says() {
        let table = PriceTable::listed();
        let sydney = table.region("ap-southeast-2").unwrap();
        assert_eq!((sydney.standard.exact(), sydney.archive.exact()), ("0.055".into(), "0.01375".into()));
        assert_eq!((sydney.retrieval, sydney.as_of.as_str()), (None, "2026-09-13"));
        let virginia = table.region("us-east-1").unwrap();
        assert_eq!(virginia.requests, RequestPrices::LISTED);
        assert_eq!(virginia.fast_restore, Some("0.75".parse().unwrap()));
    }

    #[test]
    fn an_unknown_region_is_an_error_that_names_the_flag() {
        let error = PriceTable::listed().region("mars-1").unwrap_err().to_string();
        assert!(error.contains("mars-1") && error.contains("--prices FILE"), "{error}");
        let half: PriceTable = "as-of 2026-01-01\nmars-1 standard-gb-month 0.07".parse().unwrap();
        let error = half.region("mars-1").unwrap_err().to_string();
        assert!(error.contains("archive-gb-month"), "{error}");
    }

    #[test]
    fn a_bad_table_names_its_line() {
        for (text, said) in [
            ("us-east-1 standard-gb-month 0.05", "as-of"),
            ("as-of 2026-01-01\nus-east-1 standard 0.05", "line 2: 'standard' is none of"),
            ("as-of 2026-01-01\nus-east-1 standard-gb-month five", "line 2: 'five' is not an amount"),
            ("as-of 2026-01-01\nus-east-1 0.05", "line 2: expected REGION ITEM PRICE"),
            ("as-of x\na archive-gb-month 1\na archive-gb-month 2", "line 3: a archive-gb-month was given"),
        ] {
            let error = text.parse::<PriceTable>().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}

//! What a run's requests cost, and how long the quotas make them take.

use crate::cost::Usd;

/// Prices of the EBS direct APIs per request (EBS user guide, "ebsapi-pricing": us-east-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestPrices {
    /// ListSnapshotBlocks, ListChangedBlocks.
    pub list: Usd,
    /// GetSnapshotBlock.
    pub get: Usd,
    /// PutSnapshotBlock.
    pub put: Usd,
}

impl RequestPrices {
    /// 0.0006, 0.003 and 0.006 USD for 1,000 requests.
    pub const LISTED: Self =
        Self { list: Usd::from_nanos(600), get: Usd::from_nanos(3_000), put: Usd::from_nanos(6_000) };
}

/// How much a run will ask for, before it asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Pages listed.
    pub lists: u64,
    /// Blocks read.
    pub gets: u64,
    /// Blocks written.
    pub puts: u64,
}

impl Estimate {
    /// Most entries on a page.
    pub const PAGE: u64 = 10_000;

    /// The price of it all.
    pub fn usd(&self, prices: &RequestPrices) -> Usd {
        [prices.list.times(self.lists), prices.get.times(self.gets), prices.put.times(self.puts)]
            .into_iter()
            .sum()
    }

    /// Seconds that the block requests take at this many a second, at least one.
    pub fn seconds_at(&self, per_second: u64) -> u64 {
        (self.gets + self.puts).div_ceil(per_second.max(1)).max(1)
    }

    /// Number of requests.
    pub fn requests(&self) -> u64 {
        self.lists + self.gets + self.puts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_worked_examples_come_out() {
        let price = |lists, gets, puts| Estimate { lists, gets, puts }.usd(&RequestPrices::LISTED).exact();
        assert_eq!(price(100_000, 0, 0), "0.06");
        assert_eq!(price(0, 100_000, 0), "0.30");
        assert_eq!(price(0, 0, 100_000), "0.60");
    }

    #[test]
    fn a_full_tib_is_six_dollars_and_thirty_five_minutes() {
        let tib = Estimate { lists: 210, gets: 2_097_152, puts: 0 };
        assert_eq!(tib.usd(&RequestPrices::LISTED).exact(), "6.291582");
        assert_eq!(tib.seconds_at(1_000), 2_098);
    }
}

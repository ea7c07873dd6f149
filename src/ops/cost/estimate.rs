//! What an inspection will cost, before anything of it is listed.

use crate::block::BlockSize;
use crate::cost::{Against, Estimate, Kinship, Usd};
use crate::fault::Fault;
use crate::ops::cost::lister::{identity, place};
use crate::ops::cost::{Facts, Options};
use crate::ops::{Engine, Services};
use crate::pipeline::Kept;
use crate::snapshot::SnapshotInfo;
use std::time::Duration;

/// What `icecore cost --estimate` found.
#[derive(Clone, Debug)]
#[must_use]
pub struct EstimateReport {
    /// Snapshots that can be looked at.
    pub snapshots: usize,
    /// Listings that it takes, at most.
    pub listings: u64,
    /// Of these, kept from earlier runs.
    pub kept: u64,
    /// Pages that have to be asked for, at most.
    pub requests: u64,
    /// What they cost.
    pub usd: Usd,
    /// How long they take at the rate that the quota allows; `None` where there is none.
    pub time: Option<Duration>,
}

/// Asks for the facts only. Every listing is taken for as long as it can be: as if all blocks had been written anew.
pub async fn estimate(
    options: &Options,
    services: &Services,
    engine: &Engine,
) -> Result<EstimateReport, Fault> {
    let facts = Facts::ask(services, engine).await?;
    Ok(of(&facts, options, services, engine))
}

fn of(facts: &Facts, options: &Options, services: &Services, engine: &Engine) -> EstimateReport {
    let kinship = Kinship::of(&facts.kin(), &[]);
    let kept_listings = options.keeps_listings.then(|| Kept::below(&engine.settings.state_dir));
    let place = place(options, services);
    let (mut snapshots, mut listings, mut kept, mut requests) = (0, 0, 0, 0);
    for (at, info) in facts.snapshots.iter().enumerate() {
        let Some(against) = kinship.against(at) else { continue };
        snapshots += 1;
        let others: Vec<Option<usize>> = match against {
            Against::Nothing => vec![None],
            Against::One(one) => vec![Some(*one)],
            Against::Any { kin, strangers } => {
                let own = kin.iter().copied().take(options.compare).map(Some);
                // A stranger answers with one page that it is none; then the snapshot's own blocks are listed.
                requests += strangers.len().min(options.compare) as u64;
                if kin.is_empty() { vec![None] } else { own.collect() }
            }
        };
        for other in others {
            let first = other.map(|other| &facts.snapshots[other]);
            listings += 1;
            if kept_listings.as_ref().is_some_and(|all| all.has(&identity(&place, first, info))) {
                kept += 1;
                continue;
            }
            let most = first.map_or(0, blocks).max(blocks(info));
            requests += most.div_ceil(Estimate::PAGE).max(1);
        }
    }
    let lists = Estimate { lists: requests, ..Estimate::default() };
    let usd = if services.max_usd.is_some() { lists.usd(&options.prices.requests) } else { Usd::ZERO };
    let rate = engine.settings.lists_per_second;
    let time = rate.map(|rate| Duration::from_secs(requests.div_ceil(u64::from(rate.max(1)))));
    EstimateReport { snapshots, listings, kept, requests, usd, time }
}

/// Blocks that it holds, or could.
fn blocks(info: &SnapshotInfo) -> u64 {
    info.full_size
        .map_or(info.volume_size.size(), |size| size)
        .bytes()
        .div_ceil(u64::from(BlockSize::EBS.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::ByteSize;
    use crate::control::conformance::sample;
    use crate::cost::PriceTable;
    use crate::ops::cost::Selection;
    use crate::pipeline::{Settings, Stop};
    use crate::source::memory::MemoryService;
    use std::sync::Arc;

    /// 365 snapshots of a full 1 TiB volume.
    #[test]
    fn a_year_of_a_full_tib_is_76_650_requests_and_26_minutes() {
        let year = (1..=365).map(|n| SnapshotInfo {
            volume_id: Some("vol-0a".parse().unwrap()),
            full_size: Some(ByteSize::from_bytes(1 << 40)),
            ..sample(n)
        });
        let memory = Arc::new(MemoryService::new(100));
        let services = Services {
            label: "memory".into(),
            identity: crate::aws::Identity::named("memory"),
            blocks: memory.clone(),
            writer: memory,
            snapshots: None,
            control: None,
            max_usd: Some(Usd::from_dollars(10)),
        };
        let mut settings = Settings::open("/nonexistent".into());
        settings.lists_per_second = Some(50);
        let engine = Engine::new(settings, Arc::new(crate::monitor::Silent), Stop::new());
        let options = Options {
            shown: Selection::default(),
            prices: PriceTable::listed().region("us-east-1").unwrap(),
            compare: 8,
            keeps_listings: true,
            max_requests: None,
            deadline: None,
            bin_days: None,
        };
        let report = of(&Facts::of(year.collect()), &options, &services, &engine);
        assert_eq!((report.snapshots, report.listings, report.kept), (365, 365, 0));
        assert_eq!((report.requests, report.usd.exact().as_str()), (76_650, "0.04599"));
        assert_eq!(report.time.unwrap().as_secs().div_ceil(60), 26);
    }
}

//! What an inspection will cost, before anything of it is listed.

use crate::block::BlockSize;
use crate::cost::{Against, Estimate, Survey, Usd};
use crate::fault::Fault;
use crate::ops::cost::gather::wanted;
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
    /// The same if snapshots whose descent nobody knows turn out to be related to all that they could be.
    pub most_requests: u64,
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
    of(&facts, options, services, engine)
}

fn of(
    facts: &Facts,
    options: &Options,
    services: &Services,
    engine: &Engine,
) -> Result<EstimateReport, Fault> {
    let mut survey = Survey::new(facts.kin(), wanted(facts, options)?, options.compare);
    let first_round = survey.round();
    let kept_listings = options.keeps_listings.then(|| Kept::below(engine.machine()));
    let place = place(options, services);
    let is_kept = |first: Option<usize>, second: usize| {
        let first = first.map(|first| &facts.snapshots[first]);
        let identity = identity(&place, first, &facts.snapshots[second]);
        kept_listings.as_ref().is_some_and(|all| all.has(&identity))
    };
    let (mut snapshots, mut listings, mut kept, mut requests, mut most_requests) = (0, 0, 0, 0, 0);
    for (at, descent) in first_round {
        // A stranger answers with one page that it is none; one that is kin answers with all that differs, and so
        // may the rest of its family.
        let strangers = descent.nearest_strangers().take(options.compare);
        requests += strangers.filter(|stranger| !is_kept(Some(*stranger), at)).count() as u64;
        let whole = blocks(&facts.snapshots[at]).div_ceil(Estimate::PAGE).max(1);
        most_requests += descent.not_asked().count().min(options.compare) as u64 * whole;
        if descent.is_probe() {
            continue;
        }
        snapshots += 1;
        let info = &facts.snapshots[at];
        // Where there is no kin, the snapshot's own blocks are listed.
        let others: Vec<Option<usize>> = match survey.kinship().against(at) {
            Some(Against::One(one)) => vec![Some(*one)],
            Some(Against::Any { kin, .. }) if !kin.is_empty() => {
                kin.iter().copied().take(options.compare).map(Some).collect()
            }
            _ => vec![None],
        };
        for other in others {
            listings += 1;
            if is_kept(other, at) {
                kept += 1;
                continue;
            }
            let most = other.map_or(0, |other| blocks(&facts.snapshots[other])).max(blocks(info));
            let pages = most.div_ceil(Estimate::PAGE).max(1);
            requests += pages;
            most_requests += pages;
        }
    }
    let lists = Estimate { lists: requests, ..Estimate::default() };
    let usd = if services.max_usd.is_some() { lists.usd(&options.prices.requests) } else { Usd::ZERO };
    let rate = engine.settings.lists_per_second;
    let time = rate.map(|rate| Duration::from_secs(requests.div_ceil(u64::from(rate.max(1)))));
    Ok(EstimateReport { snapshots, listings, kept, requests, most_requests, usd, time })
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
            verified: None,
        };
        let facts = Facts::of(year.collect());
        let report = of(&facts, &options, &services, &engine).unwrap();
        assert_eq!((report.snapshots, report.listings, report.kept), (365, 365, 0));
        assert_eq!((report.requests, report.usd.exact().as_str()), (76_650, "0.04599"));
        assert_eq!(report.most_requests, 76_650, "along one volume all is known");
        assert_eq!(report.time.unwrap().as_secs().div_ceil(60), 26);
        // One day of it: its lineage is looked at whole all the same.
        let mut one = options.clone();
        one.shown.ids = vec![facts.snapshots[7].id.clone()];
        assert_eq!(of(&facts, &one, &services, &engine).unwrap().requests, 76_650);
        let mut none = options;
        none.shown.volumes = vec!["vol-0b".parse().unwrap()];
        assert_eq!(of(&facts, &none, &services, &engine).unwrap_err().kind, crate::fault::Kind::NotFound);
    }
}

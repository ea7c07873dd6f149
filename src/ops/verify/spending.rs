//! What a verification may spend, has spent and will spend.
//!
//! Beforehand the blocks to read are cut to what the budget pays for, listings included; repeated requests may still
//! eat into it, so spending is watched while blocks are read.

use crate::block::BlockSet;
use crate::cost::{Estimate, RequestPrices, Usd};
use crate::ops::verify::Against;
use crate::ops::verify::sides::{Other, Truth};
use crate::ops::verify::work::Work;
use crate::pipeline::Requests;

impl Work<'_> {
    pub(super) fn budget(&self) -> Option<Usd> {
        let services = self.services?;
        self.options.max_usd.or(services.max_usd)
    }

    pub(super) fn requests(&self) -> Requests {
        let own = self.engine.requests().since(&self.before);
        match &self.options.against {
            Against::Snapshot { engine, .. } => own.plus(&engine.requests()),
            Against::Nothing | Against::Image(_) => own,
        }
    }

    pub(super) fn spent(&self) -> Usd {
        let requests = self.requests();
        Estimate { lists: requests.list, gets: requests.get, puts: 0 }.usd(&RequestPrices::LISTED)
    }

    /// Blocks that a chosen block takes to be read.
    fn gets(&self, todo: &BlockSet) -> u64 {
        let of = |present: &BlockSet| (todo & present).len();
        match (&self.sides.truth, &self.sides.other) {
            (Truth::Manifest(_), _) => 0,
            (Truth::Snapshot(_), Other::Snapshot(..)) => of(&self.sides.present) + of(&self.sides.in_other),
            (Truth::Snapshot(_), _) => of(&self.sides.present),
        }
    }

    pub(super) fn price_of(&self, blocks: u64) -> Usd {
        RequestPrices::LISTED.get.times(2 * blocks)
    }

    /// What of these can be paid for, whether that is less than all, and what is asked for it.
    pub(super) fn within_budget(&self, todo: BlockSet) -> (BlockSet, bool, Estimate) {
        // Both sides were listed once, and are again while they are read.
        let lists = self.requests().list;
        let all = Estimate { lists, gets: self.gets(&todo), puts: 0 };
        let Some(budget) = self.budget() else { return (todo, false, all) };
        let prices = RequestPrices::LISTED;
        let left = budget.nanos().saturating_sub(self.spent().nanos() + prices.list.times(lists).nanos());
        let payable = left / prices.get.nanos().max(1);
        self.engine.note(format!(
            "at most {} requests ({} reads): {} USD at us-east-1 prices",
            all.requests(),
            all.gets,
            all.usd(&prices).exact()
        ));
        if all.gets <= payable {
            return (todo, false, all);
        }
        self.engine.note(format!(
            "the budget of {} USD pays for {payable} of the reads: the run will be incomplete",
            budget.exact()
        ));
        let mut kept = BlockSet::new();
        let mut gets = 0;
        for index in todo.iter() {
            let both = [&self.sides.present, &self.sides.in_other];
            gets += both.into_iter().filter(|present| present.contains(index)).count() as u64;
            if gets > payable {
                break;
            }
            kept.insert(index);
        }
        let cut = Estimate { gets: self.gets(&kept), ..all };
        (kept, true, cut)
    }

    /// Returns when repeated requests have used up what was kept for others.
    pub(super) async fn overspent(&self) {
        let Some(budget) = self.budget() else { return std::future::pending().await };
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if self.spent() >= budget {
                return;
            }
        }
    }
}

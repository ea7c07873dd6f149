//! The proof: every block that was chosen, read from the device and held against the snapshot.

use crate::block::BlockSize;
use crate::cost::{Estimate, RequestPrices};
use crate::fault::Fault;
use crate::ops::verify::{self, Against, Options, What};
use crate::orchestrate::drill::report::Seen;
use crate::orchestrate::drill::{Shop, Subject, device_of};
use crate::orchestrate::plan::Line;
use crate::orchestrate::step::{Facts, Step};
use crate::snapshot::SnapshotId;
use futures_util::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use std::time::Duration;

/// Bytes that a volume is thought to give a second while its data is still coming from the snapshot: what gp3 has
/// without paying for more (EBS user guide, "general-purpose").
const COLD: u64 = 125 << 20;

const RIGHTS: &[&str] =
    &["ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock", "ec2:DescribeSnapshots", "ec2:DescribeVolumes"];

/// The same, and what changed since another snapshot.
const RIGHTS_OF_DELTA: &[&str] = &[
    "ebs:ListSnapshotBlocks",
    "ebs:ListChangedBlocks",
    "ebs:GetSnapshotBlock",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVolumes",
];

#[derive(Debug)]
pub(super) struct Verify {
    shop: Arc<Shop>,
    snapshot: SnapshotId,
    /// Blocks to read, at most; `None` where nobody tells how many there are.
    blocks: Option<u64>,
    seen: Arc<Seen>,
}

impl Verify {
    pub(super) fn new(shop: &Arc<Shop>, subject: &Subject, seen: &Arc<Seen>) -> Self {
        let sample = shop.options.verify.sample;
        let blocks = subject.blocks().map(|all| sample.map_or(all, |aim| aim.blocks(all)));
        Self { shop: shop.clone(), snapshot: subject.snapshot.clone(), blocks, seen: seen.clone() }
    }
}

impl Step for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn line(&self) -> Line {
        let gets = self.blocks.unwrap_or_default();
        let lists = gets.div_ceil(Estimate::PAGE).max(1);
        let estimate = Estimate { lists, gets, puts: 0 };
        let read = BlockSize::EBS.of(gets).bytes() / COLD;
        let seconds = estimate.seconds_at(self.shop.engine.blocks_per_second()).max(read);
        let blocks = match self.blocks {
            Some(blocks) => format!("at most {blocks} blocks"),
            None => "an unknown number of blocks".to_owned(),
        };
        Line {
            what: format!("hold {blocks} of it against {}", self.snapshot),
            calls: &[],
            permissions: match self.shop.options.verify.delta_from {
                None => RIGHTS,
                Some(_) => RIGHTS_OF_DELTA,
            },
            usd: estimate.usd(&RequestPrices::LISTED),
            takes: Duration::from_secs(seconds),
        }
    }

    fn act<'a>(&'a self, known: &'a Facts) -> BoxFuture<'a, Result<Facts, Fault>> {
        async move {
            let device = device_of(known)?;
            let options = Options {
                what: What::Snapshot(self.snapshot.clone()),
                against: Against::Image(device),
                volume_id: known.get("volume").and_then(|id| id.parse().ok()),
                ..self.shop.options.verify.clone()
            };
            let report = verify::run(&options, Some(&self.shop.services), &self.shop.engine).await?;
            // In case that this process dies before it can tell.
            let facts = Facts::from([
                ("verified".to_owned(), report.state().to_string()),
                ("verify_run".to_owned(), report.run_id.clone()),
            ]);
            self.seen.verified(report);
            Ok(facts)
        }
        .boxed()
    }
}

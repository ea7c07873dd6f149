//! Warming: what is allocated is read once, the hottest first, so that the volume is as fast as it will be.

use crate::block::BlockSize;
use crate::cost::Usd;
use crate::fault::Fault;
use crate::ops::warm::{self, Amount, Bounds, Options, What, Where};
use crate::orchestrate::drill::report::Seen;
use crate::orchestrate::drill::{Shop, Subject, device_of};
use crate::orchestrate::plan::Line;
use crate::orchestrate::step::{Facts, Step};
use crate::snapshot::SnapshotId;
use futures_util::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use std::time::Duration;

/// Bytes that a volume gives a second while its data is still coming (EBS user guide, "general-purpose").
const COLD: u64 = 125 << 20;

#[derive(Debug)]
pub(super) struct Warm {
    shop: Arc<Shop>,
    snapshot: SnapshotId,
    amount: Amount,
    /// Blocks to read, at most.
    blocks: u64,
    seen: Arc<Seen>,
}

impl Warm {
    pub(super) fn new(shop: &Arc<Shop>, subject: &Subject, amount: Amount, seen: &Arc<Seen>) -> Self {
        let all = subject.blocks().unwrap_or_default();
        let blocks = match amount {
            Amount::Hottest(blocks) => blocks.min(all),
            Amount::All | Amount::Probe => all,
        };
        let (shop, snapshot) = (shop.clone(), subject.snapshot.clone());
        Self { shop, snapshot, amount, blocks, seen: seen.clone() }
    }
}

impl Step for Warm {
    fn name(&self) -> &'static str {
        "warm"
    }

    fn line(&self) -> Line {
        Line {
            what: format!("read at most {} of its allocated blocks, the hottest first", self.blocks),
            calls: &[],
            permissions: &[
                "ebs:ListSnapshotBlocks",
                "ebs:ListChangedBlocks",
                "ec2:DescribeSnapshots",
                "ec2:DescribeVolumes",
                "ec2:DescribeVolumeStatus",
            ],
            usd: Usd::ZERO,
            takes: Duration::from_secs(BlockSize::EBS.of(self.blocks).bytes() / COLD),
        }
    }

    fn act<'a>(&'a self, known: &'a Facts) -> BoxFuture<'a, Result<Facts, Fault>> {
        async move {
            let options = Options {
                amount: self.amount,
                volume_id: known.get("volume").and_then(|id| id.parse().ok()),
                ..Options::of(Where::Path(device_of(known)?), What::Snapshot(self.snapshot.clone()))
            };
            let (services, engine) = (&self.shop.services, &self.shop.engine);
            self.seen.warmed(warm::run(&options, &Bounds::default(), Some(services), engine).await?);
            Ok(Facts::new())
        }
        .boxed()
    }
}

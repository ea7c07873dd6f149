//! Tags on a volume that is somebody else's: an attachment has none of its own, and has to be found should this
//! process die.

use crate::cost::Usd;
use crate::fault::{Fault, Kind, Place};
use crate::orchestrate::desk::at_instance;
use crate::orchestrate::drill::Shop;
use crate::orchestrate::mark::KEYS;
use crate::orchestrate::plan::Line;
use crate::orchestrate::step::{Facts, Step};
use crate::snapshot::VolumeId;
use futures_util::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Sign {
    shop: Arc<Shop>,
    part: u32,
    volume: VolumeId,
}

impl Sign {
    pub(super) fn new(shop: &Arc<Shop>, part: u32, volume: &VolumeId) -> Self {
        Self { shop: shop.clone(), part, volume: volume.clone() }
    }
}

impl Step for Sign {
    fn name(&self) -> &'static str {
        "tag"
    }

    fn line(&self) -> Line {
        Line {
            what: format!("tag {} with the run: it is about to be attached", self.volume),
            calls: &["ec2:CreateTags"],
            permissions: &["ec2:CreateTags", "ec2:DescribeVolumes"],
            usd: Usd::ZERO,
            takes: Duration::from_secs(1),
        }
    }

    fn undo_line(&self) -> Option<Line> {
        Some(Line {
            what: "take the run's tags off".to_owned(),
            calls: &["ec2:DeleteTags"],
            permissions: &["ec2:DeleteTags"],
            usd: Usd::ZERO,
            takes: Duration::from_secs(1),
        })
    }

    fn lasts(&self) -> bool {
        true
    }

    fn act<'a>(&'a self, _: &'a Facts) -> BoxFuture<'a, Result<Facts, Fault>> {
        async move {
            self.shop.desk.tag(&self.volume, &self.shop.mark.attachment(self.part)).await?;
            Ok(Facts::new())
        }
        .boxed()
    }

    fn undo<'a>(&'a self, _: &'a Facts) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let (desk, here) = (&self.shop.undoing, &self.shop.options.here.instance);
            // As long as it is attached, its tags are what it is found by.
            if desk.volume(&self.volume).await?.is_some_and(|volume| at_instance(&volume, here).is_some()) {
                let what = "it is still attached, so it keeps the run's tags";
                return Err(Fault::new(Kind::Refused, Place::Volume(self.volume.clone()), what)
                    .hint("icecore cleanup detaches it"));
            }
            desk.untag(&self.volume, &KEYS.map(str::to_owned)).await
        }
        .boxed()
    }
}

//! The volume: made of the snapshot, deleted in the end.

use crate::block::GiB;
use crate::cost::Usd;
use crate::estate::{NewVolume, Volume};
use crate::fault::{Fault, Kind};
use crate::monitor::{Clock, SystemClock};
use crate::orchestrate::drill::{Made, Shop, Subject, volume_of};
use crate::orchestrate::plan::Line;
use crate::orchestrate::step::{Facts, Step};
use crate::snapshot::{SnapshotId, UnixMillis, VolumeId};
use futures_util::future::{BoxFuture, FutureExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A GiB of gp3 for a month of 30 days (price list of us-east-1).
const GIB_MONTH: Usd = Usd::from_nanos(80_000_000);

/// A GiB of a snapshot's data fetched at 1 MiB a second: 0.0036 USD at 300 (EBS user guide, "initalize-volume").
const GIB_AT_1_MIB: Usd = Usd::from_nanos(12_000);

/// Minutes of a month of 30 days.
const MONTH: u64 = 30 * 24 * 60;

#[derive(Debug)]
pub(super) struct Create {
    shop: Arc<Shop>,
    part: u32,
    snapshot: SnapshotId,
    zone: String,
    gib: u64,
    /// What has to be fetched from the snapshot, in GiB.
    data_gib: u64,
    /// When it was asked for, where it may have been made and nobody knows its name.
    asked: Mutex<Option<UnixMillis>>,
}

impl Create {
    /// `asked` is when an earlier process asked for it.
    pub(super) fn new(
        shop: &Arc<Shop>,
        part: u32,
        subject: &Subject,
        zone: &str,
        asked: Option<UnixMillis>,
    ) -> Self {
        let gib = u64::from(subject.size.map_or(0, GiB::get));
        let data_gib = subject.full_size.map_or(gib, |size| size.bytes().div_ceil(1 << 30));
        let (snapshot, zone) = (subject.snapshot.clone(), zone.to_owned());
        Self { shop: shop.clone(), part, snapshot, zone, gib, data_gib, asked: Mutex::new(asked) }
    }

    fn new_volume(&self) -> NewVolume {
        let Made { kind, iops, throughput, initialization_rate, kms_key_id, tags } =
            self.shop.options.made.clone();
        let mut all = tags;
        all.extend(self.shop.mark.volume(self.part, &self.snapshot));
        NewVolume {
            snapshot: Some(self.snapshot.clone()),
            zone: self.zone.clone(),
            kind,
            size: None,
            iops,
            throughput,
            initialization_rate,
            encrypted: kms_key_id.is_some().then_some(true),
            kms_key_id,
            // 64 characters at most; the same for as long as this run has this drill.
            client_token: format!("icecore-{}-{}", self.shop.mark.run, self.part),
            tags: all,
        }
    }

    /// The volumes that this part of the run made.
    async fn found(&self) -> Result<Vec<Volume>, Fault> {
        let asked = *self.asked();
        match asked {
            Some(_) => self.shop.undoing.made(&self.shop.mark.run, self.part, asked).await,
            None => Ok(Vec::new()),
        }
    }

    fn asked(&self) -> MutexGuard<'_, Option<UnixMillis>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Step for Create {
    fn name(&self) -> &'static str {
        "create"
    }

    fn line(&self) -> Line {
        let Made { kind, initialization_rate, .. } = &self.shop.options.made;
        let rate =
            initialization_rate.map(|rate| format!(", initialized at {rate} MiB/s")).unwrap_or_default();
        let fetched = GIB_AT_1_MIB.times(self.data_gib).times(u64::from(initialization_rate.unwrap_or(0)));
        // As long as it takes to read the data at 100 MiB/s, and ten minutes for everything else.
        let minutes = 10 + self.data_gib * 1024 / 100 / 60;
        Line {
            what: format!(
                "make a {kind} volume of {} GiB of {} in {}{rate}",
                self.gib, self.snapshot, self.zone
            ),
            calls: &["ec2:CreateVolume"],
            permissions: &["ec2:CreateVolume", "ec2:CreateTags", "ec2:DescribeVolumes"],
            usd: fetched + GIB_MONTH.times(self.gib).times(minutes).divided(MONTH),
            takes: Duration::from_secs(60),
        }
    }

    fn undo_line(&self) -> Option<Line> {
        Some(Line {
            what: "delete the volume".to_owned(),
            calls: &["ec2:DeleteVolume"],
            // The bin is looked into when all is over.
            permissions: &["ec2:DeleteVolume", "ec2:DescribeVolumes", "ec2:ListVolumesInRecycleBin"],
            usd: Usd::ZERO,
            takes: Duration::from_secs(60),
        })
    }

    fn lasts(&self) -> bool {
        true
    }

    fn takes_all(&self) -> bool {
        true
    }

    fn act<'a>(&'a self, _: &'a Facts) -> BoxFuture<'a, Result<Facts, Fault>> {
        async move {
            *self.asked() = Some(SystemClock.now());
            let volume = match self.shop.desk.create(&self.new_volume()).await {
                Ok(volume) => volume,
                Err(fault) => {
                    // A refusal made nothing; of anything else nobody can tell.
                    if !(fault.kind.is_retryable() || fault.kind == Kind::Interrupted) {
                        *self.asked() = None;
                    }
                    return Err(fault);
                }
            };
            let facts = [("volume", volume.id.to_string()), ("encrypted", volume.encrypted.to_string())];
            Ok(facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        }
        .boxed()
    }

    fn undo<'a>(&'a self, known: &'a Facts) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let ids: Vec<VolumeId> = match volume_of(known) {
                Ok(id) => vec![id],
                Err(_) => self.found().await?.into_iter().map(|volume| volume.id).collect(),
            };
            let asked = *self.asked();
            for id in ids {
                self.shop.undoing.delete(&id, asked).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

//! Locks, fast restores, shares, tiers, launch templates and the Recycle Bin through EC2.

use crate::control::{Bin, FastRestores, Locks, Sharing, Templates, Tiers};
use crate::ec2::{Ec2, PAGE, convert, walked};
use crate::estate::{
    BinnedImage, BinnedSnapshot, BinnedVolume, FastRestore, Lock, Shares, TemplateVersion, Tiering,
};
use crate::fault::{Fault, Place};
use crate::snapshot::SnapshotId;
use aws_sdk_ec2::types::SnapshotAttributeName;
use futures_util::future::{BoxFuture, FutureExt};

/// Fast restores per page, the most EC2 gives.
const FAST_RESTORES: i32 = 200;
/// Versions of launch templates per page, likewise.
const TEMPLATE_VERSIONS: i32 = 200;

impl Locks for Ec2 {
    fn locks(&self) -> BoxFuture<'_, Result<Vec<Lock>, Fault>> {
        async move {
            let ask = |token| {
                let request = self.client.describe_locked_snapshots().max_results(PAGE).set_next_token(token);
                async {
                    let reply = self.answered(&Place::Service, request.send()).await?;
                    Ok((reply.snapshots, reply.next_token))
                }
            };
            sorted(walked(ask).await?, convert::lock, |lock| lock.snapshot.clone())
        }
        .boxed()
    }
}

impl FastRestores for Ec2 {
    fn fast_restores(&self) -> BoxFuture<'_, Result<Vec<FastRestore>, Fault>> {
        async move {
            let ask = |token| {
                let request = self.client.describe_fast_snapshot_restores();
                let request = request.max_results(FAST_RESTORES).set_next_token(token);
                async {
                    let reply = self.answered(&Place::Service, request.send()).await?;
                    Ok((reply.fast_snapshot_restores, reply.next_token))
                }
            };
            sorted(walked(ask).await?, convert::fast_restore, |one| (one.snapshot.clone(), one.zone.clone()))
        }
        .boxed()
    }
}

impl Sharing for Ec2 {
    fn shares<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<Shares, Fault>> {
        async move {
            let request = self.client.describe_snapshot_attribute().snapshot_id(id.as_str());
            let request = request.attribute(SnapshotAttributeName::CreateVolumePermission);
            let reply = self.answered(&Place::Snapshot(id.clone()), request.send()).await?;
            Ok(convert::shares(reply.create_volume_permissions.unwrap_or_default()))
        }
        .boxed()
    }
}

impl Tiers for Ec2 {
    fn tierings(&self) -> BoxFuture<'_, Result<Vec<Tiering>, Fault>> {
        async move {
            let ask = |token| {
                let request = self.client.describe_snapshot_tier_status();
                let request = request.max_results(PAGE).set_next_token(token);
                async {
                    let reply = self.answered(&Place::Service, request.send()).await?;
                    Ok((reply.snapshot_tier_statuses, reply.next_token))
                }
            };
            sorted(walked(ask).await?, convert::tiering, |tiering| tiering.snapshot.clone())
        }
        .boxed()
    }
}

impl Templates for Ec2 {
    fn template_versions(&self) -> BoxFuture<'_, Result<Vec<TemplateVersion>, Fault>> {
        async move {
            let ask = |token| {
                // Of all templates at once; by numbers EC2 tells of one at a time.
                let request = self.client.describe_launch_template_versions();
                let request = request.versions("$Default").versions("$Latest");
                let request = request.max_results(TEMPLATE_VERSIONS).set_next_token(token);
                async {
                    let reply = self.answered(&Place::Service, request.send()).await?;
                    Ok((reply.launch_template_versions, reply.next_token))
                }
            };
            let key = |one: &TemplateVersion| (one.template.clone(), one.version);
            let mut found = sorted(walked(ask).await?, convert::template_version, key)?;
            found.dedup_by_key(|one| key(one));
            Ok(found)
        }
        .boxed()
    }
}

impl Bin for Ec2 {
    fn binned_snapshots(&self) -> BoxFuture<'_, Result<Vec<BinnedSnapshot>, Fault>> {
        async move {
            let ask = |token| {
                let request = self.client.list_snapshots_in_recycle_bin();
                let request = request.max_results(PAGE).set_next_token(token);
                async {
                    let reply = self.answered(&Place::Service, request.send()).await?;
                    Ok((reply.snapshots, reply.next_token))
                }
            };
            sorted(walked(ask).await?, convert::binned_snapshot, |binned| binned.id.clone())
        }
        .boxed()
    }

    fn binned_volumes(&self) -> BoxFuture<'_, Result<Vec<BinnedVolume>, Fault>> {
        async move {
            let ask = |token| {
                let request = self.client.list_volumes_in_recycle_bin();
                let request = request.max_results(PAGE).set_next_token(token);
                async {
                    let reply = self.answered(&Place::Service, request.send()).await?;
                    Ok((reply.volumes, reply.next_token))
                }
            };
            sorted(walked(ask).await?, convert::binned_volume, |binned| binned.id.clone())
        }
        .boxed()
    }

    fn binned_images(&self) -> BoxFuture<'_, Result<Vec<BinnedImage>, Fault>> {
        async move {
            let ask = |token| {
                let request = self.client.list_images_in_recycle_bin();
                let request = request.max_results(PAGE).set_next_token(token);
                async {
                    let reply = self.answered(&Place::Service, request.send()).await?;
                    Ok((reply.images, reply.next_token))
                }
            };
            sorted(walked(ask).await?, convert::binned_image, |binned| binned.id.clone())
        }
        .boxed()
    }
}

/// What came, as ours, in order.
fn sorted<F, T, K: Ord>(
    found: Vec<F>,
    convert: impl Fn(F) -> Result<T, Fault>,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>, Fault> {
    let mut ours = found.into_iter().map(convert).collect::<Result<Vec<_>, _>>()?;
    ours.sort_by_cached_key(key);
    Ok(ours)
}

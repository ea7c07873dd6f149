//! Volumes through EC2.

use crate::control::{VolumeQuery, Volumes};
use crate::ec2::{Ec2, NAMES, PAGE, all_told, convert, filter, some, tagged, walked};
use crate::estate::{Attachment, Initialization, NewVolume, Volume};
use crate::fault::{Fault, Place};
use crate::snapshot::{InstanceId, VolumeId};
use aws_sdk_ec2::types::{Filter, ResourceType, TagSpecification, VolumeType};
use futures_util::future::{BoxFuture, FutureExt};

impl Volumes for Ec2 {
    fn volumes<'a>(&'a self, query: &'a VolumeQuery) -> BoxFuture<'a, Result<Vec<Volume>, Fault>> {
        async move {
            let mut found = Vec::new();
            if query.ids.is_empty() {
                let filters = some(filters(query));
                let ask = |token| {
                    let request = self.client.describe_volumes().set_filters(filters.clone());
                    // Else those that a service of AWS's keeps for us would be missing, and taken for gone.
                    let request = request.include_managed_resources(true);
                    let request = request.max_results(PAGE).set_next_token(token);
                    async {
                        let reply = self.answered(&Place::Service, request.send()).await?;
                        Ok((reply.volumes, reply.next_token))
                    }
                };
                found = walked(ask).await?;
            }
            for ids in query.ids.chunks(NAMES) {
                let request = self.client.describe_volumes().set_volume_ids(names(ids));
                found.extend(self.answered(&place(ids), request.send()).await?.volumes.unwrap_or_default());
            }
            let told = found.iter().map(|volume| volume.volume_id());
            all_told(&query.ids, told, |id| Place::Volume(id.clone()))?;
            let mut volumes = found.into_iter().map(convert::volume).collect::<Result<Vec<_>, _>>()?;
            volumes.retain(|volume| query.admits(volume));
            volumes.sort_by(|a, b| a.id.cmp(&b.id));
            volumes.dedup_by(|a, b| a.id == b.id);
            Ok(volumes)
        }
        .boxed()
    }

    fn initializations<'a>(
        &'a self,
        ids: &'a [VolumeId],
    ) -> BoxFuture<'a, Result<Vec<Initialization>, Fault>> {
        async move {
            let mut found = Vec::new();
            for ids in ids.chunks(NAMES) {
                let request = self.client.describe_volume_status().set_volume_ids(names(ids));
                let reply = self.answered(&place(ids), request.send()).await?;
                found.extend(reply.volume_statuses.unwrap_or_default());
            }
            let mut ours = found.into_iter().map(convert::initialization).collect::<Result<Vec<_>, _>>()?;
            ours.sort_by(|a, b| a.volume.cmp(&b.volume));
            Ok(ours)
        }
        .boxed()
    }

    fn create_volume<'a>(&'a self, new: &'a NewVolume) -> BoxFuture<'a, Result<Volume, Fault>> {
        async move {
            let tags = TagSpecification::builder()
                .resource_type(ResourceType::Volume)
                .set_tags(Some(convert::sent(&new.tags)))
                .build();
            let request = self
                .client
                .create_volume()
                .set_snapshot_id(new.snapshot.as_ref().map(ToString::to_string))
                .availability_zone(&new.zone)
                .volume_type(VolumeType::from(new.kind.as_str()))
                .set_size(new.size.map(|size| convert::int(size.get())))
                .set_iops(new.iops.map(convert::int))
                .set_throughput(new.throughput.map(convert::int))
                .set_volume_initialization_rate(new.initialization_rate.map(convert::int))
                .set_encrypted(new.encrypted)
                .set_kms_key_id(new.kms_key_id.clone())
                .client_token(&new.client_token)
                .set_tag_specifications((!new.tags.is_empty()).then(|| vec![tags]));
            let at = new.snapshot.clone().map_or(Place::Service, Place::Snapshot);
            let reply = self.answered(&at, request.send()).await?;
            convert::created(reply)
        }
        .boxed()
    }

    fn attach_volume<'a>(
        &'a self,
        id: &'a VolumeId,
        to: &'a InstanceId,
        device: &'a str,
    ) -> BoxFuture<'a, Result<Attachment, Fault>> {
        async move {
            let request = self.client.attach_volume().volume_id(id.as_str()).device(device);
            let request = request.instance_id(to.as_str());
            let reply = self.answered(&Place::Volume(id.clone()), request.send()).await?;
            convert::attachment(reply.instance_id, reply.device, reply.state)
        }
        .boxed()
    }

    fn detach_volume<'a>(
        &'a self,
        id: &'a VolumeId,
        from: &'a InstanceId,
    ) -> BoxFuture<'a, Result<Attachment, Fault>> {
        async move {
            let request = self.client.detach_volume().volume_id(id.as_str()).instance_id(from.as_str());
            let reply = self.answered(&Place::Volume(id.clone()), request.send()).await?;
            convert::attachment(reply.instance_id, reply.device, reply.state)
        }
        .boxed()
    }

    fn delete_volume<'a>(&'a self, id: &'a VolumeId) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let request = self.client.delete_volume().volume_id(id.as_str());
            self.answered(&Place::Volume(id.clone()), request.send()).await.map(|_| ())
        }
        .boxed()
    }
}

fn names(ids: &[VolumeId]) -> Option<Vec<String>> {
    some(ids.iter().map(ToString::to_string).collect())
}

fn place(ids: &[VolumeId]) -> Place {
    match ids {
        [id] => Place::Volume(id.clone()),
        _ => Place::Service,
    }
}

/// The query as far as EC2 can filter; never less than it admits.
fn filters(query: &VolumeQuery) -> Vec<Filter> {
    let mut filters = Vec::new();
    if (1..=NAMES).contains(&query.snapshots.len()) {
        filters.push(filter("snapshot-id", &query.snapshots));
    }
    filters.extend(tagged(&query.tags));
    filters.extend(query.state.as_ref().map(|state| filter("status", [state])));
    filters
}

//! Instances through EC2.

use crate::control::{InstanceQuery, Instances};
use crate::ec2::{Ec2, NAMES, PAGE, all_told, convert, some, tagged, walked};
use crate::estate::Instance;
use crate::fault::{Fault, Place};
use futures_util::future::{BoxFuture, FutureExt};

impl Instances for Ec2 {
    fn instances<'a>(&'a self, query: &'a InstanceQuery) -> BoxFuture<'a, Result<Vec<Instance>, Fault>> {
        async move {
            let mut found = Vec::new();
            if query.ids.is_empty() {
                let filters = some(tagged(&query.tags).collect());
                let ask = |token| {
                    let request = self.client.describe_instances().set_filters(filters.clone());
                    let request = request.max_results(PAGE).set_next_token(token);
                    async {
                        let reply = self.answered(&Place::Service, request.send()).await?;
                        Ok((reply.reservations, reply.next_token))
                    }
                };
                found = walked(ask).await?;
            }
            for ids in query.ids.chunks(NAMES) {
                let names = some(ids.iter().map(ToString::to_string).collect());
                let request = self.client.describe_instances().set_instance_ids(names);
                let reply = self.answered(&Place::Service, request.send()).await?;
                found.extend(reply.reservations.unwrap_or_default());
            }
            let found: Vec<_> = found.into_iter().flat_map(|one| one.instances.unwrap_or_default()).collect();
            all_told(&query.ids, found.iter().map(|one| one.instance_id()), |_| Place::Service)?;
            let mut instances = found.into_iter().map(convert::instance).collect::<Result<Vec<_>, _>>()?;
            instances.retain(|instance| query.admits(instance));
            instances.sort_by(|a, b| a.id.cmp(&b.id));
            instances.dedup_by(|a, b| a.id == b.id);
            Ok(instances)
        }
        .boxed()
    }
}

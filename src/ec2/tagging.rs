//! Tags through EC2.

use crate::control::Tagging;
use crate::ec2::{Ec2, convert};
use crate::estate::Resource;
use crate::fault::{Fault, Place};
use crate::snapshot::Tags;
use aws_sdk_ec2::types::Tag;
use futures_util::future::{BoxFuture, FutureExt};

impl Tagging for Ec2 {
    fn add_tags<'a>(&'a self, to: &'a [Resource], tags: &'a Tags) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            // EC2 refuses a request without tags or resources; there is nothing to do then.
            if to.is_empty() || tags.is_empty() {
                return Ok(());
            }
            let request = self.client.create_tags().set_resources(Some(names(to)));
            let request = request.set_tags(Some(convert::sent(tags)));
            self.answered(&place(to), request.send()).await.map(|_| ())
        }
        .boxed()
    }

    fn remove_tags<'a>(
        &'a self,
        from: &'a [Resource],
        keys: &'a [String],
    ) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            // Without a key EC2 would remove every tag.
            if from.is_empty() || keys.is_empty() {
                return Ok(());
            }
            let tags = keys.iter().map(|key| Tag::builder().key(key).build()).collect();
            let request = self.client.delete_tags().set_resources(Some(names(from))).set_tags(Some(tags));
            self.answered(&place(from), request.send()).await.map(|_| ())
        }
        .boxed()
    }
}

fn names(resources: &[Resource]) -> Vec<String> {
    resources.iter().map(ToString::to_string).collect()
}

fn place(resources: &[Resource]) -> Place {
    match resources {
        [Resource::Snapshot(id)] => Place::Snapshot(id.clone()),
        [Resource::Volume(id)] => Place::Volume(id.clone()),
        _ => Place::Service,
    }
}

//! Images through EC2.

use crate::control::{ImageQuery, Images};
use crate::ec2::{Ec2, NAMES, PAGE, all_told, convert, filter, some, walked};
use crate::estate::Image;
use crate::fault::{Fault, Place};
use futures_util::future::{BoxFuture, FutureExt};

impl Images for Ec2 {
    fn images<'a>(&'a self, query: &'a ImageQuery) -> BoxFuture<'a, Result<Vec<Image>, Fault>> {
        async move {
            // Without these two, an image that binds a snapshot may not show.
            let own = || {
                self.client.describe_images().owners("self").include_disabled(true).include_deprecated(true)
            };
            let mut found = Vec::new();
            if query.ids.is_empty() {
                let filters = (1..=NAMES)
                    .contains(&query.snapshots.len())
                    .then(|| vec![filter("block-device-mapping.snapshot-id", &query.snapshots)]);
                let ask = |token| {
                    let request = own().set_filters(filters.clone()).max_results(PAGE).set_next_token(token);
                    async {
                        let reply = self.answered(&Place::Service, request.send()).await?;
                        Ok((reply.images, reply.next_token))
                    }
                };
                found = walked(ask).await?;
            }
            for ids in query.ids.chunks(NAMES) {
                let names = some(ids.iter().map(ToString::to_string).collect());
                let reply = self.answered(&Place::Service, own().set_image_ids(names).send()).await?;
                found.extend(reply.images.unwrap_or_default());
            }
            all_told(&query.ids, found.iter().map(|image| image.image_id()), |_| Place::Service)?;
            let mut images = found.into_iter().map(convert::image).collect::<Result<Vec<_>, _>>()?;
            images.retain(|image| query.admits(image));
            images.sort_by(|a, b| a.id.cmp(&b.id));
            images.dedup_by(|a, b| a.id == b.id);
            Ok(images)
        }
        .boxed()
    }
}

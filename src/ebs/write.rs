//! Writing: start, put, complete.

use crate::block::BlockSize;
use crate::ebs::Ebs;
use crate::ebs::convert::{self, SHA256, corrupt};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::{NewSnapshot, SnapshotId, SnapshotInfo, SnapshotState, Written};
use crate::source::{Block, SnapshotWriter};
use aws_sdk_ebs::primitives::ByteStream;
use aws_sdk_ebs::types::{ChecksumAggregationMethod, Tag};
use futures_util::future::{BoxFuture, FutureExt};

impl SnapshotWriter for Ebs {
    fn start<'a>(&'a self, new: &'a NewSnapshot) -> BoxFuture<'a, Result<SnapshotInfo, Fault>> {
        async move {
            let at = new.parent.clone().map_or(Place::Service, Place::Snapshot);
            let timeout = new.timeout_minutes.map(i32::try_from).transpose();
            let timeout = timeout.map_err(|_| refused(&at, "the timeout is not 10 to 4320 minutes"))?;
            let tags = new.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
            let request = self
                .client
                .start_snapshot()
                .volume_size(i64::from(new.volume_size.get()))
                .set_parent_snapshot_id(new.parent.as_ref().map(ToString::to_string))
                .set_description(new.description.clone())
                .set_tags((!new.tags.is_empty()).then(|| tags.collect()))
                .set_client_token(new.client_token.clone())
                .set_encrypted(new.encrypted)
                .set_kms_key_arn(new.kms_key_id.clone())
                .set_timeout(timeout);
            convert::started(self.answered(&at, request.send()).await?, new)
        }
        .boxed()
    }

    fn put<'a>(&'a self, id: &'a SnapshotId, block: &'a Block) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let at = Place::Block(id.clone(), block.index());
            if block.bytes().len() != BlockSize::EBS.buffer_len() {
                return Err(refused(&at, "only whole blocks of 524288 bytes can be written"));
            }
            let checksum = block.digest().to_base64();
            let request = self
                .client
                .put_snapshot_block()
                .snapshot_id(id.as_str())
                .block_index(block.index().to_wire())
                .data_length(BlockSize::EBS.bytes().cast_signed())
                .checksum(&checksum)
                .checksum_algorithm(SHA256)
                .block_data(ByteStream::from(block.bytes().clone()));
            let reply = self.answered(&at, request.send()).await?;
            match reply.checksum {
                Some(stored) if stored != checksum => {
                    Err(corrupt(&at, "the service stored other bytes than were sent"))
                }
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn complete<'a>(
        &'a self,
        id: &'a SnapshotId,
        written: Written,
    ) -> BoxFuture<'a, Result<SnapshotState, Fault>> {
        async move {
            let at = Place::Snapshot(id.clone());
            let blocks = i32::try_from(written.blocks);
            let blocks = blocks.map_err(|_| refused(&at, "more blocks than a volume has were written"))?;
            let request = self
                .client
                .complete_snapshot()
                .snapshot_id(id.as_str())
                .changed_blocks_count(blocks)
                .checksum(written.checksum.to_base64())
                .checksum_algorithm(SHA256)
                .checksum_aggregation_method(ChecksumAggregationMethod::ChecksumAggregationLinear);
            let reply = self.answered(&at, request.send()).await?;
            convert::state(reply.status(), &at)
        }
        .boxed()
    }
}

fn refused(at: &Place, what: &str) -> Fault {
    Fault::new(Kind::Refused, at.clone(), what)
}

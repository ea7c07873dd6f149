//! PutSnapshotBlock: writes one block of a pending snapshot.

use crate::block::{BlockIndex, BlockSize, Digest, Geometry};
use crate::endpoint::act::World;
use crate::endpoint::wire::ebs::{Constraints, header_int, int, reply};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::shelf::{Content, Shelved};
use crate::snapshot::{SnapshotId, SnapshotState, UnixMillis};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

#[derive(Serialize)]
struct Empty {}

/// What the request says of the block.
struct Asked<'a> {
    id: SnapshotId,
    index: BlockIndex,
    length: i64,
    checksum: &'a str,
    algorithm: &'a str,
}

impl<'a> Asked<'a> {
    fn parse(call: &'a Call) -> Result<Self, Refusal> {
        let mut constraints = Constraints::new();
        let id = constraints.snapshot_id("snapshotId", call.path.first().map(String::as_str));
        let number = int("blockIndex", call.path.get(1).map(String::as_str))?;
        let index = constraints.index("blockIndex", number);
        let length = constraints.required("dataLength", header_int(call, "x-amz-data-length")?);
        constraints.range("progress", header_int(call, "x-amz-progress")?, 0, 100);
        let checksum = constraints.required("checksum", call.header("x-amz-checksum"));
        constraints.checksum("checksum", checksum);
        let algorithm = constraints.required("checksumAlgorithm", call.header("x-amz-checksum-algorithm"));
        let (Some(id), Some(index), Some(length), Some(checksum), Some(algorithm)) =
            (id, index, length, checksum, algorithm)
        else {
            return Err(constraints.refusal());
        };
        constraints.check()?;
        Ok(Self { id, index, length, checksum, algorithm })
    }

    /// Whether a block of this length may stand where it is put.
    fn fits(&self, snapshot: &Shelved, sent: usize) -> Result<(), Refusal> {
        let size = BlockSize::EBS.bytes();
        let lengths = [self.length, i64::try_from(sent).unwrap_or(i64::MAX)];
        if let Some(length) = lengths.into_iter().find(|length| *length != i64::from(size)) {
            let message = format!("Block data length {length} is not valid, expected {size}");
            return Err(Refusal::validation("INVALID_BLOCK", message));
        }
        if self.algorithm != "SHA256" {
            let message = format!(
                "Unsupported Checksum Algorithm '{}', supported algorithms are SHA256",
                self.algorithm
            );
            return Err(Refusal::validation("INVALID_PARAMETER_VALUE", message));
        }
        if !Geometry::ebs(snapshot.info.volume_size).contains(self.index) {
            let message = format!("Block index {} is beyond the volume size extent", self.index);
            return Err(Refusal::validation("INVALID_BLOCK", message));
        }
        Ok(())
    }
}

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let asked = Asked::parse(call)?;
    let writer = world.account.writer()?;
    let snapshot =
        world.account.find(&call.region, &asked.id, now)?.ok_or_else(|| Refusal::no_snapshot(&asked.id))?;
    is_open(world, &snapshot)?;
    if call.body.len() < BlockSize::EBS.buffer_len() {
        // Whatever the headers say, as recorded.
        return Err(Refusal::validation("INVALID_PARAMETER_VALUE", "Failed to read block data"));
    }
    asked.fits(&snapshot, call.body.len())?;
    let digest = Digest::of(&call.body);
    let computed = digest.to_base64();
    if computed != asked.checksum {
        let message = format!(
            "The value passed in as x-amz-Checksum does not match the computed checksum. \
             Computed checksum: {computed} expected checksum: {}",
            asked.checksum
        );
        return Err(Refusal::common("InvalidSignatureException", message));
    }
    writer.put(&asked.id, asked.index, &Content { bytes: call.body.clone(), digest })?;
    world.account.wrote(&asked.id, now);
    let checksum =
        HeaderValue::try_from(computed).unwrap_or_else(|_| unreachable!("base64 can stand in a header"));
    Ok(reply(StatusCode::CREATED, &Empty {})
        .header("x-amz-checksum", checksum)
        .header("x-amz-checksum-algorithm", HeaderValue::from_static("SHA256")))
}

/// A snapshot takes blocks until its Complete was answered, which is before it shows.
fn is_open(world: &World, snapshot: &Shelved) -> Result<(), Refusal> {
    let info = &snapshot.info;
    let message = match info.state {
        SnapshotState::Pending if world.account.completed_at(&info.id).is_none() => return Ok(()),
        SnapshotState::Error => "Snapshot is in error state",
        _ => "Snapshot is already completed",
    };
    Err(Refusal::validation("INVALID_SNAPSHOT_ID", message))
}

//! The customs office: what the service or AWS's client hands over becomes ours here, or a fault.
//!
//! Explicit nulls and empty strings are what is missing. A listing that skips back, a page token that leads
//! nowhere, an entry without index or token are `Corrupt`: the next answer may be sound.

use crate::block::{BlockIndex, BlockSize, Digest, Geometry, GiB};
use crate::ebs::listing::{BlockEntry, ChangeEntry, Listing, Text};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::{
    BlockToken, NewSnapshot, PageToken, SnapshotId, SnapshotInfo, SnapshotState, StorageTier, UnixMillis,
};
use crate::source::{Change, Cursor, Listed, Page};
use aws_sdk_ebs::operation::start_snapshot::StartSnapshotOutput;
use aws_sdk_ebs::primitives::DateTime;
use aws_sdk_ebs::types::error::{
    AccessDeniedException, RequestThrottledException, ResourceNotFoundException, ValidationException,
};
use aws_sdk_ebs::types::{ChecksumAlgorithm, SseType, Status};
use std::error::Error;
use std::iter;

/// The algorithm's name, the only one there is.
pub(super) const SHA256: ChecksumAlgorithm = ChecksumAlgorithm::ChecksumAlgorithmSha256;

/// The volume's geometry, as a first page tells it.
pub(super) fn geometry<E>(reply: &Listing<E>, at: &Place) -> Result<Geometry, Fault> {
    let gib = reply.volume_size.ok_or_else(|| corrupt(at, "the listing does not tell the volume's size"))?;
    let volume_size = GiB::try_from(gib).map_err(|error| corrupt(at, error.to_string()))?;
    Ok(Geometry { volume_size, block_size: block_size(reply.block_size, at)? })
}

/// A page of allocated blocks, none beyond the volume.
pub(super) fn listed(
    reply: Listing<BlockEntry<'_>>,
    sent: &Cursor,
    volume: Geometry,
    at: &Place,
) -> Result<Page<Listed>, Fault> {
    block_size(reply.block_size, at)?;
    if reply.volume_size.is_some_and(|gib| gib != i64::from(volume.volume_size.get())) {
        return Err(corrupt(at, "the volume's size changed between two pages"));
    }
    let mut walk = Walk { from: sent.from, at };
    let entries = reply.entries.unwrap_or_default().into_iter().map(|block| {
        let index = walk.step(block.block_index)?;
        if !volume.contains(index) {
            return Err(corrupt(at, format!("block {index} is beyond the volume")));
        }
        let token =
            token(block.block_token).ok_or_else(|| corrupt(at, format!("block {index} has no token")))?;
        Ok(Listed { index, token })
    });
    let entries = entries.collect::<Result<Vec<_>, Fault>>()?;
    let last = entries.last().map(|entry| entry.index);
    page(entries, last, reply.next_token, reply.volume_size, sent, at)
}

/// A page of changes. Which volume they lie in is not known here: of two snapshots one may be larger.
pub(super) fn changed(
    reply: Listing<ChangeEntry<'_>>,
    sent: &Cursor,
    at: &Place,
) -> Result<Page<Change>, Fault> {
    block_size(reply.block_size, at)?;
    let mut walk = Walk { from: sent.from, at };
    let entries = reply.entries.unwrap_or_default().into_iter().map(|block| {
        let index = walk.step(block.block_index)?;
        let (first, second) = (token(block.first_block_token), token(block.second_block_token));
        if first.is_none() && second.is_none() {
            return Err(corrupt(at, format!("changed block {index} has no token")));
        }
        Ok(Change { index, first, second })
    });
    let entries = entries.collect::<Result<Vec<_>, Fault>>()?;
    let last = entries.last().map(|entry| entry.index);
    page(entries, last, reply.next_token, reply.volume_size, sent, at)
}

/// Follows a listing: each index after the one before it.
struct Walk<'a> {
    from: BlockIndex,
    at: &'a Place,
}

impl Walk<'_> {
    fn step(&mut self, index: Option<i32>) -> Result<BlockIndex, Fault> {
        let index = index.ok_or_else(|| corrupt(self.at, "an entry of the listing has no block index"))?;
        let index =
            BlockIndex::try_from(i64::from(index)).map_err(|error| corrupt(self.at, error.to_string()))?;
        if index < self.from {
            let what = format!("the listing goes back to block {index} after {} was due", self.from);
            return Err(corrupt(self.at, what));
        }
        // After the last index of all nothing may follow; asking for it again shows as going back.
        self.from = index.next().unwrap_or(index);
        Ok(index)
    }
}

fn page<T>(
    entries: Vec<T>,
    last: Option<BlockIndex>,
    next: Option<String>,
    volume_size: Option<i64>,
    sent: &Cursor,
    at: &Place,
) -> Result<Page<T>, Fault> {
    let token = next.filter(|token| !token.is_empty()).map(PageToken::new);
    if token.is_some() && token == sent.token {
        return Err(corrupt(at, "the listing does not advance: the same page token came back"));
    }
    let from = last.map_or(Some(sent.from), BlockIndex::next);
    let next = token.zip(from).map(|(token, from)| Cursor { from, token: Some(token) });
    let volume_size =
        volume_size.map(GiB::try_from).transpose().map_err(|error| corrupt(at, error.to_string()))?;
    Ok(Page { entries, next, volume_size, max_entries: None })
}

/// What a started snapshot is, from the reply and, where it is silent, from what was asked.
pub(super) fn started(reply: StartSnapshotOutput, asked: &NewSnapshot) -> Result<SnapshotInfo, Fault> {
    let silent = |what: &str| corrupt(&Place::Service, format!("a snapshot was started, but {what}"));
    let id = reply.snapshot_id.ok_or_else(|| silent("the reply does not tell its id"))?;
    let id: SnapshotId = id.parse().map_err(|_| silent(&format!("its id '{id}' is none")))?;
    let at = Place::Snapshot(id.clone());
    let start_time =
        reply.start_time.ok_or_else(|| corrupt(&at, "started, but the reply does not tell when"))?;
    let encrypted = reply.kms_key_arn.is_some() || reply.sse_type == Some(SseType::SseKms);
    let parent = reply.parent_snapshot_id.and_then(|parent| parent.parse().ok());
    Ok(SnapshotInfo {
        id,
        volume_id: None,
        owner_id: reply.owner_id.unwrap_or_default(),
        state: state(reply.status.as_ref(), &at)?,
        state_message: None,
        start_time: millis(&start_time),
        volume_size: asked.volume_size,
        encrypted: encrypted || asked.encrypted == Some(true),
        kms_key_id: reply.kms_key_arn,
        description: reply.description.unwrap_or_default(),
        tags: asked.tags.clone(),
        tier: StorageTier::Standard,
        full_size: None,
        parent: parent.or_else(|| asked.parent.clone()),
        lineage: None,
    })
}

/// A state that AWS names; silence is no state.
pub(super) fn state(status: Option<&Status>, at: &Place) -> Result<SnapshotState, Fault> {
    let status = status.ok_or_else(|| corrupt(at, "the reply does not tell the snapshot's state"))?;
    status.as_str().parse().map_err(|error| corrupt(at, format!("{error}")))
}

/// The digest a body claims: complete headers or none of it counts.
pub(super) fn claimed(
    checksum: Option<&str>,
    algorithm: Option<&ChecksumAlgorithm>,
    data_length: Option<i32>,
    at: &Place,
) -> Result<Digest, Fault> {
    match algorithm {
        Some(algorithm) if *algorithm == SHA256 => {}
        Some(other) => {
            return Err(corrupt(at, format!("the checksum's algorithm '{}' is unknown", other.as_str())));
        }
        None => return Err(corrupt(at, "the block came without the name of its checksum's algorithm")),
    }
    let checksum = checksum.ok_or_else(|| corrupt(at, "the block came without a checksum"))?;
    let digest =
        Digest::from_base64(checksum).map_err(|_| corrupt(at, "the block's checksum is no SHA-256"))?;
    match data_length {
        Some(length) if BlockSize::try_from(i64::from(length)).is_ok() => Ok(digest),
        Some(length) => Err(corrupt(at, format!("the block is announced as {length} bytes, not 524288"))),
        None => Err(corrupt(at, "the block came without its length")),
    }
}

/// EBS's second name for an error, wherever in the operation's error it is.
pub(super) fn reason<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a str> {
    iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source()).find_map(|error| {
        if let Some(error) = error.downcast_ref::<ValidationException>() {
            return error.reason().map(|reason| reason.as_str());
        }
        if let Some(error) = error.downcast_ref::<ResourceNotFoundException>() {
            return error.reason().map(|reason| reason.as_str());
        }
        if let Some(error) = error.downcast_ref::<RequestThrottledException>() {
            return error.reason().map(|reason| reason.as_str());
        }
        error.downcast_ref::<AccessDeniedException>().map(|error| error.reason().as_str())
    })
}

pub(super) fn corrupt(at: &Place, what: impl Into<String>) -> Fault {
    Fault::new(Kind::Corrupt, at.clone(), what)
}

/// Absent, it is the one there is: later pages may leave it out.
fn block_size(bytes: Option<i32>, at: &Place) -> Result<BlockSize, Fault> {
    bytes.map_or(Ok(BlockSize::EBS), |bytes| {
        BlockSize::try_from(i64::from(bytes))
            .map_err(|error| Fault::new(Kind::NotReadable, at.clone(), error.to_string()))
    })
}

fn token(token: Option<Text<'_>>) -> Option<BlockToken> {
    token.filter(|token| !token.0.is_empty()).map(|token| BlockToken::new(token.0))
}

/// Rounded: the wire's binary fraction of `.246` may lie just below it.
fn millis(time: &DateTime) -> UnixMillis {
    let fraction = i64::from(time.subsec_nanos().saturating_add(500_000) / 1_000_000);
    UnixMillis(time.secs().saturating_mul(1000).saturating_add(fraction))
}

//! GetSnapshotBlock: the bytes of one block, for its token.

use crate::block::BlockSize;
use crate::endpoint::act::World;
use crate::endpoint::token::Kind;
use crate::endpoint::wire::ebs::{Constraints, int};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::shelf::Content;
use crate::snapshot::UnixMillis;
use http::{HeaderValue, StatusCode};

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let mut constraints = Constraints::new();
    let id = constraints.snapshot_id("snapshotId", call.path.first().map(String::as_str));
    let number = int("blockIndex", call.path.get(1).map(String::as_str))?;
    let index = constraints.index("blockIndex", number);
    let token = constraints.required("blockToken", call.query("blockToken"));
    constraints.token("blockToken", token);
    let (Some(id), Some(index), Some(token)) = (id, index, token) else {
        return Err(constraints.refusal());
    };
    constraints.check()?;

    let info = world.readable(call, &id, now)?.ok_or_else(|| Refusal::no_snapshot(&id))?.info;
    if info.kms_key_id.is_some_and(|key| !world.account.can_use(&call.region, &key)) {
        // Not 403, as recorded live.
        let reason = Some("DEPENDENCY_RESOURCE_NOT_FOUND");
        let (status, code) = (StatusCode::NOT_FOUND, "ResourceNotFoundException");
        return Err(Refusal::service(status, code, reason, "KMS key not found"));
    }
    let invalid =
        || Refusal::validation("INVALID_BLOCK_TOKEN", format!("The block token {token} is invalid."));
    let opens = world.seal.open(Kind::Block, &[id.as_str()], token, now);
    if opens != Some(u64::from(index.get())) {
        return Err(invalid());
    }
    // The shelf has verified these bytes against this digest; here they are only passed on.
    Ok(reply(world.account.shelf().read(&id, index)?.ok_or_else(invalid)?))
}

/// A block, and its checksum.
pub(in crate::endpoint) fn reply(content: Content) -> Reply {
    let checksum = HeaderValue::try_from(content.digest.to_base64())
        .unwrap_or_else(|_| unreachable!("base64 can stand in a header"));
    Reply::new(StatusCode::OK, "application/octet-stream", content.bytes)
        .header("x-amz-data-length", HeaderValue::from(BlockSize::EBS.bytes()))
        .header("x-amz-checksum", checksum)
        .header("x-amz-checksum-algorithm", HeaderValue::from_static("SHA256"))
}

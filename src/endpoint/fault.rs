//! Faults: what goes wrong with a request, by plan.
//!
//! `faults.md` beside this file describes plans for those who write them; [`Plan`] is one that was read. Requests
//! are counted for each operation and each thing it asks for, so that no concurrency decides which request meets
//! which fault. Some faults refuse a request before anything is done, some change a successful answer, some are a
//! matter of how it is sent ([`Course`]).

mod code;
mod plan;

pub use plan::{Plan, PlanError};

use crate::block::{BlockIndex, BlockSize, Digest};
use crate::endpoint::act::{self, World};
use crate::endpoint::body::Course;
use crate::endpoint::fault::code::Code;
use crate::endpoint::quota::throttled;
use crate::endpoint::token;
use crate::endpoint::wire::{Call, Dialect, Refusal, Reply, ec2};
use crate::fault::Scope;
use crate::shelf::{Content, Fate};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Throttled(Scope),
    NotFound,
    Fails,
    Unavailable,
    Denied,
    TokenExpired,
    CredentialsExpired,
    /// Refused with this code of EC2's.
    Refused(&'static Code),
    /// The connection is reset, and nothing was done.
    Reset,
    /// It is done, and the connection is reset instead of an answer.
    Lost,
    /// It is not done and never answered.
    Stalls,
    /// The body comes in pieces, so far apart.
    Slow(Duration),
    /// The connection breaks within the body.
    Truncated,
    /// The body is whole as HTTP sees it, but too short for what it should hold.
    Short,
    /// The body is longer than what it should hold.
    Oversized,
    /// The body holds something else.
    WrongBody,
    /// The body and the checksum are those of another block.
    Misdirected,
    WrongChecksum,
    NoChecksum,
    /// It is done, but does not end well.
    Ends(Fate),
}

impl Effect {
    /// Whether an operation can meet it at all.
    pub(super) fn suits(self, operation: &str) -> bool {
        let is_sts = operation == "GetCallerIdentity";
        let is_ebs = act::is_ebs(operation);
        match self {
            Self::Throttled(Scope::Snapshot) => is_ebs,
            Self::NotFound => !is_sts,
            Self::Refused(code) => code.suits(operation),
            Self::TokenExpired => {
                ["ListSnapshotBlocks", "ListChangedBlocks", "GetSnapshotBlock"].contains(&operation)
            }
            Self::Misdirected => operation == "GetSnapshotBlock",
            Self::WrongChecksum | Self::NoChecksum => {
                ["GetSnapshotBlock", "PutSnapshotBlock"].contains(&operation)
            }
            Self::Ends(Fate::Vanishes | Fate::Fails) => operation == "CreateVolume",
            Self::Ends(Fate::Sticks) => {
                ["CreateVolume", "AttachVolume", "DetachVolume", "DeleteVolume"].contains(&operation)
            }
            _ => true,
        }
    }

    /// What goes wrong after the answer.
    pub(super) const fn fate(self) -> Option<Fate> {
        match self {
            Self::Ends(fate) => Some(fate),
            _ => None,
        }
    }

    /// Refuses the request, if that is what it does.
    pub(super) fn refuse(self, dialect: Dialect, operation: &str, call: &Call) -> Result<(), Refusal> {
        let words = Words { dialect, operation, call };
        Err(match self {
            Self::Throttled(scope) => throttled(dialect, scope),
            Self::NotFound => words.not_found(),
            Self::Fails => words.fails(),
            Self::Unavailable => words.unavailable(),
            Self::Denied => words.denied(),
            Self::TokenExpired => words.token_expired(),
            Self::CredentialsExpired => words.credentials_expired(),
            Self::Refused(code) => code.refusal(),
            _ => return Ok(()),
        })
    }

    /// Whether the request is not even looked at.
    pub(super) const fn keeps_from_acting(self) -> bool {
        matches!(self, Self::Reset | Self::Stalls)
    }

    /// How the answer is sent.
    pub(super) const fn course(self) -> Course {
        match self {
            Self::Reset | Self::Lost => Course::Reset,
            Self::Stalls => Course::Never,
            Self::Slow(pause) => Course::Slow(pause),
            Self::Truncated => Course::Truncated,
            _ => Course::Whole,
        }
    }

    /// A successful answer as it comes out.
    pub(super) fn alter(self, world: &World, call: &Call, reply: Reply) -> Result<Reply, Refusal> {
        Ok(match self {
            Self::Short => {
                let body = reply.body.slice(..reply.body.len().saturating_sub(1));
                Reply { body, ..reply }
            }
            Self::Oversized => {
                let body = Bytes::from([reply.body.as_ref(), b"}"].concat());
                Reply { body, ..reply }
            }
            Self::WrongBody if reply.content_type == BLOCK => Reply { body: flipped(&reply.body), ..reply },
            Self::WrongBody => Reply {
                content_type: "text/html",
                body: Bytes::from_static(b"<html><body>It works!</body></html>"),
                ..reply
            },
            Self::Misdirected => act::block_reply(elsewhere(world, call)?),
            Self::WrongChecksum => {
                let checksum = HeaderValue::try_from(Digest::of(b"something else").to_base64())
                    .unwrap_or_else(|_| unreachable!("base64 can stand in a header"));
                let mut reply = without_checksum(reply);
                reply.headers.push((CHECKSUM, checksum));
                reply
            }
            Self::NoChecksum => without_checksum(reply),
            _ => reply,
        })
    }
}

const BLOCK: &str = "application/octet-stream";
const CHECKSUM: http::HeaderName = http::HeaderName::from_static("x-amz-checksum");

fn without_checksum(mut reply: Reply) -> Reply {
    reply.headers.retain(|(name, _)| *name != CHECKSUM);
    reply
}

/// One bit differs, in the middle.
fn flipped(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}

/// The next block of the same snapshot, after the last one the first; zeros where there is no other.
fn elsewhere(world: &World, call: &Call) -> Result<Content, Refusal> {
    let shelf = world.account.shelf();
    let id = call.path.first().and_then(|id| id.parse().ok());
    let index: Option<BlockIndex> = call.path.get(1).and_then(|index| index.parse().ok());
    if let Some((id, index)) = id.zip(index) {
        let after = index.next().map_or(Ok(Vec::new()), |next| shelf.window(&id, next, 1))?;
        let entry = match after.into_iter().next() {
            Some(entry) => Some(entry),
            None => shelf.window(&id, BlockIndex::ZERO, 1)?.into_iter().next(),
        };
        if let Some(other) = entry.filter(|entry| entry.index != index)
            && let Some(content) = shelf.read(&id, other.index)?
        {
            return Ok(content);
        }
    }
    let zeros = Bytes::from(vec![0; BlockSize::EBS.buffer_len()]);
    Ok(Content { bytes: zeros, digest: Digest::ZERO_BLOCK })
}

/// Refusals in the words of the service that was asked.
struct Words<'a> {
    dialect: Dialect,
    operation: &'a str,
    call: &'a Call,
}

impl Words<'_> {
    fn not_found(&self) -> Refusal {
        let id = snapshot(self.call).unwrap_or_default();
        match self.dialect {
            Dialect::Ebs => Refusal::not_found(format!("The snapshot '{id}' does not exist.")),
            Dialect::Ec2 | Dialect::Sts => match id.split_once('-') {
                Some(("vol", _)) => ec2::no_volume(id),
                Some(("i", _)) => ec2::no_instance(id),
                _ => ec2::no_snapshot(id),
            },
        }
    }

    fn fails(&self) -> Refusal {
        let (status, message) = (StatusCode::INTERNAL_SERVER_ERROR, "An internal error has occurred");
        match self.dialect {
            Dialect::Ebs => Refusal::service(status, "InternalServerException", None, message),
            Dialect::Ec2 => Refusal::query(status, "InternalError", message),
            Dialect::Sts => Refusal::query(status, "InternalFailure", message),
        }
    }

    fn unavailable(&self) -> Refusal {
        let (status, message) = (StatusCode::SERVICE_UNAVAILABLE, "The service is unavailable");
        match self.dialect {
            Dialect::Ebs => Refusal::common_with(status, "ServiceUnavailableException", message),
            Dialect::Ec2 => Refusal::query(status, "Unavailable", message),
            Dialect::Sts => Refusal::query(status, "ServiceUnavailable", message),
        }
    }

    fn denied(&self) -> Refusal {
        let status = StatusCode::FORBIDDEN;
        let message = |service: &str| {
            let who = "arn:aws:iam::123456789012:user/icecore";
            format!("User: {who} is not authorized to perform: {service}:{}", self.operation)
        };
        match self.dialect {
            Dialect::Ebs => {
                let reason = Some("UNAUTHORIZED_ACCOUNT");
                Refusal::service(status, "AccessDeniedException", reason, message("ebs"))
            }
            Dialect::Ec2 => {
                let message = "You are not authorized to perform this operation.";
                Refusal::query(status, "UnauthorizedOperation", message)
            }
            Dialect::Sts => Refusal::query(status, "AccessDenied", message("sts")),
        }
    }

    fn token_expired(&self) -> Refusal {
        if self.operation == "GetSnapshotBlock" {
            let token = self.call.query("blockToken").unwrap_or_default();
            return Refusal::validation(
                "INVALID_BLOCK_TOKEN",
                format!("The block token {token} is invalid."),
            );
        }
        let token = self.call.query("pageToken").unwrap_or_default();
        Refusal::validation("INVALID_PAGE_TOKEN", format!("The pagination token {token} is invalid."))
    }

    fn credentials_expired(&self) -> Refusal {
        let message = "The security token included in the request is expired";
        match self.dialect {
            Dialect::Ebs => Refusal::common("ExpiredTokenException", message),
            Dialect::Ec2 => Refusal::query(StatusCode::BAD_REQUEST, "RequestExpired", "Request has expired."),
            Dialect::Sts => Refusal::query(StatusCode::FORBIDDEN, "ExpiredToken", message),
        }
    }
}

/// What a request asks for, as far as it is counted by: operation, snapshot, index.
type Asked = (&'static str, String, Option<u64>);

/// A plan at work.
#[derive(Debug)]
pub(super) struct Faults {
    plan: Plan,
    seen: Mutex<HashMap<Asked, u32>>,
}

impl Faults {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, seen: Mutex::default() }
    }

    /// Counts a request, and tells what it meets.
    pub(super) fn meet(&self, operation: &'static str, call: &Call) -> Option<Effect> {
        if !self.plan.concerns(operation) {
            return None;
        }
        let (snapshot, index) = (snapshot(call).unwrap_or_default(), index(operation, call));
        let nth = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let nth = seen.entry((operation, snapshot.to_owned(), index)).or_default();
            *nth = nth.saturating_add(1);
            *nth
        };
        self.plan.effect(operation, snapshot, index, nth)
    }
}

/// The snapshot asked for: in the path, or the first that EC2's parameters name. Where they name none, another thing
/// that is named first stands for it, so that requests for different volumes are counted apart.
fn snapshot(call: &Call) -> Option<&str> {
    const NAMES: [&str; 6] =
        ["SnapshotId", "SnapshotId.1", "VolumeId", "VolumeId.1", "ResourceId.1", "InstanceId.1"];
    let in_path = call.path.first().map(String::as_str);
    in_path.or_else(|| NAMES.iter().find_map(|name| call.query(name)))
}

/// The block asked for; of a listing the one at which the page begins.
fn index(operation: &str, call: &Call) -> Option<u64> {
    match operation {
        "GetSnapshotBlock" | "PutSnapshotBlock" => call.path.get(1)?.parse().ok(),
        "ListSnapshotBlocks" | "ListChangedBlocks" => match call.query("pageToken") {
            Some(token) => token::position(token),
            None => call.query("startingBlockIndex").map_or(Some(0), |index| index.parse().ok()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! Tokens of pages and blocks: opaque, sealed, and good after a restart.
//!
//! A token says when it ends and where it points; what it belongs to (operation, snapshots) is not in it but
//! under its seal, so that it opens only where it was given out. The seal is HMAC-SHA-256 with the shelf's secret,
//! which outlives the process: nothing is remembered, a restart forgets nothing. HMAC rather than a plain hash of
//! secret and payload, because such a hash can be extended by whoever has seen one.
//!
//! ```text
//! 0   3   02 53, and the kind: 1 block, 2 page of blocks, 3 page of changed blocks, 4 page of EC2's
//! 3   8   when it ends, milliseconds since 1970, big-endian
//! 11  8   where it points: a block index, a start time in milliseconds, the number of an id
//! 19  n   a nonce; two listings never give the same token
//! -32 32  the seal over all before it and what it belongs to, each with its length before it
//! ```
//!
//! In URL-safe base64 without padding, as recorded live; kinds 1 to 3 begin with the same four letters as live
//! ones, and the nonce fills them up to the same length (95, 95 and 111 characters), so that what a client keeps
//! in memory here is what it will have to keep there.

use crate::block::BlockIndex;
use crate::snapshot::{SnapshotId, UnixMillis};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

const MINUTE: i64 = 60_000;
/// Page tokens are valid for 60 minutes (EBS user guide, "ebsapi-faq").
const PAGE_LASTS: i64 = 60 * MINUTE;
const SEAL: usize = 32;
const POSITION: usize = 19;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Block,
    SnapshotPage,
    ChangedPage,
    DescribePage,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Block => 1,
            Self::SnapshotPage => 2,
            Self::ChangedPage => 3,
            Self::DescribePage => 4,
        }
    }

    /// Bytes of a whole token: what live tokens decode to.
    const fn len(self) -> usize {
        match self {
            Self::Block | Self::SnapshotPage | Self::DescribePage => 71,
            Self::ChangedPage => 83,
        }
    }
}

/// Seals and opens tokens.
#[derive(Clone)]
pub(super) struct Seal(Hmac<Sha256>);

impl Seal {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(secret).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length")))
    }

    /// A token for this block until `expiry`.
    pub(super) fn block(&self, snapshot: &SnapshotId, index: BlockIndex, expiry: UnixMillis) -> String {
        self.seal(Kind::Block, &[snapshot.as_str()], index.get().into(), expiry)
    }

    /// A token for the rest of a listing from `position` on, given out now.
    pub(super) fn page(&self, kind: Kind, of: &[&str], position: u64, now: UnixMillis) -> String {
        self.seal(kind, of, position, now.plus_millis(PAGE_LASTS))
    }

    /// Where a token points; `None` if it was not given out for this, or has ended.
    pub(super) fn open(&self, kind: Kind, of: &[&str], token: &str, now: UnixMillis) -> Option<u64> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() == kind.len())?;
        let (body, seal) = bytes.split_at(bytes.len() - SEAL);
        if body[..3] != head(kind) {
            return None;
        }
        self.over(body, of).verify_slice(seal).ok()?;
        let number = |at: usize| Some(u64::from_be_bytes(body.get(at..at + 8)?.try_into().ok()?));
        let expiry = i64::try_from(number(3)?).ok()?;
        (now.0 < expiry).then_some(number(11)?)
    }

    fn seal(&self, kind: Kind, of: &[&str], position: u64, expiry: UnixMillis) -> String {
        let mut bytes = Vec::with_capacity(kind.len());
        bytes.extend(head(kind));
        bytes.extend(expiry.0.max(0).to_be_bytes());
        bytes.extend(position.to_be_bytes());
        // Not a secret: it only has to differ.
        bytes.resize_with(kind.len() - SEAL, || fastrand::u8(..));
        let seal = self.over(&bytes, of).finalize().into_bytes();
        bytes.extend(seal);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn over(&self, body: &[u8], of: &[&str]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(body);
        for id in of {
            mac.update(&(id.len() as u64).to_be_bytes());
            mac.update(id.as_bytes());
        }
        mac
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(..)")
    }
}

/// Where a token points, whether or not it would open: for whoever counts requests, not for whoever grants them.
pub(super) fn position(token: &str) -> Option<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    Some(u64::from_be_bytes(bytes.get(POSITION - 8..POSITION)?.try_into().ok()?))
}

/// When the block tokens of a listing end: between 6 days 6 hours and 7 days 8 hours on, in whole minutes and
/// different each time. The documents say 7 days; every recorded answer lay in this span.
pub(super) fn block_expiry(now: UnixMillis) -> UnixMillis {
    now.plus_millis(fastrand::i64((6 * 24 + 6) * 60..=(7 * 24 + 8) * 60) * MINUTE)
}

const fn head(kind: Kind) -> [u8; 3] {
    [0x02, 0x53, kind.code()]
}

// The nonce needs room between position and seal.
const _: () = assert!(Kind::Block.len() > POSITION + SEAL + 8);

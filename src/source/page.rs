//! Listings: pages of entries, and the cursor that walks them.

use crate::block::{BlockIndex, GiB};
use crate::snapshot::{BlockToken, PageToken};

/// An allocated block, and the token that opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where in the volume.
    pub index: BlockIndex,
    /// Opens it.
    pub token: BlockToken,
}

/// A block written between two snapshots: a token for each of the two that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where in the volume.
    pub index: BlockIndex,
    /// Opens it in the first snapshot; `None` where it is absent there.
    pub first: Option<BlockToken>,
    /// Opens it in the second snapshot; `None` where it is absent there.
    pub second: Option<BlockToken>,
}

/// Where a listing goes on. It starts at an index, then carries the service's token.
///
/// The index is kept beside the token: when the token has expired, a new cursor at that index loses nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Nothing at or after this index has been seen.
    pub from: BlockIndex,
    /// Continues the service's own walk; wins over `from`.
    pub token: Option<PageToken>,
}

impl Cursor {
    /// From this index on, inclusive.
    pub const fn at(from: BlockIndex) -> Self {
        Self { from, token: None }
    }

    /// From the first block on.
    pub const fn start() -> Self {
        Self::at(BlockIndex::ZERO)
    }

    /// The same place without the token, for when it is refused.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self::at(self.from)
    }
}

/// One page of a listing. May be empty and not the last.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// Ascending by index.
    pub entries: Vec<T>,
    /// Where it goes on; `None` at the end.
    pub next: Option<Cursor>,
    /// Size of the volume, where the service says; of two compared, the second's. Last pages may not say it.
    pub volume_size: Option<GiB>,
    /// Number of entries that the request asked for; `None` where the source has no such limit.
    pub max_entries: Option<u32>,
}

//! Runs of blocks as programs read them: written as they are walked, never collected.

use crate::block::{BlockRange, BlockSet, BlockSize};
use serde::{Serialize, Serializer};

/// `[[start,len],..]`, in blocks.
pub(super) struct Pairs<'a>(pub &'a BlockSet);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.ranges().map(|range| (range.start().get(), range.len())))
    }
}

/// The first runs for people: `3, 700-702 and 5 more runs`.
pub(super) fn shown(blocks: &BlockSet, most: usize) -> String {
    let n = blocks.ranges().count();
    let runs: Vec<_> = blocks.ranges().take(most).map(|range| range.to_string()).collect();
    match n.saturating_sub(most) {
        0 => runs.join(", "),
        more => format!("{} and {more} more runs", runs.join(", ")),
    }
}

/// A response of Kubernetes' changed-block-tracking API: what GetMetadataAllocated and GetMetadataDelta stream
/// (container-storage-interface spec, SnapshotMetadata service), gathered in one object.
#[derive(Serialize)]
pub(super) struct Cbt<'a> {
    block_metadata_type: &'static str,
    /// Left out where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    volume_capacity_bytes: Option<u64>,
    block_metadata: CbtRanges<'a>,
}

impl<'a> Cbt<'a> {
    /// These blocks as ranges of various lengths.
    pub(super) fn new(blocks: &'a BlockSet, block_size: BlockSize, capacity: Option<u64>) -> Self {
        Self {
            block_metadata_type: "VARIABLE_LENGTH",
            volume_capacity_bytes: capacity,
            block_metadata: CbtRanges { blocks, block_size },
        }
    }
}

struct CbtRanges<'a> {
    blocks: &'a BlockSet,
    block_size: BlockSize,
}

#[derive(Serialize)]
struct CbtRange {
    byte_offset: u64,
    size_bytes: u64,
}

impl Serialize for CbtRanges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let in_bytes = |range: BlockRange| CbtRange {
            byte_offset: range.byte_offset(self.block_size),
            size_bytes: range.size(self.block_size).bytes(),
        };
        serializer.collect_seq(self.blocks.ranges().map(in_bytes))
    }
}

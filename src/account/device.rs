//! What is on a device: the snapshot's blocks, and where it has none, zeros or chance.

use crate::block::{BlockIndex, BlockSize, Geometry};
use crate::estate::Volume;
use crate::fault::Fault;
use crate::shelf::Shelf;
use crate::snapshot::{SnapshotId, SnapshotInfo};
use bytes::Bytes;
use fastrand::Rng;

type Contents<'a> = dyn Iterator<Item = Result<(BlockIndex, Bytes), Fault>> + 'a;

/// Entries looked up at once.
const WINDOW: usize = 1000;

/// The blocks of a new volume, ascending; those left out read as zeros. Of an encrypted snapshot no block is left
/// out: decrypted, what was never written is random (awslabs/coldsnap#395). They are the same for the same volume.
pub(super) fn contents<'a>(
    shelf: &'a dyn Shelf,
    volume: &Volume,
    source: Option<&SnapshotInfo>,
) -> Box<Contents<'a>> {
    let Some(source) = source else { return Box::new(std::iter::empty()) };
    let written = Written { shelf, id: source.id.clone(), from: Some(BlockIndex::ZERO), ahead: Vec::new() };
    if !volume.encrypted {
        return Box::new(written);
    }
    let seed = volume.id.as_str().bytes().fold(0_u64, |seed, byte| seed.rotate_left(7) ^ u64::from(byte));
    let mut rng = Rng::with_seed(seed);
    let mut written = written.peekable();
    Box::new(Geometry::ebs(volume.size).range().iter().map(move |index| {
        let is_written =
            written.peek().is_some_and(|next| next.as_ref().map_or(true, |(at, _)| *at == index));
        if is_written && let Some(next) = written.next() {
            return next;
        }
        let mut bytes = vec![0; BlockSize::EBS.buffer_len()];
        rng.fill(&mut bytes);
        Ok((index, bytes.into()))
    }))
}

/// The blocks of a snapshot.
struct Written<'a> {
    shelf: &'a dyn Shelf,
    id: SnapshotId,
    /// Where to look on; `None` at the end.
    from: Option<BlockIndex>,
    /// Indexes found, the next one last.
    ahead: Vec<BlockIndex>,
}

impl Iterator for Written<'_> {
    type Item = Result<(BlockIndex, Bytes), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ahead.is_empty() {
            let window = match self.shelf.window(&self.id, self.from?, WINDOW) {
                Ok(window) => window,
                Err(fault) => {
                    self.from = None;
                    return Some(Err(fault));
                }
            };
            self.from = window.last().and_then(|last| last.index.next());
            self.ahead = window.into_iter().rev().map(|entry| entry.index).collect();
        }
        let index = self.ahead.pop()?;
        match self.shelf.read(&self.id, index) {
            Ok(Some(content)) => Some(Ok((index, content.bytes))),
            // It was deleted while it was read.
            Ok(None) => None,
            Err(fault) => Some(Err(fault)),
        }
    }
}

//! Batches of a file, gone through in pieces.

use crate::block::{BlockIndex, BlockSize, Buffer, Digest, LANES, Lanes};
use crate::device::{Held, Image};
use crate::fault::Fault;
use crate::ops::scan::{BATCH, Listener, Scan, Scanned};
use std::array::from_fn;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a block read at once. Of sixteen blocks that is half of what a processor of servers keeps at hand (L2);
/// smaller pieces cost more calls than they save.
const PIECE: usize = 32 << 10;

/// Bytes between the pieces of two blocks: at a power of two they would crowd each other out of the cache.
const APART: usize = PIECE + 64;

/// Takes batches until there are no more.
///
/// `told` is the end of what the system was told that it will be read, in bytes.
pub(super) fn read<I, L>(scan: &Scan<I, L>, told: &AtomicU64) -> Result<(), Fault>
where
    I: Iterator<Item = BlockIndex> + Send,
    L: Listener,
{
    // Memory that is never written to takes none.
    let mut buffer = Buffer::for_blocks(BATCH);
    loop {
        let batch = scan.next(BATCH)?;
        if batch.is_empty() {
            return Ok(());
        }
        expect(&scan.image, &batch, told);
        if let Some(digests) = in_pieces(&scan.image, &batch, buffer.as_mut_slice()) {
            for (index, digest) in batch.iter().zip(digests) {
                scan.listener.read(&Scanned { index: *index, digest })?;
            }
            scan.has_done(batch.len());
        } else {
            one_by_one(scan, &batch, &mut buffer)?;
        }
    }
}

/// Tells the system what is read now, and where that is in a row, what follows: it is most likely read next.
fn expect(image: &Image, batch: &[BlockIndex], told: &AtomicU64) {
    let block = u64::from(BlockSize::EBS.bytes());
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return };
    let (start, end) = (first.byte_offset(BlockSize::EBS), last.byte_offset(BlockSize::EBS) + block);
    if end - start > block * batch.len() as u64 {
        batch.iter().for_each(|index| image.expect(index.byte_offset(BlockSize::EBS), block));
        return;
    }
    let end = end + 2 * BATCH as u64 * block;
    let start = start.max(told.fetch_max(end, Ordering::Relaxed));
    if start < end {
        image.expect(start, end - start);
    }
}

/// `None` where they are not sixteen whole blocks, the processor has no lanes for them, or one cannot be read.
fn in_pieces(image: &Image, batch: &[BlockIndex], buffer: &mut [u8]) -> Option<[Digest; LANES]> {
    let batch: &[BlockIndex; LANES] = batch.try_into().ok()?;
    let mut lanes = Lanes::new()?;
    if !batch.iter().all(|index| image.is_whole(*index).is_ok_and(|is_whole| is_whole)) {
        return None;
    }
    let offset = |index: BlockIndex| index.byte_offset(BlockSize::EBS);
    let is_in_a_row = u64::from(batch[LANES - 1].get() - batch[0].get()) == LANES as u64 - 1;
    let near =
        is_in_a_row.then(|| image.near(offset(batch[0]), LANES * BlockSize::EBS.buffer_len())).flatten();
    for at in (0..BlockSize::EBS.buffer_len()).step_by(PIECE) {
        for (index, room) in batch.iter().zip(buffer.chunks_exact_mut(APART)) {
            image.read_at(offset(*index) + at as u64, &mut room[..PIECE]).ok()?;
        }
        // While these are hashed, the next come nearer.
        let next = at + PIECE;
        let is_last = next == BlockSize::EBS.buffer_len();
        let near = near.as_ref().filter(|_| !is_last);
        let ahead = near.map(|near| batch.map(|index| near.hint(offset(index) + next as u64)));
        lanes.push(from_fn(|lane| &buffer[lane * APART..lane * APART + PIECE]), ahead);
    }
    Some(lanes.finish())
}

/// Block after block, so that one that cannot be read is known.
fn one_by_one<I, L>(scan: &Scan<I, L>, batch: &[BlockIndex], buffer: &mut Buffer) -> Result<(), Fault>
where
    I: Iterator<Item = BlockIndex> + Send,
    L: Listener,
{
    let block = BlockSize::EBS.buffer_len();
    let mut read: Vec<Option<Held>> = Vec::with_capacity(BATCH);
    for (index, room) in batch.iter().zip(buffer.as_mut_slice().chunks_exact_mut(block)) {
        match scan.image.fill(*index, room) {
            Ok(held) => read.push(Some(held)),
            Err(fault) => {
                scan.listener.unreadable(*index, fault)?;
                read.push(None);
            }
        }
    }
    let rooms = buffer.as_slice().chunks_exact(block);
    let read: Vec<_> =
        read.into_iter().zip(rooms).map(|(held, bytes)| held.map(|held| (held, bytes))).collect();
    scan.tell(batch, &read)
}

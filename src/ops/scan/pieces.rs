//! Batches of a file, gone through in pieces.

use crate::block::{BlockIndex, BlockRange, BlockSize, Buffer, Digest, LANES, Lanes};
use crate::device::Image;
use crate::disk::Near;
use crate::fault::Fault;
use crate::ops::scan::{BATCH, Listener, Scan, Scanned};
use std::array::from_fn;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a block read at once. Of sixteen blocks that is half of what a processor of servers keeps at hand (L2);
/// smaller pieces cost more calls than they save.
const PIECE: usize = 32 << 10;

/// Bytes between the pieces of two blocks: at a power of two they would crowd each other out of the cache.
const APART: usize = PIECE + 64;

/// Blocks that are read together.
struct Batch {
    blocks: Vec<BlockIndex>,
    /// Where there are sixteen in a row, to be read in pieces.
    near: Option<Near>,
}

/// Takes batches until there are no more.
///
/// `told` is the end of what the system was told that it will be read, in blocks.
pub(super) fn read<L: Listener>(scan: &Scan<L>, told: &AtomicU64) -> Result<(), Fault> {
    // Memory that is never written to takes none.
    let mut buffer = Buffer::for_blocks(BATCH);
    let mut batch = Batch::take(scan, told)?;
    while !batch.blocks.is_empty() {
        // The next is taken before this is read, for its first pieces to come near while the last of these are hashed.
        let next = Batch::take(scan, told);
        match lanes(scan).and_then(|lanes| {
            in_pieces(lanes, &scan.image, &batch, next.as_ref().ok(), buffer.as_mut_slice())
        }) {
            Some(digests) => {
                for (index, digest) in batch.blocks.iter().zip(digests) {
                    scan.listener.read(&Scanned { index: *index, digest })?;
                }
                scan.has_done(batch.blocks.len());
            }
            None => one_by_one(scan, &batch.blocks, &mut buffer)?,
        }
        batch = next?;
    }
    Ok(())
}

/// `None` where they are not to be used.
fn lanes<L: Listener>(scan: &Scan<L>) -> Option<Lanes> {
    Lanes::new().filter(|_| !scan.listener.is_careful())
}

impl Batch {
    /// The next in line; an empty one when they are through.
    fn take<L: Listener>(scan: &Scan<L>, told: &AtomicU64) -> Result<Self, Fault> {
        let blocks = scan.next(BATCH)?;
        expect(scan, &blocks, told);
        let near = lanes(scan).and_then(|_| near(&scan.image, &blocks));
        Ok(Self { blocks, near })
    }

    /// Where the bytes of each block are, from this one of the block on. For hints alone.
    fn places(&self, at: usize) -> Option<[*const u8; LANES]> {
        let blocks = <&[BlockIndex; LANES]>::try_from(self.blocks.as_slice()).ok()?;
        let near = self.near.as_ref()?;
        Some(blocks.map(|index| near.hint(index.byte_offset(BlockSize::EBS) + at as u64)))
    }
}

fn near(image: &Image, blocks: &[BlockIndex]) -> Option<Near> {
    let (first, last) = (blocks.first()?, blocks.last()?);
    let is_in_a_row = blocks.len() == LANES && (last.get() - first.get()) as usize == LANES - 1;
    let len = LANES * BlockSize::EBS.buffer_len();
    is_in_a_row.then(|| image.near(first.byte_offset(BlockSize::EBS), len)).flatten()
}

/// Hints to the system what is read now, and where that is in a row, what follows: it is most likely read next. What is
/// not read, holes above all, is left out.
fn expect<L>(scan: &Scan<L>, batch: &[BlockIndex], told: &AtomicU64) {
    let size = BlockSize::EBS;
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return };
    let expect = |blocks: BlockRange| {
        let start = blocks.byte_offset(size);
        scan.image.expect(start..start + blocks.size(size).bytes());
    };
    if (last.get() - first.get()) as usize >= batch.len() {
        batch.iter().for_each(|index| expect(BlockRange::new(*index, 1)));
        return;
    }
    let end = u64::from(last.get()) + 1 + 2 * BATCH as u64;
    let start = u64::from(first.get()).max(told.fetch_max(end, Ordering::Relaxed));
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).min(1 << 31);
    if start < end {
        let ahead = BlockRange::new(BlockIndex::new(number(start)), number(end) - number(start));
        scan.data.ranges_in(ahead).for_each(expect);
    }
}

/// `None` where they are not sixteen whole blocks, or one cannot be read.
fn in_pieces(
    mut lanes: Lanes,
    image: &Image,
    batch: &Batch,
    next: Option<&Batch>,
    buffer: &mut [u8],
) -> Option<[Digest; LANES]> {
    let blocks = <&[BlockIndex; LANES]>::try_from(batch.blocks.as_slice()).ok()?;
    if !blocks.iter().all(|index| image.is_whole(*index)) {
        return None;
    }
    let len = BlockSize::EBS.buffer_len();
    for at in (0..len).step_by(PIECE) {
        for (index, room) in blocks.iter().zip(buffer.chunks_exact_mut(APART)) {
            image.read_at(index.byte_offset(BlockSize::EBS) + at as u64, &mut room[..PIECE]).ok()?;
        }
        // While these are hashed, those that follow come nearer.
        let ahead = match at + PIECE {
            following if following < len => batch.places(following),
            _ => next.and_then(|next| next.places(0)),
        };
        lanes.push(from_fn(|lane| &buffer[lane * APART..lane * APART + PIECE]), ahead);
    }
    Some(lanes.finish())
}

/// Block after block, so that one that cannot be read is known.
fn one_by_one<L: Listener>(scan: &Scan<L>, batch: &[BlockIndex], buffer: &mut Buffer) -> Result<(), Fault> {
    let block = BlockSize::EBS.buffer_len();
    let mut is_read = Vec::with_capacity(BATCH);
    for (index, room) in batch.iter().zip(buffer.as_mut_slice().chunks_exact_mut(block)) {
        let read = scan.image.read_block(*index, room);
        is_read.push(read.is_ok());
        if let Err(fault) = read {
            scan.listener.unreadable(*index, fault)?;
        }
    }
    let rooms = buffer.as_slice().chunks_exact(block);
    let read: Vec<_> =
        is_read.into_iter().zip(rooms).map(|(is_read, bytes)| is_read.then_some(bytes)).collect();
    scan.tell(batch, &read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Machine;
    use std::path::PathBuf;

    #[test]
    fn what_is_read_in_pieces_has_the_digests_of_its_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let bytes: Vec<u8> =
            (0..17 * 65_536_u64).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
        std::fs::write(&path, &bytes).unwrap();
        let image = Image::open(&path, &Machine::real(PathBuf::new())).unwrap();
        let mut buffer = Buffer::for_blocks(BATCH);
        let mut read = |indexes: Vec<u32>| {
            let blocks: Vec<_> = indexes.into_iter().map(BlockIndex::new).collect();
            let batch = Batch { near: near(&image, &blocks), blocks };
            let lanes = Lanes::on_this_machine()?;
            let digests = in_pieces(lanes, &image, &batch, Some(&batch), buffer.as_mut_slice())?;
            let block = |index: &BlockIndex| &bytes[index.get() as usize * 524_288..][..524_288];
            Some(batch.blocks.iter().map(block).map(Digest::of).eq(digests))
        };
        if Lanes::on_this_machine().is_some() {
            assert_eq!(read((0..16).collect()), Some(true), "in a row");
            assert_eq!(read((1..17).collect()), Some(true), "in a row, not from the first on");
            assert_eq!(read((0..15).chain([16]).collect()), Some(true), "with one left out");
        }
        assert_eq!(read((0..15).collect()), None, "not sixteen");
        assert_eq!(read((2..18).collect()), None, "one beyond the end");
    }
}

//! XFS, and the end of its log: clean is what ends with the record of an unmount.

use super::{Consistency, FileSystem, FileSystemKind};
use crate::block::ByteSize;
use crate::device::reader::{Reader, big, label};
use crate::fault::Fault;

/// Bytes of the blocks that a log counts in.
const BASIC: u64 = 512;
/// The first word of a log record's header. In all other blocks of a log the cycle number stands there.
const RECORD: u64 = 0xfeed_babe;
/// Basic blocks of a log that may be in flight when a machine stops: eight records of 256 KiB.
const IN_FLIGHT: u64 = 4096;
/// Basic blocks of a log at most: 2 GiB.
const MOST: u64 = 1 << 22;

const NEEDS_REPAIR: u64 = 0x10;

pub(super) fn superblock(head: &[u8], offset: u64) -> Option<FileSystem> {
    (head.get(..4)? == b"XFSB").then_some(())?;
    // Only version 5 keeps the sequence number of its superblock's last write.
    let is_v5 = big::<2>(head, 100)? & 0xf == 5;
    let is_to_be_repaired = is_v5 && big::<4>(head, 216)? & NEEDS_REPAIR != 0;
    let reasons = [
        (big::<1>(head, 126)? != 0, "its making was not finished"),
        (is_to_be_repaired, "it is marked as needing repair"),
    ];
    let reasons: Vec<_> =
        reasons.into_iter().filter(|(is_so, _)| *is_so).map(|(_, why)| why.to_owned()).collect();
    Some(FileSystem {
        kind: FileSystemKind::Xfs,
        offset,
        size: ByteSize::from_bytes(big::<8>(head, 8)?.checked_mul(big::<4>(head, 4)?)?),
        uuid: *head.get(32..)?.first_chunk()?,
        label: label(head.get(108..120)?),
        mounted: None,
        written: None,
        sequence: if is_v5 { big::<8>(head, 240) } else { None },
        consistency: match reasons.is_empty() {
            true => Consistency::undecided("its log was not read"),
            false => Consistency::of(reasons),
        },
    })
}

/// Reads the log, as far as it takes to find its end.
pub(super) fn consistency(reader: &mut Reader<'_>, offset: u64) -> Result<Consistency, Fault> {
    let head = reader.bytes(offset, 512)?;
    match Log::of(&head, offset) {
        Some(mut log) => log.consistency(reader),
        None => Ok(Consistency::undecided("its log is not within it")),
    }
}

/// The log of a file system.
struct Log {
    /// Its first byte on the disk.
    offset: u64,
    /// Its basic blocks.
    len: u64,
    uuid: [u8; 16],
}

impl Log {
    /// The log that a superblock names, on the same device.
    fn of(sb: &[u8], offset: u64) -> Option<Self> {
        let (block_size, start) = (big::<4>(sb, 4)?, big::<8>(sb, 48)?);
        let (group_blocks, log_blocks, group_log) =
            (big::<4>(sb, 84)?, big::<4>(sb, 96)?, big::<1>(sb, 124)?);
        let is_plausible = start > 0 && block_size.is_power_of_two() && block_size >= BASIC && group_log < 32;
        is_plausible.then_some(())?;
        let (group, within) = (start >> group_log, start & ((1 << group_log) - 1));
        let block = group.checked_mul(group_blocks)?.checked_add(within)?;
        let len = log_blocks.checked_mul(block_size)? / BASIC;
        (len > 2 && len <= MOST && block < big::<8>(sb, 8)?).then_some(())?;
        let offset = offset.checked_add(block.checked_mul(block_size)?)?;
        Some(Self { offset, len, uuid: *sb.get(32..)?.first_chunk()? })
    }

    fn block(&self, reader: &mut Reader<'_>, at: u64) -> Result<Vec<u8>, Fault> {
        reader.bytes(self.offset.saturating_add(at % self.len * BASIC), 512)
    }

    /// Returns the cycle in which a block was written; 0 is never.
    fn cycle(&self, reader: &mut Reader<'_>, at: u64) -> Result<u64, Fault> {
        let block = self.block(reader, at)?;
        let word = |at| big::<4>(&block, at).unwrap_or_default();
        Ok(if word(0) == RECORD { word(4) } else { word(0) })
    }

    /// Returns the first block of the second half that bears this cycle, as the last block does and the first does not.
    fn start_of(&self, reader: &mut Reader<'_>, cycle: u64) -> Result<u64, Fault> {
        let (mut before, mut at) = (0, self.len - 1);
        while before + 1 < at {
            let middle = before.midpoint(at);
            *(if self.cycle(reader, middle)? == cycle { &mut at } else { &mut before }) = middle;
        }
        Ok(at)
    }

    /// Returns the first of these blocks that bears this cycle.
    fn first_with(
        &self,
        reader: &mut Reader<'_>,
        blocks: std::ops::Range<u64>,
        cycle: u64,
    ) -> Result<Option<u64>, Fault> {
        for at in blocks {
            if self.cycle(reader, at)? == cycle {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Returns the block after the last one that was written, as the kernel finds it (`xlog_find_head`); `None` of a log
    /// that never was.
    fn head(&self, reader: &mut Reader<'_>) -> Result<Option<u64>, Fault> {
        let (first, last) = (self.cycle(reader, 0)?, self.cycle(reader, self.len - 1)?);
        if first == 0 {
            return Ok(None);
        }
        // What was written out of order before a halt leaves blocks of the cycle before within the last ones.
        let (head, hole) = match last {
            last if last == first => (self.len, last - 1),
            last => (self.start_of(reader, last)?, last),
        };
        let window = IN_FLIGHT.min(self.len);
        if head < window && last > 0 {
            let end = self.len - (window - head);
            if let Some(hole) = self.first_with(reader, end..self.len, hole.saturating_sub(1))? {
                return Ok(Some(hole));
            }
        }
        let hole = self.first_with(reader, head.saturating_sub(window)..head, hole)?;
        Ok(Some(hole.unwrap_or(head)))
    }

    fn consistency(&mut self, reader: &mut Reader<'_>) -> Result<Consistency, Fault> {
        let Some(head) = self.head(reader)? else {
            return Ok(Consistency::undecided("its log holds zeros"));
        };
        // A record ends where its header says, and the last one at the head.
        for back in 1..=IN_FLIGHT.min(self.len) {
            let at = (head + self.len - back) % self.len;
            let record = self.block(reader, at)?;
            if big::<4>(&record, 0) != Some(RECORD) {
                continue;
            }
            if !matches!(record.get(304..320), Some(uuid) if uuid == self.uuid) {
                return Ok(Consistency::undecided("its log is that of another file system"));
            }
            let word = |at| big::<4>(&record, at).unwrap_or_default();
            let (version, len, operations, size) = (word(8), word(12), word(40), word(320));
            let headers = if version & 2 != 0 { size.div_ceil(32 << 10).max(1) } else { 1 };
            let is_last = headers + len.div_ceil(BASIC) == back;
            // The header of the one operation: its client is the log, and its flag an unmount.
            let operation = self.block(reader, at + headers)?;
            let is_unmount =
                operation.get(8..10).is_some_and(|bytes| bytes[0] == 0xaa && bytes[1] & 0x20 != 0);
            return Ok(match is_last && operations == 1 && is_unmount {
                true => Consistency::Clean,
                false => Consistency::Dirty("its log has to be replayed".to_owned()),
            });
        }
        Ok(Consistency::undecided("its log has no record where it ends"))
    }
}

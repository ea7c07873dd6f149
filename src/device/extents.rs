//! Where a file has data.
//!
//! A sparse file is asked for its extents in ascending order, with two questions for each, however many blocks lie in an
//! extent or between two of them: what a hole of terabytes costs does not follow from its size.

use crate::block::{BlockIndex, BlockRange, BlockSet, BlockSize};
use crate::disk::Handle;
use std::ops::Range;

const BLOCK_BYTES: u64 = BlockSize::EBS.bytes() as u64;

/// Returns those of the blocks in which the file has data: they lie before its end, `len` bytes, and not wholly in a
/// hole. Where the file system gives no answer, everything is data, and reading it shows what is wrong.
pub(super) fn data_in(file: &dyn Handle, len: u64, wanted: &BlockSet) -> BlockSet {
    let mut data = BlockSet::new();
    // The last extent found. It serves all ranges up to its end, those in the hole before it included.
    let mut extent = 0..0;
    for range in wanted.ranges() {
        let mut at = range.byte_offset(BlockSize::EBS);
        let end = len.min(at + range.size(BlockSize::EBS).bytes());
        while at < end {
            if extent.end <= at {
                extent = extent_from(file, at);
            }
            let start = extent.start.max(at);
            if start >= end {
                break;
            }
            let found = touched(start..extent.end.min(end));
            data.insert_range(found);
            at = u64::from(found.end()) * BLOCK_BYTES;
        }
    }
    data
}

/// The first data at or after a place; nothing is read of it. Past the last data it begins where no file reaches.
fn extent_from(file: &dyn Handle, from: u64) -> Range<u64> {
    let start = match file.next_data(from) {
        Ok(Some(start)) => start,
        Ok(None) => return u64::MAX..u64::MAX,
        Err(_) => return from..u64::MAX,
    };
    // A file that changes meanwhile may have a hole there by now.
    start..file.next_hole(start).map_or(u64::MAX, |end| end.max(start.saturating_add(1)))
}

/// The blocks in which these bytes lie, which are within a volume.
fn touched(bytes: Range<u64>) -> BlockRange {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let (first, end) = (number(bytes.start / BLOCK_BYTES), number(bytes.end.div_ceil(BLOCK_BYTES)));
    BlockRange::new(BlockIndex::new(first), end - first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::faulty::{Act, Faulty};
    use crate::disk::{Disk, Opening, RealDisk};
    use rustix::io::Errno;
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A sparse file with a block of data at each of these places, and where it is a byte more.
    fn sparse(dir: &Path, len: u64, blocks: &[u64]) -> std::path::PathBuf {
        let path = dir.join("image");
        let file = File::create(&path).unwrap();
        file.set_len(len).unwrap();
        for index in blocks {
            file.write_all_at(&[7; 524_288], index * BLOCK_BYTES).unwrap();
        }
        path
    }

    /// First block and the one after the last, of each range.
    fn ranges(set: &BlockSet) -> Vec<(u32, u32)> {
        set.ranges().map(|range| (range.start().get(), range.end())).collect()
    }

    fn set(ranges: &[(u32, u32)]) -> BlockSet {
        let mut set = BlockSet::new();
        for (start, end) in ranges {
            set.insert_range(BlockRange::new(BlockIndex::new(*start), end - start));
        }
        set
    }

    #[test]
    fn data_is_found_with_two_questions_an_extent_whatever_lies_between() {
        let dir = tempfile::tempdir().unwrap();
        // 15 TiB, the largest multiple of a TiB that the file system of a test machine is sure to take.
        let path = sparse(dir.path(), 15 << 40, &[3, 4, 9, 20_000_000]);
        let asked = Arc::new(AtomicU64::new(0));
        let counted = {
            let asked = Arc::clone(&asked);
            Faulty::new(Arc::new(RealDisk::default()), move |act, _| {
                asked.fetch_add(u64::from(act == Act::Read), Ordering::Relaxed);
                Ok(())
            })
        };
        let file = counted.open(&path, Opening::Read).unwrap();
        let found = |wanted: &[(u32, u32)]| {
            asked.store(0, Ordering::Relaxed);
            (ranges(&data_in(file.as_ref(), 15 << 40, &set(wanted))), asked.load(Ordering::Relaxed))
        };
        let (all, questions) = found(&[(0, 31_457_280)]);
        assert_eq!(all, [(3, 5), (9, 10), (20_000_000, 20_000_001)]);
        assert!(questions <= 2 * 3 + 1, "{questions} questions for three extents");
        assert_eq!(found(&[(4, 10)]).0, [(4, 5), (9, 10)]);
        // Ranges within one hole, or within one extent, share one answer.
        let many: Vec<_> = (0..1000).map(|n| (100 + 2 * n, 101 + 2 * n)).collect();
        assert_eq!(found(&many), (vec![], 2));
        // All of it lies beyond the end: nothing is asked.
        assert_eq!(found(&[(31_457_280, 31_457_290)]), (vec![], 0));
    }

    #[test]
    fn a_byte_makes_its_whole_block_data_and_so_does_the_last_one() {
        let dir = tempfile::tempdir().unwrap();
        let len = 8 * BLOCK_BYTES + 10;
        let path = sparse(dir.path(), len, &[]);
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[1], 3 * BLOCK_BYTES - 1).unwrap();
        file.write_all_at(&[1], len - 1).unwrap();
        let file = RealDisk::default().open(&path, Opening::Read).unwrap();
        let found = data_in(file.as_ref(), len, &set(&[(0, 2048)]));
        assert_eq!(ranges(&found), [(2, 3), (8, 9)]);
    }

    #[test]
    fn without_an_answer_everything_is_data() {
        let dir = tempfile::tempdir().unwrap();
        let path = sparse(dir.path(), 10 * BLOCK_BYTES, &[]);
        let broken = Faulty::new(Arc::new(RealDisk::default()), |act, _| match act {
            Act::Read => Err(Errno::IO.into()),
            _ => Ok(()),
        });
        let file = broken.open(&path, Opening::Read).unwrap();
        assert_eq!(ranges(&data_in(file.as_ref(), 10 * BLOCK_BYTES, &set(&[(2, 2048)]))), [(2, 10)]);
    }
}

//! Listings kept at rest: snapshots never change, so what was listed once need not be listed again.
//!
//! One file for each listing, below `listings` in the state directory: `.blocks` when it is complete, `.part` while
//! a run that was stopped has left something to list. Its layout, integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `icekept` and the version, 2 |
//! | 4 | `n`, length of the identity |
//! | n | the identity: whose listing this is, a line each |
//! | 1 | 0: the two snapshots share no lineage; 1: sets follow; 2: sets and what is left |
//! | 8 + a | length and blocks that the (second) snapshot has: of a comparison, those that differ |
//! | 8 + b | length and blocks that only the first has |
//! | 4 | of a part: how many pieces are left |
//! | 8 each | where a piece begins and ends; the end is 0xffffffff where it goes on to the end of the listing |
//! | 4 | CRC-32 of all of the above |
//!
//! Sets are Roaring bitmaps in their portable format; no token is kept. A page with nothing on it tells nothing but a
//! token, so a run of such pages whose end was not seen is not in what is left: it is begun anew. The name is a digest of the identity, which
//! names place, account and snapshots with their start times. A file that is not whole, or of another identity, is
//! as good as none: that is why nothing is synced.

use crate::block::{BlockIndex, BlockRange, BlockSet, Digest};
use crate::disk::{Access, Disk, Machine, Node};
use crate::fault::Fault;
use crate::pipeline::shards::Left;
use roaring::RoaringBitmap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"icekept\x02";
/// The end of a piece that has none.
const OPEN: u32 = u32::MAX;

/// What a listing told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Of a comparison: the two share no lineage.
    Unrelated,
    /// Blocks.
    Blocks {
        /// Blocks that the (second) snapshot has; of a comparison, those that differ.
        has: BlockSet,
        /// Blocks that only the first has.
        lacks: BlockSet,
    },
}

/// What a listing told so far, and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// As in a [`Listing`].
    pub has: BlockSet,
    /// As in a [`Listing`].
    pub lacks: BlockSet,
    /// What has not been listed.
    pub left: Left,
}

impl Part {
    /// Of a listing that has not begun.
    pub fn nothing() -> Self {
        Self { has: BlockSet::new(), lacks: BlockSet::new(), left: Left::all() }
    }
}

/// Longest file that is read: two sets of the blocks of 64 TiB, none beside another, take 32 MiB.
const LONGEST: usize = 256 << 20;

/// Listings below a directory.
#[derive(Clone, Debug)]
pub struct Kept {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Kept {
    /// Those of a state directory. None count where other users may write to it.
    pub fn below(machine: &Machine) -> Self {
        Self { disk: Arc::clone(&machine.disk), dir: machine.state_dir.join("listings") }
    }

    /// What was kept under this identity; `None` where nothing was, or not whole.
    pub fn get(&self, identity: &str) -> Option<Listing> {
        match self.read(identity, WHOLE)? {
            Stored::Whole(listing) => Some(listing),
            Stored::Part(_) => None,
        }
    }

    /// What a run that was stopped has listed under this identity.
    pub fn part(&self, identity: &str) -> Option<Part> {
        match self.read(identity, PART)? {
            Stored::Whole(_) => None,
            Stored::Part(part) => Some(part),
        }
    }

    /// Whether a whole listing is kept under this identity; it may still not be readable.
    pub fn has(&self, identity: &str) -> bool {
        let entry = self.disk.entry(&self.path(identity, WHOLE));
        entry.ok().flatten().is_some_and(|facts| facts.node == Node::File) && self.disk.trusts(&self.dir)
    }

    /// Keeps a listing, in place of what is there.
    pub fn put(&self, identity: &str, listing: &Listing) -> Result<(), Fault> {
        let encoded = match listing {
            Listing::Unrelated => encode(identity, 0, &[], None),
            Listing::Blocks { has, lacks } => encode(identity, 1, &[has, lacks], None),
        };
        self.write(&self.path(identity, WHOLE), encoded)?;
        // Nobody looks for it any more: where this fails, a file lies about.
        let _ = self.disk.remove(&self.path(identity, PART));
        Ok(())
    }

    /// Keeps what was listed so far, for the next run to go on from.
    pub fn put_part(&self, identity: &str, part: &Part) -> Result<(), Fault> {
        let encoded = encode(identity, 2, &[&part.has, &part.lacks], Some(&part.left));
        self.write(&self.path(identity, PART), encoded)
    }

    fn read(&self, identity: &str, extension: &str) -> Option<Stored> {
        let bytes = self.disk.read_found(&self.path(identity, extension), LONGEST).ok()?;
        if self.disk.trusts(&self.dir) { decode(&bytes, identity) } else { None }
    }

    fn write(&self, path: &Path, encoded: std::io::Result<Vec<u8>>) -> Result<(), Fault> {
        let written = || -> std::io::Result<()> {
            self.disk.make_dirs(&self.dir, Access::Owner)?;
            self.disk.replace_lazily(path, &encoded?, Access::Owner)
        };
        written().map_err(|error| Fault::local(path, "keep a listing", error))
    }

    fn path(&self, identity: &str, extension: &str) -> PathBuf {
        let digest = Digest::of(identity.as_bytes()).to_string();
        self.dir.join(format!("{}.{extension}", &digest[..32]))
    }
}

/// Names of files, after the dot.
const WHOLE: &str = "blocks";
const PART: &str = "part";

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
enum Stored {
    Whole(Listing),
    Part(Part),
}

fn encode(identity: &str, kind: u8, sets: &[&BlockSet], left: Option<&Left>) -> std::io::Result<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    let length = |n: usize| u32::try_from(n).map_err(|_| std::io::ErrorKind::InvalidInput);
    bytes.extend(length(identity.len())?.to_le_bytes());
    bytes.extend(identity.as_bytes());
    bytes.push(kind);
    for set in sets {
        let mut bitmap: RoaringBitmap = RoaringBitmap::new();
        for run in set.ranges() {
            bitmap.insert_range(run.start().get()..run.end());
        }
        bitmap.optimize();
        bytes.extend((bitmap.serialized_size() as u64).to_le_bytes());
        bitmap.serialize_into(&mut bytes)?;
    }
    if let Some(Left(pieces)) = left {
        bytes.extend(length(pieces.len())?.to_le_bytes());
        for (start, end) in pieces {
            bytes.extend(start.get().to_le_bytes());
            bytes.extend(end.unwrap_or(OPEN).to_le_bytes());
        }
    }
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    Ok(bytes)
}

fn decode(bytes: &[u8], identity: &str) -> Option<Stored> {
    let (bytes, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(bytes) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (length, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let (own, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (kind, mut rest) = rest.split_first()?;
    if own != identity.as_bytes() {
        return None;
    }
    if *kind == 0 {
        return rest.is_empty().then_some(Stored::Whole(Listing::Unrelated));
    }
    let mut set = || {
        let (length, after) = rest.split_first_chunk::<8>()?;
        let (own, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        rest = after;
        blocks(&RoaringBitmap::deserialize_from(own).ok()?)
    };
    let (has, lacks) = (set()?, set()?);
    match kind {
        1 => rest.is_empty().then_some(Stored::Whole(Listing::Blocks { has, lacks })),
        2 => Some(Stored::Part(Part { has, lacks, left: left(rest)? })),
        _ => None,
    }
}

fn left(bytes: &[u8]) -> Option<Left> {
    let (n, bytes) = bytes.split_first_chunk::<4>()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<u32> = numbers.iter().map(|number| u32::from_le_bytes(*number)).collect();
    if !rest.is_empty() || numbers.len() != u32::from_le_bytes(*n) as usize * 2 {
        return None;
    }
    let piece = |piece: &[u32]| {
        let start = BlockIndex::try_from(i64::from(piece[0])).ok()?;
        Some((start, Some(piece[1]).filter(|end| *end != OPEN)))
    };
    numbers.chunks_exact(2).map(piece).collect::<Option<_>>().map(Left)
}

fn blocks(bitmap: &RoaringBitmap) -> Option<BlockSet> {
    let mut set = BlockSet::new();
    let mut runs = bitmap.iter();
    while let Some(run) = runs.next_range() {
        let start = BlockIndex::try_from(i64::from(*run.start())).ok()?;
        let end = BlockIndex::try_from(i64::from(*run.end())).ok()?;
        set.insert_range(BlockRange::new(start, end.get() - start.get() + 1));
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(indexes: &[u32]) -> BlockSet {
        indexes.iter().map(|index| BlockIndex::new(*index)).collect()
    }

    fn listings() -> [Listing; 3] {
        let full = BlockSet::from(BlockRange::new(BlockIndex::ZERO, 1 << 21));
        [
            Listing::Unrelated,
            Listing::Blocks { has: set(&[0, 1, 2, 700, 65_535, 65_536]), lacks: set(&[9]) },
            Listing::Blocks { has: full, lacks: BlockSet::new() },
        ]
    }

    #[test]
    fn what_is_kept_comes_back_and_takes_little_room() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::below(&Machine::real(dir.path().into()));
        for (number, listing) in listings().iter().enumerate() {
            let identity = format!("place\n{number}");
            assert_eq!((kept.get(&identity), kept.has(&identity)), (None, false));
            kept.put(&identity, listing).unwrap();
            assert_eq!((kept.get(&identity).as_ref(), kept.has(&identity)), (Some(listing), true));
            assert!(
                std::fs::metadata(kept.path(&identity, WHOLE)).unwrap().len() < 1_000,
                "runs are kept as runs"
            );
        }
        assert_eq!(kept.get("place\n7"), None);
    }

    fn part() -> Part {
        let left = Left(vec![(BlockIndex::new(701), Some(800)), (BlockIndex::new(900), None)]);
        Part { has: set(&[0, 1, 2, 700, 65_535, 65_536]), lacks: set(&[9]), left }
    }

    #[test]
    fn a_part_is_no_listing_and_goes_when_the_whole_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::below(&Machine::real(dir.path().into()));
        kept.put_part("one", &part()).unwrap();
        assert_eq!((kept.get("one"), kept.has("one"), kept.part("one")), (None, false, Some(part())));
        kept.put("one", &listings()[1]).unwrap();
        assert_eq!((kept.part("one"), kept.get("one").as_ref()), (None, Some(&listings()[1])));
    }

    #[test]
    fn a_file_torn_or_bent_anywhere_is_none() {
        let Part { has, lacks, left } = part();
        let whole = encode("one", 2, &[&has, &lacks], Some(&left)).unwrap();
        assert!(decode(&whole, "one").is_some() && decode(&whole, "two").is_none());
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length], "one"), None, "torn at {length}");
        }
        for position in 0..whole.len() {
            let mut bent = whole.clone();
            bent[position] ^= 0x10;
            assert_eq!(decode(&bent, "one"), None, "byte {position}");
        }
    }
}

//! Listings kept at rest: snapshots never change, so what was listed once need not be listed again.
//!
//! One file for each listing, below `listings` in the state directory. Its layout, integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `icekept` and the version, 1 |
//! | 4 | `n`, length of the identity |
//! | n | the identity: whose listing this is, a line each |
//! | 1 | 0: the two snapshots share no lineage; 1: sets follow |
//! | 8 + a | length and blocks that the (second) snapshot has: of a comparison, those that differ |
//! | 8 + b | length and blocks that only the first has |
//! | 4 | CRC-32 of all of the above |
//!
//! Sets are Roaring bitmaps in their portable format; no token is kept. The name is a digest of the identity, which
//! names place, account and snapshots with their start times. A file that is not whole, or of another identity, is
//! as good as none: that is why nothing is synced.

use crate::block::{BlockIndex, BlockRange, BlockSet, Digest};
use crate::fault::Fault;
use roaring::RoaringBitmap;
use std::io::Write;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"icekept\x01";

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

/// Listings below a directory.
#[derive(Clone, Debug)]
pub struct Kept {
    dir: PathBuf,
}

impl Kept {
    /// Those of a state directory.
    pub fn below(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("listings") }
    }

    /// What was kept under this identity; `None` where nothing was, or not whole.
    pub fn get(&self, identity: &str) -> Option<Listing> {
        decode(&std::fs::read(self.path(identity)).ok()?, identity)
    }

    /// Whether something is kept under this identity; it may still not be whole.
    pub fn has(&self, identity: &str) -> bool {
        self.path(identity).is_file()
    }

    /// Keeps a listing, in place of what is there.
    pub fn put(&self, identity: &str, listing: &Listing) -> Result<(), Fault> {
        let path = self.path(identity);
        let written = || -> std::io::Result<()> {
            std::fs::create_dir_all(&self.dir)?;
            // Two runs may keep the same listing: each writes a file of its own.
            let temporary = path.with_extension(format!("{}.new", std::process::id()));
            std::fs::File::create(&temporary)?.write_all(&encode(identity, listing)?)?;
            std::fs::rename(&temporary, &path)
        };
        written().map_err(|error| Fault::local(&path, "keep a listing", error))
    }

    fn path(&self, identity: &str) -> PathBuf {
        let digest = Digest::of(identity.as_bytes()).to_string();
        self.dir.join(format!("{}.blocks", &digest[..32]))
    }
}

fn encode(identity: &str, listing: &Listing) -> std::io::Result<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    let length = u32::try_from(identity.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    bytes.extend(length.to_le_bytes());
    bytes.extend(identity.as_bytes());
    match listing {
        Listing::Unrelated => bytes.push(0),
        Listing::Blocks { has, lacks } => {
            bytes.push(1);
            for set in [has, lacks] {
                let mut bitmap: RoaringBitmap = RoaringBitmap::new();
                for run in set.ranges() {
                    bitmap.insert_range(run.start().get()..run.end());
                }
                bitmap.optimize();
                bytes.extend((bitmap.serialized_size() as u64).to_le_bytes());
                bitmap.serialize_into(&mut bytes)?;
            }
        }
    }
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    Ok(bytes)
}

fn decode(bytes: &[u8], identity: &str) -> Option<Listing> {
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
        return rest.is_empty().then_some(Listing::Unrelated);
    }
    let mut set = || {
        let (length, after) = rest.split_first_chunk::<8>()?;
        let (own, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        rest = after;
        blocks(&RoaringBitmap::deserialize_from(own).ok()?)
    };
    Some(Listing::Blocks { has: set()?, lacks: set()? })
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
        let kept = Kept::below(dir.path());
        for (number, listing) in listings().iter().enumerate() {
            let identity = format!("place\n{number}");
            assert_eq!((kept.get(&identity), kept.has(&identity)), (None, false));
            kept.put(&identity, listing).unwrap();
            assert_eq!((kept.get(&identity).as_ref(), kept.has(&identity)), (Some(listing), true));
            assert!(std::fs::metadata(kept.path(&identity)).unwrap().len() < 1_000, "runs are kept as runs");
        }
        assert_eq!(kept.get("place\n7"), None);
    }

    #[test]
    fn a_file_torn_or_bent_anywhere_is_none() {
        let whole = encode("one", &listings()[1]).unwrap();
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

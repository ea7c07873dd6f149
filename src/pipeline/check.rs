//! The check: bytes become a block when their hash is the digest they claim.
//!
//! Works on batches, so that independent blocks can be hashed side by side; today each is one stream of SHA-256.
//! Nothing else in the program turns received bytes into a [`Block`].

use crate::block::{BlockSize, Digest};
use crate::fault::{Fault, Kind, Place};
use crate::source::{Block, Fetched, Listed};

/// Blocks in a batch: enough for sixteen lanes, few enough not to wait for.
pub(crate) const BATCH: usize = 16;

/// Checks blocks side by side; the answers are in the same order. A wrong block touches no other.
pub(crate) fn check<'a>(
    place: &Place,
    batch: impl IntoIterator<Item = (&'a Listed, Fetched)>,
) -> Vec<Result<Block, Fault>> {
    batch.into_iter().map(|(listed, fetched)| check_one(place, listed, fetched)).collect()
}

fn check_one(place: &Place, listed: &Listed, fetched: Fetched) -> Result<Block, Fault> {
    let at = || match place {
        Place::Snapshot(id) => Place::Block(id.clone(), listed.index),
        other => other.clone(),
    };
    let whole = BlockSize::EBS.buffer_len();
    if fetched.bytes.len() != whole {
        let what = format!("received {} bytes instead of {whole}", fetched.bytes.len());
        return Err(Fault::new(Kind::Corrupt, at(), what));
    }
    if Digest::of(&fetched.bytes) != fetched.claimed {
        return Err(Fault::new(Kind::Corrupt, at(), "the bytes received do not match their checksum"));
    }
    Ok(Block::vouched(listed.index, fetched.claimed, fetched.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockIndex;
    use crate::snapshot::BlockToken;
    use bytes::Bytes;

    #[test]
    fn one_bad_block_touches_only_itself() {
        let good = vec![7_u8; 524_288];
        let claimed = Digest::of(&good);
        let place = Place::Snapshot("snap-0a".parse().unwrap());
        let listed: Vec<_> = (0..4)
            .map(|index| Listed { index: BlockIndex::new(index), token: BlockToken::new("t") })
            .collect();
        let mut flipped = good.clone();
        flipped[524_287] ^= 1;
        let bodies = [good.clone(), flipped, good[..524_287].to_vec(), good];
        let batch = listed.iter().zip(bodies.map(|bytes| Fetched { bytes: Bytes::from(bytes), claimed }));
        let checked = check(&place, batch);
        assert!(checked[0].is_ok() && checked[3].is_ok());
        for (index, said) in [(1, "do not match their checksum"), (2, "524287 bytes instead of 524288")] {
            let fault = checked[index].as_ref().unwrap_err();
            assert_eq!(fault.kind, Kind::Corrupt);
            assert!(fault.to_string().contains(said), "{fault}");
            assert!(fault.to_string().starts_with(&format!("block {index} of snap-0a: ")), "{fault}");
        }
    }
}

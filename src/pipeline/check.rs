//! The check: bytes become a block when their hash is the digest they claim.
//!
//! Works on batches, because independent blocks are hashed side by side faster than one after the other. Nothing
//! else in the program turns received bytes into a [`Block`].

use crate::block::{BlockIndex, BlockSize, Digest};
use crate::fault::{Fault, Kind, Place};
use crate::source::{Block, Fetched, Listed};

/// Blocks in a batch: enough for sixteen lanes, few enough not to wait for.
pub(crate) const BATCH: usize = 16;

/// Checks blocks side by side; the answers are in the same order. A wrong block touches no other.
pub(crate) fn check(place: &Place, batch: &[(&Listed, &Fetched)]) -> Vec<Result<Block, Fault>> {
    let bytes: Vec<&[u8]> = batch.iter().map(|(_, fetched)| fetched.bytes.as_ref()).collect();
    let digests = Digest::of_each(&bytes);
    batch
        .iter()
        .zip(digests)
        .map(|((listed, fetched), digest)| {
            right(fetched, digest)
                .map(|()| Block::vouched(listed.index, fetched.claimed, fetched.bytes.clone()))
                .map_err(|what| Fault::new(Kind::Corrupt, block_of(place, listed.index), what))
        })
        .collect()
}

/// Whether the bytes are what they claim to be; if not, what is wrong with them.
fn right(fetched: &Fetched, digest: Digest) -> Result<(), String> {
    let whole = BlockSize::EBS.buffer_len();
    if fetched.bytes.len() != whole {
        return Err(format!("received {} bytes instead of {whole}", fetched.bytes.len()));
    }
    if digest != fetched.claimed && !fetched.claimed.confirms(&fetched.bytes) {
        return Err("the bytes received do not match their checksum".to_owned());
    }
    Ok(())
}

/// The place of one block of a source.
pub(crate) fn block_of(place: &Place, index: BlockIndex) -> Place {
    match place {
        Place::Snapshot(id) => Place::Block(id.clone(), index),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let fetched = bodies.map(|bytes| Fetched { bytes: Bytes::from(bytes), claimed });
        let batch: Vec<_> = listed.iter().zip(&fetched).collect();
        let checked = check(&place, &batch);
        assert!(checked[0].is_ok() && checked[3].is_ok());
        for (index, said) in [(1, "do not match their checksum"), (2, "524287 bytes instead of 524288")] {
            let fault = checked[index].as_ref().unwrap_err();
            assert_eq!(fault.kind, Kind::Corrupt);
            assert!(fault.to_string().contains(said), "{fault}");
            assert!(fault.to_string().starts_with(&format!("block {index} of snap-0a: ")), "{fault}");
        }
    }
}

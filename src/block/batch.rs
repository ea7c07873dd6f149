//! Digests of many blocks at once, side by side in SIMD lanes.
//!
//! One stream of SHA-256 ends at about 2 GB/s a core; independent blocks side by side go well past it. Sixteen of one
//! length go through [`Lanes`] where the processor has AVX-512, whatever else through `tape-sha256`. Both are young, so
//! they are trusted with conditions: they must agree with `sha2`, the reference, on a self-test before their first use,
//! and whoever finds a block wrong asks `sha2` before saying so ([`confirms`]). Once caught they are not used again.

use crate::block::{Digest, LANES, Lanes};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the kernel was caught with a wrong digest.
static CAUGHT: AtomicBool = AtomicBool::new(false);

impl Digest {
    /// The digest of each of these, in order. Fastest with sixteen or more of the same length.
    pub fn of_each(blocks: &[&[u8]]) -> Vec<Self> {
        if !is_trusted() {
            return blocks.iter().map(|block| Self::of(block)).collect();
        }
        side_by_side(blocks)
    }

    /// Whether this really is the bytes' digest, by the reference. For a digest that [`of_each`](Self::of_each)
    /// did not find: if the reference finds it, the kernel was wrong and is not used again.
    pub fn confirms(self, bytes: &[u8]) -> bool {
        let confirmed = Self::of(bytes) == self;
        if confirmed {
            CAUGHT.store(true, Ordering::Relaxed);
        }
        confirmed
    }
}

impl Lanes {
    /// Sixteen empty messages; `None` where the processor cannot, or has been caught with a wrong digest, and in builds
    /// that are not optimised: there `tape-sha256`, which is, is many times as fast.
    pub fn new() -> Option<Self> {
        if is_trusted() { Self::for_batches() } else { None }
    }

    fn for_batches() -> Option<Self> {
        if cfg!(debug_assertions) { None } else { Self::on_this_machine() }
    }
}

fn side_by_side(blocks: &[&[u8]]) -> Vec<Digest> {
    let (sixteens, rest) = blocks.as_chunks::<LANES>();
    let mut digests = Vec::with_capacity(blocks.len());
    for sixteen in sixteens {
        match Lanes::for_batches().and_then(|lanes| in_lanes(lanes, sixteen)) {
            Some(hashed) => digests.extend(hashed),
            None => digests.extend(by_tape(sixteen)),
        }
    }
    digests.extend(by_tape(rest));
    digests
}

/// `None` where they are not of one length that lanes take.
fn in_lanes(mut lanes: Lanes, blocks: &[&[u8]; LANES]) -> Option<[Digest; LANES]> {
    let len = blocks[0].len();
    let is_even = len.is_multiple_of(64) && blocks.iter().all(|block| block.len() == len);
    is_even.then(|| {
        lanes.push(*blocks, None);
        lanes.finish()
    })
}

fn by_tape(blocks: &[&[u8]]) -> Vec<Digest> {
    let mut digests = vec![[0; Digest::LEN]; blocks.len()];
    tape_sha256::hash_many(blocks, &mut digests);
    digests.into_iter().map(Digest::from_bytes).collect()
}

fn is_trusted() -> bool {
    static PASSED: OnceLock<bool> = OnceLock::new();
    !CAUGHT.load(Ordering::Relaxed) && *PASSED.get_or_init(self_test)
}

/// Lanes full and not, lengths around SHA-256's own block and padding, every lane with other bytes.
fn self_test() -> bool {
    let lengths = [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000, 4096];
    [1, 2, 4, 7, 8, 15, 16, 17, 33].into_iter().all(|lanes: usize| {
        let messages: Vec<Vec<u8>> = (0..lanes)
            .map(|lane| {
                let length = lengths[(lane + lanes) % lengths.len()];
                (0..length).map(|at| (at * 31 + lane * 7 + lanes).to_le_bytes()[0]).collect()
            })
            .collect();
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let same = vec![messages.last().copied().unwrap_or_default(); lanes];
        let whole: Vec<Vec<u8>> = (0..lanes).map(|lane| (lane + lanes).to_le_bytes().repeat(48)).collect();
        let even = whole.iter().map(Vec::as_slice).collect();
        [messages, same, even].iter().all(|batch| {
            side_by_side(batch).into_iter().zip(batch).all(|(digest, message)| digest == Digest::of(message))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn the_kernel_of_this_machine_passes_its_self_test() {
        assert!(self_test(), "backend {}", tape_sha256::backend());
    }

    proptest! {
        #![proptest_config(crate::block::tests::cases(48))]

        #[test]
        fn side_by_side_is_one_by_one(messages in vec(vec(any::<u8>(), 0..300), 0..40)) {
            let batch: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let one_by_one: Vec<_> = batch.iter().map(|message| Digest::of(message)).collect();
            prop_assert_eq!(side_by_side(&batch), one_by_one);
        }
    }

    #[test]
    fn pieces_make_the_digest_of_the_whole() {
        let Some(mut lanes) = Lanes::on_this_machine() else { return };
        let messages: Vec<Vec<u8>> = (0..16_u8).map(|lane| (0..=255).map(|at| at ^ lane).collect()).collect();
        for piece in [0..64, 64..64, 64..192, 192..256] {
            let nowhere = [std::ptr::without_provenance(4096); 16];
            lanes.push(std::array::from_fn(|lane| &messages[lane][piece.clone()]), Some(nowhere));
        }
        let expected: Vec<_> = messages.iter().map(|message| Digest::of(message)).collect();
        assert_eq!(lanes.finish().to_vec(), expected);
        let empty = Lanes::on_this_machine().map(Lanes::finish);
        assert_eq!(empty, Some([Digest::of(&[]); 16]));
    }

    #[test]
    fn whole_blocks_side_by_side_have_their_own_digests() {
        let blocks: Vec<Vec<u8>> = (0..20_u8).map(|fill| vec![fill; 524_288]).collect();
        let batch: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
        let digests = side_by_side(&batch);
        assert_eq!(digests[0], Digest::ZERO_BLOCK);
        assert!(digests.iter().zip(&batch).all(|(digest, block)| *digest == Digest::of(block)));
    }
}

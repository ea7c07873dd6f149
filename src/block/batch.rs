//! Digests of many blocks at once, side by side in SIMD lanes.
//!
//! One stream of SHA-256 ends at about 2 GB/s a core; independent blocks side by side go well past it. The kernel
//! is `tape-sha256`'s, which is young, so it is trusted with conditions: it must agree with `sha2`, the reference,
//! on a self-test before its first use, and whoever finds a block wrong asks `sha2` before saying so
//! ([`confirms`]). Once it has been caught it is not used again.

use crate::block::Digest;
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

fn side_by_side(blocks: &[&[u8]]) -> Vec<Digest> {
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
        [messages, same].iter().all(|batch| {
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
    fn whole_blocks_side_by_side_have_their_own_digests() {
        let blocks: Vec<Vec<u8>> = (0..20_u8).map(|fill| vec![fill; 524_288]).collect();
        let batch: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
        let digests = side_by_side(&batch);
        assert_eq!(digests[0], Digest::ZERO_BLOCK);
        assert!(digests.iter().zip(&batch).all(|(digest, block)| *digest == Digest::of(block)));
    }
}

//! Sixteen messages hashed in step, piece by piece, in the lanes of AVX-512.
//!
//! The one place where pieces pay: what is read from a file in pieces of all sixteen is hashed while it is still near
//! the processor, where sixteen whole blocks would have gone out to memory and back. The rounds are FIPS 180-4's, each
//! word of sixteen messages at once; nothing depends on what is hashed but the digests.

#![allow(unsafe_code, reason = "loads of sixteen words, and calls that need the processor to have AVX-512")]

use crate::block::Digest;
#[cfg(target_arch = "x86_64")]
use std::array::from_fn;

/// Messages hashed in step.
pub const LANES: usize = 16;

/// Bytes that a round of the function takes from each message.
#[cfg(target_arch = "x86_64")]
const STEP: usize = 64;

/// Sixteen messages, as far as they were hashed.
#[cfg(target_arch = "x86_64")]
#[derive(Debug)]
pub struct Lanes {
    state: [std::arch::x86_64::__m512i; 8],
    len: u64,
}

/// No processor of another family has them.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Debug)]
pub struct Lanes {
    none: std::convert::Infallible,
}

#[cfg(not(target_arch = "x86_64"))]
impl Lanes {
    pub(crate) fn on_this_machine() -> Option<Self> {
        None
    }

    /// Takes the next piece of each message.
    pub fn push(&mut self, _: [&[u8]; LANES], _: Option<[*const u8; LANES]>) {
        match self.none {}
    }

    /// The digests.
    pub fn finish(self) -> [Digest; LANES] {
        match self.none {}
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes {
    /// Sixteen empty messages; `None` where the processor cannot.
    pub(crate) fn on_this_machine() -> Option<Self> {
        let has_lanes = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        // SAFETY: the processor has just said that it can.
        has_lanes.then(|| Self { state: unsafe { kernel::start() }, len: 0 })
    }

    /// Takes the next piece of each message. `ahead` is where bytes begin, as many of each, that the processor may fetch
    /// meanwhile; nothing has to be there.
    ///
    /// # Panics
    /// Where the pieces are not all of one length, or that is no multiple of 64 bytes.
    pub fn push(&mut self, pieces: [&[u8]; LANES], ahead: Option<[*const u8; LANES]>) {
        let len = pieces[0].len();
        let is_even = len.is_multiple_of(STEP) && pieces.iter().all(|piece| piece.len() == len);
        assert!(is_even, "pieces of one length, a multiple of 64 bytes");
        // SAFETY: that this exists says that the processor can; each piece has these bytes.
        unsafe { kernel::compress(&mut self.state, pieces.map(<[u8]>::as_ptr), len, ahead) };
        self.len += len as u64;
    }

    /// The digests.
    pub fn finish(mut self) -> [Digest; LANES] {
        let mut padding = [0; STEP];
        padding[0] = 0x80;
        padding[STEP - 8..].copy_from_slice(&(8 * self.len).to_be_bytes());
        self.push([&padding; LANES], None);
        let mut words = [[0; LANES]; 8];
        for (words, word) in words.iter_mut().zip(self.state) {
            // SAFETY: as in `push`.
            *words = unsafe { kernel::lanes(word) };
        }
        from_fn(|lane| {
            let mut bytes = [0; Digest::LEN];
            for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
                bytes.copy_from_slice(&word[lane].to_be_bytes());
            }
            Digest::from_bytes(bytes)
        })
    }
}

#[cfg(target_arch = "x86_64")]
mod kernel {
    use super::{LANES, STEP};
    use std::arch::x86_64::*;
    use std::mem::swap;

    /// FIPS 180-4, 4.2.2.
    #[rustfmt::skip]
    const K: [u32; 64] = [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    ];

    /// FIPS 180-4, 5.3.3.
    const H: [u32; 8] =
        [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

    type Word = __m512i;

    /// Messages that are turned into words together: one word of each is as wide as a store.
    const QUARTER: usize = LANES / 4;

    /// What a step takes, word by word, each of all messages: quarter by quarter.
    #[derive(Clone, Copy)]
    #[repr(align(64))]
    struct Words([[__m128i; 4]; LANES]);

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn start() -> [Word; 8] {
        let mut state = [_mm512_setzero_si512(); 8];
        for i in 0..8 {
            state[i] = _mm512_set1_epi32(H[i].cast_signed());
        }
        state
    }

    /// A word of each message.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn lanes(word: Word) -> [u32; LANES] {
        let mut lanes = [0_u32; LANES];
        // SAFETY: there is room for 64 bytes.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), word) };
        lanes
    }

    /// Three words, and what a truth table makes of their bits: the exclusive or, the choice, the majority.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn of_three<const TABLE: i32>(a: Word, b: Word, c: Word) -> Word {
        _mm512_ternarylogic_epi32::<TABLE>(a, b, c)
    }

    const XOR: i32 = 0x96;
    const CHOICE: i32 = 0xca;
    const MAJORITY: i32 = 0xe8;

    /// FIPS 180-4, 6.2.2, over `len` bytes of each message.
    ///
    /// Bytes become words on one port of the processor while the rounds want two. So a step's words are made during the
    /// rounds of the step before, a quarter every sixteen rounds, and the bytes ahead are fetched as evenly: in a row,
    /// before the rounds, both would take a tenth of the time.
    ///
    /// # Safety
    /// From each pointer on there are `len` bytes, a multiple of 64.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) unsafe fn compress(
        state: &mut [Word; 8],
        messages: [*const u8; LANES],
        len: usize,
        ahead: Option<[*const u8; LANES]>,
    ) {
        let Some(last) = len.checked_sub(STEP) else { return };
        let mut words = [Words([[_mm_setzero_si128(); 4]; LANES]); 2];
        let [mut now, mut next] = words.each_mut();
        for quarter in 0..4 {
            // SAFETY: there is at least one step.
            unsafe { turn(&messages, 0, quarter, now) };
        }
        for at in (0..len).step_by(STEP) {
            let mut w = [_mm512_setzero_si512(); LANES];
            // The last step makes its own words again: for the sake of one way through.
            let following = last.min(at + STEP);
            macro_rules! prepare {
                ($quarter:expr) => {
                    if let Some(ahead) = &ahead {
                        for place in &ahead[$quarter * QUARTER..][..QUARTER] {
                            _mm_prefetch::<_MM_HINT_T1>(place.wrapping_add(at).cast());
                        }
                    }
                    // SAFETY: a step that begins no later than the last is within the messages.
                    unsafe { turn(&messages, following, $quarter, next) };
                };
            }
            let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
            // The variables change names rather than places, and a window of sixteen words goes over the schedule: all
            // of it stays in registers.
            macro_rules! round {
                ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $w:expr, $t:expr) => {{
                    let known =
                        _mm512_add_epi32($h, _mm512_add_epi32($w, _mm512_set1_epi32(K[$t].cast_signed())));
                    let chosen = _mm512_add_epi32(known, of_three::<CHOICE>($e, $f, $g));
                    let sum1 = of_three::<XOR>(
                        _mm512_ror_epi32::<6>($e),
                        _mm512_ror_epi32::<11>($e),
                        _mm512_ror_epi32::<25>($e),
                    );
                    let one = _mm512_add_epi32(chosen, sum1);
                    let sum0 = of_three::<XOR>(
                        _mm512_ror_epi32::<2>($a),
                        _mm512_ror_epi32::<13>($a),
                        _mm512_ror_epi32::<22>($a),
                    );
                    $d = _mm512_add_epi32($d, one);
                    $h = _mm512_add_epi32(_mm512_add_epi32(one, of_three::<MAJORITY>($a, $b, $c)), sum0);
                }};
            }
            macro_rules! read {
                ($t:expr) => {{
                    // SAFETY: sixteen words of 64 bytes, aligned so.
                    w[$t] = unsafe { _mm512_load_si512(now.0[$t].as_ptr().cast()) };
                    w[$t]
                }};
            }
            macro_rules! extended {
                ($t:expr) => {{
                    let (x, y) = (w[($t + 1) & 15], w[($t + 14) & 15]);
                    let sigma0 = of_three::<XOR>(
                        _mm512_ror_epi32::<7>(x),
                        _mm512_ror_epi32::<18>(x),
                        _mm512_srli_epi32::<3>(x),
                    );
                    let sigma1 = of_three::<XOR>(
                        _mm512_ror_epi32::<17>(y),
                        _mm512_ror_epi32::<19>(y),
                        _mm512_srli_epi32::<10>(y),
                    );
                    let before = _mm512_add_epi32(w[$t], sigma0);
                    w[$t] = _mm512_add_epi32(before, _mm512_add_epi32(w[($t + 9) & 15], sigma1));
                    w[$t]
                }};
            }
            macro_rules! sixteen {
                ($from:expr, $word:ident) => {
                    round!(a b c d e f g h, $word!(0), $from);
                    round!(h a b c d e f g, $word!(1), $from + 1);
                    round!(g h a b c d e f, $word!(2), $from + 2);
                    round!(f g h a b c d e, $word!(3), $from + 3);
                    round!(e f g h a b c d, $word!(4), $from + 4);
                    round!(d e f g h a b c, $word!(5), $from + 5);
                    round!(c d e f g h a b, $word!(6), $from + 6);
                    round!(b c d e f g h a, $word!(7), $from + 7);
                    round!(a b c d e f g h, $word!(8), $from + 8);
                    round!(h a b c d e f g, $word!(9), $from + 9);
                    round!(g h a b c d e f, $word!(10), $from + 10);
                    round!(f g h a b c d e, $word!(11), $from + 11);
                    round!(e f g h a b c d, $word!(12), $from + 12);
                    round!(d e f g h a b c, $word!(13), $from + 13);
                    round!(c d e f g h a b, $word!(14), $from + 14);
                    round!(b c d e f g h a, $word!(15), $from + 15);
                };
            }
            prepare!(0);
            sixteen!(0, read);
            prepare!(1);
            sixteen!(16, extended);
            prepare!(2);
            sixteen!(32, extended);
            prepare!(3);
            sixteen!(48, extended);
            let new = [a, b, c, d, e, f, g, h];
            for i in 0..8 {
                state[i] = _mm512_add_epi32(state[i], new[i]);
            }
            swap(&mut now, &mut next);
        }
    }

    /// Turns a step of a quarter of the messages, from byte `at` on, into its part of the words.
    ///
    /// # Safety
    /// From each pointer on there are 64 bytes after `at`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn turn(messages: &[*const u8; LANES], at: usize, quarter: usize, words: &mut Words) {
        let big_endian =
            _mm512_broadcast_i32x4(_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
        let mut r = [_mm512_setzero_si512(); QUARTER];
        for (r, message) in r.iter_mut().zip(&messages[quarter * QUARTER..]) {
            // SAFETY: the caller's promise.
            let loaded = unsafe { _mm512_loadu_si512(message.add(at).cast()) };
            *r = _mm512_shuffle_epi8(loaded, big_endian);
        }
        let (low01, high01) = (_mm512_unpacklo_epi32(r[0], r[1]), _mm512_unpackhi_epi32(r[0], r[1]));
        let (low23, high23) = (_mm512_unpacklo_epi32(r[2], r[3]), _mm512_unpackhi_epi32(r[2], r[3]));
        let fours = [
            _mm512_unpacklo_epi64(low01, low23),
            _mm512_unpackhi_epi64(low01, low23),
            _mm512_unpacklo_epi64(high01, high23),
            _mm512_unpackhi_epi64(high01, high23),
        ];
        // Each holds four words, four apart. Storing them takes none of the ports that the rounds want.
        for (i, four) in fours.into_iter().enumerate() {
            words.0[i][quarter] = _mm512_castsi512_si128(four);
            words.0[i + 4][quarter] = _mm512_extracti32x4_epi32::<1>(four);
            words.0[i + 8][quarter] = _mm512_extracti32x4_epi32::<2>(four);
            words.0[i + 12][quarter] = _mm512_extracti32x4_epi32::<3>(four);
        }
    }
}

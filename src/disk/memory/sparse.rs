//! The bytes of a file in memory: sparse, cheap to copy.

use crate::block::is_zero;
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A file is kept in pieces of this size; those that are not there are holes.
const PIECE: usize = 1 << 16;

type Piece = Arc<[u8]>;

/// Sparse with holes. A clone shares the pieces.
#[derive(Clone, Debug, Default)]
pub(super) struct Sparse {
    len: u64,
    pieces: BTreeMap<u64, Piece>,
}

impl Sparse {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut made = Self::default();
        made.write_at(bytes, 0);
        made
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; size(self.len)];
        self.read_at(&mut bytes, 0);
        bytes
    }

    /// Fills the buffer; false where the file ends before that.
    pub(super) fn read_at(&self, bytes: &mut [u8], offset: u64) -> bool {
        if offset + bytes.len() as u64 > self.len {
            return false;
        }
        each_piece(offset, bytes.len(), |number, inside, range| match self.pieces.get(&number) {
            Some(piece) => bytes[range].copy_from_slice(&piece[inside]),
            None => bytes[range].fill(0),
        });
        true
    }

    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64) {
        self.len = self.len.max(offset + bytes.len() as u64);
        each_piece(offset, bytes.len(), |number, inside, range| {
            if inside.len() == PIECE {
                self.pieces.insert(number, bytes[range].into());
                return;
            }
            let mut piece = self.pieces.get(&number).map_or_else(|| vec![0; PIECE], |piece| piece.to_vec());
            piece[inside].copy_from_slice(&bytes[range]);
            self.pieces.insert(number, piece.into());
        });
    }

    pub(super) fn zero(&mut self, offset: u64, len: u64) {
        let end = (offset + len).min(self.len);
        let inside: Vec<_> = self.pieces.range(offset / PIECE as u64..).map(|(number, _)| *number).collect();
        for number in inside {
            let (start, stop) = (number * PIECE as u64, (number + 1) * PIECE as u64);
            if start >= end {
                break;
            }
            if offset <= start && stop <= end {
                self.pieces.remove(&number);
            } else {
                let (from, to) = (start.max(offset), stop.min(end));
                self.write_at(&vec![0; size(to.saturating_sub(from))], from);
            }
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.zero(len, self.len - len);
        }
        self.len = len;
    }

    /// The first byte at or after `from` in a piece that is there.
    pub(super) fn next_data(&self, from: u64) -> Option<u64> {
        let (number, _) = self.pieces.range(from / PIECE as u64..).next()?;
        Some(from.max(number * PIECE as u64)).filter(|data| *data < self.len)
    }

    /// The first byte at or after `from` in a piece that is not there; the end at the latest.
    pub(super) fn next_hole(&self, from: u64) -> u64 {
        let first = from / PIECE as u64;
        let there =
            self.pieces.range(first..).zip(first..).take_while(|((number, _), wanted)| *number == wanted);
        let hole = (first + there.count() as u64) * PIECE as u64;
        hole.max(from).min(self.len.max(from))
    }

    pub(super) fn flip(&mut self, bit: usize) {
        let at = (bit / 8) as u64 % self.len;
        let mut byte = [0];
        self.read_at(&mut byte, at);
        self.write_at(&[byte[0] ^ 1 << (bit % 8)], at);
    }

    /// What a power cut leaves of a file whose durable bytes are these, and whose last ones those: what both have, and
    /// of the rest what chance says.
    pub(super) fn survived(durable: &Self, now: &Self, rng: &mut Rng) -> Self {
        let mut left = match rng.u8(..4) {
            0 => return durable.clone(),
            1 => return now.clone(),
            // The length arrived and the bytes did not.
            2 => Self {
                len: u64::MAX,
                pieces: joined(durable, now, |old, new| if old == new { old } else { 0 }),
            },
            _ => {
                let mut chosen = BTreeMap::new();
                joined(durable, now, |old, _| old).into_iter().for_each(|(number, piece)| {
                    let new = now.pieces.get(&number).cloned().unwrap_or_else(empty);
                    chosen.insert(number, if rng.bool() { piece } else { new });
                });
                Self { len: u64::MAX, pieces: chosen }
            }
        };
        left.set_len(rng.u64(durable.len.min(now.len)..=durable.len.max(now.len)));
        left
    }
}

fn empty() -> Piece {
    vec![0; PIECE].into()
}

/// Both files piece by piece, byte by byte.
fn joined(first: &Sparse, second: &Sparse, join: impl Fn(u8, u8) -> u8) -> BTreeMap<u64, Piece> {
    let numbers: BTreeSet<_> = first.pieces.keys().chain(second.pieces.keys()).copied().collect();
    let pieces = numbers.into_iter().map(|number| {
        let piece = |of: &Sparse| of.pieces.get(&number).cloned().unwrap_or_else(empty);
        let (first, second) = (piece(first), piece(second));
        if Arc::ptr_eq(&first, &second) {
            return (number, first);
        }
        (number, first.iter().zip(second.iter()).map(|(a, b)| join(*a, *b)).collect())
    });
    pieces.collect()
}

impl PartialEq for Sparse {
    fn eq(&self, other: &Self) -> bool {
        let numbers = || self.pieces.keys().chain(other.pieces.keys());
        let same = |number: &u64| match (self.pieces.get(number), other.pieces.get(number)) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            (Some(piece), None) | (None, Some(piece)) => is_zero(piece),
            (None, None) => true,
        };
        self.len == other.len && numbers().all(same)
    }
}

/// Walks a range of bytes piece by piece: the piece's number, what of it, what of the range.
fn each_piece(
    offset: u64,
    len: usize,
    mut act: impl FnMut(u64, std::ops::Range<usize>, std::ops::Range<usize>),
) {
    let mut done = 0;
    while done < len {
        let at = offset + done as u64;
        let inside = size(at % PIECE as u64);
        let step = (PIECE - inside).min(len - done);
        act(at / PIECE as u64, inside..inside + step, done..done + step);
        done += step;
    }
}

/// Sizes of what is in memory fit in memory.
fn size(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

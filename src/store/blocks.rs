//! Block files: how a block lies on disk, and reading one without trusting it.
//!
//! The zero block has no file: its digest says all. Any other lies under its digest, raw where the file has a
//! block's length, else one zstd frame. A block is hashed when this process reads it the first time.

use crate::block::{BlockSize, Digest};
use crate::fault::Fault;
use crate::store::files::Files;
use bytes::Bytes;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

const BLOCK: usize = BlockSize::EBS.buffer_len();

/// The largest compressed form worth keeping: it saves an eighth. Less does not pay for decompressing at each read.
const PAYS: usize = BLOCK / 8 * 7;

/// The quickest level: at level 3 text shrinks by a tenth more and takes twice as long to write.
const LEVEL: i32 = 1;

static ZEROS: LazyLock<Bytes> = LazyLock::new(|| vec![0; BLOCK].into());

/// Why a block cannot be had.
#[derive(Debug)]
pub(crate) enum Bad {
    /// Its file is not there.
    Missing,
    /// Its file is damaged: how.
    Damaged(String),
    /// Its file cannot be read.
    Failed(Fault),
}

/// The form a block takes in its file; `None` when the bytes are to be written as they are.
pub(crate) fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut packed = vec![0; PAYS];
    let len = zstd::bulk::compress_to_buffer(bytes, &mut packed, LEVEL).ok()?;
    packed.truncate(len);
    Some(packed)
}

/// A block from its file's bytes, not yet checked against its digest.
fn unpacked(file: Vec<u8>) -> Result<Bytes, Bad> {
    if file.len() == BLOCK {
        return Ok(file.into());
    }
    match zstd::bulk::decompress(&file, BLOCK) {
        Ok(bytes) if bytes.len() == BLOCK => Ok(bytes.into()),
        Ok(bytes) => Err(Bad::Damaged(format!("it holds {} bytes, not a block", bytes.len()))),
        Err(_) => Err(Bad::Damaged(format!("its {} bytes are neither a block nor zstd", file.len()))),
    }
}

/// The blocks under their final names.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    files: Files,
    /// Hashed by this process and found right: 32 bytes and a little for each block ever read.
    verified: Arc<RwLock<HashSet<Digest>>>,
}

impl Blocks {
    pub(crate) fn new(files: Files) -> Self {
        Self { files, verified: Arc::default() }
    }

    /// A block's bytes.
    pub(crate) fn read(&self, digest: &Digest) -> Result<Bytes, Bad> {
        if *digest == Digest::ZERO_BLOCK {
            return Ok(ZEROS.clone());
        }
        let path = self.files.block(digest);
        if self.verified.read().unwrap_or_else(PoisonError::into_inner).contains(digest) {
            let file = self.files.read_block(&path).map_err(failed)?.ok_or(Bad::Missing)?;
            return unpacked(file);
        }
        let bytes = self.verify(&path, digest)?;
        self.verified.write().unwrap_or_else(PoisonError::into_inner).insert(*digest);
        Ok(bytes)
    }

    /// A block's bytes from any file, hashed now.
    pub(crate) fn verify(&self, path: &Path, digest: &Digest) -> Result<Bytes, Bad> {
        let file = self.files.read_block(path).map_err(failed)?.ok_or(Bad::Missing)?;
        let bytes = unpacked(file)?;
        if Digest::of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(Bad::Damaged("its bytes are not those of its name".into()))
        }
    }

    /// Whether the block is there and right. A damaged file counts as none, so that the next put heals it.
    pub(crate) fn has(&self, digest: &Digest) -> Result<bool, Fault> {
        let known = self.verified.read().unwrap_or_else(PoisonError::into_inner).contains(digest);
        if known {
            return self.files.is_there(&self.files.block(digest));
        }
        match self.read(digest) {
            Ok(_) => Ok(true),
            Err(Bad::Missing | Bad::Damaged(_)) => Ok(false),
            Err(Bad::Failed(fault)) => Err(fault),
        }
    }

    /// The file under this digest has gone or was replaced: what was known of it no longer holds.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.verified.write().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}

/// A file that is too long is damage, whatever else stands in it.
fn failed(fault: Fault) -> Bad {
    if fault.kind == crate::fault::Kind::Corrupt {
        Bad::Damaged("it is too long".into())
    } else {
        Bad::Failed(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_kept_only_where_it_saves_an_eighth() {
        let mut rng = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(BLOCK).collect();
        assert!(compressed(&noise).is_none());
        let mut nearly = noise.clone();
        nearly[..BLOCK / 16].fill(0);
        assert!(compressed(&nearly).is_none(), "a sixteenth does not pay");
        let mut half = noise;
        half[..BLOCK / 2].fill(0);
        let packed = compressed(&half).expect("a half pays");
        assert_eq!(unpacked(packed).unwrap(), half);
    }

    #[test]
    fn a_frame_of_another_length_is_damage() {
        for len in [0, 1, BLOCK - 1] {
            let frame = zstd::bulk::compress(&vec![7; len], LEVEL).unwrap();
            assert!(matches!(unpacked(frame), Err(Bad::Damaged(_))), "{len}");
        }
        for file in [vec![], vec![7; 5], vec![7; BLOCK - 1]] {
            assert!(matches!(unpacked(file), Err(Bad::Damaged(_))));
        }
    }
}

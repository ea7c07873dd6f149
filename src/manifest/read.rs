//! Reading a manifest.

use crate::block::{BlockIndex, BlockRange, BlockSet, Digest};
use crate::fault::{Fault, Kind, Place};
use crate::manifest::digests::{Digests, WINDOW};
use crate::manifest::header::{self, Header};
use crate::manifest::{About, Roots};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A manifest, checked and open.
#[derive(Debug)]
pub struct Manifest {
    header: Header,
    path: PathBuf,
    present: BlockSet,
    /// Blocks listed before each run of [`STEP`] of them.
    before: Vec<u64>,
    digests: Digests,
}

/// Blocks between two counts of how many are listed before: few enough to count the rest bit by bit.
const STEP: u32 = 2048;
/// Read at once when all of it is checked; whole windows.
const CHUNK: usize = 16 * WINDOW;

impl Manifest {
    /// Opens a manifest and reads all of it once, against its checksums.
    ///
    /// # Errors
    /// `Unsuitable` where it is no manifest of this format, is torn or was altered.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let unsuitable = |what: String| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
        // Digests are read by index: of a pipe, or a device, they cannot be.
        let is_file = std::fs::metadata(path).map(|meta| meta.is_file());
        let file = is_file.and_then(|is_file| if is_file { File::open(path).map(Some) } else { Ok(None) });
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::NotFound => unsuitable("there is no such file".to_owned()).hint("check the path"),
            _ => Fault::local(path, "open", error),
        })?;
        let Some(file) = file else {
            return Err(unsuitable("it is no regular file".to_owned())
                .hint("icecore manifest makes one; write what comes from a pipe to a file first"));
        };
        let failed = |error| Fault::local(path, "read the manifest", error);
        let meta = file.metadata().map_err(failed)?;
        let (len, mut head) = (meta.len(), [0; header::LEN]);
        if meta.is_dir() || len < head.len() as u64 {
            return Err(unsuitable("it is no manifest".to_owned()).hint("icecore manifest makes one"));
        }
        file.read_exact_at(&mut head, 0).map_err(failed)?;
        let header = Header::decode(&head).map_err(|what| {
            unsuitable(what).hint("icecore manifest makes one, from a snapshot or an image")
        })?;
        let altered = |what: &str| unsuitable(what.to_owned()).hint("take it from a copy, or make it anew");
        if header.file_len() != len {
            return Err(altered("the manifest is torn: it has not the length that its header says"));
        }
        let (present, checksums) = body(&file, &header).map_err(failed)?;
        let present = present.filter(|present| present.len() == header.blocks);
        let present = present
            .ok_or_else(|| altered("the manifest was altered: its bytes do not match their checksum"))?;
        let before = counts(&header, &present);
        let digests = Digests::over(file, path.to_owned(), header.digests_at(), len, checksums);
        Ok(Self { header, path: path.to_owned(), present, before, digests })
    }

    /// Whether a file begins as a manifest does; what follows is not looked at.
    pub fn is_at(path: &Path) -> bool {
        let mut start = [0; 8];
        // Opening a pipe waits, and what is read of it is gone.
        let is_file = std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
        let mut read = || File::open(path).and_then(|file| file.read_exact_at(&mut start, 0));
        is_file && read().is_ok() && header::is_ours(&start)
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version of the file's format: 1, which does not say whether the snapshot was encrypted, or 2.
    pub fn format(&self) -> u32 {
        self.header.format
    }

    /// What it is of.
    pub fn about(&self) -> &About {
        &self.header.about
    }

    /// The blocks listed.
    pub fn present(&self) -> &BlockSet {
        &self.present
    }

    /// Its roots.
    pub fn roots(&self) -> Roots {
        self.header.roots
    }

    /// The digest of a block; `None` where it is not listed.
    pub fn digest(&self, index: BlockIndex) -> Result<Option<Digest>, Fault> {
        if !self.present.contains(index) {
            return Ok(None);
        }
        let step = index.get() / STEP;
        let rest = BlockRange::new(BlockIndex::new(step * STEP), index.get() % STEP);
        let rank = self.before[step as usize] + self.present.count_in(rest);
        self.digests.digest(rank).map(Some)
    }
}

fn counts(header: &Header, present: &BlockSet) -> Vec<u64> {
    let steps = header.about.geometry.n_blocks().div_ceil(STEP);
    let mut sum = 0;
    let count = |step: u32| {
        let before = sum;
        sum += present.count_in(BlockRange::new(BlockIndex::new(step * STEP), STEP));
        before
    };
    (0..steps).map(count).collect()
}

/// The map, where all that follows the header has its checksum, and the checksums of the windows that digests are read
/// in.
fn body(file: &File, header: &Header) -> std::io::Result<(Option<BlockSet>, Vec<u32>)> {
    let (mut present, mut checksums) = (BlockSet::new(), Vec::new());
    let mut hash = Sha256::new();
    let (map_end, end) = (header.digests_at(), header.file_len());
    let mut chunk = vec![0; CHUNK];
    let mut at = header::LEN as u64;
    while at < end {
        // The map and the digests are read apart, so that a chunk is one or the other.
        let stop = if at < map_end { map_end } else { end };
        let len = usize::try_from(stop - at).unwrap_or(CHUNK).min(CHUNK);
        file.read_exact_at(&mut chunk[..len], at)?;
        hash.update(&chunk[..len]);
        if at < map_end {
            let first = u32::try_from((at - header::LEN as u64) * 8).unwrap_or(u32::MAX);
            add_bits(&mut present, first, &chunk[..len]);
        } else {
            checksums.extend(chunk[..len].chunks(WINDOW).map(crc32fast::hash));
        }
        at += len as u64;
    }
    let is_whole = hash.finalize()[..] == header.body.as_bytes()[..];
    Ok((is_whole.then_some(present), checksums))
}

/// Adds the blocks whose bits are set, run by run.
fn add_bits(present: &mut BlockSet, first: u32, bits: &[u8]) {
    let mut run = BlockRange::new(BlockIndex::new(first), 0);
    for (at, byte) in (first..).step_by(8).zip(bits) {
        let set = match byte {
            0 => continue,
            0xff => vec![(at, 8)],
            byte => (0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| (at + bit, 1)).collect(),
        };
        for (start, len) in set {
            if run.end() == start {
                run = BlockRange::new(run.start(), run.len() + len);
            } else {
                present.insert_range(run);
                run = BlockRange::new(BlockIndex::new(start), len);
            }
        }
    }
    present.insert_range(run);
}

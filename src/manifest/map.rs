//! Digests of a manifest, mapped into memory a window at a time.
//!
//! Of a mapping, the pages that were touched count as this program's memory. A window is 16 MiB and at most four are
//! held, so that the digests of 64 TiB, which are 4 GiB, never do.

use crate::block::Digest;
use crate::fault::Fault;
use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Digests of half a million blocks, 256 GiB of a volume: those asked for at one time lie close together.
const WINDOW: u64 = 16 << 20;
const HELD: usize = 4;

/// A file, as far as it is mapped.
#[derive(Debug)]
pub(super) struct Windows {
    file: File,
    path: PathBuf,
    len: u64,
    /// By number, the last one used at the end.
    held: Mutex<Vec<(u64, Arc<Mmap>)>>,
}

impl Windows {
    /// A file of this length.
    pub(super) fn over(file: File, path: PathBuf, len: u64) -> Self {
        Self { file, path, len, held: Mutex::default() }
    }

    /// The digest that begins at this byte. Digests begin at multiples of their length, and so never lie in two
    /// windows.
    ///
    /// # Panics
    /// When it would end beyond the file's length.
    pub(super) fn digest(&self, at: u64) -> Result<Digest, Fault> {
        let window = self.window(at / WINDOW)?;
        let offset = usize::try_from(at % WINDOW).unwrap_or(usize::MAX);
        let mut digest = [0; Digest::LEN];
        digest.copy_from_slice(&window[offset..offset + Digest::LEN]);
        Ok(Digest::from_bytes(digest))
    }

    fn window(&self, number: u64) -> Result<Arc<Mmap>, Fault> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = held.iter().position(|(held, _)| *held == number) {
            let found = held.remove(at);
            let window = Arc::clone(&found.1);
            held.push(found);
            return Ok(window);
        }
        let mapped = self.map(number).map_err(|error| Fault::local(&self.path, "map into memory", error))?;
        let window = Arc::new(mapped);
        if held.len() == HELD {
            held.remove(0);
        }
        held.push((number, Arc::clone(&window)));
        Ok(window)
    }

    #[expect(unsafe_code, reason = "mapping is the one thing that cannot be said safely")]
    fn map(&self, number: u64) -> std::io::Result<Mmap> {
        let start = number * WINDOW;
        let len = usize::try_from((self.len - start).min(WINDOW)).unwrap_or(usize::MAX);
        // SAFETY: the mapping is read-only and private to this program. Manifests are never changed in place: this
        // program replaces them by renaming, which leaves the mapped file as it was. Whoever cuts one off from
        // outside while it is in use ends this program with SIGBUS; no memory of it is corrupted.
        unsafe { MmapOptions::new().offset(start).len(len).map(&self.file) }
    }
}

//! Digests of a manifest, read a window at a time.
//!
//! A window is 64 KiB and at most 64 are held, so that memory does not follow the volume's size: the digests of 64 TiB
//! are 4 GiB. They are read with pread and not mapped: of a file that is cut off meanwhile, a mapping ends the program with
//! SIGBUS. Each window's checksum was taken when the whole manifest was checked, so that one that changed since is
//! noticed.

use crate::block::Digest;
use crate::fault::{Fault, Kind, Place};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a window: digests of 2,048 blocks, 1 GiB of a volume. Those asked for at one time lie close together.
pub(super) const WINDOW: usize = 64 << 10;
const HELD: usize = 64;

/// The digests of a manifest's file.
#[derive(Debug)]
pub(super) struct Digests {
    file: File,
    path: PathBuf,
    /// Where in the file they begin and end.
    start: u64,
    end: u64,
    /// Of each window.
    checksums: Vec<u32>,
    /// By number, the last one used at the end.
    held: Mutex<Vec<(usize, Arc<[u8]>)>>,
}

impl Digests {
    /// The digests between these two bytes of a file, with the checksums of their windows.
    pub(super) fn over(file: File, path: PathBuf, start: u64, end: u64, checksums: Vec<u32>) -> Self {
        Self { file, path, start, end, checksums, held: Mutex::default() }
    }

    /// Returns the digest of this number.
    ///
    /// # Errors
    /// `Changed` where the manifest is no longer what it was when it was checked.
    ///
    /// # Panics
    /// When there are not so many.
    pub(super) fn digest(&self, number: u64) -> Result<Digest, Fault> {
        let at = number * Digest::LEN as u64;
        let window = self.window(usize::try_from(at / WINDOW as u64).unwrap_or(usize::MAX))?;
        let offset = usize::try_from(at % WINDOW as u64).unwrap_or(usize::MAX);
        let mut digest = [0; Digest::LEN];
        digest.copy_from_slice(&window[offset..offset + Digest::LEN]);
        Ok(Digest::from_bytes(digest))
    }

    fn window(&self, number: usize) -> Result<Arc<[u8]>, Fault> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = held.iter().rposition(|(held, _)| *held == number) {
            let found = held.remove(at);
            let window = Arc::clone(&found.1);
            held.push(found);
            return Ok(window);
        }
        let window: Arc<[u8]> = self.read(number)?.into();
        if held.len() == HELD {
            held.remove(0);
        }
        held.push((number, Arc::clone(&window)));
        Ok(window)
    }

    fn read(&self, number: usize) -> Result<Vec<u8>, Fault> {
        let at = self.start + number as u64 * WINDOW as u64;
        let len = usize::try_from(self.end - at).unwrap_or(usize::MAX).min(WINDOW);
        let mut window = vec![0; len];
        let read = self.file.read_exact_at(&mut window, at);
        let is_same = match read.map_err(|error| (error.kind(), error)) {
            Ok(()) => crc32fast::hash(&window) == self.checksums[number],
            Err((ErrorKind::UnexpectedEof, _)) => false,
            Err((_, error)) => return Err(Fault::local(&self.path, "read the manifest", error)),
        };
        let what = "the manifest was changed or cut off while it was in use";
        is_same.then_some(window).ok_or_else(|| {
            Fault::new(Kind::Changed, Place::File(self.path.clone()), what)
                .hint("take it from a copy, or make it anew; then give the same command again")
        })
    }
}

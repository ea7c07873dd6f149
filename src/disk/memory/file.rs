//! Files of the disk in memory, as long as they are open.

use super::sparse::Sparse;
use super::{Contents, Locked, MemoryDisk};
use crate::disk::{Facts, Handle, Near, Node};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Gives a lock back when it is dropped.
#[derive(Debug)]
pub(super) struct Unlock(MemoryDisk, Locked);

impl Unlock {
    pub(super) fn of(disk: MemoryDisk, locked: Locked) -> Self {
        Self(disk, locked)
    }
}

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.state().locks.remove(&self.1);
    }
}

/// Gives a reader's share of a lock back when it is dropped.
#[derive(Debug)]
struct Unshare(MemoryDisk, usize);

impl Drop for Unshare {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let Some(readers) = state.shared.get_mut(&self.1) {
            *readers -= 1;
            if *readers == 0 {
                state.shared.remove(&self.1);
            }
        }
    }
}

/// An open file. It is there as long as it is open, whatever its name means by now.
#[derive(Debug)]
pub(super) struct MemoryFile {
    disk: MemoryDisk,
    number: usize,
    lock: Mutex<Option<Unlock>>,
    share: Mutex<Option<Unshare>>,
}

impl MemoryFile {
    pub(super) fn open(disk: MemoryDisk, number: usize) -> Self {
        Self { disk, number, lock: Mutex::default(), share: Mutex::default() }
    }

    fn put(&self, len: usize, put: impl FnOnce(&mut Sparse, usize)) -> io::Result<()> {
        let mut state = self.disk.powered()?;
        let has_power = state.spend();
        state.put(self.number, len, has_power, put)
    }

    fn bytes(&self) -> io::Result<Sparse> {
        Ok(self.disk.powered()?.contents[self.number].now.clone())
    }
}

/// Returns the facts of a file or a directory: this user's alone.
pub(super) fn facts(node: Node, number: u64, contents: &Contents) -> Facts {
    Facts {
        node,
        len: contents.now.len(),
        id: (0, number),
        device: 0,
        mode: if node == Node::Dir { 0o700 } else { 0o600 },
        owner: rustix::process::geteuid().as_raw(),
        group: rustix::process::getegid().as_raw(),
        links: 1,
        born: Some(Duration::from_nanos(number)),
        modified: Duration::from_nanos(contents.modified),
        changed: Duration::from_nanos(contents.changed),
    }
}

impl Handle for MemoryFile {
    fn facts(&self) -> io::Result<Facts> {
        let state = self.disk.powered()?;
        Ok(facts(Node::File, self.number as u64, &state.contents[self.number]))
    }

    fn expect(&self, _: u64, _: u64) {}

    fn near(&self, _: u64, _: usize) -> Option<Near> {
        None
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        match self.bytes()?.read_at(bytes, offset) {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn next_data(&self, from: u64) -> io::Result<Option<u64>> {
        Ok(self.bytes()?.next_data(from))
    }

    fn next_hole(&self, from: u64) -> io::Result<u64> {
        Ok(self.bytes()?.next_hole(from))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.put(bytes.len(), |file, len| file.write_at(&bytes[..len], offset))
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        let whole = usize::try_from(len).unwrap_or(usize::MAX);
        self.put(whole, |file, part| file.zero(offset, part as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.put(1, |file, part| {
            if part == 1 {
                file.set_len(len);
            }
        })
    }

    fn set_mode(&self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn succeed(&self, _: &Path, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.changing()?;
        if !state.is_lying {
            state.contents[self.number].harden();
        }
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.disk.powered()?;
        let name = Locked::File(self.number);
        if state.locks.contains_key(&name) || state.shared.contains_key(&self.number) {
            return Ok(false);
        }
        state.locks.insert(name.clone(), String::new());
        drop(state);
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(Unlock(self.disk.clone(), name));
        Ok(true)
    }

    fn try_share(&self) -> io::Result<bool> {
        let mut state = self.disk.powered()?;
        if state.locks.contains_key(&Locked::File(self.number)) {
            return Ok(false);
        }
        *state.shared.entry(self.number).or_default() += 1;
        drop(state);
        let share = Unshare(self.disk.clone(), self.number);
        *self.share.lock().unwrap_or_else(PoisonError::into_inner) = Some(share);
        Ok(true)
    }

    fn holder(&self) -> Option<String> {
        None
    }
}

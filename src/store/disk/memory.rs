//! A disk in memory that loses its power: after [`MemoryDisk::cut`] it may have forgotten whatever was not synced.
//!
//! It forgets more than most file systems would: names that were not synced survive in any subset, also out of
//! order, and bytes that were not synced may be old, cut off, or zeros. A rename is one step, as it is in every
//! journal; a file in a directory that was forgotten is gone.

use super::*;
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    /// Its number among the contents.
    File(usize),
}

type Tree = BTreeMap<PathBuf, Node>;

/// Names that appear or go in one step.
type Change = Vec<(PathBuf, Option<Node>)>;

#[derive(Clone, Debug, Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct State {
    now: Tree,
    durable: Tree,
    unsynced: Vec<Change>,
    contents: Vec<Contents>,
    lock: Option<String>,
    done: u64,
    /// Operations until the power goes.
    power: Option<u64>,
    is_off: bool,
    is_full: bool,
}

/// The disk. Its clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<State>>);

impl MemoryDisk {
    /// An empty disk with this directory on it.
    pub(crate) fn with_dir(dir: &Path) -> Self {
        let disk = Self::default();
        disk.state().durable.insert(dir.to_owned(), Node::Dir);
        disk.state().now.insert(dir.to_owned(), Node::Dir);
        disk
    }

    /// How many changing operations were done so far.
    pub(crate) fn done(&self) -> u64 {
        self.state().done
    }

    /// Lets the power go after so many more changing operations.
    pub(crate) fn fail_after(&self, operations: u64) {
        self.state().power = Some(operations);
    }

    /// The disk as it is after power came back: all that was synced, and of the rest what chance left.
    pub(crate) fn cut(&self, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut state = self.state().clone();
        let (mode, prefix) = (rng.u8(..4), rng.usize(..=state.unsynced.len()));
        let mut number = 0;
        state.harden(|_| {
            number += 1;
            match mode {
                0 => false,
                1 => true,
                2 => number <= prefix,
                _ => rng.bool(),
            }
        });
        for contents in &mut state.contents {
            contents.now = survived(contents, &mut rng);
        }
        let all = state.durable.clone();
        let is_reachable =
            |path: &Path| path.ancestors().skip(1).all(|up| up.parent().is_none() || all.contains_key(up));
        state.durable.retain(|path, _| is_reachable(path));
        Self::fresh(state.durable, state.contents)
    }

    /// The disk after the process was killed: nothing is forgotten.
    pub(crate) fn killed(&self) -> Self {
        let state = self.state().clone();
        Self::fresh(state.now, state.contents)
    }

    /// Has no room for another byte from now on.
    pub(crate) fn fill(&self) {
        self.state().is_full = true;
    }

    /// Flips a bit of a file.
    pub(crate) fn damage(&self, path: &Path, bit: usize) {
        let mut state = self.state();
        let bytes = state.bytes(path).unwrap();
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }

    /// Every file, in order.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let state = self.state();
        state.now.iter().filter(|(_, node)| **node != Node::Dir).map(|(path, _)| path.clone()).collect()
    }

    fn fresh(tree: Tree, mut contents: Vec<Contents>) -> Self {
        contents.iter_mut().for_each(|contents| contents.durable = contents.now.clone());
        let state = State { now: tree.clone(), durable: tree, contents, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for an operation that changes something; an error from the one on at which the power goes.
    fn changing(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.powered()?;
        if state.spend() { Ok(state) } else { Err(gone()) }
    }

    /// Changes the bytes of a file; of the operation at which the power goes only half gets through.
    fn writing(&self, path: &Path, len: usize, put: impl FnOnce(&mut Vec<u8>, usize)) -> io::Result<()> {
        let mut state = self.powered()?;
        let has_power = state.spend();
        if state.is_full {
            // The name fits in, and of the bytes some.
            put(state.made(path)?, 0);
            return Err(io::ErrorKind::StorageFull.into());
        }
        put(state.made(path)?, if has_power { len } else { len / 2 });
        if has_power { Ok(()) } else { Err(gone()) }
    }

    fn powered(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.is_off { Err(gone()) } else { Ok(state) }
    }
}

impl State {
    /// Counts an operation; says whether there is power for it.
    fn spend(&mut self) -> bool {
        self.done += 1;
        match &mut self.power {
            Some(0) => self.is_off = true,
            Some(left) => *left -= 1,
            None => {}
        }
        !self.is_off
    }

    fn bytes(&mut self, path: &Path) -> io::Result<&mut Vec<u8>> {
        match self.now.get(path) {
            Some(Node::File(number)) => Ok(&mut self.contents[*number].now),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.now, &change);
        self.unsynced.push(change);
    }

    /// The bytes of a file, made if it is not there.
    fn made(&mut self, path: &Path) -> io::Result<&mut Vec<u8>> {
        if !self.now.contains_key(path) {
            self.in_a_dir(path)?;
            self.contents.push(Contents::default());
            let node = Node::File(self.contents.len() - 1);
            self.change(vec![(path.to_owned(), Some(node))]);
        }
        self.bytes(path)
    }

    fn in_a_dir(&self, path: &Path) -> io::Result<()> {
        match path.parent().and_then(|dir| self.now.get(dir)) {
            Some(Node::Dir) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn has_children(&self, dir: &Path) -> bool {
        self.now.keys().any(|path| path.parent() == Some(dir))
    }

    /// Makes some of the unsynced changes durable. What an older one said of a name that a newer one changed does
    /// not come back.
    fn harden(&mut self, mut chosen: impl FnMut(&Change) -> bool) {
        let (mut durable, mut rest): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
        for (number, change) in std::mem::take(&mut self.unsynced).into_iter().enumerate() {
            if chosen(&change) { durable.push((number, change)) } else { rest.push((number, change)) }
        }
        for (number, change) in &durable {
            apply(&mut self.durable, change);
            let names: BTreeSet<_> = change.iter().map(|(path, _)| path).collect();
            for (older, change) in &mut rest {
                if *older < *number {
                    change.retain(|(path, _)| !names.contains(path));
                }
            }
        }
        self.unsynced = rest.into_iter().map(|(_, change)| change).collect();
    }
}

impl Disk for MemoryDisk {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let bytes = self.powered()?.bytes(path)?.clone();
        if bytes.len() > limit { Err(io::ErrorKind::InvalidData.into()) } else { Ok(bytes) }
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.powered()?;
        if state.now.get(dir) != Some(&Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.now.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn is_there(&self, path: &Path) -> io::Result<bool> {
        Ok(self.powered()?.now.contains_key(path))
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        if !state.now.contains_key(dir) {
            state.in_a_dir(dir)?;
            state.change(vec![(dir.to_owned(), Some(Node::Dir))]);
        }
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8], _: Access) -> io::Result<()> {
        self.writing(path, bytes.len(), |file, len| *file = bytes[..len].to_owned())
    }

    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.writing(path, bytes.len(), |file, len| {
            file.resize(file.len().max(offset + len), 0);
            file[offset..offset + len].copy_from_slice(&bytes[..len]);
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        state.in_a_dir(to)?;
        let node = *state.now.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.change(vec![(from.to_owned(), None), (to.to_owned(), Some(node))]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        state.bytes(path)?;
        state.change(vec![(path.to_owned(), None)]);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        if state.has_children(dir) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        match state.now.get(dir) {
            Some(Node::Dir) => state.change(vec![(dir.to_owned(), None)]),
            _ => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(())
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        match state.now.get(path).copied().ok_or(io::ErrorKind::NotFound)? {
            Node::File(number) => {
                let contents = &mut state.contents[number];
                contents.durable = contents.now.clone();
            }
            Node::Dir => state.harden(|change| change.iter().any(|(name, _)| name.parent() == Some(path))),
        }
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut state = self.changing()?;
        state.harden(|_| true);
        state.contents.iter_mut().for_each(|contents| contents.durable = contents.now.clone());
        Ok(())
    }

    fn lock(&self, _: &Path, who: &str) -> io::Result<Lock> {
        let mut state = self.powered()?;
        if let Some(holder) = &state.lock {
            return Ok(Lock::By(holder.clone()));
        }
        state.lock = Some(who.to_owned());
        Ok(Lock::Held(Box::new(Unlock(self.clone()))))
    }
}

struct Unlock(MemoryDisk);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.state().lock = None;
    }
}

/// What is left of a file's bytes.
fn survived(contents: &Contents, rng: &mut Rng) -> Vec<u8> {
    if contents.now == contents.durable {
        return contents.now.clone();
    }
    match rng.u8(..4) {
        0 => contents.durable.clone(),
        1 => contents.now.clone(),
        2 => contents.now[..rng.usize(..=contents.now.len())].to_owned(),
        // The length arrived and the bytes did not.
        _ => vec![0; contents.now.len()],
    }
}

fn apply(tree: &mut Tree, change: &Change) {
    for (path, node) in change {
        match node {
            Some(node) => tree.insert(path.clone(), *node),
            None => tree.remove(path),
        };
    }
}

fn gone() -> io::Error {
    io::Error::other("the power has gone")
}

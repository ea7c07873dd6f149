//! A disk in memory that loses its power: after [`MemoryDisk::cut`] it may have forgotten whatever was not synced.
//!
//! It forgets more than most file systems would: names that were not synced survive in any subset, also out of
//! order, and bytes that were not synced may be old, new, both in pieces, cut off, or zeros. What was synced and not
//! changed since stays. A rename is one step, as
//! it is in every journal; a file in a directory that was forgotten is gone.

mod file;
mod sparse;

use crate::disk::{
    Access, BlockFacts, Disk, Facts, Handle, Lock, Node as Kind, Opening, Sweep, Swept, directory,
};
use fastrand::Rng;
use file::{MemoryFile, Unlock, facts};
use sparse::Sparse;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    now: Sparse,
    durable: Sparse,
    /// It was emptied and written anew since it was synced: nothing of it is certain.
    is_anew: bool,
    /// When its bytes were changed last, in operations of all disks since the first.
    modified: u64,
    /// When its bytes or its name were changed last, likewise.
    changed: u64,
}

impl Contents {
    fn harden(&mut self) {
        self.durable = self.now.clone();
        self.is_anew = false;
    }
}

#[derive(Clone, Debug, Default)]
struct State {
    now: Tree,
    durable: Tree,
    unsynced: Vec<Change>,
    contents: Vec<Contents>,
    locks: BTreeMap<Locked, String>,
    /// Readers that share the lock on a file, by its number.
    shared: BTreeMap<usize, usize>,
    done: u64,
    /// Operations of the disks that this one was before its power went.
    before: u64,
    /// Operations until the power goes.
    power: Option<u64>,
    is_off: bool,
    is_full: bool,
    is_lying: bool,
    /// How often its power came back.
    boots: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Locked {
    Name(PathBuf),
    File(usize),
}

/// The disk. Its clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

impl MemoryDisk {
    /// An empty disk with this directory on it.
    pub fn with_dir(dir: &Path) -> Self {
        let disk = Self::default();
        disk.state().durable.insert(dir.to_owned(), Node::Dir);
        disk.state().now.insert(dir.to_owned(), Node::Dir);
        disk
    }

    /// How many changing operations were done so far.
    pub fn done(&self) -> u64 {
        self.state().done
    }

    /// Lets the power go after so many more changing operations.
    pub fn fail_after(&self, operations: u64) {
        self.state().power = Some(operations);
    }

    /// Lets the power go now.
    pub fn fail(&self) {
        self.state().is_off = true;
    }

    /// The disk as it is after power came back: all that was synced, and of the rest what chance left.
    pub fn cut(&self, seed: u64) -> Self {
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
            if contents.now != contents.durable {
                let durable =
                    if contents.is_anew && rng.bool() { &Sparse::default() } else { &contents.durable };
                contents.now = Sparse::survived(durable, &contents.now, &mut rng);
            }
        }
        let all = state.durable.clone();
        let is_reachable =
            |path: &Path| path.ancestors().skip(1).all(|up| up.parent().is_none() || all.contains_key(up));
        state.durable.retain(|path, _| is_reachable(path));
        state.boots += 1;
        Self::fresh(state.durable.clone(), state)
    }

    /// The disk after the process was killed: nothing is forgotten.
    pub fn killed(&self) -> Self {
        let state = self.state().clone();
        Self::fresh(state.now.clone(), state)
    }

    /// Has no room for another byte from now on.
    pub fn fill(&self) {
        self.state().is_full = true;
    }

    /// Says from now on that everything is durable, and makes nothing so: what a test that takes the power away must
    /// notice.
    pub fn lie(&self) {
        self.state().is_lying = true;
    }

    /// Sets the time of last modification (mtime) of a file back, as `touch -r` does: the time of its last change
    /// (ctime) is now.
    pub fn put_time_back(&self, path: &Path, modified: Duration) -> io::Result<()> {
        let mut state = self.changing()?;
        let now = state.before + state.done;
        let contents = state.contents(path)?;
        contents.modified = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
        contents.changed = now;
        Ok(())
    }

    /// Flips a bit of a file that is there and holds something.
    pub fn damage(&self, path: &Path, bit: usize) {
        if let Ok(contents) = self.state().contents(path) {
            contents.now.flip(bit);
        }
    }

    /// Every file, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        let state = self.state();
        state.now.iter().filter(|(_, node)| **node != Node::Dir).map(|(path, _)| path.clone()).collect()
    }

    fn fresh(tree: Tree, state: State) -> Self {
        let (before, boots, is_lying) = (state.before + state.done, state.boots, state.is_lying);
        let mut contents = state.contents;
        contents.iter_mut().for_each(Contents::harden);
        let state =
            State { now: tree.clone(), durable: tree, contents, before, boots, is_lying, ..State::default() };
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
    fn writing(&self, path: &Path, len: usize, put: impl FnOnce(&mut Sparse, usize)) -> io::Result<()> {
        let mut state = self.powered()?;
        let has_power = state.spend();
        let number = state.made(path)?;
        state.put(number, len, has_power, put)
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

    fn put(
        &mut self,
        number: usize,
        len: usize,
        has_power: bool,
        put: impl FnOnce(&mut Sparse, usize),
    ) -> io::Result<()> {
        let (modified, is_full) = (self.before + self.done, self.is_full);
        let contents = &mut self.contents[number];
        (contents.modified, contents.changed) = (modified, modified);
        if is_full {
            // The name fits in, and of the bytes none.
            put(&mut contents.now, 0);
            return Err(io::ErrorKind::StorageFull.into());
        }
        put(&mut contents.now, if has_power { len } else { len / 2 });
        if has_power { Ok(()) } else { Err(gone()) }
    }

    fn number(&self, path: &Path) -> io::Result<usize> {
        match self.now.get(path) {
            Some(Node::File(number)) => Ok(*number),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn contents(&mut self, path: &Path) -> io::Result<&mut Contents> {
        let number = self.number(path)?;
        Ok(&mut self.contents[number])
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.now, &change);
        self.unsynced.push(change);
    }

    /// The number of a file, made if it is not there.
    fn made(&mut self, path: &Path) -> io::Result<usize> {
        if !self.now.contains_key(path) {
            self.in_a_dir(path)?;
            let now = self.before + self.done;
            self.contents.push(Contents { modified: now, changed: now, ..Contents::default() });
            let node = Node::File(self.contents.len() - 1);
            self.change(vec![(path.to_owned(), Some(node))]);
        }
        self.number(path)
    }

    fn in_a_dir(&self, path: &Path) -> io::Result<()> {
        match self.now.get(directory(path)) {
            Some(Node::Dir) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// What moves along with a directory. Names in it that were not synced stay as uncertain as they were.
    fn carried(&mut self, from: &Path, to: &Path) -> Change {
        let anew = |path: &PathBuf| {
            let rest = path.strip_prefix(from).ok().filter(|rest| !rest.as_os_str().is_empty())?;
            Some(to.join(rest))
        };
        for (path, _) in self.unsynced.iter_mut().flatten() {
            if let Some(moved) = anew(path) {
                *path = moved;
            }
        }
        let inside = |(path, node): (&PathBuf, &Node)| Some((path.clone(), anew(path)?, *node));
        let now: Vec<_> = self.now.iter().filter_map(inside).collect();
        for (path, moved, node) in now {
            self.now.remove(&path);
            self.now.insert(moved, node);
        }
        let durable = self.durable.iter().filter_map(inside);
        durable.flat_map(|(path, moved, node)| [(path, None), (moved, Some(node))]).collect()
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
        let bytes = self.powered()?.contents(path)?.now.clone();
        if bytes.len() > limit as u64 { Err(io::ErrorKind::InvalidData.into()) } else { Ok(bytes.to_vec()) }
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.powered()?;
        if state.now.get(dir) != Some(&Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.now.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn node(&self, path: &Path) -> io::Result<Option<Kind>> {
        Ok(self.powered()?.now.get(path).map(|node| match node {
            Node::Dir => Kind::Dir,
            Node::File(_) => Kind::File,
        }))
    }

    fn entry(&self, path: &Path) -> io::Result<Option<Facts>> {
        let state = self.powered()?;
        Ok(state.now.get(path).map(|node| match *node {
            Node::Dir => facts(Kind::Dir, u64::MAX, &Contents::default()),
            Node::File(number) => facts(Kind::File, number as u64, &state.contents[number]),
        }))
    }

    fn open_to_others(&self, _: &Path) -> Option<PathBuf> {
        None
    }

    fn writable(&self, dir: &Path) -> io::Result<()> {
        match self.node(dir)? {
            Some(Kind::Dir) => Ok(()),
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn make_dir(&self, dir: &Path, _: Access) -> io::Result<()> {
        let mut state = self.changing()?;
        if !state.now.contains_key(dir) {
            state.in_a_dir(dir)?;
            state.change(vec![(dir.to_owned(), Some(Node::Dir))]);
        }
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8], _: Access) -> io::Result<()> {
        let written = self.writing(path, bytes.len(), |file, len| *file = Sparse::of(&bytes[..len]));
        if let Ok(contents) = self.state().contents(path) {
            contents.is_anew = true;
        }
        written
    }

    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writing(path, bytes.len(), |file, len| file.write_at(&bytes[..len], offset))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        state.in_a_dir(to)?;
        let node = *state.now.get(from).ok_or(io::ErrorKind::NotFound)?;
        if let Node::File(number) = node {
            state.contents[number].changed = state.before + state.done;
        }
        let mut change = vec![(from.to_owned(), None), (to.to_owned(), Some(node))];
        change.extend(state.carried(from, to));
        state.change(change);
        Ok(())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.node(to)? {
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            None => self.rename(from, to),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        state.number(path)?;
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

    fn sweep(&self, dir: &Path, sweep: &Sweep<'_>) -> io::Result<Swept> {
        let node = self.powered()?.now.get(dir).copied();
        match node {
            None => return Ok(Swept::Gone),
            Some(Node::File(_)) => return Ok(Swept::NoDirectory),
            Some(Node::Dir) => {}
        }
        let is_file = |name: &String| self.powered().is_ok_and(|state| state.number(&dir.join(name)).is_ok());
        let (mut known, others): (Vec<_>, Vec<_>) =
            self.names(dir)?.into_iter().partition(|name| is_file(name) && (sweep.is_known)(name));
        if sweep.is_whole && !others.is_empty() {
            return Ok(Swept::Holds(others));
        }
        if let Some(last) = sweep.last.filter(|_| sweep.respects_lock) {
            let state = self.powered()?;
            let number = state.number(&dir.join(last));
            if number.is_ok_and(|number| state.locks.contains_key(&Locked::File(number))) {
                return Ok(Swept::InUse);
            }
        }
        known.sort_by_key(|name| sweep.last == Some(name.as_str()));
        known.iter().try_for_each(|name| self.remove(&dir.join(name)))?;
        if sweep.is_whole {
            self.remove_dir(dir)?;
        }
        Ok(if others.is_empty() { Swept::Gone } else { Swept::Holds(others) })
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        match state.now.get(path).copied().ok_or(io::ErrorKind::NotFound)? {
            _ if state.is_lying => {}
            Node::File(number) => {
                state.contents[number].harden();
            }
            Node::Dir => state.harden(|change| change.iter().any(|(name, _)| name.parent() == Some(path))),
        }
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut state = self.changing()?;
        if state.is_lying {
            return Ok(());
        }
        state.harden(|_| true);
        state.contents.iter_mut().for_each(Contents::harden);
        Ok(())
    }

    fn lock(&self, path: &Path, who: &str, _: Access) -> io::Result<Lock> {
        let mut state = self.powered()?;
        let name = Locked::Name(path.to_owned());
        if let Some(holder) = state.locks.get(&name) {
            return Ok(Lock::By(holder.clone()));
        }
        state.locks.insert(name.clone(), who.to_owned());
        Ok(Lock::Held(Box::new(Unlock::of(self.clone(), name))))
    }

    fn boot(&self) -> Option<String> {
        Some(self.state().boots.to_string())
    }

    /// It has files only.
    fn block_facts(&self, _: u64) -> Option<BlockFacts> {
        None
    }

    fn open(&self, path: &Path, opening: Opening) -> io::Result<Box<dyn Handle>> {
        let number = match opening {
            Opening::New(_) if self.node(path)?.is_some() => return Err(io::ErrorKind::AlreadyExists.into()),
            Opening::New(_) => self.changing()?.made(path)?,
            _ => self.powered()?.number(path)?,
        };
        Ok(Box::new(MemoryFile::open(self.clone(), number)))
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

#[cfg(test)]
mod tests;

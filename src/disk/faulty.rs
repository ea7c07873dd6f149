//! A disk that fails when told to.

use crate::disk::{Access, BlockFacts, Disk, Facts, Handle, Lock, Near, Node, Opening, Sweep, Swept};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is asked of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Bytes are read.
    Read,
    /// Bytes are written, or made zero; a file is made longer or shorter.
    Write,
    /// Something is made durable.
    Sync,
    /// A name appears, moves or goes; a file is opened, locked or looked at.
    Name,
}

type Rule = Arc<dyn Fn(Act, &Path) -> io::Result<()> + Send + Sync>;

/// Wraps a disk; before every act a rule says whether it fails, and how. What fails has not been done.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn Disk>,
    rule: Rule,
}

impl Faulty {
    /// With a rule that is asked about every act.
    pub fn new(
        inner: Arc<dyn Disk>,
        rule: impl Fn(Act, &Path) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { inner, rule: Arc::new(rule) }
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
impl Disk for Faulty {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        (self.rule)(Act::Read, path)?;
        self.inner.read(path, limit)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        (self.rule)(Act::Name, dir)?;
        self.inner.names(dir)
    }

    fn node(&self, path: &Path) -> io::Result<Option<Node>> {
        (self.rule)(Act::Name, path)?;
        self.inner.node(path)
    }

    fn entry(&self, path: &Path) -> io::Result<Option<Facts>> {
        (self.rule)(Act::Name, path)?;
        self.inner.entry(path)
    }

    fn open_to_others(&self, dir: &Path) -> Option<PathBuf> {
        self.inner.open_to_others(dir)
    }

    fn writable(&self, dir: &Path) -> io::Result<()> {
        (self.rule)(Act::Name, dir)?;
        self.inner.writable(dir)
    }

    fn make_dir(&self, dir: &Path, access: Access) -> io::Result<()> {
        (self.rule)(Act::Name, dir)?;
        self.inner.make_dir(dir, access)
    }

    fn write(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
        (self.rule)(Act::Write, path)?;
        self.inner.write(path, bytes, access)
    }

    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (self.rule)(Act::Write, path)?;
        self.inner.write_at(path, offset, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.rule)(Act::Name, to)?;
        self.inner.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.rule)(Act::Name, to)?;
        self.inner.rename_new(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        (self.rule)(Act::Name, path)?;
        self.inner.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        (self.rule)(Act::Name, dir)?;
        self.inner.remove_dir(dir)
    }

    fn sweep(&self, dir: &Path, sweep: &Sweep<'_>) -> io::Result<Swept> {
        (self.rule)(Act::Name, dir)?;
        self.inner.sweep(dir, sweep)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        (self.rule)(Act::Sync, path)?;
        self.inner.sync(path)
    }

    fn sync_all(&self) -> io::Result<()> {
        (self.rule)(Act::Sync, Path::new("/"))?;
        self.inner.sync_all()
    }

    fn lock(&self, path: &Path, who: &str, access: Access) -> io::Result<Lock> {
        (self.rule)(Act::Name, path)?;
        self.inner.lock(path, who, access)
    }

    fn boot(&self) -> Option<String> {
        self.inner.boot()
    }

    fn block_facts(&self, device: u64) -> Option<BlockFacts> {
        self.inner.block_facts(device)
    }

    fn open(&self, path: &Path, opening: Opening) -> io::Result<Box<dyn Handle>> {
        (self.rule)(Act::Name, path)?;
        let inner = self.inner.open(path, opening)?;
        Ok(Box::new(FaultyFile { inner, path: path.to_owned(), rule: Arc::clone(&self.rule) }))
    }
}

struct FaultyFile {
    inner: Box<dyn Handle>,
    path: PathBuf,
    rule: Rule,
}

impl fmt::Debug for FaultyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyFile").field("path", &self.path).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
impl Handle for FaultyFile {
    fn facts(&self) -> io::Result<Facts> {
        (self.rule)(Act::Name, &self.path)?;
        self.inner.facts()
    }

    fn expect(&self, offset: u64, len: u64) {
        self.inner.expect(offset, len);
    }

    fn near(&self, offset: u64, len: usize) -> Option<Near> {
        self.inner.near(offset, len)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        (self.rule)(Act::Read, &self.path)?;
        self.inner.read_at(bytes, offset)
    }

    fn touch(&self, offset: u64, len: usize) -> io::Result<()> {
        (self.rule)(Act::Read, &self.path)?;
        self.inner.touch(offset, len)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<u64>> {
        (self.rule)(Act::Read, &self.path)?;
        self.inner.next_data(from)
    }

    fn next_hole(&self, from: u64) -> io::Result<u64> {
        (self.rule)(Act::Read, &self.path)?;
        self.inner.next_hole(from)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        (self.rule)(Act::Write, &self.path)?;
        self.inner.write_at(bytes, offset)
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        (self.rule)(Act::Write, &self.path)?;
        self.inner.zero(offset, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        (self.rule)(Act::Write, &self.path)?;
        self.inner.set_len(len)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        (self.rule)(Act::Name, &self.path)?;
        self.inner.set_mode(mode)
    }

    fn succeed(&self, path: &Path, with_owner: bool) -> io::Result<()> {
        (self.rule)(Act::Name, &self.path)?;
        self.inner.succeed(path, with_owner)
    }

    fn sync(&self) -> io::Result<()> {
        (self.rule)(Act::Sync, &self.path)?;
        self.inner.sync()
    }

    fn try_lock(&self) -> io::Result<bool> {
        (self.rule)(Act::Name, &self.path)?;
        self.inner.try_lock()
    }

    fn try_share(&self) -> io::Result<bool> {
        (self.rule)(Act::Name, &self.path)?;
        self.inner.try_share()
    }

    fn holder(&self) -> Option<String> {
        self.inner.holder()
    }
}

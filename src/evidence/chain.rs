//! Keeping bundles: one behind the other, each whole before it has its number.

use crate::block::Digest;
use crate::disk::{Access, Disk, Node};
use crate::evidence::draft::Draft;
use crate::evidence::entry::{self, Entry};
use crate::evidence::statement::{About, Statement};
use crate::evidence::{Key, REPORT, SIGNATURE, STATEMENT, bundle, number};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::UnixMillis;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longer than any statement: it names a handful of files.
pub(super) const LONGEST: usize = 1 << 20;

/// How often another run may be first to a number. Each time that it was, it has kept its evidence.
const MOST_TRIES: u32 = 1000;

/// Writes what is to be in a file: piece by piece, for it may be longer than memory.
pub type Content<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// A file beside the report.
#[derive(Clone, Copy)]
pub struct Attachment<'a> {
    /// Its name in the bundle: letters, digits, `.`, `-` and `_`.
    pub name: &'a str,
    /// What is in it.
    pub content: Content<'a>,
}

impl fmt::Debug for Attachment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A bundle that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub number: u64,
    /// Its directory.
    pub path: PathBuf,
    /// SHA-256 of its statement: an anchor for all bundles up to this one.
    pub hash: Digest,
}

/// A directory of bundles, about to get another.
#[derive(Clone, Debug)]
pub struct Chain {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    key: Option<Key>,
}

/// The newest bundle.
struct Head {
    /// The number of the bundle that follows.
    next: u64,
    hash: Digest,
    is_signed: bool,
}

impl Chain {
    /// Makes the directory where there is none, removes what killed runs left in it, and looks whether a bundle can be
    /// added: before the work, so that what cannot be kept is not done.
    ///
    /// # Errors
    /// `Unsuitable` where a signed chain is to go on without a key, or its newest bundle is damaged; `Local` where the
    /// directory cannot be written to.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, key: Option<Key>) -> Result<Self, Fault> {
        let chain = Self { disk, dir: dir.to_owned(), key };
        chain
            .disk
            .make_dirs(dir, Access::Group)
            .map_err(|error| Fault::local(dir, "keep evidence", error))?;
        let head = chain.head()?;
        if chain.key.is_none() && head.is_some_and(|head| head.is_signed) {
            let what = "the evidence here is signed, and there is no key for more of it";
            return Err(Fault::new(Kind::Unsuitable, Place::File(dir.to_owned()), what)
                .hint("give --sign-key FILE, or --evidence another directory"));
        }
        Draft::sweep(&*chain.disk, dir);
        chain.begin()?;
        Ok(chain)
    }

    /// Keeps a report, and files beside it, as the next bundle. When this returns it is durable.
    pub fn keep(
        &self,
        about: &About,
        report: Content<'_>,
        others: &[Attachment<'_>],
        now: UnixMillis,
    ) -> Result<Kept, Fault> {
        others.iter().try_for_each(|file| self.is_name(file.name))?;
        let report = Attachment { name: REPORT, content: report };
        let draft = self.begin()?;
        let written = std::iter::once(&report).chain(others).map(|file| draft.write(file.name, file.content));
        let files = written.collect::<io::Result<_>>().map_err(|error| self.failed(error))?;
        let told = draft.told().map_err(|error| self.failed(error))?;
        let public_key = self.key.as_ref().map(Key::public);
        self.number(&draft, Statement::of(about, now, told, files, public_key))
    }

    fn begin(&self) -> Result<Draft<'_>, Fault> {
        Draft::begin(&*self.disk, &self.dir).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Fault {
        Fault::local(&self.dir, "keep evidence", error)
    }

    /// Gives the draft the next number that is free, and all of it that depends on that.
    fn number(&self, draft: &Draft<'_>, mut statement: Statement) -> Result<Kept, Fault> {
        for _ in 0..MOST_TRIES {
            let head = self.head()?;
            let number = head.as_ref().map_or(1, |head| head.next);
            statement = statement.following(head.map(|head| head.hash), number);
            let bytes = statement.encode();
            draft.put(STATEMENT, &bytes).map_err(|error| self.failed(error))?;
            if let Some(key) = &self.key {
                draft.put(SIGNATURE, &key.sign(&bytes)).map_err(|error| self.failed(error))?;
            }
            let path = bundle(&self.dir, statement.number);
            match draft.place(&path) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty) => {}
                placed => {
                    placed.and_then(|()| self.disk.sync(&self.dir)).map_err(|error| self.failed(error))?;
                    return Ok(Kept { number: statement.number, path, hash: Digest::of(&bytes) });
                }
            }
        }
        Err(self.failed(ErrorKind::WouldBlock.into()))
    }

    /// The newest bundle, durable: what follows it must not outlive it.
    fn head(&self) -> Result<Option<Head>, Fault> {
        let failed = |error: io::Error| Fault::local(&self.dir, "read the evidence", error);
        let names = self.disk.names(&self.dir).map_err(failed)?;
        let Some(number) = names.iter().filter_map(|name| number(name)).max() else { return Ok(None) };
        self.disk.sync(&self.dir).map_err(failed)?;
        let dir = bundle(&self.dir, number);
        let path = dir.join(STATEMENT);
        let refused = |path: &Path, what: &str| {
            Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what)
                .hint("see icecore evidence verify, and give --evidence another directory")
        };
        let damaged = || refused(&path, "the newest bundle is damaged, and nothing can be chained to it");
        let Some(next) = number.checked_add(1) else {
            return Err(refused(
                &dir,
                "it has the highest number that there is, and no bundle can follow it",
            ));
        };
        if self.disk.entry(&dir).map_err(failed)?.is_none_or(|entry| entry.node != Node::Dir) {
            return Err(damaged());
        }
        let Entry::File(Some(bytes)) = entry::read(&*self.disk, &path, LONGEST).map_err(failed)? else {
            return Err(damaged());
        };
        let statement = Statement::decode(&bytes).map_err(|_| damaged())?;
        if statement.number != number {
            return Err(damaged());
        }
        Ok(Some(Head { next, hash: Digest::of(&bytes), is_signed: statement.public_key.is_some() }))
    }

    fn is_name(&self, name: &str) -> Result<(), Fault> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_taken = [REPORT, STATEMENT, SIGNATURE].contains(&name);
        match name.chars().all(is_plain) && !name.starts_with('.') && !name.is_empty() && !is_taken {
            true => Ok(()),
            false => {
                let what = format!("'{name}' cannot be the name of a file of a bundle");
                Err(Fault::new(Kind::Unsuitable, Place::File(self.dir.clone()), what))
            }
        }
    }
}

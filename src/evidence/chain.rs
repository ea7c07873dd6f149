//! Keeping bundles: one behind the other, each whole before it has its number.

use crate::block::Digest;
use crate::disk::{Access, Disk};
use crate::evidence::statement::{About, Listed, Statement};
use crate::evidence::{Key, REPORT, SIGNATURE, STATEMENT, bundle, number};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::UnixMillis;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longer than any statement: it names a handful of files.
pub(super) const LONGEST: usize = 1 << 20;

/// How often another run may be first to a number. Each time that it was, it has kept its evidence.
const MOST_TRIES: u32 = 1000;

/// A file beside the report.
#[derive(Clone, Copy, Debug)]
pub struct Attachment<'a> {
    /// Its name in the bundle: letters, digits, `.`, `-` and `_`.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
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
    number: u64,
    hash: Digest,
    is_signed: bool,
}

impl Chain {
    /// Makes the directory where there is none, and looks whether a bundle can be added: before the work, so that what
    /// cannot be kept is not done.
    ///
    /// # Errors
    /// `Unsuitable` where a signed chain is to go on without a key, or its newest bundle is damaged; `Local` where the
    /// directory cannot be written to.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, key: Option<Key>) -> Result<Self, Fault> {
        let chain = Self { disk, dir: dir.to_owned(), key };
        chain.disk.make_dirs(dir).map_err(|error| Fault::local(dir, "keep evidence", error))?;
        let head = chain.head()?;
        if chain.key.is_none() && head.is_some_and(|head| head.is_signed) {
            let what = "the evidence here is signed, and there is no key for more of it";
            return Err(Fault::new(Kind::Unsuitable, Place::File(dir.to_owned()), what)
                .hint("give --sign-key FILE, or --evidence another directory"));
        }
        let draft = chain.draft();
        let tried = chain.disk.make_dir(&draft).and_then(|()| chain.disk.remove_dir(&draft));
        tried.map_err(|error| Fault::local(dir, "keep evidence", error))?;
        Ok(chain)
    }

    /// Keeps a report, and files beside it, as the next bundle. When this returns it is durable.
    pub fn keep(
        &self,
        about: &About,
        report: &[u8],
        others: &[Attachment<'_>],
        now: UnixMillis,
    ) -> Result<Kept, Fault> {
        let report_file = Attachment { name: REPORT, bytes: report };
        let files: Vec<_> = std::iter::once(report_file).chain(others.iter().copied()).collect();
        for file in &files {
            self.is_name(file.name)?;
        }
        let listed = files.iter().map(|file| Listed {
            name: file.name.to_owned(),
            bytes: file.bytes.len() as u64,
            sha256: Some(Digest::of(file.bytes)),
        });
        let public_key = self.key.as_ref().map(Key::public);
        let statement = Statement::of(about, now, report, listed.collect(), public_key);
        let draft = self.draft();
        let kept = self.write(&draft, &files).and_then(|()| self.number(&draft, statement));
        if kept.is_err() {
            self.clear(&draft);
        }
        kept
    }

    fn write(&self, draft: &Path, files: &[Attachment<'_>]) -> Result<(), Fault> {
        let failed = |error: io::Error| Fault::local(&self.dir, "keep evidence", error);
        self.disk.make_dir(draft).map_err(failed)?;
        for file in files {
            self.put(draft, file.name, file.bytes).map_err(failed)?;
        }
        Ok(())
    }

    /// Gives the draft the next number that is free, and all of it that depends on that.
    fn number(&self, draft: &Path, mut statement: Statement) -> Result<Kept, Fault> {
        let failed = |error: io::Error| Fault::local(&self.dir, "keep evidence", error);
        for _ in 0..MOST_TRIES {
            let head = self.head()?;
            statement = statement.following(head.map(|head| (head.number, head.hash)));
            let bytes = statement.encode();
            self.put(draft, STATEMENT, &bytes).map_err(failed)?;
            if let Some(key) = &self.key {
                self.put(draft, SIGNATURE, &key.sign(&bytes)).map_err(failed)?;
            }
            self.disk.sync(draft).map_err(failed)?;
            let path = bundle(&self.dir, statement.number);
            match self.disk.rename_new(draft, &path) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty) => {}
                renamed => {
                    renamed.and_then(|()| self.disk.sync(&self.dir)).map_err(failed)?;
                    return Ok(Kept { number: statement.number, path, hash: Digest::of(&bytes) });
                }
            }
        }
        Err(failed(ErrorKind::WouldBlock.into()))
    }

    /// The newest bundle, durable: what follows it must not outlive it.
    fn head(&self) -> Result<Option<Head>, Fault> {
        let failed = |error: io::Error| Fault::local(&self.dir, "read the evidence", error);
        let names = self.disk.names(&self.dir).map_err(failed)?;
        let Some(number) = names.iter().filter_map(|name| number(name)).max() else { return Ok(None) };
        self.disk.sync(&self.dir).map_err(failed)?;
        let path = bundle(&self.dir, number).join(STATEMENT);
        let damaged = || {
            let what = "the newest bundle is damaged, and nothing can be chained to it";
            Fault::new(Kind::Unsuitable, Place::File(path.clone()), what)
                .hint("see icecore evidence verify, and give --evidence another directory")
        };
        let bytes = match self.disk.read(&path, LONGEST) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
                return Err(damaged());
            }
            read => read.map_err(failed)?,
        };
        let statement = Statement::decode(&bytes).map_err(|_| damaged())?;
        Ok(Some(Head { number, hash: Digest::of(&bytes), is_signed: statement.public_key.is_some() }))
    }

    fn put(&self, draft: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = draft.join(name);
        self.disk.write(&path, bytes, Access::Usual).and_then(|()| self.disk.sync(&path))
    }

    /// Drafts of several runs do not meet.
    fn draft(&self) -> PathBuf {
        self.dir.join(format!(".draft-{}", crate::disk::unique()))
    }

    /// Best effort: a draft that stays is not a bundle.
    fn clear(&self, draft: &Path) {
        for name in self.disk.names(draft).unwrap_or_default() {
            let _ = self.disk.remove(&draft.join(name));
        }
        let _ = self.disk.remove_dir(draft);
    }

    fn is_name(&self, name: &str) -> Result<(), Fault> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_taken = [STATEMENT, SIGNATURE].contains(&name);
        match name.chars().all(is_plain) && !name.starts_with('.') && !name.is_empty() && !is_taken {
            true => Ok(()),
            false => {
                let what = format!("'{name}' cannot be the name of a file of a bundle");
                Err(Fault::new(Kind::Unsuitable, Place::File(self.dir.clone()), what))
            }
        }
    }
}

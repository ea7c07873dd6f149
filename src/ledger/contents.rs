//! Directories of files that are named after what is in them.

use crate::block::Digest;
use crate::disk::{Access, Disk};
use crate::fault::Fault;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longer than any entry.
const LONGEST: usize = 1 << 20;

/// The kinds of files there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Verifications.
    Entries,
    /// Parts of cycles.
    Cycles,
    /// Manifests.
    Manifests,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Entries, Self::Cycles, Self::Manifests];

    /// Its directory below a state directory.
    pub const fn dir(self) -> &'static str {
        match self {
            Self::Entries => "ledger",
            Self::Cycles => "cycles",
            Self::Manifests => "manifests",
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Entries | Self::Cycles => "json",
            Self::Manifests => "manifest",
        }
    }

    /// The digest that a file of this name has to have; `None` where it is none of these.
    pub(super) fn digest(self, name: &str) -> Option<Digest> {
        let stem = name.strip_suffix(self.suffix())?.strip_suffix('.')?;
        stem.rsplit('.').next()?.parse().ok()
    }
}

/// A file that is not what its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Which.
    pub path: PathBuf,
    /// In what way, in one clause.
    pub what: String,
}

/// What a directory holds.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// Whole, in no order.
    pub entries: Vec<T>,
    /// What is not.
    pub damaged: Vec<Damaged>,
}

/// The files of one kind in one state directory.
#[derive(Clone, Debug)]
pub struct Contents {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    kind: Kind,
}

impl Contents {
    /// Those below this state directory; made when the first one is put there.
    pub fn below(disk: &Arc<dyn Disk>, state_dir: &Path, kind: Kind) -> Self {
        Self { disk: Arc::clone(disk), dir: state_dir.join(kind.dir()), kind }
    }

    /// Puts an entry there, durably.
    pub fn put<T: Serialize>(&self, entry: &T) -> Result<(), Fault> {
        // Strings, numbers and lists of them always have a JSON form.
        let bytes = serde_json::to_vec(entry).unwrap_or_default();
        let path = self.dir.join(format!("{}.{}", Digest::of(&bytes), self.kind.suffix()));
        let made = self.disk.make_dirs(&self.dir, Access::Owner);
        match made.and_then(|()| self.disk.place_new(&path, &bytes, Access::Owner)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(Fault::local(path, "keep what was verified", error))
            }
            _ => Ok(()),
        }
    }

    /// Gives a file that was made elsewhere on this disk its place here, and tells its path. `label` begins its name.
    pub fn adopt(&self, draft: &Path, label: &str) -> Result<PathBuf, Fault> {
        let failed = |error| Fault::local(draft, "keep", error);
        let (_, digest) = self.disk.sha256(draft).map_err(failed)?;
        let path = self.dir.join(format!("{label}.{digest}.{}", self.kind.suffix()));
        match self.disk.rename_new(draft, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.disk.remove(draft).map_err(failed)?;
            }
            renamed => renamed.and_then(|()| self.disk.sync(&self.dir)).map_err(failed)?,
        }
        Ok(path)
    }

    /// The directory, made where there is none: drafts of files to be adopted are made there.
    pub fn dir(&self) -> Result<&Path, Fault> {
        let made = self.disk.make_dirs(&self.dir, Access::Owner);
        made.map_err(|error| Fault::local(&self.dir, "make", error))?;
        Ok(&self.dir)
    }

    /// Returns all entries; none where other users may write to the directory. Drafts and foreign files are not looked
    /// at.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Found<T>, Fault> {
        let mut found = Found { entries: Vec::new(), damaged: Vec::new() };
        let names = if self.disk.trusts(&self.dir) { self.names()? } else { Vec::new() };
        for (name, digest) in names {
            let path = self.dir.join(name);
            match self.disk.read(&path, LONGEST) {
                // Somebody took it away meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.kind() != ErrorKind::InvalidData => {
                    return Err(Fault::local(path, "read", error));
                }
                read => match decoded(read, digest) {
                    Ok(entry) => found.entries.push(entry),
                    Err(what) => found.damaged.push(Damaged { path, what }),
                },
            }
        }
        Ok(found)
    }

    /// Names of the files that count, with the digest that each has to have.
    pub(super) fn names(&self) -> Result<Vec<(String, Digest)>, Fault> {
        let names = match self.disk.names(&self.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            names => names.map_err(|error| Fault::local(&self.dir, "read", error))?,
        };
        let mut names: Vec<_> =
            names.into_iter().filter_map(|name| Some((self.kind.digest(&name)?, name))).collect();
        names.sort_by(|(_, one), (_, other)| one.cmp(other));
        Ok(names.into_iter().map(|(digest, name)| (name, digest)).collect())
    }
}

fn decoded<T: DeserializeOwned>(read: io::Result<Vec<u8>>, digest: Digest) -> Result<T, String> {
    let bytes = read.map_err(|error| error.to_string())?;
    if Digest::of(&bytes) != digest {
        return Err("its bytes are not those that its name says".to_owned());
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("it cannot be read: {error}"))
}

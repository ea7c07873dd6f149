//! Directories of files that are named after what is in them.

use crate::block::Digest;
use crate::disk::{Access, Disk, Handle, Node, Opening};
use crate::fault::Fault;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of an entry at most.
const MAX_ENTRY_BYTES: u64 = 1 << 20;
/// Bytes of a manifest at most: header, map and digests of 64 TiB.
const MAX_MANIFEST_BYTES: u64 = 256 + (1 << 24) + (32 << 27);
/// The error of the kernel for a link that is not to be followed (`ELOOP`).
const LINK: i32 = 40;

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

    /// Bytes of a file of this kind at most.
    pub(super) const fn max_bytes(self) -> u64 {
        match self {
            Self::Entries | Self::Cycles => MAX_ENTRY_BYTES,
            Self::Manifests => MAX_MANIFEST_BYTES,
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

/// A file that is what its name says.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) path: PathBuf,
    pub(super) digest: Digest,
    pub(super) bytes: Vec<u8>,
}

/// The names in a directory.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names of files that count, and the digest that each has to have.
    pub(super) names: Vec<(Digest, String)>,
    /// What has another name, and is not a regular file.
    pub(super) odd: Vec<Damaged>,
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
        self.put_bytes(None, &serde_json::to_vec(entry).unwrap_or_default())
    }

    /// Puts an entry there in the form that it has, durably. `label` begins its name.
    pub fn put_bytes(&self, label: Option<&str>, bytes: &[u8]) -> Result<(), Fault> {
        let label = label.map(|label| format!("{label}.")).unwrap_or_default();
        let path = self.dir.join(format!("{label}{}.{}", Digest::of(bytes), self.kind.suffix()));
        let made = self.disk.make_dirs(&self.dir, Access::Owner);
        match made.and_then(|()| self.disk.place_new(&path, bytes, Access::Owner)) {
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

    /// Bytes of a file here at most.
    pub(super) const fn max_bytes(&self) -> u64 {
        self.kind.max_bytes()
    }

    /// The directory, made where there is none: drafts of files to be adopted are made there.
    pub fn dir(&self) -> Result<&Path, Fault> {
        let made = self.disk.make_dirs(&self.dir, Access::Owner);
        made.map_err(|error| Fault::local(&self.dir, "make", error))?;
        Ok(&self.dir)
    }

    /// Returns all entries; none where other users may write to the directory. Drafts and other regular files are not
    /// looked at.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Found<T>, Fault> {
        let Found { entries, mut damaged } = self.raw(None)?;
        let mut found = Vec::with_capacity(entries.len());
        for Raw { path, bytes, .. } in entries {
            match serde_json::from_slice(&bytes) {
                Ok(entry) => found.push(entry),
                Err(error) => damaged.push(Damaged { path, what: format!("it cannot be read: {error}") }),
            }
        }
        Ok(Found { entries: found, damaged })
    }

    /// Returns the bytes of all files, or of those that may hold something of this label: their names begin with it or with
    /// none.
    pub(super) fn raw(&self, label: Option<&str>) -> Result<Found<Raw>, Fault> {
        let Names { names, odd } = if self.disk.trusts(&self.dir) { self.names()? } else { Names::default() };
        let mut found = Found { entries: Vec::new(), damaged: odd };
        for (digest, name) in names {
            let is_other = |label: &str| label_of(&name).is_some_and(|of| of != label);
            if label.is_some_and(is_other) {
                continue;
            }
            let path = self.dir.join(name);
            match self.bytes(&path, digest) {
                // Another run took it away meanwhile.
                Ok(None) => {}
                Ok(Some(bytes)) => found.entries.push(Raw { path, digest, bytes }),
                Err(what) => found.damaged.push(Damaged { path, what }),
            }
        }
        Ok(found)
    }

    fn bytes(&self, path: &Path, digest: Digest) -> Result<Option<Vec<u8>>, String> {
        let Some((file, len)) = open(&*self.disk, path, self.kind.max_bytes())? else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
        file.read_at(&mut bytes, 0).map_err(|error| format!("it cannot be read: {error}"))?;
        match Digest::of(&bytes) == digest {
            true => Ok(Some(bytes)),
            false => Err(OTHER_BYTES.to_owned()),
        }
    }

    /// Names of the files that count, with the digest that each has to have; and what has another name and is no regular
    /// file.
    pub(super) fn names(&self) -> Result<Names, Fault> {
        let names = match self.disk.names(&self.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Names::default()),
            names => names.map_err(|error| Fault::local(&self.dir, "read", error))?,
        };
        let mut found = Names::default();
        for name in names {
            if let Some(digest) = self.kind.digest(&name) {
                found.names.push((digest, name));
                continue;
            }
            // What has no name of ours is not opened; a regular file may lie there for any reason.
            let path = self.dir.join(&name);
            if let Ok(Some(facts)) = self.disk.entry(&path)
                && facts.node != Node::File
            {
                found.odd.push(Damaged { path, what: odd(facts.node).to_owned() });
            }
        }
        found.names.sort_by(|(_, one), (_, other)| one.cmp(other));
        found.odd.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }
}

/// What is said of a file that its name does not fit.
pub(super) const OTHER_BYTES: &str = "its bytes are not those that its name says";

/// The label that a name begins with, before digest and suffix.
fn label_of(name: &str) -> Option<&str> {
    let (rest, _) = name.rsplit_once('.')?;
    Some(rest.rsplit_once('.')?.0)
}

/// What is said of something that is no regular file.
pub(super) fn odd(node: Node) -> &'static str {
    match node {
        Node::File => "it is a file",
        Node::Dir => "it is a directory, not a file",
        Node::Device => "it is a device, not a file",
        Node::Other => "it is a link, a pipe or a socket, not a file; links are not followed",
    }
}

/// An open file and its length; `None` where there is nothing of the name.
pub(super) type Opened = Option<(Box<dyn Handle>, u64)>;

/// Opens a regular file of at most so many bytes, and gives its length. No link is followed, no pipe waited for; `None`
/// where there is nothing of this name.
///
/// # Errors
/// Why it is not read, in one clause.
pub(super) fn open(disk: &dyn Disk, path: &Path, max_bytes: u64) -> Result<Opened, String> {
    let cannot = |error: std::io::Error| match error.raw_os_error() {
        Some(LINK) => odd(Node::Other).to_owned(),
        _ if error.kind() == ErrorKind::IsADirectory => odd(Node::Dir).to_owned(),
        _ => format!("it cannot be read: {error}"),
    };
    // A device is not even opened.
    match disk.entry(path).map_err(cannot)?.map(|facts| facts.node) {
        None => return Ok(None),
        Some(Node::File) => {}
        Some(node) => return Err(odd(node).to_owned()),
    }
    let file = match disk.open(path, Opening::Listed) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(cannot)?,
    };
    let facts = file.facts().map_err(cannot)?;
    match facts.node {
        Node::File if facts.len <= max_bytes => Ok(Some((file, facts.len))),
        Node::File => Err(format!("it has {} bytes, more than any such file", facts.len)),
        node => Err(odd(node).to_owned()),
    }
}

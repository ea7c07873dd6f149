//! Where everything lies in a store's directory, and file operations whose failures name the file.

use crate::block::{BlockSize, Digest};
use crate::disk::{Access, Disk, Sweep};
use crate::fault::{Fault, Kind};
use crate::snapshot::{InstanceId, SnapshotId, VolumeId};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A store's directory on its disk.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) disk: Arc<dyn Disk>,
    root: PathBuf,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { disk, root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Says which format the store has.
    pub(crate) fn format(&self) -> PathBuf {
        self.root.join("format")
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.root.join("secret")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The latest start time that no record shows any more.
    pub(crate) fn clock(&self) -> PathBuf {
        self.root.join("clock")
    }

    /// Stands while files may lie about that nothing names.
    pub(crate) fn sweep(&self) -> PathBuf {
        self.root.join("sweep")
    }

    /// Files on their way to a final name.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub(crate) fn record(&self, id: &SnapshotId) -> PathBuf {
        self.records().join(id.as_str())
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn layer(&self, version: u64) -> PathBuf {
        self.layers().join(format!("{version:016x}"))
    }

    pub(crate) fn blocks(&self) -> PathBuf {
        self.root.join("blocks")
    }

    pub(crate) fn block(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.blocks().join(&name[..2]).join(name)
    }

    pub(crate) fn places(&self) -> PathBuf {
        self.root.join("pending")
    }

    /// What was put to a pending snapshot.
    pub(crate) fn place(&self, id: &SnapshotId) -> PathBuf {
        self.places().join(id.as_str())
    }

    /// What an account holds beside its snapshots.
    pub(crate) fn account(&self) -> PathBuf {
        self.root.join("account")
    }

    /// Devices that are attached nowhere.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub(crate) fn volume(&self, id: &VolumeId) -> PathBuf {
        self.volumes().join(id.as_str())
    }

    pub(crate) fn instances(&self) -> PathBuf {
        self.root.join("devices")
    }

    /// Devices that are attached to an instance.
    pub(crate) fn devices(&self, instance: &InstanceId) -> PathBuf {
        self.instances().join(instance.as_str())
    }

    /// An attached device, under the name that Linux gives one.
    pub(crate) fn device(&self, id: &VolumeId, instance: &InstanceId) -> PathBuf {
        self.devices(instance).join(id.device_name())
    }

    /// A whole small file; `None` where there is none.
    pub(crate) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
        self.read_at_most(path, usize::MAX)
    }

    /// A whole block file, which is never longer than a block; `None` where there is none.
    pub(crate) fn read_block(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
        self.read_at_most(path, BlockSize::EBS.buffer_len())
    }

    fn read_at_most(&self, path: &Path, limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        match self.disk.read(path, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(Fault::local(path, "read", error).as_kind(Kind::Corrupt))
            }
            Err(error) => Err(Fault::local(path, "read", error)),
        }
    }

    /// Names in a directory, sorted; none where it is missing, as git leaves an empty one behind.
    pub(crate) fn names(&self, dir: &Path) -> Result<Vec<String>, Fault> {
        match self.disk.names(dir) {
            Ok(mut names) => {
                names.sort_unstable();
                Ok(names)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Fault::local(dir, "list", error)),
        }
    }

    pub(crate) fn is_there(&self, path: &Path) -> Result<bool, Fault> {
        self.disk.node(path).map(|node| node.is_some()).map_err(|error| Fault::local(path, "look for", error))
    }

    pub(crate) fn make_dir(&self, dir: &Path) -> Result<(), Fault> {
        self.disk.make_dir(dir, Access::Group).map_err(|error| Fault::local(dir, "make", error))
    }

    /// Makes a file whose name is not final.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8], access: Access) -> Result<(), Fault> {
        self.disk.write(path, bytes, access).map_err(|error| Fault::local(path, "write", error))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        self.disk.rename(from, to).map_err(|error| Fault::local(to, "put in place", error))
    }

    /// Gives a file its final name and bytes at once and for good: after a power cut the old or the new stands.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8], access: Access) -> Result<(), Fault> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Fault::local(path, "replace", io::ErrorKind::InvalidFilename.into()));
        };
        let draft = self.tmp().join(name);
        let written = self.write(&draft, bytes, access).and_then(|()| self.sync(&draft));
        let placed = written.and_then(|()| self.rename(&draft, path));
        if placed.is_err() {
            // Best effort: the next writer empties the directory anyway.
            let _ = self.disk.remove(&draft);
        }
        placed.and_then(|()| self.sync(dir))
    }

    pub(crate) fn sync(&self, path: &Path) -> Result<(), Fault> {
        self.disk.sync(path).map_err(|error| Fault::local(path, "sync", error))
    }

    pub(crate) fn sync_all(&self) -> Result<(), Fault> {
        self.disk.sync_all().map_err(|error| Fault::local(&self.root, "sync", error))
    }

    /// Removes a file; it is well if it has gone.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), Fault> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fault::local(path, "remove", error)),
            _ => Ok(()),
        }
    }

    /// Moves a file out of the way, to `tmp`, and returns its path there; `None` if it has gone.
    pub(crate) fn discard(&self, path: &Path) -> Result<Option<PathBuf>, Fault> {
        let moved = self.tmp().join(path.file_name().unwrap_or_default());
        match self.disk.rename(path, &moved) {
            Ok(()) => Ok(Some(moved)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::local(path, "remove", error)),
        }
    }

    /// Removes the drafts in `tmp`, when a writer opens the store: later, some of them are being written. Anything else there is left alone, and a warning names it.
    pub(crate) fn empty_tmp(&self) -> Result<(), Fault> {
        let tmp = self.tmp();
        let swept = self.disk.remove_tree(&tmp, &Sweep::files(&is_draft));
        swept.map(|_| ()).map_err(|error| Fault::local(&tmp, "empty", error))
    }

    /// Removes the place of a snapshot that is pending no more. One that holds anything else, or is no directory, is
    /// left alone, and a warning names it.
    pub(crate) fn remove_place(&self, place: &Path) -> Result<(), Fault> {
        let is_known = |name: &str| name == JOURNAL || is_block(name);
        let swept = self.disk.remove_tree(place, &Sweep::whole(&is_known));
        swept.map(|_| ()).map_err(|error| Fault::local(place, "remove", error))
    }

    /// Removes the block files and drafts in the place of a pending snapshot that are not among these.
    pub(crate) fn retain_blocks(&self, id: &SnapshotId, kept: &HashSet<String>) -> Result<(), Fault> {
        let place = self.place(id);
        let is_left = |name: &str| is_block(name) && !kept.contains(name);
        let swept = self.disk.sweep(&place, &Sweep::files(&is_left));
        swept.map(|_| ()).map_err(|error| Fault::local(&place, "clear", error))
    }
}

/// The journal of a pending snapshot, in its place.
pub(crate) const JOURNAL: &str = "journal";

/// Returns whether this can be the name of a block in the place of a pending snapshot, or of its draft.
fn is_block(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.parse::<Digest>().is_ok() || name.strip_prefix("draft-").is_some_and(is_number)
}

/// Returns whether this can be the name of a file in `tmp`: that of any file that gets its final name at once, or of
/// one that was discarded.
fn is_draft(name: &str) -> bool {
    let is_version = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_one_of_a_kind = ["format", "secret", "clock", "account"].contains(&name);
    is_version
        || is_one_of_a_kind
        || name.parse::<Digest>().is_ok()
        || name.parse::<SnapshotId>().is_ok()
        || name.parse::<VolumeId>().is_ok()
}

//! A manifest of a snapshot, an image or a device.

mod image;
mod snapshot;

pub use image::{of_image, of_raw_image};
pub use snapshot::of_snapshot;

use crate::block::{ByteSize, Geometry};
use crate::device::check_new_file;
use crate::disk::{Disk, Node};
use crate::fault::{Fault, Kind, Place};
use crate::ledger::{self, Contents};
use crate::manifest::Roots;
use crate::ops::Engine;
use crate::pipeline::Requests;
use crate::snapshot::SnapshotId;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the manifest goes, and what it is made from beside its subject.
#[derive(Clone, Debug)]
pub struct Options {
    /// The manifest of an older snapshot of the same lineage: of what has not changed since, its digests are taken.
    pub base: Option<PathBuf>,
    /// The file to make.
    pub output: PathBuf,
    /// Whether a file already there may be replaced.
    pub force: bool,
}

/// What `icecore manifest` made.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// The snapshot's id, or the image's path.
    pub name: String,
    /// The snapshot; `None` for an image.
    pub snapshot_id: Option<SnapshotId>,
    /// Whether the snapshot is encrypted; `None` where that is not known, and of an image.
    pub is_encrypted: Option<bool>,
    /// Its volume.
    pub geometry: Geometry,
    /// Bytes of the snapshot's volume, or of the image.
    pub size: ByteSize,
    /// The file made.
    pub output: PathBuf,
    /// Blocks listed.
    pub blocks: u64,
    /// Blocks read by this run.
    pub blocks_read: u64,
    /// Blocks that an earlier, interrupted run had read.
    pub blocks_resumed: u64,
    /// Blocks whose digests were taken from the base.
    pub blocks_from_base: u64,
    /// The base's file, where its digests were used.
    pub base: Option<PathBuf>,
    /// The roots.
    pub roots: Roots,
    /// What was asked; `None` where nobody is.
    pub requests: Option<Requests>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A file to write a manifest to that will be kept in the state directory. The next run of the same subject has the
/// same, and goes on there.
pub fn draft(of: &str, engine: &Engine) -> Result<PathBuf, Fault> {
    Ok(kept(engine).dir()?.join(format!(".draft-{}", label(of))))
}

/// Keeps a manifest that was written to a [`draft`]: its name follows from its content.
pub fn keep(of: &str, report: Report, engine: &Engine) -> Result<Report, Fault> {
    let output = kept(engine).adopt(&report.output, &label(of))?;
    Ok(Report { output, ..report })
}

fn kept(engine: &Engine) -> Contents {
    Contents::below(&engine.machine().disk, &engine.machine().state_dir, ledger::Kind::Manifests)
}

/// The end of a path, or a snapshot's id, as the beginning of a file's name.
fn label(of: &str) -> String {
    let name = of.rsplit('/').next().unwrap_or(of);
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    name.chars().map(plain).collect()
}

/// Refuses an output that must not be written, or cannot be, before anything is read.
fn check_output(disk: &dyn Disk, path: &Path, force: bool) -> Result<(), Fault> {
    let refused = |what: &str| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
    match disk.node(path) {
        Ok(Some(node)) if node != Node::File => {
            Err(refused("it is no regular file").hint("give the name of a file to make"))
        }
        Ok(Some(_)) if !force => {
            Err(refused("the file exists already").hint("give another name, or --force to replace it"))
        }
        _ => check_new_file(disk, path),
    }
}

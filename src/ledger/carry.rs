//! Carrying what a state directory keeps to another one.

use crate::block::Digest;
use crate::disk::{Access, Disk, Opening};
use crate::fault::Fault;
use crate::ledger::{Contents, Damaged, Kind};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

/// Copied at once.
const PIECE: usize = 1 << 20;

/// What was carried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Carried {
    /// Files that were not there yet.
    pub copied: u64,
    /// What they hold.
    pub bytes: u64,
    /// Files that were there, whole.
    pub already: u64,
    /// Files of the target that were damaged and have been replaced by whole ones.
    pub mended: u64,
    /// Files on either side that are not what their names say, and were left alone.
    pub damaged: Vec<Damaged>,
}

/// Copies whatever the one state directory keeps and the other does not. Every file is read on both sides, so that none
/// that is damaged is carried on. `access` is of the files that are made. Doing it again changes nothing; others may do
/// the same meanwhile.
pub fn carry(disk: &Arc<dyn Disk>, from: &Path, to: &Path, access: Access) -> Result<Carried, Fault> {
    let mut carried = Carried::default();
    for kind in Kind::ALL {
        let (from, to) = (Contents::below(disk, from, kind), Contents::below(disk, to, kind));
        for (name, digest) in from.names()? {
            let (source, target) = (from.dir.join(&name), to.dir.join(&name));
            let there = state(&**disk, &target, digest)?;
            if there == Side::Whole {
                carried.already += 1;
            }
            match state(&**disk, &source, digest)? {
                // Somebody took it away meanwhile.
                Side::Absent => {}
                Side::Damaged => carried.damaged.push(damaged(&source)),
                Side::Whole if there == Side::Whole => {}
                Side::Whole => {
                    let failed = |error| Fault::local(&target, "copy", error);
                    disk.make_dirs(&to.dir, access).map_err(failed)?;
                    carried.bytes += copy(&**disk, &source, &target, there, access).map_err(failed)?;
                    match there {
                        Side::Damaged => carried.mended += 1,
                        Side::Absent | Side::Whole => carried.copied += 1,
                    }
                }
            }
        }
        for (name, digest) in to.names()? {
            let target = to.dir.join(&name);
            let is_judged = matches!(state(&**disk, &from.dir.join(&name), digest)?, Side::Whole);
            if !is_judged && state(&**disk, &target, digest)? == Side::Damaged {
                carried.damaged.push(damaged(&target));
            }
        }
    }
    Ok(carried)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Absent,
    Whole,
    Damaged,
}

fn state(disk: &dyn Disk, path: &Path, digest: Digest) -> Result<Side, Fault> {
    match disk.sha256(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Side::Absent),
        found => {
            let (_, found) = found.map_err(|error| Fault::local(path, "read", error))?;
            Ok(if found == digest { Side::Whole } else { Side::Damaged })
        }
    }
}

fn damaged(path: &Path) -> Damaged {
    Damaged { path: path.to_owned(), what: "its bytes are not those that its name says".to_owned() }
}

/// Copies a file whole, under a name of its own until it is durable; gives its length.
fn copy(disk: &dyn Disk, from: &Path, to: &Path, there: Side, access: Access) -> io::Result<u64> {
    let draft = to.with_file_name(format!(".draft-{}", crate::disk::unique()));
    let written = || {
        let made = disk.open(&draft, Opening::New(access))?;
        let source = disk.open(from, Opening::Read)?;
        let len = source.facts()?.len;
        let mut piece = vec![0; PIECE];
        for at in (0..len).step_by(PIECE) {
            let n = usize::try_from(len - at).unwrap_or(PIECE).min(PIECE);
            source.read_at(&mut piece[..n], at)?;
            made.write_at(&piece[..n], at)?;
        }
        made.sync()?;
        Ok(len)
    };
    let placed = written().and_then(|len| {
        match there {
            Side::Damaged => disk.rename(&draft, to)?,
            Side::Absent | Side::Whole => match disk.rename_new(&draft, to) {
                // Another run has carried it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => disk.remove(&draft)?,
                renamed => renamed?,
            },
        }
        disk.sync(crate::disk::directory(to))?;
        Ok(len)
    });
    if placed.is_err() {
        // Best effort: nobody takes a draft for the file.
        let _ = disk.remove(&draft);
    }
    placed
}

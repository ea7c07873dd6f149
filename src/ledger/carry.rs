//! Carrying what a state directory keeps to another one.
//!
//! Either directory may be one that others write to: no link is followed in it, nothing but regular files is opened, and
//! a file is copied only as far as its bytes are those that its name says.

use crate::block::Digest;
use crate::disk::{Access, Disk, Handle, Node, Opening};
use crate::fault::Fault;
use crate::ledger::contents::{Names, OTHER_BYTES, odd, open};
use crate::ledger::{Contents, Damaged, Kind};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

/// Bytes copied at once.
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
    /// What is not what its name says on either side, or no regular file, and was left alone.
    pub damaged: Vec<Damaged>,
}

/// Copies whatever the one state directory keeps and the other does not. Every file is read on both sides, so that none
/// that is damaged is carried on. `access` is of the files that are made. Doing it again changes nothing; others may do the same meanwhile.
///
/// # Errors
/// `Local` where something cannot be written, or a directory not be read. What cannot be read of the files is named in
/// the result, and the rest is carried.
pub fn carry(disk: &Arc<dyn Disk>, from: &Path, to: &Path, access: Access) -> Result<Carried, Fault> {
    let mut carried = Carried::default();
    for kind in Kind::ALL {
        let sides = [from, to].map(|dir| Contents::below(disk, dir, kind));
        let stands =
            sides.each_ref().map(|side| disk.entry(&side.dir).ok().flatten().map(|facts| facts.node));
        let is_fit = |node: &Option<Node>| node.is_none_or(|node| node == Node::Dir);
        for (side, node) in sides.iter().zip(stands).filter(|(_, node)| !is_fit(node)) {
            let what = match node {
                Some(Node::Other) => odd(Node::Other),
                _ => "it is no directory",
            };
            carried.damaged.push(Damaged { path: side.dir.clone(), what: what.to_owned() });
        }
        if stands.iter().all(is_fit) {
            carry_kind(disk, &sides, access, &mut carried)?;
        }
    }
    Ok(carried)
}

fn carry_kind(
    disk: &Arc<dyn Disk>,
    [from, to]: &[Contents; 2],
    access: Access,
    carried: &mut Carried,
) -> Result<(), Fault> {
    let max_bytes = from.max_bytes();
    let Names { names, odd } = from.names()?;
    carried.damaged.extend(odd);
    let mut is_whole_here = BTreeSet::new();
    for (digest, name) in names {
        let (source, target) = (from.dir.join(&name), to.dir.join(&name));
        let there = state(&**disk, &target, digest, max_bytes);
        match state(&**disk, &source, digest, max_bytes) {
            // Another run took it away meanwhile.
            Side::Absent => {}
            Side::Damaged(what) => {
                carried.already += u64::from(there == Side::Whole);
                carried.damaged.push(Damaged { path: source, what });
                continue;
            }
            Side::Whole if there == Side::Whole => carried.already += 1,
            Side::Whole => {
                // What is not a file is not ours to replace.
                if matches!(disk.entry(&target), Ok(Some(facts)) if facts.node != Node::File) {
                    continue;
                }
                let failed = |error| Fault::local(&target, "copy", error);
                disk.make_dirs(&to.dir, access).map_err(failed)?;
                match copy(&**disk, &source, &target, digest, max_bytes, there != Side::Absent, access)
                    .map_err(failed)?
                {
                    Ok(bytes) => {
                        carried.bytes += bytes;
                        match there {
                            Side::Damaged(_) => carried.mended += 1,
                            Side::Absent | Side::Whole => carried.copied += 1,
                        }
                    }
                    Err(what) => {
                        carried.damaged.push(Damaged { path: source, what });
                        continue;
                    }
                }
            }
        }
        is_whole_here.insert(name);
    }
    let Names { names, odd } = to.names()?;
    carried.damaged.extend(odd);
    for (digest, name) in names.into_iter().filter(|(_, name)| !is_whole_here.contains(name)) {
        let path = to.dir.join(&name);
        if let Side::Damaged(what) = state(&**disk, &path, digest, max_bytes) {
            carried.damaged.push(Damaged { path, what });
        }
    }
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Side {
    Absent,
    Whole,
    /// In what way, in one clause.
    Damaged(String),
}

fn state(disk: &dyn Disk, path: &Path, digest: Digest, max_bytes: u64) -> Side {
    let read = open(disk, path, max_bytes).and_then(|opened| {
        let Some((file, len)) = opened else { return Ok(Side::Absent) };
        let hashed =
            hashed(&*file, len, |_, _| Ok(())).map_err(|error| format!("it cannot be read: {error}"))?;
        Ok(if hashed == digest { Side::Whole } else { Side::Damaged(OTHER_BYTES.to_owned()) })
    });
    read.unwrap_or_else(Side::Damaged)
}

/// SHA-256 of a file, whose pieces are handed on as they are read.
fn hashed(
    file: &dyn Handle,
    len: u64,
    mut each: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; usize::try_from(len).unwrap_or(PIECE).min(PIECE)];
    for at in (0..len).step_by(PIECE) {
        let n = usize::try_from(len - at).unwrap_or(PIECE).min(PIECE);
        file.read_at(&mut piece[..n], at)?;
        hash.update(&piece[..n]);
        each(at, &piece[..n])?;
    }
    Ok(Digest::from_bytes(hash.finalize().into()))
}

/// Copies a file whole, under a name of its own until it is durable; gives its length. The inner error says why the
/// source cannot be copied: it was changed since it was looked at.
fn copy(
    disk: &dyn Disk,
    from: &Path,
    to: &Path,
    digest: Digest,
    max_bytes: u64,
    replaces: bool,
    access: Access,
) -> io::Result<Result<u64, String>> {
    let (source, len) = match open(disk, from, max_bytes) {
        Ok(Some(opened)) => opened,
        Ok(None) => return Ok(Err("it went while it was carried".to_owned())),
        Err(what) => return Ok(Err(what)),
    };
    let draft = to.with_file_name(format!(".draft-{}", crate::disk::unique()));
    let written = || {
        let made = disk.open(&draft, Opening::New(access))?;
        let found = hashed(&*source, len, |at, piece| made.write_at(piece, at))?;
        made.sync()?;
        Ok(found == digest)
    };
    let placed = written().and_then(|is_whole| {
        if !is_whole {
            disk.remove(&draft)?;
            return Ok(Err(OTHER_BYTES.to_owned()));
        }
        if replaces {
            disk.rename(&draft, to)?;
        } else {
            match disk.rename_new(&draft, to) {
                // Another run has carried it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => disk.remove(&draft)?,
                renamed => renamed?,
            }
        }
        disk.sync(crate::disk::directory(to))?;
        Ok(Ok(len))
    });
    if placed.is_err() {
        // Best effort: no run takes a draft for the file.
        let _ = disk.remove(&draft);
    }
    placed
}

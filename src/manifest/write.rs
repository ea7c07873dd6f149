//! Writing a manifest.

use crate::block::{BlockIndex, BlockSet, Digest};
use crate::disk::{Access, Disk, Handle, Hashing, Node, directory};
use crate::fault::{Fault, Kind, Place};
use crate::manifest::header::{self, Header};
use crate::manifest::{About, Merkle, Roots};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes a manifest of these blocks, ascending through their digests, and gives it its name when it is whole and
/// durable. What stands there is replaced.
///
/// # Errors
/// `Unsuitable` where another run is writing it, or it cannot be a file; `Local` where it cannot be written.
pub fn write(
    disk: &dyn Disk,
    path: &Path,
    about: &About,
    present: &BlockSet,
    mut digest: impl FnMut(BlockIndex) -> Result<Digest, Fault>,
) -> Result<Roots, Fault> {
    let Some(name) = path.file_name() else {
        return Err(Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), "not the name of a file"));
    };
    let mut part = name.to_owned();
    part.push(".icecore-part");
    let part = path.with_file_name(part);
    let part = disk.own_name(&part).map_err(|error| Fault::local(&part, "look for", error))?;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            let what = "the directory it should be in does not exist";
            Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what).hint("make the directory first")
        }
        _ => Fault::local(path, "write the manifest", error),
    };
    let file = claimed(disk, &part).map_err(failed)?.ok_or_else(|| Fault::taken(path))?;
    let written = body(file.as_ref(), about, present, &mut digest, &failed).and_then(|(roots, body)| {
        let header = Header::new(about.clone(), present.len(), roots, body);
        file.write_at(&header.encode(), 0).map_err(failed)?;
        // One that is replaced keeps its owner, group and mode; a new one is its owner's alone.
        if disk.entry(path).map_err(failed)?.is_some_and(|old| old.node == Node::File) {
            file.succeed(path, true).map_err(failed)?;
        }
        file.sync().map_err(failed)?;
        disk.rename(&part, path).and_then(|()| disk.sync(directory(path))).map_err(failed)?;
        Ok(roots)
    });
    if written.is_err() {
        // What is left of it serves nobody.
        let _ = disk.remove(&part);
    }
    written
}

/// An empty file for this run alone; `None` where another run is writing it. Only its owner reads a manifest: equal
/// digests tell equal blocks.
fn claimed(disk: &dyn Disk, part: &Path) -> io::Result<Option<Box<dyn Handle>>> {
    let Some(file) = disk.claim(part, Access::Owner)? else { return Ok(None) };
    if file.facts()?.is_private() {
        return file.set_len(0).map(|()| Some(file));
    }
    // Whatever made that, it has the mode that it was made with.
    disk.remove(part)?;
    disk.claim(part, Access::Owner)
}

/// Writes the map and the digests; gives the roots, and SHA-256 of it all.
fn body(
    file: &dyn Handle,
    about: &About,
    present: &BlockSet,
    digest: &mut impl FnMut(BlockIndex) -> Result<Digest, Fault>,
    failed: &impl Fn(io::Error) -> Fault,
) -> Result<(Roots, Digest), Fault> {
    let mut out = BufWriter::with_capacity(1 << 20, Hashing::onward(file, header::LEN as u64));
    put_map(&mut out, about, present).map_err(failed)?;
    let mut merkle = Merkle::new();
    for index in present.iter() {
        let digest = digest(index)?;
        merkle.push(index, &digest);
        out.write_all(digest.as_bytes()).map_err(failed)?;
    }
    let (_, hash) = out.into_inner().map_err(|error| failed(error.into_error()))?.finish();
    Ok((merkle.finish(), hash))
}

/// One bit a block, 256 bytes at a time.
fn put_map(out: &mut impl Write, about: &About, present: &BlockSet) -> io::Result<()> {
    const BLOCKS: u32 = 2048;
    for first in (0..about.geometry.n_blocks()).step_by(BLOCKS as usize) {
        let mut bits = [0_u8; BLOCKS as usize / 8];
        let mut from = BlockIndex::new(first);
        while let Some(index) = present.next_from(from).filter(|index| index.get() < first + BLOCKS) {
            let at = index.get() - first;
            bits[at as usize / 8] |= 1 << (at % 8);
            let Some(next) = index.next() else { break };
            from = next;
        }
        out.write_all(&bits)?;
    }
    Ok(())
}

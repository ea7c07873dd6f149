//! Making a store, and recognising one.

use crate::disk::Access;
use crate::fault::{Fault, Kind, Place};
use crate::store::FORMAT;
use crate::store::files::Files;
use std::io;
use std::path::Path;

const MAKE_ONE: &str = "icecore serve --local DIR makes a store of an empty or missing directory";

/// Everything that stands in a directory when its making was interrupted.
const PARTS: [&str; 4] = ["lock", "secret", "snapshots", "tmp"];

/// The fault of a directory that cannot be opened.
pub(crate) fn unopened(dir: &Path, error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Fault::new(Kind::NotFound, Place::File(dir.to_owned()), "there is no such directory")
                .hint(MAKE_ONE)
        }
        io::ErrorKind::NotADirectory => {
            Fault::new(Kind::Unsuitable, Place::File(dir.to_owned()), "it is no directory").hint(MAKE_ONE)
        }
        _ => Fault::local(dir, "open", error),
    }
}

/// Looks whether the directory is a store of a format that this build reads, and gives its secret.
pub(crate) fn opened(files: &Files) -> Result<[u8; 32], Fault> {
    let Some(format) = files.read(&files.format())? else {
        return Err(unsuitable(files, "it is no icecore store").hint(MAKE_ONE));
    };
    let format = String::from_utf8_lossy(&format);
    let number = format.strip_prefix("icecore store, format ").map(str::trim_end);
    match number.and_then(|number| number.parse::<u32>().ok()) {
        Some(FORMAT) => {}
        Some(other) => {
            let what = format!("the store has format {other}; this build reads format {FORMAT}");
            return Err(unsuitable(files, &what).hint("use an icecore that reads it"));
        }
        None => return Err(damaged(files, "format")),
    }
    let secret = files.read(&files.secret())?;
    secret.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| damaged(files, "secret"))
}

/// Whether the directory is a store already. Fails where it neither is one nor can become one.
pub(crate) fn is_store(files: &Files) -> Result<bool, Fault> {
    if files.is_there(&files.format())? {
        return opened(files).map(|_| true);
    }
    match files.names(files.root())?.into_iter().find(|name| !PARTS.contains(&name.as_str())) {
        None => Ok(false),
        Some(name) => {
            let what = format!("it is neither empty nor an icecore store: it holds '{name}'");
            Err(unsuitable(files, &what).hint("choose another directory"))
        }
    }
}

/// Makes a store of an empty directory, or finishes what another began. The caller holds the lock.
pub(crate) fn created(files: &Files) -> Result<(), Fault> {
    if is_store(files)? {
        return Ok(());
    }
    for dir in [files.tmp(), files.records()] {
        files.make_dir(&dir)?;
    }
    let mut secret = [0; 32];
    random(files, &mut secret)?;
    files.replace(&files.secret(), &secret, Access::Group)?;
    // Last: with this file it is a store.
    files.replace(&files.format(), format!("icecore store, format {FORMAT}\n").as_bytes(), Access::Group)
}

/// Fills a buffer with random bytes.
pub(crate) fn random(files: &Files, buffer: &mut [u8]) -> Result<(), Fault> {
    getrandom::fill(buffer).map_err(|error| {
        Fault::new(Kind::Local, Place::File(files.root().to_owned()), "the system gave no random numbers")
            .because(error)
    })
}

fn unsuitable(files: &Files, what: &str) -> Fault {
    Fault::new(Kind::Unsuitable, Place::File(files.root().to_owned()), what)
}

/// The fault of one of the store's own files.
pub(crate) fn damaged(files: &Files, name: &str) -> Fault {
    let what = format!("the file '{name}' of the store is missing or damaged");
    Fault::new(Kind::Corrupt, Place::File(files.root().join(name)), what)
        .hint("put it back from a copy of the store")
}

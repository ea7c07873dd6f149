//! Files that a user names for a result: a report, a list, a key.
//!
//! [`OutputFile::open`] looks at what stands under the name before the work, so that a name that cannot take a result
//! is refused while nothing is lost; [`OutputFile::write`] puts the result there:
//!
//! | under the name | what happens |
//! |---|---|
//! | nothing, a regular file | a new file takes the name at once; it keeps owner, group and mode of the old one, without set-id bits |
//! | a pipe, a terminal, another character device | it is written into |
//! | a symbolic link | the same at its target, the link stays |
//! | a link into `/proc/PID/fd` (`/dev/stdout`, `/dev/fd/3`, `>(command)`) | that descriptor is written into, at its place |
//! | a directory, a socket, a block device | refused |
//!
//! In a directory that every user may write to (`/tmp`), links, files and pipes of other users are refused, as Linux
//! refuses them where `fs.protected_symlinks`, `_regular` and `_fifos` are set. No file is made on the file system that
//! is mounted at `/dev`: a name there without a device is a device that is missing, and memory is what it would fill.

mod descriptor;
mod location;
mod stream;
#[cfg(test)]
mod tests;

use crate::disk::{preserve, unique};
use crate::fault::{Fault, Kind, Place};
use location::{Found, Location, resolve};
use rustix::fs::{FileType, Mode, OFlags};
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use stream::{Patient, open_stream};

/// A place for one result, looked at before the work.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    target: Target,
}

#[derive(Debug)]
enum Target {
    /// A name that a new regular file takes, and the one that it had before: file system and number.
    Name { at: Location, old: Option<(u64, u64)> },
    /// A pipe or a character device, opened when there is something to write.
    Stream { at: Location, kind: FileType, id: (u64, u64) },
    /// An open descriptor of this process or another one.
    Descriptor(File),
}

/// Writes a result to where it goes.
pub type Writing<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

impl OutputFile {
    /// Looks at what stands under the name, and tries whether a result can be put there. Nothing is changed.
    ///
    /// # Errors
    /// `Unsuitable` where the name is one that must not or cannot be written to; `Local` where the directory does not
    /// let this process write.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let refused = |what: &str, hint: &str| {
            Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what.to_owned()).hint(hint.to_owned())
        };
        let failed = |error: io::Error| Fault::local(path, "make the file", error);
        let target = match resolve(path)? {
            Found::Descriptor(link) => Target::Descriptor(descriptor::take(path, &link)?),
            Found::Missing(at) => Target::Name { at, old: None },
            Found::There(at, stat) => {
                let (kind, id) = (FileType::from_raw_mode(stat.st_mode), (stat.st_dev, stat.st_ino));
                match kind {
                    FileType::RegularFile => Target::Name { at, old: Some(id) },
                    FileType::Fifo | FileType::CharacterDevice => Target::Stream { at, kind, id },
                    FileType::BlockDevice => {
                        return Err(refused("is a block device, and its data would be lost", "give a file"));
                    }
                    FileType::Socket => return Err(refused("is a socket", "give a file or a pipe")),
                    _ => return Err(refused("is a directory", "give a file")),
                }
            }
        };
        match &target {
            Target::Name { at, .. } => {
                if at.is_on_dev() {
                    let hint = "a device that is meant is not there; give a file elsewhere";
                    return Err(refused("no file is made among the devices below /dev", hint));
                }
                // A file beside it is made and goes again: where that fails, so would the result.
                Beside::make(at).map_err(failed)?;
            }
            Target::Stream { at, .. } => at.check_writable().map_err(failed)?,
            Target::Descriptor(_) => {}
        }
        Ok(Self { path: path.to_owned(), target })
    }

    /// Returns the name as the user gave it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the result becomes a regular file of its own, which stays until the next run.
    pub fn is_kept(&self) -> bool {
        matches!(self.target, Target::Name { .. })
    }

    /// Returns whether a regular file stood there, which the result replaces.
    pub fn replaces(&self) -> bool {
        matches!(self.target, Target::Name { old: Some(_), .. })
    }

    /// Returns whether another name leads to the same file, or to the same place where no file is yet.
    pub fn is(&self, other: &Path) -> bool {
        let Target::Name { at, old } = &self.target else { return false };
        match resolve(other) {
            Ok(Found::There(place, stat)) => *old == Some((stat.st_dev, stat.st_ino)) || place.is(at),
            Ok(Found::Missing(place)) => place.is(at),
            Ok(Found::Descriptor(_)) | Err(_) => false,
        }
    }

    /// Returns the directory of the file, links followed; `None` where the result becomes no file of its own.
    pub fn directory(&self) -> Option<&Path> {
        match &self.target {
            Target::Name { at, .. } => Some(at.dir()),
            Target::Stream { .. } | Target::Descriptor(_) => None,
        }
    }

    /// Returns the path of the file, links followed; `None` where the result becomes no file of its own.
    pub fn target(&self) -> Option<PathBuf> {
        match &self.target {
            Target::Name { at, .. } => Some(at.path()),
            Target::Stream { .. } | Target::Descriptor(_) => None,
        }
    }

    /// Reads the regular file that stood there when this was opened; `None` where there was none, it is another one by
    /// now, or it is longer than `limit`.
    pub fn read_old(&self, limit: usize) -> Option<Vec<u8>> {
        let Target::Name { at, old: Some(old) } = &self.target else { return None };
        let file = File::from(at.open_it(OFlags::RDONLY | OFlags::NONBLOCK).ok()?);
        let stat = rustix::fs::fstat(&file).ok()?;
        if (stat.st_dev, stat.st_ino) != *old {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() <= limit).then_some(bytes)
    }

    /// Removes the regular file that stood there when this was opened, unless another one does by now.
    pub fn remove_old(&self) -> Result<(), Fault> {
        let Target::Name { at, old: Some(old) } = &self.target else { return Ok(()) };
        let removed = at.id_now().and_then(|id| if id == *old { at.remove_it() } else { Ok(()) });
        removed.map_err(|error| Fault::local(&self.path, "remove", error))
    }

    /// Puts a result there. A regular file is whole and durable under its name afterwards, or what stood there before
    /// still is; called again, it is replaced again. A reader of a pipe that went away has read what it wanted.
    ///
    /// # Errors
    /// `Local` where it cannot be written.
    pub fn write(&self, content: Writing<'_>) -> Result<(), Fault> {
        let written = match &self.target {
            Target::Name { at, .. } => replace(at, content),
            Target::Stream { at, kind, id } => {
                open_stream(at, *kind, *id).and_then(|file| stream(file, content))
            }
            Target::Descriptor(file) => file.try_clone().and_then(|file| stream(file, content)),
        };
        written.map_err(|error| Fault::local(&self.path, "write", error))
    }
}

fn stream(file: File, content: Writing<'_>) -> io::Result<()> {
    let mut out = BufWriter::new(Patient::new(file));
    let written = content(&mut out).and_then(|()| out.flush());
    // What is left in the buffer has no reader; dropping it would try to write it.
    let _ = out.into_parts();
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn replace(at: &Location, content: Writing<'_>) -> io::Result<()> {
    let beside = Beside::make(at)?;
    let mut out = BufWriter::new(&beside.file);
    content(&mut out)?;
    out.flush()?;
    drop(out);
    beside.file.sync_all()?;
    beside.take_name()
}

/// A new file beside the one that it replaces. Dropping it removes it.
#[derive(Debug)]
struct Beside<'a> {
    at: &'a Location,
    name: String,
    file: File,
}

impl<'a> Beside<'a> {
    /// Makes it, with the owner, group and mode that it is to have.
    fn make(at: &'a Location) -> io::Result<Self> {
        let replaced = at.regular()?;
        let name = format!(".icecore-output-{}", unique());
        let mode = if replaced.is_some() { 0o600 } else { 0o666 };
        let file = File::from(at.make(&name, Mode::from_raw_mode(mode))?);
        let beside = Self { at, name, file };
        if let Some(replaced) = replaced {
            preserve(&replaced, &beside.file)?;
        }
        Ok(beside)
    }

    fn take_name(self) -> io::Result<()> {
        self.at.rename_from(&self.name)?;
        self.at.sync()
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        // Once it has its name there is nothing of this one any more.
        let _ = self.at.remove(&self.name);
    }
}

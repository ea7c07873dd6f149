//! What is known of a target: the note that `export` leaves with it.
//!
//! A note is a small file. That of an image file lies beside it, under its name and `.icecore`, so that it is copied
//! and moved with it. That of a block device lies in the state directory, `devices/NAME`: NAME is made from what
//! tells the device apart for good (a serial number, a volume manager's name, the file behind a loop device), or
//! where it has none, from its path.
//!
//! ```text
//! icecore target, format 1
//! {"place":"local:/srv/ice","holds":"snap-0b","stamp":"1073741824 bytes, modified 1763653442.512345678; file 2049:12, .."}
//! crc32 9f3a61c2
//! ```
//!
//! | line | what |
//! |---|---|
//! | 1 | the format |
//! | 2 | JSON: `place`, the account as checkpoints name it, and either what the target **holds** (`holds`: the snapshot; `stamp`: the target as it was when that was true) or that it is **between** two snapshots (`from`, `to`) |
//! | 3 | CRC-32 of the lines above, eight hexadecimal digits |
//!
//! The stamp has two parts, separated by `; `. The first is what a copy made with its times keeps: of a file its size
//! and mtime, of a device its size and lasting name, or where it has none, this run of the machine. The second proves
//! that the target itself has not changed: of a file also device, inode and ctime, of a device boot id, `diskseq` and
//! write counters. Where only the first part is the same, the target may be a copy, or its times were put back: it is
//! compared in full before it counts as the snapshot. Notes of earlier versions have the first part alone.
//!
//! A note is replaced at once and durably. "Between" is written before the first byte of a change in place and goes
//! with the last: until then [`Sidecar::refuse_unfinished`] keeps everybody from the target but those who finish it.

use crate::block::Digest;
use crate::disk::{Access, Foreign, Machine, Node, Opening, directory};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::SnapshotId;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FORMAT: &str = "icecore target, format 1";
/// Notes are far shorter; what is longer is none.
const LONGEST: usize = 1 << 16;

/// What a note says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// The target held this snapshot when it had this stamp.
    Snapshot {
        /// The snapshot.
        id: SnapshotId,
        /// The target then.
        stamp: String,
    },
    /// It is on its way from one snapshot to another.
    Between {
        /// What it held before.
        from: SnapshotId,
        /// What it will hold.
        to: SnapshotId,
    },
}

/// A note about a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// The account that the snapshots are of, as checkpoints name it.
    pub place: String,
    /// What it says.
    pub holding: Holding,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

impl Sidecar {
    /// What is known of a target; `None` where nothing is.
    ///
    /// # Errors
    /// `Unsuitable` where the note is damaged: what it said is unknown.
    pub fn of(target: &Path, machine: &Machine) -> Result<Option<Self>, Fault> {
        let path = path(target, machine)?;
        let bytes = match machine.disk.read_found(&path, LONGEST) {
            Ok(bytes) => bytes,
            Err(error) if Foreign::of(&error).is_some() => {
                tracing::warn!("{}: {error}; nothing is known of {}", path.display(), target.display());
                return Ok(None);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::local(&path, "read what is known of the target", error)),
        };
        let note = decode(&bytes);
        // A note in the state directory that others may have written proves nothing. That a target is half-way from one
        // snapshot to another is heeded: it only forbids.
        if is_device(target, machine)
            && matches!(&note, Some(Self { holding: Holding::Snapshot { .. }, .. }))
            && !machine.disk.trusts(directory(&path))
        {
            return Ok(None);
        }
        note.map(Some).ok_or_else(|| {
            let what = "the note about what this target holds is damaged";
            Fault::new(Kind::Unsuitable, Place::File(path), what)
                .hint("remove it if you know that the target is whole, or export anew with --force")
        })
    }

    /// Returns the digest of the note about a target, whatever it says; `None` where there is none.
    pub(super) fn digest(target: &Path, machine: &Machine) -> Result<Option<Digest>, Fault> {
        let path = path(target, machine)?;
        match machine.disk.read_found(&path, LONGEST) {
            Ok(bytes) => Ok(Some(Digest::of(&bytes))),
            // What is left alone says nothing.
            Err(error) if Foreign::of(&error).is_some() => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::local(&path, "read what is known of the target", error)),
        }
    }

    /// Replaces what is known of a target, durably.
    pub fn write(&self, target: &Path, machine: &Machine) -> Result<(), Fault> {
        let path = path(target, machine)?;
        let disk = &machine.disk;
        if let Err(error) = disk.open(&path, Opening::FoundToRead)
            && Foreign::of(&error).is_some()
        {
            return Err(Fault::new(Kind::Unsuitable, Place::File(path), error.to_string()));
        }
        let written =
            disk.make_dirs(directory(&path), Access::Owner).and_then(|()| match is_device(target, machine) {
                true => disk.replace(&path, &self.encode(), Access::Owner),
                // Who may read an image has to know what it is.
                false => disk.replace_like(&path, &self.encode(), &path.with_extension("")),
            });
        written.map_err(|error| Fault::local(&path, "write what is known of the target", error))
    }

    /// Nothing is known of this target any more.
    pub fn forget(target: &Path, machine: &Machine) -> Result<(), Fault> {
        let path = path(target, machine)?;
        let gone = machine.disk.remove_durably(&path);
        gone.map_err(|error| Fault::local(&path, "remove what was known of the target", error))
    }

    /// Refuses a target that is half-way from one snapshot to another, and names the command that finishes it.
    /// Everybody who reads a target or writes to it comes by here.
    ///
    /// # Errors
    /// `Unsuitable` when it is half-way, or nobody can tell.
    pub fn refuse_unfinished(target: &Path, machine: &Machine) -> Result<(), Fault> {
        let Some(Self { place, holding: Holding::Between { from, to } }) = Self::of(target, machine)? else {
            return Ok(());
        };
        let shown = target.display();
        let what = format!("it is half-way from {from} to {to} of {place}");
        Err(Fault::new(Kind::Unsuitable, Place::File(target.to_owned()), what)
            .hint(format!("finish that first: icecore export {to} {shown} --since {from}")))
    }

    fn encode(&self) -> Vec<u8> {
        let none = Text { place: self.place.clone(), holds: None, stamp: None, from: None, to: None };
        let text = match &self.holding {
            Holding::Snapshot { id, stamp } => {
                Text { holds: Some(id.to_string()), stamp: Some(stamp.clone()), ..none }
            }
            Holding::Between { from, to } => {
                Text { from: Some(from.to_string()), to: Some(to.to_string()), ..none }
            }
        };
        let json = serde_json::to_string(&text).unwrap_or_else(|_| unreachable!("text keys only"));
        let body = format!("{FORMAT}\n{json}\n");
        let sum = crc32fast::hash(body.as_bytes());
        format!("{body}crc32 {sum:08x}\n").into_bytes()
    }
}

fn decode(bytes: &[u8]) -> Option<Sidecar> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub("crc32 00000000\n".len())?)?;
    if format!("crc32 {:08x}\n", crc32fast::hash(body)).as_bytes() != sum {
        return None;
    }
    let json = std::str::from_utf8(body).ok()?.strip_prefix(FORMAT)?;
    let text: Text = serde_json::from_str(json).ok()?;
    let holding = match (text.holds, text.stamp, text.from, text.to) {
        (Some(id), Some(stamp), None, None) => Holding::Snapshot { id: id.parse().ok()?, stamp },
        (None, None, Some(from), Some(to)) => {
            Holding::Between { from: from.parse().ok()?, to: to.parse().ok()? }
        }
        _ => return None,
    };
    Some(Sidecar { place: text.place, holding })
}

fn is_device(target: &Path, machine: &Machine) -> bool {
    matches!(machine.disk.node(target), Ok(Some(Node::Device)))
}

/// Where the note about a target is.
fn path(target: &Path, machine: &Machine) -> Result<PathBuf, Fault> {
    if is_device(target, machine) {
        // The same device under another name has the same note.
        let target = std::fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let number = number(&target, machine)?;
        let name = machine.disk.block_facts(number).and_then(|facts| facts.name);
        let name = name.unwrap_or_else(|| target.to_string_lossy().into_owned());
        let digest = Digest::of(name.as_bytes()).to_string();
        return Ok(machine.state_dir.join("devices").join(&digest[..20]));
    }
    // Of a link the note is with what it leads to.
    let target = std::fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".icecore");
    Ok(target.with_file_name(name))
}

fn number(device: &Path, machine: &Machine) -> Result<u64, Fault> {
    let facts = machine.disk.open(device, Opening::Read).and_then(|device| device.facts());
    facts.map(|facts| facts.device).map_err(|error| Fault::local(device, "open", error))
}

/// Reads a note as it lies on disk, for fuzzers. What is read is written the same again.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_sidecar(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    sealed.extend(format!("crc32 {:08x}\n", crc32fast::hash(bytes)).into_bytes());
    for bytes in [bytes, &sealed] {
        if let Some(note) = decode(bytes) {
            assert_eq!(decode(&note.encode()), Some(note));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::MemoryDisk;
    use std::sync::Arc;

    fn machine() -> Machine {
        let disk = Arc::new(MemoryDisk::with_dir(Path::new("/d")));
        Machine { disk, ..Machine::real("/d/state".into()) }
    }

    fn between() -> Sidecar {
        let (from, to) = ("snap-0a".parse().unwrap(), "snap-0b".parse().unwrap());
        Sidecar { place: "lab".into(), holding: Holding::Between { from, to } }
    }

    #[test]
    fn a_note_is_what_the_format_says_and_is_read_back() {
        let holding = Holding::Snapshot { id: "snap-0b".parse().unwrap(), stamp: "9 bytes".into() };
        let note = Sidecar { place: "local:/srv/\"ice\"".into(), holding };
        let text = String::from_utf8(note.encode()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "icecore target, format 1");
        assert_eq!(lines[1], r#"{"place":"local:/srv/\"ice\"","holds":"snap-0b","stamp":"9 bytes"}"#);
        assert_eq!((lines.len(), &lines[2][..6]), (3, "crc32 "));
        let machine = machine();
        for note in [note, between()] {
            note.write(Path::new("/d/a.img"), &machine).unwrap();
            assert_eq!(Sidecar::of(Path::new("/d/a.img"), &machine).unwrap(), Some(note));
        }
        Sidecar::forget(Path::new("/d/a.img"), &machine).unwrap();
        assert_eq!(Sidecar::of(Path::new("/d/a.img"), &machine).unwrap(), None);
    }

    #[test]
    fn a_note_bent_or_torn_anywhere_says_nothing_and_is_not_nothing() {
        let machine = machine();
        let target = Path::new("/d/a.img");
        let whole = between().encode();
        let bent = (0..whole.len()).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        });
        let torn = (0..whole.len()).map(|len| whole[..len].to_vec());
        for bytes in bent.chain(torn) {
            machine.disk.write(Path::new("/d/a.img.icecore"), &bytes, crate::disk::Access::Usual).unwrap();
            assert_eq!(Sidecar::of(target, &machine).unwrap_err().kind, Kind::Unsuitable);
            assert!(Sidecar::refuse_unfinished(target, &machine).is_err(), "unknown is not finished");
        }
    }

    #[test]
    fn an_unfinished_target_is_refused_with_the_command_that_finishes_it() {
        let machine = machine();
        let target = Path::new("/d/a.img");
        assert!(Sidecar::refuse_unfinished(target, &machine).is_ok());
        between().write(target, &machine).unwrap();
        let fault = Sidecar::refuse_unfinished(target, &machine).unwrap_err();
        assert_eq!(fault.to_string(), "/d/a.img: it is half-way from snap-0a to snap-0b of lab");
        let advice = "finish that first: icecore export snap-0b /d/a.img --since snap-0a";
        assert_eq!(fault.advice(), Some(advice));
    }
}

//! The state of a file or device at one moment, so that it can be told later whether it is the same.
//!
//! | of | it changes when |
//! |---|---|
//! | a file | another file has its name (device and inode), its size, its mtime or its ctime changes, its note changes |
//! | a device | the machine was started again, another disk or another file behind a loop device stands there (`diskseq`), its size changes, the whole disk has completed writes or discards, the file behind a loop device changes |
//!
//! What the page cache holds of a device is written out before its counters are looked at, so that a write through the
//! cache counts. A file that was written to within the last tick of the kernel's clock is waited for: a later write in
//! the same tick would leave the same time.
//!
//! A memory mapping of a file whose pages were modified before the stamp was taken is out of sight: the kernel sets the
//! file's times when such a page first becomes dirty, not with every store.

use crate::block::Digest;
use crate::disk::{BlockFacts, Disk, Facts, Handle, Node, Opening};
use std::fmt::Write as _;
use std::io;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest tick of the kernel's clock, twice: 100 Hz.
const TICK: Duration = Duration::from_millis(20);
/// Looks at a file that is being written to all the time.
const MAX_LOOKS: u32 = 8;
/// Bytes read of a device before its counters are looked at: a disk whose reads are not counted counts no writes.
const FIRST_BYTES: u64 = 4096;

/// The state of a file or device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    node: Node,
    len: u64,
    /// Of a file.
    file: FileStamp,
    /// Of a device: its number, and this run of the machine.
    device: u64,
    boot: Option<String>,
    block: Option<BlockFacts>,
    /// The file behind a loop device; `None` where it cannot be looked at.
    backing: Option<FileStamp>,
    /// The digest of the note beside it.
    note: Option<Digest>,
}

/// What tells one state of a regular file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileStamp {
    id: (u64, u64),
    len: u64,
    modified: Duration,
    changed: Duration,
}

impl FileStamp {
    fn of(facts: &Facts) -> Self {
        Self { id: facts.id, len: facts.len, modified: facts.modified, changed: facts.changed }
    }

    fn text(&self) -> String {
        let time = |time: Duration| format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
        format!(
            "file {}:{}, {} bytes, modified {}, changed {}",
            self.id.0,
            self.id.1,
            self.len,
            time(self.modified),
            time(self.changed)
        )
    }
}

/// How the state of a target compares with an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Nothing has changed, as the whole stamp shows.
    Unchanged,
    /// What a copy with its times keeps is the same, and the rest is not: a copy, a file whose times were put back, a
    /// device that may have been written to.
    Unproven,
    /// It was written to.
    Written,
}

impl Stamp {
    /// Takes the stamp of an open file or device.
    pub(super) fn take(file: &dyn Handle, disk: &dyn Disk, note: Option<Digest>) -> io::Result<Self> {
        let facts = settled(file)?;
        let mut stamp = Self {
            node: facts.node,
            len: facts.len,
            file: FileStamp::of(&facts),
            device: facts.device,
            boot: None,
            block: None,
            backing: None,
            note,
        };
        if facts.node == Node::Device {
            // Both are best effort: where they fail, the device is read to find out.
            let _ = file.touch(0, usize::try_from(facts.len.min(FIRST_BYTES)).unwrap_or(0));
            let is_flushed = file.sync().is_ok();
            stamp.boot = disk.boot();
            stamp.block = disk.block_facts(facts.device);
            if let Some(block) = &mut stamp.block {
                block.writes = block.writes.filter(|_| is_flushed);
                stamp.backing = block.backing.as_ref().and_then(|backing| {
                    let file = disk.open(&backing.file, Opening::Read).ok()?;
                    Some(FileStamp::of(&settled(file.as_ref()).ok()?))
                });
            }
        }
        Ok(stamp)
    }

    /// Returns the state at another moment, in words, where it is not this one: `its size changed`.
    pub(super) fn change(&self, now: &Self) -> Option<&'static str> {
        if now.node != self.node || !self.is_same_thing(now) {
            return Some(match self.node {
                Node::Device => "another device, or another file behind it, took its place",
                _ => "another file took its place",
            });
        }
        if now.len != self.len {
            return Some("its size changed");
        }
        if now.note != self.note {
            return Some("the note about it changed");
        }
        let is_written = match self.node {
            Node::Device => {
                let writes = |stamp: &Self| stamp.block.as_ref().and_then(|block| block.writes);
                writes(self) != writes(now) || self.backing != now.backing
            }
            _ => self.file != now.file,
        };
        is_written.then_some("it was written to, or its attributes changed,")
    }

    /// Returns whether both are of the same file or the same device, whatever it holds.
    pub(super) fn is_same_thing(&self, now: &Self) -> bool {
        match self.node {
            Node::Device => {
                let identity = |stamp: &Self| {
                    let block = stamp.block.as_ref();
                    let known =
                        block.map(|block| (block.name.clone(), block.sequence, block.backing.clone()));
                    let backing = stamp.backing.as_ref().map(|file| file.id);
                    (stamp.device, stamp.boot.clone(), known, backing)
                };
                identity(self) == identity(now)
            }
            _ => self.file.id == now.file.id,
        }
    }

    /// Returns the stamp as text, for a later run: where that finds the same text, nothing has changed. `None` where
    /// equal texts would prove nothing: a device whose writes are not all seen here, or not counted.
    pub(super) fn proof(&self) -> Option<String> {
        let mut text = match self.node {
            Node::Device => {
                let block = self.block.as_ref().filter(|block| !block.is_stacked)?;
                let writes = block.writes?;
                let mut text = self.device_identity()?;
                let _ = write!(
                    text,
                    ", {} bytes, {} sectors written, {} discarded",
                    self.len, writes.sectors, writes.discarded
                );
                if let Some(backing) = &block.backing {
                    let _ = write!(text, ", behind it {} of {}", backing.part, self.backing.as_ref()?.text());
                }
                text
            }
            _ => self.file.text(),
        };
        if let Some(note) = &self.note {
            let _ = write!(text, ", note {note}");
        }
        Some(text)
    }

    /// Returns what tells this file or device from others, whatever it holds; `None` where nothing does.
    pub(super) fn identity(&self) -> Option<String> {
        match self.node {
            Node::Device => {
                let mut text = self.device_identity()?;
                if let Some(backing) = self.block.as_ref()?.backing.as_ref() {
                    let file = self.backing.as_ref()?.id;
                    let _ = write!(text, ", behind it {} of file {}:{}", backing.part, file.0, file.1);
                }
                Some(text)
            }
            _ => Some(format!("file {}:{}", self.file.id.0, self.file.id.1)),
        }
    }

    /// Returns what tells a device from others for good, also after the machine was started again: its name, and the file
    /// behind a loop device. `None` where it has no name of its own.
    pub(super) fn lasting_name(&self) -> Option<String> {
        let block = self.block.as_ref()?;
        let name = block.name.clone()?;
        match &block.backing {
            None => Some(name),
            Some(backing) => {
                let file = self.backing.as_ref()?.id;
                Some(format!("{name}, behind it {} of file {}:{}", backing.part, file.0, file.1))
            }
        }
    }

    fn device_identity(&self) -> Option<String> {
        let (block, boot) = (self.block.as_ref()?, self.boot.as_ref()?);
        let name = block.name.as_deref().unwrap_or("without a serial number");
        Some(format!("device {} {name}, disk {} since {boot}", self.device, block.sequence?))
    }

    /// Returns the stamp of a target for its note: what a copy keeps, then what proves that it is the target itself.
    pub(super) fn for_note(&self) -> String {
        match self.proof() {
            Some(proof) => format!("{}; {proof}", self.kept_by_a_copy()),
            None => self.kept_by_a_copy(),
        }
    }

    /// Compares the state with the text that a note has of an earlier one. Notes of earlier versions have only what a
    /// copy keeps.
    pub(super) fn since(&self, noted: &str) -> Since {
        let Some(rest) = noted.strip_prefix(&self.kept_by_a_copy()) else { return Since::Written };
        match rest.strip_prefix("; ") {
            Some(proof) if self.proof().as_deref() == Some(proof) => Since::Unchanged,
            Some(_) => Since::Unproven,
            None if rest.is_empty() => Since::Unproven,
            None => Since::Written,
        }
    }

    /// Size and time of last modification of a file; size and lasting name of a device, or until when its path is its
    /// name.
    fn kept_by_a_copy(&self) -> String {
        if self.node == Node::Device {
            let name = self.block.as_ref().and_then(|block| block.name.clone());
            let name =
                name.unwrap_or_else(|| format!("until {}", self.boot.as_deref().unwrap_or("nobody knows")));
            return format!("{} bytes, {name}", self.len);
        }
        let modified = self.file.modified;
        format!("{} bytes, modified {}.{:09}", self.len, modified.as_secs(), modified.subsec_nanos())
    }
}

/// Returns the facts of a file once a later write is sure to change its ctime.
#[expect(
    clippy::disallowed_methods,
    reason = "times of files are the kernel's, whatever clock a test has set"
)]
fn settled(file: &dyn Handle) -> io::Result<Facts> {
    let mut facts = file.facts()?;
    for _ in 0..MAX_LOOKS {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Some(wait) = unsettled(&facts, now) else { break };
        thread::sleep(wait);
        facts = file.facts()?;
    }
    Ok(facts)
}

/// Returns how long a write would still leave the time that the file has.
fn unsettled(facts: &Facts, now: Duration) -> Option<Duration> {
    // A file system with times in whole seconds shows by whole seconds.
    let tick = if facts.changed.subsec_nanos() == 0 { Duration::from_secs(1) + TICK } else { TICK };
    let since = now.checked_sub(facts.changed)?;
    tick.checked_sub(since).filter(|wait| facts.node == Node::File && !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Writes;

    fn device() -> Stamp {
        let block = BlockFacts {
            name: Some("device/serial vol0abc".into()),
            sequence: Some(17),
            writes: Some(Writes { sectors: 56, discarded: 0 }),
            ..BlockFacts::default()
        };
        let file =
            FileStamp { id: (5, 6), len: 0, modified: Duration::ZERO, changed: Duration::from_secs(9) };
        Stamp {
            node: Node::Device,
            len: 1 << 30,
            file,
            device: 1792,
            boot: Some("b".into()),
            block: Some(block),
            backing: None,
            note: None,
        }
    }

    fn with(change: impl FnOnce(&mut Stamp)) -> Stamp {
        let mut stamp = device();
        change(&mut stamp);
        stamp
    }

    fn block(change: impl FnOnce(&mut BlockFacts)) -> Stamp {
        with(|stamp| change(stamp.block.as_mut().unwrap()))
    }

    #[test]
    fn a_device_is_the_same_only_by_boot_diskseq_serial_and_the_disks_write_counters() {
        let before = device();
        assert_eq!(
            (before.change(&before.clone()), before.since(&before.for_note())),
            (None, Since::Unchanged)
        );
        for (now, what) in [
            (with(|stamp| stamp.len += 512), "size"),
            (with(|stamp| stamp.boot = Some("c".into())), "started again"),
            (with(|stamp| stamp.device += 1), "another device"),
            (block(|block| block.sequence = Some(18)), "diskseq"),
            (block(|block| block.name = Some("device/serial vol0abd".into())), "serial"),
            (block(|block| block.writes.as_mut().unwrap().sectors += 1), "a write"),
            (block(|block| block.writes.as_mut().unwrap().discarded += 1), "a discard"),
        ] {
            assert!(before.change(&now).is_some(), "{what}");
            assert_ne!(before.proof(), now.proof(), "{what}");
            assert_ne!(now.since(&before.for_note()), Since::Unchanged, "{what}");
        }
        // udev makes the node anew.
        assert_eq!(before.change(&with(|stamp| stamp.file.id.1 += 1)), None);
    }

    #[test]
    fn what_is_stacked_or_not_counted_proves_nothing() {
        for (stamp, what) in [
            (block(|block| block.is_stacked = true), "device mapper"),
            (block(|block| block.writes = None), "not counted"),
            (block(|block| block.sequence = None), "an old kernel"),
            (with(|stamp| stamp.boot = None), "no boot id"),
            (with(|stamp| stamp.block = None), "no sys"),
        ] {
            assert_eq!(stamp.proof(), None, "{what}");
            assert_eq!(stamp.since(&stamp.for_note()), Since::Unproven, "{what}");
        }
    }

    #[test]
    fn a_loop_device_has_the_stamp_of_the_file_behind_it() {
        use crate::disk::Backing;
        let backing = Backing { file: "/x".into(), part: "0+0".into() };
        let unseen = block(|block| block.backing = Some(backing.clone()));
        assert_eq!((unseen.proof(), unseen.identity()), (None, None), "a file in another mount namespace");
        let before = Stamp { backing: Some(device().file), ..unseen };
        let mut written = before.clone();
        written.backing.as_mut().unwrap().changed += Duration::from_nanos(1);
        assert!(before.change(&written).is_some() && before.is_same_thing(&written));
        assert_ne!(before.proof(), written.proof());
        assert_eq!(before.identity(), written.identity());
    }

    #[test]
    fn a_file_is_waited_for_until_a_write_must_show() {
        let facts = |changed: Duration| Facts {
            node: Node::File,
            len: 1,
            id: (0, 0),
            device: 0,
            mode: 0,
            owner: 0,
            group: 0,
            links: 1,
            born: None,
            modified: Duration::ZERO,
            changed,
        };
        let (written, ms) = (facts(Duration::new(100, 1)), Duration::from_millis);
        assert!(unsettled(&written, Duration::new(100, 1)).is_some_and(|wait| wait == TICK));
        assert_eq!(unsettled(&written, Duration::new(100, 1) + TICK), None);
        assert_eq!(unsettled(&written, Duration::from_secs(99)), None, "the clock was set back");
        let coarse = facts(Duration::from_secs(100));
        assert_eq!(unsettled(&coarse, Duration::from_secs(100) + ms(20)), Some(Duration::from_secs(1)));
        assert_eq!(unsettled(&coarse, Duration::from_secs(102)), None);
    }
}

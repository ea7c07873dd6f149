//! Reading an image.

use crate::block::{BlockIndex, BlockRange, BlockSet, BlockSize, Buffer};
use crate::device::opened::{Opened, Sharing};
use crate::device::reader::Readable;
use crate::device::sidecar::Sidecar;
use crate::device::stamp::Stamp;
use crate::device::{Container, extents};
use crate::disk::{Machine, Near, Node, Opening};
use crate::fault::{Fault, Kind, Place};
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::path::Path;

/// What an image has at a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Zeros only: a hole, bytes that are zero, or past the image's end.
    Zero,
    /// One whole block; past the image's end it is filled up with zeros.
    Data(Bytes),
}

/// The proof that an image was the same, by its descriptor, its path and its note, from when it was opened until this
/// was returned.
#[derive(Debug)]
#[must_use]
pub struct Unchanged(());

/// What a reading found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Zeros that need not be read: a hole, or past the image's end. The buffer is as it was.
    Zeros,
    /// Bytes, which may be zeros. Past the image's end the buffer is filled up with zeros.
    Bytes,
}

/// An image open for reading, never for writing. A device is read past the system's cache, where it can be: what the
/// device has is what counts.
///
/// What was read is of one time only if the image is the same at the end as it was when it was opened. Readers end with
/// [`Image::unchanged`] or [`Image::concluded`], and what they make of the bytes takes the [`Unchanged`] that these
/// return. Other readers share the lock on it meanwhile; a process that has it alone keeps readers out.
#[derive(Debug)]
pub struct Image {
    file: Opened,
    machine: Machine,
    /// Its state when it was opened.
    stamp: Stamp,
    len: u64,
    /// Only regular files have holes to ask for.
    is_file: bool,
}

impl Image {
    /// Opens a file that holds a disk's bytes, or a block device.
    ///
    /// # Errors
    /// `Unsuitable` for a directory, an empty file, one that is half-way from one snapshot to another, or a
    /// [`Container`]; `Local` when it cannot be opened.
    pub fn open(path: &Path, machine: &Machine) -> Result<Self, Fault> {
        let image = Self::open_raw(path, machine)?;
        image.refuse_container()?;
        Ok(image)
    }

    /// Opens a file or a block device whatever its bytes are.
    ///
    /// # Errors
    /// As those of [`Image::open`], but for a container.
    pub fn open_raw(path: &Path, machine: &Machine) -> Result<Self, Fault> {
        Self::opened(path, Opening::Read, machine)
    }

    /// The same, for [`Image::read_at`]: a file, too, is read past the system's cache, where it can be.
    pub fn open_uncached(path: &Path, machine: &Machine) -> Result<Self, Fault> {
        Self::opened(path, Opening::Uncached, machine)
    }

    fn opened(path: &Path, opening: Opening, machine: &Machine) -> Result<Self, Fault> {
        let unsuitable = |what| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
        let file = machine.disk.open(path, opening).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => unsuitable("there is no such file").hint("check the path"),
            _ => Fault::local(path, "open", error),
        })?;
        let file = Opened::new(&machine.disk, file, path);
        let facts = file.facts()?;
        if !matches!(facts.node, Node::File | Node::Device) {
            return Err(unsuitable("neither a file nor a block device").hint("give an image file"));
        }
        if facts.len == 0 {
            return Err(unsuitable("the image is empty").hint("give an image with at least one byte"));
        }
        file.lock(Sharing::Readers)?;
        Sidecar::refuse_unfinished(path, machine)?;
        let stamp = file.stamp(Sidecar::digest(path, machine)?)?;
        let len = file.facts()?.len;
        Ok(Self { file, machine: machine.clone(), stamp, len, is_file: facts.node == Node::File })
    }

    /// Proves that the image is as it was when it was opened: the open descriptor, what its path leads to now, and the
    /// note about it. Every reader ends with it.
    ///
    /// # Errors
    /// `Changed` where it is not; `Vanished` where a device has gone.
    pub fn unchanged(&self) -> Result<Unchanged, Fault> {
        self.file.is_at_its_path()?;
        let now = self.file.stamp(Sidecar::digest(self.path(), &self.machine)?)?;
        match self.stamp.change(&now) {
            None => Ok(Unchanged(())),
            Some(what) => Err(self.file.changed(what)),
        }
    }

    /// Ends a reading: returns its result with the proof that the image did not change meanwhile. That it changed
    /// explains a failure of the reading, and is returned in its place.
    ///
    /// # Errors
    /// That of the reading, or those of [`Image::unchanged`].
    pub fn concluded<T>(&self, read: Result<T, Fault>) -> Result<(T, Unchanged), Fault> {
        match (read, self.unchanged()) {
            (Ok(result), Ok(unchanged)) => Ok((result, unchanged)),
            (Ok(_), Err(changed)) => Err(changed),
            (Err(fault), Err(changed))
                if changed.kind == Kind::Changed && matches!(fault.kind, Kind::Local | Kind::Vanished) =>
            {
                Err(changed)
            }
            (Err(fault), _) => Err(fault),
        }
    }

    /// Proves that its path still leads to the same file or device, whatever that holds by now: enough for work that
    /// makes nothing of the bytes.
    ///
    /// # Errors
    /// As those of [`Image::unchanged`].
    pub fn is_same(&self) -> Result<(), Fault> {
        self.file.is_at_its_path()?;
        let now = self.file.stamp(None)?;
        match self.stamp.is_same_thing(&now) {
            true => Ok(()),
            false => Err(self.file.changed("another device, or another file behind it, took its place")),
        }
    }

    /// Returns its state when it was opened, for a later run: where that finds the same text, nothing has changed
    /// since. `None` where equal texts would prove nothing.
    pub fn proof(&self) -> Option<String> {
        self.stamp.proof()
    }

    /// Returns what tells this file or device from others, whatever it holds; `None` where nothing does.
    pub fn identity(&self) -> Option<String> {
        self.stamp.identity()
    }

    /// Refuses a file that holds a disk in another form. A device is never refused: whatever its bytes are, they are what a
    /// restored volume must have, also where a qcow2 image was copied to it. Bytes that cannot be read are no reason
    /// either: that shows when they are read.
    fn refuse_container(&self) -> Result<(), Fault> {
        if !self.is_file {
            return Ok(());
        }
        match Container::recognise(&mut |offset, len| self.bytes(offset, len), self.len) {
            Ok(Some(container)) => {
                Err(container.refusal(self.path(), "take its bytes as they are with --raw"))
            }
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Whether it is a block device.
    pub fn is_device(&self) -> bool {
        !self.is_file
    }

    /// Names what is open, whatever path leads to it: a file by file system, number and time of birth, a device by what
    /// tells it apart for good, or by its path until this machine starts again. Two files or devices that exist at the
    /// same time have different names; it says nothing of what they hold.
    pub fn lasting_name(&self) -> Result<String, Fault> {
        let facts = self.file.facts()?;
        if self.is_file {
            let (file_system, number) = facts.id;
            let born = facts.born.map(|born| format!(" of {}.{:09}", born.as_secs(), born.subsec_nanos()));
            return Ok(format!("file {file_system}:{number}{}", born.unwrap_or_default()));
        }
        let path = || std::fs::canonicalize(self.path()).unwrap_or_else(|_| self.path().to_owned());
        let until = || format!("{} until {:?}", path().display(), self.machine.disk.boot());
        Ok(format!("device {}", self.stamp.lasting_name().unwrap_or_else(until)))
    }

    /// Returns those of these blocks that have to be read to know them. The others are zeros: they lie beyond the
    /// image's end, or in a hole of a file.
    pub fn data_in(&self, blocks: &BlockSet) -> BlockSet {
        match self.is_file {
            true => extents::data_in(self.file.file(), self.len, blocks),
            false => {
                let held = self.len.div_ceil(u64::from(BlockSize::EBS.bytes()));
                let held = u32::try_from(held).unwrap_or(u32::MAX).min(1 << 31);
                blocks & &BlockSet::from(BlockRange::new(BlockIndex::ZERO, held))
            }
        }
    }

    /// Hints to the system that these bytes are read soon. They must not be in a hole: of a hole the system makes pages
    /// of zeros.
    pub fn expect(&self, bytes: Range<u64>) {
        self.file.file().expect(bytes.start, bytes.end - bytes.start);
    }

    /// Makes it possible to bring these bytes near the processor before they are read; `None` where it is not. They must
    /// not be in a hole, as for [`Image::expect`].
    pub fn near(&self, offset: u64, len: usize) -> Option<Near> {
        self.file.file().near(offset, len)
    }

    /// Whether all of a block lies within the image.
    pub fn is_whole(&self, index: BlockIndex) -> bool {
        index.byte_offset(BlockSize::EBS) + u64::from(BlockSize::EBS.bytes()) <= self.len
    }

    /// Reads a block, whether or not it is in a hole, into a buffer of a block's length, aligned as a [`Buffer`] is.
    /// Beyond the image's end the buffer is filled up with zeros.
    ///
    /// # Errors
    /// As those of [`Image::fill`].
    pub fn read_block(&self, index: BlockIndex, buffer: &mut [u8]) -> Result<(), Fault> {
        self.file.fill(self.len, false, index, buffer).map(|held| match held {
            Held::Zeros => buffer.fill(0),
            Held::Bytes => {}
        })
    }

    /// Reads a block that is no hole into a buffer of a block's length, aligned as a [`Buffer`] is; of a hole it says so.
    ///
    /// # Errors
    /// `Vanished` where the device, or the end of the file, has gone since it was opened; `Local` where that block
    /// cannot be read.
    pub fn fill(&self, index: BlockIndex, buffer: &mut [u8]) -> Result<Held, Fault> {
        self.file.fill(self.len, self.is_file, index, buffer)
    }

    /// Reads these bytes whatever they are, holes included. Past the cache where buffer and offset are aligned as a
    /// [`Buffer`] is.
    ///
    /// # Errors
    /// As those of [`Image::fill`]; there is nothing to read beyond the end.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        self.file.tried("read", |file| file.read_at(buffer, offset))
    }

    /// Reads a block, holes included, and keeps nothing of it: what it costs is the reading.
    ///
    /// # Errors
    /// As those of [`Image::read_at`].
    pub fn touch(&self, index: BlockIndex) -> Result<(), Fault> {
        let offset = index.byte_offset(BlockSize::EBS);
        self.file.tried("read", |file| file.touch(offset, BlockSize::EBS.buffer_len()))
    }

    /// Bytes from this offset on, fewer at the end.
    pub fn bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>, Fault> {
        let block = u64::from(BlockSize::EBS.bytes());
        let end = self.len.min(offset.saturating_add(len as u64));
        let mut bytes = Vec::new();
        let mut at = offset;
        while at < end {
            let index = BlockIndex::try_from(i64::try_from(at / block).unwrap_or(i64::MAX));
            let Ok(index) = index else { break };
            let mut buffer = Buffer::for_blocks(1);
            // A new buffer holds zeros already.
            self.fill(index, buffer.as_mut_slice())?;
            let within = usize::try_from(at % block).unwrap_or(usize::MAX);
            let take = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.as_slice().len() - within);
            bytes.extend_from_slice(&buffer.as_slice()[within..within + take]);
            at += take as u64;
        }
        Ok(bytes)
    }

    /// Its size in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: an empty image is not opened.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Its path, as it was given.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Returns the weaker stamp of earlier versions, which puts together what a later run may go on with when it is
    /// trusted: device and inode, size and mtime. A device has no mtime, so two states of one device look alike.
    pub fn stamp(&self) -> Result<String, Fault> {
        let facts = self.file.facts()?;
        let identity = format!("{}:{} {} bytes", facts.id.0, facts.id.1, self.len);
        if !self.is_file {
            return Ok(identity);
        }
        let modified = facts.modified;
        Ok(format!(
            "{identity}, {} now, modified {}.{:09}",
            facts.len,
            modified.as_secs(),
            modified.subsec_nanos()
        ))
    }

    /// What it has at a block.
    pub fn part(&self, index: BlockIndex) -> Result<Part, Fault> {
        self.file.part(self.len, self.is_file, index)
    }
}

impl Readable for Image {
    fn size(&self) -> u64 {
        self.len
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>, Fault> {
        Self::bytes(self, offset, len)
    }

    fn next_data(&self, from: u64) -> Option<u64> {
        // Where holes cannot be asked for, everything is data.
        let asked = self.is_file.then(|| self.file.file().next_data(from).ok()).flatten();
        asked.unwrap_or(Some(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::is_zero;
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::path::PathBuf;

    fn here() -> Machine {
        Machine::real(PathBuf::new())
    }

    #[test]
    fn holes_zeros_and_the_end_are_zero_and_the_tail_is_filled_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let file = File::create(&path).unwrap();
        file.write_all_at(&[7], 3 * 524_288).unwrap();
        file.write_all_at(&vec![0; 524_288], 5 * 524_288).unwrap();
        file.write_all_at(&[9; 10], 8 * 524_288).unwrap();
        let image = Image::open(&path, &here()).unwrap();
        assert_eq!(image.len(), 8 * 524_288 + 10);
        for index in [0, 1, 2, 4, 5, 6, 7, 9, 2047] {
            assert_eq!(image.part(BlockIndex::new(index)).unwrap(), Part::Zero, "block {index}");
        }
        let Part::Data(tail) = image.part(BlockIndex::new(8)).unwrap() else { panic!("data") };
        assert_eq!((tail.len(), &tail[..10], is_zero(&tail[10..])), (524_288, &[9; 10][..], true));
    }

    #[test]
    fn bytes_are_read_across_blocks_and_end_with_the_image() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let file = File::create(&path).unwrap();
        file.write_all_at(&[1, 2, 3, 4], 524_286).unwrap();
        let image = Image::open(&path, &Machine::real(dir.path().to_owned())).unwrap();
        assert_eq!(image.bytes(524_285, 100).unwrap(), [0, 1, 2, 3, 4]);
        assert!(image.bytes(524_290, 100).unwrap().is_empty());
    }

    #[test]
    fn an_image_cut_off_while_it_is_read_has_vanished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        std::fs::write(&path, vec![1; 3 * 524_288]).unwrap();
        let image = Image::open(&path, &Machine::real(dir.path().to_owned())).unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(524_288 + 7).unwrap();
        let mut buffer = Buffer::for_blocks(1);
        assert_eq!(image.fill(BlockIndex::ZERO, buffer.as_mut_slice()).unwrap(), Held::Bytes);
        let fault = image.fill(BlockIndex::new(1), buffer.as_mut_slice()).unwrap_err();
        assert_eq!(fault.kind, Kind::Vanished, "{fault}");
        let read = image.fill(BlockIndex::new(1), buffer.as_mut_slice());
        assert_eq!(image.concluded(read).unwrap_err().kind, Kind::Changed, "which is why");
    }

    #[test]
    fn what_is_no_image_is_refused_in_one_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        File::create(&empty).unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for (path, said) in [
            (dir.path().to_owned(), "neither a file nor a block device"),
            (pipe, "neither a file nor a block device"),
            (empty, "the image is empty"),
            (dir.path().join("missing"), "there is no such file"),
        ] {
            let fault = Image::open(&path, &here()).unwrap_err();
            assert_eq!(fault.kind, Kind::Unsuitable);
            assert_eq!(fault.to_string(), format!("{}: {said}", path.display()));
        }
    }

    #[test]
    fn a_changed_image_has_another_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        std::fs::write(&path, [1; 100]).unwrap();
        let image = Image::open(&path, &here()).unwrap();
        let before = image.stamp().unwrap();
        assert_eq!(before, image.stamp().unwrap());
        std::fs::write(&path, [2; 101]).unwrap();
        assert_ne!(before, image.stamp().unwrap());
    }
}

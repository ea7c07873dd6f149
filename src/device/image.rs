//! Reading an image.

use crate::block::{BlockIndex, BlockSize, is_zero};
use crate::device::Buffer;
use crate::fault::{Fault, Kind, Place};
use bytes::Bytes;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What an image has at a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Zeros only: a hole, bytes that are zero, or past the image's end.
    Zero,
    /// One whole block; past the image's end it is filled up with zeros.
    Data(Bytes),
}

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
#[derive(Debug)]
pub struct Image {
    file: File,
    path: PathBuf,
    len: u64,
    /// Only regular files have holes to ask for.
    is_file: bool,
}

impl Image {
    /// Opens a file or a block device.
    ///
    /// # Errors
    /// `Unsuitable` for a directory or an empty file, `Local` when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let unsuitable = |what| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
        let missing = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => unsuitable("there is no such file").hint("check the path"),
            _ => Fault::local(path, "open", error),
        };
        // Without this, opening a named pipe waits for somebody to write to it.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(missing)?;
        let meta = file.metadata().map_err(missing)?;
        let is_file = meta.is_file();
        if !is_file && !meta.file_type().is_block_device() {
            return Err(unsuitable("neither a file nor a block device").hint("give an image file"));
        }
        let len = file.seek(SeekFrom::End(0)).map_err(|error| Fault::local(path, "find the size", error))?;
        if len == 0 {
            return Err(unsuitable("the image is empty").hint("give an image with at least one byte"));
        }
        if !is_file && let Some(direct) = direct(path) {
            file = direct;
        }
        Ok(Self { file, path: path.to_owned(), len, is_file })
    }

    /// Whether it is a block device.
    pub fn is_device(&self) -> bool {
        !self.is_file
    }

    /// Its size now: other than when it was opened, it is another image.
    pub fn len_now(&self) -> Result<u64, Fault> {
        let mut file = &self.file;
        file.seek(SeekFrom::End(0)).map_err(|error| self.failed("find the size", error))
    }

    /// Tells the system that these bytes are wanted soon. Only a hint.
    pub fn expect(&self, offset: u64, len: u64) {
        let len = std::num::NonZero::new(len);
        // A hint that is not taken costs time and nothing else.
        let _ = rustix::fs::fadvise(&self.file, offset, len, rustix::fs::Advice::WillNeed);
    }

    /// Reads a block into a buffer of a block's length, aligned as [`Buffer`]s are.
    ///
    /// # Errors
    /// `Vanished` where the device, or the end of the file, has gone since it was opened; `Local` where that block
    /// cannot be read.
    pub fn fill(&self, index: BlockIndex, buffer: &mut [u8]) -> Result<Held, Fault> {
        let start = index.byte_offset(BlockSize::EBS);
        if self.len <= start || self.next_data(start)?.is_none_or(|data| data >= start + buffer.len() as u64)
        {
            return Ok(Held::Zeros);
        }
        let held = usize::try_from(self.len - start).unwrap_or(usize::MAX).min(buffer.len());
        let (bytes, beyond) = buffer.split_at_mut(held);
        beyond.fill(0);
        self.file
            .read_exact_at(bytes, start)
            .map_err(|error| self.failed(&format!("read at byte {start}"), error))?;
        Ok(Held::Bytes)
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

    /// A device that has gone says so in several ways.
    fn failed(&self, doing: &str, error: std::io::Error) -> Fault {
        use rustix::io::Errno;
        let gone = [Errno::NXIO, Errno::NODEV, Errno::NOMEDIUM].map(Errno::raw_os_error);
        let has_gone = error.kind() == std::io::ErrorKind::UnexpectedEof
            || error.raw_os_error().is_some_and(|code| gone.contains(&code))
            || !self.path.exists();
        let fault = Fault::local(&self.path, doing, error);
        if has_gone { fault.as_kind(Kind::Vanished) } else { fault }
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
        &self.path
    }

    /// Whether a change of it shows in its stamp: a device has no time of last modification.
    pub fn shows_changes(&self) -> bool {
        self.is_file
    }

    /// Tells one state of the image from another: device and inode, size, time of last modification. A device
    /// has no such time, so two states of one device look alike.
    pub fn stamp(&self) -> Result<String, Fault> {
        let meta = self.file.metadata().map_err(|error| Fault::local(&self.path, "read its times", error))?;
        let identity = format!("{}:{} {} bytes", meta.dev(), meta.ino(), self.len);
        if !self.is_file {
            return Ok(identity);
        }
        Ok(format!("{identity}, {} now, modified {}.{:09}", meta.size(), meta.mtime(), meta.mtime_nsec()))
    }

    /// What it has at a block.
    pub fn part(&self, index: BlockIndex) -> Result<Part, Fault> {
        let mut buffer = Buffer::for_blocks(1);
        Ok(match self.fill(index, buffer.as_mut_slice())? {
            Held::Bytes if !is_zero(buffer.as_slice()) => Part::Data(buffer.into_bytes()),
            Held::Zeros | Held::Bytes => Part::Zero,
        })
    }

    /// The first byte at or after `from` that is not in a hole; `None` when only a hole follows. Where the file
    /// system knows no holes, everything is data.
    fn next_data(&self, from: u64) -> Result<Option<u64>, Fault> {
        if !self.is_file {
            return Ok(Some(from));
        }
        match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(from)) {
            Ok(data) => Ok(Some(data)),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(Some(from)),
            Err(error) => Err(Fault::local(&self.path, "look for holes", error.into())),
        }
    }
}

/// The device again, opened past the system's cache; `None` where it cannot be.
fn direct(path: &Path) -> Option<File> {
    use rustix::fs::OFlags;
    let flags = (OFlags::NONBLOCK | OFlags::DIRECT).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_zeros_and_the_end_are_zero_and_the_tail_is_filled_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let file = File::create(&path).unwrap();
        file.write_all_at(&[7], 3 * 524_288).unwrap();
        file.write_all_at(&vec![0; 524_288], 5 * 524_288).unwrap();
        file.write_all_at(&[9; 10], 8 * 524_288).unwrap();
        let image = Image::open(&path).unwrap();
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
        let image = Image::open(&path).unwrap();
        assert_eq!(image.bytes(524_285, 100).unwrap(), [0, 1, 2, 3, 4]);
        assert!(image.bytes(524_290, 100).unwrap().is_empty());
    }

    #[test]
    fn an_image_cut_off_while_it_is_read_has_vanished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        std::fs::write(&path, vec![1; 3 * 524_288]).unwrap();
        let image = Image::open(&path).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(524_288 + 7).unwrap();
        let mut buffer = Buffer::for_blocks(1);
        assert_eq!(image.fill(BlockIndex::ZERO, buffer.as_mut_slice()).unwrap(), Held::Bytes);
        let fault = image.fill(BlockIndex::new(1), buffer.as_mut_slice()).unwrap_err();
        assert_eq!(fault.kind, Kind::Vanished, "{fault}");
        assert_eq!(image.len_now().unwrap(), 524_288 + 7);
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
            let fault = Image::open(&path).unwrap_err();
            assert_eq!(fault.kind, Kind::Unsuitable);
            assert_eq!(fault.to_string(), format!("{}: {said}", path.display()));
        }
    }

    #[test]
    fn a_changed_image_has_another_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        std::fs::write(&path, [1; 100]).unwrap();
        let image = Image::open(&path).unwrap();
        let before = image.stamp().unwrap();
        assert_eq!(before, image.stamp().unwrap());
        std::fs::write(&path, [2; 101]).unwrap();
        assert_ne!(before, image.stamp().unwrap());
    }
}

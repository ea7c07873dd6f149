//! Reading an image.

use crate::block::{BlockIndex, BlockSize, is_zero};
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

/// An image open for reading.
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
        Ok(Self { file, path: path.to_owned(), len, is_file })
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
        let size = BlockSize::EBS;
        let start = index.byte_offset(size);
        if self.len <= start
            || self.next_data(start)?.is_none_or(|data| data >= start + u64::from(size.bytes()))
        {
            return Ok(Part::Zero);
        }
        let mut bytes = vec![0; size.buffer_len()];
        let held = usize::try_from(self.len - start).unwrap_or(usize::MAX).min(bytes.len());
        self.file
            .read_exact_at(&mut bytes[..held], start)
            .map_err(|error| Fault::local(&self.path, &format!("read at byte {start}"), error))?;
        Ok(if is_zero(&bytes) { Part::Zero } else { Part::Data(Bytes::from(bytes)) })
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

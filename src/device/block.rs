//! Writing a block device.

use crate::block::{BlockIndex, BlockSize, ByteSize};
use crate::device::direct::Writer;
use crate::fault::{Fault, Kind, Place};
use crate::source::{Block, BlockSink};
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A block of zeros, where a disk can take it from.
#[repr(align(4096))]
struct Zeros([u8; 524_288]);

static ZEROS: Zeros = Zeros([0; 524_288]);

/// A block device that is overwritten. Whatever it held is gone, so zeros are written where a file has holes.
///
/// It is opened exclusively: the kernel refuses a device that is mounted, or that a volume manager uses.
#[derive(Debug)]
pub struct BlockDevice {
    writer: Writer,
    path: PathBuf,
    size: ByteSize,
}

impl BlockDevice {
    /// Whether there is a block device of this name.
    pub fn is_at(path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_block_device())
    }

    /// Opens a device that holds a volume of this size.
    ///
    /// # Errors
    /// `Unsuitable` when it is in use or too small, `Local` when it cannot be opened.
    pub fn open(path: &Path, volume: ByteSize) -> Result<Self, Fault> {
        let unsuitable = |what: String| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
        let flags = rustix::fs::OFlags::EXCL.bits().cast_signed();
        let mut file =
            OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).map_err(|error| {
                match error.kind() {
                    std::io::ErrorKind::ResourceBusy => {
                        unsuitable("the device is mounted or in use".to_owned())
                            .hint("unmount it, or give another one")
                    }
                    _ => Fault::local(path, "open", error),
                }
            })?;
        let size = file.seek(SeekFrom::End(0)).map_err(|error| Fault::local(path, "find the size", error))?;
        let size = ByteSize::from_bytes(size);
        if size < volume {
            return Err(unsuitable(format!("the device has {size}, the volume {volume}"))
                .hint("give a device at least as large as the volume"));
        }
        Ok(Self { writer: Writer::new(file), path: path.to_owned(), size })
    }

    /// Tells this device from others, until the machine is started again and numbers them anew.
    pub fn stamp(&self) -> Option<String> {
        let number = self.writer.file().metadata().ok()?.rdev();
        Some(format!("device {number} of {} bytes", self.size.bytes()))
    }

    /// Overwrites a block with zeros.
    pub fn zero(&self, index: BlockIndex) -> Result<(), Fault> {
        self.put(index, &ZEROS.0)
    }

    fn put(&self, index: BlockIndex, bytes: &[u8]) -> Result<(), Fault> {
        let offset = index.byte_offset(BlockSize::EBS);
        self.writer.write_all_at(bytes, offset).map_err(|error| {
            Fault::local(&self.path, "write", error)
                .hint("mend that and give the same command: it goes on where it stopped")
        })
    }
}

impl BlockSink for BlockDevice {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        self.put(block.index(), block.bytes())
    }

    fn sync(&self) -> Result<(), Fault> {
        self.writer.sync().map_err(|error| Fault::local(&self.path, "make durable", error))
    }
}

//! Writing a block device.

use crate::block::{BlockIndex, BlockSize, ByteSize};
use crate::device::opened::{Opened, Sharing};
use crate::disk::{Machine, Node, Opening};
use crate::fault::{Fault, Kind, Place};
use crate::source::{Block, BlockSink};
use std::io;
use std::path::Path;

/// A block of zeros, where a disk can take it from.
#[repr(align(4096))]
struct Zeros([u8; 524_288]);

static ZEROS: Zeros = Zeros([0; 524_288]);

/// A block device that is overwritten. Whatever it held is gone, so zeros are written where a file has holes.
///
/// It is opened exclusively: the kernel refuses a device that is mounted, or that a volume manager uses.
#[derive(Debug)]
pub struct BlockDevice {
    file: Opened,
    size: ByteSize,
}

impl BlockDevice {
    /// Whether there is a block device of this name.
    pub fn is_at(path: &Path, machine: &Machine) -> bool {
        matches!(machine.disk.node(path), Ok(Some(Node::Device)))
    }

    /// Opens a device that holds a volume of this size.
    ///
    /// # Errors
    /// `Unsuitable` when it is in use or too small, `Local` when it cannot be opened.
    pub fn open(path: &Path, volume: ByteSize, machine: &Machine) -> Result<Self, Fault> {
        let device = Self::open_any(path, machine)?;
        device.check_size(volume)?;
        Ok(device)
    }

    /// Opens a device, whatever its size.
    ///
    /// # Errors
    /// `Unsuitable` when it is in use, `Local` when it cannot be opened.
    pub fn open_any(path: &Path, machine: &Machine) -> Result<Self, Fault> {
        let unsuitable = |what: String| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
        let file = machine.disk.open(path, Opening::Alone).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => unsuitable("the device is mounted or in use".to_owned())
                .hint("unmount it, or give another one"),
            _ => Fault::local(path, "open", error),
        })?;
        let facts = file.facts().map_err(|error| Fault::local(path, "find the size", error))?;
        let size = ByteSize::from_bytes(facts.len);
        let file = Opened::new(&machine.disk, file, path);
        file.lock(Sharing::Alone)?;
        Ok(Self { file, size })
    }

    /// Refuses a device that does not hold a volume of this size.
    pub fn check_size(&self, volume: ByteSize) -> Result<(), Fault> {
        if self.size >= volume {
            return Ok(());
        }
        let what = format!("the device has {}, the volume {volume}", self.size);
        let fault = Fault::new(Kind::Unsuitable, Place::File(self.file.path().to_owned()), what);
        Err(fault.hint("give a device at least as large as the volume"))
    }

    /// Tells this device from others, until the machine is started again and numbers them anew.
    pub fn stamp(&self) -> Option<String> {
        let number = self.file.facts().ok()?.device;
        Some(format!("device {number} of {} bytes", self.size.bytes()))
    }

    /// Returns the stamp of the device for its note.
    pub fn lasting_stamp(&self) -> Result<String, Fault> {
        Ok(self.file.stamp(None)?.for_note())
    }

    /// Overwrites a block with zeros.
    pub fn zero(&self, index: BlockIndex) -> Result<(), Fault> {
        self.put(index, &ZEROS.0)
    }

    pub(super) fn opened(&self) -> &Opened {
        &self.file
    }

    fn put(&self, index: BlockIndex, bytes: &[u8]) -> Result<(), Fault> {
        let offset = index.byte_offset(BlockSize::EBS);
        self.file.tried("write", |file| file.write_at(bytes, offset))
    }
}

impl BlockSink for BlockDevice {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        self.put(block.index(), block.bytes())
    }

    fn sync(&self) -> Result<(), Fault> {
        self.file.tried("make durable", |file| file.sync())
    }
}

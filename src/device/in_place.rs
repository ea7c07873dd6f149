//! Changing a target where it is.

use crate::block::{BlockIndex, BlockRange, BlockSet, BlockSize, ByteSize};
use crate::device::opened::{Opened, Sharing};
use crate::device::{BlockDevice, Container, Part, Since, extents};
use crate::disk::{Disk, Facts, Machine, Node, Opening, directory};
use crate::fault::{Fault, Kind, Place};
use crate::source::{Block, BlockSink};
use std::io;
use std::path::{Path, PathBuf};

/// An image file or block device that holds a volume and is changed block by block, by one run at a time.
#[derive(Debug)]
pub struct InPlace(Target);

#[derive(Debug)]
enum Target {
    File(Opened),
    Device(BlockDevice),
}

impl InPlace {
    /// Opens a file that no other name leads to, or a device. Whether it can hold a volume is another question:
    /// [`InPlace::check_size`].
    ///
    /// # Errors
    /// `Unsuitable` when there is none, it is in use, or other names (hard links) are names of the same file and would
    /// change as well; `Local` when it cannot be opened.
    pub fn open(path: &Path, machine: &Machine) -> Result<Self, Fault> {
        let unsuitable = |what: String| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
        match machine.disk.node(path) {
            Ok(Some(Node::Device)) => return Ok(Self(Target::Device(BlockDevice::open_any(path, machine)?))),
            Ok(Some(Node::Dir | Node::Other)) => {
                let what = "neither a file nor a block device".to_owned();
                return Err(unsuitable(what).hint("give an image file, or a device"));
            }
            Ok(Some(Node::File) | None) | Err(_) => {}
        }
        let opened = machine.disk.open(path, Opening::Change).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => unsuitable("there is no such file".to_owned())
                .hint("without --since the snapshot is exported as a whole"),
            _ => Fault::local(path, "open", error),
        })?;
        let opened = Opened::new(&machine.disk, opened, path);
        opened.lock(Sharing::Alone)?;
        let facts = opened.facts()?;
        if facts.links > 1 {
            let other = other_name(path, &facts, machine.disk.as_ref());
            let other = other.map(|other| format!(", {} is another", other.display())).unwrap_or_default();
            let what =
                format!("it is one of {} names (hard links) of a file{other}: all would change", facts.links);
            let copy =
                "remove the other names, or give a copy made with cp --sparse=always, with --assume-base";
            return Err(unsuitable(what).hint(copy));
        }
        Ok(Self(Target::File(opened)))
    }

    /// Refuses a device that does not hold a volume of this size. A file becomes as large as it has to be.
    pub fn check_size(&self, volume: ByteSize) -> Result<(), Fault> {
        match &self.0 {
            Target::File(_) => Ok(()),
            Target::Device(device) => device.check_size(volume),
        }
    }

    /// Refuses a file that holds a disk in another form, which blocks put in place would destroy.
    pub fn refuse_container(&self) -> Result<(), Fault> {
        let Target::File(file) = &self.0 else { return Ok(()) };
        let len = file.facts()?.len;
        let mut read = |offset: u64, most: usize| {
            let n = usize::try_from(len.saturating_sub(offset)).unwrap_or(most).min(most);
            let mut bytes = vec![0; n];
            file.tried("read", |file| file.read_at(&mut bytes, offset)).map(|()| bytes)
        };
        match Container::recognise(&mut read, len)? {
            Some(container) => {
                Err(container.refusal(file.path(), "export the snapshot as a whole with --force"))
            }
            None => Ok(()),
        }
    }

    /// Tells this target from another, also from one made anew in its place; `None` where nothing tells.
    pub fn identity(&self) -> Option<String> {
        match &self.0 {
            Target::File(file) => {
                let facts = file.facts().ok()?;
                Some(format!("{}:{} born {}", facts.id.0, facts.id.1, facts.born?.as_nanos()))
            }
            Target::Device(device) => device.lasting_stamp().ok(),
        }
    }

    /// Returns the stamp of the target for its note.
    pub fn stamp(&self) -> Result<String, Fault> {
        Ok(self.opened().stamp(None)?.for_note())
    }

    /// Compares the target with the stamp that its note has.
    pub fn since(&self, noted: &str) -> Result<Since, Fault> {
        Ok(self.opened().stamp(None)?.since(noted))
    }

    /// Refuses to go on where its path leads to another file or device by now.
    ///
    /// # Errors
    /// `Changed` where it does; `Vanished` where a device has gone.
    pub fn is_at_its_path(&self) -> Result<(), Fault> {
        self.opened().is_at_its_path()
    }

    /// Returns the first of these blocks that does not read as zeros. Holes are not read.
    pub fn first_data(&self, blocks: &BlockSet) -> Result<Option<BlockIndex>, Fault> {
        let target = self.opened();
        let data = match self.0 {
            Target::File(_) => extents::data_in(target.file(), target.facts()?.len, blocks),
            Target::Device(_) => blocks.clone(),
        };
        for index in data.iter() {
            if self.part(index)? != Part::Zero {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// What it has at a block.
    pub fn part(&self, index: BlockIndex) -> Result<Part, Fault> {
        let target = self.opened();
        target.part(target.facts()?.len, matches!(self.0, Target::File(_)), index)
    }

    /// Gives a file the size of the volume. A device keeps its own.
    pub fn resize(&self, volume: ByteSize) -> Result<(), Fault> {
        match &self.0 {
            Target::File(file) => file.tried("resize", |file| file.set_len(volume.bytes())),
            Target::Device(_) => Ok(()),
        }
    }

    /// Takes the set-id bits from a file, which is about to hold something else.
    pub fn drop_set_id(&self) -> Result<(), Fault> {
        match &self.0 {
            Target::File(file) if file.facts()?.mode & 0o6000 != 0 => {
                let mode = file.facts()?.mode & 0o1777;
                file.tried("take the set-id bits from", |file| file.set_mode(mode))
            }
            Target::File(_) | Target::Device(_) => Ok(()),
        }
    }

    /// Makes a file long enough for the volume.
    pub fn grow(&self, volume: ByteSize) -> Result<(), Fault> {
        if self.opened().facts()?.len < volume.bytes() { self.resize(volume) } else { Ok(()) }
    }

    /// Makes blocks read as zeros: holes in a file, written zeros on a device.
    pub fn zero(&self, blocks: BlockRange) -> Result<(), Fault> {
        match &self.0 {
            Target::File(file) => {
                let size = BlockSize::EBS;
                let (offset, len) = (blocks.byte_offset(size), blocks.size(size).bytes());
                file.tried("make a hole", |file| file.zero(offset, len))
            }
            Target::Device(device) => blocks.iter().try_for_each(|index| device.zero(index)),
        }
    }

    fn opened(&self) -> &Opened {
        match &self.0 {
            Target::File(file) => file,
            Target::Device(device) => device.opened(),
        }
    }
}

/// Another name of the same file in the same directory, where there is one to be seen.
fn other_name(path: &Path, facts: &Facts, disk: &dyn Disk) -> Option<PathBuf> {
    let dir = directory(path);
    let named = disk.names(dir).ok()?.into_iter().map(|name| dir.join(name));
    let mut others = named.filter(|name| name.file_name() != path.file_name());
    others.find(|name| matches!(disk.entry(name), Ok(Some(entry)) if entry.id == facts.id))
}

impl BlockSink for InPlace {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        let index = block.index();
        if block.is_zero() {
            return self.zero(BlockRange::new(index, 1));
        }
        let offset = index.byte_offset(BlockSize::EBS);
        self.opened().tried("write", |file| file.write_at(block.bytes(), offset))
    }

    fn sync(&self) -> Result<(), Fault> {
        self.opened().tried("make durable", |file| file.sync())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Access;
    use crate::disk::memory::MemoryDisk;
    use crate::source::conformance::{self, filled};
    use bytes::Bytes;
    use std::sync::Arc;

    fn opened() -> InPlace {
        let disk = Arc::new(MemoryDisk::with_dir(Path::new("/d")));
        let machine = Machine { disk, ..Machine::real("/d/state".into()) };
        machine.disk.write(Path::new("/d/a"), &[1], Access::Usual).unwrap();
        InPlace::open(Path::new("/d/a"), &machine).unwrap()
    }

    #[test]
    fn a_target_in_place_conforms() {
        let target = opened();
        target.resize(ByteSize::from_mib(1024)).unwrap();
        conformance::sink(&target, |index| match target.part(index).unwrap() {
            Part::Data(bytes) => Some(bytes),
            Part::Zero => Some(Bytes::from_static(&[0; 524_288])),
        });
    }

    #[test]
    fn zeros_replace_what_was_there_and_a_stamp_tells_of_every_change() {
        let target = opened();
        target.resize(ByteSize::from_mib(1024)).unwrap();
        let mut stamps = vec![target.stamp().unwrap()];
        for block in [filled(5, 7), filled(6, 7), filled(5, 0)] {
            target.write(&block).unwrap();
            stamps.push(target.stamp().unwrap());
        }
        assert_eq!(target.part(BlockIndex::new(5)).unwrap(), Part::Zero);
        assert!(matches!(target.part(BlockIndex::new(6)).unwrap(), Part::Data(_)));
        target.zero(BlockRange::new(BlockIndex::new(6), 1)).unwrap();
        assert_eq!(target.part(BlockIndex::new(6)).unwrap(), Part::Zero);
        stamps.push(target.stamp().unwrap());
        stamps.dedup();
        assert_eq!(stamps.len(), 5);
    }

    #[test]
    fn a_file_with_another_name_is_refused_and_both_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::real(dir.path().join("state"));
        let (path, other) = (dir.path().join("vm.img"), dir.path().join("golden.img"));
        std::fs::write(&path, [1; 100]).unwrap();
        InPlace::open(&path, &machine).unwrap();
        std::fs::hard_link(&path, &other).unwrap();
        let fault = InPlace::open(&path, &machine).unwrap_err();
        assert_eq!(fault.kind, Kind::Unsuitable);
        let expected = format!(
            "{}: it is one of 2 names (hard links) of a file, {} is another: all would change",
            path.display(),
            other.display()
        );
        assert_eq!(fault.to_string(), expected);
        // A symbolic link is no other file.
        std::fs::remove_file(&other).unwrap();
        std::os::unix::fs::symlink(&path, &other).unwrap();
        InPlace::open(&other, &machine).unwrap();
        assert!(InPlace::open(dir.path(), &machine).is_err_and(|fault| fault.kind == Kind::Unsuitable));
    }
}

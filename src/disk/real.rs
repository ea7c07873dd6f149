//! The machine's own files.

mod own;
mod sweep;

use crate::disk::direct::Direct;
use crate::disk::drain::Drain;
use crate::disk::own::holder;
use crate::disk::ownership::{image_mode, replaced};
use crate::disk::{Access, BlockFacts, Disk, Facts, Handle, Lock, Near, Node, Opening, Sweep, Swept};
use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, AtFlags, FallocateFlags, OFlags, RenameFlags, SeekFrom};
use rustix::io::Errno;
use std::fs::{self, File, FileType, OpenOptions, TryLockError};
use std::io;
use std::num::NonZero;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

/// The machine's own.
#[derive(Debug, Default)]
pub struct RealDisk {
    /// The one directory that all this is about, if it is one, open from before the first write: `syncfs` reports
    /// those writes' failures that happened since this descriptor was made (Linux 5.8).
    root: Option<File>,
    /// Whether files count that are found where other users may write.
    trusts_all: bool,
}

impl RealDisk {
    /// The disk on which files count that are found in directories that other users may write to.
    pub fn trusting() -> Self {
        Self { trusts_all: true, ..Self::default() }
    }

    /// The disk below this directory.
    pub fn at(dir: &Path) -> io::Result<Self> {
        let root = File::open(dir)?;
        if !root.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { root: Some(root), ..Self::default() })
    }
}

impl Disk for RealDisk {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if len > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{len} bytes are too many")));
        }
        // Straight into memory that was never zeroed: endpoints serve gigabytes a second from here.
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = bytes.len() as u64;
            if rustix::io::pread(&file, spare_capacity(&mut bytes), at)? == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn node(&self, path: &Path) -> io::Result<Option<Node>> {
        match fs::metadata(path) {
            Ok(meta) => Ok(Some(node(meta.file_type()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn entry(&self, path: &Path) -> io::Result<Option<Facts>> {
        match fs::symlink_metadata(path) {
            Ok(meta) => Ok(Some(facts(&meta))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open_to_others(&self, dir: &Path) -> Option<PathBuf> {
        if self.trusts_all { None } else { own::open_to_others(dir).map(Path::to_owned) }
    }

    fn writable(&self, dir: &Path) -> io::Result<()> {
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        Ok(rustix::fs::accessat(rustix::fs::CWD, dir, access, AtFlags::EACCESS)?)
    }

    fn make_dir(&self, dir: &Path, access: Access) -> io::Result<()> {
        own::make_dir(dir, access)
    }

    fn write(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
        let file = ours(path, access)?;
        file.set_len(0)?;
        file.write_all_at(bytes, 0)
    }

    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        ours(path, Access::Group)?.write_all_at(bytes, offset)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Some file systems cannot look and rename at once; a look beforehand has to do there.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let cwd = rustix::fs::CWD;
        match rustix::fs::renameat_with(cwd, from, cwd, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::INVAL | Errno::NOSYS) if to.exists() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
            Err(error) => Err(error.into()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn sweep(&self, dir: &Path, sweep: &Sweep<'_>) -> io::Result<Swept> {
        sweep::swept(dir, sweep)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        match &self.root {
            Some(root) => Ok(rustix::fs::syncfs(root)?),
            None => {
                rustix::fs::sync();
                Ok(())
            }
        }
    }

    fn lock(&self, path: &Path, who: &str, access: Access) -> io::Result<Lock> {
        loop {
            let file = ours(path, access)?;
            match file.try_lock() {
                Ok(()) => {
                    // Its holder may have removed it between opening and locking.
                    let id = facts(&file.metadata()?).id;
                    if self.entry(path)?.is_none_or(|named| named.id != id) {
                        continue;
                    }
                    // The lock is the file's, not its text's: a full disk must not keep anyone from deleting.
                    let _ = file.write_all_at(format!("{who}\n").as_bytes(), 0);
                    return Ok(Lock::Held(Box::new(RealFile::cached(file))));
                }
                Err(TryLockError::WouldBlock) => {
                    let mut bytes = [0; 4096];
                    let len = file.read_at(&mut bytes, 0)?;
                    return Ok(holder(&bytes[..len]));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    fn boot(&self) -> Option<String> {
        fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
    }

    fn block_facts(&self, device: u64) -> Option<BlockFacts> {
        BlockFacts::read(Path::new("/sys"), device)
    }

    fn open(&self, path: &Path, opening: Opening) -> io::Result<Box<dyn Handle>> {
        // Without the first, opening a named pipe waits for somebody to write to it.
        let flags = match opening {
            Opening::Read | Opening::Uncached => OFlags::NONBLOCK,
            Opening::Listed => OFlags::NONBLOCK | OFlags::NOFOLLOW,
            Opening::Alone => OFlags::EXCL,
            Opening::Change => OFlags::empty(),
            Opening::Found | Opening::FoundToRead => {
                let file = own::found(path, opening.is_read_only(), Access::Owner)?;
                return Ok(Box::new(RealFile::of(file, opening)));
            }
            Opening::New(access) => return Ok(Box::new(RealFile::of(own::made(path, access)?, opening))),
        };
        let mut options = OpenOptions::new();
        options.read(true).write(!opening.is_read_only());
        let file = options.truncate(false).custom_flags(flags.bits().cast_signed()).open(path)?;
        Ok(Box::new(RealFile::of(file, opening)))
    }
}

/// Opens a file of this program's own, or makes it.
fn ours(path: &Path, access: Access) -> io::Result<File> {
    loop {
        let opened = match own::found(path, false, access) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => own::made(path, access),
            opened => opened,
        };
        match opened {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened,
        }
    }
}

/// An open file, or the lock on one.
#[derive(Debug)]
struct RealFile {
    file: File,
    direct: Option<Direct>,
    /// Where goes what is only touched.
    drain: OnceLock<Drain>,
}

impl Drop for RealFile {
    /// Unlocks rather than closes: a child process that is just being started may hold a copy of the descriptor, and
    /// would keep the lock until it has become another program.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Handle for RealFile {
    fn facts(&self) -> io::Result<Facts> {
        let meta = self.file.metadata()?;
        let node = node(meta.file_type());
        let len = match node {
            // The size of a device is where it ends.
            Node::Device => rustix::fs::seek(&self.file, SeekFrom::End(0))?,
            _ => meta.len(),
        };
        Ok(Facts { len, ..facts(&meta) })
    }

    fn expect(&self, offset: u64, len: u64) {
        // A hint that is not taken costs time and nothing else.
        let _ = rustix::fs::fadvise(&self.file, offset, NonZero::new(len), Advice::WillNeed);
    }

    fn near(&self, offset: u64, len: usize) -> Option<Near> {
        Near::of(&self.file, offset, len)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let direct = self.direct.as_ref().and_then(|direct| direct.read_at(bytes, offset));
        direct.unwrap_or_else(|| self.file.read_exact_at(bytes, offset))
    }

    fn touch(&self, offset: u64, len: usize) -> io::Result<()> {
        let drain = self.drain.get_or_init(Drain::new);
        let direct = self.direct.as_ref().and_then(|direct| direct.touch(drain, offset, len));
        direct.unwrap_or_else(|| drain.read(&self.file, offset, len))
    }

    fn next_data(&self, from: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(&self.file, SeekFrom::Data(from)) {
            Ok(data) => Ok(Some(data)),
            Err(Errno::NXIO) => Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(from)),
            Err(error) => Err(error.into()),
        }
    }

    fn next_hole(&self, from: u64) -> io::Result<u64> {
        match rustix::fs::seek(&self.file, SeekFrom::Hole(from)) {
            Ok(hole) => Ok(hole),
            // It ends before that: beyond the end is nothing but a hole.
            Err(Errno::NXIO) => Ok(from),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(u64::MAX),
            Err(error) => Err(error.into()),
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let direct = self.direct.as_ref().and_then(|direct| direct.write_at(bytes, offset));
        direct.unwrap_or_else(|| self.file.write_all_at(bytes, offset))
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, hole, offset, len) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => self.write_zeros(offset, len),
            punched => Ok(punched?),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        own::set_mode(&self.file, mode)
    }

    fn succeed(&self, path: &Path, with_owner: bool) -> io::Result<()> {
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_file() => replaced(&meta, &self.file, with_owner),
            _ => own::set_mode(&self.file, image_mode()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn try_share(&self) -> io::Result<bool> {
        match self.file.try_lock_shared() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn holder(&self) -> Option<String> {
        let meta = self.file.metadata().ok()?;
        let process = lock_holder(&fs::read_to_string("/proc/locks").ok()?, meta.dev(), meta.ino())?;
        let name = fs::read_to_string(format!("/proc/{process}/comm")).ok();
        Some(match name.as_deref().map(str::trim_end) {
            Some(name) => format!("process {process} ({name})"),
            None => format!("process {process}"),
        })
    }
}

/// Returns the process that has a `flock` on a file, by the text of `/proc/locks`: `1: FLOCK  ADVISORY  WRITE 4711
/// 08:01:1234 0 EOF`. A process of another namespace stands there as 0.
fn lock_holder(locks: &str, dev: u64, inode: u64) -> Option<u32> {
    let file = format!("{:02x}:{:02x}:{inode}", rustix::fs::major(dev), rustix::fs::minor(dev));
    locks.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_, "FLOCK", _, _, process, locked, ..] if locked == file => {
            process.parse().ok().filter(|process| *process > 0)
        }
        _ => None,
    })
}

impl RealFile {
    fn of(file: File, opening: Opening) -> Self {
        let direct = Direct::beside(&file, opening);
        Self { file, direct, drain: OnceLock::new() }
    }

    fn cached(file: File) -> Self {
        Self { file, direct: None, drain: OnceLock::new() }
    }

    fn write_zeros(&self, offset: u64, len: u64) -> io::Result<()> {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        let end = (offset + len).min(self.facts()?.len);
        let mut at = offset;
        while at < end {
            let piece = usize::try_from(end - at).unwrap_or(usize::MAX).min(ZEROS.len());
            self.file.write_all_at(&ZEROS[..piece], at)?;
            at += piece as u64;
        }
        Ok(())
    }
}

/// The facts of a file. Of a device its length is not among them.
fn facts(meta: &fs::Metadata) -> Facts {
    let since = |time: io::Result<std::time::SystemTime>| time.ok()?.duration_since(UNIX_EPOCH).ok();
    Facts {
        node: node(meta.file_type()),
        len: meta.len(),
        id: (meta.dev(), meta.ino()),
        device: meta.rdev(),
        mode: meta.mode() & 0o7777,
        owner: meta.uid(),
        group: meta.gid(),
        links: meta.nlink(),
        born: since(meta.created()),
        modified: since(meta.modified()).unwrap_or(Duration::ZERO),
        changed: changed(meta),
    }
}

/// The ctime of a file; zero before 1970, which no file system of ours sets.
fn changed(meta: &fs::Metadata) -> Duration {
    let seconds = u64::try_from(meta.ctime()).unwrap_or(0);
    Duration::new(seconds, u32::try_from(meta.ctime_nsec()).unwrap_or(0))
}

fn node(kind: FileType) -> Node {
    match kind {
        kind if kind.is_file() => Node::File,
        kind if kind.is_dir() => Node::Dir,
        kind if kind.is_block_device() => Node::Device,
        _ => Node::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::ALIGNMENT;

    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, path) = (RealDisk::default(), dir.path().join("lock"));
        let file = File::create(&path).unwrap();
        // As a child process has one between its fork and its exec.
        let copy = file.try_clone().unwrap();
        let held = RealFile::cached(file);
        assert!(held.try_lock().unwrap());
        assert!(matches!(disk.lock(&path, "", Access::Owner).unwrap(), Lock::By(_)));
        drop(held);
        assert!(matches!(disk.lock(&path, "", Access::Owner).unwrap(), Lock::Held(_)));
        drop(copy);
    }

    #[test]
    fn readers_share_a_lock_that_excludes_a_writer_and_its_holder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        fs::write(&path, "x").unwrap();
        let open = || RealDisk::default().open(&path, Opening::Read).unwrap();
        let (one, other, writer) = (open(), open(), open());
        assert!(one.try_share().unwrap() && other.try_share().unwrap());
        assert!(!writer.try_lock().unwrap());
        let own = std::process::id();
        if let Some(holder) = writer.holder() {
            assert!(holder.starts_with(&format!("process {own} (")), "{holder}");
        }
        drop((one, other));
        assert!(writer.try_lock().unwrap());
        assert!(!open().try_share().unwrap());
        let locks = "1: POSIX  ADVISORY  WRITE 7 08:01:9 0 EOF\n2: FLOCK  ADVISORY  READ 4711 08:01:9 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 0 08:01:10 0 EOF\n";
        let dev = rustix::fs::makedev(8, 1);
        assert_eq!([9, 10, 11].map(|inode| lock_holder(locks, dev, inode)), [Some(4711), None, None]);
    }

    #[test]
    fn a_part_made_zero_becomes_a_hole_and_nothing_beside_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, [7; 100_000]).unwrap();
        let file = RealDisk::default().open(&path, Opening::Change).unwrap();
        file.zero(10, 90_000).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes[..10].iter().chain(&bytes[90_010..]).all(|byte| *byte == 7));
        assert!(bytes[10..90_010].iter().all(|byte| *byte == 0));
        let file = File::options().write(true).open(&path).unwrap();
        RealFile::cached(file).write_zeros(90_010, 1 << 20).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() == 100_000 && bytes[10..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_is_written_past_the_cache_and_through_it_is_all_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = RealDisk::default().open(&path, Opening::New(Access::Owner)).unwrap();
        let bytes = vec![7_u8; 64 * 1024 + ALIGNMENT];
        let aligned = &bytes[bytes.as_ptr().align_offset(ALIGNMENT)..][..64 * 1024];
        file.write_at(aligned, 0).unwrap();
        file.write_at(&aligned[1..], 64 * 1024).unwrap();
        file.write_at(&aligned[..ALIGNMENT], 128 * 1024 - 1).unwrap();
        file.sync().unwrap();
        let read = fs::read(&path).unwrap();
        assert_eq!(read.len(), 128 * 1024 - 1 + ALIGNMENT);
        assert!(read.iter().all(|byte| *byte == 7));
    }
}

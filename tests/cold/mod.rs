//! A file that is slow on first touch, on a real mount: what `warm`, `fio` and `dd` are held against.
//!
//! A read-only FUSE file system with one file in it, and a [`ColdVolume`] that says how long each read waits. It runs
//! in a process of its own, this very binary started again ([`serve_if_asked`]): a process that reads its own mount
//! hangs when it is killed. The child ends, and takes the mount away, when its standard input ends.

#![allow(dead_code, reason = "tests and benches each use their part")]
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]
#![allow(clippy::print_stdout, reason = "how the child answers")]

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEntry, Request,
    Session,
};
use icecore::block::{BlockIndex, BlockRange, BlockSet};
use icecore::disk::cold::{ColdVolume, Model};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

const BLOCK: u64 = 524_288;
/// The variable that tells the child what to serve.
const ASKED: &str = "ICECORE_COLD_FILE";
/// What the child's lines begin with: a test harness says more.
const MARK: &str = "cold: ";
const NAME: &str = "volume";

/// What a cold file is like.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Its size in blocks.
    pub(crate) blocks: u32,
    pub(crate) model: Model,
}

impl Spec {
    /// A volume of so many blocks, of which `allocated` are cold and the rest is free.
    pub(crate) fn new(blocks: u32, allocated: &BlockSet, latency: Duration) -> Self {
        let model = Model { cold: allocated.clone(), latency, ..Model::default() };
        Self { blocks, model }
    }

    fn to_text(&self) -> String {
        let ranges = |set: &BlockSet| {
            let ranges: Vec<_> =
                set.ranges().map(|range| format!("{}+{}", range.start(), range.len())).collect();
            ranges.join(",")
        };
        let model = &self.model;
        format!(
            "{};{};{};{};{}",
            self.blocks,
            model.latency.as_micros(),
            model.throughput.unwrap_or(0),
            ranges(&model.cold),
            ranges(&model.bad)
        )
    }

    fn from_text(text: &str) -> Self {
        let parts: Vec<&str> = text.split(';').collect();
        let ranges = |text: &str| {
            let mut set = BlockSet::new();
            for range in text.split(',').filter(|range| !range.is_empty()) {
                let (start, len) = range.split_once('+').unwrap();
                set.insert_range(BlockRange::new(start.parse().unwrap(), len.parse().unwrap()));
            }
            set
        };
        let throughput: u64 = parts[2].parse().unwrap();
        let model = Model {
            latency: Duration::from_micros(parts[1].parse().unwrap()),
            throughput: (throughput > 0).then_some(throughput),
            cold: ranges(parts[3]),
            bad: ranges(parts[4]),
        };
        Self { blocks: parts[0].parse().unwrap(), model }
    }
}

/// Every fourth run of 64 blocks, so that a quarter is allocated.
pub(crate) fn a_quarter(blocks: u32) -> BlockSet {
    let mut set = BlockSet::new();
    for start in (0..blocks).step_by(256) {
        set.insert_range(BlockRange::new(BlockIndex::new(start), 64.min(blocks - start)));
    }
    set
}

/// What was read of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) reads: u64,
    pub(crate) bytes: u64,
    /// Blocks read whole.
    pub(crate) whole: u64,
    /// Whole reads of blocks beyond their first.
    pub(crate) again: u64,
    /// Cold blocks that were touched.
    pub(crate) touched: u64,
}

/// A cold file, mounted until this is dropped.
#[derive(Debug)]
pub(crate) struct ColdFile {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    dir: TempDir,
    /// A loop device over it, held open.
    device: Option<File>,
}

impl ColdFile {
    /// Starts this binary again, with these arguments, to serve it; or says why that does not go.
    pub(crate) fn serve(spec: &Spec, arguments: &[&str]) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.env(ASKED, format!("{};{}", dir.path().display(), spec.to_text()));
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (asks, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut file = Self { child, asks, answers, dir, device: None };
        match file.line().as_deref() {
            Some("ready") => Ok(file),
            Some(why) => Err(format!("FUSE cannot be mounted here: {why}")),
            None => Err("FUSE cannot be mounted here".to_owned()),
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join(NAME)
    }

    /// Puts a loop device over it, with direct I/O; says why where that does not go. It goes away by itself when this
    /// process ends, however that happens.
    pub(crate) fn looped(&mut self) -> Result<PathBuf, String> {
        let mut losetup = Command::new("losetup");
        losetup.args(["--direct-io=on", "--read-only", "--find", "--show"]).arg(self.path());
        let output = losetup.output().map_err(|error| format!("no losetup: {error}"))?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if !output.status.success() {
            return Err(format!("no loop device can be had here: {}", said(&output.stderr)));
        }
        let device = PathBuf::from(said(&output.stdout));
        self.device = Some(File::open(&device).map_err(|error| error.to_string())?);
        // Of a device that is open this says: when nobody has it open any more.
        let detached = Command::new("losetup").arg("--detach").arg(&device).status();
        assert!(detached.is_ok_and(|status| status.success()), "{} stays", device.display());
        Ok(device)
    }

    /// What was read so far.
    pub(crate) fn told(&mut self) -> Told {
        self.asks.as_mut().unwrap().write_all(b"counts\n").unwrap();
        let line = self.line().unwrap();
        let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let [reads, bytes, whole, again, touched] = numbers[..] else { panic!("{line}") };
        Told { reads, bytes, whole, again, touched }
    }

    /// The child's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.answers.read_line(&mut line).ok()? > 0 {
            if let Some(at) = line.find(MARK) {
                return Some(line[at + MARK.len()..].trim().to_owned());
            }
            line.clear();
        }
        None
    }
}

impl Drop for ColdFile {
    fn drop(&mut self) {
        drop(self.device.take());
        drop(self.asks.take());
        let _ = self.child.wait();
        // The child has taken its mount away, unless it was killed.
        let _ = Command::new("umount")
            .args(["--quiet", "--lazy"])
            .arg(self.dir.path())
            .stderr(Stdio::null())
            .status();
    }
}

/// In a child, serves the file and never returns to the caller's own work: true. Elsewhere: false, at once.
pub(crate) fn serve_if_asked() -> bool {
    #[allow(clippy::disallowed_methods, reason = "how a child is told what it is")]
    let Ok(asked) = std::env::var(ASKED) else { return false };
    let (dir, spec) = asked.split_once(';').unwrap();
    let spec = Spec::from_text(spec);
    let volume = ColdVolume::new(spec.model.clone());
    match mounted(Path::new(dir), spec, volume.clone()) {
        Ok(_session) => {
            say("ready");
            for line in io::stdin().lock().lines() {
                if line.is_ok_and(|line| line == "counts") {
                    say(&counted(&volume));
                }
            }
        }
        Err(error) => say(&error.to_string()),
    }
    true
}

fn say(what: &str) {
    println!("{MARK}{what}");
    io::stdout().flush().unwrap();
}

fn counted(volume: &ColdVolume) -> String {
    let counts = volume.counts();
    let whole = counts.times.len();
    let again: u64 = counts.times.values().map(|times| u64::from(*times - 1)).sum();
    format!("{} {} {whole} {again} {}", counts.reads, counts.bytes, volume.warm().len())
}

fn mounted(dir: &Path, spec: Spec, volume: ColdVolume) -> io::Result<BackgroundSession> {
    let mut config = Config::default();
    config.mount_options = vec![MountOption::RO, MountOption::FSName("cold".to_owned())];
    // As many as there can be readers, or they would wait for a thread and not for their block.
    config.n_threads = Some(THREADS);
    let files = Files { bytes: u64::from(spec.blocks) * BLOCK, allocated: spec.model.cold, volume };
    let session = Session::new(files, dir, &config)?.spawn()?;
    // Whoever reads before all of them are there measures how fast threads are made.
    for _ in 0..1_000 {
        if std::fs::read_dir("/proc/self/task")?.count() > THREADS {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(session)
}

/// Threads that serve reads.
const THREADS: usize = 256;

#[derive(Debug)]
struct Files {
    bytes: u64,
    allocated: BlockSet,
    volume: ColdVolume,
}

/// Nothing about it changes while it is mounted.
const FOR_EVER: Duration = Duration::from_secs(86_400);
const FILE: INodeNo = INodeNo(2);

impl Files {
    fn attributes(&self, inode: INodeNo) -> FileAttr {
        let is_file = inode == FILE;
        FileAttr {
            ino: inode,
            size: if is_file { self.bytes } else { 0 },
            blocks: self.bytes / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_file { FileType::RegularFile } else { FileType::Directory },
            perm: if is_file { 0o444 } else { 0o555 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Files {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // The default of 16 would hold back whoever has more in flight.
        let _ = config.set_max_background(512);
        let _ = config.set_congestion_threshold(512);
        let _ = config.add_capabilities(InitFlags::FUSE_ASYNC_DIO);
        Ok(())
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == NAME {
            true => reply.entry(&FOR_EVER, &self.attributes(FILE), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOR_EVER, &self.attributes(inode));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let end = (offset + u64::from(size)).min(self.bytes);
        let len = end.saturating_sub(offset);
        if self.volume.read(offset, len).is_err() {
            reply.error(Errno::EIO);
            return;
        }
        // What it holds is made once: filling memory for each read would take longer than many of them.
        let (is_allocated, is_free) = self.kinds(offset, end);
        let len = usize::try_from(len).unwrap();
        match (is_allocated, is_free) {
            (true, false) => reply.data(&ALLOCATED[..len]),
            (false, _) => reply.data(&FREE[..len]),
            (true, true) => reply.data(&self.mixed(offset, end)),
        }
    }
}

/// More than the kernel asks for at once.
const MOST: usize = 4 << 20;
static ALLOCATED: [u8; MOST] = [0xa5; MOST];
static FREE: [u8; MOST] = [0; MOST];

impl Files {
    /// Whether there are allocated blocks in these bytes, and free ones.
    fn kinds(&self, offset: u64, end: u64) -> (bool, bool) {
        let number = |byte: u64| u32::try_from(byte / BLOCK).unwrap();
        let last = number(end.max(offset + 1) - 1);
        let range = BlockRange::new(BlockIndex::new(number(offset)), last + 1 - number(offset));
        let n_allocated = self.allocated.count_in(range);
        (n_allocated > 0, n_allocated < u64::from(range.len()))
    }

    fn mixed(&self, offset: u64, end: u64) -> Vec<u8> {
        let byte_of = |at: u64| {
            let index = BlockIndex::new(u32::try_from(at / BLOCK).unwrap());
            if self.allocated.contains(index) { ALLOCATED[0] } else { FREE[0] }
        };
        (offset..end).map(byte_of).collect()
    }
}

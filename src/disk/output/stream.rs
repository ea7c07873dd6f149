//! Pipes and character devices as outputs.

use crate::disk::output::location::Location;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// Attempts to find a reader at a pipe: 10 s.
const MAX_OPENINGS: u32 = 1000;

/// Attempts to write to something that takes nothing: 60 s.
const MAX_WRITES: u32 = 6000;

/// Opens what stood under the name when it was looked at. A pipe's reader may come a little later.
pub(super) fn open_stream(at: &Location, kind: FileType, id: (u64, u64)) -> io::Result<File> {
    let mut attempts = 0;
    let file = loop {
        match at.open_it(OFlags::WRONLY | OFlags::NONBLOCK) {
            Err(error)
                if kind == FileType::Fifo && error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) =>
            {
                attempts += 1;
                if attempts == MAX_OPENINGS {
                    return Err(io::Error::new(ErrorKind::TimedOut, "no process reads this pipe"));
                }
                pause();
            }
            opened => break File::from(opened?),
        }
    };
    let stat = rustix::fs::fstat(&file)?;
    match (stat.st_dev, stat.st_ino) == id {
        true => Ok(file),
        false => Err(io::Error::other("it is another file than when the run began")),
    }
}

/// Writes to what need not be ready, as long as it takes something now and then: a descriptor that somebody else made
/// may be one that never waits.
#[derive(Debug)]
pub(super) struct Patient(File);

impl Patient {
    pub(super) fn new(file: File) -> Self {
        Self(file)
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for _ in 0..MAX_WRITES {
            match self.0.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => pause(),
                written => return written,
            }
        }
        Err(io::Error::new(ErrorKind::TimedOut, "it takes no more"))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[expect(clippy::disallowed_methods, reason = "a pipe follows the time of another process")]
fn pause() {
    std::thread::sleep(PAUSE);
}

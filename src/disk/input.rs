//! Files that a user names as input: read whole up to a limit, or as a stream.
//!
//! [`Input`] takes regular files and pipes, so that `--map <(icecore blocks SNAPSHOT)` works, and refuses devices,
//! directories and sockets: none of them holds text, and some never end. Waiting for a pipe ends when the run is asked
//! to stop. [`read_small`] and [`read_text`] read whole, and no more than their [`Limit`].

use crate::fault::{Fault, Kind, Place};
use rustix::fs::OFlags;
use std::error::Error;
use std::fmt;
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// The time between two looks at whether the run is asked to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes of a pipe that are read at once, and how many such pieces wait.
const PIECE: usize = 64 << 10;
const PIECES: usize = 4;

/// Returns whether the run is asked to stop.
pub type IsStopped<'a> = &'a dyn Fn() -> bool;

/// The most that a file of one kind may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The kind of file, for messages: `a price table`.
    pub of: &'static str,
    /// The limit in bytes.
    pub bytes: u64,
}

/// An open input, to be read from its start to its end.
pub struct Input<'a> {
    source: Source,
    is_stopped: IsStopped<'a>,
}

#[derive(Debug)]
enum Source {
    File(File),
    Pipe { pieces: Receiver<io::Result<Vec<u8>>>, piece: Vec<u8>, at: usize },
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("source", &self.source).finish_non_exhaustive()
    }
}

/// The reason why reading a pipe ended early.
#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted while waiting for a pipe")
    }
}

impl Error for Stopped {}

impl<'a> Input<'a> {
    /// Opens a regular file or a pipe.
    ///
    /// # Errors
    /// `Unsuitable` where there is no such file, or one that is neither.
    pub fn open(path: &Path, is_stopped: IsStopped<'a>) -> Result<Self, Fault> {
        // Opening some devices does something, and opening a pipe waits: first comes a look at the file type.
        let found = fs::metadata(path).map_err(|error| failed(path, "open", error))?.file_type();
        let source = if found.is_fifo() { piped(path)? } else { Source::File(open_file(path, found)?) };
        Ok(Self { source, is_stopped })
    }

    /// Returns the fault for an error that reading an input gave.
    pub fn fault(path: &Path, error: io::Error) -> Fault {
        failed(path, "read", error)
    }
}

/// Opens a regular file; `found` is the file type that was seen under its name.
fn open_file(path: &Path, found: FileType) -> Result<File, Fault> {
    let refused = |found: FileType| {
        let what = match found {
            found if found.is_dir() => "it is a directory",
            found if found.is_char_device() || found.is_block_device() => "it is a device",
            _ => "it is neither a file nor a pipe",
        };
        Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what).hint("give a regular file or a pipe")
    };
    if !found.is_file() {
        return Err(refused(found));
    }
    // Should another file have taken its place: opening that does not wait.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| failed(path, "open", error))?;
    let found = file.metadata().map_err(|error| failed(path, "open", error))?.file_type();
    if found.is_file() { Ok(file) } else { Err(refused(found)) }
}

/// Reads a pipe on a thread of its own, which stays behind where nothing ever comes: neither opening a pipe nor reading it
/// can be called off.
fn piped(path: &Path) -> Result<Source, Fault> {
    let (sender, pieces) = sync_channel(PIECES);
    let owned = path.to_owned();
    let read = move || {
        if let Err(error) = send_pieces(&owned, &sender) {
            // Without a receiver the input is no longer wanted.
            let _ = sender.send(Err(error));
        }
    };
    let thread = std::thread::Builder::new().name("input".to_owned()).spawn(read);
    thread.map_err(|error| failed(path, "read", error))?;
    Ok(Source::Pipe { pieces, piece: Vec::new(), at: 0 })
}

/// Sends the content of a pipe piece by piece, an empty one at its end.
fn send_pieces(path: &Path, sender: &SyncSender<io::Result<Vec<u8>>>) -> io::Result<()> {
    let mut file = File::open(path)?;
    loop {
        let mut piece = vec![0; PIECE];
        let n_bytes = file.read(&mut piece)?;
        piece.truncate(n_bytes);
        if sender.send(Ok(piece)).is_err() || n_bytes == 0 {
            return Ok(());
        }
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::File(file) => file.read(buffer),
            Source::Pipe { pieces, piece, at } => {
                if *at == piece.len() {
                    (*piece, *at) = (next_piece(pieces, self.is_stopped)?, 0);
                }
                let n_bytes = buffer.len().min(piece.len() - *at);
                buffer[..n_bytes].copy_from_slice(&piece[*at..*at + n_bytes]);
                *at += n_bytes;
                Ok(n_bytes)
            }
        }
    }
}

/// Waits for the next piece of a pipe; the last one is empty.
fn next_piece(pieces: &Receiver<io::Result<Vec<u8>>>, is_stopped: IsStopped<'_>) -> io::Result<Vec<u8>> {
    loop {
        match pieces.recv_timeout(LOOK) {
            Ok(piece) => return piece,
            Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
            Err(RecvTimeoutError::Timeout) if is_stopped() => return Err(io::Error::other(Stopped)),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Reads all of an input.
///
/// # Errors
/// `Unsuitable` where it holds more than the limit, is no file or pipe, or is not there; `Interrupted` where the run was
/// asked to stop while it waited for a pipe.
pub fn read_small(path: &Path, limit: Limit, is_stopped: IsStopped<'_>) -> Result<Vec<u8>, Fault> {
    let mut input = Input::open(path, is_stopped)?;
    let too_long = || {
        let what = format!("it holds more than {} bytes, the limit of {}", limit.bytes, limit.of);
        Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what)
            .hint(format!("check that it is {}", limit.of))
    };
    if let Source::File(file) = &input.source
        && file.metadata().is_ok_and(|meta| meta.len() > limit.bytes)
    {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    let read = (&mut input).take(limit.bytes + 1).read_to_end(&mut bytes);
    read.map_err(|error| Input::fault(path, error))?;
    if bytes.len() as u64 > limit.bytes { Err(too_long()) } else { Ok(bytes) }
}

/// Reads all of an input that is text; a byte order mark at its start is left out.
///
/// # Errors
/// As for [`read_small`]; `Unsuitable` where it is no UTF-8 as well, UTF-16 by its name.
pub fn read_text(path: &Path, limit: Limit, is_stopped: IsStopped<'_>) -> Result<String, Fault> {
    let bytes = read_small(path, limit, is_stopped)?;
    let unsuitable = |what: String| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
    if is_utf16(&bytes) {
        return Err(unsuitable("it is UTF-16".to_owned()).hint("convert it: iconv -f UTF-16 -t UTF-8"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        unsuitable(format!("it is no text: byte {at} is not UTF-8"))
            .hint(format!("check that it is {}", limit.of))
    })?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text))
}

/// The character that some editors put before a text.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Whether a text begins as one in UTF-16 does: with its byte order mark.
pub fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

/// The fault for an error of opening or reading an input.
fn failed(path: &Path, doing: &str, error: io::Error) -> Fault {
    let unsuitable = |what: &str| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
    if error.get_ref().is_some_and(|inner| inner.is::<Stopped>()) {
        return Fault::new(Kind::Interrupted, Place::File(path.to_owned()), Stopped.to_string());
    }
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            unsuitable("there is no such file").hint("check the path").because(error)
        }
        ErrorKind::InvalidData => unsuitable(&error.to_string()),
        _ => Fault::local(path, doing, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};

    const SMALL: Limit = Limit { of: "a test's file", bytes: 100_000 };

    fn never() -> bool {
        false
    }

    fn fifo(dir: &Path) -> PathBuf {
        let path = dir.join("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_one_that_is_longer_is_named_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, vec![7; 100_000]).unwrap();
        assert_eq!(read_small(&path, SMALL, &never).unwrap().len(), 100_000);
        fs::write(&path, vec![7; 100_001]).unwrap();
        let fault = read_small(&path, SMALL, &never).unwrap_err();
        assert_eq!(fault.kind, Kind::Unsuitable);
        assert!(fault.to_string().contains("more than 100000 bytes, the limit of a test's file"), "{fault}");
        // One that says of itself that it is short, and is not.
        let endless = Limit { bytes: 0, ..SMALL };
        assert!(read_small(Path::new("/proc/self/status"), endless, &never).is_err());
    }

    #[test]
    fn what_is_neither_file_nor_pipe_is_refused_before_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        for (path, word) in [(dir.path().to_owned(), "directory"), ("/dev/zero".into(), "device")] {
            let fault = read_small(&path, SMALL, &never).unwrap_err();
            assert_eq!(fault.kind, Kind::Unsuitable);
            assert!(fault.to_string().contains(word), "{fault}");
        }
        let fault = read_small(&dir.path().join("none"), SMALL, &never).unwrap_err();
        assert!(fault.kind == Kind::Unsuitable && fault.to_string().contains("no such file"), "{fault}");
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_no_further_than_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = fifo(dir.path());
        for (n_bytes, is_read) in [(100_000, true), (300_000, false)] {
            let to = path.clone();
            let writer = std::thread::spawn(move || {
                let mut file = OpenOptions::new().write(true).open(to).unwrap();
                // The reader goes away at its limit.
                let _ = file.write_all(&vec![7; n_bytes]);
            });
            assert_eq!(read_small(&path, SMALL, &never).is_ok_and(|read| read.len() == n_bytes), is_read);
            writer.join().unwrap();
        }
    }

    #[test]
    fn waiting_for_a_pipe_ends_when_the_run_is_asked_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let path = fifo(dir.path());
        // No writer ever opens it.
        let asked = AtomicBool::new(false);
        let is_stopped = || asked.swap(true, Ordering::Relaxed);
        let fault = read_small(&path, SMALL, &is_stopped).unwrap_err();
        assert_eq!(fault.kind, Kind::Interrupted);
    }

    #[test]
    fn a_byte_order_mark_is_no_text_and_utf_16_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        fs::write(&path, "\u{feff}one\ntwo").unwrap();
        assert_eq!(read_text(&path, SMALL, &never).unwrap(), "one\ntwo");
        for (bytes, word) in [(&b"\xff\xfeo\0"[..], "UTF-16"), (b"a\xff", "byte 1 is not UTF-8")] {
            fs::write(&path, bytes).unwrap();
            let fault = read_text(&path, SMALL, &never).unwrap_err();
            assert!(fault.kind == Kind::Unsuitable && fault.to_string().contains(word), "{fault}");
        }
    }
}

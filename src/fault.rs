//! What can go wrong when a service, a file or a device is asked for something.
//!
//! One type for every backend: its [`Kind`] decides (try again? which exit code?), its place and sentence are for
//! people. Foreign errors become faults where they come in, once; nobody above looks at status codes.

use crate::block::BlockIndex;
use crate::snapshot::{SnapshotId, VolumeId};
use std::error::Error;
use std::fmt;
use std::io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
use std::path::PathBuf;

type BoxError = Box<dyn Error + Send + Sync>;

/// Whose limit a throttle speaks of; it decides who slows down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All requests of the account in this Region (ThrottlingException).
    Account,
    /// Requests for one snapshot (RequestThrottledException).
    Snapshot,
}

/// Which token was refused: the listing continues from an index then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Of a block.
    Block,
    /// Of a page.
    Page,
}

/// What went wrong, for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// There is no such thing, or it is not visible yet: a new snapshot may take two minutes (awslabs/coldsnap#43).
    NotFound,
    /// It is there but cannot be read: pending, archived, public.
    NotReadable,
    /// The two snapshots share no lineage.
    Unrelated,
    /// The service refuses the request as it stands; sending it again changes nothing.
    Refused,
    /// A limit of the account that does not refill by itself.
    Quota,
    /// Access denied. Never tried again.
    Denied,
    /// There are no credentials, or they cannot be loaded.
    NoCredentials,
    /// The credentials have expired: load them again, once.
    ExpiredCredentials,
    /// Too many requests.
    Throttled(Scope),
    /// A token the service no longer takes.
    InvalidToken(TokenKind),
    /// The bytes are not what their checksum, length or headers claim.
    Corrupt,
    /// The service says that it stores these bytes damaged: asking again gives the same.
    Damaged,
    /// The service failed on its side (5xx).
    Service,
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// A local file or device failed.
    Local,
    /// A local file is not in a state to be used: wrong size, in the way, changed meanwhile.
    Unsuitable,
    /// What was being read has gone.
    Vanished,
    /// A local file or device changed while it was read: what was read of it is of no one time.
    Changed,
    /// Somebody asked to stop; nothing was kept.
    Interrupted,
    /// The deadline came before anything was done.
    OutOfTime,
    /// Stopped, or throttled for too long, with a checkpoint saved: the same command goes on from there.
    Suspended,
}

impl Kind {
    /// As it stands in reports: `not_readable`. Whose limit or which token it was is left out.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::NotReadable => "not_readable",
            Self::Unrelated => "unrelated",
            Self::Refused => "refused",
            Self::Quota => "quota",
            Self::Denied => "denied",
            Self::NoCredentials => "no_credentials",
            Self::ExpiredCredentials => "expired_credentials",
            Self::Throttled(_) => "throttled",
            Self::InvalidToken(_) => "invalid_token",
            Self::Corrupt => "corrupt",
            Self::Damaged => "damaged",
            Self::Service => "service",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Local => "local",
            Self::Unsuitable => "unsuitable",
            Self::Vanished => "vanished",
            Self::Changed => "changed",
            Self::Interrupted => "interrupted",
            Self::OutOfTime => "out_of_time",
            Self::Suspended => "suspended",
        }
    }

    /// Whether the same request may succeed when sent again, without anything else being done first.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled(_) | Self::Corrupt | Self::Service | Self::Unreachable | Self::Timeout)
    }
}

/// Where it went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere in particular: the account, the service as a whole.
    Service,
    /// This program itself: how it was built or called, or that it was stopped.
    Program,
    /// A snapshot.
    Snapshot(SnapshotId),
    /// Two snapshots compared.
    Pair(SnapshotId, SnapshotId),
    /// A block of a snapshot.
    Block(SnapshotId, BlockIndex),
    /// A volume.
    Volume(VolumeId),
    /// A file or device.
    File(PathBuf),
    /// An address of this machine that something listens on, or should: `127.0.0.1:5931`.
    Address(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("AWS"),
            Self::Program => f.write_str("icecore"),
            Self::Snapshot(id) => id.fmt(f),
            Self::Pair(first, second) => write!(f, "{first} and {second}"),
            Self::Block(id, index) => write!(f, "block {index} of {id}"),
            Self::Volume(id) => id.fmt(f),
            Self::File(path) => path.display().fmt(f),
            Self::Address(address) => f.write_str(address),
        }
    }
}

/// Something that went wrong: what, where, and what may be done about it.
///
/// Displayed as one line, `block 4711 of snap-0abc: body does not match its checksum`, without full stop.
#[derive(Debug)]
pub struct Fault {
    /// What, for machines.
    pub kind: Kind,
    /// Where.
    pub at: Place,
    what: String,
    hint: Option<String>,
    source: Option<BoxError>,
}

impl Fault {
    /// `what` is lower case, without full stop, and does not repeat the place.
    pub fn new(kind: Kind, at: Place, what: impl Into<String>) -> Self {
        Self { kind, at, what: what.into(), hint: None, source: None }
    }

    /// A local file or device that failed. Where the reason tells what to do, so does the fault.
    pub fn local(path: impl Into<PathBuf>, doing: &str, error: std::io::Error) -> Self {
        let what = format!("cannot {doing}: {}", io_reason(&error));
        let fault = Self::new(Kind::Local, Place::File(path.into()), what);
        let fault = match error.kind() {
            PermissionDenied => fault.hint("change its permissions, or run as somebody who may"),
            ReadOnlyFilesystem => fault.hint("choose a place that can be written"),
            StorageFull | QuotaExceeded => fault.hint("make room and give the same command again"),
            FileTooLarge => {
                fault.hint("raise the limit of the process (ulimit -f), or choose another file system")
            }
            _ if is_open_files_limit(&error) => fault.hint(OPEN_FILES),
            _ => fault,
        };
        fault.because(error)
    }

    /// The fault behind an error of a socket, where this process or machine may open no more files.
    pub fn open_files_limit(at: Place, error: &std::io::Error) -> Option<Self> {
        is_open_files_limit(error).then(|| Self::new(Kind::Local, at, io_reason(error)).hint(OPEN_FILES))
    }

    /// A file that another run is writing.
    pub fn taken(path: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Unsuitable, Place::File(path.into()), "another run is writing it")
            .hint("wait for that run to end, or stop it")
    }

    /// A file or device that another process has locked; `holder` names it where the system shows it.
    pub fn in_use(path: impl Into<PathBuf>, holder: Option<&str>) -> Self {
        let what = format!("it is in use by {}", holder.unwrap_or("another process"));
        Self::new(Kind::Unsuitable, Place::File(path.into()), what)
            .hint("wait for that to end, or stop it, and give the same command")
    }

    /// What a person can do next, as a clause: `check the id with icecore list`.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, unless the fault knows something better already.
    #[must_use]
    pub fn or_hint(mut self, hint: &str) -> Self {
        self.hint.get_or_insert_with(|| hint.to_owned());
        self
    }

    /// The error below, for logs.
    #[must_use]
    pub fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same fault, of another kind: a thing not found becomes one that has vanished.
    #[must_use]
    pub fn as_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// What went wrong, without the place.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Whether a local disk has no room left.
    pub fn is_disk_full(&self) -> bool {
        let io = self.source.as_ref().and_then(|source| source.downcast_ref::<std::io::Error>());
        io.is_some_and(|error| matches!(error.kind(), StorageFull | QuotaExceeded))
    }

    /// What a person can do next, where the fault knows.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Advice where no more files can be opened.
const OPEN_FILES: &str = "raise the limit (ulimit -n), or lower --concurrency";

/// EMFILE or ENFILE, which have no kind of their own; the same numbers on every Linux.
fn is_open_files_limit(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// The operating system's reason without Rust's `(os error 28)`.
fn io_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_that_names_the_place() {
        let id: SnapshotId = "snap-0abc".parse().unwrap();
        let fault = Fault::new(
            Kind::Corrupt,
            Place::Block(id, BlockIndex::new(4711)),
            "body does not match its checksum",
        );
        assert_eq!(fault.to_string(), "block 4711 of snap-0abc: body does not match its checksum");
    }

    #[test]
    fn a_local_fault_gives_the_reason_without_its_number() {
        let fault = Fault::local("/x", "write", std::io::Error::from_raw_os_error(28));
        assert_eq!(fault.to_string(), "/x: cannot write: no space left on device");
        assert_eq!(fault.advice(), Some("make room and give the same command again"));
    }

    #[test]
    fn limits_of_the_process_are_local_and_name_the_limit() {
        let fault = Fault::local("/x", "write", std::io::Error::from_raw_os_error(27));
        assert_eq!(fault.to_string(), "/x: cannot write: file too large");
        assert!(fault.advice().unwrap().contains("ulimit -f"));
        let fault = Fault::local("/x", "open", std::io::Error::from_raw_os_error(24));
        assert!(fault.advice().unwrap().contains("ulimit -n"), "{fault}");
        let fault = Fault::open_files_limit(Place::Service, &std::io::Error::from_raw_os_error(24)).unwrap();
        assert_eq!((fault.kind, fault.to_string().as_str()), (Kind::Local, "AWS: too many open files"));
        assert!(Fault::open_files_limit(Place::Service, &std::io::Error::from_raw_os_error(111)).is_none());
    }

    #[test]
    fn denied_is_never_worth_another_try() {
        for kind in [Kind::Denied, Kind::NoCredentials, Kind::NotFound, Kind::Refused, Kind::Local] {
            assert!(!kind.is_retryable(), "{kind:?}");
        }
    }
}

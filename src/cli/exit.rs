//! Exit codes.

use crate::fault::Kind;
use std::process::ExitCode;

/// How the program ends. Each line below stands in the README as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, and nothing to complain of; `diff` ends so whether or not it found changes
    Clean = 0,
    /// Done, with findings: damage in a store; blocks that are not what they should be; backups that failed, are empty or too old; snapshots that are not verified; evidence that was altered; a volume that is not warm; a what-if that something stands against; cost over a limit
    Findings = 1,
    /// Refused before anything was sent: wrong usage, not found, not readable, above `--max-usd`
    Usage = 2,
    /// Stopped by a budget or a deadline: the same command goes on from there; or nothing was read, so nothing was shown
    Stopped = 3,
    /// Access denied, or no credentials, or expired ones
    Denied = 4,
    /// The service failed, after retries
    Service = 5,
    /// What was being read or written to vanished or changed meanwhile
    Vanished = 6,
    /// A local file or device failed; an internal error
    Local = 7,
    /// Throttled for too long or interrupted, with a checkpoint saved: try again
    TryAgain = 75,
    /// Interrupted (SIGINT) without a checkpoint
    Interrupted = 130,
    /// Terminated (SIGTERM) without a checkpoint
    Terminated = 143,
}

/// The signal that asked the program to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT: somebody pressed Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Exit {
    /// How a fault of this kind ends the program where no signal came.
    pub fn after(kind: Kind) -> Self {
        Self::of(kind, None)
    }

    /// How a fault of this kind ends the program, given the signal that came first, if any did.
    pub(crate) fn of(kind: Kind, signal: Option<Signal>) -> Self {
        match kind {
            Kind::NotFound | Kind::NotReadable | Kind::Unrelated | Kind::Refused | Kind::Unsuitable => {
                Self::Usage
            }
            Kind::Denied | Kind::NoCredentials | Kind::ExpiredCredentials => Self::Denied,
            Kind::Vanished | Kind::Changed => Self::Vanished,
            Kind::Local => Self::Local,
            Kind::Throttled(_) | Kind::Suspended => Self::TryAgain,
            Kind::OutOfTime => Self::Stopped,
            Kind::Interrupted => signal.map_or(Self::Interrupted, Self::by),
            Kind::Quota
            | Kind::InvalidToken(_)
            | Kind::Corrupt
            | Kind::Damaged
            | Kind::Service
            | Kind::Unreachable
            | Kind::Timeout => Self::Service,
        }
    }

    /// How a signal ends it when there is nothing to keep.
    pub(crate) fn by(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
    }

    /// The one that counts when several apply: a finding before everything, a budget last. Of several that were
    /// interrupted, one that left a checkpoint makes it worth to try again.
    pub(crate) fn worst(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Findings => 0,
            Self::Denied => 1,
            Self::Vanished => 2,
            Self::Local => 3,
            Self::Service => 4,
            Self::Usage => 5,
            Self::TryAgain => 6,
            Self::Interrupted | Self::Terminated => 7,
            Self::Stopped => 8,
            Self::Clean => 9,
        };
        if rank(self) <= rank(other) { self } else { other }
    }

    /// The code itself.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Scope;

    #[test]
    fn kinds_map_to_the_promised_codes() {
        for (kind, code) in [
            (Kind::NotFound, 2),
            (Kind::NotReadable, 2),
            (Kind::Unrelated, 2),
            (Kind::Unsuitable, 2),
            (Kind::Denied, 4),
            (Kind::ExpiredCredentials, 4),
            (Kind::Timeout, 5),
            (Kind::Corrupt, 5),
            (Kind::Damaged, 5),
            (Kind::Vanished, 6),
            (Kind::Changed, 6),
            (Kind::Local, 7),
            (Kind::Throttled(Scope::Account), 75),
            (Kind::OutOfTime, 3),
        ] {
            assert_eq!(Exit::of(kind, None).code(), code, "{kind:?}");
        }
    }

    #[test]
    fn of_several_the_worst_counts() {
        for (one, other, worst) in [
            (Exit::Clean, Exit::Stopped, Exit::Stopped),
            (Exit::Usage, Exit::Findings, Exit::Findings),
            // One of a job left a checkpoint, the next had not begun.
            (Exit::TryAgain, Exit::Interrupted, Exit::TryAgain),
            (Exit::Terminated, Exit::TryAgain, Exit::TryAgain),
        ] {
            assert_eq!(one.worst(other), worst, "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_signal_gives_its_own_code_unless_there_is_a_checkpoint() {
        for (signal, code) in [(Signal::Interrupt, 130), (Signal::Terminate, 143)] {
            assert_eq!(Exit::of(Kind::Interrupted, Some(signal)).code(), code);
            assert_eq!(Exit::of(Kind::Suspended, Some(signal)).code(), 75);
        }
    }
}

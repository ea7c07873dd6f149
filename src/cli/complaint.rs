//! What kept a command from its result, as one line for a person.

use crate::cli::exit::{Exit, Signal};
use crate::fault::{Fault, Kind};
use crate::ops::verify::Exception;
use std::fmt;

/// Why there is no result.
#[derive(Debug)]
pub(crate) enum Complaint {
    /// What was typed does not fit together, in a way that clap cannot see.
    Usage(String),
    /// Something was asked, and went wrong.
    Fault(Fault),
}

impl Complaint {
    /// Says it on standard error.
    pub(crate) fn say(&self) {
        tracing::error!(target: "icecore", "{self}");
        if let Self::Fault(fault) = self {
            let mut below = std::error::Error::source(fault);
            while let Some(error) = below {
                tracing::debug!(target: "icecore", "because: {error}");
                below = error.source();
            }
        }
    }

    /// The same, for the report of a run that could not begin.
    pub(crate) fn to_exception(&self) -> Exception {
        match self {
            Self::Usage(what) => Exception { kind: Kind::Unsuitable, what: what.clone() },
            Self::Fault(fault) => Exception::from(fault),
        }
    }

    /// How it ends the program.
    pub(crate) fn exit(&self, signal: Option<Signal>) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Fault(fault) => Exit::of(fault.kind, signal),
        }
    }
}

impl fmt::Display for Complaint {
    /// `snap-0abc: is not there; icecore list shows what is`, always one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => f.write_str(what),
            Self::Fault(fault) => {
                let advice = fault.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
                f.write_str(&crate::render::escaped(&format!("{fault}{advice}")))
            }
        }
    }
}

impl From<Fault> for Complaint {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Place;

    #[test]
    fn a_complaint_is_one_line_of_place_sentence_and_advice() {
        let fault =
            Fault::new(Kind::Local, Place::File("/x\ny".into()), "cannot read: gone").hint("look there");
        let complaint = Complaint::from(fault);
        assert_eq!(complaint.to_string(), r"/x\ny: cannot read: gone; look there");
        assert_eq!(complaint.exit(None), Exit::Local);
    }
}

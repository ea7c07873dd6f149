//! Turns what was typed into a place to work on, and nothing else.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::ops::{Engine, Services};

/// What a command does with the snapshots of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only reads: a local store must be there, and is not locked.
    Read,
    /// Adds to them: a local store is made where there is none, and is ours alone meanwhile.
    Write,
}

/// A place, and how it is asked.
#[derive(Debug)]
pub(crate) struct Opened {
    pub services: Services,
    pub engine: Engine,
}

/// Opens the place that the global options name.
pub(crate) async fn open(_: &Context, _: Access) -> Result<Opened, Complaint> {
    Err(Complaint::Usage("this build cannot do that".to_owned()))
}

//! Work that changes an account for a while: plans of steps that can be undone, and a journal of them.
//!
//! ```text
//! options -> plan (printed by --dry-run) -> journal: about to -> act -> journal: done -> .. -> undone, in reverse
//! ```
//!
//! A [`Step`] acts and undoes; [`walk`] does them in order and, whatever happened, undoes in reverse what was begun.
//! Each is written to the [`Journal`] before it is done, and everything made carries its [`Mark`] from the first
//! moment on: run, owner, expiry. So what a run leaves that dies is found twice over, by its journal and by its tags,
//! and [`resume`] or [`cleanup`] ends it. One file per procedure.
//!
//! Promise: nothing is ever deleted that the run did not make, and no snapshot at all.

pub mod cleanup;
pub mod demo;
mod desk;
pub mod drill;
mod journal;
mod mark;
mod plan;
pub mod resume;
mod step;

pub use desk::Waits;
pub use journal::Journal;
pub use mark::{Mark, RunId};
pub use plan::{Line, Part, Plan, Planned};
pub use step::{Facts, Outcome, Step, Taken, Undoing, Walked, walk};

//! Going on with a run whose process died: what was done is looked up, what was not is done, and all of it undone.

use crate::fault::Fault;
use crate::ops::{Engine, Services};
use crate::orchestrate::desk::Waits;
use crate::orchestrate::{RunId, drill};

/// Goes on with a run, at the place where it was begun.
///
/// # Errors
/// `NotFound` where there is no journal of it, `Unsuitable` while a process works on it, `Refused` at another place.
pub async fn run(
    run: &RunId,
    services: &Services,
    engine: &Engine,
    waits: Waits,
) -> Result<drill::Report, Fault> {
    drill::resumed(run, services, engine, waits).await
}

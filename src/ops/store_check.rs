//! Re-reads a store and names what is damaged.

use crate::fault::{Fault, Kind, Place};
use crate::monitor::Event;
use crate::ops::Engine;
use crate::store::{self, CheckReport};
use std::path::{Path, PathBuf};

/// What `icecore store check` found.
#[derive(Debug)]
#[must_use]
pub struct Report {
    /// The store.
    pub dir: PathBuf,
    /// What was read, and what is damaged. Damage is a finding, not a fault.
    pub found: CheckReport,
}

/// Reads everything. Works on a damaged store, and while a writer writes.
pub async fn run(dir: &Path, engine: &Engine) -> Result<Report, Fault> {
    engine.monitor.on(Event::Stage { verb: "checking", total: None });
    let (path, monitor) = (dir.to_owned(), engine.monitor.clone());
    let checking = tokio::task::spawn_blocking(move || store::check(path, monitor.as_ref()));
    let found = checking.await.map_err(|error| {
        Fault::new(Kind::Local, Place::File(dir.to_owned()), "the check did not end").because(error)
    })??;
    Ok(Report { dir: dir.to_owned(), found })
}

//! `icecore demo`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::fault::Fault;
use crate::monitor::{Event, Monitor};
use crate::ops::Engine;
use crate::orchestrate::demo;
use crate::pipeline::Settings;
use std::path::PathBuf;

/// Show the main job from end to end on disk images that come with the program
///
/// Imports three generations of a volume into a store of its own, compares them, exports the last one and holds it
/// against its source byte for byte, drills a restore of it. Needs no account and no network; takes about 4 GiB of disk space less its
/// holes, given back at the end.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Work in this directory, and leave everything there to look at
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let scratch = tempfile::Builder::new().prefix("icecore-demo-").tempdir();
    let scratch =
        scratch.map_err(|error| Fault::local(std::env::temp_dir(), "make a directory in it", error))?;
    let work = scratch.path().join("work");
    let dir = args.keep.as_deref().unwrap_or(&work);
    let settings = Settings::open(scratch.path().join("state"));
    let engine = Engine::new(settings, cx.progress().clone(), cx.stop().clone());
    let report = demo::run(dir, &engine).await?;
    output.show(&report)?;
    if let Some(dir) = &args.keep {
        let store = report.store.display();
        let note = format!("kept in {}; try: icecore list --local {store}", dir.display());
        cx.progress().on(Event::Note(note));
    }
    Ok(if report.is_verified() { Exit::Clean } else { Exit::Findings })
}

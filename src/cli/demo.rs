//! `icecore demo`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::evidence::Keeper;
use crate::cli::exit::Exit;
use crate::disk::{Access, Disk, RealDisk};
use crate::evidence::{Key, REPORT, Trust, examine};
use crate::fault::Fault;
use crate::monitor::{Clock, Event, Monitor, SystemClock};
use crate::ops::Engine;
use crate::orchestrate::demo;
use crate::pipeline::Settings;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Show the main job from end to end on disk images that come with the program
///
/// Imports three generations of a volume into a store of its own, compares them, exports the last one and holds it
/// against its source byte for byte; flips a bit and finds it, keeps both verdicts as evidence, drills a restore. Needs
/// no account and no network; takes about 4 GiB of disk space less its holes, given back at the end.
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
    let mut report = demo::run(dir, &engine).await?;
    report.evidence = Some(kept(&report, dir)?);
    output.show(&report)?;
    if let Some(dir) = &args.keep {
        let store = report.store.display();
        let note = format!("kept in {}; try: icecore list --local {store}", dir.display());
        cx.progress().on(Event::Note(note));
    }
    Ok(if report.is_verified() { Exit::Clean } else { Exit::Findings })
}

/// Keeps both verdicts as signed evidence, rewrites the bad one to a good one, looks at it, and puts it back.
fn kept(report: &demo::Report, dir: &Path) -> Result<demo::Kept, Fault> {
    let disk = Arc::new(RealDisk::default());
    let dir = dir.join("evidence");
    let key = Key::generate()?;
    let trust = Trust { public_keys: vec![key.public()], ..Trust::default() };
    let keeper = Keeper::new(disk.clone(), &dir, Some(key), "verify")?;
    keeper.keep(&report.verified, &[], None)?;
    let path = keeper.keep(&report.damaged, &[], None)?.path.join(REPORT);
    let examined = || examine(&*disk, &dir, &trust, SystemClock.now());
    let whole = examined()?;

    let bytes = std::fs::read_to_string(&path).map_err(|error| Fault::local(&path, "read", error))?;
    let write = |text: &str| disk.write(&path, text.as_bytes(), Access::Usual);
    let changed = |error| Fault::local(&path, "change", error);
    write(&bytes.replacen("fail", "pass", 1)).map_err(changed)?;
    let forged = examined()?;
    write(&bytes).map_err(changed)?;
    Ok(demo::Kept { whole, forged })
}

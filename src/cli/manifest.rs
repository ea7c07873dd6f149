//! `icecore manifest`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::cli::spelled::Elsewhere;
use crate::disk::OutputFile;
use crate::fault::Kind;
use crate::ops::Engine;
use crate::ops::manifest::{self, Options};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Write down which blocks a snapshot, image or device has, and the SHA-256 of each
///
/// A later verify holds a snapshot or a restored volume against it. With --base only blocks changed since are read. An
/// interrupted run of a snapshot goes on where it stopped when the same command is given again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A snapshot, an image file or a block device
    #[arg(value_name = "SNAPSHOT|FILE|DEVICE")]
    of: OsString,

    /// The manifest of an older snapshot of the same lineage
    #[arg(long, value_name = "MANIFEST")]
    base: Option<PathBuf>,

    /// Take the bytes as they are where FILE is a qcow2, VMDK, VHD, gzip or other file that holds a disk in another form
    #[arg(long, conflicts_with = "base")]
    raw: bool,

    /// The file to make, readable by its owner only; by default one in the state directory, which state push carries
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace a file that is already there
    #[arg(long, requires = "output")]
    force: bool,
}

/// Returns the path to write to: a link is followed to its target, beside which the manifest is made.
fn followed(output: &Path) -> Result<PathBuf, Complaint> {
    let is_link = || output.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
    match OutputFile::open(output) {
        Ok(file) => match file.target() {
            Some(target) => Ok(if is_link() { target } else { output.to_owned() }),
            None => {
                let path = output.display();
                Err(Complaint::Usage(format!(
                    "{path}: it is no regular file; give the name of a file to make"
                )))
            }
        },
        Err(fault) if fault.kind == Kind::Unsuitable => Err(fault.into()),
        // A directory that is missing or cannot be written to is named when the manifest is made there.
        Err(_) => Ok(output.to_owned()),
    }
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let shown = cx.output()?;
    let (of, shown_as) = (Path::new(&args.of), args.of.to_string_lossy());
    if args.output.as_deref().is_some_and(|output| output == Path::new("-")) {
        return Err(Complaint::Usage(
            "a manifest is not text for standard output: give -o a file, ./- if it is to be called that"
                .to_owned(),
        ));
    }
    let output = args.output.as_deref().map(followed).transpose()?;
    let options = |engine: &Engine| match &output {
        Some(output) => Ok(Options { base: args.base.clone(), output: output.clone(), force: args.force }),
        None => manifest::draft(&shown_as, engine).map(|output| Options {
            base: args.base.clone(),
            output,
            force: true,
        }),
    };
    let named = args.of.to_str().and_then(Elsewhere::parse).filter(|_| !of.exists());
    let (report, engine) = if let Some(named) = named {
        let Elsewhere { id, region, profile } = named.map_err(Complaint::Usage)?;
        let place = open::open_elsewhere(cx, region.as_deref(), profile.as_deref()).await?;
        let options = options(&place.engine)?;
        (manifest::of_snapshot(&id, &options, &place.services, &place.engine).await?, place.engine)
    } else {
        let engine = match &args.output {
            Some(_) => open::local_engine(cx),
            None => open::resumable_engine(cx)?,
        };
        let options = options(&engine)?;
        let report = match args.raw {
            true => manifest::of_raw_image(of, &options, &engine).await?,
            false => manifest::of_image(of, &options, &engine).await?,
        };
        (report, engine)
    };
    let report = match &args.output {
        Some(_) => report,
        None => manifest::keep(&shown_as, report, &engine)?,
    };
    shown.show(&report)?;
    Ok(Exit::Clean)
}

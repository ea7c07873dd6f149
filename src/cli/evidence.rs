//! `icecore evidence`, and the options by which other commands keep evidence.

mod keep;
mod user;

pub(crate) use keep::{KeepArgs, Keeper, keep};

use crate::block::{Digest, DigestError};
use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::disk::{Access, Disk, OutputFile, RealDisk};
use crate::evidence::{self, Key, PublicKey, Trust};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, SystemClock};
use crate::render::NewKey;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Look after the evidence that --evidence keeps
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check that nothing of it was altered or taken away
    ///
    /// Works offline: every file, every signature, every link from one bundle to the next. That the newest bundles were
    /// cut off shows only against an anchor, the hash of a statement that was kept elsewhere: in a ticket, a mail, an S3
    /// bucket with Object Lock.
    Verify {
        /// The directory that --evidence named
        #[arg(value_name = "DIR")]
        dir: PathBuf,

        /// The hash of a bundle that has to be there
        #[arg(long, value_name = "HASH", value_parser = anchor)]
        anchor: Option<Digest>,

        /// A key that may have signed it: 64 hexadecimal digits, or a PEM file
        #[arg(long, value_name = "KEY|FILE")]
        public_key: Vec<String>,
    },
    /// Make a key to sign evidence with: FILE, and FILE.pub for those who verify
    Key {
        /// The file to make, readable by its owner only
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

impl Args {
    /// Whether evidence is judged.
    pub(crate) fn is_verdict(&self) -> bool {
        matches!(self.command, Command::Verify { .. })
    }
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let disk = RealDisk::default();
    match args.command {
        Command::Verify { dir, anchor, public_key } => {
            let output = cx.output()?;
            let public_keys = public_key.iter().map(|text| public(&disk, text)).collect::<Result<_, _>>()?;
            let examined = evidence::examine(&disk, &dir, &Trust { anchor, public_keys }, SystemClock.now())?;
            let exit = match (examined.findings.is_empty(), examined.is_altered()) {
                (true, _) => Exit::Clean,
                (false, true) => Exit::Findings,
                (false, false) => Exit::Local,
            };
            output.show(&examined)?;
            Ok(exit)
        }
        Command::Key { file } => {
            let output = cx.output()?;
            output.show(&new_key(&disk, file)?)?;
            Ok(Exit::Clean)
        }
    }
}

fn anchor(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|_: DigestError| "expected a SHA-256: 64 hexadecimal digits".to_owned())
}

/// A key as it was typed, or in the file that was.
pub(crate) fn public(disk: &dyn Disk, text: &str) -> Result<PublicKey, Complaint> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let path = Path::new(text);
    let bytes = disk.read(path, 1 << 16).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Complaint::Usage(format!("--public-key {text}: neither 64 hexadecimal digits nor a file"))
        }
        _ => Fault::local(path, "read the key", error).into(),
    })?;
    let key = String::from_utf8_lossy(&bytes).parse();
    key.map_err(|error: evidence::PublicKeyError| Complaint::Usage(format!("{text}: {error}")))
}

fn new_key(disk: &RealDisk, file: PathBuf) -> Result<NewKey, Complaint> {
    // What is no place for a file is refused before a key is made.
    OutputFile::open(&file)?;
    let mut beside = file.clone().into_os_string();
    beside.push(".pub");
    let beside = PathBuf::from(beside);
    if disk.node(&beside).is_ok_and(|node| node.is_some()) {
        let what = "there is a file of this name";
        let fault = Fault::new(Kind::Unsuitable, Place::File(beside), what).hint("choose another name");
        return Err(fault.into());
    }
    let key = Key::generate()?;
    key.write_new(disk, &file)?;
    let pem = key.public().to_pem().unwrap_or_default();
    let disk: &dyn Disk = disk;
    let written = disk.place_new(&beside, pem.as_bytes(), Access::Usual);
    written.map_err(|error| Fault::local(&beside, "write the public key", error))?;
    Ok(NewKey { file, public_file: beside, public_key: key.public() })
}

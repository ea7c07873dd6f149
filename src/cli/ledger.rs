//! `icecore ledger`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::evidence::public;
use crate::cli::exit::Exit;
use crate::cli::open::{self, Access};
use crate::cli::spelled::Days;
use crate::disk::RealDisk;
use crate::monitor::{Clock, SystemClock};
use crate::ops::ledger::{self, Options};
use crate::snapshot::{SnapshotId, Tag};
use std::time::Duration;

/// Show which snapshots are verified, sampled, failed, outdated or were never verified
///
/// Every verification is entered into the ledger of the state directory. A snapshot is verified when every block was
/// read and right since the last failure, by one run or by runs that each read a part; sampled when some were. Exit code
/// 1 means that a snapshot is not verified, that there is none, or that a file of the ledger is damaged or cannot be what
/// a run wrote. Without --account only snapshots are shown that the ledger knows, or that are named.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show these, known or not
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<SnapshotId>,

    /// Ask the account as well, so that snapshots that were never verified show
    #[arg(long)]
    account: bool,

    /// Of the account, those with this tag
    #[arg(long, value_name = "KEY=VALUE")]
    tag: Vec<Tag>,

    /// How long a verification counts, as in 30d
    #[arg(long, value_name = "DAYS", default_value = "30d")]
    outdated_after: Days,

    /// Exit code 0 also for snapshots of which only some blocks were read
    #[arg(long, value_name = "STATE")]
    accept: Option<Accepted>,

    /// Count as proof only what this key signed (verify --sign-key): 64 hexadecimal digits, or a PEM file
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Vec<String>,
}

/// States that may be accepted beside verified.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Accepted {
    /// Some blocks were read and right
    Sampled,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let disk = RealDisk::default();
    let public_keys = args.public_key.iter().map(|text| public(&disk, text)).collect::<Result<_, _>>()?;
    let Days(days) = args.outdated_after;
    let options = Options {
        snapshots: args.snapshots,
        account: (args.account || !args.tag.is_empty()).then_some(args.tag),
        outdated_after: Duration::from_secs(u64::from(days) * 86_400),
        accepts_sampled: matches!(args.accept, Some(Accepted::Sampled)),
        public_keys,
    };
    let place = match &options.account {
        Some(_) => Some(open::open(cx, Access::Read).await?),
        None => None,
    };
    let engine = match &place {
        Some(place) => place.engine.clone(),
        None => open::resumable_engine(cx)?,
    };
    let services = place.as_ref().map(|place| &place.services);
    let report = ledger::run(&options, services, &engine, SystemClock.now()).await?;
    let exit = if report.is_clean() { Exit::Clean } else { Exit::Findings };
    output.show(&report)?;
    Ok(exit)
}

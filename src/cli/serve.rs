//! `icecore serve`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::log::NOTE;
use crate::cli::open::who;
use crate::cli::output::to_stdout;
use crate::disk::Limit;
use crate::endpoint::{self, KeyState, Plan, Shelves};
use crate::estate::{BinKind, BinRule};
use crate::fault::{Fault, Kind, Place};
use crate::store::StoreWriter;
use clap::ValueEnum;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Serve the store in --local DIR through the EBS direct APIs, EC2 and STS, on one loopback port
///
/// The first line on standard output holds the URL, once it listens. An empty or missing DIR becomes a store. Any
/// key pair is taken, requests without one are not. Ends at SIGINT or SIGTERM.
///
/// To test a client on bad days: --quotas, --latency, --ready-after and --faults make it as slow, as strict and as
/// broken as told, the same way each time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Listen here: a loopback address, and a port or 0 for any
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = address)]
    listen: SocketAddr,

    /// Keep the request quotas of an AWS account, or none
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Quotas::None)]
    quotas: Quotas,

    /// Let every answer take at least so many milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=600_000))]
    latency: u64,

    /// Answer 404 for a snapshot until so many seconds after EC2 says it is completed, as AWS does
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=86_400))]
    ready_after: u64,

    /// Let go wrong what FILE says: a rule a line, as in "GetSnapshotBlock block=17 nth=1-2 error=500"
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,

    /// Keep what is deleted in the Recycle Bin for so many days; KIND is snapshot, volume or image
    #[arg(long, value_name = "KIND=DAYS", value_parser = rule)]
    bin: Vec<BinRule>,

    /// A KMS key that cannot be used; WHY is disabled, pending-deletion or denied
    #[arg(long, value_name = "ARN=WHY", value_parser = key)]
    key: Vec<(String, KeyState)>,
}

/// Whose request quotas are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Quotas {
    /// Those an AWS account has by default
    Aws,
    /// None
    None,
}

impl From<Quotas> for endpoint::Quotas {
    fn from(quotas: Quotas) -> Self {
        match quotas {
            Quotas::Aws => Self::Aws,
            Quotas::None => Self::None,
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.replacen("localhost:", "127.0.0.1:", 1);
    numeric.parse().map_err(|_| "expected an address and a port, as in 127.0.0.1:4599".to_owned())
}

fn rule(text: &str) -> Result<BinRule, String> {
    let refused = "expected snapshot, volume or image, and days from 1 to 3650, as in volume=7";
    let (kind, days) = text.split_once('=').ok_or(refused)?;
    let kind = match kind {
        "snapshot" => BinKind::Snapshot,
        "volume" => BinKind::Volume,
        "image" => BinKind::Image,
        _ => return Err(refused.to_owned()),
    };
    let days = days.parse().ok().filter(|days| (1..=3650).contains(days)).ok_or(refused)?;
    Ok(BinRule::all(kind, days))
}

fn key(text: &str) -> Result<(String, KeyState), String> {
    let refused =
        "expected a key's ARN and disabled, pending-deletion or denied, as in arn:aws:kms:..=disabled";
    let (arn, why) = text.rsplit_once('=').filter(|(arn, _)| arn.starts_with("arn:")).ok_or(refused)?;
    let state = match why {
        "disabled" => KeyState::Disabled,
        "pending-deletion" => KeyState::PendingDeletion,
        "denied" => KeyState::Denied,
        _ => return Err(refused.to_owned()),
    };
    Ok((arn.to_owned(), state))
}

/// A fault plan is written by hand.
const PLAN_LIMIT: Limit = Limit { of: "a fault plan", bytes: 1 << 20 };

/// Reads the fault plan in a file.
fn plan(path: &Path, cx: &Context) -> Result<Plan, Fault> {
    let text = cx.read_text(path, PLAN_LIMIT)?;
    text.parse().map_err(|error: endpoint::PlanError| {
        Fault::new(Kind::Refused, Place::File(path.to_owned()), error.to_string())
    })
}

/// Refuses an option that gives one key two values.
fn distinct<K: PartialEq + fmt::Display, V: PartialEq>(
    option: &str,
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Result<(), Complaint> {
    let mut seen: Vec<(K, V)> = Vec::new();
    for (key, value) in pairs {
        if seen.iter().any(|(other, earlier)| *other == key && *earlier != value) {
            return Err(Complaint::Usage(format!("{option} gives {key} two values; give one of them")));
        }
        seen.push((key, value));
    }
    Ok(())
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    cx.text_only()?;
    distinct("--bin", args.bin.iter().map(|rule| (&rule.of, rule.days)))?;
    distinct("--key", args.key.iter().map(|(arn, state)| (arn, *state)))?;
    let Some(dir) = &cx.global().local else {
        return Err(Complaint::Usage("no store to serve; give --local DIR or set ICECORE_LOCAL".to_owned()));
    };
    let faults = args.faults.as_deref().map(|path| plan(path, cx)).transpose()?.unwrap_or_default();
    let store = StoreWriter::open_or_create(dir, &who("serve"))?;
    let config = endpoint::Config {
        listen: args.listen,
        quotas: args.quotas.into(),
        latency: Duration::from_millis(args.latency),
        ready_after: Duration::from_secs(args.ready_after),
        faults,
        account: endpoint::Settings {
            bin_rules: args.bin,
            keys: args.key.into_iter().collect(),
            ..endpoint::Settings::default()
        },
        ..endpoint::Config::default()
    };
    let running = endpoint::start(config, Shelves::kept_in(Arc::new(store))).await?;
    let url = running.url();
    to_stdout(|out| writeln!(out, "listening on {url}"))?;
    tracing::info!(target: NOTE, "for the AWS CLI and SDKs: AWS_ENDPOINT_URL_EBS={url} AWS_ENDPOINT_URL_EC2={url}");
    cx.stop().requested().await;
    running.stop().await;
    Ok(Exit::Clean)
}
